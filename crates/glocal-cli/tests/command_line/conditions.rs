//! The text of conditions: each kind of concept means what it says, and what cannot be meant is told.

use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};

use crate::support::{array, glocal, model, names, rows};

/// The layer of vgg_tiny that is masked here: 8 channels on a grid of 8×8.
const LAYER: &str = "features.4";
const CHANNELS: usize = 8;

/// The heatmaps of two samples under some conditions.
fn heatmaps(folder: &Path, conditions: &[String]) -> Vec<Vec<f32>> {
    let (inputs, out) = (rows(folder, &[0, 2]), folder.join("out.safetensors"));
    let mut call = vec!["attribute", "", inputs.to_str().unwrap(), "-o", out.to_str().unwrap(), "--target", "1"];
    let model = model();
    call[1] = &model;
    call.extend(conditions.iter().flat_map(|condition| ["--condition", condition]));
    glocal(&call).succeeded();
    let heatmap = array(&out, "heatmap");
    heatmap.values.chunks(heatmap.values.len() / heatmap.shape[0]).map(<[f32]>::to_vec).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn npy(path: PathBuf, shape: &str, values: &[f32]) -> String {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap();
    let start = [b"\x93NUMPY\x01\x00", &length.to_le_bytes()[..], header.as_bytes()].concat();
    std::fs::write(&path, [start, bytes(values)].concat()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn safetensors(path: PathBuf, arrays: &[(&str, Vec<usize>, &[f32])]) -> String {
    let stored: Vec<_> = arrays.iter().map(|(name, shape, values)| (*name, shape.clone(), bytes(values))).collect();
    let views =
        stored.iter().map(|(name, shape, bytes)| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Three times the unit vectors of the axes.
fn axes() -> Vec<f32> {
    (0..CHANNELS * CHANNELS).map(|index| if index % (CHANNELS + 1) == 0 { 3.0 } else { 0.0 }).collect()
}

#[test]
fn texts_of_the_same_meaning_have_the_same_heatmaps() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    // A name with all that the text of a condition uses.
    let file = npy(here.join("a=b#1,2.npy"), "(8, 8)", &axes());
    let other = [("y", vec![1], &[0.0][..]), ("directions", vec![CHANNELS, CHANNELS], &axes()[..])];
    let named = safetensors(here.join("named.safetensors"), &other);
    let one = npy(here.join("one.npy"), "(8,)", &axes()[..CHANNELS]);
    let neurons = |channels: &[usize], rows: &[usize], columns: &[usize]| {
        let of_row = |channel: usize, row: usize| columns.iter().map(move |column| format!("{channel}@{row}:{column}"));
        let of_channel = |channel: usize| rows.iter().flat_map(move |row| of_row(channel, *row));
        channels.iter().copied().flat_map(of_channel).collect::<Vec<_>>().join(",")
    };
    let all: Vec<usize> = (0..CHANNELS).collect();
    for (text, same) in [
        (format!("direction:{file}#3"), "3".to_owned()),
        (format!("direction:{file}#5..8,1"), "1,5,6,7".to_owned()),
        (format!("direction:{named}#0"), "0".to_owned()),
        (format!("direction:{one}#0"), "0".to_owned()),
        ("head:1/2".to_owned(), "4,5,6,7".to_owned()),
        ("head:0,2..4/4".to_owned(), "0,1,4,5,6,7".to_owned()),
        ("token:0..8:3".to_owned(), neurons(&all, &all, &[3])),
        ("token:2:0..8,4..6:7".to_owned(), [neurons(&all, &[2], &all), neurons(&all, &[4, 5], &[7])].join(",")),
        ("2@0..6:1..7".to_owned(), neurons(&[2], &[0, 1, 2, 3, 4, 5], &[1, 2, 3, 4, 5, 6])),
    ] {
        let found = heatmaps(here, &[format!("{LAYER}={text}"), format!("{LAYER}={same}")]);
        for pair in found.chunks(2) {
            assert!(pair[0] == pair[1], "{text} is not {same}");
            assert!(pair[0].iter().any(|value| *value != 0.0), "{text} has no relevance");
        }
    }
}

#[test]
fn conditions_on_directions_share_their_beginnings() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0]);
    let file = npy(folder.path().join("v.npy"), "(2, 8)", &[1.0; 16]);
    let texts: Vec<String> = (0..6).map(|id| format!("{LAYER}=direction:{file}#1; features.3={id}")).collect();
    let model = model();
    let mut call = vec!["attribute", &model, inputs.to_str().unwrap(), "--explain", "--json", "--target", "1"];
    call.extend(texts.iter().flat_map(|text| ["--condition", text]));
    let explained = glocal(&call).document();
    let layers = explained["layers"].as_array().unwrap();
    let rows = |name: &str| layers.iter().find(|layer| layer["layer"] == name).map(|layer| layer["rows"].clone());
    assert_eq!(rows("classifier.2"), Some(1.into()));
    assert_eq!(rows("features.0"), Some(6.into()));
}

#[test]
fn concepts_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let inputs = rows(here, &[0]);
    let file = |name: &str| here.join(name);
    let good = npy(file("good.npy"), "(8, 8)", &axes());
    let short = npy(file("short.npy"), "(2, 7)", &[1.0; 14]);
    let cube = npy(file("cube.npy"), "(1, 8, 1)", &[1.0; 8]);
    let zero = npy(file("zero.npy"), "(2, 8)", &[[1.0; 8], [0.0; 8]].concat());
    let nan = npy(file("nan.npy"), "(1, 8)", &[&[f32::NAN][..], &[1.0; 7]].concat());
    let infinite = npy(file("infinite.npy"), "(1, 8)", &[&[f32::INFINITY][..], &[1.0; 7]].concat());
    let huge = npy(file("huge.npy"), "(4294967296, 4294967296)", &[1.0; 8]);
    let cut = npy(file("cut.npy"), "(80000000, 8)", &[1.0; 8]);
    let two = safetensors(file("two.safetensors"), &[("a", vec![1, 8], &[1.0; 8]), ("b", vec![1, 8], &[1.0; 8])]);
    let text = file("text.npy");
    std::fs::write(&text, "1 2 3").unwrap();
    let text = text.to_str().unwrap();
    let missing = file("missing.npy");
    let missing = missing.to_str().unwrap();
    let cases = [
        (format!("{LAYER}=direction:{good}"), vec!["#", "direction:FILE#"]),
        (format!("{LAYER}=direction:{good}#"), vec!["is no number"]),
        (format!("{LAYER}=direction:{good}#-1"), vec!["\"-1\"", "is no number"]),
        (format!("{LAYER}=direction:{good}#8"), vec!["good.npy", "8 directions, 0 to 7", "8 was given"]),
        (format!("{LAYER}=direction:{good}#0..18446744073709551615"), vec!["8 directions", "18446744073709551614"]),
        (format!("{LAYER}=direction:{good}#5..5"), vec!["5..5"]),
        (format!("{LAYER}=direction:{short}#0"), vec!["short.npy", "length 7", LAYER, "8 channels"]),
        (format!("classifier.0=direction:{good}#0"), vec!["length 8", "classifier.0", "16 channels"]),
        (format!("{LAYER}=direction:{cube}#0"), vec!["cube.npy", "[1, 8, 1]", "[K, C]"]),
        (format!("{LAYER}=direction:{zero}#0"), vec!["zero.npy", "vector 1 is zero"]),
        (format!("{LAYER}=direction:{nan}#0"), vec!["nan.npy", "vector 0 is not finite"]),
        (format!("{LAYER}=direction:{infinite}#0"), vec!["infinite.npy", "vector 0 is not finite"]),
        (format!("{LAYER}=direction:{huge}#0"), vec!["huge.npy"]),
        (format!("{LAYER}=direction:{cut}#0"), vec!["cut.npy"]),
        (format!("{LAYER}=direction:{two}#0"), vec!["two.safetensors", "[a, b]", "directions or vectors"]),
        (format!("{LAYER}=direction:{text}#0"), vec!["text.npy"]),
        (format!("{LAYER}=direction:{missing}#0"), vec!["missing.npy", "cannot be read"]),
        (format!("{LAYER}=direction:vectors.txt#0"), vec!["vectors.txt", ".npy, .npz or .safetensors"]),
        (format!("{LAYER}=token:5"), vec![LAYER, "[8, 8, 8]", "token:5"]),
        (format!("{LAYER}=token:8:0"), vec![LAYER, "[8, 8, 8]", "token:8:0"]),
        (format!("{LAYER}=token:0..18446744073709551615:0"), vec![LAYER, "[8, 8, 8]"]),
        (format!("{LAYER}=token:x:0"), vec!["\"x\"", "is no number"]),
        (format!("{LAYER}=8@0:0"), vec![LAYER, "[8, 8, 8]", "8@0:0"]),
        (format!("{LAYER}=2@3..3:0"), vec![LAYER, "2@3..3:0"]),
        (format!("{LAYER}=head:0"), vec![LAYER, "head:NUMBERS/HEADS"]),
        (format!("{LAYER}=head:0/0"), vec![LAYER, "head:0/0"]),
        (format!("{LAYER}=head:0/3"), vec![LAYER, "8 channels", "3 heads"]),
        (format!("{LAYER}=head:4/4"), vec!["4 heads", "0 to 3", "4 was given"]),
        (format!("{LAYER}=1,token:2:3"), vec!["\"token:2:3\""]),
    ];
    let (model, before) = (model(), names(here));
    let out = here.join("out.safetensors");
    for (condition, words) in cases {
        let call = ["attribute", &model, inputs.to_str().unwrap(), "--condition", &condition, "-o"];
        glocal(&[&call[..], &[out.to_str().unwrap()]].concat()).was_wrong(&[&["condition"][..], &words].concat());
    }
    assert_eq!(names(here), before);
}

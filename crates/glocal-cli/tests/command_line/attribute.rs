//! `glocal attribute`: the reference libraries' values, the layout of the arrays file, and the pictures.

use serde_json::Value;

use crate::support::{Array, array, arrays, glocal, model, names, oracle, picture, preprocess, rows, rows_of};

/// The oracle's tolerance (see `tests/oracle/README.md`).
const TOLERANCE: f64 = 2e-5;

/// What three merged batch normalisations add to it: the reference leaves each of them dividing by √(1 + 1e-5), ours merge
/// exactly, and a logit, which is a difference of larger numbers, shows that ten times over.
const REFERENCE_MERGES_INEXACTLY: f64 = 2e-4;

/// Cases whose conditions can be written on the command line, with their options.
const CASES: [(&str, &str, &[&str]); 15] = [
    ("parallel_linear", "single", &[]),
    ("parallel_linear", "single_epsilon_plus", &["--composite", "epsilon-plus"]),
    ("parallel_linear", "several_y", &[]),
    ("parallel_linear", "zipped", &["--pairing", "zip"]),
    ("parallel_linear", "one_condition_three_samples", &["--scope", "whole"]),
    ("parallel_linear", "conditions_times_samples", &["--scope", "whole", "--batch", "1"]),
    ("parallel_linear", "exclude_parallel", &[]),
    ("parallel_linear", "include_parallel", &["--scope", "whole"]),
    ("parallel_linear", "only_b_exclude", &[]),
    ("parallel_linear", "init_int", &["--init", "1", "--scope", "whole"]),
    ("parallel_linear", "start_layer", &["--start", "out"]),
    ("vgg_tiny", "exclude_parallel_two_layers", &[]),
    ("vgg_tiny", "include_parallel_two_layers", &["--scope", "whole"]),
    ("vgg_tiny", "mask_rf", &[]),
    ("vgg_tiny", "start_layer_lower_mask", &["--start", "features.8"]),
];

#[test]
fn arrays_equal_the_reference_libraries() {
    for (model, id, options) in CASES {
        let file = |name: &str| oracle(&format!("../{model}/{name}"));
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(file("cases.json")).unwrap()).unwrap();
        let mut of_suite = cases["cases"].as_array().unwrap().iter().filter(|case| case["suite"] == "crp");
        let case = of_suite.find(|case| case["id"] == id).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let wanted: Vec<usize> = serde_json::from_value(case["input"]["rows"].clone()).unwrap();
        let inputs = rows_of(&file("inputs.safetensors"), folder.path(), &wanted);
        let out = folder.path().join("out.safetensors");
        let mut call = vec!["attribute".to_owned(), file("model.onnx"), inputs.to_str().unwrap().to_owned()];
        for condition in case["conditions"].as_array().unwrap() {
            call.extend(["--condition".to_owned(), condition_text(condition)]);
        }
        for layer in case["record_layer"].as_array().unwrap() {
            call.extend(["--record".to_owned(), layer.as_str().unwrap().to_owned()]);
        }
        call.extend(options.iter().map(|option| (*option).to_owned()));
        call.extend(["-o".to_owned(), out.to_str().unwrap().to_owned()]);
        glocal(&call.iter().map(String::as_str).collect::<Vec<_>>()).succeeded();

        let flaw = if model == "vgg_tiny" { REFERENCE_MERGES_INEXACTLY } else { 0.0 };
        let tolerance = TOLERANCE + 10.0 * case["rel_err_f64"]["worst"].as_f64().unwrap() + flaw;
        let golden = |name: &Value| array(file("crp.safetensors"), name.as_str().unwrap());
        let check = |name: &str, found: Array, expected: Array| {
            let what = format!("{model}, {id}: {name}");
            agrees(&what, &found, &expected, tolerance);
        };
        let expected = &case["expected"];
        let mut heatmap = array(&out, "heatmap");
        if let [count, features] = heatmap.shape[..] {
            // The reference sums feature vectors away.
            let sums = heatmap.values.chunks(features).map(|row| row.iter().sum()).collect();
            heatmap = Array { shape: vec![count], values: sums };
        }
        check("heatmap", heatmap, golden(&expected["heatmap"]));
        if expected["input_relevance"].is_string() {
            check("attribution", array(&out, "attribution"), golden(&expected["input_relevance"]));
        }
        // Where the reference has zeros for what relevance cannot reach, ours is absent.
        let unreached = |layer: &str| {
            case["all_zero_records"].as_array().is_some_and(|names| names.iter().any(|name| name == layer))
        };
        for (layer, name) in expected["relevances"].as_object().unwrap() {
            let ours = format!("relevance/{layer}");
            match unreached(layer) {
                true => assert!(!arrays(&out).contains(&ours), "{model}, {id}: {ours}"),
                false => check(&ours, array(&out, &ours), golden(name)),
            }
        }
    }
}

/// A condition of the oracle as it is written on the command line. Neurons are of vgg_tiny's features.4, whose grid is 8×8.
fn condition_text(condition: &Value) -> String {
    let parts = condition.as_array().unwrap().iter().map(|part| {
        let layer = part[0].as_str().unwrap();
        let name = if layer == "y" { "target" } else { layer };
        let ids: Vec<String> = match &part[1] {
            Value::Array(channels) => channels.iter().map(Value::to_string).collect(),
            Value::Object(neurons) => {
                let of_channel = |(channel, flat): (&String, &Value)| -> Vec<String> {
                    let positions = flat.as_array().unwrap().iter().map(|flat| flat.as_u64().unwrap());
                    positions.map(|flat| format!("{channel}@{}:{}", flat / 8, flat % 8)).collect()
                };
                neurons.iter().flat_map(of_channel).collect()
            }
            other => panic!("{other} are no concepts"),
        };
        format!("{name}={}", ids.join(","))
    });
    parts.collect::<Vec<_>>().join("; ")
}

#[track_caller]
fn agrees(what: &str, found: &Array, expected: &Array, tolerance: f64) {
    assert_eq!(found.shape, expected.shape, "{what}");
    let largest = |values: &mut dyn Iterator<Item = f32>| values.fold(0.0_f32, |most, value| most.max(value.abs()));
    let pairs = found.values.iter().zip(&expected.values);
    // NaN counts as the largest difference.
    let difference = largest(&mut pairs.map(|(a, b)| if a.is_nan() { f32::INFINITY } else { a - b }));
    let scale = largest(&mut expected.values.iter().copied());
    assert!(f64::from(difference) <= f64::from(scale) * tolerance, "{what} differs by {difference} of {scale}");
}

#[test]
fn layers_that_relevance_cannot_reach_are_absent_or_nan() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| oracle(&format!("../parallel_linear/{name}"));
    let inputs = rows_of(&file("inputs.safetensors"), folder.path(), &[0, 1]);
    let out = folder.path().join("out.safetensors");
    let call = ["attribute", &file("model.onnx"), inputs.to_str().unwrap(), "--record", "all"];
    let output = ["-o", out.to_str().unwrap()];
    // Isolated to one branch, relevance does not reach the other.
    glocal(&[&call[..], &output, &["--condition", "a=1", "--condition", "b=0"]].concat()).succeeded();
    let missing = |layer: &str| -> Vec<bool> {
        let array = array(&out, &format!("relevance/{layer}"));
        let len = array.values.len() / array.shape[0];
        let rows: Vec<&[f32]> = array.values.chunks(len).collect();
        rows.iter().map(|row| row.iter().all(|value| value.is_nan())).collect()
    };
    assert_eq!(missing("a"), [false, true, false, true]);
    assert_eq!(missing("b"), [true, false, true, false]);
    assert_eq!(missing("out"), [false; 4]);
    glocal(&[&call[..], &output, &["--condition", "a=1"]].concat()).succeeded();
    let names = arrays(&out);
    assert!(!names.contains(&"relevance/b".to_owned()), "{names:?}");
    assert!(names.contains(&"activation/b".to_owned()), "{names:?}");
    assert_eq!(array(&out, "prediction").shape, [2, 3]);
}

#[test]
fn many_conditions_come_in_the_order_of_the_samples() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0, 1]);
    let (out, one) = (folder.path().join("many.safetensors"), folder.path().join("one.safetensors"));
    let channels: Vec<String> =
        (0..40).map(|index| format!("target={}; features.4={}", index % 5, index % 8)).collect();
    let mut call = vec!["attribute".to_owned(), model(), inputs.to_str().unwrap().to_owned()];
    call.extend(channels.iter().flat_map(|text| ["--condition".to_owned(), text.clone()]));
    let call: Vec<&str> = call.iter().map(String::as_str).collect();
    glocal(&[&call[..], &["-o", out.to_str().unwrap()]].concat()).succeeded();
    let bytes = std::fs::read(&out).unwrap();
    glocal(&[&call[..], &["-o", out.to_str().unwrap(), "--memory", "1KiB"]].concat()).succeeded();
    assert!(bytes == std::fs::read(&out).unwrap(), "memory changes results");
    let explained = glocal(&[&call[..], &["--explain", "--json"]].concat()).document();
    assert_eq!(explained["results"], 80);
    assert!(explained["multiply_adds"].as_u64() < explained["multiply_adds_alone"].as_u64());
    let layer = |name: &str| {
        let layers = explained["layers"].as_array().unwrap();
        layers
            .iter()
            .find(|layer| layer["layer"] == name)
            .map(|layer| (layer["rows"].clone(), layer["rows_alone"].clone()))
    };
    // Five classes of each of two samples.
    assert_eq!(layer("classifier.2"), Some((10.into(), 80.into())));
    let many = array(&out, "heatmap");
    assert_eq!(many.shape, [80, 16, 16]);
    let call =
        ["attribute", &model(), inputs.to_str().unwrap(), "--condition", &channels[37], "-o", one.to_str().unwrap()];
    glocal(&call).succeeded();
    let single = array(&one, "heatmap");
    assert_eq!(single.values[256..], many.values[(40 + 37) * 256..(40 + 38) * 256]);
}

#[test]
fn metadata_tells_what_the_arrays_are() {
    let folder = tempfile::tempdir().unwrap();
    let inputs = rows(folder.path(), &[0, 1]);
    let out = folder.path().join("out.safetensors");
    let call = ["attribute", &model(), inputs.to_str().unwrap(), "--target", "3", "-o", out.to_str().unwrap()];
    glocal(&call).succeeded();
    let bytes = std::fs::read(&out).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let text = &metadata.metadata().as_ref().unwrap()["glocal"];
    let told: Value = serde_json::from_str(text).unwrap();
    assert_eq!(told["samples"], serde_json::json!(["rows-0", "rows-1"]));
    assert_eq!(told["conditions"], serde_json::json!(["target=3"]));
    assert_eq!(told["composite"]["name"], "epsilon-plus-flat");
    assert_eq!(told["model"].as_str().unwrap().len(), 64);
}

#[test]
fn pictures_are_named_for_sample_and_condition() {
    let folder = tempfile::tempdir().unwrap();
    let (image, preprocess) = (picture(folder.path(), "my cat.png", 40, 30), preprocess(folder.path()));
    let out = folder.path().join("new/pictures");
    let call = ["attribute", &model(), &image, "--preprocess", &preprocess, "-o", out.to_str().unwrap(), "--json"];
    let call = [&call[..], &["--condition", "target=1", "--condition", "target=2; features.4=3"]].concat();
    let document = glocal(&call).document();
    let expected = [
        "my_cat__0-target=1__heatmap.png",
        "my_cat__0-target=1__overlay.png",
        "my_cat__1-target=2_features.4=3__heatmap.png",
        "my_cat__1-target=2_features.4=3__overlay.png",
    ];
    assert_eq!(names(&out), expected);
    assert_eq!(document["attributions"][1]["files"].as_array().unwrap().len(), 2);
    assert_eq!(document["samples"][0]["predictions"].as_array().unwrap().len(), 3);
    for name in expected {
        let picture = glocal_kit::data::load_image(&out.join(name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (224, 224), "{name}");
    }
}

#[test]
fn class_names_and_conservation_are_printed() {
    let folder = tempfile::tempdir().unwrap();
    let classes = folder.path().join("classes.txt");
    std::fs::write(&classes, "ant\nbee\ncat\ndog\nelk\n").unwrap();
    let inputs = rows(folder.path(), &[0]);
    let call =
        ["attribute", &model(), inputs.to_str().unwrap(), "--classes", classes.to_str().unwrap(), "--conservation"];
    let text = glocal(&call).succeeded();
    assert!(text.contains("class 4 elk: logit 0.97"), "{text}");
    assert!(text.contains("Conservation of relevance"), "{text}");
    let document = glocal(&[&call[..], &["--json"]].concat()).document();
    let [balance] = document["conservation"].as_array().unwrap().as_slice() else { panic!("not one condition") };
    assert_eq!(balance["condition"], "target=predicted");
    assert_eq!(balance["layers"][0]["layer"], "classifier.2");
    is_explained(balance);
}

/// Every layer's parts add up, but for rounding in single precision, summed over a layer's elements.
#[track_caller]
fn is_explained(balance: &Value) {
    const ROUNDING: f64 = 1e-5;
    let mut largest = 0.0f64;
    for layer in balance["layers"].as_array().unwrap() {
        let (rest, size) = (layer["unexplained"].as_f64().unwrap(), layer["magnitude"].as_f64().unwrap());
        assert!(rest.abs() <= ROUNDING * size, "{layer}");
        largest = largest.max(size);
    }
    assert!(balance["unexplained"].as_f64().unwrap().abs() <= ROUNDING * largest, "{balance}");
}

#[test]
fn conditions_are_accounted_for_one_by_one_from_any_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| oracle(&format!("../resnet_tiny/{name}"));
    let inputs = rows_of(&file("inputs.safetensors"), folder.path(), &[0, 1, 2]);
    let call = ["attribute", &file("model.onnx"), inputs.to_str().unwrap(), "--conservation"];
    let options = ["--start", "layer3.0.conv1", "--condition", "layer2.0.conv2=1", "--condition", "target=2; conv1=0"];
    let call = [&call[..], &options].concat();
    let document = glocal(&[&call[..], &["--json", "--batch", "2"]].concat()).document();
    let balances = document["conservation"].as_array().unwrap();
    assert_eq!(balances.len(), 2);
    for (index, (balance, masked)) in balances.iter().zip(["layer2.0.conv2", "conv1"]).enumerate() {
        is_explained(balance);
        let layers = balance["layers"].as_array().unwrap();
        assert_eq!(layers[0]["layer"], "layer3.0.conv1");
        let dropped = |what: &str| layers.iter().filter(|layer| layer[what] != 0.0).collect::<Vec<_>>();
        let names: Vec<&Value> = dropped("masked").iter().map(|layer| &layer["layer"]).collect();
        assert_eq!(names, [masked]);
        // Only the first condition leaves out the branch beside its layer; the second's lies on every way down.
        assert_eq!(dropped("beside").len(), 1 - index);
        let arrived = document["attributions"].as_array().unwrap().iter().filter(|row| row["condition"] == index);
        let sums: f64 = arrived.map(|row| row["arrived"].as_f64().unwrap()).sum();
        let told = balance["arrived"].as_f64().unwrap();
        assert!((sums - told).abs() <= 1e-9 * sums.abs(), "{sums}, {told}");
    }
    let text = glocal(&call).succeeded();
    assert!(text.contains("Conservation of relevance, target=2; conv1=0, summed over samples"), "{text}");
    assert!(text.contains("  mask ") && text.contains("  beside "), "{text}");
    let whole = glocal(&[&call[..], &["--json", "--scope", "whole"]].concat()).document();
    for balance in whole["conservation"].as_array().unwrap() {
        is_explained(balance);
        assert!(balance["layers"].as_array().unwrap().iter().all(|layer| layer["beside"] == 0.0));
    }
}

/// A misspelt layer must not go unnoticed; the results are those of the rules that did find their layers.
#[test]
fn entries_that_no_layer_takes_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let input = rows(folder.path(), &[0, 1]);
    let of = |rule: &str| glocal(&["attribute", &model(), input.to_str().unwrap(), "--rule", rule, "--json"]);
    let misspelt = of("layer = \"features.00\", rule = \"epsilon\"");
    assert_eq!(misspelt.code, Some(0), "{}", misspelt.stderr);
    let warned = ["warning: ", "layer features.00", "matches no node", "features.0"];
    assert!(warned.iter().all(|words| misspelt.stderr.contains(words)), "{}", misspelt.stderr);
    serde_json::from_str::<serde_json::Value>(&misspelt.stdout).unwrap();
    of("layer = \"features.0\", rule = \"epsilon\"").succeeded();
}

//! Samples in tar archives.

use super::*;

fn tar(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn fault(result: Result<Box<dyn DataSet>, DataError>) -> ArchiveFault {
    match kind(result) {
        DataErrorKind::Archive(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn red(set: &dyn DataSet, index: usize) -> u8 {
    match set.load(index).unwrap() {
        Content::Image(image) => image.into_rgb8().get_pixel(0, 0).0[0],
        Content::Array(_) => panic!("an array"),
    }
}

#[test]
fn samples_are_files_that_are_named_alike() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/0003", "deep".repeat(40));
    let long_image = format!("{long}.png");
    let entries: &[(&str, &[u8])] = &[
        ("0001.png", &png(1)),
        ("0001.cls", b"4\n"),
        ("0001.json", b"{\"label\": 9}"),
        ("._0002.png", b"not an image"),
        ("sub/0002.cls", b"5"),
        ("sub/0002.PNG", &png(2)),
        ("sub/0002.txt", b"a caption"),
        (&long_image, &png(3)),
        ("0004.json", b"{\"label\": [1, \"2\"], \"other\": {}}"),
        ("0004.png", &png(4)),
        ("0005.txt", b"no image"),
    ];
    let path = write(&folder, "train.tar", &tar(entries));
    let set = open(&path).unwrap();
    let keys: Vec<String> = (0..set.len()).map(|index| set.key(index)).collect();
    assert_eq!(keys, ["0001.png", "sub/0002.PNG", long_image.as_str(), "0004.png"]);
    let labels: Vec<&[u32]> = (0..set.len()).map(|index| set.labels(index)).collect();
    assert_eq!(labels, [&[4][..], &[5], &[], &[1, 2]]);
    assert_eq!((0..4).map(|index| red(set.as_ref(), index)).collect::<Vec<u8>>(), [1, 2, 3, 4]);
    assert_eq!(set.describe(), "4 images with labels, in 1 tar shard; 3 other entries skipped");
    assert_eq!(set.load(4).unwrap_err().kind(), &DataErrorKind::Index { index: 4, len: 4 });
    // The same under another name, and in a folder.
    let other = tempfile::tempdir().unwrap();
    write(&other, "x/a.tar", &tar(entries));
    write(&other, "x/readme.md", b"text");
    assert_eq!(open(&other.path().join("x")).unwrap().fingerprint(), set.fingerprint());
}

#[test]
fn shards_follow_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "b-000001.tar", &tar(&[("0.png", &png(3)), ("0.cls", b"cat")]));
    write(
        &folder,
        "b-000000.tar",
        &tar(&[("0.png", &png(1)), ("0.cls", b"dog"), ("1.png", &png(2)), ("1.cls", b"cat")]),
    );
    let set = open(folder.path()).unwrap();
    assert_eq!((0..3).map(|index| red(set.as_ref(), index)).collect::<Vec<u8>>(), [1, 2, 3]);
    assert_eq!(set.key(2), "b-000001.tar/0.png");
    assert_eq!(set.class_names().unwrap(), ["cat", "dog"]);
    assert_eq!([set.labels(0), set.labels(1), set.labels(2)], [[1], [0], [0]]);
    assert_eq!(set.describe(), "3 images in 2 classes, in 2 tar shards");
}

#[test]
fn fingerprints_of_archives_follow_every_byte_and_label() {
    let make = |entries: &[(&str, &[u8])]| {
        let folder = tempfile::tempdir().unwrap();
        open(&write(&folder, "a.tar", &tar(entries))).unwrap().fingerprint()
    };
    let (one, two) = (png(1), png(2));
    let first = make(&[("a.png", &one), ("a.cls", b"1")]);
    assert_eq!(first, make(&[("a.cls", b" 1\n"), ("a.png", &one)]));
    for other in [
        &[("a.png", &two[..]), ("a.cls", b"1")][..],
        &[("a.png", &one), ("a.cls", b"2")],
        &[("b.png", &one), ("b.cls", b"1")],
        &[("a.png", &one)],
    ] {
        assert_ne!(first, make(other));
    }
}

#[test]
fn archives_of_samples_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |bytes: &[u8]| fault(open(&write(&folder, "a.tar", bytes)));
    let image = png(1);
    let good = tar(&[("a.png", &image), ("a.cls", b"1")]);
    assert!(matches!(refused(&gzip(&good)), ArchiveFault::Compressed));
    assert!(matches!(fault(open(&write(&folder, "a.tar.gz", &gzip(&good)))), ArchiveFault::Compressed));
    assert!(matches!(fault(open(&write(&folder, "a.tgz", &gzip(&good)))), ArchiveFault::Compressed));
    assert!(matches!(refused(b""), ArchiveFault::Empty));
    assert!(matches!(refused(&[1; 1000]), ArchiveFault::Malformed { .. }));
    // Cut between two entries, within a header, and after the last entry.
    for len in [700, 1024, 1100, 2048] {
        assert!(matches!(refused(&good[..len]), ArchiveFault::Malformed { .. }), "{len}");
    }
    // What was not written yet, in full or up to the last entry, and what follows the end.
    let holes = [&good[..1024], &vec![0; good.len() - 1024][..], &good[..]].concat();
    let ahead = [&good[..], &vec![0; 1 << 20][..]].concat();
    let joined = [&good[..], &good[..]].concat();
    for bytes in [&holes, &ahead, &joined] {
        assert!(matches!(refused(bytes), ArchiveFault::Malformed { .. }), "{}", bytes.len());
    }
    assert!(open(&write(&folder, "a.tar", &[&good[..], &[0; 10_240]].concat())).is_ok());
    assert!(matches!(refused(&good[..540]), ArchiveFault::CutOff { actual: 28, .. }));
    assert!(matches!(refused(&tar(&[("a.txt", b"1")])), ArchiveFault::Empty));
    let twice = [("a.png", &image[..]), ("b.png", &image), ("a.cls", b"1")];
    assert_eq!(refused(&tar(&twice)), ArchiveFault::Duplicate { entry: "a.cls".to_owned() });
    assert_eq!(
        refused(&tar(&[("a.png", &image), ("a.png", &image)])),
        ArchiveFault::Duplicate { entry: "a.png".to_owned() }
    );
    assert_eq!(
        refused(&tar(&[("a.png", &image), ("a.jpg", &image)])),
        ArchiveFault::SeveralImages { key: "a".to_owned() }
    );
    for (name, label) in
        [("a.cls", &b"\xff"[..]), ("a.json", b"{"), ("a.json", b"{\"label\": -1}"), ("a.json", b"{\"label\": {}}")]
    {
        assert!(matches!(refused(&tar(&[("a.png", &image), (name, label)])), ArchiveFault::Label { .. }), "{label:?}");
    }
    let mixed = [("a.png", &image[..]), ("a.cls", b"1"), ("b.png", &image), ("b.cls", b"cat")];
    assert!(matches!(refused(&tar(&mixed)), ArchiveFault::MixedLabels { .. }));
    // A header that claims more than there is, with a checksum that agrees.
    let mut header = tar::Header::new_gnu();
    header.set_path("a.png").unwrap();
    header.set_size(u64::MAX / 4);
    header.set_cksum();
    let claims = [header.as_bytes(), &[0; 512][..]].concat();
    assert!(matches!(refused(&claims), ArchiveFault::CutOff { actual: 512, .. }));
    // The same for a name.
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(1 << 21);
    header.set_cksum();
    let claims = [header.as_bytes(), &vec![b'a'; 1 << 21][..]].concat();
    assert!(matches!(refused(&claims), ArchiveFault::Malformed { .. }));
    // A damaged image is found when it is loaded, and named.
    let set = open(&write(&folder, "a.tar", &tar(&[("a.png", b"no image"), ("b.png", &image)]))).unwrap();
    let error = set.load(0).unwrap_err();
    assert!(error.path().ends_with("a.tar/a.png") && error.kind() == &DataErrorKind::Image, "{error}");
    assert!(set.load(1).is_ok());
}

#[test]
fn names_in_archives_are_found_among_outputs() {
    let folder = tempfile::tempdir().unwrap();
    let image = png(1);
    let entries: [(&str, &[u8]); 4] = [("1.png", &image), ("1.cls", b"dog"), ("2.png", &image), ("2.cls", b"cat\n")];
    let path = write(&folder, "a.tar", &tar(&entries));
    let outputs = ["newt", "dog", "cat"].map(str::to_owned);
    let set = with_outputs(open(&path).unwrap(), &outputs, Path::new("names.txt"), AbsentClasses::Refused).unwrap();
    assert_eq!([set.labels(0), set.labels(1)], [[1], [2]]);
}

//! Images listed in CSV files.

use super::*;

fn fault(result: Result<Box<dyn DataSet>, DataError>) -> TableFault {
    match kind(result) {
        DataErrorKind::Table(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn images(folder: &TempDir, names: &[&str]) {
    names.iter().zip(1..).for_each(|(name, red)| drop(write(folder, name, &png(red))));
}

fn rows(set: &dyn DataSet) -> Vec<(String, Vec<u32>)> {
    (0..set.len()).map(|index| (set.key(index), set.labels(index).to_vec())).collect()
}

#[test]
fn every_spelling_of_a_list_says_the_same() {
    let expected =
        [("b,1.png", 7), ("a.png", 0), ("sub/c \"x\".png", 7)].map(|(key, label)| (key.to_owned(), vec![label]));
    let mut fingerprints = Vec::new();
    for (name, text) in [
        ("labels.csv", "file,label\n\"b,1.png\",7\na.png,0\n\"sub/c \"\"x\"\".png\",7\n"),
        ("labels.csv", "\u{feff}Label , File_Name\r\n7,\"b,1.png\"\r\n0,./a.png\r\n7,\"sub/c \"\"x\"\".png\"\r\n"),
        ("list.csv", "\"b,1.png\",7\na.png,0\n\"sub//c \"\"x\"\".png\",7"),
        ("list.tsv", "file\tlabel\nb,1.png\t7\na.png\t0\n\"sub/c \"\"x\"\".png\"\t7\n"),
        ("list.csv", "width,image,class,height\n2,\"b,1.png\",7,3\n2,a.png,0,3\n2,\"sub/c \"\"x\"\".png\",7,3\n"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        images(&folder, &["b,1.png", "a.png", "sub/c \"x\".png", "unlisted.png"]);
        let file = write(&folder, name, text.as_bytes());
        // The first line of a tab-separated list must not hold a comma.
        for path in [file.as_path(), folder.path()] {
            let set = open(path).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(rows(set.as_ref()), expected, "{text}");
            assert!(set.class_names().is_none());
            assert!(
                matches!(set.load(1).unwrap(), Content::Image(image) if image.as_rgb8().unwrap().get_pixel(0, 0).0[0] == 2)
            );
            fingerprints.push(set.fingerprint());
        }
        assert_eq!(
            open(folder.path()).unwrap().describe(),
            "3 listed images with labels; 1 image is in no row and left out"
        );
    }
    assert!(fingerprints.iter().all(|fingerprint| *fingerprint == fingerprints[0]));
}

#[test]
fn names_are_classes_in_their_order_and_cells_hold_several() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder, &["1.png", "2.png", "3.png"]);
    let list = write(&folder, "labels.csv", b"path,category\n3.png,dog; cat\n1.png,\n2.png,ant\n");
    let set = open(&list).unwrap();
    let expected = [("3.png", vec![2, 1]), ("1.png", vec![]), ("2.png", vec![0])];
    assert_eq!(rows(set.as_ref()), expected.map(|(key, labels)| (key.to_owned(), labels)));
    assert_eq!(set.class_names().unwrap(), ["ant", "cat", "dog"]);
    assert_eq!(set.describe(), "3 listed images in 3 classes");
    assert!(set.labels(3).is_empty());
}

#[test]
fn fingerprints_of_lists_follow_every_byte_and_label() {
    let make = |text: &str, red: u8, other: &str| {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, "1.png", &png(red));
        write(&folder, other, &png(9));
        open(&write(&folder, "labels.csv", text.as_bytes())).unwrap().fingerprint()
    };
    let first = make("file,label\n1.png,1\n2.png,2\n", 1, "2.png");
    assert_eq!(first, make("1.png,1\n2.png,2\n", 1, "2.png"));
    for (text, red, other) in [
        ("file,label\n1.png,1\n2.png,3\n", 1, "2.png"),
        ("file,label\n2.png,2\n1.png,1\n", 1, "2.png"),
        ("file,label\n1.png,1\n2.png,2;3\n", 1, "2.png"),
        ("file,label\n1.png,a\n2.png,b\n", 1, "2.png"),
        ("file,label\n1.png,1\n2.png,2\n", 2, "2.png"),
        ("file,label\n1.png,1\n3.png,2\n", 1, "3.png"),
    ] {
        assert_ne!(first, make(text, red, other), "{text}");
    }
}

#[test]
fn lists_that_lie_are_refused_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder, &["1.png", "2.png"]);
    let refused = |text: &[u8]| fault(open(&write(&folder, "labels.csv", text)));
    for outside in ["../1.png", "/etc/passwd", "a/../../1.png", "", "."] {
        let text = format!("file,label\n1.png,1\n\"{outside}\",2\n");
        assert_eq!(refused(text.as_bytes()), TableFault::Outside { line: 3, file: outside.to_owned() });
    }
    assert_eq!(
        refused(b"file,label\n1.png,1\n2.png,1\n./1.png,1\n"),
        TableFault::Duplicate { file: "./1.png".to_owned(), first: 2, line: 4 }
    );
    assert_eq!(
        refused(b"1.png,1\nabsent.png,1\ngone.png,1\n"),
        TableFault::Missing { line: 2, file: "absent.png".to_owned(), others: 1 }
    );
    assert_eq!(refused(b"file,label\n"), TableFault::Empty);
    assert!(matches!(refused(b""), TableFault::Empty));
    assert!(matches!(refused(b"a,b,c\n1.png,2,3\n"), TableFault::Columns { header } if header == ["a", "b", "c"]));
    assert!(matches!(refused(b"file\n1.png\n"), TableFault::Columns { .. }));
    assert_eq!(refused(b"file,label\n1.png,1\n2.png\n"), TableFault::Syntax { line: 3 });
    assert!(matches!(refused(b"file,label\n1.png,\xff\n"), TableFault::Syntax { line: 2 }));
    let (index, name) = ("3".to_owned(), "cat".to_owned());
    assert_eq!(
        refused(b"file,label\n1.png,3\n2.png,cat\n"),
        TableFault::MixedLabels { index, index_line: 2, name, name_line: 3 }
    );
    fs::remove_file(folder.path().join("labels.csv")).unwrap();
    write(&folder, "a.csv", b"file,label\n1.png,1\n");
    write(&folder, ".b.csv", b"hidden");
    assert_eq!(open(folder.path()).unwrap().len(), 1);
    write(&folder, "b.csv", b"file,label\n1.png,1\n");
    assert!(
        matches!(kind(open(folder.path())), DataErrorKind::SeveralTables { tables } if tables == ["a.csv", "b.csv"])
    );
    let long = format!("file,label\n{}.png,1\n", "a/".repeat(5_000));
    assert!(matches!(refused(long.as_bytes()), TableFault::Missing { line: 2, .. }));
}

/// Else the rest of the table would be a label, or a part of what is not read.
#[test]
fn a_quote_that_is_not_closed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    images(&folder, &["a.png", "b.png", "c.png"]);
    for (text, line) in [
        ("file,label\na.png,\"cat\nb.png,dog\nc.png,cat\n", 2),
        ("file,label\na.png,cat\nb.png,\"dog\nc.png,cat", 3),
        ("label,file\ncat,a.png\ndog,\"b.png\rcat,c.png\r", 3),
        ("file,label,note\na.png,cat,\"nice\nb.png,dog,\nc.png,cat,\n", 2),
        ("file,label,note\na.png,cat,\nb.png,dog,\"nice\nc.png,cat,", 3),
    ] {
        let refused = fault(open(&write(&folder, "labels.csv", text.as_bytes())));
        assert_eq!(refused, TableFault::Syntax { line }, "{text}");
    }
    let notes = "file,label,note\na.png,cat,\"of\ntwo lines\"\nb.png,dog,\"of\ntwo lines\"";
    assert_eq!(open(&write(&folder, "labels.csv", notes.as_bytes())).unwrap().len(), 2);
}

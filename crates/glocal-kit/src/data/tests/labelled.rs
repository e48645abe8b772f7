//! Labels from a table beside the data set.

use super::*;
use crate::data::with_labels;

fn data(folder: &TempDir) -> Box<dyn DataSet> {
    ["b.png", "a.png", "c.png"].iter().zip(1..).for_each(|(name, red)| drop(write(folder, name, &png(red))));
    open(folder.path()).unwrap()
}

fn labels(set: &dyn DataSet) -> Vec<(String, Vec<u32>)> {
    (0..set.len()).map(|index| (set.key(index), set.labels(index).to_vec())).collect()
}

#[test]
fn rows_label_samples_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let fingerprint = data(&folder).fingerprint();
    let table = write(&elsewhere, "targets.csv", b"sample,label\nb.png,dog\nc.png,cat;ant\nb.png,cat\n");
    let set = with_labels(data(&folder), &table).unwrap();
    let expected = [("a.png", vec![]), ("b.png", vec![2, 1]), ("c.png", vec![1, 0])];
    assert_eq!(labels(set.as_ref()), expected.map(|(key, labels)| (key.to_owned(), labels)));
    assert_eq!(set.class_names().unwrap(), ["ant", "cat", "dog"]);
    assert_eq!((set.fingerprint(), set.len()), (fingerprint, 3));
    assert!(set.labels_fingerprint().is_some());
    assert_eq!(set.describe(), "3 images without labels; 2 of them labelled by a table");
    // The order of the rows does not matter, what they say does.
    let again = write(&elsewhere, "again.csv", b"key,label\nc.png,cat\nb.png,dog;cat\nc.png,ant\n");
    assert_eq!(with_labels(data(&folder), &again).unwrap().labels_fingerprint(), set.labels_fingerprint());
    let other = write(&elsewhere, "other.csv", b"key,label\nc.png,cat\nb.png,dog;ant\n");
    assert_ne!(with_labels(data(&folder), &other).unwrap().labels_fingerprint(), set.labels_fingerprint());
}

#[test]
fn arrays_are_labelled_by_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let x = [0u8; 12];
    let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![3, 1], &x).unwrap();
    safetensors::serialize_to_file([("x", view)], None, &path).unwrap();
    let table = write(&folder, "t.csv", b"sample,label\n2,5\n0,1;4\n");
    let set = with_labels(open(&path).unwrap(), &table).unwrap();
    assert_eq!(
        labels(set.as_ref()).into_iter().map(|(_, labels)| labels).collect::<Vec<_>>(),
        [vec![1, 4], vec![], vec![5]]
    );
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let fault = |text: &[u8]| {
        let error = with_labels(data(&folder), &write(&elsewhere, "t.csv", text)).err().unwrap();
        match error.kind() {
            DataErrorKind::Table(fault) => fault.clone(),
            other => panic!("{other:?}"),
        }
    };
    let unknown = TableFault::UnknownSample { line: 3, sample: "d.png".to_owned(), example: "a.png".to_owned() };
    assert_eq!(fault(b"sample,label\na.png,1\nd.png,1\n"), unknown);
    let (index, name) = ("2".to_owned(), "dog".to_owned());
    let mixed = TableFault::MixedLabels { index, index_line: 2, name, name_line: 4 };
    assert_eq!(fault(b"sample,label\na.png,2\nb.png,1\nb.png,dog\n"), mixed);
    // A label that is part of another is not in its line.
    let (index, name) = ("1".to_owned(), "v1".to_owned());
    let mixed = TableFault::MixedLabels { index, index_line: 3, name, name_line: 2 };
    assert_eq!(fault(b"sample,label\na.png,v1\na.png,1\n"), mixed);
}

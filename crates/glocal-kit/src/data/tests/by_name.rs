//! Labels by the names of outputs.

use super::*;
use crate::data::with_labels;

const OUTPUTS: [&str; 5] = ["dog", "cat", "hot dog", "bird", "ant"];

/// The data set with the labels of these outputs.
fn named(data: Box<dyn DataSet>, outputs: &[&str], absent: AbsentClasses) -> Result<Box<dyn DataSet>, DataError> {
    let outputs: Vec<String> = outputs.iter().map(|name| (*name).to_owned()).collect();
    with_outputs(data, &outputs, Path::new("names.txt"), absent)
}

fn refused(data: Box<dyn DataSet>, outputs: &[&str]) -> ClassFault {
    match kind(named(data, outputs, AbsentClasses::Refused)) {
        DataErrorKind::Classes(fault) => fault,
        other => panic!("{other:?}"),
    }
}

fn labels(set: &dyn DataSet) -> Vec<Vec<u32>> {
    (0..set.len()).map(|sample| set.labels(sample).to_vec()).collect()
}

/// Folders of the classes cat, dog and hot dog, of one, one and two images.
fn folders(folder: &TempDir) -> Box<dyn DataSet> {
    let names = ["cat/1.png", "dog/1.png", "hot dog/1.png", "hot dog/2.png"];
    names.iter().for_each(|name| drop(write(folder, name, &png(1))));
    open(folder.path()).unwrap()
}

#[test]
fn folders_are_found_among_more_outputs_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let data = folders(&folder);
    assert_eq!(
        (labels(data.as_ref()), data.numbering()),
        (vec![vec![0], vec![1], vec![2], vec![2]], Numbering::Classes)
    );
    let fingerprint = data.fingerprint();
    let set = named(data, &OUTPUTS, AbsentClasses::Refused).unwrap();
    assert_eq!(labels(set.as_ref()), [[1], [0], [2], [2]]);
    assert_eq!(set.class_names().unwrap(), OUTPUTS);
    assert_eq!((set.numbering(), set.fingerprint(), set.len()), (Numbering::Outputs, fingerprint, 4));
    assert_eq!((set.key(2), set.describe().as_str()), ("hot dog/1.png".to_owned(), "4 images in 3 classes"));
    assert!(matches!(set.load(3).unwrap(), Content::Image(_)));
    // Another order is another set of labels, and white space around a name none.
    let [again, other] = [[" dog", "cat ", "hot dog"], ["hot dog", "cat", "dog"]]
        .map(|outputs| named(folders(&folder), &outputs, AbsentClasses::Refused).unwrap());
    assert!(set.labels_fingerprint().is_some());
    assert_eq!(again.labels_fingerprint(), set.labels_fingerprint());
    assert_ne!(other.labels_fingerprint(), set.labels_fingerprint());
}

#[test]
fn names_in_the_same_order_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for outputs in [&["cat", "dog", "hot dog"][..], &["cat", "dog", "hot dog", "newt", "newt"]] {
        let set = named(folders(&folder), outputs, AbsentClasses::Refused).unwrap();
        assert_eq!((labels(set.as_ref()), set.labels_fingerprint()), (vec![vec![0], vec![1], vec![2], vec![2]], None));
        assert_eq!(set.class_names().unwrap(), outputs);
    }
}

#[test]
fn folders_of_other_words_are_in_the_order_of_the_outputs() {
    let folder = tempfile::tempdir().unwrap();
    // Keys of folders, as ImageNet has them, beside words for people: as many of both, and none in common.
    let set = named(folders(&folder), &["tench", "goldfish", "shark"], AbsentClasses::Refused).unwrap();
    assert_eq!((labels(set.as_ref()), set.labels_fingerprint()), (vec![vec![0], vec![1], vec![2], vec![2]], None));
    // With one in common, all have to be.
    assert!(matches!(refused(folders(&folder), &["tench", "dog", "shark"]), ClassFault::Absent { .. }));
}

#[test]
fn outputs_that_lack_a_class_or_have_it_twice_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let absent = ClassFault::Absent {
        name: "cat".to_owned(),
        key: "cat/1.png".to_owned(),
        others: 1,
        nearest: ["Cat", "bat", "dog"].map(str::to_owned).to_vec(),
    };
    let outputs = ["tadpole", "bat", "Cat", "dog"];
    assert_eq!(refused(folders(&folder), &outputs), absent);
    assert_eq!(
        absent.to_string(),
        "names no output \"cat\", the class of sample cat/1.png, nor 1 other class of the data set; expected the names of the data \
         set, each at its output; the nearest are \"Cat\", \"bat\", \"dog\""
    );
    let set = named(folders(&folder), &outputs, AbsentClasses::Unlabelled).unwrap();
    assert_eq!(labels(set.as_ref()), [vec![], vec![3], vec![], vec![]]);
    let repeated = ClassFault::Repeated { name: "dog".to_owned(), first: 0, second: 3 };
    let outputs = ["dog", "cat", "hot dog", "dog"];
    assert_eq!(refused(folders(&folder), &outputs), repeated);
    let set = named(folders(&folder), &outputs, AbsentClasses::Unlabelled).unwrap();
    assert_eq!(labels(set.as_ref()), [vec![1], vec![], vec![2], vec![2]]);
}

#[test]
fn lists_of_images_are_numbered_by_name_too() {
    let folder = tempfile::tempdir().unwrap();
    ["1.png", "2.png", "3.png"].iter().for_each(|name| drop(write(&folder, name, &png(1))));
    let list = write(&folder, "labels.csv", b"file,label\n1.png,hot dog;ant\n2.png,\n3.png,cat\n");
    let set = named(open(&list).unwrap(), &OUTPUTS, AbsentClasses::Refused).unwrap();
    assert_eq!(labels(set.as_ref()), [vec![2, 4], vec![], vec![1]]);
    // Indices are those of outputs, whatever the outputs are called.
    let list = write(&folder, "labels.csv", b"file,label\n1.png,4;0\n2.png,\n3.png,1\n");
    let set = named(open(&list).unwrap(), &OUTPUTS, AbsentClasses::Refused).unwrap();
    assert_eq!((labels(set.as_ref()), set.numbering()), (vec![vec![4, 0], vec![], vec![1]], Numbering::Outputs));
}

#[test]
fn names_of_a_table_are_found_in_place_of_the_folders() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let table = write(&elsewhere, "t.csv", b"sample,label\ncat/1.png,bird;dog\nhot dog/2.png,ant\n");
    let set = with_labels(folders(&folder), &table).unwrap();
    assert_eq!((labels(set.as_ref())[0].as_slice(), set.numbering()), (&[1, 2][..], Numbering::Classes));
    let before = set.labels_fingerprint();
    let set = named(set, &OUTPUTS, AbsentClasses::Refused).unwrap();
    assert_eq!(labels(set.as_ref()), [vec![3, 0], vec![], vec![], vec![4]]);
    assert_ne!(set.labels_fingerprint(), before);
}

#[test]
fn indices_of_a_table_are_outputs_and_may_not_contradict_the_names() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let table = write(&elsewhere, "t.csv", b"sample,label\ncat/1.png,1\nhot dog/2.png,0\n");
    let labelled = || with_labels(folders(&folder), &table).unwrap();
    let set = labelled();
    assert_eq!(set.class_names().unwrap(), ["cat", "dog", "hot dog"]);
    assert_eq!(set.numbering(), Numbering::Outputs);
    // In the data set, 1 is the dog: who wrote the table meant one of the two.
    let contradicted = ClassFault::Contradicted {
        label: 1,
        key: "cat/1.png".to_owned(),
        name: "dog".to_owned(),
        output: Some("cat".to_owned()),
        elsewhere: 0,
    };
    assert_eq!(refused(labelled(), &OUTPUTS), contradicted);
    // Names of another kind say nothing about the order, and those of classes without samples nothing about these.
    for outputs in [["n01", "n02", "n03", "n04"], ["cat", "dog", "newt", "hot dog"]] {
        let set = named(labelled(), &outputs, AbsentClasses::Refused).unwrap();
        assert_eq!(labels(set.as_ref()), [vec![1], vec![], vec![], vec![0]]);
        assert_eq!(
            (set.labels_fingerprint(), set.class_names().unwrap()),
            (labelled().labels_fingerprint(), &outputs.map(str::to_owned)[..])
        );
    }
}

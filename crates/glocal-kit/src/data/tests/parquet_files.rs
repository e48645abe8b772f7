//! Images in Parquet files.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, GzipLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;

use super::*;

/// As the `datasets` library writes them.
const SCHEMA: &str = "message schema {
    optional group image { optional binary bytes; optional binary path (STRING); }
    optional int64 label;
}";

const FEATURES: &str = r#"{"info": {"features": {"image": {"_type": "Image"}, "label": {"names": ["ant", "bee", "cow"],
    "_type": "ClassLabel"}}}}"#;

/// A file of these images and labels, in row groups of `rows`.
fn parquet(
    samples: &[(Option<Vec<u8>>, i64)],
    rows: usize,
    compression: Compression,
    features: Option<&str>,
) -> Vec<u8> {
    let metadata = features.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
    written(samples, rows, WriterProperties::builder().set_compression(compression).set_key_value_metadata(metadata))
}

/// The same, written in another way.
fn written(samples: &[(Option<Vec<u8>>, i64)], rows: usize, properties: WriterPropertiesBuilder) -> Vec<u8> {
    let properties = properties.set_data_page_size_limit(256).set_write_batch_size(2);
    let schema = Arc::new(parse_message_type(SCHEMA).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
    for samples in samples.chunks(rows) {
        let mut group = writer.next_row_group().unwrap();
        let levels: Vec<i16> = samples.iter().map(|(image, _)| if image.is_some() { 2 } else { 1 }).collect();
        let images: Vec<ByteArray> =
            samples.iter().filter_map(|(image, _)| image.clone().map(ByteArray::from)).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&images, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&[], Some(&vec![1; samples.len()]), None).unwrap();
        column.close().unwrap();
        let labels: Vec<i64> = samples.iter().map(|(_, label)| *label).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; samples.len()]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.into_inner().unwrap()
}

fn samples(count: u8) -> Vec<(Option<Vec<u8>>, i64)> {
    (0..count).map(|red| (Some(png(red)), i64::from(red % 3))).collect()
}

fn fault(result: Result<Box<dyn DataSet>, DataError>) -> ParquetFault {
    match kind(result) {
        DataErrorKind::Parquet(fault) => fault,
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
fn rows_are_found_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    for (rows, compression) in
        [(100, Compression::UNCOMPRESSED), (7, Compression::SNAPPY), (1, Compression::GZIP(GzipLevel::default()))]
    {
        let bytes = parquet(&samples(40), rows, compression, Some(FEATURES));
        let set = open(&write(&folder, "train.parquet", &bytes)).unwrap();
        assert_eq!((set.len(), set.key(39)), (40, "39".to_owned()));
        for index in (0..40).chain((0..40).rev()).chain((0..40).map(|step| step * 23 % 40)) {
            assert_eq!((red(set.as_ref(), index), set.labels(index)), (index as u8, &[index as u32 % 3][..]));
        }
        assert_eq!(set.class_names().unwrap(), ["ant", "bee", "cow"]);
        assert_eq!(set.describe(), "40 images in 3 classes, in 1 Parquet file");
        assert_eq!(set.load(40).unwrap_err().kind(), &DataErrorKind::Index { index: 40, len: 40 });
    }
}

/// As other writers have them.
#[test]
fn lengths_that_stand_together_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let rows: Vec<_> = (0..40).map(|red| ((red % 5 > 0).then(|| png(red)), i64::from(red))).collect();
    for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
        let properties = WriterProperties::builder().set_writer_version(version).set_dictionary_enabled(false);
        let column = ColumnPath::from(vec!["image".to_owned(), "bytes".to_owned()]);
        let properties = properties.set_column_encoding(column, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        let bytes = written(&rows, 15, properties);
        let set = open(&write(&folder, "a.parquet", &bytes)).unwrap();
        (0..40).filter(|index| index % 5 > 0).for_each(|index| assert_eq!(red(set.as_ref(), index), index as u8));
    }
}

#[test]
fn files_follow_the_order_of_their_names_and_threads_share_them() {
    let folder = tempfile::tempdir().unwrap();
    let all = samples(50);
    let file = |samples| parquet(samples, 6, Compression::SNAPPY, None);
    write(&folder, "data/train-00001-of-00002.parquet", &file(&all[20..]));
    write(&folder, "data/train-00000-of-00002.parquet", &file(&all[..20]));
    write(&folder, "data/README.md", b"text");
    let set = open(&folder.path().join("data")).unwrap();
    assert_eq!((set.len(), set.key(49)), (50, "train-00001-of-00002.parquet/29".to_owned()));
    assert_eq!(set.describe(), "50 images with labels, in 2 Parquet files");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let set = set.as_ref();
            scope.spawn(move || {
                (0..50).for_each(|step| {
                    let index = (step * 7 + thread * 13) % 50;
                    assert_eq!(red(set, index), index as u8);
                })
            });
        }
    });
}

#[test]
fn rows_without_image_or_label() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [(Some(png(1)), -1), (None, 2), (Some(b"no image".to_vec()), 0), (Some(png(4)), 1)];
    let set = open(&write(&folder, "a.parquet", &parquet(&rows, 9, Compression::SNAPPY, None))).unwrap();
    assert_eq!((0..4).map(|index| set.labels(index).to_vec()).collect::<Vec<_>>(), [vec![], vec![2], vec![0], vec![1]]);
    let error = set.load(1).unwrap_err();
    assert_eq!(error.kind(), &DataErrorKind::Parquet(ParquetFault::NoImage));
    assert!(error.to_string().contains("a.parquet/1"), "{error}");
    assert_eq!(set.load(2).unwrap_err().kind(), &DataErrorKind::Image);
    assert_eq!((red(set.as_ref(), 0), red(set.as_ref(), 3)), (1, 4));
}

#[test]
fn fingerprints_of_tables_follow_every_byte_and_label() {
    let make = |samples: &[_], features| {
        let folder = tempfile::tempdir().unwrap();
        let bytes = parquet(samples, 4, Compression::SNAPPY, features);
        open(&write(&folder, "a.parquet", &bytes)).unwrap().fingerprint()
    };
    let first = make(&samples(9), None);
    assert_eq!(first, make(&samples(9), None));
    let (mut image, mut label) = (samples(9), samples(9));
    image[5].0 = Some(png(77));
    label[5].1 = 0;
    for other in [make(&image, None), make(&label, None), make(&samples(8), None), make(&samples(9), Some(FEATURES))] {
        assert_ne!(first, other);
    }
}

#[test]
fn tables_that_lie_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open_bytes = |bytes: &[u8]| open(&write(&folder, "a.parquet", bytes));
    let rows = |label| vec![(Some(png(1)), 0), (Some(png(2)), label)];
    let refused = |label, features| fault(open_bytes(&parquet(&rows(label), 9, Compression::SNAPPY, features)));
    assert_eq!(refused(3, Some(FEATURES)), ParquetFault::Label { sample: 1, label: 3, classes: Some(3) });
    assert_eq!(refused(-2, None), ParquetFault::Label { sample: 1, label: -2, classes: None });
    assert_eq!(refused(1 << 40, None), ParquetFault::Label { sample: 1, label: 1 << 40, classes: None });
    assert_eq!(fault(open_bytes(&parquet(&[], 9, Compression::SNAPPY, None))), ParquetFault::Empty);
    assert!(matches!(fault(open_bytes(b"")), ParquetFault::Malformed { .. }));
    assert!(matches!(fault(open_bytes(&[7; 500])), ParquetFault::Malformed { .. }));

    // Every byte damaged in turn, and every length: an error or other pixels, and never a panic that gets out.
    let good = parquet(&samples(3), 2, Compression::SNAPPY, Some(FEATURES));
    for position in 0..good.len() {
        let mut damaged = good.clone();
        damaged[position] ^= 1 << (position % 8);
        for bytes in [&damaged[..], &good[..position]] {
            if let Ok(set) = open_bytes(bytes) {
                assert!(set.len() <= good.len());
                (0..set.len().min(9)).for_each(|index| drop(set.load(index)));
            }
        }
    }
}

#[test]
fn classes_that_the_library_has_noted_are_found_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = samples(2);
    rows.push((Some(png(2)), -1));
    let bytes = parquet(&rows, 2, Compression::UNCOMPRESSED, Some(FEATURES));
    let path = write(&folder, "train.parquet", &bytes);
    let named = |outputs: &[&str]| {
        let outputs: Vec<String> = outputs.iter().map(|name| (*name).to_owned()).collect();
        with_outputs(open(&path).unwrap(), &outputs, Path::new("names.txt"), AbsentClasses::Refused)
    };
    // No sample is a cow, so that it may be missing.
    let set = named(&["bee", "newt", "ant"]).unwrap();
    assert_eq!([set.labels(0), set.labels(1), set.labels(2)], [&[2][..], &[0], &[]]);
    assert!(
        matches!(kind(named(&["cow", "ant"])), DataErrorKind::Classes(ClassFault::Absent { name, .. }) if name == "bee")
    );
    // Some data sets call two classes alike.
    let alike = parquet(&samples(3), 2, Compression::UNCOMPRESSED, Some(&FEATURES.replace("cow", "ant")));
    fs::write(&path, alike).unwrap();
    let set = named(&["ant", "bee", "ant"]).unwrap();
    assert_eq!([set.labels(0), set.labels(1), set.labels(2)], [[0], [1], [2]]);
    assert!(matches!(kind(named(&["bee", "ant", "ant"])), DataErrorKind::Classes(ClassFault::Repeated { .. })));
}

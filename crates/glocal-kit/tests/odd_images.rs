//! A thousand and more odd and damaged image files: the right pixels or an error that names the file, no panic, and no more
//! memory than a file of that size may ask for.
//!
//! The files in `tests/preprocess/images` are the seeds: CMYK, 16 bits, palettes with and without transparency, animations,
//! EXIF orientations; a test in the library compares each with Pillow's pixels.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use glocal_kit::data::{DataError, DataErrorKind, load_image};
use image::DynamicImage;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// How far the color of a JPEG file may be from Pillow's, in levels of 255.
const LOSSY_LEVELS: u8 = 3;

/// How much memory a file of `bytes` may take: its image as [`load_image`] bounds it, one copy, and what decoders need.
fn room(bytes: usize) -> usize {
    3 * ((16 << 20) + (bytes << 16))
}

/// The seeds by name.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/preprocess/images");
    let mut seeds: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 35);
    seeds
}

/// Decodes files in one place, and counts them and the memory that they take.
struct Decoder {
    path: PathBuf,
    _folder: tempfile::TempDir,
    files: usize,
    largest: usize,
    /// Memory is counted for the whole process, so that only one test may decode at a time.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Decoder {
    fn new() -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("odd"), _folder: folder, files: 0, largest: 0, _alone: alone }
    }

    fn decode(&mut self, what: &str, bytes: &[u8]) -> Result<DynamicImage, DataError> {
        fs::write(&self.path, bytes).unwrap();
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let decoded = catch_unwind(AssertUnwindSafe(|| load_image(&self.path)));
        let taken = ALLOCATOR.peak_usage().saturating_sub(before);
        assert!(taken <= room(bytes.len()), "{what}: {taken} bytes for {}", bytes.len());
        (self.files, self.largest) = (self.files + 1, self.largest.max(taken));
        let decoded = decoded.unwrap_or_else(|_| panic!("{what}: a panic"));
        if let Err(error) = &decoded {
            assert!(error.path() == self.path && !error.reason().is_empty(), "{what}: {error}");
        }
        decoded
    }
}

#[test]
fn a_thousand_odd_files() {
    let mut decoder = Decoder::new();
    let mut wrong = Vec::new();
    for (name, bytes) in seeds() {
        let whole = decoder.decode(&name, &bytes).unwrap();
        // Every file ends too early at some twelfth, and just before its end.
        let cuts = (0..12).map(|twelfth| bytes.len() * twelfth / 12).chain([bytes.len() - 1, bytes.len() - 4]);
        for cut in cuts {
            let what = format!("{name} cut to {cut} bytes");
            // What a decoder does not need may be missing; what it needs must not be made up.
            if decoder.decode(&what, &bytes[..cut]).is_ok_and(|image| image != whole) {
                wrong.push(what);
            }
        }
        // What these change is told by formats with checksums; others show other pixels.
        for step in 0..16 {
            let position = (bytes.len() - 1) * step / 15;
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << (step % 8);
            let _ = decoder.decode(&format!("{name} with bit {} of byte {position} flipped", step % 8), &flipped);
            flipped[position] = 0xff;
            let _ = decoder.decode(&format!("{name} with 255 as byte {position}"), &flipped);
        }
        for quarter in 0..4 {
            let mut blank = bytes.clone();
            blank[bytes.len() * quarter / 4..bytes.len() * (quarter + 1) / 4].fill(0);
            let _ = decoder.decode(&format!("{name} with zeros in quarter {quarter}"), &blank);
        }
        let trailing = [&bytes[..], &[0; 100]].concat();
        if decoder.decode(&name, &trailing).is_ok_and(|image| image != whole) {
            wrong.push(format!("{name} with trailing zeros"));
        }
    }
    assert!(decoder.files >= 1_000, "{} files", decoder.files);
    assert!(wrong.is_empty(), "{} of {} files decode to something else: {wrong:#?}", wrong.len(), decoder.files);
}

/// `bytes` with `patch` at `position`.
fn patched(bytes: &[u8], position: usize, patch: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[position..position + patch.len()].copy_from_slice(patch);
    bytes
}

/// The file with another width and height in its header, where the format can say so.
fn resized(name: &str, bytes: &[u8], side: u32) -> Option<Vec<u8>> {
    let short = u16::try_from(side).ok();
    let twice = |side: [u8; 2]| [side, side].concat();
    match name.rsplit_once('.')?.1 {
        "png" => {
            let mut bytes = patched(bytes, 16, &[side.to_be_bytes(), side.to_be_bytes()].concat());
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[12..29]);
            bytes = patched(&bytes, 29, &crc.sum().to_be_bytes());
            Some(bytes)
        }
        "jpg" => {
            let frame = bytes.windows(4).position(|at| at[0] == 0xff && matches!(at[1], 0xc0..=0xc2) && at[2] == 0)?;
            Some(patched(bytes, frame + 5, &twice(short?.to_be_bytes())))
        }
        "gif" => {
            let image = bytes.windows(5).position(|at| at == [0x2c, 0, 0, 0, 0])?;
            let side = twice(short?.to_le_bytes());
            Some(patched(&patched(bytes, 6, &side), image + 5, &side))
        }
        "bmp" => Some(patched(bytes, 18, &[side.to_le_bytes(), side.to_le_bytes()].concat())),
        "ppm" | "pgm" => {
            let magic = String::from_utf8_lossy(&bytes[..2]).into_owned();
            Some([format!("{magic}\n{side} {side}\n255\n").as_bytes(), &bytes[15..]].concat())
        }
        "webp" if bytes.get(12..16)? == b"VP8X" => {
            let side = &(side - 1).to_le_bytes()[..3];
            Some(patched(bytes, 24, &[side, side].concat()))
        }
        _ => None,
    }
}

#[test]
fn huge_sizes_in_headers_take_no_memory() {
    let mut decoder = Decoder::new();
    for (name, bytes) in seeds() {
        for side in [16_384, 65_535, 100_000, i32::MAX as u32, u32::MAX] {
            let Some(bytes) = resized(&name, &bytes, side) else { continue };
            let refused = decoder.decode(&format!("{name} of {side} pixels a side"), &bytes);
            let error = refused.err().unwrap_or_else(|| panic!("{name} has {side} pixels a side"));
            // What is refused before it is decoded takes nothing.
            if matches!(error.kind(), DataErrorKind::ImageClaim { .. } | DataErrorKind::ImageTooLarge { .. }) {
                assert!(error.to_string().contains("claims"), "{error}");
            }
        }
    }
    assert!(decoder.files >= 60, "{} files", decoder.files);
    assert!(decoder.largest < 64 << 20, "{} bytes", decoder.largest);
}

#[test]
fn a_jpeg_in_ycck_has_the_colors_that_pillow_gives_it() {
    let (_, mut bytes) = seeds().into_iter().find(|(name, _)| name == "cmyk.jpg").unwrap();
    let marker = bytes.windows(5).position(|at| at == b"Adobe").unwrap();
    // Adobe's marker says how four channels are meant: 0 for CMYK, 2 for YCCK.
    bytes[marker + 11] = 2;
    let image = Decoder::new().decode("ycck.jpg", &bytes).unwrap().into_rgb8();
    assert_eq!(image.dimensions(), (32, 24));
    for (x, y, expected) in
        [(0, 0, [77, 255, 255]), (5, 3, [82, 249, 255]), (10, 10, [109, 199, 225]), (31, 23, [132, 0, 0])]
    {
        let given = image.get_pixel(x, y).0;
        let levels = given.iter().zip(expected).map(|(given, expected)| given.abs_diff(expected)).max();
        assert!(levels <= Some(LOSSY_LEVELS), "({x}, {y}): {given:?} instead of {expected:?}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let mut decoder = Decoder::new();
    let seeds = seeds();
    for (name, bytes) in &seeds {
        // The first bytes promise a format that does not come.
        for length in [2, 4, 8, 12, 16] {
            let promise = [&bytes[..length.min(bytes.len())], &[0x5a; 64]].concat();
            assert!(
                decoder.decode(&format!("{length} bytes of {name}"), &promise).is_err(),
                "{length} bytes of {name}"
            );
        }
    }
    for bytes in
        [&b""[..], &[0], &[0; 1_000], b"<html>not found</html>", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"GIF89a", b"BM"]
    {
        assert!(decoder.decode(&format!("{bytes:?}"), bytes).is_err(), "{bytes:?}");
    }
}

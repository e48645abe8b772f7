//! Resampling to another size, bit for bit as Pillow 3 to 12 do it.
//!
//! It is written out here because the ready resizers differ from Pillow where it matters: those versions resample the
//! rows first and clip to bytes in between, so that sharp edges come out up to 25 levels apart when the columns go first
//! (as Pillow 13 does for some sizes). Models were trained with the former.

use super::Filter;
use super::color::Pixels;

/// The number of fractional bits of a weight: what is left of 32 bits beside a byte, the sign and an overshoot.
const WEIGHT_BITS: u32 = 22;

/// `pixels` at `width` × `height`, both at least 1.
pub(super) fn resample(pixels: &Pixels, width: u32, height: u32, filter: Filter) -> Pixels {
    let Some(kernel) = Kernel::of(filter) else { return nearest(pixels, width, height) };
    let rows = (width != pixels.width).then(|| {
        let windows = windows(pixels.width as usize, width as usize, kernel);
        Pixels { width, data: resample_rows(pixels, &windows), ..*pixels }
    });
    let between = rows.as_ref().unwrap_or(pixels);
    let windows = windows(pixels.height as usize, height as usize, kernel);
    let data = if height == pixels.height { between.data.clone() } else { resample_columns(between, &windows) };
    Pixels { width, height, channels: pixels.channels, data }
}

/// A filter as a function of the distance in pixels.
#[derive(Clone, Copy)]
struct Kernel {
    /// Beyond this distance the weight is 0.
    support: f64,
    weight: fn(f64) -> f64,
}

impl Kernel {
    /// The kernel of `filter`; the nearest pixel has none.
    fn of(filter: Filter) -> Option<Self> {
        let (support, weight): (f64, fn(f64) -> f64) = match filter {
            Filter::Nearest => return None,
            Filter::Box => (0.5, |x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }),
            Filter::Bilinear => (1.0, |x| (1.0 - x.abs()).max(0.0)),
            Filter::Hamming => (1.0, |x| {
                let angle = x.abs() * std::f64::consts::PI;
                if x.abs() < 1.0 { sinc(x) * (0.54 + 0.46 * angle.cos()) } else { 0.0 }
            }),
            Filter::Bicubic => (2.0, |x| {
                const A: f64 = -0.5;
                match x.abs() {
                    x if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
                    x if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
                    _ => 0.0,
                }
            }),
            Filter::Lanczos => (3.0, |x| if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }),
        };
        Some(Self { support, weight })
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if x == 0.0 { 1.0 } else { angle.sin() / angle }
}

/// The source pixels that make up one new pixel.
struct Window {
    first: usize,
    /// The weights of the pixels from `first` on, in units of 2⁻²².
    weights: Vec<i32>,
}

/// The windows of `target` pixels along a side of `source` pixels.
fn windows(source: usize, target: usize, kernel: Kernel) -> Vec<Window> {
    let scale = source as f64 / target as f64;
    // Made smaller, the filter covers as much of the source as of the target; enlarged, it covers the source's pixels.
    let stretch = scale.max(1.0);
    let support = kernel.support * stretch;
    let shrink = 1.0 / stretch;
    let window = |index| {
        let center = (index as f64 + 0.5) * scale;
        // Casts cut off at zero below.
        let first = (center - support + 0.5) as usize;
        let end = ((center + support + 0.5) as usize).min(source);
        let weight = |pixel| (kernel.weight)((pixel as f64 - center + 0.5) * shrink);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let fixed = |weight: f64| {
            let share = if sum == 0.0 { weight } else { weight / sum };
            (share * f64::from(1 << WEIGHT_BITS) + 0.5f64.copysign(share)) as i32
        };
        Window { first, weights: weights.into_iter().map(fixed).collect() }
    };
    (0..target).map(window).collect()
}

/// The sum that starts at one half, so that cutting off the fractional bits rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    // Clamped, so that nothing is cut off.
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

fn resample_rows(pixels: &Pixels, windows: &[Window]) -> Vec<u8> {
    match pixels.channels {
        3 => resample_rows_of::<3>(&pixels.data, pixels.width as usize, windows),
        _ => resample_rows_of::<1>(&pixels.data, pixels.width as usize, windows),
    }
}

fn resample_rows_of<const CHANNELS: usize>(data: &[u8], width: usize, windows: &[Window]) -> Vec<u8> {
    let (pixels, _) = data.as_chunks::<CHANNELS>();
    let mut target = Vec::with_capacity(pixels.len() / width * windows.len() * CHANNELS);
    for row in pixels.chunks_exact(width) {
        for window in windows {
            let mut sums = [HALF; CHANNELS];
            for (pixel, &weight) in row[window.first..].iter().zip(&window.weights) {
                for (sum, &value) in sums.iter_mut().zip(pixel) {
                    *sum = sum.wrapping_add(weight.wrapping_mul(value.into()));
                }
            }
            target.extend(sums.map(to_byte));
        }
    }
    target
}

fn resample_columns(pixels: &Pixels, windows: &[Window]) -> Vec<u8> {
    let row = pixels.width as usize * pixels.channels;
    let mut target = Vec::with_capacity(row * windows.len());
    let mut sums = vec![HALF; row];
    for window in windows {
        sums.fill(HALF);
        let rows = pixels.data[window.first * row..].chunks_exact(row);
        for (values, &weight) in rows.zip(&window.weights) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(weight.wrapping_mul(value.into()));
            }
        }
        target.extend(sums.iter().map(|&sum| to_byte(sum)));
    }
    target
}

fn nearest(pixels: &Pixels, width: u32, height: u32) -> Pixels {
    let columns: Vec<usize> = positions(pixels.width, width).map(|column| column * pixels.channels).collect();
    let row = pixels.width as usize * pixels.channels;
    let mut data = Vec::with_capacity(width as usize * height as usize * pixels.channels);
    for y in positions(pixels.height, height) {
        let source = &pixels.data[y * row..(y + 1) * row];
        for &column in &columns {
            data.extend_from_slice(&source[column..column + pixels.channels]);
        }
    }
    Pixels { width, height, channels: pixels.channels, data }
}

/// The source pixel of each of `target` pixels along a side of `source`.
fn positions(source: u32, target: u32) -> impl Iterator<Item = usize> {
    let step = f64::from(source) / f64::from(target);
    // Pillow adds up the steps, which rounds ties otherwise than a multiplication.
    (0..target).scan(step * 0.5, move |position, _| {
        let index = (*position as usize).min(source as usize - 1);
        *position += step;
        Some(index)
    })
}

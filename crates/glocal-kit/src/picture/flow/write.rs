//! The elements of the picture.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::imageops::thumbnail;

use super::layout::{Area, BARE, LABEL, Layout, MARGIN, PAD, PICTURE};
use super::{FlowCard, FlowPicture};
use crate::picture::encode::encode_png;
use crate::picture::error::PictureError;
use crate::picture::text::Lettering;
use crate::report::text::{escape, signed_percent};

/// Vermilion and blue of Okabe and Ito's palette, which people with any color vision tell apart; bands against are dashed
/// besides.
const FOR: &str = "#d55e00";
const AGAINST: &str = "#0072b2";

/// The width of the band with the largest share, and the least of any.
const BAND: (f64, f64) = (16.0, 1.2);

/// The longest side of an embedded picture: twice what is shown, for screens of fine pixels.
const EMBEDDED: u32 = 2 * PICTURE as u32;

/// Pictures below this are drawn with visible pixels.
const SMALL: u32 = 96;

/// The least width of the picture: room for the headline and the notes.
const LEAST: f64 = 720.0;

/// Other fonts than the measured one are this much wider at most.
const WIDER: f64 = 1.12;

// The sizes of text, as in the style.
const HEADLINE: u32 = 20;
const BODY: u32 = 13;
const FINE: u32 = 12;

const STYLE: &str = "text{font-family:Inter,'Helvetica Neue',Arial,'Liberation Sans',sans-serif;fill:#1a1e24}\
.h{font-size:20px;font-weight:600}.b{font-size:13px}.s{font-size:13px;font-weight:600}.f{font-size:12px;fill:#5c6570}\
.l{font-size:11px;font-weight:600;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}\
.c{fill:#fff;stroke:#c9d0d8}.p{image-rendering:pixelated}";

pub(super) fn svg(picture: &FlowPicture) -> Result<String, PictureError> {
    let writer = Writer { letters: Lettering::new()? };
    let sample = if picture.sample.is_some() { PICTURE + 24.0 } else { 0.0 };
    let head = MARGIN + (34.0 + 19.0 * picture.facts.len() as f64).max(sample) + 24.0;
    let layout = Layout::of(picture, head + 52.0);
    let right = layout.columns.last().map_or(0.0, |left| left + layout.card_width);
    let width = (right + MARGIN).max(LEAST);
    let legend = layout.bottom + 40.0;
    let height = legend + 26.0 + 18.0 * picture.notes.len() as f64 + MARGIN;

    let title = escape(&picture.title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    let mut left = MARGIN;
    if let Some(shown) = &picture.sample {
        let area = Area { left, top: MARGIN, width: sample, height: sample };
        svg += &image(shown, area)?;
        left += sample + 18.0;
    }
    svg += &writer.text("h", HEADLINE, &picture.title, (left, MARGIN + 20.0), width - left - MARGIN);
    for (line, fact) in picture.facts.iter().enumerate() {
        svg += &writer.text("f", FINE, fact, (left, MARGIN + 42.0 + 19.0 * line as f64), width - left - MARGIN);
    }
    for (column, &left) in picture.columns.iter().zip(&layout.columns) {
        svg += &format!("<g><title>{}</title>\n", escape(&column.title));
        svg += &writer.text("s", BODY, &column.title, (left, head + 12.0), layout.card_width + 80.0);
        svg += &writer.text("f", FINE, &column.subtitle, (left, head + 30.0), layout.card_width + 80.0);
        svg += "</g>\n";
    }
    svg += &bands(picture, &layout);
    for (card, area) in picture.cards.iter().zip(&layout.cards) {
        if let Some(area) = area {
            let same = picture.cards.iter().filter(|other| other.column == card.column);
            svg += &writer.card(card, *area, largest(same.map(|card| card.share)))?;
        }
    }
    svg += &writer.legend(picture, legend, width);
    svg += "</svg>\n";
    Ok(svg)
}

/// The color and the dashes of a sign.
fn sign(share: f64) -> (&'static str, &'static str) {
    if share < 0.0 { (AGAINST, " stroke-dasharray=\"7 4\"") } else { (FOR, "") }
}

/// The largest size of some shares, to divide by.
fn largest(shares: impl Iterator<Item = f64>) -> f64 {
    shares.map(f64::abs).fold(f64::MIN_POSITIVE, f64::max)
}

/// All bands, the narrow ones in front, and then their labels in front of all of them.
fn bands(picture: &FlowPicture, layout: &Layout) -> String {
    let (mut lines, mut labels) = (String::new(), String::new());
    let name = |card: usize| picture.cards.get(card).map_or("", |card| &card.title);
    let widest = largest(picture.bands.iter().map(|band| band.share));
    let mut order: Vec<usize> = (0..picture.bands.len()).collect();
    order.sort_by(|&a, &b| picture.bands[b].share.abs().total_cmp(&picture.bands[a].share.abs()).then(a.cmp(&b)));
    for band in order {
        let (band, points) = (&picture.bands[band], &layout.bands[band]);
        let (Some(&(left, top)), Some(&end)) = (points.first(), points.last()) else { continue };
        if points.len() < 2 {
            continue;
        }
        let mut path = format!("M{left:.1} {top:.1}");
        for pair in points.chunks_exact(2) {
            let [(x, y), (to_x, to_y)] = [pair[0], pair[1]];
            // Out of a lane, and level again before the label.
            let (bend, level) = ((to_x - LABEL - x).max(1.0), to_x - LABEL);
            let middle = x + bend / 2.0;
            path += &format!("L{x:.1} {y:.1}C{middle:.1} {y:.1} {middle:.1} {to_y:.1} {level:.1} {to_y:.1}H{to_x:.1}");
        }
        let (color, dashes) = sign(band.share);
        let width = (BAND.0 * band.share.abs() / widest).max(BAND.1);
        lines += &format!(
            "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width:.1}\" stroke-opacity=\"0.55\"{dashes}>\
             <title>{} to {}: {}</title></path>\n",
            escape(name(band.from)),
            escape(name(band.to)),
            signed_percent(band.share as f32)
        );
        labels += &format!(
            "<text class=\"l\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            end.0 - 5.0,
            end.1 + 4.0,
            signed_percent(band.share as f32)
        );
    }
    lines + &labels
}

/// An embedded picture in the middle of an area.
fn image(picture: &RgbImage, area: Area) -> Result<String, PictureError> {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    let small = if longest < SMALL { " class=\"p\"" } else { "" };
    let bytes = if longest > EMBEDDED {
        let side = |side: u32| (side * EMBEDDED / longest).max(1);
        encode_png(&thumbnail(picture, side(width), side(height)))?
    } else {
        encode_png(picture)?
    };
    let Area { left, top, width, height } = area;
    Ok(format!(
        "<image{small} x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.0}\" height=\"{height:.0}\" \
         href=\"data:image/png;base64,{}\"/>\n",
        STANDARD.encode(bytes)
    ))
}

struct Writer {
    letters: Lettering,
}

impl Writer {
    /// A line of text with its baseline at `place`, cut to `room`.
    fn text(&self, class: &str, size: u32, text: &str, place: (f64, f64), room: f64) -> String {
        let shortened: String =
            self.letters.shortened(text, size, (room / WIDER).max(0.0) as u32).into_iter().collect();
        format!("<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>\n", place.0, place.1, escape(&shortened))
    }

    fn card(&self, card: &FlowCard, area: Area, longest: f64) -> Result<String, PictureError> {
        let Area { left, top, width, height } = area;
        let share = signed_percent(card.share as f32);
        let mut svg = format!("<g><title>{}: {share}</title>\n", escape(&card.title));
        svg += &format!(
            "<rect class=\"c\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.0}\" height=\"{height:.1}\" rx=\"7\"/>\n"
        );
        svg += &self.text("s", BODY, &card.title, (left + PAD + 2.0, top + 20.0), width - 2.0 * PAD - 70.0);
        svg += &format!(
            "<text class=\"b\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{share}</text>\n",
            area.right() - PAD - 2.0,
            top + 20.0
        );
        // The share as a bar: from the middle to the right for what speaks for the root, to the left against it; the longest of
        // a column fills its half.
        let (bar, half) = (top + 33.0, (width - 2.0 * PAD) / 2.0);
        let (middle, length) = (left + width / 2.0, half * card.share.abs() / longest);
        let start = if card.share < 0.0 { middle - length } else { middle };
        svg += &format!(
            "<rect x=\"{:.1}\" y=\"{bar:.1}\" width=\"{:.1}\" height=\"6\" rx=\"2\" fill=\"#e8ebef\"/>\
             <rect x=\"{start:.1}\" y=\"{bar:.1}\" width=\"{length:.1}\" height=\"6\" fill=\"{}\"/>\
             <path d=\"M{middle:.1} {:.1}v10\" stroke=\"#5c6570\"/>\n",
            left + PAD,
            2.0 * half,
            sign(card.share).0,
            bar - 2.0
        );
        for (index, picture) in card.pictures.iter().take(FlowPicture::PICTURES).enumerate() {
            let left = left + PAD + index as f64 * (PICTURE + PAD);
            svg += &image(picture, Area { left, top: top + BARE - 4.0, width: PICTURE, height: PICTURE })?;
        }
        svg += "</g>\n";
        Ok(svg)
    }

    /// What color, width and numbers mean.
    fn legend(&self, picture: &FlowPicture, top: f64, width: f64) -> String {
        let mut svg = String::new();
        let mut left = MARGIN;
        for (share, words) in [(0.5, "speaks for it"), (-0.5, "speaks against it")] {
            let (color, dashes) = sign(share);
            svg += &format!(
                "<path d=\"M{left:.0} {top:.0}h44\" stroke=\"{color}\" stroke-width=\"8\" stroke-opacity=\"0.55\"{dashes}/>\n"
            );
            svg += &self.text("b", BODY, words, (left + 54.0, top + 4.0), 140.0);
            left += 200.0;
        }
        for (line, note) in picture.notes.iter().enumerate() {
            svg += &self.text("f", FINE, note, (MARGIN, top + 30.0 + 18.0 * line as f64), width - 2.0 * MARGIN);
        }
        svg
    }
}

//! The frame of the page: head, headline, facts, notes.

use super::Report;
use super::agreement;
use super::album::Album;
use super::explanation;
use super::text::escape;
use crate::picture::{Color, ColorMap};

const STYLE: &str = include_str!("style.css");

/// Positions in the palette whose colors stand for a strong negative and a strong positive value in bars.
const STRONG: (usize, usize) = (24, 231);

/// How many colors of the palette the legend's gradient is made of.
const LEGEND_STEPS: usize = 32;

pub(super) fn write(report: &Report) -> String {
    let album = Album::of(report);
    let title = escape(&report.title);
    let colors = colors(&report.color_map);
    // The policy forbids the page to load or run anything, whatever slipped into it.
    let head = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>\n{STYLE}:root {{ {colors} }}\n</style>\n</head>\n"
    );
    let subtitle = match report.subtitle.as_str() {
        "" => String::new(),
        subtitle => format!("<p class=\"subtitle\">{}</p>\n", escape(subtitle)),
    };
    let explanation =
        report.explanation.as_ref().map(|explanation| explanation::write(explanation, &album)).unwrap_or_default();
    format!(
        "{head}<body>\n{}<main>\n<header>\n<h1>{title}</h1>\n{subtitle}{}</header>\n{explanation}{}{}</main>\n</body>\n</html>\n",
        album.definitions(),
        facts(&report.facts),
        agreement::write(&report.agreements),
        notes(&report.notes),
    )
}

fn facts(facts: &[(String, String)]) -> String {
    if facts.is_empty() {
        return String::new();
    }
    let rows: String = facts
        .iter()
        .map(|(name, value)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(value)))
        .collect();
    format!("<dl class=\"facts\">\n{rows}</dl>\n")
}

fn notes(notes: &[String]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let paragraphs: String = notes.iter().map(|note| format!("<p>{}</p>\n", escape(note))).collect();
    format!("<section class=\"notes\">\n<h2>Notes</h2>\n{paragraphs}</section>\n")
}

/// The color map as custom properties of the style sheet.
fn colors(map: &ColorMap) -> String {
    let palette = map.palette(1.0);
    let hexadecimal = |[red, green, blue]: Color| format!("#{red:02x}{green:02x}{blue:02x}");
    let stops: Vec<String> =
        (0..LEGEND_STEPS).map(|step| hexadecimal(palette[step * 255 / (LEGEND_STEPS - 1)])).collect();
    format!(
        "--against: {}; --for: {}; --legend: linear-gradient(to right, {});",
        hexadecimal(palette[STRONG.0]),
        hexadecimal(palette[STRONG.1]),
        stops.join(", ")
    )
}

//! A chart as the text of an SVG file.

use std::fmt::Write;

use super::scene::{BAND_OPACITY, BASELINE, Element, Point, Scene};
use crate::picture::Color;
use crate::report::text::escape;

pub(super) fn text(scene: &Scene) -> String {
    let Scene { title, width, height, elements } = scene;
    let title = escape(title);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n<title>{title}</title>\n\
         <style>text{{font-family:Inter,'Helvetica Neue',Arial,'Liberation Sans',sans-serif;font-weight:500}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for element in elements {
        match element {
            Element::Line { points, width, color, dashes } => {
                let dashes: Vec<String> = dashes.iter().map(|length| format!("{length}")).collect();
                let dashes = match dashes.as_slice() {
                    [] => String::new(),
                    dashes => format!(" stroke-dasharray=\"{}\"", dashes.join(" ")),
                };
                let (path, color) = (path(points), name(*color));
                append(
                    &mut svg,
                    format_args!(
                        "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"{width}\" stroke-linecap=\"round\" \
                     stroke-linejoin=\"round\"{dashes}/>\n"
                    ),
                );
            }
            Element::Band { across, top, bottom, color } => {
                let upper = across.iter().copied().zip(top.iter().copied());
                let lower = across.iter().copied().zip(bottom.iter().copied()).rev();
                let (path, color) = (path(&upper.chain(lower).collect::<Vec<Point>>()), name(*color));
                append(
                    &mut svg,
                    format_args!("<path d=\"{path}\" fill=\"{color}\" fill-opacity=\"{BAND_OPACITY}\"/>\n"),
                );
            }
            Element::Text { text, left, top, size, color, strong } => {
                let (text, color) = (escape(text), name(*color));
                let weight = if *strong { " font-weight=\"600\"" } else { "" };
                let baseline = top + BASELINE * f64::from(*size);
                append(
                    &mut svg,
                    format_args!(
                        "<text x=\"{left:.1}\" y=\"{baseline:.1}\" font-size=\"{size}\" fill=\"{color}\"{weight}>{text}</text>\n"
                    ),
                );
            }
        }
    }
    svg + "</svg>\n"
}

fn append(svg: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = svg.write_fmt(element);
}

fn path(points: &[Point]) -> String {
    let step = |(index, (x, y)): (usize, &Point)| format!("{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
    points.iter().enumerate().map(step).collect()
}

fn name([red, green, blue]: Color) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

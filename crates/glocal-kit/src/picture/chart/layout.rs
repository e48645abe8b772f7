//! Where everything of a chart goes.

use super::axis::Axis;
use super::scene::{Element, Point, Scene};
use super::{ChartLine, ChartPanel, LineChart};
use crate::picture::Color;
use crate::picture::text::Lettering;

const MARGIN: f64 = 26.0;
/// The room of the numbers left of a panel.
const NUMBERS: f64 = 52.0;
const PANEL: (f64, f64) = (430.0, 280.0);
/// Between two panels, with the numbers of the right one.
const GAP: f64 = 34.0;
/// The room between a name in the legend and what it says.
const NAME: f64 = 80.0;
const SWATCH: f64 = 34.0;

const HEADLINE: u32 = 20;
const BODY: u32 = 14;
const FINE: u32 = 12;

const INK: Color = [0x1a, 0x1e, 0x24];
const PALE: Color = [0x5c, 0x65, 0x70];
const GRID: Color = [0xe3, 0xe7, 0xec];
const ZERO: Color = [0x8a, 0x93, 0x9e];

/// Other fonts than the measured one are this much wider at most.
const WIDER: f64 = 1.12;

/// The chart's elements in their places.
pub(super) fn scene(chart: &LineChart, letters: &Lettering) -> Scene {
    let count = chart.panels.len().max(1) as f64;
    let width = 2.0 * MARGIN + count * (NUMBERS + PANEL.0) + (count - 1.0) * GAP;
    let mut page = Page { letters, width, elements: Vec::new() };
    let mut top = MARGIN;
    page.text(&chart.title, (MARGIN, top), HEADLINE, INK, width - 2.0 * MARGIN);
    top += 32.0;
    for fact in &chart.facts {
        top = page.paragraph(fact, top, PALE);
    }
    top += 16.0;
    let values = chart.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
    let shown = values.flat_map(|point| [Some(point.value), point.interval.map(|i| i.0), point.interval.map(|i| i.1)]);
    let axis = Axis::holding(shown.flatten());
    let mut bottom = top;
    for (index, panel) in chart.panels.iter().enumerate() {
        let left = MARGIN + NUMBERS + index as f64 * (NUMBERS + PANEL.0 + GAP);
        bottom = bottom.max(page.panel(chart, panel, &axis, (left, top)));
    }
    top = bottom + 14.0;
    for note in &chart.notes {
        top = page.paragraph(note, top, PALE);
    }
    Scene { title: chart.title.clone(), width, height: (top + MARGIN).ceil(), elements: page.elements }
}

struct Page<'a> {
    letters: &'a Lettering,
    width: f64,
    elements: Vec<Element>,
}

impl Page<'_> {
    /// A line of text, cut to `room`.
    fn text(&mut self, text: &str, (left, top): Point, size: u32, color: Color, room: f64) {
        let text: String = self.letters.shortened(text, size, (room / WIDER).max(0.0) as u32).into_iter().collect();
        self.elements.push(Element::Text { text, left, top, size, color, strong: size == HEADLINE });
    }

    /// The same, with its end at `right`.
    fn text_before(&mut self, text: &str, (right, top): Point, size: u32, color: Color) {
        let left = right - f64::from(self.letters.width(text, size));
        self.text(text, (left, top), size, color, f64::INFINITY);
    }

    /// A text over the whole width, in as many lines as it takes; says where it ends.
    fn paragraph(&mut self, text: &str, mut top: f64, color: Color) -> f64 {
        let room = self.width - 2.0 * MARGIN;
        for line in self.letters.wrapped(text, FINE, (room / WIDER) as u32) {
            self.text(&line, (MARGIN, top), FINE, color, room);
            top += 17.0;
        }
        top
    }

    fn line(&mut self, points: Vec<Point>, width: f64, color: Color) {
        self.elements.push(Element::Line { points, width, color, dashes: &[] });
    }

    /// A panel with its legend below; says where it ends.
    fn panel(&mut self, chart: &LineChart, panel: &ChartPanel, axis: &Axis, (left, top): Point) -> f64 {
        let (width, height) = PANEL;
        self.text(&panel.title, (left, top), BODY, INK, width);
        self.text(&panel.subtitle, (left, top + 19.0), FINE, PALE, width);
        self.text(&chart.up, (left, top + 42.0), FINE, INK, width);
        let top = top + 66.0;
        let bottom = top + height;
        let up = |value: f64| bottom - height * axis.place(value).clamp(0.0, 1.0);
        for (value, text) in axis.ticks() {
            let color = if value == 0.0 { ZERO } else { GRID };
            self.line(vec![(left, up(value)), (left + width, up(value))], 1.0, color);
            self.text_before(&text, (left - 8.0, up(value) - 9.0), FINE, PALE);
        }
        for percent in [0, 25, 50, 75, 100] {
            let x = left + width * f64::from(percent) / 100.0;
            self.line(vec![(x, bottom), (x, bottom + 5.0)], 1.0, ZERO);
            let text = format!("{percent} %");
            let half = f64::from(self.letters.width(&text, FINE)) / 2.0;
            self.text(&text, (x - half, bottom + 7.0), FINE, PALE, f64::INFINITY);
        }
        self.text(&panel.across, (left, bottom + 26.0), FINE, INK, width);
        let placed = |line: &ChartLine| Placed::of(line, |at| left + width * at.clamp(0.0, 1.0), up);
        let lines: Vec<Placed> = panel.lines.iter().map(placed).collect();
        for (line, placed) in panel.lines.iter().zip(&lines) {
            let (top, bottom) = (placed.high.clone(), placed.low.clone());
            let color = line.style.color();
            self.elements.push(Element::Band { across: placed.across.clone(), top, bottom, color });
        }
        let mut legend = bottom + 54.0;
        for (line, placed) in panel.lines.iter().zip(lines) {
            self.stroke(line, placed.points);
            self.stroke(line, vec![(left, legend + 9.0), (left + SWATCH, legend + 9.0)]);
            self.text(&line.name, (left + SWATCH + 10.0, legend), FINE, INK, NAME);
            let after = SWATCH + 10.0 + NAME;
            self.text(&line.note, (left + after, legend), FINE, PALE, width - after);
            legend += 20.0;
        }
        legend
    }

    fn stroke(&mut self, line: &ChartLine, points: Vec<Point>) {
        let (color, dashes) = (line.style.color(), line.style.dashes());
        self.elements.push(Element::Line { points, width: 2.4, color, dashes });
    }
}

/// A line's points in the picture, and those of its band.
struct Placed {
    points: Vec<Point>,
    across: Vec<f64>,
    high: Vec<f64>,
    low: Vec<f64>,
}

impl Placed {
    fn of(line: &ChartLine, across: impl Fn(f64) -> f64, up: impl Fn(f64) -> f64) -> Self {
        let mut placed = Self { points: Vec::new(), across: Vec::new(), high: Vec::new(), low: Vec::new() };
        for point in line.points.iter().filter(|point| point.value.is_finite() && point.at.is_finite()) {
            let at = across(point.at);
            placed.points.push((at, up(point.value)));
            if let Some((low, high)) = point.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
                placed.across.push(at);
                placed.high.push(up(high));
                placed.low.push(up(low));
            }
        }
        placed
    }
}

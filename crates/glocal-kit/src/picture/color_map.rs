//! Color maps: a short text form, the named maps, and the 256 colors they stand for.

use std::fmt;
use std::str::FromStr;

use super::Color;
use super::error::{PictureError, PictureErrorKind};

/// Name and text form of each named map. The first eleven are zennit's; `balanced` is perceptual: its lightness (Oklab)
/// falls in equal steps from the middle to both ends, so that neither sign looks stronger than the other.
const NAMED: [(&str, &str); 12] = [
    ("gray", "000,fff"),
    ("wred", "fff,f00"),
    ("wblue", "fff,00f"),
    ("hot", "000,f00,ff0,fff"),
    ("cold", "000,00f,0ff"),
    ("coldnhot", "0ff,00f,80:000,f00,ff0,fff"),
    ("bwr", "00f,80:fff,f00"),
    ("france", "0055a4,80:fff,ef4135"),
    ("seismic", "0000d0,80:d0d0d0,d00000"),
    ("coolio", "00d0d0,80:d0d0d0,d000d0"),
    ("coleus", "00d000,80:d0d0d0,d000d0"),
    (
        "balanced",
        "04458d,10:0758b0,20:1b6dcf,30:3b85e2,40:5d9cf0,50:80b3f8,60:a6cafb,70:cee1fb,80:f7f7f7,90:f9d6cc,a0:f6b6a3,\
         b0:ef977c,c0:e37857,cf:d25b35,df:bd4011,ef:9d3207,7d2604",
    ),
];

/// How many names an error about an unknown one lists.
const NEAREST_NAMES: usize = 3;

/// What is added before a color value is cut to an integer, so that `0.9999999` that should be `1` stays `1`.
const CUT_SLACK: f64 = 1e-9;

/// A color for each position `0..=255`, given by nodes with straight lines between them.
///
/// The text form is zennit's: nodes separated by commas, each a color in three or six hexadecimal digits, with an
/// optional hexadecimal position `00..ff` before it: `00f,80:fff,f00` goes from blue over white in the middle to red.
/// Without a position, the first node is at `00`, the last at `ff`, the others are spread evenly between their
/// neighbours. A name of [`NAMES`](Self::NAMES) is a text form as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColorMap {
    nodes: Vec<Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Node {
    position: u8,
    color: Color,
}

impl ColorMap {
    /// The names of all named maps.
    pub const NAMES: [&'static str; NAMED.len()] = {
        let mut names = [""; NAMED.len()];
        let mut index = 0;
        while index < NAMED.len() {
            names[index] = NAMED[index].0;
            index += 1;
        }
        names
    };

    /// The 256 colors of the map. `level` stretches it around its middle: above 1 the ends are reached earlier (more
    /// contrast), below 1 never, and at 0 all colors are the one of the middle.
    pub fn palette(&self, level: f32) -> [Color; 256] {
        let middle = 127.5;
        let mut palette = [[0; 3]; 256];
        for (index, color) in palette.iter_mut().enumerate() {
            let position = middle + (index as f64 - middle) * f64::from(level);
            *color = self.at(if position.is_nan() { middle } else { position.clamp(0.0, 255.0) });
        }
        palette
    }

    /// Blue, white, red: the default for relevance.
    pub(super) fn blue_white_red() -> Self {
        let node = |position, color| Node { position, color };
        Self { nodes: vec![node(0, [0, 0, 255]), node(128, [255; 3]), node(255, [255, 0, 0])] }
    }

    /// The color at a position `0..=255`, each component cut (not rounded) to an integer.
    fn at(&self, position: f64) -> Color {
        let after = self.nodes.partition_point(|node| f64::from(node.position) <= position);
        let Some(above) = self.nodes.get(after) else {
            return self.nodes.last().map_or([0; 3], |node| node.color);
        };
        let Some(below) = after.checked_sub(1).and_then(|before| self.nodes.get(before)) else {
            return above.color;
        };
        let share = (position - f64::from(below.position)) / f64::from(above.position - below.position);
        std::array::from_fn(|channel| {
            let (low, high) = (f64::from(below.color[channel]), f64::from(above.color[channel]));
            (low + (high - low) * share + CUT_SLACK) as u8
        })
    }
}

impl Default for ColorMap {
    /// `bwr`: blue for negative, white for zero, red for positive values.
    fn default() -> Self {
        Self::blue_white_red()
    }
}

impl FromStr for ColorMap {
    type Err = PictureError;

    /// Reads a name of [`NAMES`](Self::NAMES) or a text form.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if let Some((_, form)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return parse(form);
        }
        if text.contains([',', ':']) {
            return parse(text);
        }
        let mut nearest = Self::NAMES;
        let asked = text.to_ascii_lowercase();
        nearest.sort_by_key(|name| strsim::damerau_levenshtein(&asked, name));
        Err(PictureErrorKind::UnknownColorMap { given: text.to_owned(), nearest: nearest[..NEAREST_NAMES].to_vec() }
            .into())
    }
}

impl fmt::Display for ColorMap {
    /// The text form with every position written out.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Node { position, color: [red, green, blue] }) in self.nodes.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{position:02x}:{red:02x}{green:02x}{blue:02x}")?;
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<ColorMap, PictureError> {
    let bad_node = |node: &str| PictureErrorKind::ColorMapNode { text: text.to_owned(), node: node.to_owned() };
    let mut colors = Vec::new();
    let mut positions = Vec::new();
    for (index, part) in text.split(',').enumerate() {
        if index > usize::from(u8::MAX) {
            return Err(PictureErrorKind::ColorMapOrder { text: text.to_owned(), node: index }.into());
        }
        let part = part.trim();
        let (position, color) = match part.split_once(':') {
            Some((position, color)) => (Some(hexadecimal(position).ok_or_else(|| bad_node(part))?), color),
            None => (None, part),
        };
        positions.push(position);
        colors.push(parse_color(color).ok_or_else(|| bad_node(part))?);
    }
    if colors.len() < 2 {
        return Err(PictureErrorKind::ColorMapTooShort { text: text.to_owned() }.into());
    }
    let positions = spread(&positions);
    if let Some(node) = positions.windows(2).position(|pair| pair[0] >= pair[1]) {
        return Err(PictureErrorKind::ColorMapOrder { text: text.to_owned(), node: node + 1 }.into());
    }
    Ok(ColorMap {
        nodes: positions.into_iter().zip(colors).map(|(position, color)| Node { position, color }).collect(),
    })
}

/// Gives each node a position: the ends 0 and 255, the others evenly between the stated neighbours, rounded down.
fn spread(stated: &[Option<u8>]) -> Vec<u8> {
    let last = stated.len() - 1;
    let at = |index: usize| match stated[index] {
        None if index == 0 => Some(0),
        None if index == last => Some(255),
        position => position,
    };
    let mut positions = Vec::with_capacity(stated.len());
    let mut below = (0, 0);
    for index in 0..=last {
        if let Some(position) = at(index) {
            below = (index, i64::from(position));
            positions.push(position);
            continue;
        }
        let above = (index..=last).find_map(|later| at(later).map(|position| (later, i64::from(position))));
        let (end, end_position) = above.unwrap_or((last, 255));
        let (done, steps) = ((index - below.0) as i64, (end - below.0) as i64);
        let position = below.1 + (end_position - below.1) * done / steps;
        positions.push(position.clamp(0, 255) as u8);
    }
    positions
}

fn parse_color(text: &str) -> Option<Color> {
    let digits = text.as_bytes();
    let component = |index: usize| match digits.len() {
        3 => hexadecimal(text.get(index..=index)?).map(|digit| digit * 17),
        6 => hexadecimal(text.get(2 * index..2 * index + 2)?),
        _ => None,
    };
    Some([component(0)?, component(1)?, component(2)?])
}

/// One or two hexadecimal digits and nothing else (`from_str_radix` alone would accept a sign).
fn hexadecimal(text: &str) -> Option<u8> {
    let digits = text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Largest deviation of a step in lightness from the mean step, as a share of it: 8-bit colors, and a right half
    /// that is one position shorter, allow no less.
    const LIGHTNESS_STEP_TOLERANCE: f64 = 0.1;

    /// Lightness in Oklab (Björn Ottosson, 2020) of an sRGB color.
    fn lightness(color: Color) -> f64 {
        let [red, green, blue] = color.map(|component| {
            let value = f64::from(component) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        let long = 0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue;
        let medium = 0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue;
        let short = 0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue;
        0.2104542553 * long.cbrt() + 0.7936177850 * medium.cbrt() - 0.0040720468 * short.cbrt()
    }

    #[test]
    fn every_name_is_a_map_and_writes_a_text_it_reads_again() {
        for name in ColorMap::NAMES {
            let map: ColorMap = name.parse().unwrap();
            assert_eq!(map.to_string().parse::<ColorMap>().unwrap(), map, "{name}");
        }
        assert_eq!(ColorMap::default(), "bwr".parse().unwrap());
    }

    #[test]
    fn positions_left_out_are_spread_evenly() {
        assert_eq!(
            "000,111,222,333".parse::<ColorMap>().unwrap().to_string(),
            "00:000000,55:111111,aa:222222,ff:333333"
        );
        assert_eq!("40:000,c0:fff".parse::<ColorMap>().unwrap().to_string(), "40:000000,c0:ffffff");
    }

    #[test]
    fn outside_the_end_nodes_their_colors_go_on() {
        let palette = "40:102030,c0:fff".parse::<ColorMap>().unwrap().palette(1.0);
        assert_eq!((palette[0], palette[63], palette[255]), ([16, 32, 48], [16, 32, 48], [255; 3]));
    }

    #[test]
    fn unknown_names_get_the_nearest() {
        let error = "coldhot".parse::<ColorMap>().unwrap_err();
        let PictureErrorKind::UnknownColorMap { nearest, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(nearest[0], "coldnhot");
    }

    #[test]
    fn broken_texts_are_errors() {
        use PictureErrorKind as Kind;
        let kind = |text: &str| text.parse::<ColorMap>().unwrap_err().kind().clone();
        let node = |text: &str, node: &str| Kind::ColorMapNode { text: text.into(), node: node.into() };
        let order = |text: &str, node| Kind::ColorMapOrder { text: text.into(), node };
        let cases = [
            ("000,", node("000,", "")),
            ("000,ff", node("000,ff", "ff")),
            ("000,100:fff", node("000,100:fff", "100:fff")),
            ("000,+f:fff", node("000,+f:fff", "+f:fff")),
            ("000,ünf", node("000,ünf", "ünf")),
            ("000,:fff", node("000,:fff", ":fff")),
            ("00:000", Kind::ColorMapTooShort { text: "00:000".into() }),
            ("80:000,40:fff", order("80:000,40:fff", 1)),
            ("000,ff:111,222", order("000,ff:111,222", 2)),
            ("000,1:111,222,2:333", order("000,1:111,222,2:333", 2)),
        ];
        for (text, expected) in cases {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn a_level_that_is_no_number_gives_the_middle() {
        assert_eq!(ColorMap::default().palette(f32::NAN), ColorMap::default().palette(0.0));
    }

    #[test]
    fn the_perceptual_map_changes_lightness_in_equal_steps_on_both_sides() {
        let palette = "balanced".parse::<ColorMap>().unwrap().palette(1.0);
        let light = |index: usize| lightness(palette[index.min(255)]);
        let mean = (light(128) - light(0)) / 8.0;
        for step in 0..8 {
            let left = light(16 * step + 16) - light(16 * step);
            let right = light(128 + 16 * step) - light(144 + 16 * step);
            for got in [left, right] {
                assert!((got - mean).abs() < LIGHTNESS_STEP_TOLERANCE * mean, "step {step}: {got} against {mean}");
            }
        }
    }
}

//! Attribution graphs as SVG: a golden file in `tests/pictures` (`GLOCAL_REGENERATE_GOLDENS=1` writes it anew), texts and
//! places.

#![allow(clippy::unwrap_used, reason = "a golden that cannot be read is a failed test")]

use std::path::PathBuf;

use glocal_kit::picture::{FlowBand, FlowCard, FlowColumn, FlowPicture};
use image::{Rgb, RgbImage};

fn column(title: &str, channels: usize) -> FlowColumn {
    FlowColumn { title: title.to_owned(), subtitle: format!("{channels} channels") }
}

fn card(column: usize, id: usize, share: f64, pictures: u8) -> FlowCard {
    let picture = |seed: u8| RgbImage::from_fn(8, 6, |x, y| Rgb([(x * 30) as u8, (y * 40) as u8, 60 * seed]));
    FlowCard { column, title: format!("channel {id}"), share, pictures: (0..pictures).map(picture).collect() }
}

/// A class, a block with a skip connection, and hostile names.
fn picture() -> FlowPicture {
    let band = |from, to, share| FlowBand { from, to, share };
    FlowPicture {
        title: "What <b>a \"cat\" & its tail</b> is made of".to_owned(),
        facts: vec!["Sample cat.png\u{1b}[31m, model model.onnx".to_owned()],
        sample: Some(RgbImage::from_pixel(40, 30, Rgb([200, 120, 40]))),
        columns: vec![
            column("classifier", 5),
            column("layer2.0.conv2 with a name that is far too long for its column", 64),
            column("layer2.0.conv1", 32),
            column("conv1", 16),
        ],
        cards: vec![
            card(0, 2, 0.4, 0),
            card(1, 17, 0.31, 3),
            card(1, 5, -0.12, 2),
            card(2, 30, 0.22, 4),
            card(2, 8, 0.0002, 0),
            card(3, 1, 0.5, 1),
        ],
        bands: vec![
            band(0, 1, 0.6),
            band(0, 2, -0.2),
            band(1, 3, 0.7),
            band(1, 4, 0.1),
            band(2, 3, -0.4),
            band(1, 5, 0.35),
            band(2, 5, -0.02),
            band(3, 5, 0.9),
            band(4, 5, 1.0),
        ],
        notes: vec!["A band's width is its share.".to_owned(), "A second line.".to_owned()],
    }
}

#[test]
fn a_graph_is_drawn_as_ever() {
    let svg = picture().to_svg().unwrap();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/pictures/flow.svg");
    if std::env::var_os("GLOCAL_REGENERATE_GOLDENS").is_some() {
        std::fs::write(&path, &svg).unwrap();
    }
    assert!(svg == std::fs::read_to_string(path).unwrap(), "flow.svg differs");
}

#[test]
fn names_are_text_and_nothing_is_loaded() {
    let svg = picture().to_svg().unwrap();
    assert!(
        svg.contains("What &lt;b&gt;a &quot;cat&quot; &amp; its tail&lt;/b&gt; is made of") && !svg.contains("<b>")
    );
    assert!(!svg.contains('\u{1b}') && !svg.contains("<script"));
    assert!(svg.split("href=\"").skip(1).all(|rest| rest.starts_with("data:image/png;base64,")));
    assert_eq!(svg.matches("<image").count(), 1 + 3 + 2 + 4 + 1);
}

/// The numbers of an attribute of all elements that start with `element`.
fn numbers(svg: &str, element: &str, attribute: &str) -> Vec<f64> {
    let of = |part: &str| part.split_once(attribute)?.1.split('"').next()?.parse().ok();
    svg.split(element).skip(1).filter_map(of).collect()
}

#[test]
fn thirty_cards_and_their_labels_do_not_overlap() {
    let mut picture =
        FlowPicture { columns: (0..4).map(|index| column(&format!("layer {index}"), 9)).collect(), ..picture() };
    (picture.cards, picture.bands) = (Vec::new(), Vec::new());
    for index in 0..30 {
        picture.cards.push(card([0, 1, 1, 2, 2, 2, 3, 3, 3, 3][index % 10], index, 0.3, (index % 5) as u8));
    }
    for from in 0..30 {
        for to in 0..30 {
            if (from * 7 + to * 5) % 4 == 0 {
                picture.bands.push(FlowBand { from, to, share: ((from + to) as f64 / 60.0) - 0.4 });
            }
        }
    }
    let svg = picture.to_svg().unwrap();
    let cards = "<rect class=\"c\"";
    let places: Vec<[f64; 4]> = numbers(&svg, cards, "x=\"")
        .into_iter()
        .zip(numbers(&svg, cards, "y=\""))
        .zip(numbers(&svg, cards, " width=\"").into_iter().zip(numbers(&svg, cards, "height=\"")))
        .map(|((x, y), (width, height))| [x, y, x + width, y + height])
        .collect();
    assert_eq!(places.len(), 30);
    let apart = |a: &[f64; 4], b: &[f64; 4]| a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
    for (index, a) in places.iter().enumerate() {
        assert!(places[..index].iter().all(|b| apart(a, b)), "{a:?}");
    }
    // Labels end before a card, one below the other.
    let mut labels: Vec<(i64, f64)> = numbers(&svg, "<text class=\"l\"", "x=\"")
        .into_iter()
        .zip(numbers(&svg, "<text class=\"l\"", "y=\""))
        .map(|(x, y)| (x as i64, y))
        .collect();
    labels.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    assert!(labels.len() > 60, "{}", labels.len());
    assert!(labels.windows(2).all(|pair| pair[0].0 != pair[1].0 || pair[1].1 - pair[0].1 > 11.0), "labels overlap");
}

#[test]
fn what_is_nowhere_is_left_out() {
    let mut picture = picture();
    picture.cards.push(card(9, 1, 0.1, 1));
    picture.bands.extend([(0, 6), (3, 1), (1, 2), (0, 99)].map(|(from, to)| FlowBand { from, to, share: 0.1 }));
    assert!(!FlowPicture::default().to_svg().unwrap().contains("NaN"));
    let svg = picture.to_svg().unwrap();
    assert_eq!(svg.matches("<text class=\"l\"").count(), 9);
    assert_eq!(svg.matches("<rect class=\"c\"").count(), 6);
}

//! The report as a whole: complete in itself, the same every time, and safe with hostile names.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a report that cannot be made is a failed test")]

use glocal_kit::picture::{ColorMap, Heatmap, HeatmapStyle};
use glocal_kit::report::{
    ConceptCard, ConservationRow, Explanation, LayerSection, Picture, Prediction, Reference, Report, Rest,
};
use glocal_kit::store::{Agreement, ConceptAgreement};
use image::{Rgb, RgbImage};

/// A name that would break out of element content, attributes, styles and scripts alike.
const HOSTILE: &str =
    "</title></style>\"'><script>alert(1)</script><img src=http://example.com/x onerror=alert(2)>&amp;\0";

fn picture(seed: u8) -> Picture {
    let image = RgbImage::from_fn(28, 28, |x, y| Rgb([seed, (x * 9) as u8, (y * 9) as u8]));
    Picture::new(&image, format!("sample {seed} {HOSTILE}")).unwrap()
}

fn heatmap(seed: usize) -> Picture {
    let values: Vec<f32> = (0..784).map(|index| (index % (seed + 3)) as f32 - 1.0).collect();
    Picture::new(&Heatmap::new(&values, 28, 28).unwrap().draw(&HeatmapStyle::default()), HOSTILE).unwrap()
}

fn agreement(name: &str) -> Agreement {
    let concept = |id, overlap, activation, relevance| ConceptAgreement { id, overlap, activation, relevance };
    Agreement {
        layer: name.to_owned(),
        concepts: vec![
            concept(0, Some(0.25), Some(2.0), Some(-0.5)),
            concept(1, Some(0.75), Some(4.0), Some(1.0)),
            concept(3, None, None, None),
        ],
        dead: 1,
        top_k: 4,
        samples: 40,
    }
}

fn report(name: &str) -> Report {
    let reference = |seed: u8| Reference {
        picture: picture(seed),
        region: Some(heatmap(seed.into())),
        caption: format!("{name} {seed}"),
    };
    let card = |channel: u8| ConceptCard {
        title: format!("channel {channel} {name}"),
        share: 0.3 - 0.2 * f32::from(channel),
        conditional_heatmap: heatmap(100 + usize::from(channel)),
        by_relevance: (0..8).map(|rank| reference(40 * channel + rank)).collect(),
        by_activation: (4..12).map(|rank| reference(40 * channel + rank)).collect(),
    };
    let layer = |layer: &str| LayerSection {
        layer: format!("{layer} {name}"),
        count: 40,
        concepts: (0..3).map(card).collect(),
        rest: Some(Rest { count: 37, supporting: 0.375, opposing: -0.125, conditional_heatmap: heatmap(300) }),
    };
    let prediction = |score: f32, is_target| Prediction {
        name: name.to_owned(),
        score,
        probability: Some(1.0 / (1.0 + (-score).exp())),
        is_target,
    };
    let row = ConservationRow {
        name: name.to_owned(),
        relevance_in: 2.0,
        relevance_out: 1.5,
        bias: 0.25,
        stabilizer: 1e-6,
        definition: 0.0,
        masked: 0.0,
        beside: 0.0,
    };
    Report {
        title: name.to_owned(),
        subtitle: name.to_owned(),
        facts: vec![(name.to_owned(), name.to_owned())],
        color_map: ColorMap::default(),
        explanation: Some(Explanation {
            sample_name: name.to_owned(),
            image: picture(0),
            heatmap: heatmap(200),
            overlay: Some(picture(201)),
            predictions: vec![prediction(3.0, true), prediction(-1.0, false)],
            layers: vec![layer("features.3"), layer("features.0")],
            concept_conservation: vec![ConservationRow { masked: 0.125, bias: 0.125, ..row.clone() }],
            conservation: vec![row],
        }),
        agreements: vec![agreement(name)],
        notes: vec![name.to_owned()],
    }
}

fn explanation_of(report: &mut Report) -> &mut Explanation {
    report.explanation.as_mut().unwrap()
}

/// The rows of the figure that takes the prediction apart.
fn levels(html: &str) -> Vec<&str> {
    let (_, figure) = html.split_once("<div class=\"levels\">").unwrap();
    let (figure, _) = figure.split_once("</div>\n</div>\n</section>").unwrap();
    figure.split("<section>").skip(1).collect()
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    assert_eq!(report("ankle boot").to_html(), report("ankle boot").to_html());
}

#[test]
fn names_stay_text_whatever_they_contain() {
    let html = report(HOSTILE).to_html();
    for forbidden in ["<script", "onerror=alert(2)>", "</style>\"", "\0", "http://example.com/x onerror=alert(2)>"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    let tags = |html: &str| html.matches('<').count();
    assert_eq!(tags(&html), tags(&report("ankle boot").to_html()));
    let escaped = "&lt;/title&gt;&lt;/style&gt;&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
    // Title twice, subtitle, fact, sample, target, predictions, layers and their links, concepts twice, captions, balance, notes.
    assert!(html.matches(escaped).count() > 100, "{}", html.matches(escaped).count());
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let html = report("ankle boot").to_html();
    for attribute in ["src=\"", "href=\""] {
        for rest in html.split(attribute).skip(1) {
            assert!(rest.starts_with("data:image/") || rest.starts_with('#'), "{attribute}{}", &rest[..40]);
        }
    }
    for loading in ["url(", "@import", "<link", "<script", "<iframe", "<object"] {
        assert!(!html.contains(loading), "{loading}");
    }
}

#[test]
fn every_element_is_closed_and_every_link_has_its_target() {
    let html = report("ankle boot").to_html();
    for element in [
        "html",
        "body",
        "main",
        "section",
        "article",
        "figure",
        "figcaption",
        "table",
        "tr",
        "td",
        "div",
        "svg",
        "p",
        "dl",
    ] {
        let opened = html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
        assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
    }
    let links: Vec<&str> = html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert!(links.len() > 2);
    for link in links {
        assert_eq!(html.matches(&format!(" id=\"{link}\"")).count(), 1, "{link}");
    }
}

#[test]
fn a_picture_is_embedded_once_however_often_it_is_shown() {
    let html = report("ankle boot").to_html();
    let mut embedded: Vec<&str> = html.split("=\"data:").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = embedded.len();
    embedded.sort_unstable();
    embedded.dedup();
    assert_eq!(embedded.len(), all);
    // Sample, heatmap, overlay; the root of the figure of all layers; in each of two layers three concepts and all others in
    // that figure, and cards of three with a heatmap and twice eight samples with regions.
    let shown = 3 + 1 + 2 * (3 + 1) + 2 * 3 * (1 + 2 * 8 * 2);
    let elements = ["class=\"picture\"", "class=\"picture pixels\""];
    assert_eq!(elements.map(|element| html.matches(element).count()).iter().sum::<usize>(), shown);
    assert!(all < shown);
}

#[test]
fn all_parts_are_optional() {
    let empty = Report::default().to_html();
    assert!(empty.starts_with("<!DOCTYPE html>") && !empty.contains("<section"));
    let mut bare = report("boot");
    let explanation = explanation_of(&mut bare);
    explanation.predictions.clear();
    explanation.overlay = None;
    explanation.conservation.clear();
    explanation.concept_conservation.clear();
    explanation.layers = vec![LayerSection { layer: "fc".into(), count: 0, concepts: Vec::new(), rest: None }];
    let html = bare.to_html();
    assert!(html.contains("<code>fc</code>") && !html.contains("<table"));
    explanation_of(&mut bare).layers.clear();
    let html = bare.to_html();
    assert!(!html.contains("class=\"made\"") && !html.contains("stand for"));
}

#[test]
fn numbers_out_of_range_do_not_break_the_page() {
    let mut odd = report("boot");
    let explanation = odd.explanation.as_mut().unwrap();
    let probabilities = [Some(f32::NAN), Some(7.0), Some(-3.0), None];
    explanation.predictions = probabilities
        .map(|probability| Prediction { name: "x".into(), score: f32::INFINITY, probability, is_target: false })
        .into();
    explanation.layers[0].concepts[0].share = f32::NAN;
    explanation.layers[0].concepts[1].share = f32::NEG_INFINITY;
    let html = odd.to_html();
    for width in html.split("style=\"width:").skip(1).map(|rest| rest.split('%').next().unwrap()) {
        assert!((0.0..=100.0).contains(&width.parse::<f64>().unwrap()), "{width}");
    }
    assert!(html.contains("not a number") && html.contains('∞'));
}

#[test]
fn unaccounted_relevance_is_marked() {
    let html = report("boot").to_html();
    assert!(html.contains("<td class=\"number warning\">0.2500</td>"));
}

#[test]
fn what_was_dropped_has_a_column_where_there_is_any() {
    let html = report("boot").to_html();
    let tables: Vec<&str> = html.split("<table class=\"balance\">").skip(1).collect();
    assert_eq!(tables.len(), 2);
    assert!(tables[0].contains(">arrives<") && !tables[0].contains(">mask<"));
    assert!(tables[1].contains(">reaches the pixels<") && tables[1].contains(">mask<"));
    assert!(!html.contains(">beside<"));
}

#[test]
fn a_prediction_is_taken_apart_into_bars_of_one_scale_that_make_the_whole() {
    let html = report("boot").to_html();
    let levels = levels(&html);
    assert_eq!(levels.len(), 2);
    for level in levels {
        // 0.3 + 0.1 + 0.1 for the concepts, 0.375 + 0.125 for all others.
        let widths = level.split("style=\"width:").skip(1).map(|rest| rest.split('%').next().unwrap());
        let widths: Vec<f64> = widths.map(|width| width.parse().unwrap()).collect();
        assert_eq!(widths, [80.0, 26.7, 26.7, 100.0, 33.3]);
        let whole = widths.iter().sum::<f64>() / 100.0 * 0.375;
        assert!((whole - 1.0).abs() < 1e-3, "{whole}");
        let sides: Vec<&str> = level.split("<i class=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(sides, ["for", "for", "against", "for", "against"]);
        for words in ["3 of 40 concepts, 50.0 % of the whole", "all other 37 concepts", "+37.5 %", "−12.5 %", "−10.0 %"]
        {
            assert!(level.contains(words), "{words}");
        }
        assert_eq!(level.matches("class=\"picture").count(), 4);
        assert!(level.matches(" alt=\"").count() + level.matches(" aria-label=\"").count() == 4);
    }
}

#[test]
fn what_is_left_is_named_by_its_number() {
    let mut report = report("boot");
    let layers = &mut explanation_of(&mut report).layers;
    let rest = layers[0].rest.as_mut().unwrap();
    (rest.count, rest.supporting, rest.opposing) = (1, 0.0, 0.0);
    layers[1].rest = None;
    let html = report.to_html();
    let levels = levels(&html);
    assert!(levels[0].contains("the other concept</b> <span>0.0 %</span>"), "{}", levels[0]);
    assert!(!levels[1].contains("other") && levels[1].contains("<small>3 of 40 concepts</small>"));
}

#[test]
fn photographs_are_embedded_as_such() {
    let photo =
        RgbImage::from_fn(200, 150, |x, y| Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, (x * y % 256) as u8]));
    let mut report = report("boot");
    report.explanation.as_mut().unwrap().image = Picture::photograph(&photo, "a photograph").unwrap();
    assert!(
        report
            .to_html()
            .contains("width=\"200\" height=\"150\" alt=\"a photograph\" src=\"data:image/jpeg;base64,/9j/")
    );
}

#[test]
fn the_most_relevant_samples_are_compared_with_the_most_active_ones() {
    let html = report("layer").to_html();
    for text in [
        "<b>50.0 %</b> of the best 4 samples are the same",
        "10.0 % by chance, of 40 samples",
        "correlate with <b>1.000</b>",
        "1 concept never has a positive score",
        "mean relevance, −0.5000 to 1.000",
    ] {
        assert!(html.contains(text), "{text}");
    }
    // A point for each concept of which both means are known, on either side of zero.
    assert_eq!(html.matches("<circle").count(), 2);
    assert_eq!(html.matches("<circle class=\"against\"").count(), 1);
    let without = Report { agreements: Vec::new(), ..report("layer") }.to_html();
    assert!(!without.contains("Most relevant, or most active"));
}

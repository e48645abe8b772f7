//! The explained sample: prediction, heatmap, concepts and the balance of relevance.

use super::album::Album;
use super::concepts;
use super::disentangled;
use super::text::{escape, number, percent};
use super::{ConservationRow, Explanation, Picture, Prediction};

/// Part of the arriving relevance that may stay unaccounted without a mark: float32 sums over a whole layer.
const UNREMARKABLE: f64 = 1e-3;

pub(super) fn write(explanation: &Explanation, album: &Album<'_>) -> String {
    let conservation = conservation(&explanation.conservation, &explanation.concept_conservation);
    let overview = overview(explanation, album);
    let disentangled = disentangled::write(explanation, album);
    let concepts = concepts::write(&explanation.layers, album);
    format!("{overview}{disentangled}{concepts}{conservation}")
}

fn overview(explanation: &Explanation, album: &Album<'_>) -> String {
    let target = explanation.predictions.iter().find(|prediction| prediction.is_target);
    let target = target.map_or_else(|| "the target".to_owned(), |target| format!("<b>{}</b>", escape(&target.name)));
    let figure = |picture: &Picture, caption: &str| {
        format!("<figure>{}<figcaption>{caption}</figcaption></figure>\n", album.show(picture))
    };
    let overlay =
        explanation.overlay.as_ref().map(|picture| figure(picture, "Heatmap over the sample")).unwrap_or_default();
    let sample = figure(&explanation.image, &escape(&explanation.sample_name));
    let heatmap = figure(&explanation.heatmap, "Heatmap");
    format!(
        "<section>\n<h2>Prediction</h2>\n\
         <p class=\"how\">The heatmap shows which pixels speak for {target} and which against it. Each heatmap of this page \
         has a scale of its own: colors tell where relevance is, not how much there is in all.</p>\n\
         <div class=\"overview\">\n<div class=\"pictures\">\n<div class=\"figures\">\n{sample}{heatmap}{overlay}</div>\n\
         <div class=\"legend\" role=\"img\" aria-label=\"Colors of the heatmaps, from against to for\">\
         <span>against</span><i></i><span>for</span></div>\n</div>\n{}</div>\n</section>\n",
        predictions(&explanation.predictions),
    )
}

fn predictions(predictions: &[Prediction]) -> String {
    if predictions.is_empty() {
        return String::new();
    }
    let probabilities = predictions.iter().any(|prediction| prediction.probability.is_some());
    let head = if probabilities { "<th class=\"number\">probability</th><th></th>" } else { "" };
    let rows: String = predictions
        .iter()
        .map(|prediction| {
            let (class, mark) = match prediction.is_target {
                true => (" class=\"target\"", " <span class=\"tag\">explained</span>"),
                false => ("", ""),
            };
            let probability = match prediction.probability {
                Some(value) => format!(
                    "<td class=\"number\">{}</td><td class=\"bar\"><i style=\"width:{:.1}%\"></i></td>",
                    percent(value),
                    within(f64::from(value), 0.0, 1.0) * 100.0
                ),
                None if probabilities => "<td></td><td></td>".to_owned(),
                None => String::new(),
            };
            format!(
                "<tr{class}><th scope=\"row\">{}{mark}</th><td class=\"number\">{}</td>{probability}</tr>\n",
                escape(&prediction.name),
                number(f64::from(prediction.score)),
            )
        })
        .collect();
    format!(
        "<table class=\"predictions\">\n<thead><tr><th>class</th><th class=\"number\">score</th>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn conservation(layers: &[ConservationRow], concepts: &[ConservationRow]) -> String {
    if layers.is_empty() && concepts.is_empty() {
        return String::new();
    }
    let whole = match layers {
        [] => String::new(),
        layers => format!(
            "<p class=\"how\">From the output to the input: the relevance that arrives at each layer, what it hands on, and \
             what stays behind. A part without an explanation is marked when it exceeds a thousandth of what arrives.</p>\n{}",
            balance(["layer", "arrives", "handed on"], layers)
        ),
    };
    let through = match concepts {
        [] => String::new(),
        concepts => format!(
            "<h3>Through one concept alone</h3>\n\
             <p class=\"how\">The same for each conditional heatmap, over all layers: relevance starts for the target, at the \
             concept's layer a mask drops all but the concept's, and what runs beside that layer is dropped too.</p>\n{}",
            balance(["concept", "starts", "reaches the pixels"], concepts)
        ),
    };
    format!("<section>\n<h2>Where the relevance went</h2>\n{whole}{through}</section>\n")
}

/// A table of balances under the headings of its first three columns. What nothing was dropped by has no column.
fn balance([name, starts, ends]: [&str; 3], rows: &[ConservationRow]) -> String {
    type Part = (&'static str, fn(&ConservationRow) -> f64);
    let parts: [Part; 5] = [
        ("bias", |row| row.bias),
        ("stabilizer", |row| row.stabilizer),
        ("rule", |row| row.definition),
        ("mask", |row| row.masked),
        ("beside", |row| row.beside),
    ];
    let is_shown = |(at, (_, part)): &(usize, Part)| *at < 3 || rows.iter().any(|row| part(row) != 0.0);
    let parts: Vec<Part> = parts.into_iter().enumerate().filter(is_shown).map(|(_, part)| part).collect();
    let head: String = parts.iter().map(|(title, _)| format!("<th class=\"number\">{title}</th>")).collect();
    let body: String = rows
        .iter()
        .map(|row| {
            let values =
                [row.relevance_in, row.relevance_out].into_iter().chain(parts.iter().map(|(_, part)| part(row)));
            let cells: String = values.map(|value| format!("<td class=\"number\">{}</td>", number(value))).collect();
            let unaccounted = row.unaccounted();
            let fine = unaccounted.abs() <= UNREMARKABLE * row.relevance_in.abs();
            let class = if fine { "number" } else { "number warning" };
            format!(
                "<tr><th scope=\"row\"><code>{}</code></th>{cells}<td class=\"{class}\">{}</td></tr>\n",
                escape(&row.name),
                number(unaccounted)
            )
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"balance\">\n<thead><tr><th>{name}</th><th class=\"number\">{starts}</th>\
         <th class=\"number\">{ends}</th>{head}<th class=\"number\">unaccounted</th></tr></thead>\n\
         <tbody>\n{body}</tbody>\n</table></div>\n"
    )
}

/// `low` for NaN.
pub(super) fn within(value: f64, low: f64, high: f64) -> f64 {
    value.max(low).min(high)
}

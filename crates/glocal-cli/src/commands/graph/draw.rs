//! The graph as a picture, with the reference samples of its concepts.

use glocal::attribution::Cancel;
use glocal::flow::{AttributionGraph, Path};
use glocal::search::{Entry, Measure};
use glocal_kit::explain::{View, ViewStyle, Wanted};
use glocal_kit::picture::{FlowBand, FlowCard, FlowColumn, FlowPicture};
use glocal_kit::store::StoreErrorKind;
use image::RgbImage;

use super::Plan;
use super::summary::Summary;
use crate::failure::Failure;
use crate::predictions::Predictions;

/// The samples that each node was most useful for, the best first; none without a store, or for layers that it lacks.
pub fn references(plan: &Plan, graph: &AttributionGraph) -> Result<Vec<Vec<Entry>>, Failure> {
    let Some(stored) = &plan.stored else { return Ok(Vec::new()) };
    let explained = plan.loaded.model.explained();
    let of_node = |node: &glocal::flow::Node| {
        if plan.loaded.model.layer(&node.layer).is_ok_and(|layer| layer == explained) {
            return Ok(Vec::new());
        }
        let ranks = 0..FlowPicture::PICTURES;
        match stored.store.references(&node.layer, node.concept, Measure::Relevance, None, ranks) {
            // What a sample is not for says nothing about the concept.
            Ok(entries) => Ok(entries.into_iter().filter(|entry| entry.score > 0.0).collect()),
            Err(error) if matches!(error.kind(), StoreErrorKind::Layer { .. }) => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    };
    graph.nodes.iter().map(of_node).collect()
}

/// The picture.
pub fn picture(summary: &Summary<'_>, cancel: &Cancel) -> Result<FlowPicture, Failure> {
    let (plan, graph) = (summary.plan, summary.graph);
    let mut pictures = pictures(summary, cancel)?.into_iter();
    let column = |layer: &str| graph.layers.iter().position(|known| known.name == layer).unwrap_or(0);
    let cards = graph.nodes.iter().enumerate().map(|(index, node)| {
        let count = summary.references.get(index).map_or(0, Vec::len);
        FlowCard {
            column: column(&node.layer),
            title: summary.concept(node),
            share: node.share,
            pictures: pictures.by_ref().take(count).collect(),
        }
    });
    let cards: Vec<FlowCard> = cards.collect();
    let is_explained = |layer: &str| plan.loaded.model.layer(layer).is_ok_and(|id| id == plan.loaded.model.explained());
    let columns = graph.layers.iter().map(|layer| FlowColumn {
        title: layer.name.clone(),
        subtitle: match is_explained(&layer.name) {
            true => format!("output, {} classes", layer.concepts),
            false => format!("{} channels", layer.concepts),
        },
    });
    let root = graph.nodes.first().map(|node| (summary.concept(node), node.layer.clone())).unwrap_or_default();
    let (title, of) = match summary.target {
        _ if is_explained(&root.1) => (format!("What {} is made of", root.0), "the class"),
        Some(class) => (format!("What {} of {} is made of, for {}", root.0, root.1, summary.class(class)), "the root"),
        None => (format!("What makes {} of {} active", root.0, root.1), "the root"),
    };
    let way = match summary.request.path {
        Path::Whole => "come through the concepts of the graph above it",
        Path::RootAndCurrent => "come from the root through the concept on its left, by whatever way between them",
        Path::Masked => "come from the root, with what flows beside the concept on its left in parallel branches",
    };
    let mut notes = vec![
        format!(
            "A concept's percentage: its relevance for {of}, of all relevance in its layer (sizes added). Bars: relative to the column's largest."
        ),
        "A band's percentage: of all that the concept on its left hands to that layer (sizes added), what goes to the one on its right."
            .to_owned(),
        format!("Widths are relative to the widest band. What a band shows has {way}."),
    ];
    if summary.references.iter().any(|found| !found.is_empty()) {
        notes.push(
            "The pictures are the samples of the store that the concept was most useful for, darkened where it is not."
                .to_owned(),
        );
    }
    let file = plan.model_name.clone();
    let predicted = summary.predictions.first().map(Predictions::text).unwrap_or_default();
    let predicted = predicted.lines().next().map(|line| format!(", which the model takes for {}", line.trim()));
    let facts = vec![
        format!("Sample {}{}", plan.sample.0, predicted.unwrap_or_default()),
        format!("Model {file}, rules {}, Glocal {}", plan.attributor.composite().name(), env!("CARGO_PKG_VERSION")),
    ];
    Ok(FlowPicture {
        title,
        facts,
        sample: plan.sample.1.clone(),
        columns: columns.collect(),
        cards,
        bands: graph.edges.iter().map(|edge| FlowBand { from: edge.from, to: edge.to, share: edge.share }).collect(),
        notes,
    })
}

/// The reference samples of all nodes, one node's after the other's.
fn pictures(summary: &Summary<'_>, cancel: &Cancel) -> Result<Vec<RgbImage>, Failure> {
    let Some(stored) = &summary.plan.stored else { return Ok(Vec::new()) };
    let of_node = |(node, entries): (&glocal::flow::Node, &Vec<Entry>)| -> Vec<Wanted> {
        let wanted = |entry| Wanted::channel(entry, Measure::Relevance, &node.layer, node.concept);
        entries.iter().map(wanted).collect()
    };
    let wanted: Vec<Wanted> = summary.graph.nodes.iter().zip(summary.references).flat_map(of_node).collect();
    let views = stored.explainer(cancel).views(&wanted)?;
    let style = ViewStyle::default();
    Ok(views.iter().map(|view| view.draw(View::Masked, &style)).collect::<Result<_, _>>()?)
}

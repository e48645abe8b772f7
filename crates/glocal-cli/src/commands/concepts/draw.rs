//! The pictures: conditional heatmaps, and one sheet for each layer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use glocal::attribution::{Condition, Request, Trace};
use glocal::concept::Selection;
use glocal_compute::Tensor;
use glocal_kit::explain::Sample as Seen;
use glocal_kit::picture::{LocalConcept, LocalPicture, LocalRow};
use image::RgbImage;

use super::Plan;
use super::summary::{Concept, Layer, Part, percent};
use crate::failure::Failure;
use crate::output::file_name_part;
use crate::pictures::Pictures;

/// The most regions that a sheet shows, so that it is no larger than pictures may be.
const SHEET_REGIONS: usize = 24;

/// The most concepts of a region that a sheet shows, and of all regions together.
const SHEET_CONCEPTS: (usize, usize) = (16, 320);

/// A sample whose concepts are drawn.
pub struct Drawn<'a> {
    /// What it is called, for people and in file names.
    pub name: &'a str,
    /// What is explained.
    pub target: &'a str,
    /// What the model sees, where it is a picture.
    pub view: Option<&'a RgbImage>,
    /// The same, or what comes nearest: a picture in any case.
    pub picture: RgbImage,
    /// The heatmap of the target.
    pub heatmap: Tensor,
}

impl<'a> Drawn<'a> {
    /// The sample `batch`, the only one of it.
    pub fn new(
        (name, target): (&'a str, &'a str),
        batch: &Tensor,
        view: Option<&'a RgbImage>,
        heatmap: Tensor,
    ) -> Result<Self, Failure> {
        let picture = match view {
            Some(view) => view.clone(),
            None => Seen::from_array(name, batch.reshape(batch.sample_shape()).map_err(Failure::work)?)?.picture,
        };
        Ok(Self { name, target, view, picture, heatmap })
    }
}

impl Plan {
    /// Draws the conditional heatmap of each concept of a layer, once however many regions list it, and the sheet.
    pub fn draw(
        &self,
        trace: &Trace<'_>,
        layer: &mut Layer,
        sample: &Drawn<'_>,
        pictures: &mut Pictures,
    ) -> Result<(), Failure> {
        let target = self.request.conditions.first().cloned().unwrap_or_else(Condition::predicted);
        let mut ids: Vec<usize> = Vec::new();
        for concept in layer.parts.iter().flat_map(|part| &part.concepts) {
            if !ids.contains(&concept.id) {
                ids.push(concept.id);
            }
        }
        let through = |&id: &usize| target.clone().through(&layer.name, Selection::channels([id]));
        let conditions = ids.iter().map(through).collect();
        let found = trace.attribute(&Request { conditions, record: Vec::new(), ..self.request.clone() })?;
        let prefix = format!("{}__{}", file_name_part(sample.name), file_name_part(&layer.name));
        let mut heatmaps: BTreeMap<usize, (Tensor, Vec<PathBuf>)> = BTreeMap::new();
        for (id, item) in ids.into_iter().zip(&found.items) {
            if let Some(heatmap) = item.heatmap() {
                let files = pictures.draw(&format!("{prefix}__channel-{id}"), &heatmap, sample.view)?;
                heatmaps.insert(id, (heatmap, files));
            }
        }
        for concept in layer.parts.iter_mut().flat_map(|part| &mut part.concepts) {
            concept.files = heatmaps.get(&concept.id).map(|(_, files)| files.clone()).unwrap_or_default();
        }
        let sheet = self.sheet(layer, sample, &heatmaps).draw()?;
        layer.sheet = Some(pictures.write(&format!("{prefix}__concepts"), &sheet)?);
        Ok(())
    }

    fn sheet<'s>(
        &'s self,
        layer: &'s Layer,
        sample: &'s Drawn<'_>,
        heatmaps: &'s BTreeMap<usize, (Tensor, Vec<PathBuf>)>,
    ) -> LocalPicture<'s> {
        let regions = layer.parts.len().clamp(1, SHEET_REGIONS);
        let (each, all) = SHEET_CONCEPTS;
        let concept = |concept: &Concept| {
            let (heatmap, _) = heatmaps.get(&concept.id)?;
            let label = format!("channel {}   {}", concept.id, percent(concept.share));
            Some(LocalConcept { label, heatmap: heatmap.data() })
        };
        let row = |part: &Part| {
            let region = part.region.and_then(|index| self.regions.get(index));
            let title = match (region, part.held) {
                (Some(region), Some(held)) => {
                    format!("{} holds {:.1} % of the layer's relevance", region.name, 100.0 * held)
                }
                _ => "Of the whole picture".to_owned(),
            };
            LocalRow {
                title,
                region: region.map(|region| (&region.region, region.name.clone())),
                concepts: part.concepts.iter().take(each.min(all / regions)).filter_map(concept).collect(),
            }
        };
        LocalPicture {
            title: format!("The most relevant of {} channels of {}, for {}", layer.count, layer.name, sample.target),
            sample: &sample.picture,
            sample_label: sample.name.to_owned(),
            heatmap: sample.heatmap.data(),
            heatmap_label: format!("heatmap of {}", sample.target),
            rows: layer.parts.iter().take(regions).map(row).collect(),
            notes: self.notes(),
            color_map: self.color_map.clone(),
        }
    }

    /// What the numbers and colors of a sheet are.
    fn notes(&self) -> Vec<String> {
        let composite = self.attributor.composite().name();
        let regions = !self.regions.is_empty();
        let shares = match regions {
            true => {
                "Percentages are shares: a channel's relevance at the layer's positions in the region, divided by the sum of the \
                 sizes of all channels' relevances there. What a region holds: the relevance of all its positions and \
                 channels, sizes added, as a part of the layer's."
            }
            false => {
                "Percentages are shares: a channel's relevance, divided by the sum of the sizes of all channels' relevances."
            }
        };
        let (pixels, least) = match regions {
            true => ("pixels in the region", " (a quarter of that of the whole picture, if that is more)"),
            false => ("pixels", ""),
        };
        vec![
            shares.to_owned(),
            format!(
                "Heatmaps show where the relevance that flows through the channel alone comes from. Those of a row share one \
                 scale: what a hundredth of the {pixels} exceed in the strongest of them{least} has the full color. The \
                 target's heatmap has its own."
            ),
            format!("Model {}, rules {composite}, Glocal {}.", self.model_name, env!("CARGO_PKG_VERSION")),
        ]
    }
}

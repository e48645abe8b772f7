//! Prototypes as pictures: samples, where in them concepts are, and what concepts stand for.

use glocal::attribution::{Cancel, Condition, Request};
use glocal::concept::Selection;
use glocal::prototype::{ClassPrototypes, largest};
use glocal::search::{Measure, SampleId};
use glocal_compute::Tensor;
use glocal_kit::explain::{ConceptView, Origin, Part, Sample, View, ViewStyle, Wanted, caption_number};
use glocal_kit::loading::Inputs;
use glocal_kit::picture::{Block, Cell, ColorMap, ContactSheet, Row, SheetStyle, is_photograph};
use image::RgbImage;

use super::judged::Judged;
use super::key;
use super::summary::{Words, counted, too_few};
use crate::failure::Failure;
use crate::stored::Stored;

/// The longest side, in pixels, of a sample in the picture.
const CELL: u32 = 128;

/// There is room for "channel: share (difference)" below it.
const LABEL: u32 = 148;

/// The most prototypes that a picture shows, the largest ones.
const SHOWN: usize = 24;

/// How many concepts are shown that a prototype has more of than others, beside its most relevant ones.
const CONTRASTS: usize = 2;

/// What draws.
pub struct Pen<'a> {
    pub stored: &'a Stored,
    pub words: &'a Words<'a>,
    pub color_map: &'a ColorMap,
    pub cancel: &'a Cancel,
}

impl Pen<'_> {
    /// The prototypes of a class.
    pub fn class(&self, prototypes: &ClassPrototypes) -> Result<ContactSheet, Failure> {
        let class = prototypes.class();
        let mut blocks = Vec::new();
        for (index, prototype) in prototypes.prototypes().iter().enumerate().take(SHOWN) {
            let mut ids = largest(&prototype.mean, self.words.concepts);
            let most = ids.len();
            let more = largest(&prototype.contrast, self.words.concepts).into_iter().filter(|id| !ids.contains(id));
            let more: Vec<usize> = more.take(CONTRASTS).collect();
            ids.extend(more);
            let views = self.of_sample(class, prototype.sample, &ids)?;
            let contrast = |id: usize| match prototypes.prototypes().len() {
                1 => String::new(),
                // One percent sign is enough for both.
                _ => format!(" ({})", self.words.signed(prototype.contrast[id]).trim_end_matches(" %")),
            };
            let label = |id: usize| format!("{id}: {}{}", self.words.number(prototype.mean[id]), contrast(id));
            let mut columns = vec![key(self.words.samples, prototype.sample.0).to_owned()];
            columns.extend(
                (0..ids.len()).map(|place| if place < most { "most relevant" } else { "more than others" }.to_owned()),
            );
            blocks.push(Block {
                title: format!(
                    "Prototype {index}: {:.1} % of the class, {}",
                    prototype.weight * 100.0,
                    counted(prototype.members)
                ),
                columns,
                rows: vec![self.row("nearest sample", &views, &ids, label)?, self.references(views.first(), &ids)?],
                ..Block::default()
            });
        }
        let note = "Upper rows: the sample nearest to the centre of the cluster, and the relevance for the class in it that flows through each channel, with \
                    the channel's mean relevance in the cluster, and in brackets by how much that is above the class's other clusters. Lower rows: all \
                    relevance for the class in the sample, and for each channel the sample of the data set that it is most useful for, darkened \
                    where the channel is not.";
        Ok(ContactSheet {
            title: format!(
                "{}: {}, layer {}",
                self.words.class(class),
                counted(prototypes.samples()),
                self.words.layer
            ),
            blocks,
            notes: std::iter::once(note.to_owned()).chain(too_few(prototypes)).collect(),
            style: style(),
            ..ContactSheet::default()
        })
    }

    /// An input beside the prototype that it is nearest to.
    pub fn input(
        &self,
        inputs: &Inputs,
        judged: &Judged,
        prototypes: &ClassPrototypes,
    ) -> Result<ContactSheet, Failure> {
        let ids = judged.differing(self.words.concepts);
        let picture = match inputs.views.first().cloned().flatten() {
            Some(view) => view,
            None => {
                let input = inputs.batch.reshape(inputs.batch.sample_shape()).map_err(Failure::work)?;
                Sample::from_array(&judged.name, input)?.picture
            }
        };
        let class = judged.predicted;
        let heatmaps = self.heatmaps(&inputs.batch, class, &ids, &picture)?;
        let picture = std::sync::Arc::new(picture);
        let views: Vec<ConceptView> = heatmaps
            .into_iter()
            .map(|heatmap| ConceptView { picture: picture.clone(), heatmap, series: None, slice: None })
            .collect();
        let own = |id: usize| format!("{id}: {}", self.words.number(judged.relevance[id].into()));
        let whole = views.first().cloned();
        let mut rows = vec![self.row("input", &views, &ids, own)?];
        let (p_value, word) = judged.verdict();
        let title = format!("{}: {}, p = {p_value}", judged.name, self.words.class(class));
        // A title has one line, and there may be few columns.
        let mut notes: Vec<String> = (!word.is_empty()).then(|| format!("Verdict: {word}.")).into_iter().collect();
        if let Some(judgement) = &judged.judgement {
            let prototype = &prototypes.prototypes()[judgement.nearest];
            let views = self.of_sample(class, prototype.sample, &ids)?;
            let mean = |id: usize| format!("{id}: mean {}", self.words.number(prototype.mean[id]));
            rows.push(self.row(&format!("prototype {}", judgement.nearest), &views, &ids, mean)?);
        }
        rows.push(self.references(whole.as_ref(), &ids)?);
        let note = "The channels in which the input differs most from the prototype, with their relevance in the input and the mean of the prototype; all relevance is the input's. p is \
                    the part of the class's own samples that are at least as unlikely.";
        notes.push(note.to_owned());
        Ok(ContactSheet {
            title,
            blocks: vec![Block { rows, ..Block::default() }],
            notes,
            style: style(),
            ..ContactSheet::default()
        })
    }

    /// The whole heatmap of a class in a stored sample, then those through channels.
    fn of_sample(&self, class: u32, sample: SampleId, ids: &[usize]) -> Result<Vec<ConceptView>, Failure> {
        let parts = std::iter::once(Part::Whole).chain(ids.iter().map(|id| Part::Channel(*id)));
        let layer = || self.words.layer.to_owned();
        let wanted = parts.map(|part| Wanted { layer: layer(), origin: Origin::Class(class), sample, part });
        Ok(self.stored.explainer(self.cancel).views(&wanted.collect::<Vec<_>>())?)
    }

    /// The same in a sample of no store.
    fn heatmaps(
        &self,
        input: &Tensor,
        class: u32,
        ids: &[usize],
        picture: &RgbImage,
    ) -> Result<Vec<Vec<f32>>, Failure> {
        let whole = Condition::class(class as usize);
        let through = |id: &usize| whole.clone().through(self.words.layer, Selection::channels([*id]));
        let conditions = std::iter::once(whole.clone()).chain(ids.iter().map(through)).collect();
        let request = Request { conditions, rows_at_once: 8, cancel: self.cancel.clone(), ..Request::default() };
        let found = self.stored.explainer(self.cancel).attributor.attribute(input, &request)?;
        let size = picture.width() as usize * picture.height() as usize;
        let heatmap = |map: Option<Tensor>| map.map_or_else(|| vec![0.0; size], Tensor::into_data);
        Ok(found.items.iter().map(|item| heatmap(item.heatmap())).collect())
    }

    /// A sample and its conditional heatmaps; `views` starts with the whole.
    fn row(
        &self,
        title: &str,
        views: &[ConceptView],
        ids: &[usize],
        label: impl Fn(usize) -> String,
    ) -> Result<Row, Failure> {
        let mut cells = Vec::with_capacity(views.len());
        if let Some(view) = views.first() {
            cells.push(Cell::new(view.draw(View::Image, &self.style())?, ""));
        }
        for (view, id) in views.iter().skip(1).zip(ids) {
            cells.push(Cell::new(self.heatmap(view)?, label(*id)));
        }
        Ok(Row { title: title.to_owned(), cells, ..Row::default() })
    }

    /// The whole heatmap of a class, then the best reference sample of each channel.
    fn references(&self, whole: Option<&ConceptView>, ids: &[usize]) -> Result<Row, Failure> {
        let mut cells = Vec::with_capacity(ids.len() + 1);
        if let Some(view) = whole {
            cells.push(Cell::new(self.heatmap(view)?, "all relevance"));
        }
        let (mut wanted, mut labels) = (Vec::new(), Vec::new());
        for id in ids {
            let entries = self.stored.store.references(self.words.layer, *id, Measure::Relevance, None, 0..1)?;
            // What a sample is not for says nothing about the concept.
            let best = entries.into_iter().find(|entry| entry.score > 0.0);
            labels.push(best.map(|entry| {
                wanted.push(Wanted::channel(&entry, Measure::Relevance, self.words.layer, *id));
                format!("{} {}", self.words.class(entry.target), caption_number(entry.score))
            }));
        }
        let mut views = self.stored.explainer(self.cancel).views(&wanted)?.into_iter();
        for label in labels {
            cells.push(match label.and_then(|label| Some((label, views.next()?))) {
                Some((label, view)) => Cell::new(view.draw(View::Masked, &self.style())?, label),
                None => {
                    Cell::new(RgbImage::from_pixel(CELL, CELL, image::Rgb(SheetStyle::default().background)), "none")
                }
            });
        }
        Ok(Row { title: "reference".to_owned(), cells, ..Row::default() })
    }

    /// A heatmap: over photographs, whose relevance is too scattered to be recognised without them, by itself otherwise.
    fn heatmap(&self, view: &ConceptView) -> Result<RgbImage, Failure> {
        let shown = if is_photograph(&view.picture) { View::Overlay } else { View::Heatmap };
        Ok(view.draw(shown, &self.style())?)
    }

    fn style(&self) -> ViewStyle {
        ViewStyle { color_map: self.color_map.clone(), ..ViewStyle::default() }
    }
}

fn style() -> SheetStyle {
    SheetStyle { cell: CELL, label_room: LABEL, ..SheetStyle::default() }
}

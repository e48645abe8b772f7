//! What is settled before the work starts, and the work itself, batch by batch.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use glocal::attribution::{
    Attribution, Attributor, Condition, Explanation, Initial, Method, Pairing, Request, Scope, Target,
};
use glocal::conservation::report;
use glocal::error::{RequestError, RequestErrorKind};
use glocal::model::{Model, NodeId};
use glocal_compute::CpuBackend;
use glocal_kit::condition::parse_conditions;
use glocal_kit::data;
use glocal_kit::loading::{ClassNames, InputFiles, LoadedModel};

use super::conservation::Conservation;
use super::summary::Summary;
use super::{Attribute, PairingArgument, ScopeArgument, Sink};
use crate::args::DEFAULT_COMPOSITE;
use crate::failure::Failure;
use crate::hint;
use crate::memory;
use crate::output::file_name_part;
use crate::predictions::Predictions;
use crate::progress::Progress;
use crate::session::Session;
use crate::unused;

/// Room for the activations of the samples that are run together.
const ACTIVATION_BYTES: usize = 32 << 20;

/// Room for the relevance of one layer under the conditions that are propagated together.
const RELEVANCE_BYTES: usize = 128 << 20;

/// The most samples, and the most conditions, that are taken together: more bring no speed.
const MOST_ROWS: usize = 32;

/// Everything that is settled before the work starts.
pub(super) struct Plan {
    pub(super) loaded: LoadedModel,
    pub(super) attributor: Attributor,
    pub(super) files: InputFiles,
    pub(super) classes: Option<ClassNames>,
    pub(super) conditions: Vec<Named>,
    /// The layers to keep, under the names that they are kept under.
    pub(super) record: Vec<String>,
    /// A name of the node where relevance starts.
    pub(super) start: String,
    /// The relevance that starts there, as text.
    pub(super) initial: String,
    pub(super) request: Request,
    pub(super) batch: usize,
}

/// A condition and its text.
pub(super) struct Named {
    pub(super) text: String,
    pub(super) condition: Condition,
}

impl Attribute {
    /// Reads everything but images, and checks all that can be checked.
    pub(super) fn plan(&self, session: &Session) -> Result<Plan, Failure> {
        let method = self.method()?;
        let classic = !self.composite.is_given() && method != Method::Plain;
        let rules = if classic { "gradient" } else { DEFAULT_COMPOSITE };
        let (composite, _) = self.composite.read_or(rules)?;
        let preprocess = self.samples.preprocess()?;
        let loaded = if self.is_one_result(&method) {
            self.model.load_on(CpuBackend::for_one_pass())?
        } else {
            self.model.load()?
        };
        let model = &loaded.model;
        let classes = self.samples.classes(&loaded)?;
        let start = match &self.start {
            Some(start) => model.layer(start).map(|_| start.clone())?,
            None => name_of(model, model.explained()),
        };
        let conditions = self.conditions(model)?;
        let mut record = Vec::new();
        for name in &self.record {
            match name.as_str() {
                "all" => record.extend(every_layer(model)),
                name => record.push(model.layer(name).map(|_| name.to_owned())?),
            }
        }
        let mut kept = BTreeSet::new();
        record.retain(|name| kept.insert(name.clone()));
        let attributor = unused::attributor(Arc::clone(model), composite)?;
        let files = InputFiles::open(&self.inputs, preprocess, model.input_shape())?;
        let pairing = match self.pairing {
            PairingArgument::Product => Pairing::Product,
            PairingArgument::Zip => Pairing::Zip,
        };
        if pairing == Pairing::Zip && files.len() != conditions.len() {
            let (samples, conditions) = (files.len(), conditions.len());
            return Err(RequestError::from(RequestErrorKind::Unpaired { samples, conditions }).into());
        }
        let scope = match self.scope {
            ScopeArgument::Isolated => Scope::Isolated,
            ScopeArgument::Whole => Scope::Whole,
        };
        let memory = self.memory.unwrap_or_else(memory::quarter);
        let is_occlusion = matches!(method, Method::Occlusion(_));
        let (initial, text) = match &self.init {
            Some(given) => (given.initial.clone(), given.text.as_str()),
            None if classic && !is_occlusion => (Initial::One, "one"),
            None => (Initial::Value, "value"),
        };
        // What is recorded where relevance starts is how much of it there is. Of the methods, these alone report what
        // arrives of it; the attributions of others are something else.
        let arrives = matches!(method, Method::Plain | Method::SmoothGrad(_));
        let recorded = record.iter().chain(Some(&start).filter(|_| arrives)).cloned().collect();
        let request = Request {
            conditions: conditions.iter().map(|named| named.condition.clone()).collect(),
            method,
            pairing,
            scope,
            start: self.start.clone(),
            initial,
            record: recorded,
            rows_at_once: rows_within(RELEVANCE_BYTES, shapes(model).max().unwrap_or(0)),
            memory: Some(memory),
            cancel: session.cancel.clone(),
        };
        let few = rows_within(ACTIVATION_BYTES, shapes(model).sum()).min(attributor.samples_within(memory));
        let batch = self.batch.map_or(few, usize::from);
        let initial = text.to_owned();
        Ok(Plan { attributor, files, classes, conditions, record, start, initial, request, batch, loaded })
    }

    /// Whether the model is run once, and relevance goes down once.
    fn is_one_result(&self, method: &Method) -> bool {
        let one_way_down = matches!(method, Method::Plain | Method::TimesInput) && !self.conservation;
        let one_image = matches!(self.inputs.as_slice(), [path] if !data::is_array_file(path));
        one_way_down && one_image && self.condition.len() <= 1
    }

    fn method(&self) -> Result<Method, Failure> {
        let read = self.method.parse::<Method>();
        let method = read.map_err(|error: RequestError| {
            let hint = hint::method(&error);
            Failure::call(error).hinted(Some(hint))
        })?;
        if self.conservation && method != Method::Plain {
            return Err(RequestError::from(RequestErrorKind::NotOneWayDown { method: method.name() }).into());
        }
        Ok(method)
    }

    fn conditions(&self, model: &Model) -> Result<Vec<Named>, Failure> {
        let chosen = self.target.target.is_some() || self.target.predicted;
        let default = if self.start.is_some() && !chosen { Target::Everything } else { self.target.target() };
        if self.condition.is_empty() {
            let text = match (&default, self.target.target) {
                (Target::Everything, _) => "target=all".to_owned(),
                (_, Some(class)) => format!("target={class}"),
                _ => "target=predicted".to_owned(),
            };
            return Ok(vec![Named { text, condition: Condition { target: default, layers: Vec::new() } }]);
        }
        let start = self.start.as_deref();
        let conditions = parse_conditions(self.condition.iter().map(String::as_str), model, start, &default)?;
        let named = |(text, condition): (&String, Condition)| Named { text: text.trim().to_owned(), condition };
        Ok(self.condition.iter().zip(conditions).map(named).collect())
    }
}

impl Plan {
    /// The number of results.
    pub(super) fn rows(&self) -> usize {
        match self.request.pairing {
            Pairing::Zip => self.files.len(),
            Pairing::Product => self.files.len() * self.conditions.len(),
        }
    }

    /// The recorded layers that a condition masks, by any of their names.
    pub(super) fn masked(&self) -> Result<BTreeSet<String>, Failure> {
        let model = &self.loaded.model;
        let layers = self.request.conditions.iter().flat_map(|condition| &condition.layers);
        let masked = layers.map(|(layer, _)| model.layer(layer)).collect::<Result<BTreeSet<_>, _>>()?;
        let named = |name: &&String| model.layer(name).is_ok_and(|node| masked.contains(&node));
        Ok(self.record.iter().filter(named).cloned().collect())
    }

    /// What all of the work costs.
    pub(super) fn explain(&self) -> Result<Explanation, Failure> {
        let mut whole: Option<Explanation> = None;
        for samples in self.chunks() {
            let of_chunk = self.attributor.explain(&self.request_of(&samples), samples.len())?;
            match &mut whole {
                Some(whole) => whole.add(&of_chunk),
                None => whole = Some(of_chunk),
            }
        }
        whole.map_or_else(|| Ok(self.attributor.explain(&self.request, 0)?), Ok)
    }

    /// What is asked of some samples.
    fn request_of(&self, samples: &Range<usize>) -> Cow<'_, Request> {
        match self.request.pairing {
            Pairing::Product => Cow::Borrowed(&self.request),
            Pairing::Zip => {
                let conditions = self.request.conditions[samples.clone()].to_vec();
                Cow::Owned(Request { conditions, ..self.request.clone() })
            }
        }
    }

    /// The samples that are run together.
    pub(super) fn chunks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (len, size) = (self.files.len(), self.batch);
        (0..len).step_by(size).map(move |first| first..(first + size).min(len))
    }

    /// What the pictures of a result are called: by sample and condition, numbered where there are several conditions.
    fn picture_name(&self, item: &Attribution) -> String {
        let condition = self.conditions.get(item.condition).map_or("", |named| &named.text);
        let number = if self.conditions.len() > 1 { format!("{}-", item.condition) } else { String::new() };
        format!("{}__{number}{}", file_name_part(self.files.name(item.sample)), file_name_part(condition))
    }

    /// Runs some samples under all of their conditions.
    pub(super) fn attribute(
        &self,
        samples: Range<usize>,
        sink: &mut Sink,
        summary: &mut Summary,
        conservation: Option<&mut Conservation>,
        (progress, session): (&Progress, &Session),
    ) -> Result<(), Failure> {
        let inputs = self.files.load(samples.clone())?;
        let request = self.request_of(&samples);
        let trace = match &conservation {
            None => self.attributor.trace_for(&inputs.batch, &request)?,
            // The report takes each condition once more.
            Some(_) => self.attributor.trace_until(&inputs.batch, &request.cancel)?,
        };
        summary.predictions.extend(Predictions::of(&self.loaded.model, trace.prediction(), self.classes.as_ref()));
        let first = samples.start;
        let first_condition = if self.request.pairing == Pairing::Zip { first } else { 0 };
        let first_row = if self.request.pairing == Pairing::Zip { first } else { first * self.conditions.len() };
        let mut stream = trace.stream(&request)?;
        if let Sink::Arrays(arrays) = sink {
            arrays.add_samples(first, stream.prediction(), stream.activations())?;
        }
        while let Some(item) = stream.next() {
            let mut item = item?;
            // Results that are ready take time to be drawn.
            session.check()?;
            let view = inputs.views.get(item.sample).and_then(Option::as_ref);
            item.sample += first;
            item.condition += first_condition;
            let files = match &mut *sink {
                Sink::Nowhere => Vec::new(),
                Sink::Arrays(arrays) => {
                    arrays.add(first_row + stream.progress().done - 1, &item)?;
                    Vec::new()
                }
                Sink::Pictures(pictures) => match item.heatmap() {
                    Some(heatmap) => pictures.draw(&self.picture_name(&item), &heatmap, view)?,
                    None => Vec::new(),
                },
            };
            summary.add(&item, &self.start, files);
            progress.advance(1);
        }
        if let Some(conservation) = conservation {
            conservation.add(&self.conditions[first_condition..], report(&trace, &request)?);
        }
        Ok(())
    }
}

/// The number of elements of each node's output, for one sample.
fn shapes(model: &Model) -> impl Iterator<Item = usize> {
    model.graph().nodes().map(|(_, node)| node.shape.iter().product())
}

/// How many rows of so many elements fit into so many bytes.
fn rows_within(bytes: usize, elements: usize) -> usize {
    (bytes / elements.saturating_mul(size_of::<f32>()).max(1)).clamp(1, MOST_ROWS)
}

/// A name by which the model finds the node.
fn name_of(model: &Model, id: NodeId) -> String {
    let node = model.graph().node(id);
    let names = std::iter::once(node.display_name()).chain([node.name.as_str()]);
    let mut names = names.chain(node.values.iter().map(String::as_str));
    names.find(|name| model.layer(name).is_ok_and(|found| found == id)).unwrap_or(node.display_name()).to_owned()
}

/// Every layer that relevance may reach, by name.
fn every_layer(model: &Model) -> Vec<String> {
    let reached = model.graph().ancestors(model.explained());
    let nodes = model.graph().nodes().map(|(id, _)| id);
    nodes.filter(|id| reached[id.index()] && *id != model.graph().input()).map(|id| name_of(model, id)).collect()
}

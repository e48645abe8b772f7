//! New predictions, judged by the prototypes of their classes.

use std::collections::BTreeSet;
use std::path::PathBuf;

use glocal::prototype::{Judgement, largest};
use glocal_kit::loading::InputFiles;
use glocal_kit::picture::{ColorMap, encode_png};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::prototypes::{Probe, Prober, PrototypesError, PrototypesErrorKind, check_vectors, read_vectors};
use glocal_kit::store::Store;

use super::draw::Pen;
use super::summary::{Words, least};
use super::{Fitted, MEMORY, OUTLIER, Prototypes};
use crate::failure::Failure;
use crate::output::{OutputFolder, file_name_part};
use crate::session::Session;

/// How many samples run together.
const BATCH: usize = 16;

/// A prediction and what its class's prototypes say.
pub struct Judged {
    /// The input's name.
    pub name: String,
    /// The predicted class.
    pub predicted: u32,
    /// The relevance of each concept for it.
    pub relevance: Vec<f32>,
    /// `None` where the store has no sample of the class, or the vector cannot be judged.
    pub judgement: Option<Judgement>,
    /// The least p-value that the class can give; `None` where it has no prototypes.
    least: Option<f64>,
    /// Where its picture is.
    pub picture: Option<PathBuf>,
}

impl Judged {
    /// The concepts in which it differs most from its prototype, in either direction.
    pub fn differing(&self, count: usize) -> Vec<usize> {
        let differences = self.judgement.iter().flat_map(|judgement| &judgement.difference);
        largest(&differences.map(|difference| difference.abs()).collect::<Vec<_>>(), count)
    }

    /// Whether it is called an outlier; `None` where that cannot be told.
    pub fn is_outlier(&self) -> Option<bool> {
        let p_value = self.judgement.as_ref()?.p_value?;
        (self.least? <= OUTLIER).then_some(p_value <= OUTLIER)
    }

    /// The p-value, and a word on it.
    pub fn verdict(&self) -> (String, &'static str) {
        let Some(judgement) = &self.judgement else {
            let word = match self.least {
                Some(_) => "its relevance is empty or no number",
                None => "no usable samples of this class",
            };
            return ("-".to_owned(), word);
        };
        let p_value = judgement.p_value.map_or_else(|| "-".to_owned(), |p_value| format!("{p_value:.4}"));
        let word = match self.is_outlier() {
            Some(true) => "outlier",
            Some(false) => "",
            None => "too few samples to tell",
        };
        (p_value, word)
    }
}

impl Prototypes {
    pub(super) fn of_inputs(
        &self,
        store: Store,
        words: &Words<'_>,
        mut folder: Option<OutputFolder>,
        color_map: &ColorMap,
        session: &Session,
    ) -> Result<(), Failure> {
        // What the store lacks is found out before the model is read.
        check_vectors(&store, &self.layer)?;
        let stored = self.stored(store)?;
        let attributor = stored.explainer(&session.cancel).attributor;
        let preprocess = match &self.preprocess {
            Some(path) => Preprocess::read(path)?,
            None => stored.preprocess().clone(),
        };
        let files = InputFiles::open(&self.inputs, Some(preprocess), attributor.model().input_shape())?;
        let prober = Prober::new(&stored.store, attributor.clone(), &self.layer)?;
        let mut probes: Vec<Probe> = Vec::with_capacity(files.len());
        while probes.len() < files.len() {
            let inputs = files.load(probes.len()..probes.len() + BATCH)?;
            probes.extend(prober.probe(&inputs.batch, &session.cancel)?);
        }
        let classes: BTreeSet<u32> = probes.iter().map(|probe| probe.predicted).collect();
        let vectors = read_vectors(&stored.store, &self.layer, Some(&classes), MEMORY).map_err(too_many)?;
        let fitted = self.fit(&vectors, session)?;
        let mut judged: Vec<Judged> =
            probes.into_iter().enumerate().map(|(index, probe)| judge(files.name(index), probe, &fitted)).collect();
        if let Some(folder) = &mut folder {
            let pen = Pen { stored: &stored, words, color_map, cancel: &session.cancel };
            for (index, judged) in judged.iter_mut().enumerate() {
                let Some(prototypes) = fitted.get(&judged.predicted) else { continue };
                let sheet = pen.input(&files.load(index..index + 1)?, judged, prototypes)?;
                let name = format!("{}.png", file_name_part(&judged.name));
                judged.picture = Some(folder.write(&name, &encode_png(&sheet.draw()?)?)?);
            }
        }
        session.print(|| words.judged_text(&judged, &fitted), || words.judged_document(&judged, &fitted))
    }
}

/// The failure to read the vectors of the classes that were predicted, which nobody chose.
fn too_many(error: PrototypesError) -> Failure {
    match error.kind() {
        PrototypesErrorKind::Memory { .. } => {
            let hint = "give fewer inputs at a time, which are of fewer classes";
            Failure::call(error).hinted(Some(hint.to_owned()))
        }
        _ => error.into(),
    }
}

fn judge(name: &str, probe: Probe, fitted: &Fitted) -> Judged {
    let Probe { predicted, relevance } = probe;
    let prototypes = fitted.get(&predicted);
    Judged {
        name: name.to_owned(),
        predicted,
        judgement: prototypes.and_then(|prototypes| prototypes.judge(&relevance)),
        least: prototypes.map(least),
        relevance,
        picture: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An input that cannot be judged is no fault of the class.
    #[test]
    fn what_cannot_be_judged_is_said_of_whom_it_is_true() {
        let judged = |least| Judged {
            name: "a.png".to_owned(),
            predicted: 0,
            relevance: Vec::new(),
            judgement: None,
            least,
            picture: None,
        };
        assert_eq!(judged(Some(0.01)).verdict().1, "its relevance is empty or no number");
        assert_eq!(judged(None).verdict().1, "no usable samples of this class");
        assert_eq!((judged(Some(0.01)).is_outlier(), judged(None).is_outlier()), (None, None));
    }

    /// Those of `--class`, which goes with no inputs, are not for these.
    #[test]
    fn the_hint_can_be_followed() {
        let (needed, largest, given) = (3, 2, 1);
        let failure = too_many(PrototypesErrorKind::Memory { needed, largest, given }.into());
        let text = format!("{failure:?}");
        assert!(text.contains("fewer inputs") && !text.contains("--class"), "{text}");
    }
}

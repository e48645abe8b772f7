//! `glocal demo`: everything once, with the model and images that come with the program.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use glocal::composite::Composite;
use glocal::search::{Scan, ScanOptions};
use glocal_compute::CpuBackend;
use glocal_kit::data;
use glocal_kit::explain::{ExplainOptions, Findings, Sample};
use glocal_kit::loading::{self, ClassNames, LoadOptions};
use glocal_kit::picture::{ColorMap, encode_png, enlarge_to};
use glocal_kit::preprocess::Preprocess;
use glocal_kit::scan::{Analysis, RunOptions, Source};
use glocal_kit::store::Store;
use serde_json::json;

use crate::assets;
use crate::commands::analyze::{Done, chosen_layers};
use crate::explained::{Explained, agreements};
use crate::failure::Failure;
use crate::misuse::Misuse;
use crate::output::OutputFolder;
use crate::session::Session;
use crate::stored::Stored;
use crate::unused;

/// The rules of the demo. Flat in the first layer would smear relevance over the black around these small garments.
const COMPOSITE: &str = "epsilon-plus";

/// The places beside layers with weights whose channels are concepts: where paths meet.
const MEETINGS: [&str; 2] = ["block.sum", "mixed.concat"];

/// The layers of the report: shapes of garments, and the edges and textures that they are made of.
const LAYERS: [&str; 2] = ["mixed.concat", "block.sum"];

/// The image that is explained: an ankle boot.
const IMAGE: u16 = 39;

/// The least side, in pixels, of the pictures that are written.
const PICTURE_SIDE: u32 = 280;

/// Try Glocal: analyze a small model on 2,000 images and explain one of them, all of it bundled
#[derive(Debug, Args)]
#[command(after_help = "Example:
  glocal demo

The folder then holds the model, the images, the store with the reference samples of all concepts, the report of one
image, and pictures of its heatmap. Run again, it uses the store that is there, or finishes it.")]
pub struct Demo {
    /// The folder that everything is written to
    #[arg(short = 'o', long = "out", value_name = "DIR", default_value = "glocal-demo")]
    folder: PathBuf,
    /// Which of the 2,000 images is explained, from 0
    #[arg(long, value_name = "N", default_value_t = IMAGE, value_parser = clap::value_parser!(u16).range(..2000))]
    image: u16,
}

impl Demo {
    pub fn run(&self, session: &Session) -> Result<(), Failure> {
        // Another folder's files would be overwritten: only an empty one, or one of an earlier demo, is written to.
        let occupied = std::fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some());
        let bundled = assets::FILES.iter().find(|(name, _)| *name == assets::MODEL).map(|(_, bytes)| *bytes);
        if occupied && std::fs::read(self.folder.join(assets::MODEL)).ok().as_deref() != bundled {
            return Err(Misuse::OccupiedFolder { path: self.folder.clone() }.into());
        }
        let mut folder = OutputFolder::prepare(&self.folder)?;
        for (name, bytes) in assets::FILES {
            folder.write(name, bytes)?;
        }
        let path = |name: &str| self.folder.join(name);
        let loaded = loading::load_model(&path(assets::MODEL), &LoadOptions::default(), Arc::new(CpuBackend::new()))?;
        let preprocess = Preprocess::read(&path(assets::PREPROCESS))?;
        let classes = ClassNames::read(&path(assets::CLASSES))?;
        let data = data::open(&path(assets::IMAGES))?;

        let composite: Composite = COMPOSITE.parse()?;
        let mut layers = chosen_layers(&loaded.model, &["all".to_owned()])?;
        layers.extend(MEETINGS.map(str::to_owned));
        let scan = Scan::new(unused::attributor(loaded.model.clone(), composite)?, &layers, ScanOptions::default())?;
        let source = Source {
            model: path(assets::MODEL),
            model_hash: loaded.hash.to_string(),
            canonized: true,
            composite: COMPOSITE.to_owned(),
            data: path(assets::IMAGES),
            class_names: Some(classes.as_slice().to_vec()),
        };
        let options = RunOptions::default();
        let analysis =
            Analysis { scan: &scan, data: data.as_ref(), preprocess: &preprocess, source: &source, options: &options };
        let store = path("store");
        let done = Done::by(&analysis, &store, session)?;

        let index = usize::from(self.image);
        let truth = data.labels(index).first().copied();
        let sample =
            Sample { name: format!("image {}", self.image), ..Sample::load(data.as_ref(), index, &preprocess)? };
        let stored = Stored::with_model(Store::open(&store)?, &loaded, &path(assets::MODEL), true, None)?;
        let options = ExplainOptions { layers: LAYERS.map(str::to_owned).to_vec(), ..ExplainOptions::default() };
        let findings = stored.explainer(&session.cancel).explain(sample, &stored.store, &options)?;
        let explained = Explained {
            findings: &findings,
            model: &loaded.model,
            classes: Some(classes.as_slice()),
            truth,
            agreements: agreements(&findings, &stored)?,
        };
        let color_map = ColorMap::default();
        let page = explained.page(&stored, &store, &color_map)?;
        let report = folder.write("report.html", page.to_html().as_bytes())?;
        let pictures = write_pictures(&mut folder, &findings, &color_map)?;

        let text = || {
            let analyzed = done.text(&data.describe());
            format!("{analyzed}\nimage {}\n{}\n{}", self.image, explained.text(), self.next(&report, &findings))
        };
        let document = || {
            json!({
                "folder": self.folder.to_string_lossy(),
                "analysis": done.document(),
                "explanation": explained.document(),
                "report": report.to_string_lossy(),
                "pictures": pictures.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            })
        };
        session.print(text, document)
    }

    /// What to open and try next.
    fn next(&self, report: &Path, findings: &Findings) -> String {
        let folder = self.folder.display();
        let layer = findings.layers.first();
        let (layer, concept) = layer
            .map_or(("", 0), |layer| (layer.layer.as_str(), layer.concepts.first().map_or(0, |concept| concept.id)));
        format!(
            "Open {report} in a browser. Then try:\n\
             \x20 glocal inspect {folder}/{model}\n\
             \x20 glocal references {folder}/store --layer {layer} --concept {concept} --view masked -o {folder}/references.png\n\
             \x20 glocal classes {folder}/store --layer {layer} --concept {concept}\n",
            report = report.display(),
            model = assets::MODEL,
        )
    }
}

/// The sample, its heatmap and both together, large enough to be looked at.
fn write_pictures(
    folder: &mut OutputFolder,
    findings: &Findings,
    color_map: &ColorMap,
) -> Result<Vec<PathBuf>, Failure> {
    let pictures = [
        ("sample.png", findings.sample.picture.clone()),
        ("heatmap.png", findings.heatmap_picture(color_map)?),
        ("overlay.png", findings.overlay_picture(color_map)?),
    ];
    let write = |(name, picture)| {
        let png = encode_png(&enlarge_to(&picture, PICTURE_SIDE)?)?;
        Ok(folder.write(name, &png)?)
    };
    pictures.into_iter().map(write).collect()
}

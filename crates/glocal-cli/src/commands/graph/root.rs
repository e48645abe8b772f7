//! Where the graph starts: `--concept`, `--target`, `--predicted`, `--activation`.

use clap::Args;
use glocal::attribution::Condition;
use glocal::flow::{Origin, Root};

use crate::args::TargetArguments;

/// Where the graph starts.
#[derive(Debug, Args)]
pub struct RootArguments {
    /// Start at this concept: a layer and a channel of it, from 0 [default: start at the target itself]
    #[arg(long, value_name = "LAYER:ID", value_parser = parse_concept)]
    concept: Option<(String, usize)>,
    /// Follow the concept's own activation, whatever the target
    #[arg(long, requires = "concept", conflicts_with_all = ["target", "predicted"])]
    activation: bool,
    #[command(flatten)]
    target: TargetArguments,
}

/// The class whose relevance is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowedTarget {
    /// None: the concept's own activation.
    Activation,
    /// The predicted one.
    Predicted,
    /// This one.
    Class(usize),
}

impl FollowedTarget {
    /// The class, if there is one, where `predicted` is predicted.
    pub fn class(self, predicted: usize) -> Option<usize> {
        match self {
            Self::Activation => None,
            Self::Predicted => Some(predicted),
            Self::Class(class) => Some(class),
        }
    }
}

fn parse_concept(text: &str) -> Result<(String, usize), &'static str> {
    let expected = "expected LAYER:ID, as in features.40:50";
    // Names of layers may have colons themselves.
    let (layer, id) = text.rsplit_once(':').ok_or(expected)?;
    let id = id.trim().parse().map_err(|_| expected)?;
    if layer.is_empty() { Err(expected) } else { Ok((layer.to_owned(), id)) }
}

impl RootArguments {
    /// The root, and the class whose relevance it has.
    pub fn read(&self) -> (Root, FollowedTarget) {
        let target = match self.target.target {
            _ if self.activation => FollowedTarget::Activation,
            Some(class) => FollowedTarget::Class(class),
            None => FollowedTarget::Predicted,
        };
        let root = match (&self.concept, target) {
            (Some((layer, id)), target) => {
                let origin = match target {
                    FollowedTarget::Activation => Origin::Activation,
                    FollowedTarget::Predicted => Origin::Condition(Condition::predicted()),
                    FollowedTarget::Class(class) => Origin::Condition(Condition::class(class)),
                };
                Root::Concept { layer: layer.clone(), id: *id, origin }
            }
            (None, FollowedTarget::Class(class)) => Root::Class(class),
            (None, _) => Root::Predicted,
        };
        (root, target)
    }
}

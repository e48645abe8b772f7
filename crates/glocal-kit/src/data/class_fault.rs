//! What can be wrong with the names of a model's outputs, by which labels are numbered.

use std::fmt;

/// The ways in which names of outputs do not fit the classes of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassFault {
    /// No output has the name of a class that samples have.
    Absent {
        /// The class.
        name: String,
        /// The first sample of it.
        key: String,
        /// The number of other classes of which the same is true.
        others: usize,
        /// The names of outputs that come nearest, nearest first.
        nearest: Vec<String>,
    },
    /// Several outputs have the name of a class that samples have.
    Repeated {
        /// The class.
        name: String,
        /// The first output of this name, from 0.
        first: usize,
        /// The second.
        second: usize,
    },
    /// A table labels samples by indices, which the data set and the outputs name differently.
    Contradicted {
        /// A label of the table.
        label: u32,
        /// A sample with this label.
        key: String,
        /// What the data set calls the class of this index.
        name: String,
        /// What the output of this index is called; `None` where there are fewer outputs.
        output: Option<String>,
        /// The output that has the data set's name.
        elsewhere: usize,
    },
}

impl fmt::Display for ClassFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent { name, key, others, nearest } => {
                write!(f, "names no output {name:?}, the class of sample {key}")?;
                match others {
                    0 => {}
                    1 => write!(f, ", nor 1 other class of the data set")?,
                    others => write!(f, ", nor {others} other classes of the data set")?,
                }
                write!(f, "; expected the names of the data set, each at its output")?;
                if !nearest.is_empty() {
                    write!(f, "; the nearest are {}", quoted(nearest))?;
                }
                Ok(())
            }
            Self::Repeated { name, first, second } => write!(
                f,
                "names the outputs {first} and {second} both {name:?}, which is a class of the data set; expected one output for it"
            ),
            Self::Contradicted { label, key, name, output, elsewhere } => {
                write!(f, "does not agree with the table of labels: sample {key} has the label {label}, which ")?;
                match output {
                    Some(output) => write!(f, "is {output:?} here")?,
                    None => write!(f, "is no output here")?,
                }
                write!(
                    f,
                    " and {name:?} in the data set, and that is output {elsewhere} here; write names instead of indices into the \
                     table"
                )
            }
        }
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

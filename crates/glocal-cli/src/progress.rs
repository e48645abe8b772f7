//! The progress bar: on a terminal only, on stderr.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar with rate and time left. It is cleared when dropped; nothing is drawn where stderr is no terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar of `total` steps, with a word for what is done.
    pub fn new(what: &'static str, total: usize) -> Self {
        let bar = ProgressBar::new(total as u64).with_message(what);
        let template = "{msg} [{bar:30}] {pos}/{len}  {per_sec}  {eta} left";
        // The template is constant; a bar in the default style is as good where it should not parse.
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self(bar)
    }

    /// `steps` more are done.
    pub fn advance(&self, steps: usize) {
        self.0.inc(steps as u64);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

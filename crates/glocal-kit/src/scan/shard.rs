//! One of several parts of a data set, each of which a run of its own scans.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::str::FromStr;

/// The `index`-th (from 1) of `count` parts of a data set: samples that follow one another, one more or less than those of
/// another part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: NonZeroU64,
    count: NonZeroU64,
}

/// A text is no shard: one is written as `2/7`, the second of seven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardError;

impl Shard {
    /// The shard that is the whole data set.
    pub const WHOLE: Self = Self { index: NonZeroU64::MIN, count: NonZeroU64::MIN };

    /// The `index`-th, from 1, of `count` shards; `None` where there is none.
    pub fn new(index: u64, count: u64) -> Option<Self> {
        let (index, count) = (NonZeroU64::new(index)?, NonZeroU64::new(count)?);
        (index <= count).then_some(Self { index, count })
    }

    /// Its samples, of `samples`.
    pub fn samples(&self, samples: u64) -> Range<u64> {
        let up_to = |index: u64| (u128::from(samples) * u128::from(index) / u128::from(self.count.get())) as u64;
        up_to(self.index.get() - 1)..up_to(self.index.get())
    }
}

impl Default for Shard {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (index, count) = text.split_once('/').ok_or(ShardError)?;
        let number = |text: &str| text.trim().parse().map_err(|_| ShardError);
        Self::new(number(index)?, number(count)?).ok_or(ShardError)
    }
}

impl fmt::Display for ShardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected I/N with I from 1 to N, as in 2/7 for the second of seven shards")
    }
}

impl std::error::Error for ShardError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_make_the_whole_and_are_of_one_size() {
        for samples in [0, 1, 6, 7, 60_000, u64::MAX] {
            for count in [1, 2, 7, 64] {
                let shards: Vec<Range<u64>> =
                    (1..=count).map(|index| Shard::new(index, count).unwrap().samples(samples)).collect();
                assert_eq!((shards[0].start, shards[shards.len() - 1].end), (0, samples));
                assert!(shards.windows(2).all(|pair| pair[0].end == pair[1].start));
                let sizes = shards.iter().map(|shard| shard.end - shard.start);
                assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn text() {
        assert_eq!("2/7".parse(), Ok(Shard::new(2, 7).unwrap()));
        assert_eq!(Shard::new(2, 7).unwrap().to_string(), "2/7");
        for text in ["", "2", "0/7", "8/7", "1/0", "-1/2", "a/b", "1/2/3"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
    }
}

//! One axis made anew: how each of its elements is mixed from those of the old axis.

use std::sync::Arc;

use crate::{ComputeError, ComputeErrorKind};

/// For each element of a new axis, the elements of the old one that it is a weighted sum of: what gathering, repeating
/// and interpolating have in common. Cloning shares it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampling(Arc<Table>);

#[derive(Debug, PartialEq)]
struct Table {
    /// The size of the old axis.
    from: usize,
    /// Where the taps of each new element start in `taps`; one more at the end.
    starts: Vec<usize>,
    /// Elements of the old axis with their weights.
    taps: Vec<(usize, f32)>,
}

impl Resampling {
    /// An axis of `from` elements made anew; `taps` has, for each new element, the old ones with their weights.
    ///
    /// # Errors
    /// When an element is not one of the old axis.
    pub fn new(from: usize, taps: impl IntoIterator<Item = Vec<(usize, f32)>>) -> Result<Self, ComputeError> {
        let mut starts = vec![0];
        let mut all = Vec::new();
        for taps in taps {
            if let Some((element, _)) = taps.iter().find(|(element, _)| *element >= from) {
                let reason = format!("element {element} of an axis of {from}");
                return Err(ComputeError::new("resampling", ComputeErrorKind::Attribute { name: "taps", reason }));
            }
            all.extend(taps);
            starts.push(all.len());
        }
        Ok(Self(Arc::new(Table { from, starts, taps: all })))
    }

    /// The elements `elements` of an axis of `from`, in that order, each as it is.
    ///
    /// # Errors
    /// When an element is not one of the old axis.
    pub fn choose(from: usize, elements: impl IntoIterator<Item = usize>) -> Result<Self, ComputeError> {
        Self::new(from, elements.into_iter().map(|element| vec![(element, 1.0)]))
    }

    /// The size of the old axis.
    pub fn from(&self) -> usize {
        self.0.from
    }

    /// The size of the new axis.
    pub fn to(&self) -> usize {
        self.0.starts.len() - 1
    }

    /// The old elements that new element `index` is a sum of, with their weights.
    pub fn taps(&self, index: usize) -> &[(usize, f32)] {
        match (self.0.starts.get(index), self.0.starts.get(index + 1)) {
            (Some(&start), Some(&end)) => &self.0.taps[start..end],
            _ => &[],
        }
    }

    /// Whether every new element is one old element as it is.
    pub fn only_chooses(&self) -> bool {
        (0..self.to()).all(|index| matches!(self.taps(index), [(_, weight)] if *weight == 1.0))
    }

    /// The adjoint: an axis of [`to`](Self::to) elements back to one of [`from`](Self::from).
    pub fn transposed(&self) -> Self {
        let mut taps: Vec<Vec<(usize, f32)>> = vec![Vec::new(); self.from()];
        for index in 0..self.to() {
            for &(element, weight) in self.taps(index) {
                taps[element].push((index, weight));
            }
        }
        let mut starts = vec![0];
        for taps in &taps {
            starts.push(starts.last().copied().unwrap_or(0) + taps.len());
        }
        Self(Arc::new(Table { from: self.to(), starts, taps: taps.concat() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adjoint_of_the_adjoint_is_the_resampling() {
        let original =
            Resampling::new(3, [vec![(0, 0.5), (1, 0.5)], vec![], vec![(2, 1.0)], vec![(0, 0.25), (2, 0.75)]]).unwrap();
        assert_eq!((original.from(), original.to()), (3, 4));
        let adjoint = original.transposed();
        assert_eq!((adjoint.from(), adjoint.to()), (4, 3));
        assert_eq!(adjoint.taps(0), [(0, 0.5), (3, 0.25)]);
        assert_eq!(adjoint.transposed(), original);
    }

    #[test]
    fn elements_outside_the_axis_are_refused() {
        assert!(Resampling::choose(3, [0, 3]).is_err());
        assert!(Resampling::choose(3, [2, 2, 0]).unwrap().only_chooses());
        assert!(!Resampling::new(3, [vec![(0, 0.5)]]).unwrap().only_chooses());
    }
}

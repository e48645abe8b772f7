//! The rankings of a concept by class.

use crate::search::TopK;

/// A ranking for each class, the classes ascending.
///
/// Two for each concept, most of them with few classes: rankings lie in a list rather than in a tree, whose nodes take several times
/// the memory of what they hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClassRankings {
    rankings: Vec<(u32, TopK)>,
}

impl ClassRankings {
    /// The ranking of a class.
    pub fn get(&self, class: u32) -> Option<&TopK> {
        self.place(class).ok().map(|place| &self.rankings[place].1)
    }

    /// The ranking of a class, which is made where there is none.
    pub fn get_or_insert_with(&mut self, class: u32, make: impl FnOnce() -> TopK) -> &mut TopK {
        let place = self.place(class).unwrap_or_else(|place| {
            self.rankings.insert(place, (class, make()));
            place
        });
        &mut self.rankings[place].1
    }

    /// Makes room for so many classes, where there are none yet.
    pub(super) fn begin(&mut self, classes: usize) {
        if self.is_empty() {
            self.rankings.reserve_exact(classes);
        }
    }

    /// Sets the ranking of a class.
    pub fn insert(&mut self, class: u32, ranking: TopK) {
        match self.place(class) {
            Ok(place) => self.rankings[place].1 = ranking,
            Err(place) => self.rankings.insert(place, (class, ranking)),
        }
    }

    /// The number of classes.
    pub fn len(&self) -> usize {
        self.rankings.len()
    }

    /// Whether there is no class.
    pub fn is_empty(&self) -> bool {
        self.rankings.is_empty()
    }

    /// The classes with their rankings, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &TopK)> {
        self.rankings.iter().map(|(class, ranking)| (*class, ranking))
    }

    /// The classes, ascending.
    pub fn classes(&self) -> impl ExactSizeIterator<Item = u32> {
        self.rankings.iter().map(|(class, _)| *class)
    }

    /// The rankings, in the order of their classes.
    pub fn rankings_mut(&mut self) -> impl ExactSizeIterator<Item = &mut TopK> {
        self.rankings.iter_mut().map(|(_, ranking)| ranking)
    }

    /// Where the class is, or belongs.
    fn place(&self, class: u32) -> Result<usize, usize> {
        self.rankings.binary_search_by_key(&class, |(class, _)| *class)
    }
}

impl FromIterator<(u32, TopK)> for ClassRankings {
    /// Of a class given twice the last counts.
    fn from_iter<I: IntoIterator<Item = (u32, TopK)>>(rankings: I) -> Self {
        let mut all = Self::default();
        rankings.into_iter().for_each(|(class, ranking)| all.insert(class, ranking));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ascend_and_have_one_ranking_each() {
        let mut rankings: ClassRankings =
            [(7, 1), (0, 2), (u32::MAX, 3), (7, 4)].map(|(class, k)| (class, TopK::new(k))).into_iter().collect();
        assert_eq!(rankings.get_or_insert_with(3, || TopK::new(5)).k(), 5);
        assert_eq!(rankings.get_or_insert_with(3, || TopK::new(6)).k(), 5);
        let found: Vec<(u32, usize)> = rankings.iter().map(|(class, ranking)| (class, ranking.k())).collect();
        assert_eq!(found, [(0, 2), (3, 5), (7, 4), (u32::MAX, 3)]);
        assert!(rankings.classes().eq([0, 3, 7, u32::MAX]));
        assert_eq!((rankings.get(7).map(TopK::k), rankings.get(8)), (Some(4), None));
    }
}

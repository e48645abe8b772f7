//! Where cards and bands go.
//!
//! Each column stacks its cards, and a lane for every band that passes it, so that bands cross behind no card. A column is
//! ordered by where its bands come from. Bands end at ports of their own, one below the other, whose labels have room.

use super::FlowPicture;

/// Between the left sides of a band's label and the card that it goes to.
pub(super) const LABEL: f64 = 50.0;
/// Between columns: labels, and room for bands to bend.
pub(super) const GAP: f64 = LABEL + 100.0;
/// Between cards of a column.
const ROW_GAP: f64 = 20.0;
/// The height of a lane.
const LANE: f64 = 18.0;
/// Between the ports of a card: the height of a label.
pub(super) const PORT: f64 = 15.0;
/// The margin of everything.
pub(super) const MARGIN: f64 = 28.0;
/// The height of a card without pictures.
pub(super) const BARE: f64 = 52.0;
/// The width of a card without pictures: room for "channel 1234" beside a share.
const BARE_WIDTH: f64 = 204.0;
/// The side of a picture in a card.
pub(super) const PICTURE: f64 = 56.0;
/// Around and between pictures.
pub(super) const PAD: f64 = 8.0;

/// A rectangle.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn middle(&self) -> f64 {
        self.top + self.height / 2.0
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }
}

/// Where everything goes.
#[derive(Debug, Default)]
pub(super) struct Layout {
    /// The left side of each column.
    pub(super) columns: Vec<f64>,
    /// Of every card; `None` where it has no column.
    pub(super) cards: Vec<Option<Area>>,
    /// The points that each band goes through, left to right in pairs (out of a column, into the next); empty for those left
    /// out.
    pub(super) bands: Vec<Vec<(f64, f64)>>,
    pub(super) card_width: f64,
    /// The lower end of the lowest card.
    pub(super) bottom: f64,
}

/// What a column stacks.
struct Item {
    /// A card, or the band whose lane it is.
    what: What,
    height: f64,
    /// The mean height of where its bands come from.
    pull: f64,
    top: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Card(usize),
    Lane(usize),
}

impl Layout {
    /// Below `top`.
    pub(super) fn of(picture: &FlowPicture, top: f64) -> Self {
        let most = picture.cards.iter().map(|card| card.pictures.len().min(FlowPicture::PICTURES)).max().unwrap_or(0);
        let card_width = if most > 0 { (most as f64 * (PICTURE + PAD) + PAD).max(BARE_WIDTH) } else { BARE_WIDTH };
        let mut layout = Self { card_width, bottom: top, ..Self::default() };
        layout.columns = (0..picture.columns.len()).map(|column| MARGIN + column as f64 * (card_width + GAP)).collect();
        let column_of = |card: usize| picture.cards.get(card).map(|card| card.column);
        // (from, to) columns of each band that is drawn.
        let spans: Vec<Option<(usize, usize)>> = picture
            .bands
            .iter()
            .map(|band| column_of(band.from).zip(column_of(band.to)))
            .map(|span| span.filter(|(from, to)| from < to && *to < picture.columns.len()))
            .collect();
        let mut columns = stack(picture, &spans);
        let tallest = columns.iter().map(|column| height(column)).fold(0.0, f64::max);
        layout.cards = vec![None; picture.cards.len()];
        layout.bands = vec![Vec::new(); picture.bands.len()];
        // The height at which each band last left a column.
        let mut left_at: Vec<f64> = vec![top; picture.bands.len()];
        for (index, column) in columns.iter_mut().enumerate() {
            for item in column.iter_mut() {
                item.pull = pull(item.what, picture, &spans, &left_at);
            }
            column.sort_by(|a, b| a.pull.total_cmp(&b.pull));
            let mut next = top + (tallest - height(column)) / 2.0;
            for item in column.iter_mut() {
                item.top = next;
                next += item.height + ROW_GAP;
            }
            layout.place(index, column, picture, &spans, &mut left_at);
        }
        layout.bottom = top + tallest;
        layout
    }

    /// Puts the items of a column in their places, and takes bands in and out of them.
    fn place(
        &mut self,
        column: usize,
        items: &[Item],
        picture: &FlowPicture,
        spans: &[Option<(usize, usize)>],
        left_at: &mut [f64],
    ) {
        let left = self.columns[column];
        for item in items {
            let area = Area { left, top: item.top, width: self.card_width, height: item.height };
            match item.what {
                What::Lane(band) => {
                    self.bands[band].extend([(area.left, area.middle()), (area.right(), area.middle())]);
                    left_at[band] = area.middle();
                }
                What::Card(card) => {
                    self.cards[card] = Some(area);
                    let drawn = |band: &usize| spans[*band].is_some();
                    let mut into: Vec<usize> =
                        (0..spans.len()).filter(drawn).filter(|&band| picture.bands[band].to == card).collect();
                    into.sort_by(|&a, &b| left_at[a].total_cmp(&left_at[b]).then(a.cmp(&b)));
                    let first = area.middle() - PORT * into.len().saturating_sub(1) as f64 / 2.0;
                    for (port, band) in into.into_iter().enumerate() {
                        self.bands[band].push((area.left, first + PORT * port as f64));
                    }
                    for band in (0..spans.len()).filter(drawn).filter(|&band| picture.bands[band].from == card) {
                        self.bands[band].push((area.right(), area.middle()));
                        left_at[band] = area.middle();
                    }
                }
            }
        }
    }
}

/// The cards and lanes of each column, in no order yet.
fn stack(picture: &FlowPicture, spans: &[Option<(usize, usize)>]) -> Vec<Vec<Item>> {
    let mut columns: Vec<Vec<Item>> = picture.columns.iter().map(|_| Vec::new()).collect();
    for (card, shown) in picture.cards.iter().enumerate() {
        let into = picture.bands.iter().zip(spans).filter(|(band, span)| band.to == card && span.is_some()).count();
        let bare = if shown.pictures.is_empty() { BARE } else { BARE + PICTURE + PAD / 2.0 };
        let height = bare.max(PORT * (into as f64 + 0.6));
        if let Some(column) = columns.get_mut(shown.column) {
            column.push(Item { what: What::Card(card), height, pull: 0.0, top: 0.0 });
        }
    }
    for (band, span) in spans.iter().enumerate() {
        let Some((from, to)) = span else { continue };
        for column in &mut columns[from + 1..*to] {
            column.push(Item { what: What::Lane(band), height: LANE, pull: 0.0, top: 0.0 });
        }
    }
    columns
}

fn height(column: &[Item]) -> f64 {
    let gaps = ROW_GAP * column.len().saturating_sub(1) as f64;
    column.iter().map(|item| item.height).sum::<f64>() + gaps
}

/// The mean of the heights that the bands of an item come from; what nothing comes to stays on top.
fn pull(what: What, picture: &FlowPicture, spans: &[Option<(usize, usize)>], left_at: &[f64]) -> f64 {
    match what {
        What::Lane(band) => left_at[band],
        What::Card(card) => {
            let into = (0..spans.len()).filter(|&band| spans[band].is_some() && picture.bands[band].to == card);
            let heights: Vec<f64> = into.map(|band| left_at[band]).collect();
            heights.iter().sum::<f64>() / heights.len().max(1) as f64
        }
    }
}

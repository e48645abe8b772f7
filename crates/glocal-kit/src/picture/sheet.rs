//! Contact sheets: many small pictures in titled rows and columns, reference samples above all.

mod foot;

use image::{Rgb, RgbImage, imageops};

use super::error::{PictureError, PictureErrorKind};
use super::frame::{checked_size, fit, fitted_size};
use super::text::{Lettering, Place};
use super::{Color, ColorMap, LONGEST_SIDE};

/// A picture made of blocks of cells, with a title above all.
#[derive(Debug, Clone, Default)]
pub struct ContactSheet {
    /// Title above everything; empty for none.
    pub title: String,
    /// The blocks, in order. At least one cell is needed in all.
    pub blocks: Vec<Block>,
    /// How blocks follow each other. Default: [`Arrangement::Below`].
    pub arrangement: Arrangement,
    /// The colors of heatmaps, shown below the blocks from against to for. Default: none.
    pub legend: Option<ColorMap>,
    /// Paragraphs at the bottom, wrapped to the sheet's width.
    pub notes: Vec<String>,
    /// Sizes and colors.
    pub style: SheetStyle,
}

/// Rows of cells under a title of their own.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// Title above the block; empty for none.
    pub title: String,
    /// Color of a square before the title, which ties the block to what has that color elsewhere; `None` for none.
    pub mark: Option<Color>,
    /// Titles above the columns, from the left; empty for none.
    pub columns: Vec<String>,
    /// The rows, from the top.
    pub rows: Vec<Row>,
}

/// Cells beside each other, with a title to the left.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// Title left of the cells; empty for none.
    pub title: String,
    /// The cells, from the left.
    pub cells: Vec<Cell>,
    /// Whether there is twice as much space above the row as the style's gap, which parts it from the rows before. Default: no.
    pub parted: bool,
}

/// One picture of a contact sheet.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The picture, of any size: small ones are enlarged by a whole factor, larger ones reduced.
    pub image: RgbImage,
    /// Text below the picture; empty for none.
    pub label: String,
    /// Color of a frame that marks the cell; `None` for a fine neutral line.
    pub frame: Option<Color>,
}

/// How the blocks of a contact sheet follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Arrangement {
    /// One below the other.
    #[default]
    Below,
    /// One beside the other.
    Beside,
}

/// Sizes (pixels) and colors of a contact sheet.
#[derive(Debug, Clone)]
pub struct SheetStyle {
    /// Longest side that a cell's picture may have, at least 1; all cells are as large as the largest one drawn. Default: 96.
    pub cell: u32,
    /// Least width of cells, so that labels have room below narrow pictures. Default: 0.
    pub label_room: u32,
    /// Space between cells. Default: 8.
    pub gap: u32,
    /// Size of labels and of row and column titles; other titles are in proportion. Default: 13.
    pub text: u32,
    /// Largest width of row titles. Default: 180.
    pub title_room: u32,
    /// Default: white.
    pub background: Color,
    /// Color of titles. Default: near black.
    pub ink: Color,
    /// Color of labels. Default: gray.
    pub faint: Color,
    /// Color of neutral frames. Default: light gray.
    pub line: Color,
}

impl Default for SheetStyle {
    fn default() -> Self {
        Self {
            cell: 96,
            label_room: 0,
            gap: 8,
            text: 13,
            title_room: 180,
            background: [255; 3],
            ink: [24, 28, 34],
            faint: [92, 101, 112],
            line: [208, 213, 219],
        }
    }
}

impl Cell {
    /// A cell with a label and a neutral frame.
    pub fn new(image: RgbImage, label: impl Into<String>) -> Self {
        Self { image, label: label.into(), frame: None }
    }
}

impl Block {
    /// A block that fills rows of `columns` cells (at least one) with `cells`.
    pub fn wrapped(title: impl Into<String>, cells: Vec<Cell>, columns: usize) -> Self {
        let mut rows: Vec<Row> = Vec::new();
        for (index, cell) in cells.into_iter().enumerate() {
            if index % columns.max(1) == 0 {
                rows.push(Row::default());
            }
            if let Some(row) = rows.last_mut() {
                row.cells.push(cell);
            }
        }
        Self { title: title.into(), rows, ..Self::default() }
    }
}

/// The reference samples of one concept: the most relevant ones beside the most active ones, in rows of `columns`.
pub fn reference_sheet(
    concept: impl Into<String>,
    by_relevance: Vec<Cell>,
    by_activation: Vec<Cell>,
    columns: usize,
) -> ContactSheet {
    let blocks = vec![
        Block::wrapped("Most useful for the prediction (RelMax)", by_relevance, columns),
        Block::wrapped("Strongest activation (ActMax)", by_activation, columns),
    ];
    ContactSheet { title: concept.into(), blocks, arrangement: Arrangement::Beside, ..ContactSheet::default() }
}

impl ContactSheet {
    /// Draws the sheet.
    ///
    /// # Errors
    /// [`PictureErrorKind::Empty`] without any cell, [`PictureErrorKind::TooLarge`].
    pub fn draw(&self) -> Result<RgbImage, PictureError> {
        if self.blocks.iter().all(|block| block.rows.iter().all(|row| row.cells.is_empty())) {
            return Err(PictureErrorKind::Empty.into());
        }
        let pen = Pen::new(self)?;
        let blocks: Vec<Layout> = self.blocks.iter().map(|block| pen.layout(block)).collect();
        let (margin, between) = (2 * pen.gap(), 4 * pen.gap());
        let title_height = pen.title_height(&self.title, Title::Sheet);
        let spaces = between * (blocks.len() as u64 - 1);
        let widths = || blocks.iter().map(|block| block.width);
        let heights = || blocks.iter().map(|block| block.height);
        let longest = |lengths: &mut dyn Iterator<Item = u64>| lengths.max().unwrap_or(0);
        let (width, height) = match self.arrangement {
            Arrangement::Below => (longest(&mut widths()), heights().sum::<u64>() + spaces),
            Arrangement::Beside => (widths().sum::<u64>() + spaces, longest(&mut heights())),
        };
        let width = width.max(pen.title_width(&self.title, Title::Sheet));
        let foot = pen.foot(self, width);
        let (columns, rows) = checked_size(width + 2 * margin, height + title_height + foot.height + 2 * margin)?;
        let mut image = RgbImage::from_pixel(columns, rows, Rgb(pen.style.background));
        pen.title(&mut image, &self.title, Title::Sheet, (margin, margin), width);
        pen.draw_foot(&mut image, &foot, (margin, margin + title_height + height));
        let (mut left, mut top) = (margin, margin + title_height);
        for (block, layout) in self.blocks.iter().zip(&blocks) {
            pen.block(&mut image, block, layout, (left, top))?;
            match self.arrangement {
                Arrangement::Below => top += layout.height + between,
                Arrangement::Beside => left += layout.width + between,
            }
        }
        Ok(image)
    }
}

impl SheetStyle {
    /// Sizes that cannot overflow; what they make too large is refused later.
    fn bounded(&self) -> Self {
        let bounded = |length: u32| length.min(LONGEST_SIDE);
        Self {
            cell: bounded(self.cell).max(1),
            label_room: bounded(self.label_room),
            gap: bounded(self.gap),
            text: bounded(self.text).max(1),
            title_room: bounded(self.title_room),
            ..self.clone()
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Title {
    Sheet,
    Block,
    Small,
}

/// Size of a block and of its parts.
struct Layout {
    width: u64,
    height: u64,
    row_titles: u64,
    title: u64,
    column_titles: u64,
}

struct Pen {
    style: SheetStyle,
    lettering: Lettering,
    cell_width: u64,
    cell_height: u64,
}

impl Pen {
    fn new(sheet: &ContactSheet) -> Result<Self, PictureError> {
        let style = sheet.style.bounded();
        let cells = || sheet.blocks.iter().flat_map(|block| &block.rows).flat_map(|row| &row.cells);
        let sizes = || cells().map(|cell| fitted_size(cell.image.dimensions(), style.cell));
        let cell_width = sizes().map(|(width, _)| u64::from(width.max(style.label_room))).max().unwrap_or(0);
        let cell_height = sizes().map(|(_, height)| u64::from(height)).max().unwrap_or(0);
        Ok(Self { style, lettering: Lettering::new()?, cell_width, cell_height })
    }

    fn gap(&self) -> u64 {
        u64::from(self.style.gap)
    }

    fn size(&self, title: Title) -> u32 {
        match title {
            Title::Sheet => self.style.text * 3 / 2,
            Title::Block => self.style.text * 6 / 5,
            Title::Small => self.style.text,
        }
    }

    fn title_height(&self, text: &str, title: Title) -> u64 {
        if text.is_empty() { 0 } else { u64::from(Lettering::line(self.size(title))) + self.gap() }
    }

    /// The room a title asks for: its length, but a few times that of row titles at most, beyond which it is shortened.
    fn title_width(&self, text: &str, title: Title) -> u64 {
        u64::from(self.lettering.width(text, self.size(title)).min(self.style.title_room.saturating_mul(3)))
    }

    fn layout(&self, block: &Block) -> Layout {
        let cells = block.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0) as u64;
        let widest = block.rows.iter().map(|row| self.lettering.width(&row.title, self.style.text)).max().unwrap_or(0);
        let row_titles = match widest.min(self.style.title_room) {
            0 => 0,
            room => u64::from(room) + self.gap(),
        };
        let title = self.title_height(&block.title, Title::Block);
        let column_titles = block.columns.iter().map(|text| self.title_height(text, Title::Small)).max().unwrap_or(0);
        let rows: u64 = block.rows.iter().map(|row| self.row_height(row)).sum();
        let width = (row_titles + cells * (self.cell_width + self.gap())).saturating_sub(self.gap());
        Layout {
            width: width.max(self.title_width(&block.title, Title::Block) + self.mark_room(block)),
            height: (title + column_titles + rows).saturating_sub(self.gap()),
            row_titles,
            title,
            column_titles,
        }
    }

    /// The width of a block's mark, and of the space behind it.
    fn mark_room(&self, block: &Block) -> u64 {
        if block.mark.is_some() { u64::from(self.size(Title::Block)) + self.gap() } else { 0 }
    }

    fn parting(&self, row: &Row) -> u64 {
        if row.parted { self.gap() } else { 0 }
    }

    fn row_height(&self, row: &Row) -> u64 {
        let labels = row.cells.iter().any(|cell| !cell.label.is_empty());
        self.parting(row)
            + self.cell_height
            + if labels { u64::from(Lettering::line(self.style.text)) + 4 } else { 0 }
            + self.gap()
    }

    fn block(
        &self,
        image: &mut RgbImage,
        block: &Block,
        layout: &Layout,
        (left, top): (u64, u64),
    ) -> Result<(), PictureError> {
        let mark_room = self.mark_room(block);
        if let Some(color) = block.mark {
            let side = self.size(Title::Block);
            let inset = u64::from(Lettering::line(side).saturating_sub(side)) / 2;
            imageops::replace(image, &RgbImage::from_pixel(side, side, Rgb(color)), left as i64, (top + inset) as i64);
        }
        let room = layout.width.saturating_sub(mark_room);
        self.title(image, &block.title, Title::Block, (left + mark_room, top), room);
        let cells_left = left + layout.row_titles;
        let mut top = top + layout.title;
        let column_left = |column: usize| cells_left + column as u64 * (self.cell_width + self.gap());
        for (column, text) in block.columns.iter().enumerate() {
            self.title(image, text, Title::Small, (column_left(column), top), self.cell_width);
        }
        top += layout.column_titles;
        for row in &block.rows {
            let below = top + self.row_height(row);
            top += self.parting(row);
            let middle = (top + self.cell_height / 2).saturating_sub(u64::from(Lettering::line(self.style.text)) / 2);
            self.title(image, &row.title, Title::Small, (left, middle), layout.row_titles.saturating_sub(self.gap()));
            for (column, cell) in row.cells.iter().enumerate() {
                self.cell_at(image, cell, (column_left(column), top))?;
            }
            top = below;
        }
        Ok(())
    }

    fn cell_at(&self, image: &mut RgbImage, cell: &Cell, (left, top): (u64, u64)) -> Result<(), PictureError> {
        let picture = fit(&cell.image, self.style.cell)?;
        let inner_left = left + (self.cell_width - u64::from(picture.width())) / 2;
        let inner_top = top + (self.cell_height - u64::from(picture.height())) / 2;
        let (color, thickness) = match cell.frame {
            Some(color) => (color, 3),
            None => (self.style.line, 1),
        };
        let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
        let frame = RgbImage::from_pixel((width + 2 * thickness) as u32, (height + 2 * thickness) as u32, Rgb(color));
        let outside = |inner: u64| inner as i64 - thickness as i64;
        imageops::replace(image, &frame, outside(inner_left), outside(inner_top));
        imageops::replace(image, &picture, inner_left as i64, inner_top as i64);
        let below = top + self.cell_height + 4;
        // Below narrow pictures, which stand in the middle of their cell, labels start with them if there is room.
        let written = u64::from(self.lettering.width(&cell.label, self.style.text)).min(self.cell_width);
        let label_left = inner_left.min(left + self.cell_width - written);
        self.text(image, &cell.label, self.style.text, self.style.faint, (label_left, below), self.cell_width);
        Ok(())
    }

    fn title(&self, image: &mut RgbImage, text: &str, title: Title, place: (u64, u64), room: u64) {
        self.text(image, text, self.size(title), self.style.ink, place, room);
    }

    /// Positions have passed the size check, so they fit 32 bits.
    fn text(&self, image: &mut RgbImage, text: &str, size: u32, color: Color, (left, top): (u64, u64), room: u64) {
        let place = Place { left: left as u32, top: top as u32, room: room as u32 };
        self.lettering.draw(image, text, place, size, color);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(count: usize) -> Vec<Cell> {
        (0..count).map(|index| Cell::new(RgbImage::from_pixel(28, 28, Rgb([index as u8 + 1; 3])), "")).collect()
    }

    #[test]
    fn cells_wrap_and_stand_where_the_style_says() {
        let style = SheetStyle { cell: 56, gap: 4, ..SheetStyle::default() };
        let sheet = ContactSheet { blocks: vec![Block::wrapped("", cells(5), 3)], style, ..ContactSheet::default() };
        let image = sheet.draw().unwrap();
        assert_eq!(image.dimensions(), (8 + 3 * 60 - 4 + 8, 8 + 2 * 60 - 4 + 8));
        for (index, (left, top)) in [(8, 8), (68, 8), (128, 8), (8, 68), (68, 68)].into_iter().enumerate() {
            for (column, row) in [(left, top), (left + 55, top + 55)] {
                assert_eq!(image.get_pixel(column, row).0, [index as u8 + 1; 3], "cell {index}");
            }
        }
        assert_eq!(image.get_pixel(150, 90).0, [255; 3]);
    }

    #[test]
    fn marks_legend_and_notes_add_their_room_and_nothing_else() {
        let plain = |notes: &[String], legend| {
            let blocks = vec![Block { mark: Some([1, 2, 3]), ..Block::wrapped("I1", cells(2), 2) }];
            ContactSheet { blocks, notes: notes.into(), legend, ..ContactSheet::default() }.draw().unwrap()
        };
        let bare = plain(&[], None);
        let side = SheetStyle::default().text * 6 / 5;
        let marked = bare.pixels().filter(|pixel| pixel.0 == [1, 2, 3]).count();
        assert_eq!(marked, (side * side) as usize);
        let noted = plain(&["several words that need some lines".into()], Some(ColorMap::default()));
        assert_eq!(noted.width(), bare.width());
        assert!(noted.height() > bare.height() + 3 * Lettering::line(SheetStyle::default().text));
        let same = |place: &(u32, u32)| bare.get_pixel(place.0, place.1) == noted.get_pixel(place.0, place.1);
        assert!((0..bare.height()).flat_map(|y| (0..bare.width()).map(move |x| (x, y))).all(|place| same(&place)));
    }

    #[test]
    fn sheets_without_cells_or_beyond_all_limits_are_errors() {
        let empty = reference_sheet("concept", Vec::new(), Vec::new(), 4).draw().unwrap_err();
        assert_eq!(*empty.kind(), PictureErrorKind::Empty);
        let style = SheetStyle { cell: u32::MAX, gap: u32::MAX, text: u32::MAX, ..SheetStyle::default() };
        let sheet =
            ContactSheet { blocks: vec![Block::wrapped("title", cells(2), 0)], style, ..ContactSheet::default() };
        assert!(matches!(sheet.draw().unwrap_err().kind(), PictureErrorKind::TooLarge { .. }));
    }
}

//! What the author of a statement says of a file.

/// Bytes that may separate, if nobody says which does.
pub(crate) const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What is known of a file before it is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The byte between cells; looked for among `,` `;` tab and `|` by default.
    pub delimiter: Option<u8>,
    /// The byte around cells; `"` by default. [`NO_QUOTE`](super::NO_QUOTE) for none: nothing quotes, and the escape means something in every cell, as MySQL and
    /// PostgreSQL's COPY write: `\n` is a line end, `\N` NULL, and a separator or line end behind it is text.
    pub quote: Option<u8>,
    /// The byte before a quote that is text in a quoted cell, and before itself; before other bytes it is text. None by default. A quote may
    /// always be doubled. In a cell that is not quoted it is text where others are quoted, as Spark has it; a file that may have meant it there, as Python and MySQL
    /// do, is refused.
    pub escape: Option<u8>,
    /// A line that begins with this byte is left out; none by default.
    pub comment: Option<u8>,
    /// Cells that are NULL besides empty ones.
    pub null: Vec<String>,
    /// Whether the first record is the names of the columns, as it is by default. Without them they are `column_1`, `column_2`, …
    pub has_header: bool,
    /// Whether types are looked for.
    pub types: Types,
}

impl Default for Options {
    fn default() -> Self {
        Self { delimiter: None, quote: None, escape: None, comment: None, null: Vec::new(), has_header: true, types: Types::Exact }
    }
}

/// Whether types are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Types {
    /// A column has the type of all its cells.
    #[default]
    Exact,
    /// All columns are text.
    Text,
}

//! Marks for no value among the texts of a column.
//!
//! In: cells that are such marks, and that nobody quoted: what is in quotes is text on purpose. Out: what to tell, with the option that makes
//! them NULL. A person is not called `\\N`.

use std::sync::Arc;

use super::cell::text::{NULL_MARKS, SURE_MARKS};
use crate::error::{TextError, option};

#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    counts: [u64; SURE_MARKS],
    first: Option<(Arc<str>, u64)>,
}

impl Marks {
    /// A cell that is a mark, by its place among [`NULL_MARKS`].
    pub(crate) fn note(&mut self, mark: usize, file: &Arc<str>, line: u64) {
        if let Some(count) = self.counts.get_mut(mark) {
            *count += 1;
            self.first.get_or_insert_with(|| (Arc::clone(file), line));
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, others) in self.counts.iter_mut().zip(&other.counts) {
            *count += others;
        }
        if self.first.is_none() {
            self.first.clone_from(&other.first);
        }
    }

    /// What to know of a column that is text.
    pub(crate) fn told(&self, column: &str) -> Option<TextError> {
        let (file, line) = self.first.as_ref()?;
        let found: Vec<&str> = NULL_MARKS.into_iter().zip(self.counts).filter(|(_, count)| *count > 0).map(|(mark, _)| mark).collect();
        let cells: u64 = self.counts.iter().sum();
        let named = found.iter().map(|mark| format!("\"{mark}\"")).collect::<Vec<_>>().join(" and ");
        let (is, them) = if found.len() == 1 { ("is", "it") } else { ("are", "them") };
        let cells = if cells == 1 { String::new() } else { format!(", in {cells} cells") };
        let remedy = match found.as_slice() {
            [mark] => option("null", &format!("'{mark}'")),
            marks => option("null_regex", &format!("'^({})$'", marks.join("|").replace('\\', "\\\\"))),
        };
        let error = TextError::new(file, format!("{named} {is} read as text{cells}")).line(*line).column(column);
        Some(error.remedy(format!("{remedy} makes {them} NULL")))
    }
}

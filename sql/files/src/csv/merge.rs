//! One table of many files.
//!
//! In: the layouts of a folder. Out: columns matched by name, in any order, with types that hold all files' cells; or two files that are not
//! of one table. Types widen as if the files were one: integers with decimals are decimals, numbers with text are text as it is written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::Schema;

use super::header::numbered;
use super::layout::{Column, Layout, schema};
use crate::error::{TextError, option};

/// The columns of a folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Merged {
    /// In the order of the first file that is not empty.
    pub columns: Vec<Column>,
    /// Of each file, in the order of the layouts, the place of each column among its [`Layout::columns`]. Empty for an empty file.
    pub sources: Vec<Vec<usize>>,
    /// What to know of the files and of the types: what is to be told of many files is told of the first.
    pub warnings: Vec<TextError>,
}

impl Merged {
    /// The columns as Arrow has them.
    pub fn schema(&self) -> Schema {
        schema(&self.columns)
    }
}

impl Layout {
    /// Makes one table of files.
    ///
    /// # Errors
    /// A file has a column that another has not, or spells in another case; all files are empty; there is none.
    pub fn merge(layouts: &[Self]) -> Result<Merged, TextError> {
        let Some(first) = layouts.iter().find(|layout| !layout.columns.is_empty()) else {
            let file = layouts.first().map_or_else(|| Arc::from("the folder"), |layout| Arc::clone(&layout.file));
            let what = if layouts.len() > 1 {
                "this file and all others are empty: they have no header"
            } else {
                "the file is empty: it has no header"
            };
            return Err(TextError::new(&file, what));
        };
        let mut facts: Vec<_> = first.columns.iter().map(|column| column.facts.clone()).collect();
        let names: HashSet<_> = first.columns.iter().map(|column| column.name.as_str()).collect();
        let mut sources = Vec::new();
        for layout in layouts {
            if layout.columns.is_empty() {
                sources.push(Vec::new());
                continue;
            }
            if let Some(column) = layout.columns.iter().find(|column| !names.contains(column.name.as_str())) {
                return Err(missing(first, layout, &column.name));
            }
            let by_name: HashMap<_, _> = layout.columns.iter().enumerate().map(|(place, column)| (column.name.as_str(), place)).collect();
            let place = |column: &Column| by_name.get(column.name.as_str()).copied().ok_or_else(|| missing(layout, first, &column.name));
            let places: Vec<_> = first.columns.iter().map(place).collect::<Result<_, _>>()?;
            if !std::ptr::eq(layout, first) {
                for (facts, place) in facts.iter_mut().zip(&places) {
                    facts.merge(&layout.columns[*place].facts);
                }
            }
            sources.push(places);
        }
        let settle = |(column, facts): (&Column, _)| {
            let Column { name, source, .. } = column;
            let told_as = if first.names_are_a_row { numbered(*source) } else { name.clone() };
            Column::settle(name.clone(), &told_as, *source, facts, first.options.types)
        };
        let columns: Vec<_> = first.columns.iter().zip(facts).map(settle).collect();
        let mut warnings = once(layouts.iter().flat_map(|layout| &layout.warnings));
        warnings.extend(columns.iter().flat_map(|column| column.warnings.iter().cloned()));
        Ok(Merged { columns, sources, warnings })
    }
}

/// `layout` lacks a column of `other`.
fn missing(layout: &Layout, other: &Layout, name: &str) -> TextError {
    if layout.names_are_a_row || other.names_are_a_row {
        let what = format!("the file begins with other names of columns than {}, and one of them with a row", other.file);
        return TextError::new(&layout.file, what).remedy(format!("{}, if all do", option("has_header", "false")));
    }
    let alike = layout.columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase());
    let what = match alike {
        Some(alike) => format!("the column is called \"{}\" here and \"{name}\" in {}", alike.name, other.file),
        None => format!("the file has no column \"{name}\", which {} has", other.file),
    };
    TextError::new(&layout.file, what).remedy("read files with different columns by themselves")
}

/// The first of the warnings that say the same of several files, each with how many say it.
fn once<'w>(all: impl Iterator<Item = &'w TextError>) -> Vec<TextError> {
    let (mut firsts, mut places) = (Vec::new(), HashMap::new());
    for warning in all {
        let place = *places.entry((&warning.what, &warning.remedy)).or_insert(firsts.len());
        match firsts.get_mut(place) {
            Some((_, others)) => *others += 1,
            None => firsts.push((warning.clone(), 0)),
        }
    }
    let counted = |(mut warning, others): (TextError, usize)| {
        match others {
            0 => {}
            1 => warning.what += ", and so in another file",
            _ => warning.what += &format!(", and so in {others} other files"),
        }
        warning
    };
    firsts.into_iter().map(counted).collect()
}

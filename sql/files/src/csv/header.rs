//! The names of the columns.
//!
//! In: the first record, and what the cells below have in common. Out: a name for each column, or none for one without a name and a value, as
//! separators at the ends of all lines make. The names are part of messages, unless they look like a row: then they are somebody's.

use std::collections::HashMap;
use std::sync::Arc;

use super::cell::number::number;
use super::cell::time::date;
use super::facts::{Facts, KINDS};
use super::mask::BLOCK;
use crate::error::{TextError, option};

/// The first record of a file that begins with names.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) line: u64,
    pub(crate) names: Vec<String>,
}

/// The name of a column that has none.
pub(crate) fn numbered(at: usize) -> String {
    format!("column_{}", at + 1)
}

impl Header {
    /// Whether the names look like a row.
    pub(crate) fn is_row(&self) -> bool {
        self.names.iter().any(|name| looks_like_a_value(name))
    }

    /// # Errors
    /// Two columns have the same name; there is neither a name nor a value.
    pub(crate) fn settle(
        self,
        file: &Arc<str>,
        facts: &[Facts],
        rows: u64,
        warnings: &mut Vec<TextError>,
    ) -> Result<Vec<Option<String>>, TextError> {
        let told = |what: String| TextError::new(file, what).line(self.line);
        let is_row = self.is_row();
        if rows == 0 {
            warnings.push(told("the file has a header and no row".to_owned()));
        }
        if is_row {
            warnings.push(
                told("the first line looks like a row, and is read as names of columns".to_owned()).remedy(option("has_header", "false")),
            );
        }
        let mark = |mark: char| self.names.iter().all(|name| name.len() > 2 && name.starts_with(mark) && name.ends_with(mark));
        if let Some(mark) = ['\'', '`'].into_iter().find(|each| mark(*each)) {
            let mark = if mark == '\'' { "''''".to_owned() } else { format!("'{mark}'") };
            warnings.push(
                told("all names stand in marks, which are read as a part of them".to_owned())
                    .remedy(format!("{} takes them for quotes", option("quote", &mark))),
            );
        }
        let (mut named, mut places, mut folded) = (Vec::new(), HashMap::new(), HashMap::<_, String>::new());
        for (at, name) in self.names.into_iter().enumerate() {
            let place = at + 1;
            let name = match name.trim() {
                "" if facts[at].count(&KINDS) == 0 => {
                    warnings.push(told(format!("column {place} has neither a name nor a value, and is left out")));
                    named.push(None);
                    continue;
                }
                "" => {
                    warnings.push(told(format!("column {place} has no name, and is called \"{}\"", numbered(at))));
                    numbered(at)
                }
                trimmed => {
                    if trimmed.len() < name.len() {
                        warnings.push(told(format!("the name of column {place} has spaces around it, which are part of it")));
                    }
                    name
                }
            };
            if let Some(before) = places.insert(name.clone(), place) {
                let error = told(format!("columns {before} and {place} have the same name"));
                return Err(if is_row {
                    error.remedy(option("has_header", "false"))
                } else {
                    error.column(&name).remedy("give one of them another")
                });
            }
            if let Some(other) = folded.insert(name.to_lowercase(), name.clone())
                && !is_row
            {
                warnings.push(told(format!("\"{other}\" and \"{name}\" differ only in case")));
            }
            named.push(Some(name));
        }
        if places.is_empty() {
            return Err(told("the file has neither names of columns nor values".to_owned()));
        }
        Ok(named)
    }
}

/// Whether a name is a number, a day or an address, as few names are.
fn looks_like_a_value(name: &str) -> bool {
    let mut data = name.as_bytes().to_vec();
    data.resize(name.len() + BLOCK, 0);
    let is_number = !name.is_empty() && number(&data, 0, name.len()).is_some();
    is_number || name.starts_with('+') || name.contains('@') || date(&data, 0, name.len()).is_some()
}

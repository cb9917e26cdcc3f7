//! What is told of a file: where, what was found, what to write instead.
//!
//! In: a place and two texts. Out: one sentence that stands alone. It holds names of files and columns, lines, shapes and well-known null
//! marks; what else a file says never gets into it.

use std::fmt;
use std::sync::Arc;

/// Why a file is not read, or, among [`warnings`](crate::csv::Layout::warnings), what to know about one that is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TextError {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// The line, the first being 1.
    pub line: Option<u64>,
    /// The column.
    pub column: Option<String>,
    /// What was found.
    pub what: String,
    /// What to write or to mend, where that is known.
    pub remedy: Option<String>,
}

/// An option as it is given to the reader, in SQL.
pub(crate) fn option(name: &str, value: &str) -> String {
    format!("OPTIONS ({name} {value}) of CREATE EXTERNAL TABLE")
}

impl TextError {
    pub(crate) fn new(file: &Arc<str>, what: impl Into<String>) -> Self {
        Self { file: Arc::clone(file), line: None, column: None, what: what.into(), remedy: None }
    }

    pub(crate) fn line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }

    pub(crate) fn column(self, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..self }
    }

    pub(crate) fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(out, ", column \"{column}\"")?;
        }
        write!(out, ": {}", self.what)?;
        match &self.remedy {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TextError {}

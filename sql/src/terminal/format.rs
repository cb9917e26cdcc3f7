//! The formats of results: by `--format`, or by the ending of `-o FILE`.
//!
//! In: the flag, the path. Out: a [`Format`], or an error that lists the endings.

use std::path::Path;

use crate::failure::{Failure, Result};

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Drawn, for people; the first 1000 rows of a result.
    Table,
    /// One line a column, for people and for rows that are wide.
    Expanded,
    /// Comma-separated, with a header; lists and structs as JSON.
    Csv,
    /// Tab-separated, with a header.
    Tsv,
    /// One array a result, one result a line.
    Json,
    /// One object a row, one row a line.
    Ndjson,
    /// Apache Parquet, one result a file.
    Parquet,
}

/// The endings that name a format.
const ENDINGS: [(&str, Format); 8] = [
    ("txt", Format::Table),
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
    ("ndjson", Format::Ndjson),
    ("jsonl", Format::Ndjson),
    ("parquet", Format::Parquet),
    ("pq", Format::Parquet),
];

impl Format {
    /// The format that the ending of `path` names; `None` for a device or a name without an ending.
    ///
    /// # Errors
    /// [`Failure::Usage`] for another ending; it lists those that are known.
    pub(crate) fn of_path(path: &Path) -> Result<Option<Self>> {
        if path.metadata().is_ok_and(|there| !there.is_file()) {
            return Ok(None);
        }
        let Some(ending) = path.extension().map(|ending| ending.to_string_lossy()) else { return Ok(None) };
        let known = ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
        known.map(|(_, format)| Some(*format)).ok_or_else(|| {
            let endings: Vec<_> = ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
            Failure::Usage(format!(
                "-o {}: \".{ending}\" names no format; expected {}, or --format csv (or another one) for a file of any name",
                path.display(),
                endings.join(", ")
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_file_names_its_format_and_another_ending_lists_those_that_do() {
        let of = |path: &str| Format::of_path(Path::new(path));
        assert_eq!(of("a/users.CSV").unwrap(), Some(Format::Csv));
        assert_eq!(of("x.parquet").unwrap(), Some(Format::Parquet));
        assert_eq!(of("x.jsonl").unwrap(), Some(Format::Ndjson));
        for without in ["out", "/dev/stdout", ".hidden"] {
            assert_eq!(of(without).unwrap(), None, "{without}");
        }
        for other in ["x.csv.gz", "x.xlsx", "x.arrow"] {
            let failure = of(other).unwrap_err();
            assert!(failure.code() == 2 && failure.to_string().contains("expected .txt, .csv, .tsv, .json"), "{failure}");
        }
    }
}

//! What a statement says of text files: the options of CREATE EXTERNAL TABLE.
//!
//! In: names and values. Out: [`TextOptions`]. DataFusion's names are taken too; what the first pass finds by itself, such as how many rows
//! to infer types from, is taken and not needed.

use std::collections::BTreeMap;

use clevertap_files::csv::{self, Types};
use datafusion::common::{Result, plan_err};

use super::{decompress::Compression, encoding, pieces::Writing};
use crate::nearest::nearest;

/// What the records of text files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Csv,
    Json,
}

/// How text files are read.
#[derive(Debug, Clone)]
pub(crate) struct TextOptions {
    pub(crate) format: TextFormat,
    pub(crate) writing: Writing,
    pub(crate) csv: csv::Options,
}

/// Names that are taken and need nothing to be done.
const NOT_NEEDED: [&str; 3] = ["newlines_in_values", "schema_infer_max_rec", "newline_delimited"];
/// Names of options that say how files are written, which DataFusion does.
const OF_WRITING: [&str; 6] = ["date_format", "datetime_format", "timestamp_format", "timestamp_tz_format", "time_format", "null_value"];
const OF_CSV: [&str; 7] = ["delimiter", "quote", "escape", "comment", "null", "has_header", "types"];
const OF_ALL: [&str; 2] = ["encoding", "compression"];

impl TextOptions {
    pub(crate) fn new(format: TextFormat, types: Types) -> Self {
        Self { format, writing: Writing::default(), csv: csv::Options { types, ..csv::Options::default() } }
    }

    /// Takes the options of a table.
    ///
    /// # Errors
    /// A name that is not known, with the nearest one; a value that is none of its option.
    pub(crate) fn take(&mut self, options: &BTreeMap<String, String>) -> Result<()> {
        for (name, value) in options {
            let name = name.to_lowercase();
            let name = name.strip_prefix("format.").unwrap_or(&name);
            match (name, self.format) {
                ("delimiter", TextFormat::Csv) => self.csv.delimiter = Some(byte(name, value)?),
                ("quote", TextFormat::Csv) if value.is_empty() => self.csv.quote = Some(csv::NO_QUOTE),
                ("quote", TextFormat::Csv) => self.csv.quote = Some(byte(name, value)?),
                ("escape", TextFormat::Csv) => self.csv.escape = Some(byte(name, value)?),
                ("comment", TextFormat::Csv) => self.csv.comment = Some(byte(name, value)?),
                ("has_header", TextFormat::Csv) => self.csv.has_header = flag(name, value)?,
                ("types", TextFormat::Csv) => self.csv.types = types(value)?,
                ("null", TextFormat::Csv) => self.csv.null = vec![value.clone()],
                ("null_regex", TextFormat::Csv) => self.csv.null = alternatives(value)?,
                ("double_quote", TextFormat::Csv) if flag(name, value)? => {}
                ("double_quote", TextFormat::Csv) => {
                    return plan_err!("quotes that are not doubled have another character before them: escape");
                }
                ("encoding", _) => self.writing.encoding = encoding::named(value).or_else(|why| plan_err!("{why}"))?,
                ("compression" | "file_compression_type", _) => self.writing.compression = compression(value)?,
                (name, _) if NOT_NEEDED.contains(&name) || OF_WRITING.contains(&name) => {}
                (name, format) => {
                    let known = OF_ALL.iter().chain(if format == TextFormat::Csv { OF_CSV.as_slice() } else { &[] }).copied();
                    let names: Vec<&str> = known.clone().collect();
                    return match nearest(name, known) {
                        Some(near) => plan_err!("there is no option '{name}' of text files; did you mean '{near}'?"),
                        None => plan_err!("there is no option '{name}' of text files; there are {}", names.join(", ")),
                    };
                }
            }
        }
        Ok(())
    }
}

fn byte(name: &str, value: &str) -> Result<u8> {
    match (value, value.as_bytes()) {
        ("\\t" | "tab", _) => Ok(b'\t'),
        (_, [byte]) => Ok(*byte),
        _ => plan_err!("option '{name}' is one character of one byte, or '\\t' for a tab"),
    }
}

fn flag(name: &str, value: &str) -> Result<bool> {
    match value.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => plan_err!("option '{name}' is 'true' or 'false'"),
    }
}

/// How columns are typed, as `SET clevertap.csv_types` says it too.
pub(crate) fn types(value: &str) -> Result<Types> {
    match value {
        "exact" => Ok(Types::Exact),
        "text" => Ok(Types::Text),
        _ => plan_err!("option 'types' is 'exact', by which a column has the type of all its cells, or 'text'"),
    }
}

/// The texts of a regular expression that is no more than texts, as `^(NA|NULL)$`.
fn alternatives(pattern: &str) -> Result<Vec<String>> {
    let inner = pattern.trim_start_matches('^').trim_end_matches('$').trim_start_matches('(').trim_end_matches(')');
    let has_escape = inner.replace("\\\\", "").contains('\\');
    if has_escape || inner.contains(|character: char| r".*+?[]{}()^$".contains(character)) {
        return plan_err!("option 'null_regex' is read where it names texts, as in ^(NA|NULL)$; for one text there is null 'NA'");
    }
    Ok(inner.split('|').map(|text| text.replace("\\\\", "\\")).collect())
}

fn compression(value: &str) -> Result<Option<Compression>> {
    if ["", "none", "uncompressed"].contains(&value.to_lowercase().as_str()) {
        return Ok(None);
    }
    match Compression::named(value) {
        Some(compression) => Ok(Some(compression)),
        None => plan_err!("option 'compression' is gzip, zstd, bz2, xz or none"),
    }
}

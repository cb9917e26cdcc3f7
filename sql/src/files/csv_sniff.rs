//! What the first bytes of CSV files show that DataFusion's inference does not look for.
//!
//! In: the files of a table. Out: an error if one has other columns than the first, since all are read by position under the header of
//! the first; else the columns that stay text although they look like numbers, since `00123` is not the person `123`, and the columns of
//! instants that state their zone.

use std::collections::BTreeSet;

use datafusion::common::{DataFusionError, Result, plan_err};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

/// Bytes of a file that are read.
const HEAD_BYTES: u64 = 64 << 10;
/// Files that are read at once.
const FILES_AT_ONCE: usize = 16;

#[derive(Debug, Clone, Copy)]
pub(crate) struct CsvDialect {
    pub(crate) delimiter: u8,
    pub(crate) has_header: bool,
}

/// Positions of columns whose inferred type would lose something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CsvHints {
    /// Columns with a number that begins with a zero.
    pub(crate) leading_zeros: BTreeSet<usize>,
    /// Columns with an instant that states its zone, as in `2026-11-01T10:00:00+02:00`.
    pub(crate) with_zone: BTreeSet<usize>,
    /// Columns with a timestamp that does not.
    pub(crate) without_zone: BTreeSet<usize>,
}

/// Hints from the first bytes of all `files`.
///
/// # Errors
/// A file has other columns than the first, or the same in another order; or it cannot be read.
pub(crate) async fn sniff(store: &dyn ObjectStore, files: &[ObjectMeta], dialect: CsvDialect) -> Result<CsvHints> {
    // Collected, because a closure that borrows would not live across the first await.
    let reads: Vec<_> = files.iter().filter(|file| file.size > 0).map(|file| first_lines(store, file)).collect();
    let mut heads = futures::stream::iter(reads).buffered(FILES_AT_ONCE);
    let (mut first, mut hints) = (None, CsvHints::default());
    while let Some((file, bytes)) = heads.try_next().await? {
        let unread = |error: csv::Error| DataFusionError::External(Box::new(error));
        let mut reader =
            csv::ReaderBuilder::new().delimiter(dialect.delimiter).has_headers(dialect.has_header).flexible(true).from_reader(&bytes[..]);
        if dialect.has_header {
            let names = reader.byte_headers().map_err(unread)?;
            let (first_file, expected) = first.get_or_insert_with(|| (file, names.clone()));
            if names != expected {
                return plan_err!(
                    "{} has other columns than {}, or the same in another order, and columns of CSV are read by their place under the \
                     first file's header; read each kind by itself",
                    name(file),
                    name(first_file)
                );
            }
        }
        for record in reader.byte_records() {
            for (at, cell) in record.map_err(unread)?.iter().enumerate() {
                if has_leading_zero(cell) {
                    hints.leading_zeros.insert(at);
                } else if let Some(has_zone) = states_zone(cell) {
                    if has_zone {
                        hints.with_zone.insert(at)
                    } else {
                        hints.without_zone.insert(at)
                    };
                }
            }
        }
    }
    Ok(hints)
}

/// The complete lines among the first bytes of a file.
async fn first_lines<'f>(store: &dyn ObjectStore, file: &'f ObjectMeta) -> Result<(&'f ObjectMeta, Vec<u8>)> {
    let read = match store.get_range(&file.location, 0..file.size.min(HEAD_BYTES)).await {
        Ok(read) => read.to_vec(),
        // Not every server answers range requests.
        Err(_) => {
            let (mut chunks, mut read) = (store.get(&file.location).await?.into_stream(), Vec::new());
            while read.len() < HEAD_BYTES as usize
                && let Some(chunk) = chunks.try_next().await?
            {
                read.extend_from_slice(&chunk);
            }
            read.truncate(HEAD_BYTES as usize);
            read
        }
    };
    let end = if file.size > HEAD_BYTES { read.iter().rposition(|byte| *byte == b'\n') } else { None };
    Ok((file, read.get(..end.unwrap_or(read.len())).unwrap_or_default().to_vec()))
}

/// Whether the cell is digits that a number would change.
fn has_leading_zero(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    digits.len() > 1 && digits[0] == b'0' && digits.iter().all(u8::is_ascii_digit)
}

/// Whether a timestamp states its zone; `None` for a cell that is no day with a time.
fn states_zone(cell: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(cell).ok()?;
    let (day, time) = (text.get(..10)?, text.get(11..)?);
    day.parse::<chrono::NaiveDate>().ok()?;
    (time.get(..1)?.bytes().all(|byte| byte.is_ascii_digit())).then(|| time.ends_with(['Z', 'z']) || time.contains(['+', '-']))
}

fn name(file: &ObjectMeta) -> &str {
    file.location.filename().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::engine::session::Session;

    /// Queries a folder of these files: names and types of its columns, then its rows by the first column.
    async fn read(files: &[(&str, &str)]) -> std::result::Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let session = Session::open(None, None).unwrap();
        let text = format!("SELECT * FROM '{}/' ORDER BY 1", folder.path().display());
        let rows = session.rows(&text).await.map_err(|error| error.to_string())?;
        let types: Vec<_> = rows[0].schema().fields().iter().map(|field| format!("{} {}", field.name(), field.data_type())).collect();
        let table = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        let cells = table.lines().skip(3).filter(|line| line.starts_with('|'));
        let cells = cells.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned());
        Ok(types.into_iter().chain(cells).collect::<Vec<_>>().join("; "))
    }

    #[tokio::test]
    async fn a_number_with_a_leading_zero_stays_text_in_whichever_file_it_is() {
        let files = [("a.csv", "id,visits\n1,1\n2,2\n"), ("b.csv", "id,visits\n00123,3\n"), ("c.csv", "")];
        assert_eq!(read(&files).await.unwrap(), "id Utf8; visits Int64; 00123 3; 1 1; 2 2");
        let tabs = [("a.tsv", "visits\tid\n7\t007\n")];
        assert_eq!(read(&tabs).await.unwrap(), "visits Int64; id Utf8; 7 007");
        // The last line of the bytes that are read is cut, so that its last cell is not judged.
        let long = format!("id,note\n{}8,{}\n900,x\n", "7,x\n".repeat(10), "x".repeat(HEAD_BYTES as usize));
        assert!(read(&[("a.csv", &long)]).await.unwrap().starts_with("id Int64; note Utf8; 7 x"));
    }

    #[tokio::test]
    async fn an_instant_that_states_its_zone_keeps_it() {
        let file = "id,at,local,mixed\n1,2026-11-01T10:00:00Z,2026-11-01T10:00:00,2026-11-01 10:00:00\n\
                    2,2026-11-01T10:00:00+02:00,2026-11-01T11:00:00,2026-11-01T10:00:00Z\n";
        assert_eq!(
            read(&[("a.csv", file)]).await.unwrap(),
            "id Int64; at Timestamp(s, \"+00:00\"); local Timestamp(s); mixed Utf8; \
             1 2026-11-01T10:00:00Z 2026-11-01T10:00:00 2026-11-01 10:00:00; 2 2026-11-01T08:00:00Z 2026-11-01T11:00:00 2026-11-01T10:00:00Z"
        );
    }

    #[tokio::test]
    async fn files_with_other_columns_are_refused_and_none_is_read_under_the_header_of_another() {
        let first = ("a.csv", "id,email\n1,a@example.org\n");
        for other in ["email,id\nb@example.org,2\n", "id,mail\n2,b@example.org\n", "id\n2\n", "2,b@example.org\n"] {
            let said = read(&[first, ("b.csv", other)]).await.unwrap_err();
            assert!(said.contains("b.csv has other columns than a.csv") && !said.contains("b@example.org"), "{said}");
        }
        assert_eq!(
            read(&[first, ("b.csv", "id,email\n2,b@example.org\n")]).await.unwrap(),
            "id Int64; email Utf8; 1 a@example.org; 2 b@example.org"
        );
    }

    #[tokio::test]
    async fn a_column_that_begins_late_in_ndjson_is_a_column() {
        let lines = format!("{}{{\"id\":8,\"email\":\"x@example.org\"}}\n", "{\"id\":7}\n".repeat(1_500));
        let read = read(&[("a.ndjson", &lines)]).await.unwrap();
        assert!(read.starts_with("id Int64; email Utf8; 7") && read.ends_with("8 x@example.org"), "{}", read.len());
    }

    #[tokio::test]
    async fn a_folder_holds_one_kind_of_file_and_other_files_that_are_never_read() {
        let first = ("a.csv", "id\n1\n");
        for other in ["b.ndjson", "b.CSV", "0.parquet", "b.csv.gz"] {
            let said = read(&[first, (other, "{}")]).await.unwrap_err();
            assert!(said.contains("do not all end in"), "{other}: {said}");
        }
        assert_eq!(read(&[first, ("readme.txt", "x"), ("_SUCCESS", ""), (".a.csv.crc", "x")]).await.unwrap(), "id Int64; 1");
    }

    #[tokio::test]
    async fn each_kind_of_a_mixed_folder_is_read_as_the_error_says() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.csv"), "id\n1\n").unwrap();
        std::fs::write(folder.path().join("b.ndjson"), "{\"id\":2}\n{\"id\":3}\n").unwrap();
        let session = Session::open(None, None).unwrap();
        let path = folder.path().display();
        let mut from = String::new();
        for mixed in [path.to_string(), format!("{path}/"), format!("{path}/*")] {
            let error = session.rows(&format!("SELECT * FROM '{mixed}'")).await.unwrap_err().to_string();
            from = error.split_once("as in FROM ").unwrap().1.to_owned();
            assert_eq!(from, format!("'{path}/*.csv'"), "{mixed}");
        }
        assert_eq!(session.count(&format!("SELECT count(*) FROM {from}")).await.unwrap(), 1);
        assert_eq!(session.count(&format!("SELECT count(*) FROM '{path}/*.ndjson'")).await.unwrap(), 2);
    }

    #[test]
    fn a_leading_zero_is_one_before_other_digits() {
        assert!(["00", "007", "-01", "0001"].into_iter().all(|cell| has_leading_zero(cell.as_bytes())));
        assert!(!["", "0", "-0", "10", "0.5", "0x1", "-"].into_iter().any(|cell| has_leading_zero(cell.as_bytes())));
    }
}

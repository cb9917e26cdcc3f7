//! The first bytes of CSV files, which tell what DataFusion does not look for.
//!
//! In: the files of a table. Out: an error if one has other columns than the first, since all are read by their place under the first
//! one's header; else the columns that stay text although they look like numbers, since `00123` is not the person `123`, and those of instants that
//! say their zone.

use std::collections::BTreeSet;

use datafusion::common::{DataFusionError, Result, plan_err};
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

/// Bytes of a file that are looked at.
const HEAD_BYTES: u64 = 64 << 10;
/// Files that are looked at at once.
const AT_ONCE: usize = 16;

/// How the files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialect {
    pub(crate) delimiter: u8,
    /// Whether the first line holds the names.
    pub(crate) has_header: bool,
}

/// What DataFusion would not see in the columns at these places.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// They have a number with a zero before it.
    pub(crate) zero_led: BTreeSet<usize>,
    /// They have an instant that says its zone, as in `2026-11-01T10:00:00+02:00`.
    pub(crate) zoned: BTreeSet<usize>,
    /// They have one that does not.
    pub(crate) zoneless: BTreeSet<usize>,
}

/// The marks of the columns in the first bytes of all `files`.
///
/// # Errors
/// A file has other columns than the first, or the same in another order; or it cannot be read.
pub(crate) async fn marks(store: &dyn ObjectStore, files: &[ObjectMeta], dialect: Dialect) -> Result<Marks> {
    // A list of them, because a borrowing closure would not outlive the first wait.
    let looks: Vec<_> = files.iter().filter(|file| file.size > 0).map(|file| head(store, file)).collect();
    let mut heads = futures::stream::iter(looks).buffered(AT_ONCE);
    let (mut first, mut marks) = (None, Marks::default());
    while let Some((file, bytes)) = heads.try_next().await? {
        let unread = |error: csv::Error| DataFusionError::External(Box::new(error));
        let mut reader =
            csv::ReaderBuilder::new().delimiter(dialect.delimiter).has_headers(dialect.has_header).flexible(true).from_reader(&bytes[..]);
        if dialect.has_header {
            let names = reader.byte_headers().map_err(unread)?;
            let (of, expected) = first.get_or_insert_with(|| (file, names.clone()));
            if names != expected {
                return plan_err!(
                    "{} has other columns than {}, or the same in another order, and columns of CSV are read by their place under the \
                     first file's header; read each kind by itself",
                    name(file),
                    name(of)
                );
            }
        }
        for record in reader.byte_records() {
            for (at, cell) in record.map_err(unread)?.iter().enumerate() {
                if is_zero_led(cell) {
                    marks.zero_led.insert(at);
                } else if let Some(is_zoned) = is_zoned(cell) {
                    if is_zoned {
                        marks.zoned.insert(at)
                    } else {
                        marks.zoneless.insert(at)
                    };
                }
            }
        }
    }
    Ok(marks)
}

/// The whole lines among the file's first bytes.
async fn head<'f>(store: &dyn ObjectStore, file: &'f ObjectMeta) -> Result<(&'f ObjectMeta, Vec<u8>)> {
    let read = match store.get_range(&file.location, 0..file.size.min(HEAD_BYTES)).await {
        Ok(read) => read.to_vec(),
        // Not every server gives a part of a file.
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
    let whole = if file.size > HEAD_BYTES { read.iter().rposition(|byte| *byte == b'\n') } else { None };
    Ok((file, read.get(..whole.unwrap_or(read.len())).unwrap_or_default().to_vec()))
}

/// Digits that would not come back as they stand there.
fn is_zero_led(cell: &[u8]) -> bool {
    let digits = cell.strip_prefix(b"-").unwrap_or(cell);
    digits.len() > 1 && digits[0] == b'0' && digits.iter().all(u8::is_ascii_digit)
}

/// Whether an instant says its zone; `None` of what is no day with a time.
fn is_zoned(cell: &[u8]) -> Option<bool> {
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

    use crate::session::Session;

    /// A folder of these files, and what a query of it gives: names and types of its columns, and its rows in order of the first one.
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
    async fn a_number_with_a_zero_before_it_stays_text_whatever_file_it_is_in() {
        let files = [("a.csv", "id,visits\n1,1\n2,2\n"), ("b.csv", "id,visits\n00123,3\n"), ("c.csv", "")];
        assert_eq!(read(&files).await.unwrap(), "id Utf8; visits Int64; 00123 3; 1 1; 2 2");
        let tabs = [("a.tsv", "visits\tid\n7\t007\n")];
        assert_eq!(read(&tabs).await.unwrap(), "visits Int64; id Utf8; 7 007");
        // The last line of the bytes that are looked at is cut: what is left of it is no cell.
        let long = format!("id,note\n{}8,{}\n900,x\n", "7,x\n".repeat(10), "x".repeat(HEAD_BYTES as usize));
        assert!(read(&[("a.csv", &long)]).await.unwrap().starts_with("id Int64; note Utf8; 7 x"));
    }

    #[tokio::test]
    async fn an_instant_that_says_its_zone_keeps_it() {
        let file = "id,at,local,mixed\n1,2026-11-01T10:00:00Z,2026-11-01T10:00:00,2026-11-01 10:00:00\n\
                    2,2026-11-01T10:00:00+02:00,2026-11-01T11:00:00,2026-11-01T10:00:00Z\n";
        assert_eq!(
            read(&[("a.csv", file)]).await.unwrap(),
            "id Int64; at Timestamp(s, \"+00:00\"); local Timestamp(s); mixed Utf8; \
             1 2026-11-01T10:00:00Z 2026-11-01T10:00:00 2026-11-01 10:00:00; 2 2026-11-01T08:00:00Z 2026-11-01T11:00:00 2026-11-01T10:00:00Z"
        );
    }

    #[tokio::test]
    async fn files_of_other_columns_are_refused_and_none_is_read_under_a_header_that_is_not_its_own() {
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
    async fn a_column_that_begins_late_in_ndjson_is_one() {
        let lines = format!("{}{{\"id\":8,\"email\":\"x@example.org\"}}\n", "{\"id\":7}\n".repeat(1_500));
        let read = read(&[("a.ndjson", &lines)]).await.unwrap();
        assert!(read.starts_with("id Int64; email Utf8; 7") && read.ends_with("8 x@example.org"), "{}", read.len());
    }

    #[tokio::test]
    async fn a_folder_is_of_one_kind_and_what_is_never_read_is_no_part_of_it() {
        let first = ("a.csv", "id\n1\n");
        for other in ["b.ndjson", "b.CSV", "0.parquet", "b.csv.gz"] {
            let said = read(&[first, (other, "{}")]).await.unwrap_err();
            assert!(said.contains("do not all end in"), "{other}: {said}");
        }
        assert_eq!(read(&[first, ("readme.txt", "x"), ("_SUCCESS", ""), (".a.csv.crc", "x")]).await.unwrap(), "id Int64; 1");
    }

    #[test]
    fn only_digits_behind_a_zero_would_not_come_back() {
        assert!(["00", "007", "-01", "0001"].into_iter().all(|cell| is_zero_led(cell.as_bytes())));
        assert!(!["", "0", "-0", "10", "0.5", "0x1", "-"].into_iter().any(|cell| is_zero_led(cell.as_bytes())));
    }
}

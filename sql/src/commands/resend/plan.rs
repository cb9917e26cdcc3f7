//! Which failed rows are sent again, and which are left out, and why.

use std::collections::BTreeMap;

use arrow::{
    array::{AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, UInt64Type},
};
use futures::TryStreamExt;

use super::{
    continued::{Continued, Later},
    flags::{FateFlag, ResendFlags},
    log::{FailedRows, ResendLog, RowKey, Standing},
    owner::Owner,
};
use crate::{
    engine::session::Session,
    failure::{Failure, Result},
    literals::{literal, literals},
};

/// The tables whose rows are sent again, in this order.
const TABLES: [&str; 5] = ["profiles", "device_tokens", "events", "subscriptions", "phone_disassociations"];

/// What is sent again.
#[derive(Debug)]
pub(super) struct Selection {
    /// For each table its rows, by run and number.
    pub(super) tables: Vec<(String, Vec<RowKey>)>,
    /// What is left out, as sentences.
    pub(super) left_out: Vec<String>,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    OtherAccount,
    Done,
    DryRun,
    NoRecord,
    Table,
    Rejected,
    InDoubt,
    Lost,
    GoneOn,
    OtherFate,
}

impl LeftOut {
    fn sentence(self, rows: u64) -> String {
        let why = match self {
            Self::OtherAccount => "were written to another account; --account NAME sends those of NAME, which is a name in clevertap.toml",
            Self::Done => "were sent again before",
            Self::DryRun => "are of dry runs; --dry-runs sends them",
            Self::NoRecord => {
                "were refused before they were sent, and have no record to send: mend them by SQL, and insert them from there"
            }
            Self::Table => "are of tables whose records are not sent again; run their statement again",
            Self::Rejected => "were rejected by CleverTap; --fate rejected sends them as they are, and SQL mends them",
            Self::InDoubt => "are in doubt and may be stored; --fate in_doubt sends them, which may store them twice",
            Self::Lost => {
                "were being sent again when that was cut off, and may be stored; --fate in_doubt sends them, which may store them twice"
            }
            Self::GoneOn => "are of a load that was gone on with and has not ended: go on with that first (--resume)",
            Self::OtherFate => "have another fate",
        };
        format!("left out: {rows} rows {why}")
    }
}

/// The query of `columns` of the failed rows, in the order in which they are sent; of one table or of all.
pub(super) fn failed_rows(folder: &str, columns: &str, table: Option<&str>) -> String {
    let folder = format!("{}/", folder.trim_end_matches('/'));
    let of_table = match table {
        Some("events") => r#"WHERE table_name LIKE '%.events' OR table_name LIKE '%"'"#.to_owned(),
        Some(table) => format!("WHERE table_name LIKE {}", literal(&format!("%.{table}"))),
        None => String::new(),
    };
    format!("SELECT {columns} FROM {} {of_table} ORDER BY run_uid, row_number", literal(&folder))
}

/// The table that a failed row was written to: an event of its own is one of `events`.
fn table_of(name: &str) -> &str {
    if name.ends_with('"') { "events" } else { name.rsplit_once('.').map_or(name, |(_, table)| table) }
}

/// Reads all failed rows but their records, and selects. `owner` is the account that they are sent to.
///
/// # Errors
/// A folder without failed rows, or one that cannot be read.
pub(super) async fn plan(
    session: &Session,
    flags: &ResendFlags,
    log: &ResendLog,
    continued: &Continued<'_>,
    owner: &Owner<'_>,
) -> Result<Selection> {
    let again = failed_again(session, flags, log).await?;
    let columns = "run_uid, row_number, table_name, fate, code, dry_run, record = '{}' AS has_no_record, \
                   record LIKE '%\"$incr\":%' OR record LIKE '%\"$decr\":%' AS changes_numbers";
    let mut rows = session.sql(&failed_rows(&flags.folder, columns, None)).await?.execute_stream().await?;
    let mut tables: BTreeMap<&'static str, Vec<RowKey>> = BTreeMap::new();
    let mut left_out: BTreeMap<LeftOut, u64> = BTreeMap::new();
    let mut last: Option<RowKey> = None;
    while let Some(batch) = rows.try_next().await.map_err(Failure::from)? {
        let texts = |column: usize| cast(batch.column(column), &DataType::Utf8);
        let (runs, names, fates, codes) = (texts(0)?, texts(2)?, texts(3)?, texts(4)?);
        for at in 0..batch.num_rows() {
            let text = |array: &arrow::array::ArrayRef| array.as_string::<i32>().value(at).to_owned();
            let key = (text(&runs), batch.column(1).as_primitive::<UInt64Type>().value(at));
            // A row of a file that was copied.
            if last.as_ref() == Some(&key) {
                continue;
            }
            let row = Row {
                is_of_account: owner.has(&key.0, &text(&names)),
                table: TABLES.into_iter().find(|table| *table == table_of(&text(&names))),
                fate: fate(&text(&fates)),
                is_dry_run: flag(&batch, 5, at),
                has_no_record: flag(&batch, 6, at) || text(&codes).starts_with("CT-5"),
                changes_numbers: flag(&batch, 7, at),
                standing: log.standing(&key.0, key.1, &again),
                later: continued.later(&key.0, key.1),
            };
            match row.selected(flags) {
                Ok(table) => tables.entry(table).or_default().push(key.clone()),
                Err(why) => *left_out.entry(why).or_default() += 1,
            }
            last = Some(key);
        }
    }
    let tables = TABLES.into_iter().filter_map(|table| Some((table.to_owned(), tables.remove(table)?))).collect();
    Ok(Selection { tables, left_out: left_out.into_iter().map(|(why, rows)| why.sentence(rows)).collect() })
}

/// The failed rows of runs that sent rows again.
async fn failed_again(session: &Session, flags: &ResendFlags, log: &ResendLog) -> Result<FailedRows> {
    let runs = log.runs();
    if runs.is_empty() {
        return Ok(FailedRows::new());
    }
    let folder = format!("{}/", flags.folder.trim_end_matches('/'));
    let query = format!("SELECT run_uid, row_number FROM {} WHERE run_uid IN ({})", literal(&folder), literals(runs));
    let mut failed = FailedRows::new();
    for batch in session.rows(&query).await? {
        let runs = cast(batch.column(0), &DataType::Utf8)?;
        let numbers = batch.column(1).as_primitive::<UInt64Type>();
        for (run, number) in runs.as_string::<i32>().iter().flatten().zip(numbers.values()) {
            failed.entry(run.to_owned()).or_default().insert(*number);
        }
    }
    Ok(failed)
}

struct Row {
    is_of_account: bool,
    /// `None` where its records are not sent again.
    table: Option<&'static str>,
    fate: FateFlag,
    is_dry_run: bool,
    has_no_record: bool,
    changes_numbers: bool,
    standing: Standing,
    /// Where its run was gone on with: what became of it there, if it was unsent.
    later: Option<Later>,
}

impl Row {
    /// Its table, if it is sent again.
    fn selected(&self, flags: &ResendFlags) -> Result<&'static str, LeftOut> {
        if !self.is_of_account {
            return Err(LeftOut::OtherAccount);
        }
        if self.standing == Standing::Done {
            return Err(LeftOut::Done);
        }
        if self.is_dry_run && !flags.dry_runs {
            return Err(LeftOut::DryRun);
        }
        let Some(table) = self.table else { return Err(LeftOut::Table) };
        if self.has_no_record {
            return Err(LeftOut::NoRecord);
        }
        let later = self.later.filter(|_| self.fate == FateFlag::Unsent && self.standing == Standing::Open);
        match later {
            Some(Later::Done) => return Err(LeftOut::Done),
            Some(Later::Left) => return Err(LeftOut::GoneOn),
            Some(Later::Lost) | None => {}
        }
        let is_lost = self.standing == Standing::Lost || later == Some(Later::Lost);
        let fate = if is_lost { FateFlag::InDoubt } else { self.fate };
        if flags.fate.contains(&fate) {
            return Ok(table);
        }
        if !flags.fate.is_empty() {
            return Err(if is_lost { LeftOut::Lost } else { LeftOut::OtherFate });
        }
        let is_appended = table == "events" || self.changes_numbers;
        match fate {
            FateFlag::Unsent => Ok(table),
            FateFlag::InDoubt if !is_appended => Ok(table),
            FateFlag::InDoubt => Err(if is_lost { LeftOut::Lost } else { LeftOut::InDoubt }),
            FateFlag::Rejected => Err(LeftOut::Rejected),
        }
    }
}

fn fate(text: &str) -> FateFlag {
    match text {
        "rejected" => FateFlag::Rejected,
        "in_doubt" => FateFlag::InDoubt,
        _ => FateFlag::Unsent,
    }
}

fn flag(batch: &RecordBatch, column: usize, at: usize) -> bool {
    batch.column(column).as_boolean().value(at)
}

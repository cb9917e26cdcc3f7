//! Exports: which chains of pages a query needs, and how many at once.
//!
//! In: event names, days, conditions, columns. Out: windows, each a chain of its own, and, when it runs, batches in the order in
//! which they come. A range of days is cut so that the permitted chains run side by side, and workers take the next window as
//! they finish one. Where there is a limit, one chain runs at a time, with pages as small as the limit allows.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::record_batch::RecordBatch;
use chrono::{Days, NaiveDate};
use datafusion::common::runtime::JoinSet;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::mpsc;

use crate::client::{Api, Lane, LaneSettings};
use crate::read::chain::{Chains, Sender};
use crate::read::memory::Memory;
use crate::read::property::Condition;
use crate::read::scan::{Counters, Scan};
use crate::read::shape::{Framed, Keep, Seen, Shape};
use crate::read::wanted::Range;
use crate::table::Export;
use crate::tables::query::{BATCH_SIZE_MAX, BATCH_SIZE_STEP};

/// Windows for each chain that may run: enough that none waits long for the last, and few, since each costs two requests more.
const WINDOWS_A_CHAIN: usize = 4;

/// The earliest day of a sweep: CleverTap is younger.
pub(crate) const BEGINNING: NaiveDate = NaiveDate::from_ymd_opt(2013, 1, 1).expect("a day");

/// How far an open range goes beyond today: events may carry a time that is still to come.
pub(crate) const AHEAD: Days = Days::new(365);

/// One chain of pages: an event, or any, from the first day to the last, both in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    /// The event; `None` in a sweep, where the names are asked for first.
    pub(crate) event: Option<String>,
    /// First and last day.
    pub(crate) range: Range,
}

/// An export, planned.
#[derive(Debug)]
pub(crate) struct ExportWork {
    /// The call.
    pub(crate) call: &'static Export,
    /// In the order in which they are taken.
    pub(crate) windows: Vec<Window>,
    /// Parts of a record, and whether they are asked for.
    pub(crate) parts: Vec<(&'static str, bool)>,
    /// What CleverTap looks at before it sends; checked again above the scan.
    pub(crate) conditions: Vec<Condition>,
    /// Which rows are left in.
    pub(crate) keep: Keep,
    /// How records become rows.
    pub(crate) shape: Shape,
}

impl ExportWork {
    /// Plans the export of `events` (`None`: a sweep) in `range`.
    ///
    /// # Errors
    /// `Error::Setting` if a column needs a time zone and there is none.
    pub(crate) fn plan(
        call: &'static Export,
        scan: &Scan,
        events: Option<&[String]>,
        range: Range,
        today: NaiveDate,
        conditions: Vec<Condition>,
        keep: Keep,
    ) -> Result<Self> {
        let names: Vec<_> = scan.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let parts = call.parts.iter().map(|(part, columns)| (*part, columns.iter().any(|column| names.contains(column)))).collect();
        let framed = Framed { records: call.records, inside: None, asked: None };
        let shape = Shape::new(&scan.table, &scan.schema, &scan.projection, framed, keep)?;
        let chains = scan.options.read_concurrency;
        let cut = call.time.is_some() && scan.limit.is_none();
        let windows = match events {
            None => vec![Window { event: None, range }],
            Some(events) => {
                let each = if cut { (chains * WINDOWS_A_CHAIN).div_ceil(events.len().max(1)) } else { 1 };
                let of = |event: &String| {
                    cut_days(range, today, each).into_iter().map(|range| Window { event: Some(event.clone()), range }).collect::<Vec<_>>()
                };
                events.iter().flat_map(of).collect()
            }
        };
        Ok(Self { call, windows, parts, conditions, keep, shape })
    }

    /// Records of a page: as many as the API gives, or the least multiple of its step that holds the limit.
    fn page_rows(&self, limit: Option<usize>) -> usize {
        let enough =
            limit.filter(|_| self.keep == Keep::All).map(|limit| limit.div_ceil(BATCH_SIZE_STEP).max(1).saturating_mul(BATCH_SIZE_STEP));
        enough.unwrap_or(BATCH_SIZE_MAX).min(BATCH_SIZE_MAX)
    }

    /// Runs it.
    pub(crate) fn stream(
        self: Arc<Self>,
        scan: &Scan,
        counters: Counters,
        context: &Arc<TaskContext>,
    ) -> Result<BoxStream<'static, Result<RecordBatch>>> {
        let settings = LaneSettings::new(Api::of(self.call.path), &scan.options);
        let retry_for = settings.retry_for;
        let lane = Lane::new(&scan.account, settings);
        let at_once = if scan.limit.is_some() || self.keep == Keep::NewPeople { 1 } else { lane.in_flight_max().min(self.windows.len()) };
        let queue = Arc::new(Mutex::new(VecDeque::from(self.windows.clone())));
        let page_rows = self.page_rows(scan.limit);
        let memory = Memory::of(context.memory_pool());
        let chains = Arc::new(Chains {
            work: self,
            scan: scan.clone(),
            lane,
            counters,
            memory,
            seen: Mutex::new(Seen::default()),
            handed: AtomicUsize::new(0),
            page_rows,
            retry_for,
        });
        // One batch waits for its reader for each chain; the chain itself holds the next.
        let (sender, receiver) = mpsc::channel(at_once.max(1));
        let mut workers = JoinSet::new();
        for _ in 0..at_once {
            workers.spawn(work(Arc::clone(&chains), Arc::clone(&queue), sender.clone()));
        }
        drop(sender);
        // The workers end when the stream is dropped, and with them their requests.
        let batches = futures::stream::unfold((receiver, workers), |(mut receiver, mut workers)| async move {
            if let Some(batch) = receiver.recv().await {
                return Some((batch.map(|(batch, _held)| batch), (receiver, workers)));
            }
            // All are done: one that panicked has said nothing.
            while let Some(ended) = workers.join_next().await {
                if let Err(error) = ended {
                    return Some((Err(DataFusionError::ExecutionJoin(Box::new(error))), (receiver, workers)));
                }
            }
            None
        });
        Ok(batches.boxed())
    }
}

/// Takes windows until there is none, or until one fails.
async fn work(chains: Arc<Chains>, queue: Arc<Mutex<VecDeque<Window>>>, sender: Sender) {
    let mut decoder = chains.work.shape.decoder();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(window) = next else { return };
        match chains.run(&window, decoder, &sender).await {
            Ok(Some(used)) => decoder = used,
            // Nobody reads any more.
            Ok(None) => return,
            Err(error) => {
                // What the others still hold need not be asked for.
                queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
                sender.send(Err(error)).await.ok();
                return;
            }
        }
    }
}

/// A range cut into at most `parts` ranges of about as many days. What lies after today is likely empty: it is one part more.
fn cut_days(range: Range, today: NaiveDate, parts: usize) -> Vec<Range> {
    let (first, last) = range;
    if first <= today && today < last && parts > 1 {
        let mut cut = cut_days((first, today), today, parts);
        cut.extend(today.succ_opt().map(|tomorrow| (tomorrow, last)));
        return cut;
    }
    let days = u64::try_from(last.signed_duration_since(first).num_days()).unwrap_or_default() + 1;
    let parts = (parts as u64).clamp(1, days);
    let at = |part: u64| first.checked_add_days(Days::new(days * part / parts)).unwrap_or(last);
    (0..parts).map(|part| (at(part), at(part + 1).pred_opt().unwrap_or(last).min(last))).collect()
}

impl fmt::Display for ExportWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call=POST {}", self.call.path)?;
        let mut events: Vec<_> = self.windows.iter().filter_map(|window| window.event.as_deref()).collect();
        events.dedup();
        match self.keep {
            Keep::NewPeople => f.write_str(", events=all that can be exported, people once each")?,
            _ => write!(f, ", events=[{}]", events.join(", "))?,
        }
        let first = self.windows.iter().map(|window| window.range.0).min();
        let last = self.windows.iter().map(|window| window.range.1).max();
        if let (Some(first), Some(last)) = (first, last) {
            write!(f, ", days={first}..{last}")?;
        }
        write!(f, ", chains={}", self.windows.len())?;
        let asked: Vec<_> = self.parts.iter().filter(|(_, asked)| *asked).map(|(part, _)| *part).collect();
        write!(f, ", parts=[{}]", asked.join(", "))?;
        if !self.conditions.is_empty() {
            let shown: Vec<_> = self.conditions.iter().map(Condition::shown).collect();
            write!(f, ", pushed=[{}] (checked again here)", shown.join(", "))?;
        }
        if matches!(self.keep, Keep::Inside(_)) {
            f.write_str(", edges trimmed to the second")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, day).unwrap()
    }

    #[test]
    fn windows_cover_the_range_once_and_are_about_as_long() {
        for last in 1..=31 {
            for parts in 1..=12 {
                let cut = cut_days((day(1), day(last)), day(31), parts);
                assert_eq!((cut[0].0, cut[cut.len() - 1].1), (day(1), day(last)));
                assert!(cut.windows(2).all(|pair| pair[0].1.succ_opt() == Some(pair[1].0)), "{cut:?}");
                assert!(cut.iter().all(|(first, last)| first <= last), "{cut:?}");
                assert_eq!(cut.len(), parts.min(last as usize));
            }
        }
    }

    #[test]
    fn what_is_still_to_come_is_one_window() {
        let cut = cut_days((day(1), day(31)), day(6), 3);
        assert_eq!(cut, [(day(1), day(2)), (day(3), day(4)), (day(5), day(6)), (day(7), day(31))]);
    }
}

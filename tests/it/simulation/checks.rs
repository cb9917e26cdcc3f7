//! What must hold after a statement, whatever happened to it. Each violation is a sentence.

use std::collections::{BTreeMap, BTreeSet};

use clevertap_emulator::{Rule, What};
use datafusion_clevertap::{Error, ErrorKind, Fate, runs::Status};

use super::scenario::{Flaw, Scenario, Target};
use super::world::Ended;

/// What became of each row, by the source row's number.
pub(super) type Fates = BTreeMap<usize, Option<Fate>>;

/// Collects what does not hold.
#[derive(Default)]
struct Broken(Vec<String>);

impl Broken {
    fn unless(&mut self, holds: bool, what: impl FnOnce() -> String) {
        // The first few tell enough.
        if !holds && self.0.len() < 12 {
            self.0.push(what());
        }
    }
}

/// The fates of a first statement, and everything about it that does not hold.
pub(super) fn first(scenario: &Scenario, ended: &Ended) -> (Fates, Vec<String>) {
    let mut broken = Broken::default();
    broken.unless(!ended.hung, || "it hung".into());
    let fates = evidence(scenario, ended, &mut broken);
    end(scenario, ended, &mut broken);
    limits(scenario, ended, &mut broken);
    if fates.len() as u64 == ended.run.tally.read {
        settled(ended, &fates, &mut broken);
        stored(scenario, ended, &fates, &mut broken);
        last(scenario, ended, &fates, &mut broken);
    }
    (fates, broken.0)
}

/// Counts and failed rows agree; without all failed rows there are no fates.
fn evidence(scenario: &Scenario, ended: &Ended, broken: &mut Broken) -> Fates {
    let tally = ended.run.tally;
    let failed = tally.rejected + tally.in_doubt + tally.unsent;
    broken.unless(tally.accepted + failed == tally.read, || format!("the fates do not add up: {tally}"));
    broken.unless(tally.read <= scenario.rows.len() as u64, || format!("{tally}, of {} rows", scenario.rows.len()));
    let mut fates = Fates::new();
    let mut numbers = BTreeSet::new();
    for row in &ended.failed_rows {
        broken.unless(numbers.insert(row.row_number), || format!("row {} is in failed_rows twice", row.row_number));
        broken.unless((1..=tally.read).contains(&row.row_number), || format!("failed row {} was not read", row.row_number));
        fates.insert(row.row_number as usize, Some(row.fate));
        let mark = scenario.mark(row.row_number as usize);
        let is_known = scenario.rows.get(row.row_number as usize - 1).is_some_and(|row| row.flaw == Flaw::Local)
            || row.record.contains(mark.trim_end_matches('}'));
        broken.unless(is_known, || format!("failed row {} shows another record: {}", row.row_number, row.record));
    }
    let kept = failed.min(scenario.failed_rows_max as u64);
    broken.unless(numbers.len() as u64 == kept, || format!("{} failed rows are kept of {failed}", numbers.len()));
    if kept < failed {
        return Fates::new();
    }
    let of = |fate| fates.values().filter(|is| **is == Some(fate)).count() as u64;
    let counted = (of(Fate::Rejected), of(Fate::InDoubt), of(Fate::Unsent));
    broken.unless(counted == (tally.rejected, tally.in_doubt, tally.unsent), || format!("failed_rows: {counted:?}, the run: {tally}"));
    (1..=tally.read as usize).for_each(|row| {
        fates.entry(row).or_insert(None);
    });
    for (row, fate) in &fates {
        let flaw = scenario.rows[row - 1].flaw;
        broken.unless(!(flaw != Flaw::None && fate.is_none()), || format!("row {row} is flawed and accepted"));
        broken.unless(flaw != Flaw::Local || *fate == Some(Fate::Rejected), || format!("row {row} cannot be sent and is {fate:?}"));
    }
    fates
}

/// Status, error and count fit the fates.
fn end(scenario: &Scenario, ended: &Ended, broken: &mut Broken) {
    let (run, tally) = (&ended.run, ended.run.tally);
    let is_clean = tally.in_doubt == 0 && tally.unsent == 0 && run.input_complete;
    match &ended.result {
        None => broken.unless(run.status == Status::Cancelled, || format!("dropped, and {}", run.status)),
        Some(Ok(count)) => {
            let status = if tally.rejected > 0 { Status::Partial } else { Status::Success };
            broken.unless(run.status == status, || format!("{tally} and status {}", run.status));
            broken.unless(*count == tally.accepted, || format!("counted {count} of {tally}"));
            broken.unless(is_clean && run.error.is_none(), || format!("ended well with {tally}, complete: {}", run.input_complete));
            broken.unless(tally.read == scenario.rows.len() as u64, || format!("ended well with {tally} of {}", scenario.rows.len()));
            broken.unless(tally.rejected == 0 || scenario.skip, || "rejects did not stop it".into());
            let passed = scenario.skip && scenario.failed_max.is_some_and(|max| tally.rejected > max);
            broken.unless(!passed, || "failed_max did not stop it".into());
            broken.unless(scenario.source_breaks.is_none(), || "the source's error was lost".into());
        }
        Some(Err(error)) => {
            let Some((ours, outcome)) = ended.outcome() else {
                return broken.unless(false, || format!("an error without an outcome: {error}"));
            };
            let expected = if ours.kind() == ErrorKind::StoppedByHand { Status::Stopped } else { Status::Error };
            broken.unless(run.status == expected, || format!("{} and status {}", ours.code(), run.status));
            broken.unless(outcome.tally == tally, || format!("the error says {}, the run {tally}", outcome.tally));
            let same = outcome.settled_through == run.settled_through && outcome.input_complete == run.input_complete;
            broken.unless(same, || format!("the error says {outcome:?}, the run {run:?}"));
            broken.unless(run.error.as_deref() == Some(&ours.to_string()), || format!("run: {:?}, error: {ours}", run.error));
            broken.unless(run.error.as_deref().is_some_and(|text| text.contains(&tally.to_string())), || format!("no counts in {ours}"));
            match ours {
                Error::Rejected { .. } => {
                    let many = scenario.failed_max.is_some_and(|max| tally.rejected + tally.in_doubt > max);
                    let stops = if scenario.skip { many } else { tally.rejected > 0 };
                    broken.unless(stops, || format!("stopped for rejects with {tally}"));
                }
                Error::InDoubt { .. } => {
                    // Where trying was given up, rows are left.
                    let gave_up = may_give_up(scenario) && !scenario.resend;
                    let is_all = tally.unsent == 0 && run.input_complete;
                    broken.unless(tally.in_doubt > 0 && (is_all || gave_up), || format!("in doubt with {tally}"))
                }
                Error::Stopped { cause, .. } => {
                    let by_hand = ours.kind() == ErrorKind::StoppedByHand;
                    broken.unless(by_hand <= ended.was_stopped, || "nobody stopped it by hand".into());
                    let by_source = cause.contains("cut in half");
                    broken.unless(by_source <= scenario.source_breaks.is_some(), || "the source did not break".into());
                    broken.unless(!by_source || error.to_string().contains("the file is cut in half"), || format!("{error}"));
                    broken.unless(!by_source || !run.input_complete, || "a broken source is no complete input".into());
                    let may_stop = by_hand || by_source || may_give_up(scenario);
                    broken.unless(may_stop, || format!("stopped without a reason: {ours}"));
                }
                _ => broken.unless(false, || format!("another error: {ours}")),
            }
        }
    }
    broken.unless(run.finished_at.is_some(), || "it has no end".into());
    broken.unless(ended.reserved == 0, || format!("{} bytes stay reserved", ended.reserved));
    let may_doubt = may_lose(scenario) || scenario.drop_at.is_some() || may_overwrite(scenario);
    broken.unless(tally.in_doubt == 0 || may_doubt, || format!("{tally}, and no answer was lost"));
    broken.unless(run.requests <= ended.seen.attempts, || format!("the run tells {} attempts of {}", run.requests, ended.seen.attempts));
}

/// Whether a record may be accepted, and overwritten by an earlier one of its identity that came back with 555 first.
fn may_overwrite(scenario: &Scenario) -> bool {
    scenario.target != Target::Events && scenario.has(|what| matches!(what, What::RecordError { .. }))
}

/// Whether anything in the scenario takes answers away.
fn may_lose(scenario: &Scenario) -> bool {
    let slow = scenario.has(|what| matches!(what, What::Slow { .. }));
    let times_out = scenario.latency_ms + scenario.jitter_ms >= scenario.timeout_ms;
    let loses = |what: &What| {
        !matches!(
            what,
            What::TooManyRequests
                | What::TooManyUnderSuccess
                | What::RecordError { .. }
                | What::UnprocessedUnderSuccess { .. }
                | What::Slow { .. }
                | What::TooLarge
                | What::MalformedIf { .. }
                | What::Unauthorized
                | What::Refuse { .. }
        )
    };
    slow || times_out || scenario.has(loses)
}

/// Whether anything in the scenario ends a statement before its input does.
fn may_give_up(scenario: &Scenario) -> bool {
    let fatal = |what: &What| {
        !matches!(what, What::Slow { .. } | What::RecordError { .. } | What::UnprocessedUnderSuccess { .. } | What::MalformedIf { .. })
    };
    may_lose(scenario) || scenario.unreachable.is_some() || scenario.memory < 1 << 20 || scenario.upload_limit < 15 || scenario.has(fatal)
}

/// Nobody's limit was passed.
fn limits(scenario: &Scenario, ended: &Ended, broken: &mut Broken) {
    let seen = &ended.seen;
    broken.unless(seen.in_flight == 0, || format!("{} attempts are still in flight", seen.in_flight));
    broken.unless(seen.in_flight_peak <= scenario.concurrency, || {
        format!("{} in flight, {} at most", seen.in_flight_peak, scenario.concurrency)
    });
    broken.unless(seen.bytes_peak <= scenario.body_bytes_max, || format!("a body of {} bytes", seen.bytes_peak));
    let records_max = scenario.body_rows_max.min(if scenario.target == Target::Tokens { 100 } else { 1_000 });
    broken.unless(seen.records_peak <= records_max, || format!("a body of {} records, {records_max} at most", seen.records_peak));
    // An answer with wrong numbers is none to the client, and looks like one from here.
    let is_clear = !scenario.has(|what| matches!(what, What::WrongCounts { .. } | What::WrongNumbers { .. }));
    if scenario.target == Target::Events && !scenario.resend && is_clear {
        broken.unless(seen.into_silence == 0, || format!("{} attempts to append left after a lost one", seen.into_silence));
    }
    for (rule, times) in &ended.report.rules_broken {
        let others_took_it = *rule == Rule::InFlight && scenario.upload_limit < scenario.concurrency;
        broken.unless(others_took_it, || format!("{rule:?} was broken {times} times"));
    }
}

/// Every row up to `settled_through` is settled, and the next one is not.
fn settled(ended: &Ended, fates: &Fates, broken: &mut Broken) {
    let open = fates.iter().find(|(_, fate)| **fate == Some(Fate::Unsent)).map_or(fates.len(), |(row, _)| row - 1);
    let through = ended.run.settled_through;
    broken.unless(through == open as u64, || format!("settled through {through}; the first open row follows {open}"));
}

/// What CleverTap has of each row is what its fate says.
fn stored(scenario: &Scenario, ended: &Ended, fates: &Fates, broken: &mut Broken) {
    // From the sixteenth time on the sums no longer tell the rows apart: that takes many lost answers, and `resend`.
    let is_countable = ended.seen.sends.values().all(|sends| *sends < 16);
    for row in 1..=scenario.rows.len() {
        let sends = ended.seen.sends.get(&row).copied().unwrap_or(0);
        // None: it was never read. A token shows only where it is the last.
        let fate = fates.get(&row);
        let times = ended.stored.get(&row).copied().unwrap_or(0);
        let counted = ended.counted.get(&row).copied();
        let spoiled = refused_at_random(scenario) && sends > 1;
        let mut check = |times: u32, is_append: bool, what: &str| {
            let range = match fate {
                None | Some(Some(Fate::Unsent)) => 0..=0,
                Some(Some(Fate::Rejected)) if spoiled => 0..=sends,
                Some(Some(Fate::Rejected)) => 0..=0,
                Some(Some(Fate::InDoubt)) if is_append && !scenario.resend => 0..=1,
                Some(Some(Fate::InDoubt)) => 0..=sends,
                Some(None) if is_append && !scenario.resend => 1..=1,
                Some(None) => 1..=sends,
            };
            broken.unless(range.contains(&times), || format!("row {row} is {fate:?}, and {what} {times} times ({sends} sent)"));
        };
        match scenario.target {
            Target::Events => check(times, true, "stored"),
            Target::Profiles | Target::Counters => {
                check(times, false, "stored");
                if scenario.resend && !is_countable {
                    continue;
                }
                if let Some(counted) = counted {
                    check(counted, true, "counted");
                } else if scenario.is_append(row) {
                    check(0, true, "counted");
                }
            }
            Target::Tokens => {}
        }
    }
}

/// Whether records that are fine are refused now and then for good: nobody can tell them from records that are not fine.
fn refused_at_random(scenario: &Scenario) -> bool {
    scenario.has(|what| matches!(what, What::UnprocessedUnderSuccess { .. }))
}

/// Each identity shows its last accepted row, or a later one in doubt.
fn last(scenario: &Scenario, ended: &Ended, fates: &Fates, broken: &mut Broken) {
    if scenario.target == Target::Events || refused_at_random(scenario) {
        return;
    }
    let mut expected = BTreeMap::<usize, Vec<usize>>::new();
    for (row, fate) in fates {
        let one = &scenario.rows[row - 1];
        if !one.is_seen && scenario.target != Target::Tokens {
            continue;
        }
        let may_show = expected.entry(one.identity).or_insert_with(|| vec![0]);
        match fate {
            None => {
                may_show.clear();
                may_show.push(*row);
            }
            Some(Fate::InDoubt) => may_show.push(*row),
            Some(Fate::Rejected | Fate::Unsent) => {}
        }
    }
    for (identity, may_show) in expected {
        let shown = ended.last.get(&identity).copied().unwrap_or(0);
        broken.unless(may_show.contains(&shown), || format!("p{identity} shows row {shown}, not one of {may_show:?}"));
    }
}

/// A statement that goes on where the first one ended, after faults: what it takes, and how often it may be stored.
pub(super) fn resumed(scenario: &Scenario, fates: &Fates, rows: &[usize], ended: &Ended) -> Vec<String> {
    let mut broken = Broken::default();
    broken.unless(!ended.hung, || "the second load hung".into());
    let again: BTreeSet<usize> = rows.iter().copied().collect();
    let tally = ended.run.tally;
    let flawed = rows.iter().filter(|row| scenario.rows[**row - 1].flaw != Flaw::None).count() as u64;
    let too_large = ended.failed_rows.iter().filter(|row| &*row.code == "CT-520").count() as u64;
    let rejected = ended.failed_rows.len() as u64;
    broken.unless(ended.result.as_ref().is_some_and(Result::is_ok), || format!("the second load: {:?}", ended.result));
    broken.unless(tally.read == rows.len() as u64 && tally.accepted + tally.rejected == tally.read, || format!("the second load: {tally}"));
    if rejected == tally.rejected {
        broken.unless(tally.rejected <= flawed + too_large, || format!("the second load: {tally}, {flawed} rows flawed"));
    }
    let refused: BTreeSet<usize> = ended.failed_rows.iter().map(|row| rows[row.row_number as usize - 1]).collect();
    for row in 1..=scenario.rows.len() {
        let first = fates.get(&row).copied().flatten();
        let was_accepted = fates.get(&row) == Some(&None);
        let is_accepted = again.contains(&row) && !refused.contains(&row);
        let times = ended.stored.get(&row).copied().unwrap_or(0);
        if scenario.target == Target::Tokens {
            continue;
        }
        if was_accepted || is_accepted {
            broken.unless(times >= 1, || format!("row {row} was {first:?}, accepted then: {is_accepted}, and is not stored"));
        }
        if scenario.target == Target::Events && !scenario.resend && first != Some(Fate::InDoubt) {
            broken.unless(times <= 1, || format!("row {row} was {first:?}, accepted then: {is_accepted}, and is stored {times} times"));
        }
        if !scenario.resend
            && first != Some(Fate::InDoubt)
            && let Some(counted) = ended.counted.get(&row)
        {
            broken.unless(*counted <= 1, || format!("row {row} was {first:?} and is counted {counted} times"));
        }
    }
    broken.0
}

//! What stderr says: statements that write, their mapping, progress, the four counts, errors.
//!
//! In: the loads of the statement that runs, ten times a second. Out: one moving line on a terminal, a plain line every
//! ten seconds elsewhere, and at the end one line a load. stdout never gets a word from here.

use std::{
    fmt,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::{account::Load, failure::Failure};
use datafusion_clevertap::{Options, RunWarning, Tally};

/// Between two looks at a load.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Warnings of one statement that are said.
const WARNINGS_MAX: usize = 20;
/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// One moving line.
    Bar,
    /// A line every ten seconds.
    Lines,
    /// No progress.
    Still,
    /// Errors alone.
    Quiet,
}

/// Where it is said.
pub(crate) struct Console {
    to: Box<dyn Write + Send>,
    style: Style,
    line: ProgressBar,
    began: Instant,
    line_at: Instant,
    line_every: Duration,
    introduced: u64,
    muted: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("style", &self.style).finish_non_exhaustive()
    }
}

impl Console {
    /// Keeps progress and errors, and leaves the rest to the caller, who says it elsewhere.
    pub(crate) fn keep_to_progress(&mut self) {
        self.muted = true;
    }

    /// On stderr.
    pub(crate) fn stderr(style: Style) -> Self {
        Self::new(style, Box::new(io::stderr()))
    }

    /// On `to`.
    pub(crate) fn new(style: Style, to: Box<dyn Write + Send>) -> Self {
        Self {
            to,
            style,
            line: ProgressBar::hidden(),
            began: Instant::now(),
            line_at: Instant::now(),
            line_every: LINE_EVERY,
            introduced: 0,
            muted: false,
        }
    }

    /// Says `text`, unless told to be quiet.
    pub(crate) fn say(&mut self, text: &str) {
        if self.style != Style::Quiet && !self.muted {
            self.print(text);
        }
    }

    /// Asks a person something, whatever else is not said.
    pub(crate) fn ask(&mut self, question: &str) {
        self.clear();
        self.print(question);
    }

    /// Says why the program ends, and with which code.
    pub(crate) fn fail(&mut self, failure: &Failure) -> ExitCode {
        self.clear();
        if !matches!(failure, Failure::ReaderGone) {
            self.print(&format!("error: {failure}"));
        }
        failure.code().into()
    }

    /// A statement begins.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
        self.line_at = self.began;
        if self.style == Style::Bar {
            let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            self.line = line.with_style(ProgressStyle::default_spinner());
        }
    }

    /// A statement goes on: `loads` are its own.
    pub(crate) fn tick(&mut self, loads: &[Load]) {
        self.introduce(loads);
        let Some(load) = loads.iter().rev().find(|load| load.runs()) else { return };
        let text = progress(load, self.began.elapsed());
        match self.style {
            Style::Bar if !self.line.is_finished() => {
                self.line.set_message(text);
                self.line.tick();
            }
            Style::Lines if self.line_at.elapsed() >= self.line_every => {
                self.line_at = Instant::now();
                self.print(&text);
            }
            Style::Bar | Style::Lines | Style::Still | Style::Quiet => {}
        }
    }

    /// A statement has ended. With [`Counts::Told`] its error has said the counts already.
    pub(crate) fn end(&mut self, loads: &[Load], counts: Counts) {
        self.introduce(loads);
        self.clear();
        for load in loads {
            if load.is_dry() {
                for record in &load.sample {
                    self.say(&format!("would send {record}"));
                }
            }
            if counts == Counts::Wanted {
                self.say(&ending(load, self.began.elapsed()));
            }
            if let Some(evidence) = evidence(load) {
                self.say(&evidence);
            }
            if load.is_dry() {
                self.say("nothing was sent");
            }
        }
    }

    /// Says what a statement drew.
    pub(crate) fn warn(&mut self, warnings: &[RunWarning]) {
        for RunWarning { message, rows, code, .. } in warnings.iter().take(WARNINGS_MAX) {
            let rows = if *rows > 0 { format!(" ({rows} rows)") } else { String::new() };
            self.say(&format!("warning: {message}{rows} [{code}]"));
        }
        if let Some(more) = warnings.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            self.say(&format!("and {more} warnings more: clevertap.warnings"));
        }
    }

    /// Says once how a load's columns become fields, and under which options.
    ///
    /// Of a dry run at its end, since it marks what is new.
    fn introduce(&mut self, loads: &[Load]) {
        let due = |load: &&Load| load.run_id > self.introduced && !(load.runs() && load.only_tries());
        for load in loads.iter().filter(due).cloned().collect::<Vec<_>>() {
            self.introduced = load.run_id;
            if !load.mapping.is_empty() {
                self.say(&format!("{}: columns become fields: {}", load.table, load.mapping.trim_end()));
            }
            if !load.changed_options.is_empty() {
                self.say(&format!("options that differ from their defaults: {}", load.changed_options.join(", ")));
            }
        }
    }

    /// The moving line, to be taken away by whoever writes to the same terminal.
    pub(crate) fn moving_line(&self) -> ProgressBar {
        self.line.clone()
    }

    fn clear(&self) {
        if !self.line.is_finished() {
            self.line.finish_and_clear();
        }
    }

    /// Where stderr is gone there is nobody to tell.
    fn print(&mut self, text: &str) {
        self.line.suspend(|| writeln!(self.to, "{text}").ok());
    }
}

/// Whether the four counts of a load are still to be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    /// Nobody has.
    Wanted,
    /// The error of the statement has.
    Told,
}

fn progress(load: &Load, elapsed: Duration) -> String {
    let Tally { read, accepted, rejected, in_doubt, .. } = load.tally;
    let rate = rows_a_second(accepted.max(load.checked), elapsed);
    format!("{}: {read} rows read, {accepted} accepted, {rejected} rejected, {in_doubt} in doubt, {rate} rows/s", load.table)
}

fn ending(load: &Load, elapsed: Duration) -> String {
    let Load { run_id, table, tally, .. } = load;
    if load.is_dry() {
        return format!(
            "{table}: {} of {} rows were found good, {} would be rejected (run {run_id}, a dry run).",
            load.checked, tally.read, tally.rejected
        );
    }
    let rate = rows_a_second(tally.accepted, elapsed);
    format!("{table}: {tally} (run {run_id}, {:.1} s, {rate} rows/s).", elapsed.as_secs_f64())
}

/// Where the rows of a load are that were not accepted; `None` where there are none.
fn evidence(load: &Load) -> Option<String> {
    let Load { run_id, tally, .. } = load;
    let is_whole = if load.is_dry() { tally.rejected == 0 } else { tally.accepted == tally.read };
    if is_whole {
        return None;
    }
    let option = |name: &str| load.changed_options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix(" = "));
    let kept = match option("clevertap.failed_rows_to") {
        Some(folder) => format!("as Parquet in {folder}"),
        None => "until this session ends (--failed-rows DIR keeps them)".to_owned(),
    };
    let rows = tally.rejected + tally.in_doubt + tally.unsent;
    let rows_max = option("clevertap.failed_rows_max").and_then(|max| max.trim_matches('\'').parse().ok());
    let rows_max = rows_max.unwrap_or(Options::default().failed_rows_max as u64);
    let last = if rows > rows_max { format!(" (the last {rows_max} of {rows})") } else { String::new() };
    Some(format!("rows that were not accepted: clevertap.failed_rows WHERE run_id = {run_id}{last}, {kept}"))
}

/// Rows a second, rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a rate for people")]
pub(crate) fn rows_a_second(rows: u64, elapsed: Duration) -> u64 {
    (rows as f64 / elapsed.as_secs_f64().max(0.001)).round() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn load(status: &str) -> Load {
        Load {
            run_id: 3,
            table: "clevertap.profiles".into(),
            status: status.into(),
            tally: Tally { read: 10, accepted: 8, rejected: 2, in_doubt: 0, unsent: 0 },
            checked: 8,
            changed_options: vec!["clevertap.failed_rows_to = '/tmp/failed'".into()],
            mapping: "email -> Email (standard)\n".into(),
            sample: vec!["{}".into()],
        }
    }

    #[test]
    fn the_mapping_is_said_once_and_the_end_tells_counts_and_evidence() {
        let paper = Paper::default();
        let mut console = Console::new(Style::Still, Box::new(paper.clone()));
        console.begin();
        console.tick(&[load("running")]);
        console.tick(&[load("running")]);
        console.end(&[load("partial")], Counts::Wanted);
        let text = paper.text();
        assert_eq!(text.matches("email -> Email").count(), 1, "{text}");
        assert!(text.contains("8 accepted, 2 rejected, 0 in doubt, 0 unsent of 10 rows read (run 3"), "{text}");
        assert!(text.contains("WHERE run_id = 3, as Parquet in '/tmp/failed'\n"), "{text}");
    }

    #[test]
    fn rows_that_are_kept_no_longer_are_told() {
        let few = Load { changed_options: vec!["clevertap.failed_rows_max = '1'".into()], ..load("partial") };
        assert!(evidence(&few).unwrap().contains("run_id = 3 (the last 1 of 2), until this session ends"));
        assert!(!evidence(&load("partial")).unwrap().contains("the last"));
    }

    #[test]
    fn the_last_line_of_a_dry_run_says_that_nothing_was_sent() {
        let paper = Paper::default();
        let mut console = Console::new(Style::Lines, Box::new(paper.clone()));
        console.end(&[load("dry_run")], Counts::Wanted);
        assert!(paper.text().ends_with("nothing was sent\n"), "{}", paper.text());
    }

    #[test]
    fn without_a_terminal_there_is_a_plain_line_when_one_is_due() {
        let paper = Paper::default();
        let mut console = Console::new(Style::Lines, Box::new(paper.clone()));
        console.begin();
        console.tick(&[load("running")]);
        console.line_every = Duration::ZERO;
        console.tick(&[load("running")]);
        console.tick(&[load("success")]);
        assert_eq!(paper.text().matches("10 rows read, 8 accepted, 2 rejected, 0 in doubt").count(), 1, "{}", paper.text());
    }

    #[test]
    fn quiet_says_errors_alone() {
        let paper = Paper::default();
        let mut console = Console::new(Style::Quiet, Box::new(paper.clone()));
        console.end(&[load("partial")], Counts::Wanted);
        console.fail(&Failure::Failed("the reason".into()));
        assert_eq!(paper.text(), "error: the reason\n");
    }
}

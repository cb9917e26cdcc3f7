//! stderr: the text of statements that write, their mapping, progress, the four counts, warnings, the error.
//!
//! In: the runs of the statement in progress, ten times a second. Out: one moving line on a terminal, a plain line every ten
//! seconds elsewhere, and one line a run at the end. Nothing here writes to stdout.

use std::{
    collections::HashSet,
    fmt,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::{
    progress::{RunView, end_line, failed_rows_line, progress_line},
    visible::visible,
};
use crate::{failure::Failure, process::take_panic_place};
use datafusion_clevertap::{redact::without_secrets, runs::RunWarning};

/// How often the runs of a statement are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(100);
/// Warnings of one statement that are printed.
const WARNINGS_MAX: usize = 20;
/// Characters of one text, such as the echo of a statement or what CleverTap answered, that are printed.
const TEXT_CHARS_MAX: usize = 20_000;
/// How often a plain line is printed.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// One moving line.
    Bar,
    /// A line every ten seconds.
    Lines,
    NoProgress,
    /// Errors and questions alone.
    Quiet,
}

/// stderr, or a writer in its place.
pub(crate) struct Console {
    to: Box<dyn Write + Send>,
    verbosity: Verbosity,
    bar: ProgressBar,
    began: Instant,
    line_at: Instant,
    line_every: Duration,
    /// The runs whose mapping was printed.
    introduced: HashSet<Arc<str>>,
    progress_only: bool,
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console").field("verbosity", &self.verbosity).finish_non_exhaustive()
    }
}

impl Console {
    /// Prints progress and errors from here on, and nothing else: the caller prints the rest on stdout.
    pub(crate) fn limit_to_progress(&mut self) {
        self.progress_only = true;
    }

    pub(crate) fn stderr(verbosity: Verbosity) -> Self {
        Self::new(verbosity, Box::new(io::stderr()))
    }

    pub(crate) fn new(verbosity: Verbosity, to: Box<dyn Write + Send>) -> Self {
        Self {
            to,
            verbosity,
            bar: ProgressBar::hidden(),
            began: Instant::now(),
            line_at: Instant::now(),
            line_every: LINE_EVERY,
            introduced: HashSet::new(),
            progress_only: false,
        }
    }

    /// Prints `text`, unless `--quiet` or [`Self::limit_to_progress`] forbids it.
    pub(crate) fn say(&mut self, text: &str) {
        if self.verbosity != Verbosity::Quiet && !self.progress_only {
            self.print(text);
        }
    }

    /// Prints a question to the person at the terminal, under every verbosity.
    pub(crate) fn prompt(&mut self, question: &str) {
        self.clear();
        self.print(question);
    }

    /// Asks something of the person at the terminal, under every verbosity.
    pub(crate) fn ask(&mut self, question: &str, answer: Answer) {
        match answer {
            Answer::Below => self.print(question.trim_end()),
            Answer::OnItsLine => {
                write!(self.to, "{}", shown(question)).and_then(|()| self.to.flush()).ok();
            }
        }
    }

    /// Prints why the program ends, and returns its exit code.
    pub(crate) fn fail(&mut self, failure: &Failure) -> ExitCode {
        self.clear();
        if !matches!(failure, Failure::ReaderGone) {
            // What broke off tells of itself; where it did is for those who mend it.
            let place = take_panic_place().map(|place| format!(" [{place}]")).unwrap_or_default();
            self.print(&format!("error: {failure}{place}"));
        }
        failure.code().into()
    }

    /// Starts the clock and the progress of a statement.
    pub(crate) fn begin(&mut self) {
        self.began = Instant::now();
        self.line_at = self.began;
        if self.verbosity == Verbosity::Bar {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            self.bar = bar.with_style(ProgressStyle::default_spinner());
        }
    }

    /// Shows the progress of a statement: of its runs, or else of the files that it reads first.
    pub(crate) fn tick(&mut self, runs: &[RunView], files: Option<String>) {
        self.introduce(runs);
        self.progress(runs, files);
    }

    /// The same, without how columns become fields.
    pub(crate) fn progress(&mut self, runs: &[RunView], files: Option<String>) {
        let running = runs.iter().rev().find(|run| run.is_running());
        let Some(text) = running.map(|run| progress_line(run, self.began.elapsed())).or(files) else { return };
        match self.verbosity {
            Verbosity::Bar if !self.bar.is_finished() => {
                self.bar.set_message(shown(&text));
                self.bar.tick();
            }
            Verbosity::Lines if self.line_at.elapsed() >= self.line_every => {
                self.line_at = Instant::now();
                self.print(&text);
            }
            Verbosity::Bar | Verbosity::Lines | Verbosity::NoProgress | Verbosity::Quiet => {}
        }
    }

    /// Prints what a statement wrote: counts unless its error holds them, and where failed rows are.
    pub(crate) fn end(&mut self, runs: &[RunView], counts: Counts) {
        self.introduce(runs);
        self.clear();
        for run in runs {
            if run.is_dry_run() {
                for record in &run.samples {
                    self.say(&format!("would send {record}"));
                }
            }
            if counts == Counts::ToPrint {
                self.say(&end_line(run, self.began.elapsed()));
            }
            if let Some(line) = failed_rows_line(run) {
                self.say(&line);
            }
            if run.is_dry_run() {
                self.say("nothing was sent");
            }
        }
    }

    /// Prints what is to be known of the files of a statement.
    pub(crate) fn note(&mut self, notes: &[String]) {
        for note in notes.iter().take(WARNINGS_MAX) {
            self.say(&format!("warning: {note}"));
        }
        if let Some(more) = notes.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            self.say(&format!("and {more} warnings more of these files"));
        }
    }

    /// Prints the warnings of a statement.
    pub(crate) fn warn(&mut self, warnings: &[RunWarning]) {
        for RunWarning { message, rows, code, .. } in warnings.iter().take(WARNINGS_MAX) {
            let rows = if *rows > 0 { format!(" ({rows} rows)") } else { String::new() };
            self.say(&format!("warning: {message}{rows} [{code}]"));
        }
        if let Some(more) = warnings.len().checked_sub(WARNINGS_MAX).filter(|more| *more > 0) {
            self.say(&format!("and {more} warnings more, in the table warnings of the account"));
        }
    }

    /// Prints once how the columns of a run become fields, and under which options.
    ///
    /// For a dry run this waits until it has ended, since its mapping marks new names by then.
    fn introduce(&mut self, runs: &[RunView]) {
        let due = |run: &&RunView| !(self.introduced.contains(&run.run_uid) || run.is_running() && run.has_dry_run_option());
        for run in runs.iter().filter(due).cloned().collect::<Vec<_>>() {
            self.introduced.insert(Arc::clone(&run.run_uid));
            if !run.mapping.is_empty() {
                self.say(&format!("{}: columns become fields: {}", run.table, run.mapping.trim_end()));
            }
            if !run.changed_options.is_empty() {
                self.say(&format!("options that differ from their defaults: {}", run.changed_options.join(", ")));
            }
        }
    }

    /// The progress bar: whoever writes rows to the same terminal clears it first.
    pub(crate) fn progress_bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    fn clear(&self) {
        if !self.bar.is_finished() {
            self.bar.finish_and_clear();
        }
    }

    /// A closed stderr is no error.
    fn print(&mut self, text: &str) {
        let text = shown(text);
        self.bar.suspend(|| writeln!(self.to, "{text}").ok());
    }
}

/// As stderr may show it: without secrets of URLs, with control characters as numbers, and not for hours.
fn shown(text: &str) -> String {
    let text = without_secrets(text);
    let (start, rest) = match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text.split_at(end),
        None => (text.as_ref(), ""),
    };
    let more = if rest.is_empty() { String::new() } else { format!("… ({} characters more)", rest.chars().count()) };
    format!("{}{more}", visible(start))
}

/// Where the answer to a question is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    OnItsLine,
    Below,
}

/// Whether the four counts of a run have been printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    ToPrint,
    /// The error of the statement holds them.
    Printed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::captured::Captured;

    #[test]
    fn the_mapping_is_printed_once_and_the_end_has_counts_and_failed_rows() {
        let captured = Captured::default();
        let mut console = Console::new(Verbosity::NoProgress, Box::new(captured.clone()));
        console.begin();
        console.tick(&[RunView::sample("running")], None);
        console.tick(&[RunView::sample("running")], None);
        console.end(&[RunView::sample("partial")], Counts::ToPrint);
        let text = captured.text();
        assert_eq!(text.matches("email -> Email").count(), 1, "{text}");
        assert!(text.contains("8 accepted, 2 rejected, 0 in doubt, 0 unsent of 10 rows read (run 3"), "{text}");
        assert!(text.contains("WHERE run_id = 3, as Parquet in '/tmp/failed'\n"), "{text}");
    }

    #[test]
    fn the_last_line_of_a_dry_run_says_that_nothing_was_sent() {
        let captured = Captured::default();
        let mut console = Console::new(Verbosity::Lines, Box::new(captured.clone()));
        console.end(&[RunView::sample("dry_run")], Counts::ToPrint);
        assert!(captured.text().ends_with("nothing was sent\n"), "{}", captured.text());
    }

    #[test]
    fn without_a_terminal_there_is_a_plain_line_when_one_is_due() {
        let captured = Captured::default();
        let mut console = Console::new(Verbosity::Lines, Box::new(captured.clone()));
        console.begin();
        console.tick(&[RunView::sample("running")], None);
        console.line_every = Duration::ZERO;
        console.tick(&[RunView::sample("running")], None);
        console.tick(&[RunView::sample("success")], None);
        assert_eq!(captured.text().matches("10 rows read, 8 accepted, 2 rejected, 0 in doubt").count(), 1, "{}", captured.text());
    }

    #[test]
    fn what_others_wrote_and_urls_are_cleaned_whatever_prints_them() {
        let captured = Captured::default();
        let mut console = Console::new(Verbosity::Lines, Box::new(captured.clone()));
        console.say("INSERT INTO t SELECT * FROM 'https://ada:pw@h/x.csv?X-Amz-Signature=0f\u{1b}[2J'");
        console.prompt("\u{202e}Type 3 to go on:");
        console.fail(&Failure::Failed("GET https://ada:pw@h/x?token=0f was answered \r404".into()));
        assert_eq!(
            captured.text(),
            "INSERT INTO t SELECT * FROM 'https://…@h/x.csv?X-Amz-Signature=…\\u{1b}[2J'\n\\u{202e}Type 3 to go on:\n\
             error: GET https://…@h/x?token=… was answered \\u{d}404\n"
        );
    }

    #[test]
    fn an_enormous_text_is_cut() {
        let captured = Captured::default();
        Console::new(Verbosity::Lines, Box::new(captured.clone())).say(&"é".repeat(TEXT_CHARS_MAX + 7));
        assert_eq!(captured.text(), format!("{}… (7 characters more)\n", "é".repeat(TEXT_CHARS_MAX)));
    }

    #[test]
    fn quiet_prints_errors_alone() {
        let captured = Captured::default();
        let mut console = Console::new(Verbosity::Quiet, Box::new(captured.clone()));
        console.end(&[RunView::sample("partial")], Counts::ToPrint);
        console.fail(&Failure::Failed("the reason".into()));
        assert_eq!(captured.text(), "error: the reason\n");
    }
}

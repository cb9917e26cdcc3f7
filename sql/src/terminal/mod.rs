//! What the program writes, and what a person types while it runs.
//!
//! In: batches, runs, failures; typed lines and signals. Out: text on stdout (`output`) and stderr (`console`).
//!
//! ```text
//! batches ─> output     stdout, or a file; format: by flag or ending; layout: tables and expanded rows
//! runs ────> progress ─> console    stderr: progress, counts, warnings, the error
//! stdin ───> confirm    consent to a statement that erases
//! signals ─> interrupt  Ctrl-C, TERM and HUP; watched: a reader of stdout that goes away
//! text ────> visible    what others wrote, as a terminal may have it; masked_line: a line of a log
//! ```

pub(crate) mod answers;
#[cfg(test)]
mod captured;
pub(crate) mod confirm;
pub(crate) mod console;
pub(crate) mod format;
pub(crate) mod interrupt;
mod layout;
pub(crate) mod masked_line;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod visible;
mod watched;

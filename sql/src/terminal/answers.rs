//! Answers that a person types, line by line; a secret is not shown while it is typed.
//!
//! In: stdin, or lines in its place. Out: one line for each question, without its end.

use std::{collections::VecDeque, io::IsTerminal};

use super::{
    confirm::read_line,
    console::{Answer, Console},
    interrupt::Interrupts,
};
use crate::failure::{Failure, Result};

/// Where answers come from.
#[derive(Debug)]
pub(crate) enum Answers {
    Stdin,
    /// In the place of a person.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests answer so"))]
    Lines(VecDeque<String>),
}

/// Whether what is typed is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Echo {
    Shown,
    Hidden,
}

impl Answers {
    /// Asks, and waits for a line.
    ///
    /// # Errors
    /// [`Failure::Usage`] where no line comes any more; [`Failure::Stopped`] by a signal; where a secret would be shown.
    pub(crate) async fn ask(&mut self, question: &str, echo: Echo, console: &mut Console, interrupts: &mut Interrupts) -> Result<String> {
        let is_typed = matches!(self, Self::Stdin) && std::io::stdin().is_terminal();
        // Before the question: who answers it at once is not shown either. Dropped by a signal too, so that the terminal shows again what is typed.
        let hidden = if is_typed && echo == Echo::Hidden { Some(HiddenInput::begin()?) } else { None };
        // Answers that nobody types have no end of a line behind the question.
        console.ask(question, if is_typed { Answer::OnItsLine } else { Answer::Below });
        let line = match self {
            Self::Lines(lines) => lines.pop_front().map(|line| line + "\n").unwrap_or_default(),
            Self::Stdin => interrupts.or(read_line()).await?,
        };
        drop(hidden);
        // An empty line has its end.
        if line.is_empty() {
            return Err(Failure::Usage(format!("the input ended before this was answered: {}", question.trim_end())));
        }
        Ok(line.trim().to_owned())
    }
}

/// A terminal that shows nothing of what is typed, until it is dropped.
#[cfg(unix)]
struct HiddenInput(rustix::termios::Termios);

#[cfg(unix)]
impl HiddenInput {
    fn begin() -> Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let shown = |error: rustix::io::Errno| Failure::Failed(format!("the terminal would show what is typed: {error}"));
        let before = tcgetattr(&stdin).map_err(shown)?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown, so that what is printed next has a line of its own.
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &hidden).map_err(shown)?;
        Ok(Self(before))
    }
}

#[cfg(unix)]
impl Drop for HiddenInput {
    fn drop(&mut self) {
        // Where the terminal is gone, nobody types.
        rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0).ok();
    }
}

/// There is no safe call that hides what is typed.
#[cfg(not(unix))]
struct HiddenInput;

#[cfg(not(unix))]
impl HiddenInput {
    fn begin() -> Result<Self> {
        Err(Failure::Usage("a passcode is not typed here, since it would be shown: put it into a variable".into()))
    }
}

//! A person at the terminal confirms a statement that erases, by typing the number of rows.
//!
//! In: from the connector, what a statement is about to erase, before its first request. Out: consent or refusal. A script has
//! no terminal and gets no question: there the flag --allow-erase and `clevertap.delete_rows_max` are the consent.

use std::io::{self, BufRead};

use datafusion_clevertap::hooks::{EraseConsent, Erasure};
use futures::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Whether a person is there to confirm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interactive {
    /// stdin and stderr are terminals.
    Terminal,
    /// --allow-erase is consent enough.
    Script,
}

/// A statement that waits for consent.
#[derive(Debug)]
pub(crate) struct Confirmation {
    erasure: Erasure,
    answer: oneshot::Sender<bool>,
}

/// The statements that wait for consent, one after the other.
#[derive(Debug)]
pub(crate) struct Confirmations(Mutex<mpsc::UnboundedReceiver<Confirmation>>);

impl Confirmations {
    /// The queue, and the hook that the connector fills it through.
    pub(crate) fn new() -> (EraseConsent, Self) {
        let (to, from) = mpsc::unbounded_channel();
        let consent = EraseConsent::new(move |erasure| {
            let (answer, answered) = oneshot::channel();
            // A queue that is gone means no consent.
            let queued = to.send(Confirmation { erasure, answer });
            async move { queued.is_ok() && answered.await.unwrap_or(false) }.boxed()
        });
        (consent, Self(Mutex::new(from)))
    }

    pub(crate) async fn next(&self) -> Confirmation {
        match self.0.lock().await.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }
}

impl Confirmation {
    /// `DELETE FROM clevertap.profiles takes 3 rows, and nothing brings them back. Type 3 to go on:`.
    pub(crate) fn prompt(&self) -> String {
        let Erasure { statement, rows, .. } = &self.erasure;
        prompt(statement, *rows, "rows")
    }

    /// Passes on the line that was typed. A confirmation that is dropped means no consent.
    pub(crate) fn answer(self, line: &str) {
        let yes = is_confirmed(line, self.erasure.rows);
        // The statement may have ended meanwhile.
        self.answer.send(yes).ok();
    }
}

/// The question before `statement` erases so many.
pub(crate) fn prompt(statement: &str, count: u64, what: &str) -> String {
    format!("{statement} takes {count} {what}, and nothing brings them back. Type {count} to go on:")
}

/// Whether the line that was typed is consent: the count itself.
pub(crate) fn is_confirmed(line: &str, count: u64) -> bool {
    line.trim() == count.to_string()
}

/// The next line of stdin, read on a thread of its own.
pub(crate) async fn read_line() -> String {
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line).unwrap_or_default()
    });
    read.await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_count_itself_is_consent_and_no_answer_is_none() {
        for (typed, consents) in
            [(Some("3\n"), true), (Some(" 3 "), true), (Some("4"), false), (Some("yes"), false), (Some(""), false), (None, false)]
        {
            let (answer, answered) = oneshot::channel();
            let mut erasure = Erasure::default();
            (erasure.statement, erasure.rows) = ("DELETE FROM clevertap.profiles".into(), 3);
            let confirmation = Confirmation { erasure, answer };
            assert_eq!(
                confirmation.prompt(),
                "DELETE FROM clevertap.profiles takes 3 rows, and nothing brings them back. Type 3 to go on:"
            );
            match typed {
                Some(line) => confirmation.answer(line),
                None => drop(confirmation),
            }
            assert_eq!(answered.await.unwrap_or(false), consents, "{typed:?}");
        }
    }
}

//! A person at the terminal confirms what erases, by typing the number of rows.
//!
//! In: from the connector, what a statement is about to erase, before its first request. Out: yes or no. A program or a script
//! has no terminal, and is asked nothing: there the flag --allow-erase and `clevertap.delete_rows_max` are consent.

use std::io::{self, BufRead};

use datafusion_clevertap::{EraseConsent, Erasure};
use futures::FutureExt;
use tokio::sync::{Mutex, mpsc, oneshot};

/// What is asked, and where the answer goes.
#[derive(Debug)]
pub(crate) struct Question {
    erasure: Erasure,
    answer: oneshot::Sender<bool>,
}

/// Questions of running statements.
#[derive(Debug)]
pub(crate) struct Questions(Mutex<mpsc::UnboundedReceiver<Question>>);

impl Questions {
    /// Questions, and the connector's end of them.
    pub(crate) fn new() -> (EraseConsent, Self) {
        let (to, from) = mpsc::unbounded_channel();
        let consent = EraseConsent::new(move |erasure| {
            let (answer, answered) = oneshot::channel();
            // Where nobody listens any more, nobody consents.
            let asked = to.send(Question { erasure, answer });
            async move { asked.is_ok() && answered.await.unwrap_or(false) }.boxed()
        });
        (consent, Self(Mutex::new(from)))
    }

    /// Waits for the next one.
    pub(crate) async fn next(&self) -> Question {
        match self.0.lock().await.recv().await {
            Some(question) => question,
            None => std::future::pending().await,
        }
    }
}

impl Question {
    /// `DELETE FROM clevertap.profiles takes 3 rows, and nothing brings them back. Type 3 to go on:`.
    pub(crate) fn text(&self) -> String {
        let Erasure { statement, rows } = &self.erasure;
        format!("{statement} takes {rows} rows, and nothing brings them back. Type {rows} to go on:")
    }

    /// Takes the line that was typed. A question that is dropped is answered no.
    pub(crate) fn answer(self, line: &str) {
        let yes = line.trim() == self.erasure.rows.to_string();
        // The statement may have ended meanwhile.
        self.answer.send(yes).ok();
    }
}

/// The next line of stdin, without holding up anything else.
pub(crate) async fn line() -> String {
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
            let question = Question { erasure: Erasure { statement: "DELETE FROM clevertap.profiles".into(), rows: 3 }, answer };
            assert_eq!(question.text(), "DELETE FROM clevertap.profiles takes 3 rows, and nothing brings them back. Type 3 to go on:");
            match typed {
                Some(line) => question.answer(line),
                None => drop(question),
            }
            assert_eq!(answered.await.unwrap_or(false), consents, "{typed:?}");
        }
    }
}

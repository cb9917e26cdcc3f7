//! Questions and answers.

use crate::{
    failure::Result,
    terminal::{
        answers::{Answers, Echo},
        console::Console,
        interrupt::Interrupts,
    },
};

/// Who asks, and who answers.
pub(crate) struct Dialog<'a> {
    pub(crate) answers: Answers,
    pub(crate) console: &'a mut Console,
    pub(crate) interrupts: Interrupts,
}

impl Dialog<'_> {
    pub(super) fn say(&mut self, text: &str) {
        self.console.say(text);
    }

    /// Asks until the answer is right; an empty one is the default, which is shown behind the question.
    pub(super) async fn ask<T>(&mut self, question: &str, default: Option<&str>, parse: impl Fn(&str) -> Result<T, String>) -> Result<T> {
        let question = match default {
            Some("") => format!("{question} [none]: "),
            Some(default) => format!("{question} [{default}]: "),
            None => format!("{question}: "),
        };
        loop {
            let answer = self.answers.ask(&question, Echo::Shown, self.console, &mut self.interrupts).await?;
            let answer = if answer.is_empty() { default.unwrap_or_default().to_owned() } else { answer };
            match parse(&answer) {
                Ok(answer) => return Ok(answer),
                Err(why) => self.say(&why),
            }
        }
    }

    /// Asks for one of a few choices, by number; the first is the default.
    pub(super) async fn choose(&mut self, question: &str, choices: &[&str]) -> Result<usize> {
        let list: String = choices.iter().enumerate().map(|(at, choice)| format!("\n  {}  {choice}", at + 1)).collect();
        self.say(&format!("{question}{list}"));
        let parse = |text: &str| {
            let number = text.parse().ok().filter(|number| (1..=choices.len()).contains(number));
            number.ok_or_else(|| format!("expected a number from 1 to {}", choices.len()))
        };
        self.ask("Number", Some("1"), parse).await.map(|number| number - 1)
    }

    /// Asks for what is not shown while it is typed.
    pub(super) async fn ask_hidden(&mut self, question: &str) -> Result<String> {
        loop {
            let typed = self.answers.ask(question, Echo::Hidden, self.console, &mut self.interrupts).await?;
            if !typed.is_empty() {
                return Ok(typed);
            }
            self.say("this needs an answer");
        }
    }
}

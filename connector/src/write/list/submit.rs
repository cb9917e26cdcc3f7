//! Submitting one list: is it there already, a URL, the file, the word that it is there.
//!
//! In: a spooled list. Out: how that ended. All but the last call can be repeated; the last one is carried out once or leaves the
//! list in doubt, whatever `clevertap.in_doubt` says: a second list of its name would be refused, and nobody could tell whose the
//! first one is.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value};

use super::spool::Filed;
use crate::account::Account;
use crate::client::{Answer, Api, Arrived, File, Lane, LaneSettings, Outcome, Request};
use crate::error::{Error, Result};
use crate::fate::Fate;
use crate::options::{ListMode, Options};
use crate::runs::Stop;
use crate::table::{List, Resend};

/// Time in which the undocumented list of lists is asked for.
const LISTING_FOR: Duration = Duration::from_secs(10);

/// How a list ended.
#[derive(Debug)]
pub(super) enum Submitted {
    /// CleverTap has it, and will tell by e-mail what became of it.
    Yes {
        /// The number or name by which CleverTap knows it, if it says so.
        segment: Option<String>,
    },
    /// It has not, or nobody knows.
    No {
        fate: Fate,
        code: String,
        reason: String,
        /// Why the statement stops; a refused name stops it only as a rejected row does.
        stop: Option<Error>,
    },
}

/// What lists are submitted through.
#[derive(Debug)]
pub(super) struct Calls {
    list: &'static List,
    options: Options,
    url: Lane,
    completion: Lane,
    listing: Lane,
    /// Names of the lists that are there, once they were asked for.
    there: Option<BTreeSet<String>>,
    /// Whether a completion may have arrived whose answer is not known.
    pub(super) left: AtomicBool,
}

impl Calls {
    pub(super) fn new(account: &Account, list: &'static List, options: &Options, stop: &Stop) -> Self {
        let settings = |path| LaneSettings { stop: stop.clone(), ..LaneSettings::new(Api::of(path), options) };
        let listing = settings(list.listing_path);
        Self {
            list,
            options: options.clone(),
            url: Lane::new(account.client(), settings(list.url_path)),
            completion: Lane::new(account.client(), settings(list.completion_path)),
            listing: Lane::new(account.client(), LaneSettings { retry_for: listing.retry_for.min(LISTING_FOR), ..listing }),
            there: None,
            left: AtomicBool::new(false),
        }
    }

    /// Requests, retries and bytes so far.
    pub(super) fn counts(&self) -> [u64; 3] {
        [&self.url, &self.completion, &self.listing].map(Lane::counts).iter().fold([0; 3], |[requests, retries, bytes], counts| {
            [requests + counts.requests, retries + counts.retries, bytes + counts.bytes_sent]
        })
    }

    /// Submits a list.
    pub(super) async fn submit(&mut self, file: &Filed) -> Submitted {
        match self.prepare(file).await {
            Ok(url) => self.complete(file, &url).await,
            Err(error) => Submitted::No { fate: Fate::Unsent, code: error.code().to_owned(), reason: error.sentence(), stop: Some(error) },
        }
    }

    /// Everything before the last call: the URL at which the file is.
    async fn prepare(&mut self, file: &Filed) -> Result<String> {
        let (name, max) = (&file.name, self.list.bytes_max);
        if file.bytes > max {
            return Err(Error::TooMany(format!("list \"{name}\" is a file of {} bytes, and CleverTap takes {max}.", file.bytes)));
        }
        if self.options.list_mode == ListMode::Replace && !self.options.list_assume_exists {
            let there = self.there().await.map_err(|error| {
                Error::Unavailable(format!(
                    "whether list \"{name}\" is there could not be asked: {} Nothing of it was sent; SET clevertap.list_assume_exists = true if it is \
                     there.",
                    error.sentence()
                ))
            })?;
            if !there.contains(name) {
                return Err(Error::Setting(format!(
                    "option \"clevertap.list_mode\" is 'replace', and there is no list \"{name}\"; SET clevertap.list_mode = 'create' makes it."
                )));
            }
        }
        let pointer = self.list.url;
        let url_of = |answer: &Answer| {
            let answer: Value = serde_json::from_slice(&answer.body).ok()?;
            Some(answer.pointer(pointer)?.as_str()?.to_owned())
        };
        let request = Request::post(self.list.url_path, "", Resend::Idempotent);
        let answer = self.url.fetch(&request, |answer| url_of(answer).is_some()).await?;
        let url = url_of(&answer).ok_or_else(|| Error::Answer(format!("POST {} gave no URL.", self.list.url_path)))?;
        self.url.put(&url, &File { bytes: file.bytes, read: &|| file.read() }).await?;
        Ok(url)
    }

    /// The lists that are there, asked for once a statement.
    async fn there(&mut self) -> Result<&BTreeSet<String>> {
        if self.there.is_none() {
            self.there = Some(self.listed().await?);
        }
        Ok(self.there.get_or_insert_default())
    }

    /// Walks the list of lists to its last page.
    async fn listed(&self) -> Result<BTreeSet<String>> {
        let keys = &self.list.listing;
        let page_of = |answer: &Answer| -> Option<(Vec<String>, u64)> {
            let answer: Value = serde_json::from_slice(&answer.body).ok()?;
            let lists = answer.get(keys.lists)?.as_array()?.iter();
            let names = lists.map(|list| list.get(keys.name)?.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?;
            Some((names, answer.get(keys.pages)?.as_u64()?))
        };
        let mut names = BTreeSet::new();
        let mut page = 1;
        loop {
            let body = Map::from_iter([(keys.page.to_owned(), page.into()), (keys.limit.to_owned(), keys.limit_max.into())]);
            let request = Request::post(self.list.listing_path, Value::Object(body).to_string(), Resend::Idempotent);
            let answer = self.listing.fetch(&request, |answer| page_of(answer).is_some()).await?;
            let (found, pages) = page_of(&answer).unwrap_or_default();
            names.extend(found);
            if page >= pages {
                return Ok(names);
            }
            page += 1;
        }
    }

    /// The last call.
    async fn complete(&mut self, file: &Filed, url: &str) -> Submitted {
        let (keys, options, name) = (&self.list.completion, &self.options, &file.name);
        let email = options.list_email.clone().unwrap_or_default();
        let creator = options.list_creator.clone().unwrap_or_else(|| email.clone());
        let body = Map::from_iter([
            (keys.name.to_owned(), name.as_str().into()),
            (keys.email.to_owned(), email.into()),
            (keys.file_name.to_owned(), format!("{name}.csv").into()),
            (keys.creator.to_owned(), creator.into()),
            (keys.url.to_owned(), url.into()),
            (keys.replace.to_owned(), (options.list_mode == ListMode::Replace).into()),
        ]);
        let taken = std::slice::from_ref(&self.list.taken);
        let request =
            Request::post(self.list.completion_path, Value::Object(body).to_string(), Resend::Appends).understanding_errors(taken);
        let read = Mutex::new(None);
        let readable = |answer: &Answer| {
            let answer = serde_json::from_slice::<Value>(&answer.body).ok();
            let success = answer.as_ref().and_then(|answer| answer.get("status")).is_some_and(|status| status == "success");
            *read.lock().unwrap_or_else(PoisonError::into_inner) = answer;
            success
        };
        let sent = self.completion.send(&request, readable, Arrived::No, &self.left).await;
        let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let no = |fate, error: Error| Submitted::No { fate, code: error.code().to_owned(), reason: error.sentence(), stop: Some(error) };
        match sent.outcome {
            // An error that is understood was never asked whether it can be read.
            Outcome::Answered(_) if read.is_none() => Submitted::No {
                fate: Fate::Rejected,
                code: format!("CLEVERTAP-{}", self.list.taken),
                reason: format!(
                    "list \"{name}\" is there already, and CleverTap makes no second one of this name; SET clevertap.list_mode = 'replace' gives it \
                     new members"
                ),
                stop: None,
            },
            Outcome::Answered(_) => Submitted::Yes { segment: read.as_ref().and_then(segment) },
            Outcome::Lost { why } => {
                let there = match self.listed().await {
                    Ok(names) if names.contains(name) => "a list of this name is there now",
                    Ok(_) => "no list of this name is there yet",
                    Err(_) => "whether a list of this name is there could not be asked",
                };
                let reason = format!("{why}: list \"{name}\" may have been made; {there}. The e-mail or the dashboard tells.");
                Submitted::No { fate: Fate::InDoubt, code: "CT-402".into(), reason: reason.clone(), stop: Some(Error::Unavailable(reason)) }
            }
            Outcome::Malformed => {
                no(Fate::Unsent, Error::Refused(format!("list \"{name}\": its completion was answered 400 Malformed request.")))
            }
            Outcome::TooLarge => no(Fate::Unsent, Error::Refused(format!("list \"{name}\": its completion was answered 413."))),
            Outcome::GaveUp { why } => no(Fate::Unsent, Error::Unavailable(format!("{why}."))),
            Outcome::Unsent { why } => no(Fate::Unsent, Error::Unavailable(format!("{why}."))),
            Outcome::Refused(error) | Outcome::Unauthorized(error) => no(Fate::Unsent, error),
        }
    }
}

/// The list's number, under whatever key that looks like one: nobody documents it.
fn segment(answer: &Value) -> Option<String> {
    let found =
        answer.as_object()?.iter().find(|(key, value)| key.to_lowercase().ends_with("id") && (value.is_number() || value.is_string()));
    found.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

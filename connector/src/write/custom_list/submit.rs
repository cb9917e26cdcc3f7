//! Submits one list: check that it exists if required, get a URL, PUT the file, confirm the upload.
//!
//! In: a spooled list. Out: the outcome. All calls but the last can be repeated. The last one is sent once or leaves the list in
//! doubt, whatever `clevertap.in_doubt` is: a second list of the same name would be refused, and then nobody could know which request
//! made the first one.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value};

use super::spool::SpooledFile;
use crate::account::Account;
use crate::client::{Answer, Api, Arrived, File, Lane, LaneSettings, Outcome, Request, contradiction_of, is_success};
use crate::error::{Error, Result};
use crate::fate::Fate;
use crate::options::{ListMode, Options};
use crate::read::lists::{self, ListPages};
use crate::runs::Stop;
use crate::table::{List, Resend};
use crate::tables;

/// Time limit for the undocumented list of lists.
const LISTING_FOR: Duration = Duration::from_secs(10);

/// The outcome of a submission.
#[derive(Debug)]
pub(super) enum Submitted {
    /// CleverTap has it, and reports the result by e-mail.
    Yes {
        /// The number or name of the segment, if the answer has one.
        segment: Option<String>,
    },
    /// CleverTap does not have it, or that is not known.
    No {
        fate: Fate,
        code: String,
        reason: String,
        /// The error that stops the statement; a refused name only counts as a rejected row.
        stop: Option<Error>,
    },
}

/// The calls that submit lists.
#[derive(Debug)]
pub(super) struct Calls {
    list: &'static List,
    options: Options,
    stop: Stop,
    url: Lane,
    completion: Lane,
    listing: Lane,
    /// Names of the existing lists, once fetched.
    existing: Option<BTreeSet<String>>,
    /// Whether a completion may have arrived without a known answer.
    pub(super) may_have_arrived: AtomicBool,
}

impl Calls {
    pub(super) fn new(account: &Account, list: &'static List, options: &Options, stop: &Stop) -> Self {
        let settings = |path| LaneSettings { stop: stop.clone(), ..LaneSettings::new(Api::of(path), options) };
        let listing = settings(list.existing.path);
        Self {
            list,
            options: options.clone(),
            stop: stop.clone(),
            url: Lane::new(account.client(), settings(list.url_path)),
            completion: Lane::new(account.client(), settings(list.completion_path)),
            listing: Lane::new(account.client(), LaneSettings { retry_for: listing.retry_for.min(LISTING_FOR), ..listing }),
            existing: None,
            may_have_arrived: AtomicBool::new(false),
        }
    }

    /// Requests, retries and bytes so far.
    pub(super) fn counts(&self) -> [u64; 3] {
        [&self.url, &self.completion, &self.listing].map(Lane::counts).iter().fold([0; 3], |[requests, retries, bytes], counts| {
            [requests + counts.requests, retries + counts.retries, bytes + counts.bytes_sent]
        })
    }

    /// Submits a list.
    pub(super) async fn submit(&mut self, file: &SpooledFile) -> Submitted {
        let stop = self.stop.clone();
        let prepared = tokio::select! {
            biased;
            prepared = self.prepare(file) => prepared,
            // CleverTap knows nothing of the list before the last call: no answer is waited for.
            () = stop.stopped() => Err(Error::Unavailable(format!("list \"{}\" was not sent: the statement stopped.", file.name))),
        };
        match prepared {
            Ok(url) => self.complete(file, &url).await,
            Err(error) => Submitted::No { fate: Fate::Unsent, code: error.code().to_owned(), reason: error.sentence(), stop: Some(error) },
        }
    }

    /// All calls before the last one. Returns the URL of the file.
    async fn prepare(&mut self, file: &SpooledFile) -> Result<String> {
        let (name, max) = (&file.name, self.list.bytes_max);
        if file.bytes > max {
            return Err(Error::TooMany(format!("list \"{name}\" is a file of {} bytes, and CleverTap takes {max}.", file.bytes)));
        }
        if self.options.list_mode == ListMode::Replace && !self.options.list_assume_exists {
            let existing = self.existing_lists().await.map_err(|error| {
                Error::Unavailable(format!(
                    "whether list \"{name}\" is there could not be asked: {} Nothing of it was sent; SET clevertap.list_assume_exists = true if it is \
                     there.",
                    error.sentence()
                ))
            })?;
            if !existing.contains(name) {
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
        let answer = self.url.fetch(&request, |answer| is_whole(answer) && url_of(answer).is_some()).await?;
        let url = url_of(&answer).ok_or_else(|| Error::Answer(format!("POST {} gave no URL.", self.list.url_path)))?;
        self.url.put(&url, &File { bytes: file.bytes, read: &|| file.read() }).await?;
        Ok(url)
    }

    /// The existing lists, fetched once per statement.
    async fn existing_lists(&mut self) -> Result<&BTreeSet<String>> {
        if self.existing.is_none() {
            self.existing = Some(self.fetch_list_names().await?);
        }
        Ok(self.existing.get_or_insert_default())
    }

    /// Reads all pages of the list of lists.
    async fn fetch_list_names(&self) -> Result<BTreeSet<String>> {
        let call = self.list.existing;
        let mut pages = ListPages::new(call, tables::segments());
        let mut names = BTreeSet::new();
        while let Some(records) = pages.next(&self.listing).await? {
            for record in lists::values(call.path, &records)? {
                let name = self.list.existing_name.iter().find_map(|pointer| record.pointer(pointer)?.as_str());
                names.insert(name.ok_or_else(|| Error::Answer(format!("{} lists one without a name.", call.path)))?.to_owned());
            }
        }
        Ok(names)
    }

    /// Confirms the upload, which creates the list.
    async fn complete(&mut self, file: &SpooledFile, url: &str) -> Submitted {
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
        // The answer, if it is none of an understood error: `readable` is not called for those.
        let read = Mutex::new(None);
        let readable = |answer: &Answer| {
            let value = serde_json::from_slice::<Value>(&answer.body);
            let is_read = value.is_ok();
            *read.lock().unwrap_or_else(PoisonError::into_inner) = Some(value.unwrap_or_default());
            is_read && is_success(answer)
        };
        let sent = self.completion.send(&request, readable, Arrived::No, &self.may_have_arrived).await;
        let read = read.into_inner().unwrap_or_else(PoisonError::into_inner);
        let no = |fate, error: Error| Submitted::No { fate, code: error.code().to_owned(), reason: error.sentence(), stop: Some(error) };
        match sent.outcome {
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
                let there = match self.fetch_list_names().await {
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

/// Whether an answer is finished and names no error beside what it holds.
fn is_whole(answer: &Answer) -> bool {
    answer.status != 202 && contradiction_of(answer).is_none()
}

/// The number of the segment, under any key that ends with `id`: the key is not documented.
fn segment(answer: &Value) -> Option<String> {
    let found =
        answer.as_object()?.iter().find(|(key, value)| key.to_lowercase().ends_with("id") && (value.is_number() || value.is_string()));
    found.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

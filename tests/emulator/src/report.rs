//! What a run did, for tests and for `GET /_emulator/state`. Never the passcode, never a
//! person's value but the ones that a client filters by.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::Value;

/// Everything that can be known about a run from outside.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// People that are stored, after merging; none where only counts are kept.
    pub profiles: u64,
    /// Events that are stored, or would be.
    pub events: u64,
    /// Device tokens that are stored.
    pub tokens: u64,
    /// Devices that are known.
    pub devices: u64,
    /// Accepted records of type profile, each time they came; dry runs do not count.
    pub profile_records: u64,
    /// Accepted records of type event.
    pub event_records: u64,
    /// Accepted records of type token.
    pub token_records: u64,
    /// Refused records by code; dry runs do not count.
    pub records_refused: BTreeMap<u16, u64>,
    /// Requests that arrived, the emulator's own paths left out.
    pub requests: u64,
    /// The same by path.
    pub requests_by_path: BTreeMap<String, u64>,
    /// Answers by HTTP status.
    pub answers: BTreeMap<u16, u64>,
    /// Requests whose connection was cut by a fault.
    pub resets: u64,
    /// Requests whose client went away before the answer.
    pub abandoned: u64,
    /// Uploads that were dry runs.
    pub dry_runs: u64,
    /// Requests that a fault rule changed, `slow` included.
    pub faults_fired: u64,
    /// The bytes of the largest upload body.
    pub body_bytes_peak: u64,
    /// Requests in flight now, by path.
    pub in_flight: BTreeMap<String, usize>,
    /// The most requests at once, by path, the refused ones included.
    pub peak_in_flight: BTreeMap<String, usize>,
    /// Requests in flight on the average, by path, weighted by the time between the path's first request and its last
    /// answer on tokio's clock. Requests that were refused before they ran take no part.
    pub mean_in_flight: BTreeMap<String, f64>,
    /// The last exports that were opened, at most 1000.
    pub exports_opened: VecDeque<ExportOpened>,
    /// Pages of exports, the bare ends included; also those whose answer a fault lost or spoilt afterwards.
    pub pages_served: u64,
    /// Records on those pages, each time they were served.
    pub records_exported: u64,
    /// Requests with a `req_id`.
    pub polls: u64,
    /// Rules that clients broke, and how often.
    pub rules_broken: BTreeMap<Rule, u64>,
    /// What the Error Stream would list, by kind, and how often.
    pub error_stream: BTreeMap<Loss, u64>,
    /// The last entries of the Error Stream, at most 1000.
    pub error_stream_last: VecDeque<Entry>,
    /// Accepted records of subscribe, each time they came.
    pub subscriptions: u64,
    /// Accepted records of disassociate.
    pub disassociations: u64,
    /// Demerge requests that were carried out. Who was demerged is in `Emulator::demerges`.
    pub demerge_calls: u64,
    /// Delete requests that were accepted. Whom they name is in `Emulator::deletions_requested`.
    pub deletion_calls: u64,
    /// People who are gone since a deletion was carried out.
    pub people_deleted: u64,
    /// Custom lists whose file was said to be there, each time that it was taken as true.
    pub lists_completed: u64,
    /// The bytes of all list files that were put.
    pub put_bytes: u64,
}

/// An export that was opened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExportOpened {
    /// `/1/events.json` or `/1/profiles.json`.
    pub path: String,
    /// The event, if one was named.
    pub event: Option<String>,
    /// The first day, as it was sent.
    pub from: Option<i64>,
    /// The last day.
    pub to: Option<i64>,
    /// The flag `app`, as it counts.
    pub app: bool,
    /// The flag `events`.
    pub events: bool,
    /// The flag `profile`.
    pub profile: bool,
    /// Records of a page, as asked for.
    pub batch_size: usize,
    /// The filters of the body, under their keys; `{}` without any.
    pub filters: Value,
}

/// A rule of the API that a client must not break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// More requests in flight than the account may have.
    InFlight,
    /// Credentials missing or wrong.
    Credentials,
    /// A method that the path does not take.
    Method,
    /// A path that does not exist.
    Path,
    /// A POST that is not `application/json`.
    ContentType,
    /// A POST with a compressed body.
    CompressedBody,
    /// A POST without Content-Length.
    Chunked,
    /// A body of more than 10 MB.
    BodyBytes,
    /// A body that is no JSON of the right shape.
    Malformed,
    /// More than 1000 records in a body.
    Records,
    /// More than 100 device tokens in a body.
    Tokens,
    /// A query that the path does not take, or more in it than it reads.
    Query,
    /// A query body that is JSON but not one that the path takes.
    Body,
    /// A cursor that was changed on its way: code 3.
    Cursor,
    /// Two requests on one chain at once: code 2.
    Overlap,
    /// A cursor that was used after its life.
    Expired,
    /// A `req_id` that is not known, or not any more.
    RequestId,
    /// More than 100 ids in a delete or demerge.
    Ids,
    /// `identity` and `guid` in one delete.
    IdKinds,
    /// `X-CleverTap-` headers in the PUT of a list's file: the passcode was given away.
    LeakedPasscode,
    /// A URL for a list's file that was changed, has expired, was used before or has no file.
    ListUrl,
    /// A field of a list that is missing or does not fit.
    ListFields,
}

/// A kind of silent change after a success (reference 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// A name or key was cut.
    KeyCut,
    /// A value was cut.
    ValueCut,
    /// Characters were taken out of a name or key.
    CharactersStripped,
    /// A property whose key had nothing left was dropped.
    KeyDropped,
    /// A property was dropped: nested without the beta, or a list where none may be.
    ValueDropped,
    /// An operator was ignored: unknown, several at once, or an argument or target that does not fit.
    OperatorIgnored,
    /// A list lost its oldest items.
    ListShortened,
    /// A profile had no room for another custom property.
    ProfileProperties,
    /// The project had no room for another event name.
    EventNames,
    /// An event that the schema does not define: accepted or dropped, as the rules say; so are all further kinds.
    UndefinedEvent,
    /// An event's property that the schema does not define.
    UndefinedProperty,
    /// An event's property of another type than the schema's.
    MistypedProperty,
    /// A mandatory property was missing; the key is the property's.
    MandatoryMissing,
    /// A user property that the schema does not define.
    UndefinedUserProperty,
    /// A user property of another type than the schema's.
    MistypedUserProperty,
}

/// One line of the Error Stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What happened.
    pub kind: Loss,
    /// The property's key or the event's name, as it came.
    pub key: String,
}

/// Entries of the Error Stream that are kept in words.
const ENTRIES_MAX: usize = 1000;
/// Opened exports that are kept.
const EXPORTS_MAX: usize = 1000;

impl Report {
    /// Notes a broken rule.
    pub(crate) fn broke(&mut self, rule: Rule) {
        *self.rules_broken.entry(rule).or_default() += 1;
    }

    /// Notes an opened export.
    pub(crate) fn opened(&mut self, export: ExportOpened) {
        if self.exports_opened.len() == EXPORTS_MAX {
            self.exports_opened.pop_front();
        }
        self.exports_opened.push_back(export);
    }

    /// Writes to the Error Stream.
    pub(crate) fn lost(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            *self.error_stream.entry(entry.kind).or_default() += 1;
            if self.error_stream_last.len() == ENTRIES_MAX {
                self.error_stream_last.pop_front();
            }
            self.error_stream_last.push_back(entry);
        }
    }
}

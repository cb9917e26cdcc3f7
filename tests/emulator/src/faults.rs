//! Faults as rules: on which path, when, how often, and what then.
//!
//! A rule counts the requests to its path from the moment it was added, those that were refused before they ran left out. The first rule that fires decides; `slow` adds its
//! time and lets the next rules speak. Probability depends on the seed, the rule and the request's number alone, so that a
//! run repeats.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

use crate::upload::codes::Reason;
use crate::url_query::parameter;

/// One rule. All conditions that are set must hold.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only requests to this path, such as `/1/upload`; none means every API.
    #[serde(default)]
    pub path: Option<String>,
    /// Only after so many requests.
    #[serde(default)]
    pub after: u64,
    /// Only from this request on; the first is 1.
    #[serde(default)]
    pub from: Option<u64>,
    /// Only up to this request, itself included.
    #[serde(default)]
    pub to: Option<u64>,
    /// Only each so-manieth request.
    #[serde(default)]
    pub every: Option<u64>,
    /// Only with this probability, by the seed.
    #[serde(default)]
    pub p: Option<f64>,
    /// Only from so long after the emulator's first request, on tokio's clock.
    #[serde(default)]
    pub from_ms: Option<u64>,
    /// Only until so long after the emulator's first request.
    #[serde(default)]
    pub to_ms: Option<u64>,
    /// At most so often.
    #[serde(default)]
    pub count: Option<u64>,
    /// What happens.
    pub what: What,
}

impl Fault {
    /// A fault of every request to every API; narrow it with the methods below or the fields.
    #[must_use]
    pub const fn new(what: What) -> Self {
        Self { path: None, after: 0, from: None, to: None, every: None, p: None, from_ms: None, to_ms: None, count: None, what }
    }

    /// Only requests to this path.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only after so many requests.
    #[must_use]
    pub const fn after(mut self, requests: u64) -> Self {
        self.after = requests;
        self
    }

    /// Only the requests with these numbers, both included; the first is 1.
    #[must_use]
    pub const fn between(mut self, from: u64, to: u64) -> Self {
        self.from = Some(from);
        self.to = Some(to);
        self
    }

    /// Only each so-manieth request.
    #[must_use]
    pub const fn every(mut self, requests: u64) -> Self {
        self.every = Some(requests);
        self
    }

    /// Only with this probability.
    #[must_use]
    pub const fn with_probability(mut self, p: f64) -> Self {
        self.p = Some(p);
        self
    }

    /// Only in this span of virtual time, counted from the emulator's first request.
    #[must_use]
    pub const fn during(mut self, from_ms: u64, to_ms: u64) -> Self {
        self.from_ms = Some(from_ms);
        self.to_ms = Some(to_ms);
        self
    }

    /// At most so often.
    #[must_use]
    pub const fn times(mut self, count: u64) -> Self {
        self.count = Some(count);
        self
    }
}

/// What a fault does. "Before" stores nothing; "after" stores all and loses or spoils the answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum What {
    /// 429, nothing stored.
    TooManyRequests,
    /// 500 before storing.
    ServerErrorBefore,
    /// 500 after storing.
    ServerErrorAfter,
    /// 503 with a page of HTML, nothing stored.
    Unavailable,
    /// Never answers, nothing stored. The slot is held until the client goes away.
    HangBefore,
    /// Stores, then never answers.
    HangAfter,
    /// Cuts the connection before storing.
    ResetBefore,
    /// Cuts the connection after storing.
    ResetAfter,
    /// 200 with half a JSON, nothing stored.
    GarbageBefore,
    /// 200 with half a JSON, after storing.
    GarbageAfter,
    /// 200 with nothing in it, nothing stored.
    EmptyBefore,
    /// 200 with nothing in it, after storing.
    EmptyAfter,
    /// Refuses records with code 555: the numbered ones (from 1), and each other one with probability `p`.
    RecordError {
        /// 1-based record numbers.
        #[serde(default)]
        records: Vec<usize>,
        /// Probability for each record.
        #[serde(default)]
        p: f64,
    },
    /// Refuses the numbered records and still says `success`; records that are wrong by themselves are listed too.
    UnprocessedUnderSuccess {
        /// 1-based record numbers.
        #[serde(default)]
        records: Vec<usize>,
    },
    /// Takes so much longer.
    Slow {
        /// Milliseconds on top of the latency.
        ms: u64,
    },
    /// 413, nothing stored.
    TooLarge,
    /// `Malformed request` for bodies that contain this text; other bodies do not fire the rule.
    MalformedIf {
        /// The text, as it stands in the body.
        text: String,
    },
    /// 401, nothing stored.
    Unauthorized,
    /// Stores and answers, but `processed` is off by so much.
    WrongCounts {
        /// Added to `processed`; never below 0.
        by: i64,
    },
    /// Stores and answers, but the numbers of refused records are off by so much.
    WrongNumbers {
        /// Added to each record number; never below 0.
        by: i64,
    },
    /// `Too many requests` under HTTP 200 and without a code, nothing stored.
    TooManyUnderSuccess,
    /// Any other failure of the whole request, nothing stored.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The `code` in the body.
        code: u16,
        /// The `error` in the body.
        error: String,
    },
    /// Stores the first so many accepted records, then answers 500.
    StorePrefix {
        /// How many.
        records: usize,
    },
    /// `Request still in progress, please retry later` under HTTP 200, code 2; nothing is run.
    InProgress,
    /// A page whose `next_cursor` is one that the client has already. Fires for pages alone, as the next three do.
    RepeatCursor {
        /// 0: the cursor that was sent. More: the one of so many pages before.
        #[serde(default)]
        back: u32,
    },
    /// The chain expires now, before its time.
    ExpireCursor,
    /// `"records":[]` and a `next_cursor` that leads to the records which belong here: nothing is lost.
    EmptyPage,
    /// The bare last page although records remain: only who counts can tell.
    EndEarly,
    /// Runs, then answers the same JSON without its `status`.
    NoStatus,
}

impl What {
    /// Whether this fault spoils pages of an export and nothing else.
    const fn is_for_pages(&self) -> bool {
        matches!(self, Self::RepeatCursor { .. } | Self::ExpireCursor | Self::EmptyPage | Self::EndEarly)
    }

    /// The reason that this fault gives to a record that is fine by itself, if it spoils it.
    pub(crate) fn spoils(&self, number: usize, kind: Reason, seed: u64) -> Option<Reason> {
        match self {
            Self::RecordError { records, p } => {
                let hit = records.contains(&number) || (*p > 0.0 && draw(seed, number as u64, 0x0555) < *p);
                hit.then_some(Reason::Internal)
            }
            Self::UnprocessedUnderSuccess { records } => records.contains(&number).then_some(kind),
            _ => None,
        }
    }
}

/// The rules of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Active>,
    added: u64,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    id: u64,
    seen: u64,
    fired: u64,
}

/// What the rules decided for one request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    pub(crate) what: Option<What>,
    pub(crate) slow_ms: u64,
}

impl Rules {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.added += 1;
        self.rules.push(Active { fault, id: self.added, seen: 0, fired: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Shows a request to all rules and takes the first that fires.
    pub(crate) fn plan(&mut self, path: &str, query: &str, body: &[u8], elapsed_ms: u64, seed: u64) -> Plan {
        let is_page = parameter(query, "cursor").is_some();
        let mut plan = Plan::default();
        for rule in &mut self.rules {
            if rule.fault.path.as_deref().is_some_and(|only| only != path) {
                continue;
            }
            rule.seen += 1;
            if plan.what.is_some() || (rule.fault.what.is_for_pages() && !is_page) || !rule.fires(body, elapsed_ms, seed) {
                continue;
            }
            rule.fired += 1;
            match &rule.fault.what {
                What::Slow { ms } => plan.slow_ms += ms,
                what => plan.what = Some(what.clone()),
            }
        }
        plan
    }
}

impl Active {
    fn fires(&self, body: &[u8], elapsed_ms: u64, seed: u64) -> bool {
        let fault = &self.fault;
        self.seen > fault.after
            && fault.from.is_none_or(|from| self.seen >= from)
            && fault.to.is_none_or(|to| self.seen <= to)
            && fault.every.is_none_or(|every| every > 0 && self.seen.is_multiple_of(every))
            && fault.from_ms.is_none_or(|from| elapsed_ms >= from)
            && fault.to_ms.is_none_or(|to| elapsed_ms < to)
            && fault.count.is_none_or(|count| self.fired < count)
            && fault.p.is_none_or(|p| draw(seed, self.id, self.seen) < p)
            && match &fault.what {
                What::MalformedIf { text } => contains(body, text.as_bytes()),
                _ => true,
            }
    }
}

/// A number in 0..1 that depends on nothing but its arguments.
pub(crate) fn draw(seed: u64, stream: u64, number: u64) -> f64 {
    let mixed = seed.wrapping_add(stream.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    StdRng::seed_from_u64(mixed).random()
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

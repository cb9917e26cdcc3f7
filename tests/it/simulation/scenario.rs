//! What one seed means: rows, options, latencies, faults, and how the statement is disturbed.

use std::fmt;

use clevertap_emulator::{Fault, What};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

/// The path of all writes here.
pub(super) const UPLOAD: &str = "/1/upload";

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Appends.
    Events,
    /// Repeatable rows.
    Profiles,
    /// Profiles of which some rows hold `$incr` or `$decr`, and so are appends.
    Counters,
    /// Repeatable rows, 100 a body.
    Tokens,
}

/// What is wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Nothing.
    None,
    /// It is rejected before it is sent.
    Local,
    /// CleverTap refuses it.
    Refused,
}

/// One row of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Whose it is.
    pub(super) identity: usize,
    pub(super) flaw: Flaw,
    /// Bytes of a text that only makes it longer.
    pub(super) pad: usize,
    /// `16^n` for the n-th row of its identity that counts up, so that the sum tells how often each was carried out.
    pub(super) incr: Option<i64>,
    /// The same, down.
    pub(super) decr: Option<i64>,
    /// Whether it sets `Seq`.
    pub(super) is_seen: bool,
}

/// Everything that a seed decides.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) target: Target,
    pub(super) rows: Vec<Row>,
    /// Rows of each batch of the source.
    pub(super) batches: Vec<usize>,
    /// Milliseconds that the source takes for a batch.
    pub(super) source_ms: u64,
    /// The source breaks after so many batches.
    pub(super) source_breaks: Option<usize>,
    pub(super) body_rows_max: usize,
    pub(super) body_bytes_max: usize,
    pub(super) concurrency: usize,
    pub(super) skip: bool,
    pub(super) failed_max: Option<u64>,
    pub(super) failed_rows_max: usize,
    pub(super) resend: bool,
    pub(super) timeout_ms: u64,
    pub(super) retry_for_ms: u64,
    pub(super) latency_ms: u64,
    pub(super) jitter_ms: u64,
    /// What the account may have in flight; others use the rest.
    pub(super) upload_limit: usize,
    pub(super) faults: Vec<Fault>,
    /// Milliseconds from the start within which no connection comes about.
    pub(super) unreachable: Option<(u64, u64)>,
    /// `account.stop` after so many milliseconds.
    pub(super) stop_at: Option<u64>,
    /// The stream is dropped after so many milliseconds.
    pub(super) drop_at: Option<u64>,
    pub(super) memory: usize,
}

impl Scenario {
    pub(super) fn new(seed: u64) -> Self {
        let rng = &mut StdRng::seed_from_u64(seed);
        let target = pick(rng, &[Target::Events, Target::Events, Target::Profiles, Target::Counters, Target::Tokens]);
        let count = (10f64.powf(rng.random_range(0.3..3.7)) as usize).clamp(1, 5_000);
        let identities = pick(rng, &[count, count / 3, count / 20]).max(count / 40 + 1);
        let skip = rng.random_bool(0.85);
        let flawed = if skip { pick(rng, &[0.0, 0.0, 0.001, 0.01, 0.1]) } else { pick(rng, &[0.0, 0.0, 0.001]) };
        let pad_max = pick(rng, &[1, 40, 400]);
        let is_seen = rng.random_bool(0.5);
        let mut counted = vec![(0u32, 0u32); identities];
        let rows = (0..count)
            .map(|_| {
                let identity = rng.random_range(0..identities);
                let flaw = if rng.random_bool(flawed) { pick(rng, &[Flaw::Local, Flaw::Refused]) } else { Flaw::None };
                let step = |is: bool, nth: &mut u32| {
                    (is && *nth < 14).then(|| {
                        *nth += 1;
                        16i64.pow(*nth - 1)
                    })
                };
                let counts = target == Target::Counters;
                let incr = step(counts && rng.random_bool(0.2), &mut counted[identity].0);
                let decr = step(counts && rng.random_bool(0.1), &mut counted[identity].1);
                let is_seen = is_seen || (incr.is_none() && decr.is_none());
                Row { identity, flaw, pad: rng.random_range(0..pad_max), incr, decr, is_seen }
            })
            .collect();
        let batch_max = pick(rng, &[3, 100, 3_000, 8_192]);
        let mut batches = Vec::new();
        let mut left = count;
        while left > 0 {
            let batch = rng.random_range(0..=batch_max.min(left));
            left -= batch;
            batches.push(batch);
        }
        let latency_ms = pick(rng, &[0, 20, 100, 500]);
        let jitter_ms = pick(rng, &[0, 50, 490]);
        let mut scenario = Self {
            seed,
            target,
            rows,
            source_ms: pick(rng, &[0, 0, 10, 1_000]),
            source_breaks: rng.random_bool(0.06).then(|| rng.random_range(0..=batches.len())),
            batches,
            body_rows_max: pick(rng, &[1, 7, 50, 100, 300, 1_000]).max(count / 400),
            body_bytes_max: pick(rng, &[1_000, 5_000, 40_000, 5_000_000]),
            concurrency: pick(rng, &[1, 3, 10, 15]),
            skip,
            failed_max: rng.random_bool(0.1).then(|| rng.random_range(0..60)),
            failed_rows_max: if rng.random_bool(0.05) { 7 } else { 100_000 },
            resend: rng.random_bool(0.2),
            timeout_ms: pick(rng, &[700, 2_000, 10_000, 60_000]).max(latency_ms),
            retry_for_ms: pick(rng, &[1_000, 20_000, 120_000, 600_000, 600_000]),
            latency_ms,
            jitter_ms,
            upload_limit: pick(rng, &[3, 8, 15, 15, 15]),
            faults: Vec::new(),
            unreachable: None,
            stop_at: None,
            drop_at: None,
            memory: if rng.random_bool(0.1) { 10_000 } else { 1 << 30 },
        };
        scenario.disturb(rng);
        scenario
    }

    /// How long the load takes if nothing happens, roughly.
    fn span_ms(&self) -> u64 {
        let mut bodies = self.rows.len() / self.body_rows_max + 1;
        bodies = bodies.max(self.rows.len() * 250 / self.body_bytes_max);
        let waves = (bodies / self.concurrency.min(self.upload_limit) + 1) as u64;
        (waves * (self.latency_ms + self.jitter_ms / 2) + self.batches.len() as u64 * self.source_ms).max(20)
    }

    fn disturb(&mut self, rng: &mut StdRng) {
        let span = self.span_ms();
        for _ in 0..rng.random_range(0..=5) {
            let what = self.what(rng);
            let fault = Fault::new(what.clone()).on(UPLOAD);
            let fault = match what {
                // What is wrong with a record or an account stays wrong: these come first, and always.
                What::MalformedIf { .. } => {
                    self.faults.insert(0, fault);
                    continue;
                }
                What::Unauthorized | What::Refuse { .. } => fault.after(rng.random_range(0..40)),
                _ => match rng.random_range(0..5) {
                    0 => fault.with_probability(pick(rng, &[0.02, 0.1, 0.3])),
                    1 => fault.times(rng.random_range(1..6)),
                    2 => fault.after(rng.random_range(0..20)).times(rng.random_range(1..20)),
                    3 => fault.every(rng.random_range(2..9)),
                    _ => {
                        let from = rng.random_range(0..span);
                        fault.during(from, from + pick(rng, &[300, 5_000, 60_000, 300_000]))
                    }
                },
            };
            self.faults.push(fault);
        }
        if rng.random_bool(0.1) {
            let from = rng.random_range(0..span);
            self.unreachable = Some((from, from + pick(rng, &[1_000, 30_000, 300_000])));
        }
        if rng.random_bool(0.1) {
            self.stop_at = Some(rng.random_range(0..span * 2));
        } else if rng.random_bool(0.08) {
            self.drop_at = Some(rng.random_range(0..span * 2));
        }
    }

    fn what(&self, rng: &mut StdRng) -> What {
        let row = rng.random_range(1..=self.rows.len());
        match rng.random_range(0..24) {
            0 | 1 => What::TooManyRequests,
            2 => What::TooManyUnderSuccess,
            3 => What::ServerErrorBefore,
            4 => What::ServerErrorAfter,
            5 | 6 => What::Unavailable,
            7 => What::HangBefore,
            8 => What::HangAfter,
            9 => What::ResetBefore,
            10 => What::ResetAfter,
            11 => What::GarbageBefore,
            12 => What::GarbageAfter,
            13 => What::EmptyBefore,
            14 => What::EmptyAfter,
            15 | 16 => What::RecordError { records: vec![rng.random_range(1..5)], p: pick(rng, &[0.0, 0.02, 0.3]) },
            17 => What::Slow { ms: pick(rng, &[200, 3_000, 90_000]) },
            18 => What::TooLarge,
            19 => What::MalformedIf { text: self.mark(row) },
            // Shifted by less, numbers would name another record, and nobody could tell.
            20 => What::WrongNumbers { by: pick(rng, &[-1_000, 1_000]) },
            21 => What::WrongCounts { by: pick(rng, &[-1, 1, 40]) },
            22 => What::StorePrefix { records: rng.random_range(0..50) },
            _ => match rng.random_range(0..4) {
                0 => What::Unauthorized,
                1 => What::Refuse { status: pick(rng, &[400, 404]), code: 400, error: "No such thing".into() },
                _ => What::UnprocessedUnderSuccess { records: vec![rng.random_range(1..20)] },
            },
        }
    }

    /// The text by which a row is known in a body; `row` counts from 1.
    pub(super) fn mark(&self, row: usize) -> String {
        match self.target {
            Target::Events => format!("\"Row\":{row}}}"),
            Target::Profiles | Target::Counters => format!("\"R{row}\":1"),
            Target::Tokens => format!("\"id\":\"t{row}\""),
        }
    }

    /// What stands before a row's number in a body.
    pub(super) fn mark_start(&self) -> &'static str {
        match self.target {
            Target::Events => "\"Row\":",
            Target::Profiles | Target::Counters => "\"R",
            Target::Tokens => "\"id\":\"t",
        }
    }

    /// Whether a row must not be carried out twice.
    pub(super) fn is_append(&self, row: usize) -> bool {
        self.target == Target::Events || self.rows[row - 1].incr.is_some() || self.rows[row - 1].decr.is_some()
    }

    /// Whether faults refuse records that are fine, so that the same record is refused once and taken another time.
    pub(super) fn has(&self, is: impl Fn(&What) -> bool) -> bool {
        self.faults.iter().any(|fault| is(&fault.what))
    }

    /// The settings of the session, in words.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        vec![
            ("body_rows_max", self.body_rows_max.to_string()),
            ("body_bytes_max", self.body_bytes_max.to_string()),
            ("upload_concurrency", self.concurrency.to_string()),
            ("on_reject", if self.skip { "skip" } else { "stop" }.to_owned()),
            ("failed_max", self.failed_max.map(|max| max.to_string()).unwrap_or_default()),
            ("failed_rows_max", self.failed_rows_max.to_string()),
            ("in_doubt", if self.resend { "resend" } else { "hold" }.to_owned()),
            ("timeout_ms", self.timeout_ms.to_string()),
            ("retry_for_ms", self.retry_for_ms.to_string()),
        ]
    }
}

impl fmt::Debug for Scenario {
    /// Rows and batches as counts, so that it can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flawed: Vec<_> = self.rows.iter().zip(1..).filter(|(row, _)| row.flaw != Flaw::None).map(|(row, n)| (n, row.flaw)).collect();
        writeln!(f, "seed {}: {} rows into {:?}, {} batches", self.seed, self.rows.len(), self.target, self.batches.len())?;
        writeln!(f, "  flawed: {:?} … {} in all", &flawed[..flawed.len().min(8)], flawed.len())?;
        writeln!(f, "  options: {:?}", self.options())?;
        let Self { source_ms, source_breaks, latency_ms, jitter_ms, upload_limit, unreachable, stop_at, drop_at, memory, .. } = self;
        writeln!(f, "  source_ms {source_ms}, source breaks {source_breaks:?}, latency {latency_ms} + {jitter_ms}, limit {upload_limit}")?;
        writeln!(f, "  unreachable {unreachable:?}, stop {stop_at:?}, drop {drop_at:?}, memory {memory}")?;
        self.faults.iter().try_for_each(|fault| writeln!(f, "  {fault:?}"))
    }
}

fn pick<T: Clone>(rng: &mut StdRng, of: &[T]) -> T {
    of.choose(rng).expect("something to choose from").clone()
}

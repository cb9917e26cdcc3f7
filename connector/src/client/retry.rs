//! Decides whether an attempt is repeated: a pure function, which the lane follows. It never sleeps, and the source of its jitter is
//! a parameter.
//!
//! | outcome of an attempt | `Resend::Idempotent` | `Resend::Appends` |
//! |---|---|---|
//! | not sent (connect, DNS, TLS) | again | again |
//! | certificate not trusted | given up | given up |
//! | not sent, and never will be as the process is set up | an error of setting | same |
//! | 429 | again, after the server's delay if it gives one | same |
//! | 5xx, 408, 409, 499, a code that says the same, a contradiction | again, after the server's delay if it gives one | in doubt |
//! | timeout or reset after sending | again | in doubt |
//! | 2xx that cannot be read | again | in doubt |
//! | answer over the size cap, or the transport panicked | given up | in doubt |
//! | 2xx that can be read | done | done |
//! | 400 `Malformed request`, 413 | the sender halves the body | same |
//! | 401, 403 | unauthorized | same |
//! | any other 4xx, 3xx, a `fail` | refused | same |
//!
//! *Again* means after a wait of up to 1, 2, 4 … 60 s, uniformly distributed from zero ("full jitter"), or the delay that the server
//! asked for if that is longer. An attempt that would start after `retry_for` is not made: the request is given up, and is in doubt
//! if any of its attempts may have arrived, else unsent. Until a host has answered once, its name may simply be wrong: it gets three
//! attempts, none of which starts after 10 s.

use std::time::Duration;

use rand::Rng;

use super::classify::AttemptOutcome;
use crate::table::Resend;

/// Whether a request, or an earlier one with the same records, may have been executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    No,
    Maybe,
}

/// The longest wait, unless the server asks for a longer one.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Maximum attempts at a host that has never answered.
const UNKNOWN_HOST_ATTEMPTS_MAX: u32 = 3;

/// Time in which these attempts may start.
const UNKNOWN_HOST_FOR: Duration = Duration::from_secs(10);

/// The state of a request after an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryContext {
    /// What happens if it is executed twice.
    pub(crate) resend: Resend,
    /// Number of attempts, including this one.
    pub(crate) attempts: u32,
    /// Time since the first attempt began.
    pub(crate) elapsed: Duration,
    /// Maximum of that time.
    pub(crate) retry_for: Duration,
    /// Whether an earlier attempt may have arrived.
    pub(crate) arrived: Arrived,
    /// Whether the host has ever answered.
    pub(crate) host_answered: bool,
}

/// The decision after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt, after a wait.
    Retry {
        /// The wait.
        after: Duration,
    },
    /// The answer can be read.
    Done,
    /// The caller sends the body once more, then halves it.
    Malformed,
    /// The caller halves the body.
    TooLarge,
    /// It may have been executed, and is not sent again.
    InDoubt,
    /// Given up; an attempt may have arrived.
    GaveUpInDoubt,
    /// Given up; no attempt has arrived.
    GaveUpUnsent,
    /// The credentials were refused.
    Unauthorized,
    /// The request was refused; a retry would be too.
    Refused,
    /// Nothing can be sent as the process is set up.
    Setup,
}

impl AttemptOutcome {
    /// Whether the attempt may have been executed although there is no readable answer.
    pub(crate) fn arrived(self) -> Arrived {
        match self {
            Self::Broken { .. } | Self::Lost | Self::Broke | Self::Unreadable | Self::TooLong => Arrived::Maybe,
            _ => Arrived::No,
        }
    }
}

impl Arrived {
    /// `Maybe` if either is.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        }
    }
}

/// The decision for an outcome: the table above.
pub(crate) fn next(outcome: AttemptOutcome, context: RetryContext, rng: &mut impl Rng) -> Next {
    let arrived = context.arrived.or(outcome.arrived());
    match (outcome, context.resend) {
        (AttemptOutcome::Readable, _) => Next::Done,
        (AttemptOutcome::Malformed, _) => Next::Malformed,
        (AttemptOutcome::TooLarge, _) => Next::TooLarge,
        (AttemptOutcome::Unauthorized | AttemptOutcome::Forbidden, _) => Next::Unauthorized,
        (AttemptOutcome::Refused, _) => Next::Refused,
        (AttemptOutcome::Setup, _) => Next::Setup,
        (
            AttemptOutcome::Broken { .. }
            | AttemptOutcome::Lost
            | AttemptOutcome::Broke
            | AttemptOutcome::Unreadable
            | AttemptOutcome::TooLong,
            Resend::Appends,
        ) => Next::InDoubt,
        (AttemptOutcome::Certificate, _) | (AttemptOutcome::TooLong | AttemptOutcome::Broke, Resend::Idempotent) => give_up(arrived),
        (AttemptOutcome::NotSent, _) | (AttemptOutcome::Lost | AttemptOutcome::Unreadable, Resend::Idempotent) => {
            retry(None, arrived, context, rng)
        }
        (AttemptOutcome::Throttled { retry_after }, _) | (AttemptOutcome::Broken { retry_after }, Resend::Idempotent) => {
            retry(retry_after, arrived, context, rng)
        }
    }
}

fn retry(server_delay: Option<Duration>, arrived: Arrived, context: RetryContext, rng: &mut impl Rng) -> Next {
    let after = wait(context.attempts, rng).max(server_delay.unwrap_or_default());
    let (tries_left, bound) = if context.host_answered {
        (true, context.retry_for)
    } else {
        (context.attempts < UNKNOWN_HOST_ATTEMPTS_MAX, context.retry_for.min(UNKNOWN_HOST_FOR))
    };
    if tries_left && context.elapsed.saturating_add(after) <= bound { Next::Retry { after } } else { give_up(arrived) }
}

/// The wait after this many attempts: 1, 2, 4 … 60 s, with full jitter.
pub(crate) fn wait(attempts: u32, rng: &mut impl Rng) -> Duration {
    Duration::from_secs(1 << attempts.saturating_sub(1).min(6)).min(WAIT_MAX).mul_f64(rng.random::<f64>())
}

/// The decision for a request that is not retried any more.
pub(crate) fn give_up(arrived: Arrived) -> Next {
    match arrived {
        Arrived::Maybe => Next::GaveUpInDoubt,
        Arrived::No => Next::GaveUpUnsent,
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn context(resend: Resend) -> RetryContext {
        let retry_for = 600 * SECOND;
        RetryContext { resend, attempts: 1, elapsed: Duration::ZERO, retry_for, arrived: Arrived::No, host_answered: true }
    }

    fn label(next: Next) -> &'static str {
        match next {
            Next::Retry { .. } => "again",
            Next::Done => "done",
            Next::Malformed => "malformed",
            Next::TooLarge => "too large",
            Next::InDoubt => "in doubt",
            Next::GaveUpInDoubt => "given up, in doubt",
            Next::GaveUpUnsent => "given up, unsent",
            Next::Unauthorized => "unauthorized",
            Next::Refused => "refused",
            Next::Setup => "a setting",
        }
    }

    fn decide(outcome: AttemptOutcome, context: RetryContext) -> &'static str {
        label(next(outcome, context, &mut StdRng::seed_from_u64(1)))
    }

    #[test]
    fn the_table_row_by_row() {
        let server_delay = Some(2 * SECOND);
        #[rustfmt::skip]
        let table = [
            (AttemptOutcome::NotSent,                                      "again",              "again"),
            (AttemptOutcome::Certificate,                                  "given up, unsent",   "given up, unsent"),
            (AttemptOutcome::Throttled { retry_after: None },              "again",              "again"),
            (AttemptOutcome::Throttled { retry_after: server_delay },      "again",              "again"),
            (AttemptOutcome::Broken { retry_after: None },                 "again",              "in doubt"),
            (AttemptOutcome::Broken { retry_after: server_delay },         "again",              "in doubt"),
            (AttemptOutcome::Lost,                                         "again",              "in doubt"),
            (AttemptOutcome::Unreadable,                                   "again",              "in doubt"),
            (AttemptOutcome::TooLong,                                      "given up, in doubt", "in doubt"),
            (AttemptOutcome::Broke,                                        "given up, in doubt", "in doubt"),
            (AttemptOutcome::Readable,                                     "done",               "done"),
            (AttemptOutcome::Malformed,                                    "malformed",          "malformed"),
            (AttemptOutcome::TooLarge,                                     "too large",          "too large"),
            (AttemptOutcome::Unauthorized,                                 "unauthorized",       "unauthorized"),
            (AttemptOutcome::Forbidden,                                    "unauthorized",       "unauthorized"),
            (AttemptOutcome::Refused,                                      "refused",            "refused"),
            (AttemptOutcome::Setup,                                        "a setting",          "a setting"),
        ];
        for (outcome, idempotent, appends) in table {
            let decided = (decide(outcome, context(Resend::Idempotent)), decide(outcome, context(Resend::Appends)));
            assert_eq!(decided, (idempotent, appends), "{outcome:?}");
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_are_spread_from_zero() {
        let ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60];
        for (attempts, ceiling) in (1..).zip(ceilings) {
            let waits = (0..500).map(|seed| {
                let context = RetryContext { attempts, ..context(Resend::Idempotent) };
                match next(AttemptOutcome::NotSent, context, &mut StdRng::seed_from_u64(seed)) {
                    Next::Retry { after } => after.as_secs_f64() / f64::from(ceiling),
                    other => panic!("{other:?}"),
                }
            });
            let (least, most) = waits.fold((1.0_f64, 0.0_f64), |(least, most), wait| (least.min(wait), most.max(wait)));
            assert!(least < 0.05 && (0.95..=1.0).contains(&most), "attempt {attempts}: {least} to {most}");
        }
    }

    #[test]
    fn the_delay_of_the_server_is_used_if_it_is_longer() {
        let delayed = AttemptOutcome::Throttled { retry_after: Some(90 * SECOND) };
        let decided = next(delayed, context(Resend::Appends), &mut StdRng::seed_from_u64(1));
        assert_eq!(decided, Next::Retry { after: 90 * SECOND });
        let past_the_end = AttemptOutcome::Throttled { retry_after: Some(601 * SECOND) };
        assert_eq!(decide(past_the_end, context(Resend::Appends)), "given up, unsent");
        let endless = AttemptOutcome::Throttled { retry_after: Some(Duration::MAX) };
        assert_eq!(decide(endless, RetryContext { elapsed: SECOND, ..context(Resend::Appends) }), "given up, unsent");
    }

    #[test]
    fn at_the_end_of_its_time_a_request_is_in_doubt_if_any_attempt_may_have_arrived() {
        let late = |resend, arrived| RetryContext { attempts: 18, elapsed: 601 * SECOND, arrived, ..context(resend) };
        let throttled = AttemptOutcome::Throttled { retry_after: None };
        assert_eq!(decide(throttled, late(Resend::Appends, Arrived::No)), "given up, unsent");
        assert_eq!(decide(throttled, late(Resend::Idempotent, Arrived::Maybe)), "given up, in doubt");
        assert_eq!(decide(AttemptOutcome::Lost, late(Resend::Idempotent, Arrived::No)), "given up, in doubt");
        assert_eq!(decide(AttemptOutcome::NotSent, late(Resend::Idempotent, Arrived::No)), "given up, unsent");
    }

    #[test]
    fn a_host_that_never_answered_is_tried_three_times_within_ten_seconds() {
        let unknown_host =
            |attempts, seconds| RetryContext { attempts, elapsed: seconds * SECOND, host_answered: false, ..context(Resend::Idempotent) };
        let decided =
            [(1, 0), (2, 3), (3, 3), (2, 11)].map(|(attempts, seconds)| decide(AttemptOutcome::NotSent, unknown_host(attempts, seconds)));
        assert_eq!(decided, ["again", "again", "given up, unsent", "given up, unsent"]);
    }
}

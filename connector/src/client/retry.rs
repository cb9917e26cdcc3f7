//! Whether an attempt is repeated: a pure function, which the lane obeys. It never sleeps, and its jitter is handed to it.
//!
//! | outcome of an attempt | `Resend::Idempotent` | `Resend::Appends` |
//! |---|---|---|
//! | not sent (connect, DNS, TLS) | again | again |
//! | certificate not trusted | given up | given up |
//! | 429 | again, after the server's delay if it gives one | same |
//! | 5xx | again, after the server's delay if it gives one | in doubt |
//! | timeout or reset after sending | again | in doubt |
//! | 2xx that cannot be read | again | in doubt |
//! | answer over the size cap | given up | in doubt |
//! | 2xx that can be read | done | done |
//! | 400 `Malformed request`, 413 | the sender halves the body | same |
//! | 401, 403 | unauthorized | same |
//! | any other 4xx, 3xx, a `fail` | refused | same |
//!
//! *Resend* waits up to 1, 2, 4 … 60 s, evenly spread from nothing to there ("full jitter"), or what the server asked for where
//! that is longer. An attempt that would start after `retry_for` is not started: the request is given up, and whether it may have
//! arrived (in any attempt) decides between in doubt and unsent. Until a host has answered once, its name may simply be wrong:
//! three attempts, none of which starts after 10 s.

use std::time::Duration;

use rand::Rng;

use super::classify::CameBack;
use crate::table::Resend;

/// Whether a request, or one that held the same records, may have been carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// Certainly not.
    No,
    /// It may have.
    Maybe,
}

/// The longest wait, without the server's own.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Attempts at a host that has never answered.
const STRANGER_ATTEMPTS_MAX: u32 = 3;

/// Time in which they start.
const STRANGER_FOR: Duration = Duration::from_secs(10);

/// Where a request stands after an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoFar {
    /// What happens if it is carried out twice.
    pub(crate) resend: Resend,
    /// Attempts, with this one.
    pub(crate) attempts: u32,
    /// Time since the first attempt began.
    pub(crate) elapsed: Duration,
    /// The bound of that time.
    pub(crate) retry_for: Duration,
    /// Whether an earlier attempt may have arrived.
    pub(crate) arrived: Arrived,
    /// Whether the host has ever answered.
    pub(crate) host_answered: bool,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Another attempt.
    Retry {
        /// After this long.
        after: Duration,
    },
    /// The answer is there.
    Done,
    /// The body is to be halved, or to be sent once more.
    Malformed,
    /// The body is to be halved.
    TooLarge,
    /// It may have been carried out, and is not sent again.
    InDoubt,
    /// Trying is over; some attempt may have arrived.
    GaveUpInDoubt,
    /// Trying is over; no attempt has arrived.
    GaveUpUnsent,
    /// The credentials were refused.
    Unauthorized,
    /// The request was refused, and will be again.
    Refused,
}

impl CameBack {
    /// Whether the attempt may have been carried out although there is no answer to believe.
    pub(crate) fn arrived(self) -> Arrived {
        match self {
            Self::Broken { .. } | Self::Lost | Self::Unreadable | Self::TooLong => Arrived::Maybe,
            _ => Arrived::No,
        }
    }
}

impl Arrived {
    /// What two attempts together may have done.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        }
    }
}

/// What follows from what an attempt came back with.
pub(crate) fn next(came_back: CameBack, so_far: SoFar, rng: &mut impl Rng) -> Next {
    let arrived = so_far.arrived.or(came_back.arrived());
    match (came_back, so_far.resend) {
        (CameBack::Readable, _) => Next::Done,
        (CameBack::Malformed, _) => Next::Malformed,
        (CameBack::TooLarge, _) => Next::TooLarge,
        (CameBack::Unauthorized | CameBack::Forbidden, _) => Next::Unauthorized,
        (CameBack::Refused, _) => Next::Refused,
        (CameBack::Broken { .. } | CameBack::Lost | CameBack::Unreadable | CameBack::TooLong, Resend::Appends) => Next::InDoubt,
        (CameBack::Certificate, _) | (CameBack::TooLong, Resend::Idempotent) => give_up(arrived),
        (CameBack::NotSent, _) | (CameBack::Lost | CameBack::Unreadable, Resend::Idempotent) => again(None, arrived, so_far, rng),
        (CameBack::Throttled { retry_after }, _) | (CameBack::Broken { retry_after }, Resend::Idempotent) => {
            again(retry_after, arrived, so_far, rng)
        }
    }
}

fn again(asked: Option<Duration>, arrived: Arrived, so_far: SoFar, rng: &mut impl Rng) -> Next {
    let after = wait(so_far.attempts, rng).max(asked.unwrap_or_default());
    let (tries_left, bound) = if so_far.host_answered {
        (true, so_far.retry_for)
    } else {
        (so_far.attempts < STRANGER_ATTEMPTS_MAX, so_far.retry_for.min(STRANGER_FOR))
    };
    if tries_left && so_far.elapsed.saturating_add(after) <= bound { Next::Retry { after } } else { give_up(arrived) }
}

/// How long to wait after this many attempts: 1, 2, 4 … 60 s, with full jitter.
pub(crate) fn wait(attempts: u32, rng: &mut impl Rng) -> Duration {
    Duration::from_secs(1 << attempts.saturating_sub(1).min(6)).min(WAIT_MAX).mul_f64(rng.random::<f64>())
}

/// Where a request ends that is not tried any more.
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

    fn so_far(resend: Resend) -> SoFar {
        let retry_for = 600 * SECOND;
        SoFar { resend, attempts: 1, elapsed: Duration::ZERO, retry_for, arrived: Arrived::No, host_answered: true }
    }

    fn in_words(next: Next) -> &'static str {
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
        }
    }

    fn decide(came_back: CameBack, so_far: SoFar) -> &'static str {
        in_words(next(came_back, so_far, &mut StdRng::seed_from_u64(1)))
    }

    #[test]
    fn the_table_row_by_row() {
        let asked = Some(2 * SECOND);
        #[rustfmt::skip]
        let table = [
            (CameBack::NotSent,                          "again",              "again"),
            (CameBack::Certificate,                      "given up, unsent",   "given up, unsent"),
            (CameBack::Throttled { retry_after: None },  "again",              "again"),
            (CameBack::Throttled { retry_after: asked }, "again",              "again"),
            (CameBack::Broken { retry_after: None },     "again",              "in doubt"),
            (CameBack::Broken { retry_after: asked },    "again",              "in doubt"),
            (CameBack::Lost,                             "again",              "in doubt"),
            (CameBack::Unreadable,                       "again",              "in doubt"),
            (CameBack::TooLong,                          "given up, in doubt", "in doubt"),
            (CameBack::Readable,                         "done",               "done"),
            (CameBack::Malformed,                        "malformed",          "malformed"),
            (CameBack::TooLarge,                         "too large",          "too large"),
            (CameBack::Unauthorized,                     "unauthorized",       "unauthorized"),
            (CameBack::Forbidden,                        "unauthorized",       "unauthorized"),
            (CameBack::Refused,                          "refused",            "refused"),
        ];
        for (came_back, harmless, duplicates) in table {
            let decided = (decide(came_back, so_far(Resend::Idempotent)), decide(came_back, so_far(Resend::Appends)));
            assert_eq!(decided, (harmless, duplicates), "{came_back:?}");
        }
    }

    #[test]
    fn waits_double_up_to_a_minute_and_are_spread_from_nothing_to_there() {
        let ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60];
        for (attempts, ceiling) in (1..).zip(ceilings) {
            let waits = (0..500).map(|seed| {
                let so_far = SoFar { attempts, ..so_far(Resend::Idempotent) };
                match next(CameBack::NotSent, so_far, &mut StdRng::seed_from_u64(seed)) {
                    Next::Retry { after } => after.as_secs_f64() / f64::from(ceiling),
                    other => panic!("{other:?}"),
                }
            });
            let (least, most) = waits.fold((1.0_f64, 0.0_f64), |(least, most), wait| (least.min(wait), most.max(wait)));
            assert!(least < 0.05 && (0.95..=1.0).contains(&most), "attempt {attempts}: {least} to {most}");
        }
    }

    #[test]
    fn the_servers_own_delay_is_kept_where_it_is_longer() {
        let asked = CameBack::Throttled { retry_after: Some(90 * SECOND) };
        let decided = next(asked, so_far(Resend::Appends), &mut StdRng::seed_from_u64(1));
        assert_eq!(decided, Next::Retry { after: 90 * SECOND });
        let past_the_end = CameBack::Throttled { retry_after: Some(601 * SECOND) };
        assert_eq!(decide(past_the_end, so_far(Resend::Appends)), "given up, unsent");
        let for_ever = CameBack::Throttled { retry_after: Some(Duration::MAX) };
        assert_eq!(decide(for_ever, SoFar { elapsed: SECOND, ..so_far(Resend::Appends) }), "given up, unsent");
    }

    #[test]
    fn at_the_end_of_its_time_a_request_is_in_doubt_if_any_attempt_may_have_arrived() {
        let late = |resend, arrived| SoFar { attempts: 18, elapsed: 601 * SECOND, arrived, ..so_far(resend) };
        let throttled = CameBack::Throttled { retry_after: None };
        assert_eq!(decide(throttled, late(Resend::Appends, Arrived::No)), "given up, unsent");
        assert_eq!(decide(throttled, late(Resend::Idempotent, Arrived::Maybe)), "given up, in doubt");
        assert_eq!(decide(CameBack::Lost, late(Resend::Idempotent, Arrived::No)), "given up, in doubt");
        assert_eq!(decide(CameBack::NotSent, late(Resend::Idempotent, Arrived::No)), "given up, unsent");
    }

    #[test]
    fn a_host_that_never_answered_is_tried_three_times_within_ten_seconds() {
        let stranger =
            |attempts, seconds| SoFar { attempts, elapsed: seconds * SECOND, host_answered: false, ..so_far(Resend::Idempotent) };
        let decided = [(1, 0), (2, 3), (3, 3), (2, 11)].map(|(attempts, seconds)| decide(CameBack::NotSent, stranger(attempts, seconds)));
        assert_eq!(decided, ["again", "again", "given up, unsent", "given up, unsent"]);
    }
}

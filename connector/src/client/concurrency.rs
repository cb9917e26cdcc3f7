//! How many attempts may be in flight at once, for one account and one API.
//!
//! In: a statement that wants to send. Out: a [`Permit`], held from sending to the complete answer, a timeout or a drop. CleverTap
//! limits requests in flight, not requests per second (<https://developer.clevertap.com/docs/api-request-limit>, read 2026-11-21),
//! per account and not per connection: so the budgets belong to the process.
//!
//! The limit starts low, since others may be using the account too. It grows by one with each clean answer until the first 429; from
//! then on by one after as many clean answers as the limit. A 429 halves it, but only once for all attempts that were in flight
//! together: they reflect the same moment.
//!
//! Among waiting statements, the one with the fewest attempts in flight goes first; ties go in order of arrival.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Calls that CleverTap counts together, and their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Api {
    /// The name in `clevertap.limits`: the path, or the first of its paths.
    pub(crate) name: &'static str,
    /// The documented limit.
    pub(crate) in_flight_max: usize,
}

/// Profiles, events and device tokens: one path, and so presumably one limit. Older pages say 3 for uploads too, hence the low start.
const UPLOAD: Api = Api { name: "/1/upload", in_flight_max: 15 };

/// Calls that share a line of the limits page: path, and the path that names the budget.
const SHARED_LIMITS: &[(&str, &str)] =
    &[("/1/profile.json", "/1/profiles.json"), ("/upload_custom_list_segment_completed", "/get_custom_list_segment_url")];

/// The limit of all other calls.
const DEFAULT_LIMIT: usize = 3;

/// The initial adaptive limit, unless the documented limit is lower.
const INITIAL_LIMIT: usize = 5;

impl Api {
    /// The API of a path.
    pub(crate) fn of(path: &'static str) -> Self {
        let name = SHARED_LIMITS.iter().find(|(alias, _)| *alias == path).map_or(path, |(_, name)| *name);
        if name == UPLOAD.name { UPLOAD } else { Self { name, in_flight_max: DEFAULT_LIMIT } }
    }

    /// Whether it is the upload API, with the higher limit.
    pub(crate) fn is_upload(self) -> bool {
        self == UPLOAD
    }
}

/// Budgets by host, account and API.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    budgets: Mutex<HashMap<(String, String, Api), Arc<Budget>>>,
}

/// The budgets of the process.
static LIMITS: LazyLock<Arc<Limits>> = LazyLock::new(Arc::default);

impl Limits {
    /// The budgets shared by all accounts of the process.
    pub(crate) fn shared() -> Arc<Self> {
        Arc::clone(&LIMITS)
    }

    /// The budget of an account for an API; created on first use.
    pub(crate) fn budget(&self, host: &str, account: &str, api: Api) -> Arc<Budget> {
        let mut budgets = locked(&self.budgets);
        Arc::clone(budgets.entry((host.to_owned(), account.to_owned(), api)).or_insert_with(|| Arc::new(Budget::new(api.in_flight_max))))
    }

    /// The rows of `clevertap.limits` for one account, sorted by API.
    pub(crate) fn snapshot(&self, host: &str, account: &str) -> Vec<LimitNow> {
        let budgets = locked(&self.budgets);
        let own = budgets.iter().filter(|((of_host, of_account, _), _)| of_host == host && of_account == account);
        let mut rows: Vec<_> = own.map(|((_, account, api), budget)| budget.now(account, api.name)).collect();
        rows.sort_by_key(|row| row.api);
        rows
    }
}

/// One row of `clevertap.limits`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitNow {
    pub(crate) account: String,
    pub(crate) api: &'static str,
    /// The current adaptive limit.
    pub(crate) limit_now: usize,
    /// The documented limit.
    pub(crate) limit_max: usize,
    /// Attempts in flight.
    pub(crate) in_flight: usize,
    /// Attempts that wait for a permit.
    pub(crate) waiting: usize,
    /// Attempts so far.
    pub(crate) requests: u64,
    /// Attempts that were answered 429.
    pub(crate) throttled: u64,
}

/// The share of one statement in a budget.
#[derive(Debug)]
pub(crate) struct Share {
    id: u64,
    in_flight_max: usize,
}

impl Share {
    /// At most `in_flight_max` attempts in flight, and at least one.
    pub(crate) fn new(in_flight_max: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), in_flight_max: in_flight_max.max(1) }
    }
}

/// The attempts in flight of one account and API, and the queue for permits.
#[derive(Debug)]
pub(crate) struct Budget {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    limit_max: usize,
    in_flight: usize,
    /// Attempts in flight of each share that has any.
    shares: HashMap<u64, usize>,
    waiting: VecDeque<Waiter>,
    next_waiter: u64,
    /// Clean answers since the limit last changed.
    clean: usize,
    /// How often the limit was halved. An attempt that started before the last halving does not change the limit.
    halvings: u64,
    requests: u64,
    throttled: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    share: u64,
    share_max: usize,
    go: oneshot::Sender<u64>,
}

/// How an attempt ended, for the adaptive limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// An answer other than a 429 or a server error.
    Clean,
    /// A 429.
    Throttled,
    /// Anything else: no information about the limit.
    Other,
}

impl Budget {
    fn new(limit_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                limit: INITIAL_LIMIT.min(limit_max),
                limit_max,
                in_flight: 0,
                shares: HashMap::new(),
                waiting: VecDeque::new(),
                next_waiter: 0,
                clean: 0,
                halvings: 0,
                requests: 0,
                throttled: 0,
            }),
        }
    }

    /// Waits for a permit. Dropping the future passes it, or the place in the queue, to the next.
    pub(crate) async fn acquire(self: &Arc<Self>, share: &Share) -> Permit {
        let (go, granted) = oneshot::channel();
        let mut entry = {
            let mut state = locked(&self.state);
            let id = state.next_waiter;
            state.next_waiter += 1;
            state.waiting.push_back(Waiter { id, share: share.id, share_max: share.in_flight_max, go });
            state.grant();
            QueueEntry { budget: Arc::clone(self), waiter: id, share: share.id, taken: false }
        };
        // The sender stays in the queue until it has sent; only dropping `entry` removes it.
        let halvings = granted.await.unwrap_or_default();
        entry.taken = true;
        Permit { budget: Arc::clone(self), share: share.id, halvings }
    }

    fn now(&self, account: &str, api: &'static str) -> LimitNow {
        let state = locked(&self.state);
        LimitNow {
            account: account.to_owned(),
            api,
            limit_now: state.limit,
            limit_max: state.limit_max,
            in_flight: state.in_flight,
            waiting: state.waiting.len(),
            requests: state.requests,
            throttled: state.throttled,
        }
    }
}

impl State {
    /// Gives free permits to waiters. A waiter is in the queue exactly as long as it has no permit.
    fn grant(&mut self) {
        while self.in_flight < self.limit {
            let in_flight = |waiter: &Waiter| self.shares.get(&waiter.share).copied().unwrap_or(0);
            let eligible = self.waiting.iter().enumerate().filter(|(_, waiter)| in_flight(waiter) < waiter.share_max);
            let Some((at, _)) = eligible.min_by_key(|(at, waiter)| (in_flight(waiter), *at)) else { return };
            let Some(waiter) = self.waiting.remove(at) else { return };
            self.in_flight += 1;
            *self.shares.entry(waiter.share).or_default() += 1;
            // If the receiver is gone, the `QueueEntry` of the waiter is about to return the permit.
            waiter.go.send(self.halvings).ok();
        }
    }

    fn release(&mut self, share: u64) {
        self.in_flight -= 1;
        if let Some(own) = self.shares.get_mut(&share) {
            *own -= 1;
            if *own == 0 {
                self.shares.remove(&share);
            }
        }
        self.grant();
    }

    fn learn(&mut self, ended: Ended, halvings: u64) {
        match ended {
            Ended::Throttled => {
                self.throttled += 1;
                if halvings == self.halvings {
                    self.limit = (self.limit / 2).max(1);
                    self.halvings += 1;
                    self.clean = 0;
                }
            }
            Ended::Clean if halvings == self.halvings && self.limit < self.limit_max => {
                self.clean += 1;
                if self.halvings == 0 || self.clean >= self.limit {
                    self.limit += 1;
                    self.clean = 0;
                }
            }
            Ended::Clean | Ended::Other => {}
        }
    }
}

/// An entry of the queue. On drop it is removed, or returns a permit that was granted too late.
struct QueueEntry {
    budget: Arc<Budget>,
    waiter: u64,
    share: u64,
    taken: bool,
}

impl Drop for QueueEntry {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = locked(&self.budget.state);
        match state.waiting.iter().position(|waiter| waiter.id == self.waiter) {
            Some(at) => drop(state.waiting.remove(at)),
            None => state.release(self.share),
        }
    }
}

/// A permit of a budget for one attempt. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    share: u64,
    halvings: u64,
}

impl Permit {
    /// Counts the attempt, which is about to be sent.
    pub(crate) fn sent(&self) {
        locked(&self.budget.state).requests += 1;
    }

    /// Returns the permit, and adapts the limit to how the attempt ended.
    pub(crate) fn settle(self, ended: Ended) {
        locked(&self.budget.state).learn(ended, self.halvings);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        locked(&self.budget.state).release(self.share);
    }
}

/// Locks despite poisoning: no holder can leave the state half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn limit_after(budget: &Arc<Budget>, share: &Share, ended: Ended) -> usize {
        budget.acquire(share).now_or_never().unwrap().settle(ended);
        locked(&budget.state).limit
    }

    #[test]
    fn the_limit_grows_with_each_clean_answer_until_the_first_429_and_slowly_from_then_on() {
        let (budget, share) = (Arc::new(Budget::new(15)), Share::new(15));
        let grown: Vec<_> = (0..12).map(|_| limit_after(&budget, &share, Ended::Clean)).collect();
        assert_eq!(grown, [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15, 15]);
        let shrunk: Vec<_> = (0..5).map(|_| limit_after(&budget, &share, Ended::Throttled)).collect();
        assert_eq!(shrunk, [7, 3, 1, 1, 1]);
        let regrown: Vec<_> = (0..10).map(|_| limit_after(&budget, &share, Ended::Clean)).collect();
        assert_eq!(regrown, [2, 2, 3, 3, 3, 4, 4, 4, 4, 5]);
        assert_eq!(limit_after(&budget, &share, Ended::Other), 5);
    }

    #[test]
    fn attempts_that_were_in_flight_together_halve_the_limit_once() {
        let (budget, share) = (Arc::new(Budget::new(15)), Share::new(15));
        let together: Vec<_> = (0..5).map(|_| budget.acquire(&share).now_or_never().unwrap()).collect();
        for permit in together {
            permit.settle(Ended::Throttled);
        }
        let now = budget.now("A", "/1/upload");
        assert_eq!((now.limit_now, now.in_flight, now.throttled), (2, 0, 5));
    }

    #[test]
    fn the_statement_with_the_fewest_in_flight_goes_first_and_no_share_passes_its_ceiling() {
        let (budget, greedy, late, narrow) = (Arc::new(Budget::new(3)), Share::new(3), Share::new(3), Share::new(1));
        let mut held: Vec<_> = (0..3).map(|_| budget.acquire(&greedy).now_or_never().unwrap()).collect();
        let mut fourth = Box::pin(budget.acquire(&greedy));
        let mut first_of_late = Box::pin(budget.acquire(&late));
        let mut first_of_narrow = Box::pin(budget.acquire(&narrow));
        let mut second_of_narrow = Box::pin(budget.acquire(&narrow));
        let waits = [&mut fourth, &mut first_of_late, &mut first_of_narrow, &mut second_of_narrow].map(|wait| wait.now_or_never());
        assert_eq!(waits.map(|permit| permit.is_some()), [false; 4]);

        drop(held.pop());
        let late_permit = first_of_late.now_or_never().unwrap();
        drop(held.pop());
        let narrow_permit = first_of_narrow.now_or_never().unwrap();
        drop(late_permit);
        // `narrow` has its only permit; otherwise only `greedy` waits.
        assert!((&mut second_of_narrow).now_or_never().is_none());
        let fourth = fourth.now_or_never().unwrap();
        drop(narrow_permit);
        assert!(second_of_narrow.now_or_never().is_some());
        drop((fourth, held));
        let now = budget.now("A", "x");
        assert_eq!((now.in_flight, now.waiting), (0, 0));
    }

    #[test]
    fn a_waiter_that_is_dropped_leaves_nothing_behind_even_if_its_permit_was_just_granted() {
        let (budget, share) = (Arc::new(Budget::new(1)), Share::new(5));
        let held = budget.acquire(&share).now_or_never().unwrap();
        let mut dropped_while_waiting = Box::pin(budget.acquire(&share));
        let mut dropped_with_a_permit = Box::pin(budget.acquire(&share));
        let mut last = Box::pin(budget.acquire(&share));
        let waits = [&mut dropped_while_waiting, &mut dropped_with_a_permit, &mut last].map(|wait| wait.now_or_never().is_none());
        assert_eq!(waits, [true; 3]);
        drop(dropped_while_waiting);
        drop(held);
        drop(dropped_with_a_permit);
        drop(last.now_or_never().unwrap());
        let now = budget.now("A", "x");
        assert_eq!((now.in_flight, now.waiting, locked(&budget.state).shares.len()), (0, 0, 0));
    }

    #[test]
    fn calls_that_are_counted_together_share_a_budget() {
        let limits = Limits::default();
        let one = limits.budget("host", "A", Api::of("/1/profile.json"));
        assert!(Arc::ptr_eq(&one, &limits.budget("host", "A", Api::of("/1/profiles.json"))));
        assert!(!Arc::ptr_eq(&one, &limits.budget("host", "B", Api::of("/1/profiles.json"))));
        limits.budget("host", "A", Api::of("/1/upload"));
        let rows = limits.snapshot("host", "A");
        let limits_now: Vec<_> = rows.iter().map(|row| (row.api, row.limit_now, row.limit_max)).collect();
        assert_eq!(limits_now, [("/1/profiles.json", 3, 3), ("/1/upload", 5, 15)]);
    }
}

//! The only module that awaits the network.
//!
//! In: a [`Request`], which is plain data, through the [`Lane`] of a statement. Out: an answer, or what is known about a request
//! without one. In between: the switches of the statement ([`Stop`](crate::runs::Stop), [`Gate`]), a permit of the budget of the
//! account (`concurrency`), the network ([`Transport`], implemented by `http`), the meaning of the answer (`classify`), and whether to try
//! again (`retry`, which is pure).
//!
//! ```text
//! Request ─▶ Lane ─▶ gate ─▶ permit ─▶ Transport ─▶ classify ─▶ retry ─▶ Sent
//!              ▲                                                  │
//!              └──────────────────── waits ◀──────────────────────┘
//! ```

mod answer_bytes;
mod answer_keys;
mod append_gate;
mod classify;
mod concurrency;
mod connection;
mod elapsed;
#[cfg(feature = "https")]
mod http;
mod lane;
mod put;
mod regions;
mod request;
mod retry;
mod secret;

#[cfg(test)]
mod tests;
pub mod transport;

pub(crate) use answer_keys::{SAYS_OTHERWISE, is_otherwise, says_error, says_more, says_otherwise};
pub(crate) use append_gate::Gate;
pub(crate) use classify::{Fail, IN_PROGRESS, contradiction_of, failure_of, has_status, is_success};
pub(crate) use concurrency::{Api, LimitNow};
pub(crate) use connection::{Client, ClientSettings};
pub(crate) use lane::{Lane, LaneSettings, Outcome, check_timers};
pub(crate) use put::File;
pub use regions::Region;
pub(crate) use request::Request;
pub(crate) use retry::Arrived;
pub use secret::Secret;
pub(crate) use transport::{Answer, Transport};

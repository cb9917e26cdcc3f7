//! `POST /1/subscribe` and `POST /1/disassociate`: what becomes of an address, whoever holds it (reference 9.3, 10.1).
//!
//! The state of an address is kept beside the people, also of one that nobody holds (unknowns 5.8), and touches no `MSG-`
//! flag: those belong to one profile. The reference has no codes for these records; type is 524, status 512, an e-mail
//! address 515 and a number 516, as in an upload.

use crate::answer::Answer;
use crate::emulator::{Emulator, Inner};
use crate::faults::Plan;
use crate::json::Json;
use crate::lock;
use crate::settings::Store;
use crate::subscriptions::{Channel, Subscription};
use crate::upload::codes::Reason;
use crate::upload::profile::{is_email, phone_number};
use crate::verdict::{self, Echo, Refused};

impl Emulator {
    /// What `POST /1/subscribe` was last asked for an address; the channel is `phone`, `email` or `whatsapp`.
    #[must_use]
    pub fn subscription(&self, channel: &str, address: &str) -> Option<Subscription> {
        let key = (Channel::named(channel)?, address.into());
        lock(&self.inner.subscriptions).0.get(&key).copied()
    }
}

/// Subscribes and unsubscribes addresses, in the order of the records.
pub(crate) fn subscribe(inner: &Inner, body: &[u8], plan: &Plan, number: u64) -> Answer {
    run(inner, body, plan, number, check_subscription, |changes| {
        lock(&inner.report).subscriptions += changes.len() as u64;
        if inner.settings.store == Store::Everything {
            lock(&inner.subscriptions).0.extend(changes);
        }
    })
}

/// Takes phone numbers from everybody who holds them.
pub(crate) fn disassociate(inner: &Inner, body: &[u8], plan: &Plan, number: u64) -> Answer {
    run(inner, body, plan, number, check_disassociation, |phones| {
        lock(&inner.report).disassociations += phones.len() as u64;
        lock(&inner.database).disassociate(&phones.into_iter().collect());
    })
}

fn run<T>(
    inner: &Inner,
    body: &[u8],
    plan: &Plan,
    number: u64,
    check: fn(&Json<'_>) -> Result<T, Reason>,
    carry_out: impl FnOnce(Vec<T>),
) -> Answer {
    let records = match verdict::records(inner, body) {
        Ok(records) => records,
        Err(answer) => return answer,
    };
    let seed = verdict::seed(inner, number);
    let mut accepted = Vec::with_capacity(records.len());
    let mut refused = Vec::new();
    for (record, place) in records.iter().zip(1..) {
        let spoilt = plan.what.as_ref().and_then(|what| what.spoils(place, Reason::AddressType, seed));
        match check(record).and_then(|fine| spoilt.map_or(Ok(fine), Err)) {
            Ok(fine) => accepted.push(fine),
            Err(reason) => refused.push(Refused::new(reason, place, plan, Echo::AsSent(record))),
        }
    }
    let processed = accepted.len();
    accepted.truncate(verdict::kept(plan));
    carry_out(accepted);
    verdict::count(inner, &refused);
    verdict::answer(processed, refused, plan)
}

/// The order: type, status, value.
fn check_subscription(record: &Json<'_>) -> Result<((Channel, Box<str>), Subscription), Reason> {
    let text = |key: &str| record.get(key).and_then(Json::as_text).unwrap_or_default();
    let channel = Channel::named(text("type")).ok_or(Reason::AddressType)?;
    let subscription = match text("status") {
        "Resubscribe" => Subscription::Resubscribed,
        "Unsubscribe" => Subscription::Unsubscribed,
        _ => return Err(Reason::AddressStatus),
    };
    let value = text("value");
    match channel {
        Channel::Email if !is_email(value) => Err(Reason::AddressEmail),
        Channel::Phone | Channel::Whatsapp if phone_number(value).is_none() => Err(Reason::AddressPhone),
        Channel::Email | Channel::Phone | Channel::Whatsapp => Ok(((channel, value.into()), subscription)),
    }
}

/// The number of a record of type phone, the only type here.
fn check_disassociation(record: &Json<'_>) -> Result<u64, Reason> {
    if record.get("type").and_then(Json::as_text) != Some("phone") {
        return Err(Reason::AddressType);
    }
    record.get("value").and_then(Json::as_text).and_then(phone_number).ok_or(Reason::AddressPhone)
}

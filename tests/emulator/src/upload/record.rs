//! One record: which rules apply, in which order (reference 18.3), and what is left to store.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::json::Json;
use crate::settings::{Platform, Settings};
use crate::upload::clean::Cleaner;
use crate::upload::codes::Reason;
use crate::upload::identifier::{IdentifierKind, RecordIdentifier, find};
use crate::upload::profile::Edit;
use crate::upload::{event, profile};

/// The latest `ts` that is read as seconds.
const SECONDS_MAX: u64 = 9_999_999_999;

/// The devices that are known, by objectId.
pub(crate) type Devices = HashMap<Box<str>, Platform>;

/// A record that passed.
#[derive(Debug)]
pub(crate) enum Accepted<'r> {
    /// Appended.
    Event {
        who: RecordIdentifier<'r>,
        ts: i64,
        name: Cow<'r, str>,
        /// evtData as it is kept.
        data: Box<str>,
    },
    /// Upserted, key by key.
    Profile {
        who: RecordIdentifier<'r>,
        /// An identity inside profileData: links or renames.
        identity: Option<String>,
        edits: Vec<Edit>,
    },
    /// Put on a device.
    Token { object_id: &'r str, kind: &'r str, id: &'r str },
}

/// Checks one record.
///
/// # Errors
///
/// The first rule that it breaks.
pub(crate) fn check<'r>(
    record: &'r Json<'_>,
    settings: &Settings,
    devices: &Devices,
    now: i64,
    cleaner: &mut Cleaner,
) -> Result<Accepted<'r>, Reason> {
    let kind = record.get("type").and_then(Json::as_text).unwrap_or_default();
    if kind == "token" {
        return token(record, devices);
    }
    if kind != "event" && kind != "profile" {
        return Err(Reason::Type);
    }
    let who = find(record)?;
    if who.kind == IdentifierKind::ObjectId && !devices.contains_key(&*who.id) {
        return Err(Reason::ObjectId);
    }
    let ts = timestamp(record, now)?;
    if kind == "event" {
        let (name, data) = event::check(record, settings, cleaner)?;
        return Ok(Accepted::Event { who, ts, name, data });
    }
    let Some(Json::Object(data)) = record.get("profileData") else {
        return Err(Reason::NoProfileData);
    };
    let (identity, edits) = profile::check(data, cleaner)?;
    Ok(Accepted::Profile { who, identity, edits })
}

fn timestamp(record: &Json<'_>, now: i64) -> Result<i64, Reason> {
    match record.get("ts") {
        None => Ok(now),
        Some(Json::Number(number)) => match number.as_u64() {
            Some(ts @ 1..=SECONDS_MAX) => i64::try_from(ts).map_err(|_| Reason::Timestamp),
            _ => Err(Reason::Timestamp),
        },
        Some(_) => Err(Reason::Timestamp),
    }
}

/// A record of type token (reference 5.6): its device first, then its data.
fn token<'r>(record: &'r Json<'_>, devices: &Devices) -> Result<Accepted<'r>, Reason> {
    let object_id = record.get("objectId").and_then(Json::as_text).ok_or(Reason::TokenObjectId)?;
    let platform = devices.get(object_id).ok_or(Reason::TokenObjectId)?;
    let data = match record.get("tokenData") {
        Some(data @ Json::Object(_)) => data,
        _ => return Err(Reason::TokenData),
    };
    let text = |key: &str| data.get(key).and_then(Json::as_text).filter(|text| !text.is_empty());
    let id = text("id").ok_or(Reason::TokenId)?;
    let kind = text("type").ok_or(Reason::TokenType)?;
    if !platform.token_types().contains(&kind) {
        return Err(Reason::TokenPlatform);
    }
    if kind == "chrome" {
        let has = |key: &str| {
            let value = data.get("keys").and_then(|keys| keys.get(key));
            value.and_then(Json::as_text).is_some_and(|text| !text.is_empty())
        };
        if !has("p256dh") || !has("auth") {
            return Err(Reason::TokenKeys);
        }
    }
    Ok(Accepted::Token { object_id, kind, id })
}

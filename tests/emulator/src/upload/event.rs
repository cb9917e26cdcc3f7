//! The rules for a record of type event, after those that all records share (reference 4.4, 4.5, 5.3).

use std::borrow::Cow;

use crate::Settings;
use crate::json::{Json, Object};
use crate::upload::clean::Cleaner;
use crate::upload::codes::Reason;

/// Items of one `Charged` event.
const CHARGED_ITEMS_MAX: usize = 256;

/// Names that only CleverTap itself may raise (reference 4.5; `App Installed` may be uploaded).
const RESTRICTED: [&str; 24] = [
    "Notification Sent",
    "Notification Viewed",
    "Notification Clicked",
    "Notification Delivered",
    "Notification Replied",
    "Notification Bounced",
    "UTM Visited",
    "App Launched",
    "App Uninstalled",
    "App Version Changed",
    "Stayed",
    "Reply Sent",
    "Experiment Rendered",
    "Reachable By",
    "Identity Reset",
    "Identity Set",
    "Identity Error",
    "wzrk_d",
    "Session Concluded",
    "State Transitioned",
    "Push Impressions",
    "Geocluster Entered",
    "Geocluster Exited",
    "Channel Unsubscribed",
];

/// Checks name and data; gives the name as it is kept and the data as JSON text.
///
/// # Errors
///
/// In this order: 509, 513, 528, 512, 522.
pub(crate) fn check<'r>(record: &'r Json<'_>, settings: &Settings, cleaner: &mut Cleaner) -> Result<(Cow<'r, str>, Box<str>), Reason> {
    let sent = record.get("evtName").and_then(Json::as_text).unwrap_or_default();
    let name = cleaner.name(sent);
    if name.trim().is_empty() {
        return Err(Reason::EventName);
    }
    if RESTRICTED.contains(&sent) || RESTRICTED.contains(&&*name) {
        return Err(Reason::Restricted);
    }
    if settings.discarded_events.iter().any(|discarded| *discarded == name) {
        return Err(Reason::Discarded);
    }
    let data = match record.get("evtData") {
        None => return Ok((name, "{}".into())),
        Some(Json::Object(data)) => data,
        Some(_) => return Err(Reason::EventData),
    };
    check_shape(&name, data)?;
    let properties = data.iter().filter(|(_, value)| *value != Json::Null).count();
    if properties > settings.event_properties_max {
        return Err(Reason::EventProperties);
    }
    let kept = Json::Object(cleaner.properties(data));
    let text = serde_json::to_string(&kept).map_err(|_| Reason::EventData)?;
    Ok((name, text.into_boxed_str()))
}

/// Nothing nested but the `Items` of `Charged`: a list of flat objects.
fn check_shape(name: &str, data: &Object<'_>) -> Result<(), Reason> {
    for (key, value) in data {
        match value {
            Json::List(items) if name == "Charged" && key == "Items" => {
                let is_flat = |item: &Json<'_>| matches!(item, Json::Object(fields) if fields.iter().all(|(_, value)| value.is_scalar()));
                if !items.iter().all(is_flat) {
                    return Err(Reason::EventData);
                }
                if items.len() > CHARGED_ITEMS_MAX {
                    return Err(Reason::EventProperties);
                }
            }
            Json::List(_) | Json::Object(_) => return Err(Reason::EventData),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
                if name == "Charged" && key == "Items" && *value != Json::Null {
                    return Err(Reason::EventData);
                }
            }
        }
    }
    Ok(())
}

//! Who may come in: host, account id and passcode, each with its own refusal (reference 1.3 and 1.6).
//!
//! The header rules that are not about credentials (content type, encoding) are in `headers.rs`.

use http::HeaderMap;
use http::request::Parts;

use crate::Settings;
use crate::answer::Answer;

/// Refuses a request whose credentials do not open this account.
///
/// # Errors
///
/// The answer that CleverTap gives: 401 with one of four texts, or 403 for a passcode without rights.
pub(crate) fn check(settings: &Settings, head: &Parts) -> Result<(), Answer> {
    let account_id = text(&head.headers, "x-clevertap-account-id").unwrap_or_default();
    if account_id != settings.account_id {
        return Err(Answer::fail(
            401,
            if looks_like_an_account_id(account_id) { "Account ID is not valid" } else { "12 digit account ID mandatory" },
        ));
    }
    if is_elsewhere(settings, head) {
        return Err(Answer::fail(401, "Invalid Credentials"));
    }
    let passcode = text(&head.headers, "x-clevertap-passcode").unwrap_or_default();
    if settings.limited_passcode.as_deref() == Some(passcode) {
        return Err(Answer::fail(403, "Forbidden"));
    }
    if passcode != settings.passcode {
        return Err(Answer::fail(401, "Passcode Invalid"));
    }
    Ok(())
}

/// The value of a header, if it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// `ABC-12D-345Z` or `TEST-12D-345Z`: three groups of letters and digits.
fn looks_like_an_account_id(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let [first, second, third] = groups[..] else {
        return false;
    };
    let plain = |group: &str| group.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (first.len() == 3 || first == "TEST") && second.len() == 3 && third.len() == 4 && plain(first) && plain(second) && plain(third)
}

/// Whether the request names a CleverTap host where the account does not live.
fn is_elsewhere(settings: &Settings, head: &Parts) -> bool {
    let host = head.uri.host().or_else(|| text(&head.headers, "host")).unwrap_or_default().split(':').next().unwrap_or_default();
    let is_clevertap = host == "api.clevertap.com" || host.ends_with(".api.clevertap.com");
    is_clevertap && !settings.region_hosts.is_empty() && !settings.region_hosts.iter().any(|home| home == host)
}

//! Reads the answer to a body: the verdict on each record.
//!
//! In: the bytes of a 2xx answer and the number of records sent. Out: a [`Verdict`] for each, or why the answer cannot be trusted. A
//! record is found by its 1-based number in the text, which is safer than the echoed record (CleverTap alters it). Shapes:
//! <https://developer.clevertap.com/docs/upload-user-profiles-api>, read 2026-11-21.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::client::{SAYS_OTHERWISE, says_error, says_otherwise};
use crate::foreign_text::ForeignText;
use crate::table::BodyForm;

/// CleverTap's verdict on one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused {
        /// The code of the record, as a number.
        code: i64,
        /// CleverTap's text, without the record number.
        reason: ForeignText,
    },
}

/// The code of a record that may be accepted when it is sent again.
pub(crate) const INTERNAL_ERROR: i64 = 555;

#[derive(Deserialize)]
struct Upload<'a> {
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    status: Option<String>,
    processed: Option<u64>,
    #[serde(default)]
    unprocessed: Vec<Unprocessed>,
}

#[derive(Deserialize)]
struct Unprocessed {
    code: Option<serde_json::Number>,
    error: Option<String>,
    /// The record again, as it was sent.
    record: Option<Box<RawValue>>,
}

/// The key by which most records say whose they are.
#[derive(Deserialize)]
struct Whose {
    identity: Option<serde_json::Value>,
}

/// Whether a record that is told again is another than the one of its number.
fn is_another(told: &RawValue, sent: &[u8]) -> bool {
    let Ok(sent) = serde_json::from_slice::<Whose>(sent) else { return false };
    let Ok(told) = serde_json::from_str::<Whose>(told.get()) else { return false };
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    told.identity.zip(sent.identity).is_some_and(|(told, sent)| text(&told) != text(&sent))
}

/// A verdict for each of the `sent` records, in order, each of which `record` gives. For a body of keys, `success` alone applies to all of them.
///
/// # Errors
/// The end of a sentence: why the answer cannot be trusted.
pub(crate) fn verdicts<'s>(
    form: BodyForm,
    answer: &[u8],
    sent: usize,
    record: impl Fn(usize) -> Cow<'s, [u8]>,
) -> Result<Vec<Verdict>, String> {
    if answer.is_empty() {
        return Err("was answered with an empty body".into());
    }
    let upload: Upload<'_> =
        serde_json::from_slice(answer).map_err(|_| "was answered with something that is not the JSON of an upload".to_owned())?;
    if !matches!(upload.status.as_deref(), Some("success" | "partial" | "fail")) {
        return Err("was answered without a status".into());
    }
    // Of a failure nothing is stored, so that a count beside it contradicts it; and an error of all contradicts that some was.
    let is_failure = upload.status.as_deref() == Some("fail");
    if !is_failure && says_error(upload.error.map(RawValue::get), upload.code.map(RawValue::get)) {
        let status = upload.status.unwrap_or_default();
        let words = upload.error.map_or_else(String::new, |error| format!(" {:?}", ForeignText::of_json(error.get()).to_string()));
        let code = upload.code.map_or_else(String::new, |code| format!(" (code {})", ForeignText::of_json(code.get())));
        return Err(format!("was answered \"{status}\" beside the error{words}{code}: that contradicts itself"));
    }
    if says_otherwise(answer) {
        return Err(format!("was answered {SAYS_OTHERWISE}"));
    }
    if form == BodyForm::Keys && upload.processed.is_none() && upload.unprocessed.is_empty() && upload.status.as_deref() == Some("success")
    {
        return Ok(vec![Verdict::Accepted; sent]);
    }
    let processed = upload.processed.ok_or("was answered without a count of processed records")?;
    let refused = upload.unprocessed.len() as u64;
    if is_failure && processed > 0 {
        return Err(format!("was answered \"fail\" with {processed} processed records: that contradicts itself"));
    }
    if processed.checked_add(refused) != Some(sent as u64) {
        return Err(format!("was answered with {processed} processed and {refused} unprocessed of {sent} records: they do not add up"));
    }
    let mut verdicts = vec![Verdict::Accepted; sent];
    for unprocessed in upload.unprocessed {
        let text = unprocessed.error.unwrap_or_default();
        let (reason, number) = split_number(&text, sent)?;
        if unprocessed.record.is_some_and(|told| is_another(&told, &record(number - 1))) {
            return Err(format!("was answered with record number {number} beside another record than that one: that contradicts itself"));
        }
        let verdict = &mut verdicts[number - 1];
        if *verdict != Verdict::Accepted {
            return Err(format!("was answered with record number {number} twice"));
        }
        let code = unprocessed.code.as_ref().and_then(serde_json::Number::as_i64).unwrap_or(0);
        *verdict = Verdict::Refused { code, reason };
    }
    Ok(verdicts)
}

/// Splits `… is not valid.Skipped record number : 2` into `… is not valid.` and 2.
fn split_number(text: &str, sent: usize) -> Result<(ForeignText, usize), String> {
    const MARKER: &str = "Skipped record number";
    let Some((reason, rest)) = text.rsplit_once(MARKER) else {
        // One record was sent and one refused: the number is 1.
        return if sent == 1 {
            Ok((ForeignText::new(text.trim()), 1))
        } else {
            Err("was answered with an unprocessed record without a record number".into())
        };
    };
    let number = rest.trim_start_matches([' ', ':']).trim();
    match number.parse::<usize>() {
        Ok(number) if (1..=sent).contains(&number) => Ok((ForeignText::new(reason.trim()), number)),
        _ => Err(format!("was answered with a record number outside of 1 to {sent}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_told_again_is_the_one_of_its_number() {
        let answer = |whose: &str| {
            format!(
                r#"{{"status":"partial","processed":1,"unprocessed":[{{"code":515,"error":"x.Skipped record number : 2","record":{{{whose}}}}}]}}"#
            )
        };
        let record = |at: usize| Cow::Owned(format!(r#"{{"type":"profile","identity":"u{}","profileData":{{}}}}"#, at + 1).into_bytes());
        for (whose, is_read) in [(r#""identity":"u2""#, true), (r#""identity":"u1""#, false), ("", true)] {
            assert_eq!(verdicts(BodyForm::Records, answer(whose).as_bytes(), 2, record).is_ok(), is_read, "{whose}");
        }
    }

    #[test]
    fn a_record_number_finds_the_refused_record_even_in_a_success() {
        for status in ["success", "partial"] {
            let answer = format!(
                r#"{{"status":"{status}","processed":2,"unprocessed":[{{"status":"fail","code":515,"error":"Profile data is incorrect. Email is not valid.Skipped record number : 2","record":{{}}}}]}}"#
            );
            let verdicts = verdicts(BodyForm::Records, answer.as_bytes(), 3, |_| Cow::default()).expect("readable");
            let refused = Verdict::Refused { code: 515, reason: ForeignText::new("Profile data is incorrect. Email is not valid.") };
            assert_eq!(verdicts, [Verdict::Accepted, refused, Verdict::Accepted]);
        }
    }

    #[test]
    fn an_answer_that_does_not_add_up_is_not_trusted() {
        let cases = [
            ("", "empty body"),
            ("<html>", "not the JSON of an upload"),
            (r#"{"processed":3}"#, "without a status"),
            (r#"{"status":"success"}"#, "without a count"),
            (r#"{"status":"success","processed":2,"unprocessed":[]}"#, "2 processed and 0 unprocessed of 3"),
            (r#"{"status":"partial","processed":2,"unprocessed":[{"code":1,"error":"x"}]}"#, "without a record number"),
            (r#"{"status":"partial","processed":2,"unprocessed":[{"code":1,"error":"Skipped record number : 4"}]}"#, "outside of 1 to 3"),
            (r#"{"status":"fail","processed":3,"unprocessed":[]}"#, "fail\" with 3 processed"),
            (
                r#"{"status":"success","processed":3,"unprocessed":[],"error":"nope"}"#,
                "success\" beside the error \"nope\": that contradicts itself",
            ),
            (
                r#"{"status":"partial","processed":3,"unprocessed":[],"code":400}"#,
                "partial\" beside the error (code 400): that contradicts itself",
            ),
            (r#"{"status":"success","processed":3,"processed":3,"unprocessed":[]}"#, "not the JSON of an upload"),
            (
                r#"{"status":"partial","processed":1,"unprocessed":[{"code":1,"error":"Skipped record number : 2"},{"code":1,"error":"Skipped record number : 2"}]}"#,
                "number 2 twice",
            ),
        ];
        for (answer, expected) in cases {
            let why = verdicts(BodyForm::Records, answer.as_bytes(), 3, |_| Cow::default()).expect_err(answer);
            assert!(why.contains(expected), "{answer}: {why}");
        }
    }

    #[test]
    fn success_alone_accepts_keys_and_nothing_else() {
        assert_eq!(verdicts(BodyForm::Keys, br#"{"status":"success"}"#, 2, |_| Cow::default()), Ok(vec![Verdict::Accepted; 2]));
        for answer in [
            r#"{"status":"partial"}"#,
            r#"{"status":"success","processed":1}"#,
            r#"{"status":"success","unprocessed":[{}]}"#,
            r#"{"status":"success","code":400}"#,
            "{}",
            "",
        ] {
            assert!(verdicts(BodyForm::Keys, answer.as_bytes(), 2, |_| Cow::default()).is_err(), "{answer}");
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        proptest::proptest!(|(bytes: Vec<u8>, sent in 0usize..5)| { let _read = verdicts(BodyForm::Records, &bytes, sent, |_| Cow::default()); });
    }
}

//! What BigQuery, or the way to it, says is wrong, in our words.
//!
//! In: an answer that is an error, or none. Out: one of our errors. Of Google's words those are kept that hold names alone, which are what it says
//! of rights and of what is not there; a message about a query or a file may hold a cell. A job can be looked at by its name.

use super::wire::{Complaint, Failed};
use crate::error::{Doing, Error, shown};

/// Why a call has no answer that can be used.
#[derive(Debug)]
pub(super) enum Failure {
    /// BigQuery answered, and the answer is no.
    Refused(Refusal),
    /// It may have been done or not: no answer came, or one of a server that failed.
    Lost(String),
    /// Nothing was asked.
    Unasked(Error),
}

/// A refusal.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// Of HTTP. That of a job which failed is 200.
    pub(super) status: u16,
    pub(super) complaint: Complaint,
}

/// How BigQuery says that a statement met another one.
const CONCURRENT: &str = "concurrent update";

impl Refusal {
    /// What a body says.
    pub(super) fn of(status: u16, body: &[u8]) -> Self {
        let complaint = match serde_json::from_slice::<Failed>(body) {
            Ok(Failed { error }) => {
                let told = error.errors.into_iter().next().unwrap_or_default();
                let reason = if told.reason.is_empty() { error.status } else { told.reason };
                Complaint { reason, message: if told.message.is_empty() { error.message } else { told.message } }
            }
            Err(_) => Complaint::default(),
        };
        Self { status, complaint }
    }

    /// What a job that ended badly says.
    pub(super) fn of_job(complaint: &Complaint) -> Self {
        Self { status: 200, complaint: complaint.clone() }
    }

    /// Whether BigQuery did nothing, and the same may go through a little later.
    pub(super) fn is_too_fast(&self) -> bool {
        self.status == 429 || matches!(self.complaint.reason.as_str(), "rateLimitExceeded" | "jobRateLimitExceeded")
    }

    /// Whether a job that failed, and so changed nothing, may go through if another like it is begun.
    pub(super) fn is_transient(&self) -> bool {
        let by_reason = matches!(
            self.complaint.reason.as_str(),
            "backendError" | "internalError" | "jobBackendError" | "jobInternalError" | "tableUnavailable"
        );
        by_reason || self.is_too_fast() || self.complaint.message.contains(CONCURRENT)
    }

    pub(super) fn is_not_found(&self) -> bool {
        self.status == 404 || self.complaint.reason == "notFound"
    }
}

/// An error of ours. `place` is what was asked for; of a job, its name lets the author look at it.
pub(super) fn of_refusal(refusal: &Refusal, place: &str, doing: Doing, job: Option<&str>) -> Error {
    let effect = doing.effect();
    let Complaint { reason, message } = &refusal.complaint;
    let code = if reason.is_empty() { refusal.status.to_string() } else { shown(reason) };
    let message = shown(message);
    let more = job.map_or_else(String::new, |job| format!("; bq show -j {} says more", shown(job)));
    let refused = |what: &str| Error::Refused(format!("{place}: {what} ({code}){effect}"));
    match (reason.as_str(), refusal.status) {
        ("authError" | "required" | "UNAUTHENTICATED", _) | (_, 401) => Error::Unauthorized(format!(
            "{place}: BigQuery refused the token ({code}). The key may have been deleted or disabled; make another for the service account, and set \
             password_file{effect}"
        )),
        ("accessDenied", _) => refused(&format!(
            "the account may not do this: {message}. A read needs roles/bigquery.dataViewer and roles/bigquery.jobUser, a write \
             roles/bigquery.dataEditor and roles/bigquery.jobUser"
        )),
        ("accessNotConfigured" | "SERVICE_DISABLED", _) => {
            refused("the BigQuery API is not enabled in the project; gcloud services enable bigquery.googleapis.com does it")
        }
        ("billingNotEnabled" | "billingTierLimitExceeded", _) => {
            refused("billing is not enabled for the project, or its limit was reached")
        }
        ("quotaExceeded", _) => refused("a quota of the project is used up; it is refilled with time, or raised on request"),
        ("rateLimitExceeded" | "jobRateLimitExceeded", _) | (_, 429) => {
            Error::Unavailable(format!("{place}: BigQuery was asked too often, and again after each pause ({code}){effect}"))
        }
        ("responseTooLarge", _) => refused("the answer is larger than BigQuery hands out; select fewer columns or rows"),
        ("resourcesExceeded", _) => refused("the query needs more memory or time than BigQuery gives it"),
        ("duplicate", _) => refused(&format!("it is there already: {message}")),
        ("stopped", _) => refused("somebody cancelled the job"),
        ("invalidQuery", _) if message.contains(CONCURRENT) => {
            refused("another statement was in the way, several times; run the statement again")
        }
        ("invalidQuery" | "invalid", _) => refused(&format!(
            "BigQuery refused the job, or met a value that it does not take. The table may have been changed meanwhile; run the statement again{more}"
        )),
        _ if refusal.is_not_found() => {
            refused(&format!("it is not there: {message}. Look at project, dataset, table, and location of the URL"))
        }
        (_, 403) => refused(&format!("the account may not do this: {message}")),
        (_, 500..) => Error::Unavailable(format!("{place}: BigQuery failed, and again after each pause ({code}){effect}")),
        _ if refusal.is_transient() => {
            Error::Unavailable(format!("{place}: BigQuery failed, and again after each pause ({code}){effect}{more}"))
        }
        _ => refused(&format!("BigQuery refused the job{more}")),
    }
}

/// An error of ours for whatever a call failed with.
pub(super) fn of_failure(failure: Failure, place: &str, doing: Doing) -> Error {
    match failure {
        Failure::Refused(refusal) => of_refusal(&refusal, place, doing, None),
        Failure::Lost(why) => Error::Unavailable(format!("{place}: BigQuery {why}, and again after each pause{}", doing.effect())),
        Failure::Unasked(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, reason: &str, message: &str) -> String {
        let body = format!(
            "{{\"error\":{{\"code\":{status},\"message\":\"m\",\"errors\":[{{\"reason\":\"{reason}\",\"message\":\"{message}\"}}]}}}}"
        );
        of_refusal(&Refusal::of(status, body.as_bytes()), "wh.crm.users", Doing::Writing, Some("acme:EU.clevertap_1")).to_string()
    }

    #[test]
    fn a_refusal_says_who_must_act_and_repeats_no_value() {
        assert!(said(401, "authError", "Invalid Credentials").ends_with("[DB-301]"));
        let denied = said(403, "accessDenied", "Access Denied: Table acme:crm.users");
        assert!(denied.contains("Access Denied: Table acme:crm.users. A read needs roles/bigquery.dataViewer"), "{denied}");
        let query = said(400, "invalidQuery", "Bad value: hunter2");
        assert!(
            !query.contains("hunter2") && query.contains("bq show -j acme:EU.clevertap_1") && query.contains("Nothing was changed"),
            "{query}"
        );
        let missing = said(404, "notFound", "Not found: Dataset acme:crm was not found in location US");
        assert!(missing.contains("in location US. Look at project, dataset, table, and location of the URL (notFound)"), "{missing}");
        assert!(said(503, "backendError", "").ends_with("[DB-302]"));
        assert!(said(429, "", "").contains("asked too often"));
        assert!(Refusal::of(502, b"<html>").complaint.reason.is_empty());
    }
}

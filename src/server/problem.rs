//! Error responses as JSON, and how any response is built.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::schedule::{Postponed, Reason};
use crate::status::Configuration;
use crate::wire::report::ConfigurationReport;

pub(super) const JSON: &str = "application/json";

/// An error response as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Problem {
    #[serde(skip)]
    status: StatusCode,
    #[serde(skip)]
    retry_after: Option<Duration>,
    error: String,
    /// The configuration in force, if it is not the requested one.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<ConfigurationReport>,
    /// Set if the caller may not trigger a check.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks_on_demand: Option<OnDemand>,
}

/// The setting of `server.checksOnDemand` that rejects a caller.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum OnDemand {
    Key,
    Disabled,
}

impl Problem {
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, retry_after: None, error: error.into(), configuration: None, checks_on_demand: None }
    }

    /// Returns 429 with a Retry-After.
    pub(super) fn later(error: impl Into<String>, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(StatusCode::TOO_MANY_REQUESTS, error) }
    }

    /// Explains why the caller may not trigger a check.
    pub(super) fn not_on_demand(status: StatusCode, setting: OnDemand, error: &str) -> Self {
        Self { checks_on_demand: Some(setting), ..Self::new(status, error) }
    }

    /// Explains why no check starts soon, and when the next one does.
    pub(super) fn postponed(postponed: Postponed) -> Self {
        let Postponed { reason, begins_in, retry_after } = postponed;
        let left = whole_seconds(begins_in);
        let error = match reason {
            Reason::Throttled => {
                format!(
                    "the registry throttles requests: no check starts until its Retry-After elapses in {left} s"
                )
            }
            Reason::BudgetSpent => format!(
                "the on-demand check budget of this node is spent: the next check starts in {left} s; retry in {} s to \
                 receive its report, or use GET /report for the last one",
                whole_seconds(retry_after)
            ),
        };
        Self::later(error, retry_after)
    }

    pub(super) fn other_configuration(configuration: &Configuration) -> Self {
        let digest = configuration.digest.as_deref().unwrap_or_default();
        let report = ConfigurationReport::of(digest, configuration.rejected.as_ref());
        let error = match &report.rejected {
            Some(reason) => {
                format!("configuration {digest} is in force; a newer one was rejected: {reason}")
            }
            None => format!("a different configuration is in force: {digest}"),
        };
        Self { configuration: Some(report), ..Self::new(StatusCode::CONFLICT, error) }
    }
}

/// Rounds up, so a caller that retries then is not too early.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut text = serde_json::to_vec(&self).expect("a struct of strings serializes to JSON");
        text.push(b'\n');
        let mut response = answer(self.status, JSON, text);
        if self.status == StatusCode::UNAUTHORIZED {
            // Required by RFC 9110. Browsers do not know the scheme and show the body.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Acr-Verifier-Key"));
        }
        if let Some(wait) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        response
    }
}

pub(super) fn answer(status: StatusCode, kind: &'static str, body: impl Into<axum::body::Body>) -> Response {
    (status, [(CONTENT_TYPE, kind)], body.into()).into_response()
}

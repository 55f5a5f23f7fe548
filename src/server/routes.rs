//! The HTTP paths and their handlers.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, Request, State};
use axum::http::header::{ACCEPT, AGE, HeaderMap, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;
use tokio::time::timeout;
use url::form_urlencoded;

use super::admission::Admission;
use super::fair_share::FairShare;
use super::middleware::{common_headers, own_pages_only};
use super::problem::{JSON, Problem, answer, whole_seconds};
use super::waiting::Waiting;
use super::{CheckAnswer, CheckRequest, Shared, Slot};
use crate::image::is_sha256_digest;
use crate::metrics::CONTENT_TYPE as METRICS;
use crate::page::{self, Reload};
use crate::report::json;
use crate::run::CheckRun;
use crate::text::words::seconds;
use crate::wire::Moment;
use crate::wire::report::{PathReport, Report};

/// Listed in 404 and 405 responses.
const PATHS: &str = "GET /, GET /metrics, GET /report, GET /livez, GET /readyz, POST /check";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Retry-After if too many callers wait already: about the duration of the check they wait for.
const BUSY_RETRY: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone)]
struct Context {
    shared: Arc<Shared>,
    waiting: Waiting,
    fair_share: FairShare,
    admission: Admission,
}

pub(super) fn router(shared: Arc<Shared>, waiting: Waiting) -> Router {
    let patience = shared.limits.body;
    Router::new()
        .route("/", get(status_page))
        .route("/metrics", get(metrics))
        .route("/report", get(report))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/check", post(check).layer(from_fn(own_pages_only)))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(patience, common_headers))
        .with_state(Context {
            shared,
            waiting,
            fair_share: FairShare::default(),
            admission: Admission::default(),
        })
}

async fn status_page(State(context): State<Context>, RawQuery(query): RawQuery) -> Response {
    let reload = match query.as_deref() {
        Some("reload=on") => Reload::On,
        Some(_) | None => Reload::Off,
    };
    let text = context.fair_share.take(|| {
        let now = (context.shared.now)();
        let mut text = Vec::new();
        // Cloned, so the main loop never waits for a page.
        let status = context.shared.status.borrow().clone();
        page::write(&mut text, &status, now, reload).expect("writing to memory cannot fail");
        text
    });
    let text = text.await;
    answer(StatusCode::OK, HTML, text)
}

async fn metrics(State(context): State<Context>) -> Response {
    answer(StatusCode::OK, METRICS, context.fair_share.take(|| (context.shared.metrics)()).await)
}

async fn report(State(context): State<Context>) -> Response {
    let latest = context.shared.status.borrow().latest.clone();
    match latest {
        Some(run) => {
            let age = context.shared.completed.borrow().elapsed();
            let mut response = context.fair_share.take(|| report_of(&run, &context.shared)).await;
            response.headers_mut().insert(AGE, whole_seconds(age).into());
            response
        }
        None => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the first check has not completed yet")
            .into_response(),
    }
}

async fn livez(State(context): State<Context>) -> Response {
    let heartbeat = &context.shared.heartbeat;
    let age = heartbeat.borrow().elapsed();
    if heartbeat.has_changed().is_err() {
        return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, "main loop ended\n");
    }
    if age > context.shared.limits.heartbeat {
        let text = format!("main loop stalled for {}\n", seconds(age));
        return answer(StatusCode::SERVICE_UNAVAILABLE, TEXT, text);
    }
    answer(StatusCode::OK, TEXT, "ok\n")
}

/// Reports only that the agent serves requests; without a usable configuration it would not. Independent of the registry,
/// whose outage must not block a rollout, and of the first check, which a large fleet spreads over minutes.
async fn readyz() -> Response {
    answer(StatusCode::OK, TEXT, "ok\n")
}

async fn check(
    State(context): State<Context>,
    Extension(slot): Extension<Arc<Slot>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let access = context.shared.access.borrow().clone();
    if let Err(problem) = context.admission.admit(&access, slot.peer(), &headers) {
        return problem.into_response();
    }
    let configuration = match wanted_configuration(query.as_deref()) {
        Ok(configuration) => configuration,
        Err(problem) => return problem.into_response(),
    };
    let Some(_waiter) = context.waiting.enter(slot.peer()) else {
        return Problem::later("too many callers are already waiting for a check", BUSY_RETRY)
            .into_response();
    };
    slot.set_waits(true);
    let answered = ask(&context.shared, configuration).await;
    slot.set_waits(false);
    let for_people = accepts_html(&headers);
    match answered {
        // The page shows the newest check, and when the next one is due.
        Ok(CheckAnswer::Report(_) | CheckAnswer::Postponed(_)) if for_people => to_the_page(),
        Ok(CheckAnswer::Report(run)) => context.fair_share.take(|| report_of(&run, &context.shared)).await,
        Ok(CheckAnswer::Postponed(postponed)) => Problem::postponed(postponed).into_response(),
        Ok(CheckAnswer::OtherConfiguration(configuration)) => {
            Problem::other_configuration(&configuration).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// Parses `?configuration=sha256:…`: the caller wants a check with this configuration, or none.
fn wanted_configuration(query: Option<&str>) -> Result<Option<String>, Problem> {
    let Some(query) = query else { return Ok(None) };
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let Some((_, digest)) = pairs.find(|(name, _)| name == "configuration") else { return Ok(None) };
    if is_sha256_digest(&digest) {
        return Ok(Some(digest.into_owned()));
    }
    Err(Problem::new(
        StatusCode::BAD_REQUEST,
        "invalid value for configuration: expected sha256: and 64 hexadecimal digits in lower case",
    ))
}

async fn ask(shared: &Shared, configuration: Option<String>) -> Result<CheckAnswer, Problem> {
    let (reply, answer) = oneshot::channel();
    shared.checks.try_send(CheckRequest { configuration, reply }).map_err(|error| match error {
        TrySendError::Full(_) => Problem::later("too many check requests are queued", BUSY_RETRY),
        TrySendError::Closed(_) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the agent is shutting down")
        }
    })?;
    match timeout(shared.limits.check, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the check was aborted")),
        Err(_) => Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "the check timed out")),
    }
}

async fn no_such_path() -> Response {
    Problem::new(StatusCode::NOT_FOUND, format!("path not found; available: {PATHS}")).into_response()
}

/// axum adds the `Allow` header.
async fn no_such_method(request: Request) -> Response {
    let error = format!("method not allowed for {}; available: {PATHS}", request.uri().path());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, error).into_response()
}

/// Whether the client is a browser rather than a program.
fn accepts_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("text/html"))
}

/// Redirects to the status page. Relative, so it also works behind a proxy that serves the agent under a subpath.
fn to_the_page() -> Response {
    let mut response = answer(StatusCode::SEE_OTHER, TEXT, "see the status page\n");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("./"));
    response
}

fn report_of(run: &Arc<CheckRun>, shared: &Shared) -> Response {
    let (rejected, since, paths) = {
        let status = shared.status.borrow();
        let is_latest = status.latest.as_ref().is_some_and(|latest| Arc::ptr_eq(latest, run));
        let (since, paths) =
            if is_latest { (status.since.clone(), status.paths.clone()) } else { Default::default() };
        (status.configuration.rejected.clone(), since, paths)
    };
    let mut report = Report::of(run, rejected.as_ref());
    for (image, since) in report.images.iter_mut().zip(since) {
        image.since = Some(Moment(since));
    }
    // After a change of the configuration, path checks may be of other images than the run.
    for (image, checked) in report.images.iter_mut().zip(&run.images) {
        let path = paths.iter().find(|path| path.image == checked.image && path.name == checked.name);
        image.path = path.map(PathReport::from);
    }
    let mut text = Vec::new();
    json::write_report(&mut text, &report)
        .expect("writing to memory cannot fail, and a report is valid JSON");
    answer(StatusCode::OK, JSON, text)
}

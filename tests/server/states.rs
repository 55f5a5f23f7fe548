//! The states of an agent that its page can show.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use acr_verifier::cause::Cause;
use acr_verifier::observation::{Endpoint, Stage};
use acr_verifier::run::{ImageResult, NetworkView, Rejected};
use acr_verifier::status::{AgentState, Configuration, Past};
use acr_verifier::verdict::Verdict;
use jiff::Timestamp;

use crate::report::{expected, samples};

/// Twelve seconds after the runs of the samples.
pub(crate) const NOW: &str = "2026-11-23T02:06:12Z";

/// Text that a hostile registry may send to inject markup.
pub(crate) const POISON: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\u{202e}\u{1b}[31m&amp;--><style>*{display:none}</style>";

/// All states by name.
pub(crate) fn all() -> Vec<(&'static str, AgentState)> {
    vec![
        ("pass", healthy()),
        ("before-the-first-check", before()),
        ("warn", with(vec![samples::certificate_expiring()])),
        ("fail-login", with(vec![samples::zone_not_linked()])),
        ("fail-data", with(vec![samples::data_record_missing()])),
        ("fail-blob", with(vec![data_endpoint_disabled()])),
        ("pass-expected", with(vec![expected::as_expected()])),
        ("fail-expected", with(vec![expected::swapped()])),
        ("fail-mixed", with(vec![samples::public_ipv6()])),
        ("unknown", with(vec![samples::throttled()])),
        ("configuration-rejected", rejected()),
        ("several", several()),
        ("hostile", hostile()),
        ("without-blob", with(vec![samples::without_blob()])),
        ("late", late()),
        ("without-button", AgentState { has_open_checks: false, ..healthy() }),
    ]
}

pub(crate) fn healthy() -> AgentState {
    with(vec![samples::healthy()])
}

pub(crate) fn before() -> AgentState {
    AgentState {
        node: "aks-np1-12345678-vmss000000".to_owned(),
        network_view: NetworkView::Node,
        started_at: moment("2026-11-23T02:06:09Z"),
        latest: None,
        due_at: None,
        verdict_since: None,
        since: Vec::new(),
        history: VecDeque::new(),
        interval: Duration::from_secs(60),
        configuration: Configuration {
            read_at: moment("2026-11-23T02:06:09Z"),
            digest: Some(format!("sha256:{}", "3f".repeat(32))),
            rejected: None,
        },
        has_open_checks: true,
    }
}

/// An hour with two earlier problems, then the run.
pub(crate) fn with(images: Vec<ImageResult>) -> AgentState {
    let run = samples::run(images);
    let mut status = before();
    status.started_at = moment("2026-11-21T14:00:00Z");
    let verdict = run.verdict();
    let cause = run.images[0].diagnoses.first().map(|diagnosis| diagnosis.cause.code());
    for minute in (0..60).rev() {
        let at = run.started_at - Duration::from_secs(minute * 60);
        let (verdict, cause) = match minute {
            0..=5 => (verdict, cause),
            30..=32 => (Verdict::Fail, Some("connect_timeout")),
            47 => (Verdict::Unknown, Some("throttled")),
            _ => (Verdict::Pass, None),
        };
        status.history.push_back(Past { at, verdict, cause });
    }
    let minutes = if verdict == Verdict::Pass { 29 } else { 5 };
    status.verdict_since = Some(run.started_at - Duration::from_secs(minutes * 60));
    status.latest = Some(Arc::new(run));
    status
}

/// The registry redirects the blob to Azure's public storage, as in the lab.
fn data_endpoint_disabled() -> ImageResult {
    let mut checked = samples::healthy();
    let observation = &mut checked.observation;
    observation.marks.retain(|mark| mark.endpoint == Endpoint::Login || mark.stage == Stage::Blob);
    observation.resolutions.retain(|resolution| resolution.endpoint == Endpoint::Login);
    observation.attempts.retain(|attempt| attempt.endpoint == Endpoint::Login);
    observation.tls.retain(|session| session.endpoint == Endpoint::Login);
    observation.blob = None;
    let message = "contoso.azurecr.io serves layers from weureplstore28.blob.core.windows.net, Azure's public storage, \
                   instead of a data endpoint.";
    checked.diagnoses =
        vec![samples::diagnosis(Cause::DataEndpointDisabled, Stage::Blob, Endpoint::Data, None, message)];
    checked
}

fn rejected() -> AgentState {
    let mut status = healthy();
    let reason = "unknown key images[0].credentials.pth: expected one of path, expiresAt\n\
         invalid value \"6O s\" for schedule.interval: expected a duration such as 60s";
    status.configuration.rejected = Some(Rejected { reason: reason.to_owned(), digest: None });
    status.configuration.read_at = moment("2026-11-23T01:55:40Z");
    status
}

fn several() -> AgentState {
    let mut named = samples::healthy();
    named.name = Some("canary".to_owned());
    let mut rejected = samples::credentials_rejected();
    rejected.image = "fabrikam.azurecr.io/platform/ingress-controller:v1.14.2".parse().expect("a reference");
    with(vec![named, samples::connect_warning(), rejected])
}

/// Every text that a foreign party can choose.
fn hostile() -> AgentState {
    let mut checked = samples::hostile();
    checked.name = Some(POISON.to_owned());
    let certificate = checked.observation.tls[0].certificate.as_mut().expect("it has one");
    POISON.clone_into(&mut certificate.issuer);
    checked.observation.manifest.as_mut().expect("it has one").platform = Some(POISON.to_owned());
    POISON.clone_into(&mut checked.observation.blob.as_mut().expect("it has one").host);
    POISON.clone_into(&mut checked.observation.resolutions[2].host);
    let mut more = samples::diagnosis(Cause::AccessDenied, Stage::Manifest, Endpoint::Login, None, POISON);
    more.correlation_id = Some(POISON.to_owned());
    more.commands = vec![POISON.to_owned()];
    checked.diagnoses.push(more);
    let mut status = with(vec![checked]);
    POISON.clone_into(&mut status.node);
    status.configuration.rejected =
        Some(Rejected { reason: POISON.to_owned(), digest: Some(POISON.to_owned()) });
    status
}

/// The loop was stuck for half an hour.
fn late() -> AgentState {
    let mut status = with(vec![samples::certificate_expiring()]);
    let mut run = Arc::unwrap_or_clone(status.latest.take().expect("a run"));
    run.started_at -= Duration::from_secs(31 * 60);
    status.due_at = Some(run.started_at + status.interval);
    status.latest = Some(Arc::new(run));
    status.verdict_since = Some(moment("2026-11-22T22:04:00Z"));
    status.history.retain(|past| past.at < moment("2026-11-23T01:35:30Z"));
    status
}

fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}

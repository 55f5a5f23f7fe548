//! Validates the arguments of `smoke`.

use std::time::Duration;

use super::super::arguments::SmokeArguments;
use super::{Environment, Judge, paths};
use crate::cluster::KubeAccess;
use crate::config::value::Refusal;
use crate::image::is_sha256_digest;
use crate::report::fleet::Format;
use crate::smoke::Options;

/// Default timeout: a check takes up to 60 s, and a rollout on a few nodes about as long.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest namespace: it is a DNS label (RFC 1123).
const MAX_NAMESPACE: usize = 63;

pub(super) fn resolve(
    judge: &mut Judge,
    typed: &SmokeArguments,
    environment: &Environment,
) -> Option<Options> {
    let namespace = typed.namespace.as_deref().map(|text| judge.take("--namespace", namespace(text)));
    let selector = judge.take("--selector", selector(&typed.selector));
    let kubeconfig = typed.kubeconfig.as_deref().map(|path| judge.take("--kubeconfig", paths::file(path)));
    let timeout = judge.duration("--timeout", typed.timeout.as_deref());
    let formats = [
        ("text", Format::Text),
        ("json", Format::Json),
        ("junit", Format::Junit),
        ("markdown", Format::Markdown),
    ];
    let expected = typed.expect_config.as_deref().map(|text| judge.take("--expect-config", digest(text)));
    let format = judge.choose("--output", &typed.output, &formats);
    let report_file =
        typed.report_file.as_deref().map(|path| judge.take("--report-file", paths::writable(path)));
    let summary_file =
        typed.summary_file.as_deref().map(|path| judge.take("--summary-file", paths::writable(path)));
    let is_elsewhere = typed.kubeconfig.is_some() || typed.context.is_some();
    Some(Options {
        access: KubeAccess {
            kubeconfig: whole(kubeconfig)?,
            context: typed.context.clone(),
            in_cluster: environment.in_cluster && !is_elsewhere,
        },
        namespace: whole(namespace)?,
        selector: selector?,
        timeout: timeout?.unwrap_or(TIMEOUT),
        expected_configuration: whole(expected)?,
        strict: typed.strict,
        format: format?,
        report_file: whole(report_file)?,
        summary_file: whole(summary_file)?,
    })
}

/// Accepts an absent value, but not an invalid one.
fn whole<T>(given: Option<Option<T>>) -> Option<Option<T>> {
    match given {
        Some(value) => value.map(Some),
        None => Some(None),
    }
}

fn namespace(text: &str) -> Result<String, Refusal> {
    let is_label = !text.is_empty()
        && text.len() <= MAX_NAMESPACE
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_label {
        return Ok(text.to_owned());
    }
    let expected = "a namespace of at most 63 lower-case letters, digits and hyphens, such as acr-verifier";
    Err(Refusal::new(text, expected))
}

fn digest(text: &str) -> Result<String, Refusal> {
    if is_sha256_digest(text) {
        return Ok(text.to_owned());
    }
    let expected = "the digest of a configuration file: sha256: and the 64 digits that sha256sum prints";
    Err(Refusal::new(text, expected))
}

/// The API server validates the selector; an empty one would select every DaemonSet.
fn selector(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(text, "labels such as app.kubernetes.io/name=acr-verifier"));
    }
    Ok(text.to_owned())
}

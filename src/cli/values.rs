//! Parsers of values that only the command line has, and the flags that are always rejected.
//!
//! Values that the configuration file has too are parsed by [`crate::config::value`].

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, ValueEnum};

use crate::acr::{LoginServer, LoginServerError};
use crate::config::value::{self, Refusal};
use crate::fleet;
use crate::image::is_sha256_digest;
use crate::smoke::SampleSize;

/// The identities of `--identity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Identity {
    /// The node's managed identity, as the kubelet's credential provider pulls
    Managed,
    /// The Pod's workload identity
    Workload,
}

/// Longest namespace: it is a DNS label (RFC 1123).
const MAX_NAMESPACE: usize = 63;

/// Flags known from other tools that would expose a secret in the process list, so that the error can name the alternative.
const SECRET_FLAGS: [(&str, Option<char>); 6] = [
    ("password", Some('p')),
    ("username", Some('u')),
    ("token", None),
    ("user", None),
    ("passwd", None),
    ("secret", None),
];

/// A timeout.
pub(super) fn limit(text: &str) -> Result<Duration, Refusal> {
    value::duration(text, value::SHORTEST_LIMIT)
}

/// The nodes that a smoke check checks whole.
pub(super) fn sample(text: &str) -> Result<SampleSize, Refusal> {
    match text {
        "all" => Ok(SampleSize::All),
        "auto" => Ok(SampleSize::Auto),
        number => match number.parse::<u32>() {
            Ok(most @ 1..) => usize::try_from(most).map(SampleSize::AtMost).map_err(|_| sample_refusal(text)),
            Ok(0) | Err(_) => Err(sample_refusal(text)),
        },
    }
}

fn sample_refusal(text: &str) -> Refusal {
    Refusal::new(text, "all, auto, or a number of nodes such as 100")
}

/// An address of this machine, for a laboratory.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, Refusal> {
    let address = text.parse::<SocketAddr>().ok().filter(|address| address.ip().is_loopback());
    address.ok_or_else(|| Refusal::new(text, "a loopback address with a port, such as 127.0.0.1:8080"))
}

/// The login server of a registry.
pub(super) fn login_server(text: &str) -> Result<LoginServer, Refusal> {
    const EXPECTED: &str =
        "the login server of a registry, such as contoso.azurecr.io or contoso.westeurope.geo.azurecr.io";
    text.parse().map_err(|error: LoginServerError| Refusal::new(text, EXPECTED).because(error.to_string()))
}

/// The name of a namespace.
pub(super) fn namespace(text: &str) -> Result<String, Refusal> {
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

/// A Pod: its namespace and its name.
pub(super) fn pod(text: &str) -> Result<(String, String), Refusal> {
    let parts = text.split_once('/').filter(|(_, name)| fleet::is_object_name(name));
    let parts = parts.and_then(|(space, name)| Some((namespace(space).ok()?, name.to_owned())));
    parts.ok_or_else(|| {
        Refusal::new(text, "a namespace and the name of a Pod, such as shop/api-7c9f6d5b8-x2x4z")
    })
}

/// The end of the host names of registries, with or without a dot in front.
pub(super) fn suffix(text: &str) -> Result<String, Refusal> {
    value::host(text.strip_prefix('.').unwrap_or(text))
        .map_err(|_| Refusal::new(text, "the end of a host name, such as registry.contoso.com"))
}

/// The digest of a configuration file.
pub(super) fn digest(text: &str) -> Result<String, Refusal> {
    if is_sha256_digest(text) {
        return Ok(text.to_owned());
    }
    let expected = "the digest of a configuration file: sha256: and the 64 digits that sha256sum prints";
    Err(Refusal::new(text, expected))
}

/// A label selector. The API server validates it; an empty one would select every DaemonSet.
pub(super) fn selector(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(text, "labels such as app.kubernetes.io/name=acr-verifier"));
    }
    Ok(text.to_owned())
}

/// Returns the hidden flags that are rejected with or without a value.
pub(super) fn secret_flags() -> impl Iterator<Item = Arg> {
    SECRET_FLAGS.into_iter().map(|(name, short)| {
        let flag = Arg::new(name).long(name).short(short).hide(true);
        flag.num_args(0..=1).default_missing_value("").allow_hyphen_values(true).value_parser(Rejected)
    })
}

/// Whether a tip names one of the rejected flags, such as `--password`: none may be suggested.
pub(super) fn names_secret_flag(tip: &str) -> bool {
    SECRET_FLAGS.iter().any(|(name, _)| tip.contains(&format!("--{name}")))
}

/// Rejects every value of a flag without showing it.
#[derive(Clone)]
struct Rejected;

impl TypedValueParser for Rejected {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        _value: &OsStr,
    ) -> Result<String, clap::Error> {
        let flag = argument.and_then(Arg::get_long).unwrap_or("password");
        let message = format!(
            "--{flag} is not supported: every process on the machine can read the arguments; store the password in a \
             file and use --credentials PATH"
        );
        Err(command.clone().error(ErrorKind::ValueValidation, message))
    }
}

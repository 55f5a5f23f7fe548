//! Parses the registry protocol: challenges, tokens, error bodies, redirects.
//!
//! Bytes in, facts out: pure, bounded, and as lenient as the protocol (unknown error codes are kept). `registry` decides what
//! to send next, `rules` interprets the facts.

mod challenge;
mod error;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use url::Url;

pub(super) use error::{Head, correlation_id, is_html, read_error, words_of_page};

use crate::acr;
use crate::image::{DEFAULT_PORT, ImageReference};
use crate::secret::Secret;
use crate::text::redact::{Redactor, bounded};

/// Maximum length of a challenge header in bytes; ACR's has 130.
const MAX_CHALLENGE: usize = 8 * 1024;
/// Maximum length of a token in bytes: ACR's have about 1,500, and servers reject headers from 8 to 16 KiB.
const MAX_TOKEN: usize = 16 * 1024;

/// A Bearer challenge (RFC 6750, section 3; distribution's token authentication).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BearerChallenge {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    /// The requested scopes, separated by spaces.
    pub(super) scope: Option<String>,
    pub(super) error: Option<String>,
}

/// Finds the first Bearer challenge with a realm among the `WWW-Authenticate` headers, or returns the problem.
pub(super) fn bearer_challenge<'header>(
    headers: impl Iterator<Item = &'header [u8]>,
) -> Result<BearerChallenge, &'static str> {
    let mut problem = "it returned no WWW-Authenticate header";
    for header in headers {
        let text = match std::str::from_utf8(header) {
            Ok(text) if text.len() <= MAX_CHALLENGE => text,
            Ok(_) => {
                problem = "its WWW-Authenticate header is too long";
                continue;
            }
            Err(_) => {
                problem = "its WWW-Authenticate header is not text";
                continue;
            }
        };
        let challenges = challenge::parse(text);
        if challenges.is_empty() {
            problem = "its WWW-Authenticate header cannot be parsed";
        }
        for challenge in challenges {
            if challenge.scheme != "bearer" {
                problem = "it offers no Bearer challenge";
                continue;
            }
            match challenge.parameter("realm").filter(|realm| !realm.is_empty()) {
                Some(realm) => {
                    return Ok(BearerChallenge {
                        realm,
                        service: challenge.parameter("service"),
                        scope: challenge.parameter("scope"),
                        error: challenge.parameter("error"),
                    });
                }
                None => problem = "its Bearer challenge has no realm",
            }
        }
    }
    Err(problem)
}

/// Why a realm must not get the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UntrustedRealm {
    pub(super) realm: String,
    pub(super) reason: &'static str,
}

/// Checks a realm: only the login server itself, on its own port and over HTTPS, may receive the credentials.
pub(super) fn check_realm(image: &ImageReference, realm: &str) -> Result<Url, UntrustedRealm> {
    let untrusted = |shown: String, reason| Err(UntrustedRealm { realm: bounded(&shown), reason });
    let Ok(url) = Url::parse(realm) else {
        return untrusted(realm.split(['?', '#', '@']).next().unwrap_or_default().to_owned(), "not a URL");
    };
    let shown = without_query(&url);
    if url.scheme() != "https" {
        return untrusted(shown, "not HTTPS");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return untrusted(shown, "user information in the URL");
    }
    if url.host_str() != Some(image.host()) {
        return untrusted(shown, "another host");
    }
    if url.port().unwrap_or(DEFAULT_PORT) != image.port() {
        return untrusted(shown, "another port");
    }
    Ok(url)
}

/// Scheme, host, port and path: the part of a realm that may be shown.
fn without_query(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

/// The target of a blob redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Redirect {
    /// To a data endpoint, or to the login server itself.
    Data(Url),
    /// To Azure's blob storage.
    Storage(String),
    /// To a target that must not be followed.
    Untrusted {
        /// Scheme, host and port: path and query may be signed.
        target: String,
        /// One phrase.
        reason: &'static str,
    },
    /// The header is absent or is not a URL.
    Missing,
}

/// Checks the `Location` of the response to `asked`; configured data endpoints count as the registry's own names.
pub(super) fn classify_redirect(
    image: &ImageReference,
    data_endpoints: &[String],
    asked: &Url,
    location: Option<&[u8]>,
) -> Redirect {
    let Some(target) = location.and_then(|location| std::str::from_utf8(location).ok()) else {
        return Redirect::Missing;
    };
    let Ok(url) = asked.join(target) else {
        return Redirect::Missing;
    };
    let shown = target_of(&url);
    let untrusted = |reason| Redirect::Untrusted { target: shown.clone(), reason };
    let host = match url.host() {
        Some(url::Host::Domain(host)) if url.scheme() == "https" => host,
        Some(url::Host::Ipv4(_) | url::Host::Ipv6(_)) => return untrusted("an IP literal"),
        Some(url::Host::Domain(_)) | None => return untrusted("not HTTPS"),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return untrusted("user information in the URL");
    }
    let host = host.to_owned();
    if image.is_acr() && acr::is_storage(&host) {
        return Redirect::Storage(bounded(&host));
    }
    if url.port().unwrap_or(DEFAULT_PORT) != image.port() {
        return untrusted("another port");
    }
    if url == *asked {
        return untrusted("a redirect to itself");
    }
    let own = host == image.host()
        || image.data_region(&host).is_some()
        || data_endpoints.contains(&host)
        || (!image.is_acr() && host.strip_suffix(image.host()).is_some_and(|rest| rest.ends_with('.')));
    if own { Redirect::Data(url) } else { untrusted("a host outside the registry's own names") }
}

/// Whether the part of a data endpoint's name that the registry chooses contains a secret: resolving it would leak the secret
/// to every nameserver.
pub(super) fn leaks_secret(
    image: &ImageReference,
    data_endpoints: &[String],
    redactor: &Redactor,
    url: &Url,
) -> bool {
    /// Longest host name (RFC 1123): a longer one is never queried.
    const LONGEST_NAME: usize = 253;
    let host = url.host_str().unwrap_or_default();
    if data_endpoints.iter().any(|configured| configured == host) {
        return false;
    }
    let chosen = image.data_region(host).or_else(|| host.strip_suffix(image.host())).unwrap_or_default();
    // A label is too short for some secrets, so they could be spread over several.
    let joined = chosen.replace('.', "");
    chosen.len() > LONGEST_NAME || redactor.finds(chosen) || redactor.finds(&joined)
}

/// The part of a redirect target that may be shown after redaction.
pub(super) fn target_of(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    bounded(&format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default()))
}

/// The response of the token service.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: Secret,
    /// Whether the access claim allows pulling from the repository, if there is such a claim.
    pub(super) pull: Option<bool>,
}

/// How a token was requested; this decides under which key the response contains it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenRequest {
    /// By `POST` (distribution's OAuth2 specification): only `access_token`.
    Form,
    /// By `GET` (distribution's token specification): also under the older key `token`.
    Query,
}

/// Parses the token response, or returns the problem.
pub(super) fn read_grant(
    body: &[u8],
    request: TokenRequest,
    repository: &str,
) -> Result<Grant, &'static str> {
    #[derive(Deserialize)]
    struct Body {
        #[serde(default)]
        token: Option<String>,
        #[serde(default)]
        access_token: Option<String>,
    }
    let body: Body =
        serde_json::from_slice(body).map_err(|_| "its token response is not a token service's JSON")?;
    let filled = |token: Option<String>| token.filter(|token| !token.is_empty());
    let older = filled(body.token).filter(|_| request == TokenRequest::Query);
    let token = filled(body.access_token).or(older).ok_or("its token response contains no token")?;
    if token.len() > MAX_TOKEN {
        return Err("its token is too long");
    }
    // The characters of RFC 6750's b64token; anything else is invalid in a header.
    if !token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) {
        return Err("its token contains invalid characters");
    }
    let pull = pull_claim(&token, repository);
    Ok(Grant { token: Secret::new(token), pull })
}

/// Reads the access claim of a JWT without verifying it (distribution's token specification).
fn pull_claim(token: &str, repository: &str) -> Option<bool> {
    #[derive(Deserialize)]
    struct Claims {
        access: Option<Vec<Access>>,
    }
    #[derive(Deserialize)]
    struct Access {
        #[serde(rename = "type")]
        kind: String,
        name: String,
        actions: Vec<String>,
    }
    let payload = token.split('.').nth(1)?;
    let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let granted = claims.access?.iter().any(|access| {
        access.kind == "repository"
            && access.name == repository
            && access.actions.iter().any(|action| action == "pull" || action == "*")
    });
    Some(granted)
}

#[cfg(test)]
mod tests;

//! The messages of clients for a failed pull, by the cause that the check reports and the endpoint.
//!
//! A client that fails for another reason than the check reports, or at another endpoint, is a problem: both would only fail by
//! coincidence. States with other messages declare them.

use crate::pull::Place;

/// Part of every URL of a data endpoint.
const DATA_ENDPOINT: &str = ".data.azurecr.io/";

/// Where clients fail, by endpoint and stage of the check.
pub(super) fn of_place(endpoint: &str, stage: &str) -> Place {
    match (endpoint, stage) {
        ("login", _) => Place::Without(DATA_ENDPOINT),
        ("data", "dns" | "connect" | "tls") => Place::With(DATA_ENDPOINT),
        // Clients report its responses without a URL, or with the redirecting one.
        _ => Place::Anywhere,
    }
}

/// Part of the messages of containerd 1.6, containerd 2 and skopeo; empty if they vary.
pub(super) fn of_cause(cause: &str) -> [&'static str; 3] {
    let [containerd, skopeo] = of_containerd_and_skopeo(cause);
    let newer = match cause {
        // It also names the request.
        "credentials_missing" | "credentials_invalid" => {
            "failed to fetch anonymous token: unexpected status from GET"
        }
        "credentials_rejected" => "failed to fetch oauth token: unexpected status from GET",
        "repository_not_found" | "manifest_not_found" => "failed to resolve image",
        _ => containerd,
    };
    [containerd, newer, skopeo]
}

fn of_containerd_and_skopeo(cause: &str) -> [&'static str; 2] {
    let both = |words| [words, words];
    match cause {
        "dns_timeout" => both("lookup contoso.azurecr.io on 10.60.0.10:53: read udp"),
        "dns_server_failure" => both("lookup contoso.azurecr.io on 10.60.0.10:53: server misbehaving"),
        // Go's resolver then queries localhost.
        "no_nameserver" => both("lookup contoso.azurecr.io on [::1]:53:"),
        "name_not_found" | "private_record_missing" => both("no such host"),
        "private_zone_not_linked" | "no_private_endpoint" | "access_denied" | "blob_denied" => {
            ["403 Forbidden", "403 (Forbidden)"]
        }
        "connect_refused" => both("connect: connection refused"),
        "network_unreachable" => both("connect: no route to host"),
        "connection_reset" => both("connection reset by peer"),
        "certificate_untrusted" => both("x509: certificate signed by unknown authority"),
        "certificate_name_mismatch" => both("x509: certificate is valid for *.fabrikam.example"),
        // The same sentence covers both, with one of these endings.
        "certificate_expired" => both("Z is after"),
        "certificate_not_yet_valid" => both("Z is before"),
        "tls_handshake_failed" => both("server gave HTTP response to HTTPS client"),
        "response_timeout" => both("TLS handshake timeout"),
        "credentials_missing" | "credentials_invalid" => {
            ["anonymous token: unexpected status: 401 Unauthorized", "invalid username/password"]
        }
        "credentials_rejected" => {
            ["oauth token: unexpected status: 401 Unauthorized", "invalid username/password"]
        }
        "throttled" => ["429 Too Many Requests", "too many requests to registry"],
        "scope_missing" => ["insufficient_scope", "requested access to the resource is denied"],
        "token_refused" => ["server message: invalid_token", "unauthorized: authentication required"],
        "repository_not_found" => ["http.StatusNotFound", "name unknown"],
        "manifest_not_found" => ["http.StatusNotFound", "manifest unknown"],
        "platform_missing" => ["no match for platform", "no image found in image index"],
        "untrusted_redirect" => both("https://layers.fabrikam.example/"),
        "blob_not_found" => ["from remote: not found", "404 (Not Found)"],
        "digest_mismatch" => ["unexpected commit digest", "Digest did not match"],
        // A state with another cause must declare its messages.
        _ => both(""),
    }
}

//! The path is correct, but the endpoints respond as docker-registry never would: like ACR, or not like a registry.

use super::{Client, Credentials, State, state};
use lab::answers::{
    BlobFault, Canned, ChallengeFault, Delivery, FirewallWording, ManifestFault, RedirectFault, RetryAfter,
    Step, Target, TokenFault,
};
use lab::content::REPOSITORY;

const ANONYMOUS: &str = "failed to fetch anonymous token: unexpected status";
const CACHE_RULE: &str =
    "requested access to pull from source 'docker.io/library/x' for cache rule 'docker-io' has been denied.";

/// An error of the registry itself.
fn registry(status: u16, code: &str, message: &str) -> Canned {
    let headers = [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Docker-Distribution-Api-Version", "registry/2.0"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
    Canned::Raw { status, headers, body: body.into_bytes() }
}

pub(crate) fn states() -> Vec<State> {
    let mut states = login();
    states.extend(manifests());
    states.extend(blobs());
    states
}

fn login() -> Vec<State> {
    vec![
        State {
            credentials: Credentials::Missing,
            ..state("no credentials for this registry").expects(&["fail login token credentials_missing"])
        },
        State {
            credentials: Credentials::Broken,
            ..state("credentials of az acr login").expects(&["fail login token credentials_missing"])
        },
        State {
            credentials: Credentials::Unreadable,
            ..state("credentials that the kubelet cannot read")
                .each_says([ANONYMOUS, ANONYMOUS, "unmarshaling JSON"])
                .expects(&["fail login token credentials_invalid"])
        },
        state("password with 13 days left").expiring().expects(&["warn login token credentials_expiring"]),
        state("the registry's firewall denies the address")
            .endpoints(|settings| {
                settings.answer(Step::Token, Canned::Firewall(FirewallWording::CorrelationId));
            })
            .expects(&["fail login token access_denied"])
            .naming(&["203.0.113.7"]),
        state("the token service fails")
            .pulls_say("503 Service Unavailable", "503 (Service Unavailable)")
            .endpoints(|settings| settings.answer(Step::Token, Canned::ServerError(503)))
            .expects(&["fail login token registry_error"]),
        state("registry throttles the token service")
            .endpoints(|settings| {
                settings.answer(Step::Token, Canned::Throttled(RetryAfter::Seconds(7)));
            })
            .expects(&["unknown login token throttled"]),
        state("captive portal")
            .pulls_say("unexpected media type text/html", "invalid character '<'")
            .endpoints(|settings| {
                for step in Step::ALL {
                    settings.answer(step, Canned::CaptivePortal);
                }
            })
            .expects(&["fail login challenge not_a_registry"]),
        state("realm on another host")
            .pulls_fail("https://login.fabrikam.example/oauth2/token")
            .endpoints(|settings| settings.challenge.answer = ChallengeFault::RealmOtherHost.into())
            .expects(&["fail login challenge untrusted_realm"]),
        state("realm with a query")
            .endpoints(|settings| settings.challenge.answer = ChallengeFault::RealmWithQuery.into()),
        state("token under its older key")
            .endpoints(|settings| settings.token.answer = TokenFault::TokenKey.into()),
        state("token response without a token")
            .pulls_say("did not include a token", "unauthorized: authentication required")
            .endpoints(|settings| settings.token.answer = TokenFault::NoToken.into())
            .expects(&["fail login token not_a_registry"]),
        state("registry rejects the token it has issued")
            .endpoints(|settings| settings.token.answer = TokenFault::BadSignature.into())
            .expects(&["fail login manifest token_refused"]),
        state("registry rejects the manifest request (401) without a reason")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::Unauthorized))
            .pulls_say("401 Unauthorized", "unauthorized: authentication required")
            .expects(&["fail login manifest registry_error"]),
        state("no response to the token request")
            .silent()
            .endpoints(|settings| settings.deliver(Step::Token, Delivery::SilentAfterRequest))
            .impatient()
            .expects(&["fail login token response_timeout"]),
        state("the overall timeout elapses")
            .silent()
            .endpoints(|settings| settings.deliver(Step::Manifest, Delivery::SilentAfterRequest))
            .impatient()
            .arguments(&["--timeout", "1s"])
            .expects(&["unknown login manifest deadline_exceeded"]),
    ]
}

fn manifests() -> Vec<State> {
    let invalid = &["fail login manifest manifest_invalid"];
    let mismatch = &["fail login manifest digest_mismatch"];
    let by_digest = |lab: &lab::Lab| lab.image_of(REPOSITORY, &format!("@{}", lab.digest("1")));
    vec![
        state("image in quarantine")
            .pulls_say("403 Forbidden", "The image is quarantined.")
            .endpoints(|settings| {
                settings
                    .answer(Step::Manifest, registry(403, "IMAGE_QUARANTINED", "The image is quarantined."));
            })
            .expects(&["fail login manifest manifest_quarantined"]),
        state("artifact cache may not fetch from its source")
            .pulls_say("403 Forbidden", "has been denied")
            .endpoints(|settings| settings.answer(Step::Manifest, registry(403, "DENIED", CACHE_RULE)))
            .expects(&["fail login manifest cache_rule_failed"]),
        state("repository unknown")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::NameUnknown))
            .expects(&["fail login manifest repository_not_found"]),
        // containerd before 2.1 accepts a signed one.
        state("schema 1 manifest")
            .each_says([
                "no signatures",
                "no longer supported",
                "length of history not equal to number of layers",
            ])
            .endpoints(|settings| settings.manifest.answer = ManifestFault::Schema1.into())
            .expects(invalid),
        state("manifest that is not JSON")
            .pulls_fail("looking for beginning of value")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::NotJson.into())
            .expects(invalid),
        state("manifest of an unknown type")
            .each_says(["reference for unknown type", "fabrikam.manifest.v9", "unsupported schema version 9"])
            .endpoints(|settings| settings.manifest.answer = ManifestFault::UnknownMediaType.into())
            .expects(invalid),
        state("manifest does not match its digest")
            .pulls_say("unexpected commit digest", "does not match provided manifest digest")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::WrongBytes.into())
            .expects(mismatch),
        State {
            image: by_digest,
            ..state("manifest does not match the requested digest")
                .pulls_say("unexpected commit digest", "does not match provided manifest digest")
                .endpoints(|settings| settings.manifest.answer = ManifestFault::OtherContent.into())
                .expects(mismatch)
        },
        state("manifest without a digest header")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::DigestHeaderMissing.into()),
        state("index without an entry")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::EmptyIndex.into())
            .expects(&["fail login manifest platform_missing"]),
        state("manifest is redirected to another host")
            .endpoints(|settings| {
                settings
                    .answer(Step::Manifest, Canned::Redirect { status: 307, target: Target::ForeignHost });
            })
            .expects(&["fail login manifest untrusted_redirect"]),
        state("registry fails to return the manifest")
            .pulls_fail("500 Internal Server Error")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::ServerError(500)))
            .expects(&["fail login manifest registry_error"]),
        state("registry throttles the manifest")
            .pulls_say("429 Too Many Requests", "Too many requests.")
            .endpoints(|settings| {
                settings.answer(Step::Manifest, Canned::Throttled(RetryAfter::Seconds(2)));
            })
            .expects(&["unknown login manifest throttled"])
            .naming(&["throttles requests (429, ", "retry after 2 s"]),
        state("every response closes its connection").endpoints(|settings| {
            for step in Step::ALL {
                settings.deliver(step, Delivery::Closing);
            }
        }),
        State {
            image: |lab| lab.image_of(REPOSITORY, ":nested"),
            ..state("index of an index").pulls_say("", "Unexpectedly received a manifest list").differs_from(
                &[Client::Skopeo],
                "skopeo follows one index; containerd and the check follow nested ones",
            )
        },
        #[cfg(target_arch = "x86_64")]
        State {
            image: |lab| lab.image_of(REPOSITORY, ":newer"),
            ..state("image only for a newer processor").expects(&["fail login manifest platform_missing"])
        },
    ]
}

fn blobs() -> Vec<State> {
    let mismatch = &["fail data blob digest_mismatch"];
    vec![
        state("blobs are redirected to storage, which the node reaches")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into();
            })
            .differs("layers leave the private path, but the pull succeeds")
            .expects(&["fail data blob data_endpoint_disabled"]),
        state("blobs are redirected to storage, which the node does not reach")
            .arriving("ip daddr 20.60.1.4 tcp dport 443 reject with tcp reset")
            .pulls_fail("dial tcp 20.60.1.4:443: connect: connection refused")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into();
            })
            .expects(&["fail data blob data_endpoint_disabled"]),
        // No resolver of this network knows the foreign host, but clients still try to reach it.
        state("blobs are redirected to a foreign host")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::ForeignHost).into();
            })
            .expects(&["fail data blob untrusted_redirect"]),
        state("blobs are redirected to an IP address")
            .pulls_fail("cannot validate certificate for 10.60.4.5")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::DataAddress).into();
            })
            .expects(&["fail data blob untrusted_redirect"]),
        state("blobs are redirected to a replica without a record")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::Region("northeurope")).into();
            })
            .expects(&["fail data dns name_not_found"]),
        state("blob redirect with another status")
            .endpoints(|settings| settings.blob_redirect.answer = RedirectFault::Status(302).into()),
        state("blob redirect without a Location")
            .pulls_say("307 Temporary Redirect", "307 (Temporary Redirect)")
            .endpoints(|settings| settings.blob_redirect.answer = RedirectFault::NoLocation.into())
            .expects(&["fail data blob not_a_registry"]),
        state("registry throttles the blob")
            .endpoints(|settings| {
                settings.answer(Step::BlobRedirect, Canned::Throttled(RetryAfter::Seconds(2)));
            })
            .expects(&["unknown data blob throttled"])
            .naming(&["contoso.azurecr.io", "throttles requests (429, ", "retry after 2 s"]),
        state("data endpoint throttles the blob")
            .endpoints(|settings| settings.answer(Step::Blob, Canned::Throttled(RetryAfter::Seconds(2))))
            .expects(&["unknown data blob throttled"])
            .naming(&["contoso.westeurope.data.azurecr.io", "throttles requests (429, ", "retry after 2 s"]),
        state("storage rejects the signature")
            .endpoints(|settings| settings.blob.answer = BlobFault::SignatureRefused.into())
            .expects(&["fail data blob blob_denied"]),
        state("blob with other content")
            .endpoints(|settings| settings.blob.answer = BlobFault::WrongBytes.into())
            .expects(mismatch),
        state("blob with more bytes")
            .each_says(["failed size validation", "read past expected size", "Digest did not match"])
            .endpoints(|settings| settings.blob.answer = BlobFault::MoreBytes.into())
            .expects(mismatch),
        state("blob with fewer bytes")
            .each_says([
                "failed to read expected number of bytes",
                "short read: expected",
                "Digest did not match",
            ])
            .endpoints(|settings| settings.blob.answer = BlobFault::FewerBytes.into())
            .expects(mismatch),
        state("connection reset in the middle of a blob")
            .endpoints(|settings| settings.deliver(Step::Blob, Delivery::ResetMidBody))
            .expects(&["fail data blob connection_reset"]),
    ]
}

//! The way is right, and the endpoints answer as docker-registry never would: in ACR's words, or not as a registry.

use super::{Client, Credentials, State, state};
use crate::lab::answers::{
    BlobFault, Canned, ChallengeFault, Delivery, FirewallWording, ManifestFault, RedirectFault, RetryAfter,
    Step, Target, TokenFault,
};
use crate::lab::content::REPOSITORY;

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
            ..state("no credentials for this registry").tells(&["fail login token credentials_missing"])
        },
        State {
            credentials: Credentials::Broken,
            ..state("credentials of az acr login").tells(&["fail login token credentials_invalid"])
        },
        state("password with 13 days left")
            .expiring()
            .tells(&["warn login token credentials_expiring"]),
        state("the registry's firewall refuses the address")
            .endpoints(|settings| {
                settings.answer(Step::Token, Canned::Firewall(FirewallWording::CorrelationId));
            })
            .tells(&["fail login token access_denied"])
            .naming(&["203.0.113.7"]),
        state("token service has an error")
            .endpoints(|settings| settings.answer(Step::Token, Canned::ServerError(503)))
            .tells(&["fail login token registry_error"]),
        state("registry throttles the token service")
            .endpoints(|settings| {
                settings.answer(Step::Token, Canned::Throttled(RetryAfter::Seconds(7)));
            })
            .tells(&["unknown login token throttled"]),
        state("captive portal")
            .endpoints(|settings| {
                for step in Step::ALL {
                    settings.answer(step, Canned::CaptivePortal);
                }
            })
            .tells(&["fail login challenge not_a_registry"]),
        state("realm at another host")
            .endpoints(|settings| settings.challenge.answer = ChallengeFault::RealmOtherHost.into())
            .tells(&["fail login challenge untrusted_realm"]),
        state("realm with a query")
            .endpoints(|settings| settings.challenge.answer = ChallengeFault::RealmWithQuery.into()),
        state("token under its older key")
            .endpoints(|settings| settings.token.answer = TokenFault::TokenKey.into())
            .differs_from(
                Client::Containerd,
                "containerd posts the password first, and then takes `access_token` alone, which ACR always sends",
            ),
        state("token answer without a token")
            .endpoints(|settings| settings.token.answer = TokenFault::NoToken.into())
            .tells(&["fail login token not_a_registry"]),
        state("registry refuses the token it has issued")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::Unauthorized))
            .tells(&["fail login manifest token_refused"]),
        state("nothing after the request for a token")
            .endpoints(|settings| settings.deliver(Step::Token, Delivery::SilentAfterRequest))
            .impatient()
            .tells(&["fail login token response_timeout"]),
        state("the whole check's time is over")
            .endpoints(|settings| settings.deliver(Step::Manifest, Delivery::SilentAfterRequest))
            .impatient()
            .arguments(&["--timeout", "1s"])
            .tells(&["fail login manifest deadline_exceeded"]),
    ]
}

fn manifests() -> Vec<State> {
    let invalid = &["fail login manifest manifest_invalid"];
    let mismatch = &["fail login manifest digest_mismatch"];
    let by_digest = |lab: &crate::lab::Lab| lab.image_of(REPOSITORY, &format!("@{}", lab.digest("1")));
    vec![
        state("repository unknown")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::NameUnknown))
            .tells(&["fail login manifest repository_not_found"]),
        state("manifest of the first schema")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::Schema1.into())
            .tells(invalid),
        state("manifest that is no JSON")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::NotJson.into())
            .tells(invalid),
        state("manifest of an unknown type")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::UnknownMediaType.into())
            .tells(invalid),
        state("manifest is not what its digest says")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::WrongBytes.into())
            .tells(mismatch),
        State {
            image: by_digest,
            ..state("manifest is not what was asked for by digest")
                .endpoints(|settings| settings.manifest.answer = ManifestFault::OtherContent.into())
                .tells(mismatch)
        },
        state("manifest without its digest in the head")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::DigestHeaderMissing.into()),
        state("index without an entry")
            .endpoints(|settings| settings.manifest.answer = ManifestFault::EmptyIndex.into())
            .tells(&["fail login manifest platform_missing"]),
        state("manifest is redirected elsewhere")
            .endpoints(|settings| {
                settings
                    .answer(Step::Manifest, Canned::Redirect { status: 307, target: Target::ForeignHost });
            })
            .tells(&["fail login manifest untrusted_redirect"]),
        state("registry has an error at the manifest")
            .endpoints(|settings| settings.answer(Step::Manifest, Canned::ServerError(500)))
            .tells(&["fail login manifest registry_error"]),
        state("every answer closes its connection").endpoints(|settings| {
            for step in Step::ALL {
                settings.deliver(step, Delivery::Closing);
            }
        }),
        State {
            image: |lab| lab.image_of(REPOSITORY, ":nested"),
            ..state("index of an index").differs_from(
                Client::Skopeo,
                "skopeo follows one index; containerd, as the check, one in another",
            )
        },
    ]
}

fn blobs() -> Vec<State> {
    let mismatch = &["fail data blob digest_mismatch"];
    vec![
        state("blobs are sent to storage")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::BlobStorage).into();
            })
            .tells(&["fail data blob data_endpoint_disabled"]),
        state("blobs are sent to a foreign host")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::ForeignHost).into();
            })
            .tells(&["fail data blob untrusted_redirect"]),
        state("blobs are sent to an address")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::DataAddress).into();
            })
            .tells(&["fail data blob untrusted_redirect"]),
        state("blobs are sent to a replica without a record")
            .endpoints(|settings| {
                settings.blob_redirect.answer = RedirectFault::Target(Target::Region("northeurope")).into();
            })
            .tells(&["fail data dns name_not_found"]),
        state("redirect with another status")
            .endpoints(|settings| settings.blob_redirect.answer = RedirectFault::Status(302).into()),
        state("redirect without a target")
            .endpoints(|settings| settings.blob_redirect.answer = RedirectFault::NoLocation.into())
            .tells(&["fail data blob not_a_registry"]),
        state("storage refuses the signature")
            .endpoints(|settings| settings.blob.answer = BlobFault::SignatureRefused.into())
            .pull_fails("403")
            .tells(&["fail data blob blob_denied"]),
        state("blob of other bytes")
            .endpoints(|settings| settings.blob.answer = BlobFault::WrongBytes.into())
            .tells(mismatch),
        state("blob with more bytes")
            .endpoints(|settings| settings.blob.answer = BlobFault::MoreBytes.into())
            .tells(mismatch),
        state("blob with fewer bytes")
            .endpoints(|settings| settings.blob.answer = BlobFault::FewerBytes.into())
            .tells(mismatch),
        state("reset in the middle of a blob")
            .endpoints(|settings| settings.deliver(Step::Blob, Delivery::ResetMidBody))
            .tells(&["fail data blob connection_reset"]),
    ]
}

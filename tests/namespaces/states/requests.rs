//! Individual requests: rejected methods, connections that close unannounced, responses that are retried, redirected or broken,
//! and passwords that are tried in sequence.

use std::time::Duration;

use super::{Client, Credentials, State, state};
use lab::answers::{BlobFault, Canned, Delivery, RedirectFault, RetryAfter, Step, TokenFault};
use lab::settings::{Post, Reuse, Settings};

/// skopeo starts with `GET`, and uses `POST` only for identity tokens.
const GETS_ALONE: &str = "skopeo resolves a tag and requests its token with `GET`";

/// A retry that the check makes and containerd does not.
const POSTED_ONCE: &str = "Go retries `GET` and `HEAD` on a new connection, but not `POST`: if a connection closes as the password is posted, a pull fails";

pub(crate) fn states() -> Vec<State> {
    let mut states = methods();
    states.extend(connections());
    states.extend(answers());
    states.extend(credentials());
    states
}

fn refusing_head(name: &'static str, change: fn(&mut Settings)) -> State {
    state(name).endpoints(change).differs_from(&[Client::Skopeo], GETS_ALONE)
}

fn refusing_post(name: &'static str, change: fn(&mut Settings)) -> State {
    state(name).endpoints(change).differs_from(&[Client::Skopeo], GETS_ALONE)
}

fn methods() -> Vec<State> {
    let oauth = "failed to fetch oauth token";
    vec![
        refusing_head("HEAD is rejected by a proxy (403)", |settings| {
            settings.methods.head = Some(Canned::ProxyForbidden);
        })
        .each_says(["403 Forbidden", "403 Forbidden", ""])
        .expects(&["fail login challenge not_a_registry"]),
        state("HEAD is not allowed (405)")
            .endpoints(|settings| settings.methods.head = Some(Canned::Empty(405))),
        refusing_post("POST is rejected by a proxy (403)", |settings| {
            settings.methods.post = Post::Refused(Canned::ProxyForbidden);
        })
        .each_says([oauth, oauth, ""])
        .expects(&["fail login token not_a_registry"]),
        refusing_post("POST fails (503)", |settings| {
            settings.methods.post = Post::Refused(Canned::ServerError(503));
        })
        .each_says([oauth, oauth, ""])
        .expects(&["fail login token registry_error"]),
        refusing_post("POST is throttled (429)", |settings| {
            settings.methods.post = Post::Refused(Canned::Throttled(RetryAfter::Seconds(2)));
        })
        .each_says([oauth, oauth, "429"])
        .expects(&["unknown login token throttled"]),
        state("POST is not found (404)")
            .endpoints(|settings| settings.methods.post = Post::Refused(Canned::Empty(404))),
        state("POST is not allowed (405)")
            .endpoints(|settings| settings.methods.post = Post::Refused(Canned::Empty(405))),
        state("POST is supported, as by another registry")
            .endpoints(|settings| settings.methods.post = Post::Granted),
        state("POST is supported, with the token under its older key")
            .endpoints(|settings| {
                settings.methods.post = Post::Granted;
                settings.token.answer = TokenFault::TokenKey.into();
            })
            .each_says(["did not include a token", "did not include a token", ""])
            .expects(&["fail login token not_a_registry"])
            .differs_from(
                &[Client::Skopeo],
                "skopeo sends no `POST`; containerd only reads `access_token` from its response",
            ),
    ]
}

fn connections() -> Vec<State> {
    vec![
        state("idle connections close unannounced after each response")
            .endpoints(|settings| {
                settings.login.reuse = Reuse::ClosedAfter(Duration::ZERO);
                settings.data.reuse = Reuse::ClosedAfter(Duration::ZERO);
            })
            .by_chance(POSTED_ONCE),
        state("connections close on reuse, and those for tokens immediately").endpoints(|settings| {
            settings.login.reuse = Reuse::ClosedAtNext;
            settings.deliver(Step::Challenge, Delivery::Closing);
            settings.deliver(Step::Token, Delivery::Closing);
        }),
        state("connections close on reuse")
            .endpoints(|settings| settings.login.reuse = Reuse::ClosedAtNext)
            .each_says(["EOF", "EOF", ""])
            .differs_from(&[Client::Containerd1, Client::Containerd2], POSTED_ONCE),
        state("responses on reused connections end within their head")
            .endpoints(|settings| settings.login.reuse = Reuse::ClosedWithinNext)
            .each_says(["EOF", "EOF", ""])
            .differs_from(&[Client::Containerd1, Client::Containerd2], POSTED_ONCE),
    ]
}

fn answers() -> Vec<State> {
    let framing = |name: &'static str, change: fn(&mut Settings)| {
        state(name).endpoints(change).expects(&["fail login manifest not_a_registry"])
    };
    vec![
        state("manifest is answered 408 once")
            .endpoints(|settings| settings.answer_first(Step::Manifest, &[Canned::Empty(408)])),
        state("challenge is answered 408 once")
            .endpoints(|settings| settings.answer_first(Step::Challenge, &[Canned::Empty(408)])),
        state("blob is redirected by the login server twice")
            .endpoints(|settings| settings.blob_redirect.answer = RedirectFault::ViaLogin(2).into()),
        state("blob is answered 206 with its full content")
            .endpoints(|settings| settings.blob.answer = BlobFault::WholeAsPart.into())
            .pulls_say("", "206 (Partial Content)")
            .differs_from(&[Client::Skopeo], "skopeo accepts no partial content, even if complete"),
        framing("manifest with two lengths", |settings| {
            settings.deliver(Step::Manifest, Delivery::TwoLengths);
        })
        .pulls_fail("multiple Content-Length headers"),
        framing("manifest with an invalid status", |settings| {
            settings.deliver(Step::Manifest, Delivery::StatusNoNumber);
        })
        .pulls_fail("malformed HTTP"),
        framing("manifest with an invalid header", |settings| {
            settings.deliver(Step::Manifest, Delivery::HeaderWithoutColon);
        })
        .pulls_fail("malformed MIME header"),
    ]
}

/// The credentials that the kubelet passes to containerd.
fn credentials() -> Vec<State> {
    vec![
        State {
            credentials: Credentials::Stale,
            ..state("two passwords in the file, the more specific one is old")
                .expects(&["warn login token credentials_stale_entry"])
                .pulls_say("", "invalid username/password")
                .differs_from(
                    &[Client::Skopeo],
                    "skopeo tries the most specific entry only; the kubelet tries all",
                )
        },
        State {
            credentials: Credentials::Missing,
            ..state("no credentials, and the registry permits anonymous pulls")
                .endpoints(|settings| settings.credentials.anonymous = true)
                .reports("/credentials", "anonymous")
        },
    ]
}

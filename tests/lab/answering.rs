//! Selects the part of the lab that answers a request.
//!
//! Owns the order: IMDS and Entra ID answer for themselves; at the registry an echo, then a rejected method, then the first answers of a step, then the upstream registry, then the lab's own
//! endpoints.

use super::answers::{Canned, Step};
use super::canned;
use super::http::Incoming;
use super::links::Subject;
use super::log::Listener;
use super::response::Response;
use super::settings::Post;
use super::shared::{Numbered, Shared};
use super::{data, echo, entra, imds, registry, upstream};

/// Answers a request, and returns the step it belongs to.
pub async fn respond(
    shared: &Shared,
    current: &Numbered,
    listener: Listener,
    request: &Incoming,
) -> (Option<Step>, Response) {
    let settings = &current.settings;
    let step = match listener {
        Listener::Login | Listener::Decoy(_) => registry::step(request),
        Listener::Data => Some(Step::Blob),
        Listener::Imds => return (None, imds::respond(shared, current, request)),
        Listener::Entra => return (None, entra::respond(shared, current, request)),
    };
    if let Some(step) = step.filter(|step| settings.echoing == Some(*step)) {
        return (Some(step), echo::respond(request));
    }
    if let Some(step) = step
        && let Some(canned) = before_all(shared, current, step, request)
    {
        let asked = registry::asked(shared, request);
        let (repository, digest) = registry::names(request);
        let subject = Subject { repository, digest, asked: &asked };
        return (Some(step), canned::respond(shared, step, &canned, &subject));
    }
    match (upstream::respond(shared, settings, listener, request).await, listener) {
        (Some(response), _) => (step, response),
        (None, Listener::Login | Listener::Decoy(_)) => (step, registry::respond(shared, settings, request)),
        (None, Listener::Data | Listener::Imds | Listener::Entra) => {
            (step, data::respond(shared, settings, request))
        }
    }
}

fn before_all(shared: &Shared, current: &Numbered, step: Step, request: &Incoming) -> Option<Canned> {
    let methods = &current.settings.methods;
    let refused = match (request.method.as_str(), step, &methods.post) {
        ("HEAD", Step::Challenge | Step::Manifest | Step::BlobRedirect, _) => methods.head.clone(),
        ("POST", Step::Token, Post::Refused(canned)) => Some(canned.clone()),
        _ => None,
    };
    refused.or_else(|| shared.first_answer(current, step))
}

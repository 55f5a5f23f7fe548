//! The `challenge` stage: requests the image's manifest without credentials, as containerd starts every pull.
//!
//! Owns the outcome: the token service to use, or that the registry requires no token.

use reqwest::Method;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use tokio::time::Instant;
use url::Url;

use super::manifest::PAGE;
use super::{Call, Failure, Fault, Observation, Pull, Reply, Stage, resolving};
use crate::observation::Endpoint;
use crate::probe::protocol;

/// The fault of a login page.
const NO_CHALLENGE: &str = "it returned HTML and no WWW-Authenticate header";

/// The registry's response to a request without credentials.
pub(in crate::probe) enum Challenge {
    /// It requires a token.
    Bearer(TrustedChallenge),
    /// It returned the manifest.
    Open(Reply),
}

/// A challenge whose token service may receive the credentials.
pub(in crate::probe) struct TrustedChallenge {
    /// The token service, on the login server's own name.
    pub(in crate::probe) realm: Url,
    pub(super) service: Option<String>,
    /// The requested scopes, separated by spaces.
    pub(super) scope: Option<String>,
    /// The method for the following manifest requests: HEAD, unless the registry does not support it.
    pub(super) method: Method,
}

impl Pull<'_> {
    /// Sends `HEAD` for the manifest without credentials: connects, and returns realm and service of the token service.
    pub(super) async fn challenge(&mut self, observation: &mut Observation) -> Result<Challenge, Failure> {
        let limit = self.session.clock.limit();
        let mut call = Call::head(self.manifest_url(self.task.image.wanted())?, resolving(None));
        let mut reply =
            self.session.send_with_retries(Stage::Challenge, call.clone(), limit, observation).await;
        let started = reply.as_ref().map_or_else(|_| Instant::now(), Reply::sent_at);
        if reply.as_ref().is_ok_and(|reply| reply.status == 405) {
            call.method = Method::GET;
            reply = self.session.send_with_retries(Stage::Challenge, call.clone(), limit, observation).await;
        }
        let outcome = match reply {
            Ok(reply) if reply.is_html() && matches!(reply.status, 200..=299) => {
                Err(self.page(reply, (call, limit), PAGE, observation).await)
            }
            Ok(reply) if reply.is_html() && reply.status == 401 && !reply.has_challenge() => {
                Err(self.page(reply, (call, limit), NO_CHALLENGE, observation).await)
            }
            Ok(reply) if matches!(reply.status, 401 | 200..=399) => {
                self.read_challenge(reply, call.method).await
            }
            Ok(reply) => Err(self.refused(reply, call, limit, observation).await),
            Err(failure) => Err(failure),
        };
        if outcome.as_ref().err().is_none_or(|failure| failure.stage == Stage::Challenge) {
            observation.mark(Endpoint::Login, Stage::Challenge, started.elapsed());
        }
        outcome
    }

    /// Evaluates the response to a request without credentials.
    pub(in crate::probe) async fn read_challenge(
        &self,
        reply: Reply,
        method: Method,
    ) -> Result<Challenge, Failure> {
        let status = reply.status;
        let not_a_registry =
            |reason: &str| Fault::NotARegistry { status: Some(status), reason: reason.to_owned() };
        match status {
            401 => {}
            200..=299 => return Ok(Challenge::Open(reply)),
            300..=399 => {
                return Err(reply.fail(not_a_registry("it redirects the manifest request")));
            }
            _ => return Err(self.unhelpful(reply).await),
        }
        let values = reply.headers.get_all(WWW_AUTHENTICATE);
        let challenge = protocol::bearer_challenge(values.iter().map(HeaderValue::as_bytes))
            .map_err(|reason| reply.fail(not_a_registry(reason)))?;
        let realm = protocol::check_realm(&self.task.image, &challenge.realm).map_err(|untrusted| {
            let realm = self.redactor.show_part(&challenge.realm, &untrusted.realm);
            reply.fail(Fault::UntrustedRealm { realm, reason: untrusted.reason })
        })?;
        // The body is drained so that the connection can be reused.
        reply.discard().await?;
        let protocol::BearerChallenge { service, scope, realm: _, error: _ } = challenge;
        Ok(Challenge::Bearer(TrustedChallenge { realm, service, scope, method }))
    }
}

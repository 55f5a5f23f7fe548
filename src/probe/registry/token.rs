//! The `token` stage: requests a token from the login server's own token service, as containerd does.
//!
//! Owns both kinds of request: a form by POST, and Basic by GET if the service does not support POST. ACR does not support
//! POST with a password and returns 400. Without a password, only the GET is sent, without authorization.

use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::{Call, Failure, Fault, Observation, Pull, Reply, Stage, TrustedChallenge, fail};
use crate::credentials::{Attempt, Credentials};
use crate::observation::{Endpoint, Token};
use crate::probe::authorization;
use crate::probe::connection::headers;
use crate::probe::protocol::{self, Grant, TokenRequest};
use crate::secret::Secret;

/// In bytes; a token response has some 2 KiB.
const MAX_TOKEN_BODY: usize = 64 * 1024;
/// containerd's client ID in the form; ACR requires one.
const CLIENT: &str = "containerd-client";

impl Pull<'_> {
    /// Requests a token for pulling from the repository.
    pub(super) async fn token(
        &mut self,
        attempt: &Attempt,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Secret, Failure> {
        let started = Instant::now();
        let outcome = self.fetch_token(attempt, challenge, observation).await;
        observation.mark(Endpoint::Login, Stage::Token, started.elapsed());
        let grant = outcome?;
        observation.token = Some(Token { pull: grant.pull });
        self.redactor.hide(&grant.token);
        // ACR issues a token to every client; its access claim states what it permits.
        if attempt.credentials.is_none() && grant.pull == Some(false) {
            return Err(fail(Stage::Token, Fault::CredentialsMissing { searched: String::new() }));
        }
        Ok(grant.token)
    }

    async fn fetch_token(
        &mut self,
        attempt: &Attempt,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Grant, Failure> {
        let limit = self.session.clock.limit();
        let scopes = scopes(self.task.image.repository(), challenge.scope.as_deref());
        let user = attempt.credentials.as_ref();
        if let Some(user) = user {
            let form = form(user, challenge.service.as_deref(), &scopes);
            let call = Call::post(challenge.realm.clone(), headers("application/json", None), form);
            let reply = self.session.send(Stage::Token, call, limit, observation).await?;
            // containerd treats these as a service without POST support.
            if !matches!(reply.status, 400 | 401 | 404 | 405) {
                return self.read_grant(reply, TokenRequest::Form).await;
            }
            reply.discard().await?;
        }
        let mut realm = challenge.realm.clone();
        if let Some(service) = &challenge.service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        realm.query_pairs_mut().extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        let basic = user.map(authorization::basic).transpose();
        let basic = basic.map_err(|fault| fail(Stage::Token, fault))?;
        let call = Call::get(realm, headers("application/json", basic));
        let reply = self.session.send(Stage::Token, call, limit, observation).await?;
        self.read_grant(reply, TokenRequest::Query).await
    }

    /// Evaluates the response of the token service.
    pub(in crate::probe) async fn read_grant(
        &self,
        mut reply: Reply,
        request: TokenRequest,
    ) -> Result<Grant, Failure> {
        match reply.status {
            200..=299 => {}
            300..=399 => {
                return Err(reply.fail(self.untrusted_redirect(&reply, "a redirect from the token service")));
            }
            _ => return Err(self.unhelpful(reply).await),
        }
        let status = Some(reply.status);
        let body = reply.body(MAX_TOKEN_BODY).await?;
        let not_a_registry = |reason: &str| {
            let words = protocol::words_of_page(&body.bytes, &self.redactor);
            reply.fail(Fault::NotARegistry { status, reason: format!("{reason}{words}") })
        };
        if body.cut {
            return Err(not_a_registry("its token response is too large"));
        }
        protocol::read_grant(&body.bytes, request, self.task.image.repository()).map_err(not_a_registry)
    }
}

/// The requested scopes: pull from the repository, and those of the challenge, without duplicates.
fn scopes(repository: &str, named: Option<&str>) -> Vec<String> {
    let own = format!("repository:{repository}:pull");
    let named = named.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let mut scopes: Vec<String> = named.map(str::to_owned).chain([own]).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

/// The form of a token request (distribution's OAuth2 token specification).
fn form(user: &Credentials, service: Option<&str>, scopes: &[String]) -> Secret {
    let mut form = Serializer::new(String::new());
    form.append_pair("client_id", CLIENT)
        .append_pair("grant_type", "password")
        .append_pair("password", user.password.expose())
        .append_pair("scope", &scopes.join(" "))
        .append_pair("service", service.unwrap_or_default())
        .append_pair("username", &user.username);
    Secret::new(form.finish())
}

#[cfg(test)]
mod tests {
    use super::scopes;

    #[test]
    fn each_scope_is_requested_once() {
        let own = "repository:apps/canary:pull";
        for (named, expected) in [
            (None, vec![own]),
            (Some(own), vec![own]),
            (Some("repository:apps/canary:metadata_read"), vec!["repository:apps/canary:metadata_read", own]),
            (Some("registry:catalog:*  repository:apps/canary:pull"), vec!["registry:catalog:*", own]),
            (Some(""), vec![own]),
        ] {
            assert_eq!(scopes("apps/canary", named), expected, "{named:?}");
        }
    }
}

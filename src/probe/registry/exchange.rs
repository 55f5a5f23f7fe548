//! The exchange of an identity's token for a refresh token of the registry, as the kubelet's credential provider does it.
//!
//! Part of the `token` stage. The token goes only here: to the login server's own name, over the connection to its checked
//! address.

use tokio::time::Instant;
use url::form_urlencoded::Serializer;

use super::{Attempt, Call, Failure, Fault, Observation, Pull, Reply, Stage, TrustedChallenge, fail};
use crate::observation::{Endpoint, IdentityFault};
use crate::probe::authorization;
use crate::probe::connection::headers;
use crate::probe::identity::{EntraToken, Obtained, is_by_repository, is_read_allowed, read_refresh_token};
use crate::probe::protocol;
use crate::secret::Secret;
use crate::text::redact::bounded;

/// In bytes; the response has some 2 KiB.
const MAX_EXCHANGE_BODY: usize = 64 * 1024;
/// Maximum number of a refresh token's actions in a message.
const MAX_ACTIONS: usize = 8;
const PATH: &str = "/oauth2/exchange";

impl Pull<'_> {
    /// Exchanges the token of an identity, and returns the attempt with the refresh token.
    pub(super) async fn exchange(
        &mut self,
        obtained: &Obtained,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Attempt, Failure> {
        observation.mark(Endpoint::Login, Stage::Token, obtained.took);
        let token = obtained.token.as_ref().map_err(|fault| fail(Stage::Token, fault.clone()))?;
        let started = Instant::now();
        let outcome = self.fetch_refresh_token(token, challenge, observation).await;
        observation.mark(Endpoint::Login, Stage::Token, started.elapsed());
        let refresh_token = outcome?;
        self.redactor.hide_encoded(&refresh_token);
        let attempt = Attempt::with_refresh_token(refresh_token.clone());
        if let Some(credentials) = &attempt.credentials {
            self.redactor.hide_encoded(&authorization::pair(credentials));
        }
        let allowed = is_read_allowed(&refresh_token);
        if let Some(identity) = &mut observation.identity {
            identity.exchanged = true;
            identity.abac = is_by_repository(&refresh_token);
        }
        if let Some(Err(actions)) = allowed {
            let actions = actions.iter().take(MAX_ACTIONS).map(|action| bounded(action)).collect();
            return Err(fail(Stage::Token, Fault::Identity(IdentityFault::WithoutRead { actions })));
        }
        Ok(attempt)
    }

    async fn fetch_refresh_token(
        &mut self,
        EntraToken { token, tenant_id }: &EntraToken,
        challenge: &TrustedChallenge,
        observation: &mut Observation,
    ) -> Result<Secret, Failure> {
        let limit = self.session.clock.limit();
        let mut url = challenge.realm.clone();
        url.set_path(PATH);
        url.set_query(None);
        let registry = self.task.image.registry();
        let form = Serializer::new(String::new())
            .append_pair("grant_type", "access_token")
            .append_pair("service", challenge.service.as_deref().unwrap_or(&registry))
            .append_pair("tenant", tenant_id)
            .append_pair("access_token", token.expose())
            .finish();
        let call = Call::post(url, headers("application/json", None), Secret::new(form));
        let reply = self.session.send(Stage::Token, call, limit, observation).await?;
        self.read_refresh_token(reply).await
    }

    /// Evaluates the response of the exchange.
    pub(in crate::probe) async fn read_refresh_token(&self, mut reply: Reply) -> Result<Secret, Failure> {
        match reply.status {
            200..=299 => {}
            300..=399 => {
                let fault = self.untrusted_redirect(&reply, "a redirect from the token service");
                return Err(reply.fail(fault));
            }
            _ => return Err(self.unhelpful(reply).await),
        }
        let status = Some(reply.status);
        let body = reply.body(MAX_EXCHANGE_BODY).await?;
        let not_a_registry = |reason: &str| {
            let words = protocol::words_of_page(&body.bytes, &self.redactor);
            reply.fail(Fault::NotARegistry { status, reason: format!("{reason}{words}") })
        };
        if body.cut {
            return Err(not_a_registry("its exchange response is too large"));
        }
        read_refresh_token(&body.bytes).map_err(not_a_registry)
    }
}

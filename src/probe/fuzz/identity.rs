//! Entry point for the responses of IMDS, Entra ID and a registry's exchange.

use super::{PLANTED, PartialCheck, Reading, answer, hide};
use crate::credentials::Federated;
use crate::observation::{
    Endpoint, Failure, Fault, Identity, IdentityFault, IdentityKind, Observation, Stage,
};
use crate::probe::echo;
use crate::probe::identity::{Response, entra, imds, is_read_allowed};
use crate::secret::Secret;
use crate::text::redact::Redactor;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

impl PartialCheck {
    /// Parses the same response as IMDS's, as Entra ID's and as that of the exchange.
    #[must_use]
    pub fn identity(&self, status: u16, is_page: bool, body: &[u8]) -> [Observation; 3] {
        let response = Response { status, is_page, retry_after: None, body: body.to_vec() };
        [
            service(IdentityKind::Managed, |identity| {
                imds::read(&response, "169.254.169.254", identity).err()
            }),
            service(IdentityKind::Workload, |identity| {
                let federated = Federated {
                    client_id: TENANT.to_owned(),
                    tenant_id: TENANT.to_owned(),
                    authority: "login.microsoftonline.com",
                    assertion: Secret::new(PLANTED.to_owned()),
                };
                entra::read(&response, &federated, identity).err()
            }),
            self.read(Reading::Exchange, answer(status, None, body)),
        ]
    }
}

/// Records what a service's response shows about an identity.
fn service(kind: IdentityKind, read: impl FnOnce(&mut Identity) -> Option<Fault>) -> Observation {
    let mut identity = Identity::new(kind, None);
    let fault = read(&mut identity);
    let mut failure = fault.map(|fault| Failure { endpoint: Endpoint::Login, stage: Stage::Token, fault });
    let mut observation = Observation {
        credentials: Some(kind.credentials()),
        identity: Some(identity),
        ..Observation::default()
    };
    let mut redactor = Redactor::default();
    hide(&mut redactor);
    echo::redact_observation(&redactor, &mut observation, failure.as_mut());
    observation.failure = failure;
    observation
}

/// The fault of a refresh token without the right to read.
pub(super) fn fault_of(token: &Secret) -> Option<Fault> {
    let actions = is_read_allowed(token)?.err()?;
    Some(Fault::Identity(IdentityFault::WithoutRead { actions }))
}

//! The API of a lab for its identities: addresses, root certificates, and the projected token.
//!
//! Owns what tests read and change; `settings/identity.rs` has the settings.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Lab;
use super::answers::Step;
use super::log::{Listener, Request};
use super::settings::{Assertion, Validity};

impl Lab {
    /// The address of the metadata service.
    pub fn imds(&self) -> SocketAddr {
        self.shared.identity.imds.expect("the settings have IMDS")
    }

    /// The address of Entra ID.
    pub fn entra(&self) -> SocketAddr {
        self.shared.identity.entra.expect("the settings have Entra ID")
    }

    /// The root certificate of Entra ID, which is not the registry's.
    pub fn public_root_pem(&self) -> &str {
        self.shared.identity.certificates().root_pem()
    }

    /// The same in a file, as the system's roots of a machine. Only with Entra ID.
    pub fn public_roots(&self) -> PathBuf {
        self.folder.path().join("public-roots.pem")
    }

    /// The file of the projected token: at first one that the federated credential of the settings accepts. Only with Entra ID.
    pub fn assertion_file(&self) -> PathBuf {
        self.folder.path().join("azure-identity-token")
    }

    /// The assertion that the federated credential of the settings accepts.
    pub fn accepted_assertion(&self) -> Assertion {
        let current = self.shared.settings();
        let federated = &current.settings.identity.federated;
        Assertion {
            issuer: federated.issuer.clone(),
            subject: federated.subject.clone(),
            audience: federated.audience.clone(),
            validity: Validity::Now,
        }
    }

    /// Signs an assertion and writes it to the file, as the kubelet does when it renews one. Returns the token, a secret.
    pub fn project(&self, assertion: &Assertion) -> String {
        self.try_project(assertion).unwrap_or_else(|error| panic!("the assertion cannot be written: {error}"))
    }

    /// Signs an assertion without writing it.
    pub fn assertion(&self, assertion: &Assertion) -> String {
        let token = self.shared.identity.assert(assertion);
        self.shared.log.secrets.push(token.clone());
        token
    }

    /// The variables that the webhook of the cluster injects into a pod.
    pub fn workload_variables(&self) -> [(&'static str, String); 4] {
        let current = self.shared.settings();
        let identity = &current.settings.identity;
        [
            ("AZURE_CLIENT_ID", identity.federated.client_id.clone()),
            ("AZURE_TENANT_ID", identity.tenant.clone()),
            ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/".to_owned()),
            ("AZURE_FEDERATED_TOKEN_FILE", self.assertion_file().display().to_string()),
        ]
    }

    /// The requests at one listener so far.
    pub fn requests_at(&self, listener: Listener) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.listener == listener).collect()
    }

    /// The number of requests at the registry, of any step.
    pub fn requests_at_registry(&self) -> usize {
        let elsewhere = |request: &&Request| matches!(request.listener, Listener::Imds | Listener::Entra);
        self.requests().iter().filter(|request| !elsewhere(request)).count()
    }

    /// The requests at the exchange so far.
    pub fn exchanges(&self) -> Vec<Request> {
        self.requests_of(Step::Exchange)
    }

    pub(super) fn write_identity_files(&self) -> io::Result<()> {
        if self.shared.identity.entra.is_none() {
            return Ok(());
        }
        std::fs::write(self.public_roots(), self.public_root_pem())?;
        self.try_project(&self.accepted_assertion()).map(|_| ())
    }

    fn try_project(&self, assertion: &Assertion) -> io::Result<String> {
        let token = self.assertion(assertion);
        // The kubelet replaces the file in one step.
        let next = self.folder.path().join("azure-identity-token.next");
        std::fs::write(&next, &token)?;
        std::fs::rename(next, self.assertion_file())?;
        Ok(token)
    }
}

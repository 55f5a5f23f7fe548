//! A minimal client: one request, and the response as received.
//!
//! Owns the paths of Events and a healthy Event. Unlike a library, it does not interpret or retry anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::server::{AGENT, ApiServer, NODE};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const MERGE_PATCH: &str = "application/merge-patch+json";
/// JSON is YAML.
const APPLY_PATCH: &str = "application/apply-patch+yaml";

/// Calls with the token of the agent's service account.
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// A response; the body is `null` unless it is JSON.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

impl Client {
    pub(crate) fn new(server: &ApiServer) -> Self {
        Self::through(server, server.url())
    }

    /// Uses another URL that presents the server's certificate.
    pub(crate) fn through(server: &ApiServer, url: String) -> Self {
        let http = http_client(server);
        Self { http, url, token: server.service_account_token().to_owned() }
    }

    /// Uses a shorter timeout.
    pub(crate) fn hurried(server: &ApiServer, limit: Duration) -> Self {
        let http = builder(server).timeout(limit).build().expect("the configuration is complete");
        Self { http, ..Self::new(server) }
    }

    pub(crate) async fn create(&self, namespace: &str, event: &Value) -> Answer {
        self.send(Method::POST, &events(namespace), Some(event)).await.expect("an answer")
    }

    /// Updates an Event by a merge patch, as `kube`'s recorder does.
    pub(crate) async fn patch(&self, name: &str, change: &Value) -> Answer {
        let path = format!("{}/{name}", events("default"));
        self.send(Method::PATCH, &path, Some(change)).await.expect("an answer")
    }

    /// Creates or updates an Event by server-side apply.
    pub(crate) async fn apply(&self, event: &Value) -> Answer {
        let path = format!("{}/{}?fieldManager={AGENT}&force=true", events("default"), name(event));
        self.send_as(Method::PATCH, &path, APPLY_PATCH, Some(event)).await.expect("an answer")
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let media_type = if method == Method::PATCH { MERGE_PATCH } else { "application/json" };
        self.send_as(method, path, media_type, body).await
    }

    async fn send_as(
        &self,
        method: Method,
        path: &str,
        media_type: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("Content-Type", media_type).body(body.to_string());
        }
        let response = request.send().await?;
        let retry_after = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.map(str::to_owned),
            body: serde_json::from_slice(&response.bytes().await?).unwrap_or_default(),
        })
    }
}

/// A client that only trusts the server's certificate authority.
pub(crate) fn http_client(server: &ApiServer) -> reqwest::Client {
    builder(server).timeout(PATIENCE).build().expect("the configuration is complete")
}

fn builder(server: &ApiServer) -> reqwest::ClientBuilder {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(server.ca_file()).expect("our own file");
    roots.add(root).expect("our own certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy()
}

/// Returns the path of the Events of a namespace.
pub(crate) fn events(namespace: &str) -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")
}

/// Returns an Event as the agent writes it, with a unique name.
pub(crate) fn event(note: &str) -> Value {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{NODE}.{:x}.{number}", Timestamp::now().as_microsecond());
    json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": { "name": name, "namespace": "default" },
        "eventTime": now(),
        "type": "Warning",
        "reason": "DnsPublicAddress",
        "action": "VerifyRegistry",
        "note": note,
        "reportingController": AGENT,
        "reportingInstance": NODE,
        "regarding": { "apiVersion": "v1", "kind": "Node", "name": NODE, "uid": NODE },
        "related": { "apiVersion": "v1", "kind": "Pod", "namespace": AGENT, "name": "acr-verifier-x7k2p" },
    })
}

/// Returns the current time in `MicroTime` format.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Returns the name of an Event.
pub(crate) fn name(event: &Value) -> &str {
    event["metadata"]["name"].as_str().expect("it has a name")
}

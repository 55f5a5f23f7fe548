//! A client that does what it is told: one request, the answer as it came.
//!
//! Owns the paths of Events and a healthy Event. Leaves alone all judgement and all retries, which a library would do.

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

/// A busy machine must not fail a test.
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

/// An answer; `null` where its body was not JSON.
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

    /// At another URL, where what answers shows the server's certificate.
    pub(crate) fn through(server: &ApiServer, url: String) -> Self {
        let http = http_client(server);
        Self { http, url, token: server.service_account_token().to_owned() }
    }

    /// With a limit other than a patient one.
    pub(crate) fn hurried(server: &ApiServer, limit: Duration) -> Self {
        let http = builder(server).timeout(limit).build().expect("the configuration is complete");
        Self { http, ..Self::new(server) }
    }

    pub(crate) async fn create(&self, namespace: &str, event: &Value) -> Answer {
        self.send(Method::POST, &events(namespace), Some(event)).await.expect("an answer")
    }

    /// As the recorder of `kube` does it: by a merge patch.
    pub(crate) async fn patch(&self, name: &str, change: &Value) -> Answer {
        let path = format!("{}/{name}", events("default"));
        self.send(Method::PATCH, &path, Some(change)).await.expect("an answer")
    }

    /// By server-side apply: makes the Event, or changes the one of this name.
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

/// A client that trusts the server's authority and no other.
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

/// The path of the Events of a namespace.
pub(crate) fn events(namespace: &str) -> String {
    format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events")
}

/// An Event as the agent writes it, with a name of its own.
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

/// The time in the form of a `MicroTime`.
pub(crate) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// The name of an Event.
pub(crate) fn name(event: &Value) -> &str {
    event["metadata"]["name"].as_str().expect("it has a name")
}

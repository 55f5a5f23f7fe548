//! A stub API server for agents: records applied Events, and can be unavailable, slow or overloaded.
//!
//! Contains the record and the pod environment in which an agent connects to it. A real API server (`tests/events`) would be
//! filled by 100,000 checks, and its clock cannot jump.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// Creates the files of a service account where a pod has them.
const IN_A_POD: &str = r#"
set -e
account=/run/secrets/kubernetes.io/serviceaccount
mount -t tmpfs none /run
mkdir -p "$account"
cp "$1" "$account/ca.crt"
printf a-token >"$account/token"
printf acr-verifier >"$account/namespace"
shift
exec "$@"
"#;

/// How the server handles a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Accepts it.
    #[default]
    Well,
    /// Accepts it after a delay in milliseconds.
    Slow(u64),
    /// Rejects it with this status.
    Refusing(u16),
    /// Accepts it, and closes the connection before the response.
    Forgetful,
}

/// An Event with the number of accepted and rejected attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Name of the Node it regards.
    pub node: String,
    /// Image at the start of its note.
    pub image: String,
    /// Reason of the Event.
    pub reason: String,
    /// Time of the Event, by the agent's clock.
    pub at: Timestamp,
    /// Accepted attempts; the Event exists if this is not 0.
    pub taken: u32,
    /// Accepted attempts without a response, of which the agent cannot know.
    pub lost: u32,
    /// Rejected attempts.
    pub refused: u32,
    /// Renewals of its failure: the count of its series minus 1.
    pub renewed: i64,
    /// Whether its content ever changed, which a real API server would reject.
    pub is_altered: bool,
    /// Hash of the content without its series.
    content: u64,
}

impl Arrived {
    /// Whether the agent received a success response.
    pub fn is_acknowledged(&self) -> bool {
        self.taken > self.lost
    }

    /// Attempts that failed for the agent.
    pub fn failed(&self) -> u32 {
        self.lost + self.refused
    }
}

#[derive(Default)]
struct Record {
    mood: Mood,
    /// In the order of their first arrival.
    events: Vec<Arrived>,
    /// Index of each Event by name.
    places: BTreeMap<String, usize>,
}

/// A running server; stops with the process.
pub struct ApiServer {
    /// Listen address, on loopback.
    pub address: SocketAddr,
    /// PEM file of its certificate authority.
    pub ca_file: PathBuf,
    record: Arc<Mutex<Record>>,
}

impl ApiServer {
    /// Starts the server on a new thread, with its CA certificate in a file in the folder.
    pub fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
        let ca_file = folder.join("cluster-ca.pem");
        fs::write(&ca_file, authority.pem())?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new(vec!["127.0.0.1".to_owned()])?.signed_by(&key, &authority)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key.into())?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let record = Arc::new(Mutex::new(Record::default()));
        let kept = Arc::clone(&record);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                serve(listener, &TlsAcceptor::from(Arc::new(config)), &kept).await;
            });
        });
        Ok(Self { address, ca_file, record })
    }

    /// Wraps a command to run as in a pod of this server's cluster: with its environment, and the files of a service account in
    /// a separate mount namespace. Requires root.
    pub fn in_a_pod(&self, node: &str, command: &Command) -> Command {
        let mut pod = Command::new("unshare");
        pod.args(["--mount", "sh", "-c", IN_A_POD, "sh"]).arg(&self.ca_file);
        pod.arg(command.get_program()).args(command.get_args());
        pod.env("KUBERNETES_SERVICE_HOST", self.address.ip().to_string());
        pod.env("KUBERNETES_SERVICE_PORT", self.address.port().to_string());
        pod.env("NODE_NAME", node).env("POD_NAME", "acr-verifier-x7k2p").env("POD_NAMESPACE", "acr-verifier");
        for (name, value) in command.get_envs() {
            // Variables that the command removes are those of a pod.
            if let Some(value) = value {
                pod.env(name, value);
            }
        }
        pod.stdin(Stdio::null()).stdout(Stdio::null());
        pod
    }

    /// Sets how requests are handled from now on.
    pub fn become_like(&self, mood: Mood) {
        lock(&self.record).mood = mood;
    }

    /// Returns every attempted Event, in the order of first attempts.
    pub fn arrived(&self) -> Vec<Arrived> {
        lock(&self.record).events.clone()
    }
}

async fn serve(listener: TcpListener, acceptor: &TlsAcceptor, record: &Arc<Mutex<Record>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (acceptor, record) = (acceptor.clone(), Arc::clone(record));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(|request| respond(request, &record));
            // Errors are expected: the client may have gone, and `Forgetful` closes the connection.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    record: &Mutex<Record>,
) -> anyhow::Result<Response<Full<Bytes>>> {
    let mood = lock(record).mood;
    if let Mood::Slow(milliseconds) = mood {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let body = request.into_body().collect().await?.to_bytes();
    lock(record).take(&serde_json::from_slice(&body)?, mood)?;
    if let Mood::Refusing(status) = mood {
        let status = StatusCode::from_u16(status)?;
        let text = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "reason": "Refused", "message": "not now"});
        return Ok(Response::builder().status(status).body(Full::from(text.to_string()))?);
    }
    anyhow::ensure!(mood != Mood::Forgetful, "the answer is lost");
    Ok(Response::new(Full::from(body)))
}

impl Record {
    fn take(&mut self, event: &Value, mood: Mood) -> anyhow::Result<()> {
        let text = |pointer: &str| {
            let found = event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            found.with_context(|| format!("an Event has {pointer}"))
        };
        let note = text("/note")?;
        let mut plain = event.clone();
        plain.as_object_mut().context("an Event is an object")?.remove("series");
        let mut content = DefaultHasher::new();
        plain.to_string().hash(&mut content);
        let content = content.finish();
        let end = self.events.len();
        let place = *self.places.entry(text("/metadata/name")?).or_insert(end);
        if place == end {
            self.events.push(Arrived {
                node: text("/regarding/name")?,
                image: note.split(": ").next().unwrap_or_default().to_owned(),
                reason: text("/reason")?,
                at: text("/eventTime")?.parse()?,
                taken: 0,
                lost: 0,
                refused: 0,
                renewed: 0,
                is_altered: false,
                content,
            });
        }
        let known = &mut self.events[place];
        known.is_altered |= known.content != content;
        if let Mood::Refusing(_) = mood {
            known.refused += 1;
            return Ok(());
        }
        known.taken += 1;
        known.lost += u32::from(mood == Mood::Forgetful);
        known.renewed = event.pointer("/series/count").and_then(Value::as_i64).map_or(0, |count| count - 1);
        Ok(())
    }
}

fn lock(record: &Mutex<Record>) -> std::sync::MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What agents take for an API server: it keeps the Events that are applied, and can be away, slow or overloaded.
//!
//! Owns the record, and how an agent gets to it as a pod would. The real API server is the tests' (`tests/events`); 100,000
//! checks would fill it, and its clock cannot jump.

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

/// Puts the files of a service account where a pod has them.
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

/// What the server does with a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes it.
    #[default]
    Well,
    /// Takes it, after so many milliseconds.
    Slow(u64),
    /// Answers with this status, and does not take it.
    Refusing(u16),
    /// Takes it, and breaks the connection before the answer.
    Forgetful,
}

/// An Event, and what became of the attempts at it: each one was taken or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The Node that it is about.
    pub(crate) node: String,
    /// The image that its note begins with.
    pub(crate) image: String,
    /// Its reason.
    pub(crate) reason: String,
    /// When its agent found out, by that agent's clock.
    pub(crate) at: Timestamp,
    /// How often it was taken; it is there where that is not 0.
    pub(crate) taken: u32,
    /// How often of these the answer was broken off, so that the agent cannot know.
    pub(crate) lost: u32,
    /// How often it was refused.
    pub(crate) refused: u32,
    /// How often its failure was renewed: what its series counts beside the first time.
    pub(crate) renewed: i64,
    /// Whether it ever came with another content, which a real API server would not take.
    pub(crate) is_altered: bool,
    /// The content without its series.
    content: u64,
}

impl Arrived {
    /// Whether the agent was told that it is there.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.taken > self.lost
    }

    /// Attempts whose failure the agent saw.
    pub(crate) fn failed(&self) -> u32 {
        self.lost + self.refused
    }
}

#[derive(Default)]
struct Record {
    mood: Mood,
    /// In the order in which they came first.
    events: Vec<Arrived>,
    /// Where each is, by its name.
    places: BTreeMap<String, usize>,
}

/// A running server; it ends with the process.
pub(crate) struct ApiServer {
    /// Where it listens, on loopback.
    pub(crate) address: SocketAddr,
    /// The certificate of the authority that vouches for it.
    pub(crate) ca_file: PathBuf,
    record: Arc<Mutex<Record>>,
}

impl ApiServer {
    /// Starts it on a thread of its own, with its certificate in a file of the folder.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
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

    /// The command in a pod of this server's cluster, with its environment: the files of a service account are where a pod
    /// has them, in a mount namespace of its own. Takes root.
    pub(crate) fn in_a_pod(&self, node: &str, command: &Command) -> Command {
        let mut pod = Command::new("unshare");
        pod.args(["--mount", "sh", "-c", IN_A_POD, "sh"]).arg(&self.ca_file);
        pod.arg(command.get_program()).args(command.get_args());
        pod.env("KUBERNETES_SERVICE_HOST", self.address.ip().to_string());
        pod.env("KUBERNETES_SERVICE_PORT", self.address.port().to_string());
        pod.env("NODE_NAME", node).env("POD_NAME", "acr-verifier-x7k2p").env("POD_NAMESPACE", "acr-verifier");
        for (name, value) in command.get_envs() {
            // What is taken away from the environment is what a pod has.
            if let Some(value) = value {
                pod.env(name, value);
            }
        }
        pod.stdin(Stdio::null()).stdout(Stdio::null());
        pod
    }

    /// How requests fare from now on.
    pub(crate) fn become_like(&self, mood: Mood) {
        lock(&self.record).mood = mood;
    }

    /// Every Event of which an attempt came, in the order in which the first ones did.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
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
            // A client that is gone needs nothing more; a forgetful server breaks it off.
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

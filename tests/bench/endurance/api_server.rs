//! What the agents take for an API server: it keeps the Events that are applied, and can be away, slow or overloaded.
//!
//! Owns the record. The real API server is the tests' (`tests/events`); here 100,000 checks would fill it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

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

/// An Event as it was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The Node that it is about.
    pub(crate) node: String,
    /// The image that its note begins with.
    pub(crate) image: String,
    /// Its reason.
    pub(crate) reason: String,
}

#[derive(Default)]
struct Record {
    mood: Mood,
    /// By its name, in the order in which they came first.
    events: Vec<(String, Applied)>,
    /// How many there are of each name, renewals included.
    counts: BTreeMap<String, u64>,
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

    /// How requests fare from now on.
    pub(crate) fn become_like(&self, mood: Mood) {
        lock(&self.record).mood = mood;
    }

    /// The Events of an image of a Node, oldest first; those of one name are one.
    pub(crate) fn reasons(&self, node: &str, image: &str) -> Vec<String> {
        let record = lock(&self.record);
        let of = record.events.iter().filter(|(_, event)| event.node == node && event.image == image);
        of.map(|(_, event)| event.reason.clone()).collect()
    }

    /// How many different Events there are.
    pub(crate) fn all(&self) -> usize {
        lock(&self.record).events.len()
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
    if let Mood::Refusing(status) = mood {
        let status = StatusCode::from_u16(status)?;
        let text = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "reason": "Refused", "message": "not now"});
        return Ok(Response::builder().status(status).body(Full::from(text.to_string()))?);
    }
    let event: Value = serde_json::from_slice(&body)?;
    lock(record).take(&event)?;
    anyhow::ensure!(mood != Mood::Forgetful, "the answer is lost");
    Ok(Response::new(Full::from(body)))
}

impl Record {
    fn take(&mut self, event: &Value) -> anyhow::Result<()> {
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let name = text("/metadata/name").context("an Event has a name")?;
        let count = self.counts.entry(name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            return Ok(());
        }
        let note = text("/note").context("an Event has a note")?;
        let applied = Applied {
            node: text("/regarding/name").context("it is about a Node")?,
            image: note.split(": ").next().unwrap_or_default().to_owned(),
            reason: text("/reason").context("it has a reason")?,
        };
        self.events.push((name, applied));
        Ok(())
    }
}

fn lock(record: &Mutex<Record>) -> std::sync::MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

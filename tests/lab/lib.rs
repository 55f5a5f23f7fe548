//! A private registry on loopback: nameservers, the login endpoint, the data endpoint, and on request IMDS and Entra ID, on
//! real sockets.
//!
//! Owns the lifecycle of a lab (start, change, stop) and the API for tests. All faults are in `settings.rs` and `answers.rs`.
//! The lab simulates Azure, and knows nothing of the program under test, not even its types.
//!
//! A lab runs on its own thread, so tests may block or pause their clock.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "only tests use it: its modules say what leaves the crate, and names say what settings and records are"
)]
#![allow(clippy::disallowed_methods, reason = "the lab simulates Azure, which has its own clock")]

mod answering;
pub mod answers;
mod authorities;
mod canned;
mod certificates;
mod challenges;
pub mod content;
mod data;
mod dns;
mod echo;
mod entra;
mod exchange;
mod framing;
mod http;
mod identity;
mod identity_tokens;
mod imds;
mod lies;
mod links;
mod listener;
pub mod log;
mod manifests;
pub mod oddities;
mod places;
mod random;
mod registry;
mod response;
pub mod settings;
mod shared;
mod tokens;
mod upstream;
mod wire;
mod zones;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::answers::Step;
pub use self::authorities::PUBLIC_ENTRA;
pub use self::canned::SEEN_ADDRESS;
pub use self::certificates::{INSPECTION_CA, ISSUING_CA};
pub use self::exchange::REFRESH_TOKEN_USER;
use self::identity_tokens::IdentityServices;
use self::log::{Connection, Listener, Query, Request};
use self::settings::Settings;
use self::shared::Shared;
pub use self::tokens::ISSUER;
pub use self::zones::{PUBLIC_DATA, PUBLIC_LOGIN};

/// A running lab, stopped on drop.
pub struct Lab {
    shared: Arc<Shared>,
    nameservers: Vec<SocketAddr>,
    folder: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The message of the lab's thread once its sockets are open.
type Started = io::Result<(Arc<Shared>, Vec<SocketAddr>)>;

impl Lab {
    /// Starts a lab, and returns when it is ready.
    pub fn start(settings: Settings) -> Self {
        Self::try_start(settings).unwrap_or_else(|error| panic!("the lab does not start: {error}"))
    }

    /// Starts a lab; fails if an address or a port is not available.
    pub fn try_start(settings: Settings) -> io::Result<Self> {
        let (tell, reported) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new()
            .name("lab".into())
            .spawn(move || runtime.block_on(run(settings, &tell, stopped)))?;
        let (shared, nameservers) = reported.recv().map_err(io::Error::other)??;
        shared.wait_for(0).map_err(io::Error::other)?;
        let lab =
            Self { shared, nameservers, folder: TempDir::new()?, stop: Some(stop), thread: Some(thread) };
        lab.remember_credentials();
        lab.write_files()?;
        lab.write_identity_files()?;
        Ok(lab)
    }

    /// Changes the settings. When it returns, every listener has applied them to new queries, connections and requests;
    /// established connections stay open.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let number = self.shared.change(change);
        self.remember_credentials();
        self.shared.wait_for(number).unwrap_or_else(|problem| panic!("{problem}"));
    }

    /// The default image.
    pub fn image(&self) -> String {
        self.image_of(content::REPOSITORY, ":1")
    }

    /// An image by repository and `:tag` or `@digest`.
    pub fn image_of(&self, repository: &str, reference: &str) -> String {
        format!("{}/{repository}{reference}", self.registry())
    }

    /// The login server as in image references, with the port unless it is 443.
    pub fn registry(&self) -> String {
        self.shared.authority(&self.login_server())
    }

    /// The login server's name.
    pub fn login_server(&self) -> String {
        self.shared.place.login_server()
    }

    /// The data endpoint's name.
    pub fn data_endpoint(&self) -> String {
        self.shared.place.data_endpoint()
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The address of the login endpoint.
    pub fn login_address(&self) -> SocketAddr {
        SocketAddr::new(self.shared.place.login_address, self.port())
    }

    /// The address of the data endpoint.
    pub fn data_address(&self) -> SocketAddr {
        SocketAddr::new(self.shared.place.data_address, self.port())
    }

    /// The nameservers, in the order of the settings.
    pub fn nameservers(&self) -> Vec<SocketAddr> {
        self.nameservers.clone()
    }

    /// The digest of a tag of the default repository.
    pub fn digest(&self, tag: &str) -> String {
        self.shared.content.digest(tag).unwrap_or_else(|| panic!("the lab has no tag {tag}")).to_owned()
    }

    /// The stored manifest of a tag or digest of the default repository.
    pub fn manifest(&self, reference: &str) -> content::Manifest {
        let repository =
            self.shared.content.repository(content::REPOSITORY).expect("the lab has its repository");
        let (_, manifest) =
            repository.manifest(reference).unwrap_or_else(|| panic!("the lab has no manifest {reference}"));
        manifest.clone()
    }

    /// The content of the default repository.
    pub fn repository(&self) -> &content::Repository {
        self.shared.content.repository(content::REPOSITORY).expect("the lab has its repository")
    }

    /// Whether any repository has a manifest with this digest.
    pub fn has_manifest(&self, digest: &str) -> bool {
        let repositories =
            [content::REPOSITORY, oddities::ODD].map(|name| self.shared.content.repository(name));
        repositories.into_iter().flatten().any(|repository| repository.manifest(digest).is_some())
    }

    /// The root certificate that clients must trust.
    pub fn ca_pem(&self) -> &str {
        self.shared.certificates.root_pem()
    }

    /// The same in a file.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The certificate of the key that signs tokens, for a foreign registry's root certificate bundle.
    pub fn token_certificate_pem(&self) -> &str {
        self.shared.tokens.certificate_pem()
    }

    pub fn username(&self) -> String {
        self.shared.settings().settings.credentials.username.clone()
    }

    pub fn password(&self) -> String {
        self.shared.settings().settings.credentials.password.clone()
    }

    /// A folder with a docker `config.json` for the credentials that the lab started with.
    pub fn credentials_folder(&self) -> PathBuf {
        self.folder.path().join("docker")
    }

    /// A folder with the files `username` and `password`, like a mounted secret.
    pub fn secret_folder(&self) -> PathBuf {
        self.folder.path().join("secret")
    }

    /// A folder of the lab, removed with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// All DNS queries so far.
    pub fn queries(&self) -> Vec<Query> {
        self.shared.log.queries.all()
    }

    /// All requests so far, in the order in which they were answered.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.requests.all()
    }

    /// The requests of one step.
    pub fn requests_of(&self, step: Step) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.step == Some(step)).collect()
    }

    /// All accepted connections so far.
    pub fn all_connections(&self) -> Vec<Connection> {
        self.shared.log.connections.all()
    }

    /// The number of TCP connections that a listener accepted; none for a closed port or a full queue.
    pub fn connections(&self, listener: Listener) -> usize {
        self.all_connections().iter().filter(|connection| connection.listener == listener).count()
    }

    /// Clears queries, connections and requests, but not the secrets.
    pub fn forget(&self) {
        self.shared.log.queries.clear();
        self.shared.log.connections.clear();
        self.shared.log.requests.clear();
    }

    /// Everything that no output may contain: the password, the base64 credentials, and the tokens and signed values issued so
    /// far.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.shared.log.secrets.all();
        secrets.sort();
        secrets.dedup();
        secrets
    }

    /// A changed password remains a secret.
    fn remember_credentials(&self) {
        self.shared.log.remember_pair(&self.username(), &self.password());
    }

    fn write_files(&self) -> io::Result<()> {
        std::fs::write(self.ca_file(), self.ca_pem())?;
        let (username, password) = (self.username(), self.password());
        let auth = STANDARD.encode(format!("{username}:{password}"));
        let config = serde_json::json!({
            "auths": {self.registry(): {"username": username, "password": password, "auth": auth}},
        });
        std::fs::create_dir(self.credentials_folder())?;
        std::fs::write(self.credentials_folder().join("config.json"), config.to_string())?;
        std::fs::create_dir(self.secret_folder())?;
        std::fs::write(self.secret_folder().join("username"), username)?;
        std::fs::write(self.secret_folder().join("password"), password)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Dropping the sender stops the thread; joining ensures that the ports are free again.
        self.stop.take();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

/// The lab's thread: reserves ports, reports them, serves, and drops everything when the lab stops.
async fn run(settings: Settings, tell: &mpsc::Sender<Started>, stopped: oneshot::Receiver<()>) {
    let reserved = places::reserve_endpoints(&settings.place).and_then(|endpoints| {
        let nameservers = settings.nameservers.iter().map(places::reserve_nameserver);
        let nameservers = nameservers.collect::<io::Result<Vec<_>>>()?;
        let reserve = |address: Option<SocketAddr>| address.map(places::reserve_service).transpose();
        let (imds, entra) = (settings.identity.imds.address, settings.identity.entra.address);
        Ok((endpoints, nameservers, [(Listener::Imds, reserve(imds)?), (Listener::Entra, reserve(entra)?)]))
    });
    let (endpoints, nameservers, services) = match reserved {
        Ok(reserved) => reserved,
        Err(error) => {
            // The receiver is gone if the test has ended.
            let _ = tell.send(Err(error));
            return;
        }
    };
    let port = endpoints[0].address.port();
    let first_decoy =
        2 + settings.place.replicas.len() + usize::from(settings.place.storage_address.is_some());
    let addresses = nameservers.iter().map(|place| place.address).collect();
    let [imds, entra] = services.each_ref().map(|(_, place)| place.as_ref().map(|place| place.address));
    let seats = endpoints.len() + nameservers.len() + [imds, entra].iter().flatten().count();
    let shared = Arc::new(Shared::new(settings, port, IdentityServices::new(imds, entra), seats));
    let mut servers = JoinSet::new();
    let mut numbers = 0..;
    for (number, place) in endpoints.into_iter().enumerate() {
        let listener = match number {
            0 => Listener::Login,
            data if data < first_decoy => Listener::Data,
            decoy => Listener::Decoy(decoy - first_decoy),
        };
        servers.spawn(listener::serve(
            Arc::clone(&shared),
            listener,
            place,
            numbers.next().unwrap_or_default(),
        ));
    }
    for (number, place) in nameservers.into_iter().enumerate() {
        servers.spawn(dns::serve(Arc::clone(&shared), number, place, numbers.next().unwrap_or_default()));
    }
    for (listener, place) in services {
        if let Some(place) = place {
            let seat = numbers.next().unwrap_or_default();
            servers.spawn(listener::serve(Arc::clone(&shared), listener, place, seat));
        }
    }
    let _ = tell.send(Ok((shared, addresses)));
    tokio::select! {
        _ = stopped => {}
        Some(Err(error)) = servers.join_next() => {
            if let Ok(panic) = error.try_into_panic() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

//! The settings of a lab: names, addresses, credentials, and the faults of each part.
//!
//! Owns the settings of the lab and its endpoints; those of the nameservers are in [`nameservers`], those of the identities in
//! [`identity`], the responses of the HTTP steps in `answers.rs`. Every fault is a variant in one of them: a test never manipulates a socket.

mod identity;
mod nameservers;
mod requests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::answers::{
    Answer, BlobFault, Canned, ChallengeFault, Delivery, ManifestFault, RedirectFault, Step, StepSettings,
    TokenFault,
};
use super::random;

pub use identity::{
    ARM_AUDIENCE, ASSERTION_AUDIENCE, AUTHORITIES, AbacRefusal, Assertion, AuthorityNames, EntraFault,
    ExchangeFault, FederatedCredential, Identity, ImdsFault, ManagedIdentity, REGISTRY_AUDIENCE, Rights,
    Service, TokenDefect, Validity,
};
pub use nameservers::{
    Behaviour, ChainRecord, ExtendedError, Nameserver, Rcode, RecordValue, Stale, TcpDeath, View,
};
pub use requests::{Methods, Post, Reuse};

/// All settings of a lab. `place` is read once, at the start; the rest may change while the lab runs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub place: Place,
    pub credentials: Credentials,
    pub identity: Identity,
    pub nameservers: Vec<Nameserver>,
    pub login: Endpoint,
    pub data: Endpoint,
    pub methods: Methods,
    /// The step that answers 401 and repeats what it received.
    pub echoing: Option<Step>,
    /// `GET /v2/` and a manifest without an authorization, and the challenge of every request without a bearer token.
    pub challenge: StepSettings<ChallengeFault>,
    /// `POST /oauth2/exchange`.
    pub exchange: StepSettings<ExchangeFault>,
    pub token: StepSettings<TokenFault>,
    pub manifest: StepSettings<ManifestFault>,
    pub blob_redirect: StepSettings<RedirectFault>,
    pub blob: StepSettings<BlobFault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            place: Place::default(),
            credentials: Credentials::default(),
            identity: Identity::default(),
            nameservers: vec![Nameserver::default()],
            login: Endpoint::default(),
            data: Endpoint::default(),
            methods: Methods::default(),
            echoing: None,
            challenge: StepSettings::default(),
            exchange: StepSettings::default(),
            token: StepSettings::default(),
            manifest: StepSettings::default(),
            blob_redirect: StepSettings::default(),
            blob: StepSettings::default(),
        }
    }
}

impl Settings {
    /// The delivery of a step's responses.
    pub fn delivery(&self, step: Step) -> &Delivery {
        match step {
            Step::Challenge => &self.challenge.delivery,
            Step::Exchange => &self.exchange.delivery,
            Step::Token => &self.token.delivery,
            Step::Manifest => &self.manifest.delivery,
            Step::BlobRedirect => &self.blob_redirect.delivery,
            Step::Blob => &self.blob.delivery,
        }
    }

    /// The answers that a step gives before its own.
    pub fn first(&self, step: Step) -> &[Canned] {
        match step {
            Step::Challenge => &self.challenge.first,
            Step::Exchange => &self.exchange.first,
            Step::Token => &self.token.first,
            Step::Manifest => &self.manifest.first,
            Step::BlobRedirect => &self.blob_redirect.first,
            Step::Blob => &self.blob.first,
        }
    }

    /// Makes a step give these answers first, for tests that cover all steps.
    pub fn answer_first(&mut self, step: Step, first: &[Canned]) {
        let first = first.to_vec();
        match step {
            Step::Challenge => self.challenge.first = first,
            Step::Exchange => self.exchange.first = first,
            Step::Token => self.token.first = first,
            Step::Manifest => self.manifest.first = first,
            Step::BlobRedirect => self.blob_redirect.first = first,
            Step::Blob => self.blob.first = first,
        }
    }

    /// Endpoints in a network of the test's own, at Azure's port, with a foreign registry's hint at keys, no nameserver.
    #[allow(dead_code, reason = "on loopback the lab takes a free port")]
    pub fn on_azures_port(login: IpAddr, data: IpAddr) -> Self {
        let mut settings = Self { nameservers: Vec::new(), ..Self::default() };
        settings.place.login_address = login;
        settings.place.data_address = data;
        settings.place.port = Some(443);
        settings.place.key_hint = KeyHint::Certificate;
        settings
    }

    /// Sets the delivery of a step's responses, for tests that cover all steps.
    pub fn deliver(&mut self, step: Step, delivery: Delivery) {
        match step {
            Step::Challenge => self.challenge.delivery = delivery,
            Step::Exchange => self.exchange.delivery = delivery,
            Step::Token => self.token.delivery = delivery,
            Step::Manifest => self.manifest.delivery = delivery,
            Step::BlobRedirect => self.blob_redirect.delivery = delivery,
            Step::Blob => self.blob.delivery = delivery,
        }
    }

    /// Makes a step give a canned answer, for tests that cover all steps.
    pub fn answer(&mut self, step: Step, canned: Canned) {
        match step {
            Step::Challenge => self.challenge.answer = Answer::Canned(canned),
            Step::Exchange => self.exchange.answer = Answer::Canned(canned),
            Step::Token => self.token.answer = Answer::Canned(canned),
            Step::Manifest => self.manifest.answer = Answer::Canned(canned),
            Step::BlobRedirect => self.blob_redirect.answer = Answer::Canned(canned),
            Step::Blob => self.blob.answer = Answer::Canned(canned),
        }
    }
}

/// The addresses and names of the registry. Read once, at the start.
#[derive(Clone, Debug)]
pub struct Place {
    /// The registry's own name, the first label of the login server.
    pub registry: String,
    /// `azurecr.io`, `azurecr.us` or `azurecr.cn`.
    pub suffix: String,
    pub region: String,
    /// Whether the login server is the regional one of the registry: `contoso.westeurope.geo.azurecr.io`.
    pub regional: bool,
    /// Login and data endpoint share the port, so their addresses differ.
    pub login_address: IpAddr,
    pub data_address: IpAddr,
    /// Additional regions of the registry, each with the address of its data endpoint; same port.
    pub replicas: Vec<(&'static str, IpAddr)>,
    /// Azure's public blob storage, if reachable; same port.
    pub storage_address: Option<IpAddr>,
    /// Decoys: further addresses of the login endpoint that must never be contacted; same port.
    pub decoy_addresses: Vec<IpAddr>,
    /// The port of all endpoints; `None` selects a port that is free at every address.
    pub port: Option<u16>,
    /// How tokens name the key that signed them.
    pub key_hint: KeyHint,
    /// An upstream registry with the content, over plain HTTP; `None` uses the lab's own.
    pub upstream: Option<SocketAddr>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            registry: "contoso".into(),
            suffix: "azurecr.io".into(),
            region: "westeurope".into(),
            regional: false,
            login_address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)),
            data_address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
            replicas: Vec::new(),
            storage_address: None,
            decoy_addresses: Vec::new(),
            port: None,
            key_hint: KeyHint::KeyId,
            upstream: None,
        }
    }
}

impl Place {
    pub fn login_server(&self) -> String {
        format!("{}.{}", self.login_label(), self.suffix)
    }

    /// The login server without its suffix.
    fn login_label(&self) -> String {
        if self.regional { format!("{}.{}.geo", self.registry, self.region) } else { self.registry.clone() }
    }

    pub fn data_endpoint(&self) -> String {
        self.data_endpoint_of(&self.region)
    }

    pub fn data_endpoint_of(&self, region: &str) -> String {
        format!("{}.{region}.data.{}", self.registry, self.suffix)
    }

    /// The private zone with the records of the private endpoint.
    pub fn private_zone(&self) -> String {
        format!("privatelink.{}", self.suffix)
    }

    pub fn login_private_name(&self) -> String {
        format!("{}.{}", self.login_label(), self.private_zone())
    }

    pub fn data_private_name(&self) -> String {
        format!("{}.{}.data.{}", self.registry, self.region, self.private_zone())
    }
}

/// How a token's header identifies the signing key; other registries may require either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHint {
    /// Only type and algorithm.
    None,
    /// `kid` in libtrust's form, as ACR does.
    KeyId,
    /// `x5c` with the token certificate, for a registry that has it in its root certificate bundle.
    Certificate,
}

/// The only scope map token that the token service knows.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    pub grant: Grant,
    /// Whether the registry allows anonymous pulls: a `GET` of a token without an authorization is granted.
    pub anonymous: bool,
}

impl Default for Credentials {
    fn default() -> Self {
        Self {
            username: "canary-token".into(),
            password: random::password(),
            grant: Grant::Everything,
            anonymous: false,
        }
    }
}

/// What the scope map allows. ACR issues a token in any case; the registry rejects the pull later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Pull on every repository, as the scope map `_repositories_pull`.
    Everything,
    /// Pull on these repositories.
    Repositories(Vec<String>),
}

/// How an endpoint accepts connections.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    pub transport: Transport,
    pub certificate: Certificate,
    pub tls: TlsVersions,
    pub reuse: Reuse,
}

/// What happens to a connection before the first request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// TLS, then HTTP.
    #[default]
    Serve,
    /// Nothing listens: connection refused. The port stays reserved.
    Closed,
    /// The accept queue is full, so the kernel drops each SYN: the connect times out.
    AcceptQueueFull,
    /// Accepts and sends a RST, after the client has noticed that it is connected.
    ResetOnAccept,
    /// Accepts and closes gracefully.
    CloseOnAccept,
    /// Accepts and never answers the TLS handshake.
    SilentAfterAccept,
    /// Resets in the middle of the TLS handshake, after the client hello.
    ResetInHandshake,
    /// Answers the TLS handshake with an HTTP page in clear text.
    PlainHttp,
    /// Answers the client hello with a server hello at one byte per second.
    DrippingHandshake,
    /// Answers the client hello with endless warnings (TLS alerts of level 1), as fast as they are read.
    EndlessAlerts,
    /// Answers the client hello with endless empty records, as fast as they are read.
    EndlessRecords,
}

/// The certificate of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// The wildcard for the endpoint's name, by "Lab Azure TLS Issuing CA 01" under the lab's root; six months.
    #[default]
    Good,
    /// The correct names by "Contoso TLS Inspection CA", which is not trusted.
    Untrusted,
    /// The correct names, self-signed.
    SelfSigned,
    /// Issued under the lab's root, but the intermediate is not sent.
    MissingIntermediate,
    /// An unrelated name.
    WrongName,
    /// Expired yesterday.
    Expired,
    /// Valid from tomorrow.
    NotYetValid,
    /// Valid, and expires in this many days.
    ExpiresIn(u32),
    /// Valid, and never expires: until `99991231235959Z`, as appliances write it.
    Endless,
    /// The correct names by "Contoso TLS Inspection CA", never expires.
    UntrustedEndless,
    /// Expired before 1970, by "Contoso TLS Inspection CA".
    UntrustedAncient,
    /// An unrelated name, as both alternative name and subject.
    Saying(&'static str),
    /// Valid, followed by this many unrelated authorities.
    Crowded(usize),
}

/// The TLS versions that an endpoint supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersions {
    #[default]
    Both,
    Only12,
    Only13,
}

//! What a lab is told: names, addresses, credentials, and for each part whether it works or how it misbehaves.
//!
//! Owns the settings of the lab as a whole and of the endpoints; those of the nameservers are in [`nameservers`], and what the
//! HTTP steps answer is in `answers.rs`. All misbehaviour is a variant here or there: a test never reaches into a socket.

mod nameservers;
mod requests;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::answers::{
    Answer, BlobFault, Canned, ChallengeFault, Delivery, ManifestFault, RedirectFault, Step, StepSettings,
    TokenFault,
};
use super::random;

pub use nameservers::{
    Behaviour, ChainRecord, ExtendedError, Nameserver, Rcode, RecordValue, TcpDeath, View,
};
pub use requests::{Methods, Post, Reuse};

/// All settings of a lab. `place` is read once, at the start; the rest may change while the lab runs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub place: Place,
    pub credentials: Credentials,
    pub nameservers: Vec<Nameserver>,
    pub login: Endpoint,
    pub data: Endpoint,
    pub methods: Methods,
    /// `GET /v2/` and a manifest without an authorization, and the challenge of every request without a bearer token.
    pub challenge: StepSettings<ChallengeFault>,
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
            nameservers: vec![Nameserver::default()],
            login: Endpoint::default(),
            data: Endpoint::default(),
            methods: Methods::default(),
            challenge: StepSettings::default(),
            token: StepSettings::default(),
            manifest: StepSettings::default(),
            blob_redirect: StepSettings::default(),
            blob: StepSettings::default(),
        }
    }
}

impl Settings {
    /// How the answers of a step travel.
    pub fn delivery(&self, step: Step) -> &Delivery {
        match step {
            Step::Challenge => &self.challenge.delivery,
            Step::Token => &self.token.delivery,
            Step::Manifest => &self.manifest.delivery,
            Step::BlobRedirect => &self.blob_redirect.delivery,
            Step::Blob => &self.blob.delivery,
        }
    }

    /// The answers that a step gives before its own one.
    pub fn first(&self, step: Step) -> &[Canned] {
        match step {
            Step::Challenge => &self.challenge.first,
            Step::Token => &self.token.first,
            Step::Manifest => &self.manifest.first,
            Step::BlobRedirect => &self.blob_redirect.first,
            Step::Blob => &self.blob.first,
        }
    }

    /// Lets a step give these answers first, for tests that go through all steps.
    pub fn answer_first(&mut self, step: Step, first: &[Canned]) {
        let first = first.to_vec();
        match step {
            Step::Challenge => self.challenge.first = first,
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

    /// Sets how the answers of a step travel, for tests that go through all steps.
    pub fn deliver(&mut self, step: Step, delivery: Delivery) {
        match step {
            Step::Challenge => self.challenge.delivery = delivery,
            Step::Token => self.token.delivery = delivery,
            Step::Manifest => self.manifest.delivery = delivery,
            Step::BlobRedirect => self.blob_redirect.delivery = delivery,
            Step::Blob => self.blob.delivery = delivery,
        }
    }

    /// Lets a step give a canned answer, for tests that go through all steps.
    pub fn answer(&mut self, step: Step, canned: Canned) {
        match step {
            Step::Challenge => self.challenge.answer = Answer::Canned(canned),
            Step::Token => self.token.answer = Answer::Canned(canned),
            Step::Manifest => self.manifest.answer = Answer::Canned(canned),
            Step::BlobRedirect => self.blob_redirect.answer = Answer::Canned(canned),
            Step::Blob => self.blob.answer = Answer::Canned(canned),
        }
    }
}

/// Where the registry is and what it is called. Read once, at the start.
#[derive(Clone, Debug)]
pub struct Place {
    /// The registry's own name, the first label of the login server.
    pub registry: String,
    /// `azurecr.io`, `azurecr.us` or `azurecr.cn`.
    pub suffix: String,
    pub region: String,
    /// Login and data endpoint share the port, so their addresses differ.
    pub login_address: IpAddr,
    pub data_address: IpAddr,
    /// Further regions that hold the registry, each with the address of its data endpoint; same port.
    pub replicas: Vec<(&'static str, IpAddr)>,
    /// Azure's public blob storage, where it can be reached; same port.
    pub storage_address: Option<IpAddr>,
    /// Further addresses where the login endpoint answers although nobody should go there; same port.
    pub decoy_addresses: Vec<IpAddr>,
    /// The one port of all endpoints; none takes a port that is free at every address.
    pub port: Option<u16>,
    /// How tokens name the key that signed them.
    pub key_hint: KeyHint,
    /// A foreign registry that has the content, by plain HTTP; none takes the lab's own.
    pub upstream: Option<SocketAddr>,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            registry: "contoso".into(),
            suffix: "azurecr.io".into(),
            region: "westeurope".into(),
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
        format!("{}.{}", self.registry, self.suffix)
    }

    pub fn data_endpoint(&self) -> String {
        self.data_endpoint_of(&self.region)
    }

    pub fn data_endpoint_of(&self, region: &str) -> String {
        format!("{}.{region}.data.{}", self.registry, self.suffix)
    }

    /// The private zone, in which the records of the private endpoint live.
    pub fn private_zone(&self) -> String {
        format!("privatelink.{}", self.suffix)
    }

    pub fn login_private_name(&self) -> String {
        format!("{}.{}", self.registry, self.private_zone())
    }

    pub fn data_private_name(&self) -> String {
        format!("{}.{}.data.{}", self.registry, self.region, self.private_zone())
    }
}

/// How a token's header names the signing key; a foreign registry may want one or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHint {
    /// Nothing but type and algorithm.
    None,
    /// `kid` in libtrust's form, as ACR does.
    KeyId,
    /// `x5c` with the token certificate, for a registry that is given it as its root certificate bundle.
    Certificate,
}

/// The one scope-map token that the token service knows.
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

/// What the scope map allows. ACR hands out a token in any case; it is the registry that refuses later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Pull on every repository, as the scope map `_repositories_pull`.
    Everything,
    /// Pull on these repositories.
    Repositories(Vec<String>),
}

/// How one endpoint takes connections.
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
    /// The accept queue is full, so that the kernel drops each SYN: the connect times out.
    AcceptQueueFull,
    /// Accepts and sends a RST, late enough for the client to have noticed that it is connected.
    ResetOnAccept,
    /// Accepts and closes in good order.
    CloseOnAccept,
    /// Accepts and never answers the TLS handshake.
    SilentAfterAccept,
    /// Resets in the middle of the TLS handshake, after the client hello.
    ResetInHandshake,
    /// Answers the TLS handshake with an HTTP page in clear text.
    PlainHttp,
    /// Answers the client hello with a server hello that comes a byte a second.
    DrippingHandshake,
    /// Answers the client hello with warnings (TLS alerts of level 1) without end, as fast as they are read.
    EndlessAlerts,
    /// Answers the client hello with empty records without end, as fast as they are read.
    EndlessRecords,
}

/// The certificate that an endpoint shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Certificate {
    /// The wildcard for the endpoint's name, by "Lab Azure TLS Issuing CA 01" under the lab's root; six months.
    #[default]
    Good,
    /// The right names by "Contoso TLS Inspection CA", which nobody trusts.
    Untrusted,
    /// The right names, signed by its own key.
    SelfSigned,
    /// The lab's root, but the issuing CA is not sent along.
    MissingIntermediate,
    /// A name that has nothing to do with the registry.
    WrongName,
    /// Ran out yesterday.
    Expired,
    /// Counts from tomorrow.
    NotYetValid,
    /// Good, and runs out in this many days.
    ExpiresIn(u32),
    /// Good, and without an end: until `99991231235959Z`, as appliances write it.
    Endless,
    /// The right names by "Contoso TLS Inspection CA", and without an end.
    UntrustedEndless,
    /// Ended before 1970, and by "Contoso TLS Inspection CA".
    UntrustedAncient,
    /// A name that has nothing to do with the registry, in place of its own and as a subject.
    Saying(&'static str),
    /// Good, followed by this many authorities that have nothing to do with it.
    Crowded(usize),
}

/// The TLS versions that an endpoint speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersions {
    #[default]
    Both,
    Only12,
    Only13,
}

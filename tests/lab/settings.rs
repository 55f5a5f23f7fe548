//! What a lab is told: names, addresses, credentials, and for each part whether it works or how it misbehaves.
//!
//! Owns the settings of the lab as a whole, of the nameservers and of the endpoints; what the HTTP steps answer is in
//! `answers.rs`. All misbehaviour is a variant here or there: a test never reaches into a socket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::answers::{
    Answer, BlobFault, ChallengeFault, Delivery, ManifestFault, RedirectFault, Step, StepSettings, TokenFault,
};
use super::random;

/// All settings of a lab. `place` is read once, at the start; the rest may change while the lab runs.
#[derive(Clone, Debug)]
pub struct Settings {
    pub place: Place,
    pub credentials: Credentials,
    pub nameservers: Vec<Nameserver>,
    pub login: Endpoint,
    pub data: Endpoint,
    /// `GET /v2/`, and the challenge of every request without a bearer token.
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
    pub fn answer(&mut self, step: Step, canned: super::answers::Canned) {
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
}

impl Default for Credentials {
    fn default() -> Self {
        Self { username: "canary-token".into(), password: random::password(), grant: Grant::Everything }
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

/// One nameserver with its own view of both names.
#[derive(Clone, Debug)]
pub struct Nameserver {
    /// Read once, at the start; none takes a free port of 127.0.0.1.
    pub address: Option<SocketAddr>,
    pub behaviour: Behaviour,
    pub login: View,
    pub data: View,
}

impl Default for Nameserver {
    fn default() -> Self {
        Self { address: None, behaviour: Behaviour::Answer, login: View::Private, data: View::Private }
    }
}

impl Nameserver {
    /// A nameserver that gives both names the same view.
    pub fn seeing(view: View) -> Self {
        Self { login: view.clone(), data: view, ..Self::default() }
    }

    /// A nameserver that would answer rightly, were it not for this behaviour.
    pub fn behaving(behaviour: Behaviour) -> Self {
        Self { behaviour, ..Self::default() }
    }
}

/// What a nameserver knows of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum View {
    /// The healthy chain: the privatelink name with the address where the endpoint of the lab listens.
    Private,
    /// The healthy chain with these addresses instead, IPv4 as A and IPv6 as AAAA, in this order.
    Addresses(Vec<IpAddr>),
    /// A private endpoint exists, this nameserver does not see the zone: privatelink, then the public chain.
    NotLinked,
    /// The registry has no private endpoint: the public chain without a privatelink name.
    NoPrivateEndpoint,
    /// The zone is linked, the record is absent: CNAME to the privatelink name, which is NXDOMAIN.
    RecordMissing,
    /// The privatelink name exists and has no address: CNAME, then an empty NOERROR.
    RecordEmpty,
    /// NXDOMAIN for the name itself.
    NoSuchName,
    /// These records and this rcode, word for word; of A and AAAA only what was asked for.
    Chain(Vec<ChainRecord>, Rcode),
    /// Two CNAMEs that point to each other.
    CnameLoop,
    /// This many CNAMEs before the right address.
    LongChain(usize),
}

/// One record of a free-form chain. Names without a closing dot are absolute all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRecord {
    pub name: String,
    pub value: RecordValue,
    pub ttl: u32,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordValue {
    /// A or AAAA, by the family.
    Address(IpAddr),
    Cname(String),
}

/// What a nameserver does with a query, before its view counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers by its view.
    Answer,
    /// Reads and never answers, over UDP and TCP.
    Silent,
    /// Does not listen: UDP gets ICMP port unreachable, TCP a RST.
    Closed,
    /// Answers every query with this code and no records.
    Rcode(Rcode, Option<ExtendedError>),
    /// Answers with the right id and bytes that no parser takes.
    Garbage,
    /// Answers rightly but for the transaction id.
    WrongId,
    /// Answers rightly from another port than the one that was asked.
    ForeignSource,
    /// Answers rightly but repeats another question.
    WrongQuestion,
    /// Sends a forged answer (wrong id, a public address) and then the right one.
    SpoofThenAnswer,
    /// Sets TC over UDP and answers over TCP.
    Truncated,
    /// Sets TC over UDP, and TCP comes to nothing.
    TruncatedTcpDead(TcpDeath),
    /// Ignores the first datagrams of each question (name and type), then answers. A change of settings counts anew.
    DropFirst(usize),
    /// Answers A and never AAAA.
    AaaaSilent,
    /// Answers A, and AAAA with SERVFAIL.
    AaaaServfail,
    /// Answers rightly after this long.
    Delay(Duration),
    /// Answers rightly once A and AAAA of the name were asked of every nameserver: never to who asks one after the other.
    Together,
    /// Adds records of names nobody asked for to the answer section.
    AnswersUnrelatedRecords,
    /// Answers A with this many addresses of 10.0.0.0/8, which only TCP carries.
    HugeAnswer(usize),
    /// Sets TC over UDP, and over TCP sends a byte a second of an answer.
    TcpDrips,
    /// Sets TC over UDP, and over TCP sends 64 KiB of records of names nobody asked for.
    TcpCrowded,
    /// An answer whose record's name points to itself.
    CompressionLoop,
    /// Answers each question (name and type) rightly once, and then with these addresses. A change counts anew.
    Rebinds(Vec<IpAddr>),
}

/// In which way TCP of a nameserver comes to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpDeath {
    /// No listener: RST.
    Refuses,
    /// Accepts and closes.
    Closes,
    /// Accepts, reads and stays silent.
    Silent,
}

/// The rcodes that a lab gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rcode {
    NoError,
    FormErr,
    ServFail,
    NxDomain,
    NotImp,
    Refused,
    NotAuth,
}

/// An extended DNS error (RFC 8914), sent where the query has EDNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtendedError {
    pub info_code: u16,
    pub text: String,
}

/// How one endpoint takes connections.
#[derive(Clone, Debug, Default)]
pub struct Endpoint {
    pub transport: Transport,
    pub certificate: Certificate,
    pub tls: TlsVersions,
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

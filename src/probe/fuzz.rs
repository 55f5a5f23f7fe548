//! Entry points for the fuzzers: pass bytes from the network and from files to the code that parses them.
//!
//! Only built by `tests/fuzz`. Each entry point calls the same functions in the same order as a check, and asserts invariants
//! for any input. The fuzz targets assert the diagnoses and reports through the public API.

mod identity;
mod public;

use std::future::{Future, ready};
use std::path::PathBuf;
use std::time::Duration;

use hickory_proto::rr::RecordType;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE};
use hyper::http;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use reqwest::{Body, Method, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy, duplex, sink, split};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::{Host, Url};

use super::connection::{Head, MAX_HEADERS, TransportError, http_error};
use super::data_endpoint::check_configuration;
use super::deadline::Clock;
use super::manifest::{Descriptor, ImageManifest, MANIFEST_TYPES, media_type_of};
use super::protocol::TokenRequest;
use super::registry::{BlobAnswer, Challenge, Listed, Pull, at_blob, held_against};
use super::session::{Reply, Session};
use super::{Platform, Task, Trust, blob, dns, echo};
use crate::address::{AddressPolicy, NameserverAddress};
use crate::config::{LabEndpoints, Resolvers};
use crate::credentials::CredentialsSource;
use crate::findings::AllowedAddresses;
use crate::image::is_sha256_digest;
use crate::observation::{Endpoint, Failure, Lookup, Mark, Observation, Resolution, Resolver, Stage, Token};
use crate::secret::Secret;
use crate::text::redact::Redactor;

/// The login server of every check, also in seeds and dictionaries.
pub const LOGIN: &str = "contoso.azurecr.io";
/// The secret that a hostile registry echoes and that must never be shown.
pub const PLANTED: &str = "planted-secret-0123456789";
/// The digest of a manifest in the registry.
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The duration of a stage.
const TAKEN: Duration = Duration::from_secs(5);
/// Far longer than the fuzzer's timeout, so that waiting for more data than the peer sent is a finding.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// The context of a check, created once.
pub struct PartialCheck {
    runtime: Runtime,
    task: Task,
}

/// The kind of response to parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The response to a request without a token.
    Challenge,
    /// The token service's response.
    Token,
    /// The response of the exchange of an identity's token.
    Exchange,
    /// A manifest by tag.
    Manifest,
    /// A manifest by digest.
    Digest,
    /// The redirect of a blob.
    Redirect,
    /// The blob.
    Blob,
}

impl PartialCheck {
    /// Creates the context of a check.
    ///
    /// # Panics
    /// If this machine has no trusted roots.
    #[must_use]
    pub fn new() -> Self {
        let image = format!("{LOGIN}/apps/canary:1").parse().expect("a reference");
        let task = Task {
            image,
            policy: AddressPolicy::default(),
            data_endpoints: vec!["blobs.contoso.com".to_owned()],
            credentials: CredentialsSource::named(PathBuf::from("/nonexistent"), None),
            lab: LabEndpoints::default(),
            resolvers: Resolvers::default(),
            trust: Trust::load(None).expect("the system's roots"),
            proxy: None,
            mirrors: Vec::new(),
            timeout: PATIENCE,
            stage_timeout: PATIENCE,
            blob: true,
            platform: Platform::linux("x86_64"),
            now: Timestamp::UNIX_EPOCH,
        };
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { runtime, task }
    }

    /// Parses a raw HTTP response that arrives in chunks of `piece` bytes, as the stage of `reading` does.
    #[must_use]
    pub fn http_answer(&self, reading: Reading, answer: &[u8], piece: usize) -> Observation {
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let arriving = exchange(answer.to_vec(), piece, &mut tasks);
            let observation = self.observe(reading, arriving).await;
            tasks.shutdown().await;
            observation
        })
    }

    /// Parses challenge headers, one per line, and the last line as the `Location` of a blob redirect.
    #[must_use]
    pub fn headers(&self, lines: &[&[u8]]) -> [Observation; 2] {
        let challenges = lines.iter().map(|line| (WWW_AUTHENTICATE, *line));
        let location = lines.last().map(|line| (LOCATION, *line));
        [
            self.read(Reading::Challenge, answer(401, challenges, &[])),
            self.read(Reading::Redirect, answer(307, location, &[])),
        ]
    }

    /// Parses the body of a token response.
    #[must_use]
    pub fn token(&self, body: &[u8]) -> Observation {
        self.read(Reading::Token, answer(200, None, body))
    }

    /// Parses a manifest or index, and the same bytes as a configuration.
    #[must_use]
    pub fn manifest(&self, content_type: &[u8], body: &[u8]) -> Vec<Observation> {
        let manifest = self.read(Reading::Manifest, answer(200, Some((CONTENT_TYPE, content_type)), body));
        let mut configuration = Observation::default();
        let (image, observed) = (ImageManifest::default(), &mut configuration);
        let mut failure = check_configuration(&self.task, &image, body, observed)
            .err()
            .map(|fault| Failure { endpoint: Endpoint::Data, stage: Stage::Blob, fault });
        let mut redactor = Redactor::default();
        hide(&mut redactor);
        echo::redact_observation(&redactor, &mut configuration, failure.as_mut());
        configuration.failure = failure;
        vec![manifest, configuration]
    }

    fn read(&self, reading: Reading, answer: Response) -> Observation {
        self.runtime.block_on(self.observe(reading, ready(Ok(answer))))
    }

    /// Returns what a check observes in a response, or in its absence.
    async fn observe(
        &self,
        reading: Reading,
        arriving: impl Future<Output = Result<Response, TransportError>>,
    ) -> Observation {
        let clock = Clock::start(PATIENCE, PATIENCE);
        let addresses = AllowedAddresses::default();
        let session = Session::new(Endpoint::Login, LOGIN, 443, &addresses, &self.task.trust, &clock);
        let mut pull = Pull::new(&self.task, session, Redactor::default());
        hide(&mut pull.redactor);
        let mut observation = Observation::default();
        observation.mark(Endpoint::Login, Stage::Connect, TAKEN);
        let stage = stage_of(reading);
        let outcome = match arriving.await {
            Ok(response) => {
                let head = Head { response, sent_at: Instant::now(), limit: clock.limit() };
                let reply = pull.session.reply(stage, head);
                read(&pull, reading, reply, &mut observation).await
            }
            Err(error) => Err(pull.session.failure(stage, error)),
        };
        let mut failure = outcome.map_err(at_blob).err();
        echo::redact_observation(&pull.redactor, &mut observation, failure.as_mut());
        observation.failure = failure;
        observation
    }
}

impl Default for PartialCheck {
    fn default() -> Self {
        Self::new()
    }
}

fn hide(redactor: &mut Redactor) {
    redactor.hide_encoded(&Secret::new(PLANTED.to_owned()));
}

const fn stage_of(reading: Reading) -> Stage {
    match reading {
        Reading::Challenge => Stage::Challenge,
        Reading::Token | Reading::Exchange => Stage::Token,
        Reading::Manifest | Reading::Digest => Stage::Manifest,
        Reading::Redirect | Reading::Blob => Stage::Blob,
    }
}

/// Creates a response; invalid headers are omitted.
fn answer<'line>(
    status: u16,
    headers: impl IntoIterator<Item = (HeaderName, &'line [u8])>,
    body: &[u8],
) -> Response {
    let mut answer = http::Response::new(body.to_vec());
    *answer.status_mut() = http::StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            answer.headers_mut().append(name, value);
        }
    }
    answer.into()
}

/// Sends a GET over an in-memory connection with the limits of `connection`. The peer sends nothing after its response.
async fn exchange(
    answer: Vec<u8>,
    piece: usize,
    tasks: &mut JoinSet<()>,
) -> Result<Response, TransportError> {
    let (near, far) = duplex(piece);
    let (mut asked, mut answering) = split(far);
    tasks.spawn(async move {
        // A response before the request would be rejected, so wait for the request.
        if asked.read_u8().await.is_ok() {
            let answering = async {
                answering.write_all(&answer).await?;
                answering.shutdown().await
            };
            let mut nowhere = sink();
            // The client may close either direction early.
            let _either_way = tokio::join!(answering, copy(&mut asked, &mut nowhere));
        }
    });
    let client = http1::Builder::new().max_headers(MAX_HEADERS).handshake(TokioIo::new(near)).await;
    let (mut client, connection) = client.map_err(|error| http_error(Some(&error)))?;
    tasks.spawn(async move { drop(connection.await) });
    let mut request = http::Request::new(Empty::<Bytes>::new());
    request.headers_mut().insert(HOST, HeaderValue::from_static(LOGIN));
    let response = client.send_request(request).await.map_err(|error| http_error(Some(&error)))?;
    Ok(response.map(Body::wrap).into())
}

async fn read(
    pull: &Pull<'_>,
    reading: Reading,
    reply: Reply,
    observation: &mut Observation,
) -> Result<(), Failure> {
    match reading {
        Reading::Challenge => {
            if let Challenge::Bearer(challenge) = pull.read_challenge(reply, Method::HEAD).await? {
                assert_own(&challenge.realm);
            }
        }
        Reading::Token => {
            let grant = pull.read_grant(reply, TokenRequest::Query).await?;
            let token = grant.token.expose();
            assert!(!token.is_empty());
            let header = HeaderValue::from_str(&format!("Bearer {token}"));
            assert!(header.is_ok(), "a token that is not a valid header value");
            // A short token may occur in the surrounding text.
            assert!(token.len() <= 40 || !format!("{grant:?}").contains(token), "the token is shown");
            observation.token = Some(Token { pull: grant.pull });
        }
        Reading::Exchange => {
            let token = pull.read_refresh_token(reply).await?;
            assert!(
                HeaderValue::from_str(token.expose()).is_ok(),
                "a token that is not a valid header value"
            );
            if let Some(fault) = identity::fault_of(&token) {
                return Err(Failure { endpoint: Endpoint::Login, stage: Stage::Token, fault });
            }
        }
        Reading::Manifest => {
            let media_type = media_type_of(reply.header(CONTENT_TYPE)).to_owned();
            let body = pull.read_manifest_body(reply).await?;
            let listed = pull.read_manifest(&body, &media_type, observation)?;
            let read = observation.manifest.as_ref().expect("it was recorded");
            assert!(MANIFEST_TYPES.contains(&read.media_type.as_str()) && is_sha256_digest(&read.digest));
            match listed {
                Listed::Image(image) => {
                    let chosen = blob::select(&image);
                    assert!(is_sha256_digest(&chosen.digest) && chosen.size > 0);
                }
                Listed::Entry(entry) => assert!(is_sha256_digest(&entry.digest)),
            }
        }
        Reading::Digest => {
            let (digest, media_type) =
                (DIGEST.to_owned(), media_type_of(reply.header(CONTENT_TYPE)).to_owned());
            let body = pull.read_manifest_body(reply).await?;
            held_against(&Descriptor { media_type, digest, size: 0 }, &body)?;
            assert!(body.is_empty(), "another body of that digest");
        }
        Reading::Redirect => {
            let asked = Url::parse(&format!("https://{LOGIN}/v2/apps/canary/blobs/{DIGEST}")).expect("a URL");
            if let BlobAnswer::Redirected(url) = pull.read_blob_answer(reply, &asked).await? {
                assert_followed(&url);
            }
        }
        Reading::Blob => {
            let asked = Url::parse(&format!("https://blobs.contoso.com/?d={DIGEST}")).expect("a URL");
            let reply = blob::evaluate_answer(reply, pull.task.now, &pull.redactor).await?;
            let mut reply = match pull.read_blob_answer(reply, &asked).await? {
                BlobAnswer::Direct(reply) => reply,
                BlobAnswer::Redirected(url) => {
                    assert_followed(&url);
                    return Ok(());
                }
            };
            let descriptor = Descriptor { digest: DIGEST.to_owned(), ..Descriptor::default() };
            let content = blob::read(&mut reply, &descriptor, LOGIN, true).await?;
            assert_eq!(content.blob.bytes_read, 0, "another blob of that digest");
            observation.blob = Some(content.blob);
        }
    }
    Ok(())
}

/// Asserts that credentials may be sent to this URL.
fn assert_own(realm: &Url) {
    assert_eq!(realm.host_str(), Some(LOGIN));
    assert_eq!((realm.scheme(), realm.port_or_known_default()), ("https", Some(443)));
    assert!(realm.username().is_empty() && realm.password().is_none());
}

/// Asserts that a blob may be requested here: one of the registry's own names, never an address.
fn assert_followed(url: &Url) {
    let Some(Host::Domain(host)) = url.host() else {
        panic!("no name: {url}");
    };
    let own = host == LOGIN
        || host == "blobs.contoso.com"
        || (host.starts_with("contoso.") && host.ends_with(".data.azurecr.io"));
    assert!(own, "{url}");
    assert_eq!((url.scheme(), url.port_or_known_default()), ("https", Some(443)));
}

/// Parses a nameserver's answer to the question that it repeats.
#[must_use]
pub fn dns_answer(bytes: &[u8]) -> Option<Observation> {
    let message = dns::answer::Message::read(bytes)?;
    let question = message.question();
    let is_truncated = message.is_truncated;
    let server = NameserverAddress::parse_ip("168.63.129.16", 53).expect("an address");
    let lookup = message.facts(&question, is_truncated);
    if let Lookup::Answered(answer) = &lookup {
        assert!(answer.addresses.len() <= 256 && answer.chain.len() <= 2 * (16 + 256));
        assert!(answer.chain.iter().all(|record| record.name.ends_with('.')));
    }
    let is_v6 = question.kind == RecordType::AAAA;
    let empty = Lookup::Failed(crate::observation::DnsFailure {
        kind: crate::observation::DnsFailureKind::Timeout,
        extended_errors: Vec::new(),
    });
    let (a, aaaa) = if is_v6 { (empty, lookup) } else { (lookup, empty) };
    let resolution = Resolution {
        endpoint: Endpoint::Login,
        host: LOGIN.to_owned(),
        resolver: Resolver::System,
        server,
        tcp_only: false,
        a,
        aaaa,
        duration: TAKEN,
    };
    let mut observation = Observation::default();
    observation.marks.push(Mark { endpoint: Endpoint::Login, stage: Stage::Dns, duration: TAKEN });
    observation.resolutions.push(resolution);
    Some(observation)
}

/// Parses a resolv.conf.
pub fn nameservers(text: &str) {
    let servers = dns::parse(text).nameservers;
    assert!(servers.len() <= 3 && servers.iter().all(|server| server.socket.port() == 53));
    for server in servers {
        let again = NameserverAddress::parse_ip(&server.short(), 53);
        assert!(again.is_some_and(|again| again.socket.ip() == server.socket.ip().to_canonical()));
    }
}

//! Doors for the fuzzers: what the network and the files bring, as bytes, into the code that reads them.
//!
//! Built by `tests/fuzz` alone. Each door calls what a check calls, in its order, and asserts what has to hold whatever
//! comes. What the facts amount to, and how they look, is asserted over there with the public functions.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RecordType};
use hyper::http;
use jiff::Timestamp;
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use url::{Host, Url};

use super::clock::Clock;
use super::dial::Head;
use super::manifest::ParsedManifest;
use super::registry::{BlobAnswer, Pull};
use super::session::{Reply, Session};
use super::wire::{self, Redirect};
use super::{Platform, Task, Trust, blob, dns, echo, manifest};
use crate::address::AddressPolicy;
use crate::config::Resolvers;
use crate::credentials::CredentialsSource;
use crate::image::{ImageReference, is_sha256_digest};
use crate::observation::{
    Blob, Endpoint, Failure, Fault, Lookup, Mark, Observation, Resolution, Resolver, Stage,
};
use crate::secret::Secret;

/// The login server of every check here, also for seeds and dictionaries.
pub const LOGIN: &str = "contoso.azurecr.io";
/// What must never be seen again: a hostile registry says it back.
pub const PLANTED: &str = "planted-secret-0123456789";
/// A manifest that the registry has, by this digest.
const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// As in `Session`: nothing is ever waited for.
const LIMIT: Duration = Duration::from_secs(5);

/// One check's surroundings, made once.
pub struct Desk {
    runtime: Runtime,
    task: Task,
}

/// Which answer of the registry is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// To `GET /v2/`.
    Challenge,
    /// The token service's.
    Token,
    /// A manifest by tag.
    Manifest,
    /// A manifest by digest.
    Digest,
    /// The redirect of a blob.
    Redirect,
    /// The blob.
    Blob,
}

impl Desk {
    /// Makes the surroundings of a check.
    ///
    /// # Panics
    /// This machine has no roots of trust.
    #[must_use]
    pub fn new() -> Self {
        let image = format!("{LOGIN}/apps/canary:1").parse().expect("a reference");
        let task = Task {
            image,
            policy: AddressPolicy::default(),
            data_endpoints: vec!["blobs.contoso.com".to_owned()],
            credentials: CredentialsSource::named(PathBuf::from("/nonexistent"), None),
            resolvers: Resolvers::default(),
            trust: Trust::load(None).expect("the system's roots"),
            timeout: LIMIT,
            stage_timeout: LIMIT,
            blob: true,
            platform: Platform::linux("x86_64"),
            now: Timestamp::UNIX_EPOCH,
        };
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { runtime, task }
    }

    /// The image that is pulled.
    #[must_use]
    pub const fn image(&self) -> &ImageReference {
        &self.task.image
    }

    /// Reads an answer as the stage does that it belongs to.
    #[must_use]
    pub fn http_answer(&self, reading: Reading, answer: http::Response<Vec<u8>>) -> Observation {
        self.runtime.block_on(async {
            let clock = Clock::start(LIMIT, LIMIT);
            let address = [IpAddr::V4(Ipv4Addr::new(10, 60, 4, 4))];
            let session = Session::new(Endpoint::Login, LOGIN, 443, &address, &self.task.trust, &clock);
            let head = Head { response: answer.into(), sent_at: Instant::now(), limit: clock.limit() };
            let reply = session.reply(stage_of(reading), head);
            let mut pull = Pull::new(&self.task, session);
            let mut observation = Observation::default();
            observation.marks.push(Mark {
                endpoint: Endpoint::Login,
                stage: Stage::Connect,
                duration: LIMIT,
            });
            pull.redactor.hide_encoded(&Secret::new(PLANTED.to_owned()));
            let mut failure = read(&pull, reading, reply, &mut observation).await.err();
            echo::silence(&pull.redactor, &mut observation, failure.as_mut());
            observation.failure = failure;
            observation
        })
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

const fn stage_of(reading: Reading) -> Stage {
    match reading {
        Reading::Challenge => Stage::Challenge,
        Reading::Token => Stage::Token,
        Reading::Manifest | Reading::Digest => Stage::Manifest,
        Reading::Redirect | Reading::Blob => Stage::Blob,
    }
}

async fn read(
    pull: &Pull<'_>,
    reading: Reading,
    mut reply: Reply,
    observation: &mut Observation,
) -> Result<(), Failure> {
    match reading {
        Reading::Challenge => {
            let (realm, _challenge) = pull.read_challenge(reply).await?;
            assert_own(&realm);
        }
        Reading::Token => {
            let grant = pull.read_grant(reply).await?;
            assert!(!grant.token.is_empty());
        }
        Reading::Manifest => {
            let (body, content_type) = pull.read_manifest_body(reply, "1").await?;
            parse_manifest(content_type.as_deref(), &body, observation)?;
        }
        Reading::Digest => {
            let (body, _content_type) = pull.read_manifest_body(reply, DIGEST).await?;
            assert!(body.is_empty(), "another body of that digest");
        }
        Reading::Redirect => {
            let asked = Url::parse(&format!("https://{LOGIN}/v2/apps/canary/blobs/{DIGEST}")).expect("a URL");
            if let BlobAnswer::Redirected(url) = pull.read_blob_answer(reply, &asked).await? {
                assert_followed(&url);
            }
        }
        Reading::Blob => {
            let descriptor = OciDescriptor { digest: DIGEST.to_owned(), ..OciDescriptor::default() };
            let content = blob::read(&mut reply, &descriptor, LOGIN).await?;
            assert_eq!(content.blob.bytes_read, 0, "another blob of that digest");
            observation.blob = Some(Blob { ..content.blob });
        }
    }
    Ok(())
}

/// Where credentials may go.
fn assert_own(realm: &Url) {
    assert_eq!(realm.host_str(), Some(LOGIN));
    assert_eq!((realm.scheme(), realm.port_or_known_default()), ("https", Some(443)));
    assert!(realm.username().is_empty() && realm.password().is_none());
}

/// Where a blob may be asked for: a name of the registry's own, never an address.
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

/// The challenge headers of one answer, one a line, and a `Location` in the last.
pub fn headers(image: &ImageReference, lines: &[&[u8]]) -> Observation {
    let mut observation = Observation::default();
    observation.marks.push(Mark { endpoint: Endpoint::Login, stage: Stage::Challenge, duration: LIMIT });
    let fail = |stage, fault| Some(Failure { endpoint: Endpoint::Login, stage, fault });
    match wire::bearer_challenge(lines.iter().copied()) {
        Ok(challenge) => match wire::judge_realm(image, &challenge.realm) {
            Ok(realm) => assert_own(&realm),
            Err(untrusted) => {
                let fault = Fault::UntrustedRealm { realm: untrusted.realm, reason: untrusted.reason };
                observation.failure = fail(Stage::Challenge, fault);
            }
        },
        Err(reason) => {
            let fault = Fault::NotARegistry { status: Some(401), reason: reason.to_owned() };
            observation.failure = fail(Stage::Challenge, fault);
        }
    }
    let asked = Url::parse(&format!("https://{LOGIN}/v2/apps/canary/blobs/{DIGEST}")).expect("a URL");
    match wire::judge_redirect(image, &["blobs.contoso.com".to_owned()], &asked, lines.last().copied()) {
        Redirect::Data(url) => assert_followed(&url),
        Redirect::Untrusted { target, reason } => {
            observation.failure = fail(Stage::Blob, Fault::UntrustedRedirect { target, reason });
        }
        Redirect::Storage(host) => observation.failure = fail(Stage::Blob, Fault::StorageRedirect { host }),
        Redirect::Missing => {}
    }
    observation
}

/// The body of a token answer.
pub fn token(body: &[u8]) {
    if let Ok(grant) = wire::read_grant(body, "apps/canary") {
        let header = format!("Bearer {}", grant.token.expose());
        assert!(http::HeaderValue::from_str(&header).is_ok(), "a token that makes no header");
        // A short one may stand in the words around it.
        let shows = grant.token.expose().len() > 40 && format!("{grant:?}").contains(grant.token.expose());
        assert!(!shows, "a token that shows");
    }
}

/// A manifest or an index, then what a check takes out of it; the content type stands in the first line.
#[must_use]
pub fn manifest(content_type: Option<&str>, body: &[u8]) -> Observation {
    let mut observation = Observation::default();
    observation.marks.push(Mark { endpoint: Endpoint::Login, stage: Stage::Manifest, duration: LIMIT });
    observation.failure = parse_manifest(content_type, body, &mut observation.clone()).err();
    let _platform = manifest::config_platform(body);
    observation
}

fn parse_manifest(
    content_type: Option<&str>,
    body: &[u8],
    observation: &mut Observation,
) -> Result<(), Failure> {
    let fail = |fault| Failure { endpoint: Endpoint::Login, stage: Stage::Manifest, fault };
    let invalid = |reason| fail(Fault::ManifestInvalid { reason });
    let (parsed, media_type) = manifest::read_manifest(content_type, body).map_err(invalid)?;
    assert!(manifest::MANIFEST_TYPES.contains(&media_type.as_str()));
    let digest = manifest::digest_of(body);
    assert!(is_sha256_digest(&digest));
    observation.manifest =
        Some(crate::observation::Manifest { digest, media_type, size: body.len() as u64, platform: None });
    match parsed {
        ParsedManifest::Image(image) => {
            let chosen = select(&image).map_err(invalid)?;
            assert!(is_sha256_digest(&chosen.digest) && chosen.size > 0);
        }
        ParsedManifest::Index(index) => {
            let platform = Platform::linux("x86_64");
            let wanted = platform.to_string();
            manifest::select_platform(&index, &platform)
                .map_err(|found| fail(Fault::PlatformMissing { wanted, found }))?;
        }
    }
    Ok(())
}

fn select(image: &OciImageManifest) -> Result<&OciDescriptor, String> {
    blob::select(image)
}

/// An answer of a nameserver to both questions.
#[must_use]
pub fn dns_answer(bytes: &[u8]) -> Option<Observation> {
    let message = Message::from_vec(bytes).ok()?;
    let asked = message.queries.first().map(|query| query.name().clone());
    let name = asked.unwrap_or_else(|| Name::from_ascii(LOGIN).expect("a name"));
    let server = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), 53);
    let lookup = dns::read_answer(&name, &message, message.metadata.truncation);
    if let Lookup::Answered(answer) = &lookup {
        assert!(answer.addresses.len() <= 256 && answer.chain.len() <= 16 + 256 + message.answers.len());
        assert!(answer.chain.iter().all(|record| record.name.ends_with('.')));
    }
    let is_v6 = message.queries.first().is_some_and(|query| query.query_type() == RecordType::AAAA);
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
        tcp_alone: false,
        a,
        aaaa,
        duration: LIMIT,
    };
    let mut observation = Observation::default();
    observation.marks.push(Mark { endpoint: Endpoint::Login, stage: Stage::Dns, duration: LIMIT });
    observation.resolutions.push(resolution);
    Some(observation)
}

/// A resolv.conf.
pub fn nameservers(text: &str) {
    let servers = dns::parse(text).nameservers;
    assert!(servers.len() <= 3 && servers.iter().all(|server| server.port() == 53));
}

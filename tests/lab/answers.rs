//! What the five HTTP steps answer, and how the answer travels.
//!
//! Owns the settings of the steps as closed enums: a step takes the canned answers, which fit everywhere, and its
//! own faults. Leaves alone the bytes: `canned.rs`, `registry.rs`, `tokens.rs` and `data.rs` write them.

use std::time::Duration;

/// The five requests of a check, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `/v2/` at the login endpoint, or a manifest there without an authorization.
    Challenge,
    /// `/oauth2/token` at the login endpoint.
    Token,
    /// A manifest at the login endpoint.
    Manifest,
    /// A blob at the login endpoint, which sends elsewhere.
    BlobRedirect,
    /// The blob at the data endpoint.
    Blob,
}

impl Step {
    pub const ALL: [Self; 5] = [Self::Challenge, Self::Token, Self::Manifest, Self::BlobRedirect, Self::Blob];
}

/// One step: what it answers and how that travels.
#[derive(Clone, Debug)]
pub struct StepSettings<F> {
    pub answer: Answer<F>,
    /// The answers to the first requests, one each, before `answer` counts. A change of settings counts anew.
    pub first: Vec<Canned>,
    pub delivery: Delivery,
}

impl<F> Default for StepSettings<F> {
    fn default() -> Self {
        Self { answer: Answer::Normal, first: Vec::new(), delivery: Delivery::Whole }
    }
}

/// What a step answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<F> {
    /// As ACR does.
    Normal,
    /// An answer that stands at any step, whatever was asked and by whom.
    Canned(Canned),
    /// A fault that is particular to the step; the request is served as far as the fault allows.
    Faulty(F),
}

impl<F> From<Canned> for Answer<F> {
    fn from(canned: Canned) -> Self {
        Self::Canned(canned)
    }
}

macro_rules! faults_are_answers {
    ($($fault:ty),+) => {
        $(impl From<$fault> for Answer<$fault> {
            fn from(fault: $fault) -> Self {
                Self::Faulty(fault)
            }
        })+
    };
}
faults_are_answers!(ChallengeFault, TokenFault, ManifestFault, RedirectFault, BlobFault);

/// Answers that fit at every step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canned {
    /// 401 UNAUTHORIZED with the correlation id in the text, as the token endpoint gives it.
    Unauthorized,
    /// 401 in the wording for service principals: `Invalid clientid or client secret.`
    InvalidClient,
    /// 403 DENIED by the registry's firewall, which saw 203.0.113.7.
    Firewall(FirewallWording),
    /// 403 DENIED, `retrieving permissions failed`: not the firewall.
    PermissionsFailed,
    /// 403 AuthorizationFailure as XML with a byte order mark, as Azure's storage gives it.
    StorageForbidden,
    /// 404 NAME_UNKNOWN.
    NameUnknown,
    /// 404 MANIFEST_UNKNOWN.
    ManifestUnknown,
    /// 404 BLOB_UNKNOWN.
    BlobUnknown,
    /// 404 BlobNotFound as XML, as Azure's storage gives it.
    StorageNotFound,
    /// 429 toomanyrequests.
    Throttled(RetryAfter),
    /// 5xx with a body and a correlation id of ACR.
    ServerError(u16),
    /// This status without a body, in ACR's headers: a 405, or a 408 that asks for the same again.
    Empty(u16),
    /// 502 as a proxy gives it: HTML, and none of ACR's headers.
    BadGateway,
    /// 200 with the HTML of a captive portal.
    CaptivePortal,
    /// 403 with the HTML of a proxy.
    ProxyForbidden,
    /// A redirect that this step should not give, or not to there.
    Redirect { status: u16, target: Target },
    /// Word for word; Content-Length, Date and Connection are added.
    Raw { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
}

/// The wordings of the firewall's refusal that were seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirewallWording {
    /// `is not allowed access. Refer https://aka.ms/acr/firewall to grant access.`
    Refer,
    /// `is not allowed access, refer https://aka.ms/acr/firewall to grant access`, and a newline.
    CommaRefer,
    /// As the first, and ` CorrelationId: …` in the text.
    CorrelationId,
    /// As the first, with the apostrophes escaped as `\u0027`.
    Escaped,
}

impl FirewallWording {
    pub const ALL: [Self; 4] = [Self::Refer, Self::CommaRefer, Self::CorrelationId, Self::Escaped];
}

/// The `Retry-After` of a 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    None,
    Seconds(u32),
    /// An HTTP date this many seconds from now.
    Date(u32),
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The data endpoint with a signed query: the right one for a blob.
    DataEndpoint,
    /// The same in the older form, without a slash before the query.
    DataEndpointOldForm,
    /// The data endpoint by plain HTTP.
    PlainHttp,
    /// The data endpoint at another port.
    OtherPort,
    /// An IP literal: 127.0.0.1.
    Loopback,
    /// An IP literal: 169.254.169.254, the metadata service.
    Metadata,
    /// The data endpoint's own address as an IP literal.
    DataAddress,
    /// A host that has nothing to do with the registry.
    ForeignHost,
    /// A host whose name begins with the data endpoint's.
    Lookalike,
    /// The data endpoint with user information before it.
    UserInfo,
    /// The data endpoint of another registry.
    OtherRegistry,
    /// The URL that was asked for, signed query and all: circular.
    Itself,
    /// Azure's blob storage: the registry has no data endpoint.
    BlobStorage,
    /// This registry's data endpoint of a region, whether it has one there or not.
    Region(&'static str),
    /// Word for word.
    Url(String),
}

/// Faults of the challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeFault {
    /// 200 to `GET /v2/`, with the version header and no challenge.
    NoChallenge,
    /// 401 without `WWW-Authenticate`.
    HeaderMissing,
    /// Offers nothing but `Basic realm="Azure Container Registry"`.
    BasicOnly,
    /// `Basic` in a header before the right one.
    BasicAndBearer,
    /// A header that no parser takes.
    Unparsable,
    /// Two bearer challenges, the second with a foreign realm.
    Duplicate,
    /// A parameter twice in one challenge: the second realm is foreign.
    DuplicateParameter,
    /// A challenge of 64 KiB.
    OverLong,
    /// A challenge without a realm.
    RealmMissing,
    /// A realm that is no URL.
    RealmUnparsable,
    /// The realm's host is another.
    RealmOtherHost,
    /// The realm's host begins with the login server's name and is another.
    RealmLookalike,
    /// The realm's port is another.
    RealmOtherPort,
    /// The realm is plain HTTP.
    RealmPlainHttp,
    /// The realm is the login endpoint's own address.
    RealmAddress,
    /// The realm has user information before the right host.
    RealmUserInfo,
    /// The realm has a query of its own, which a client has to keep.
    RealmWithQuery,
    /// No service parameter.
    ServiceMissing,
    /// The service is another registry.
    ServiceOther,
    /// The right 401 without `Docker-Distribution-Api-Version` and the correlation id, as a middlebox makes it.
    VersionHeaderMissing,
}

/// Faults of the token service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// 200 with text that is no JSON.
    NotJson,
    /// 200 with an object that has no token.
    NoToken,
    /// 200 with an empty token.
    Empty,
    /// 200 with a token of 1 MiB.
    OverLong,
    /// 200 with a token that holds a line break, which no header can carry.
    LineBreak,
    /// A token that works and is no JWT.
    Opaque,
    /// A token whose access claim lists the repository without pull.
    WithoutPull,
    /// A token for another repository.
    OtherRepository,
    /// A token without an access claim.
    AccessMissing,
    /// A token that is already over.
    Expired,
    /// A token for another registry.
    OtherAudience,
    /// A token that another key signed: the registry refuses what its own service issued.
    BadSignature,
    /// The right token under the key `token` instead of `access_token`.
    TokenKey,
}

/// Faults of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestFault {
    /// Other bytes than the digest in the header says (and than a requested digest).
    WrongBytes,
    /// Other bytes with their own, honest digest header: only a requested digest betrays it.
    OtherContent,
    /// No `Docker-Content-Digest`.
    DigestHeaderMissing,
    /// A digest header that is no digest.
    DigestHeaderMalformed,
    /// A manifest of schema 1.
    Schema1,
    /// Bytes that are no JSON.
    NotJson,
    /// 8 MiB of JSON.
    OverLong,
    /// JSON nested 100,000 deep.
    DeeplyNested,
    /// An index with 10,000 entries.
    HugeIndex,
    /// An index with no entry.
    EmptyIndex,
    /// A manifest without layers and config.
    NoLayers,
    /// A media type that nobody knows.
    UnknownMediaType,
    /// An HTML page with the status and the headers of a manifest.
    Html,
    /// The right bytes under another `Content-Type`, or under none where this is empty.
    Typed(&'static str),
}

/// Faults of the blob's redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectFault {
    /// A 307 to somewhere else.
    Target(Target),
    /// The right target with another status.
    Status(u16),
    /// A 307 without `Location`.
    NoLocation,
    /// A 307 with a `Location` that is no URL.
    Unparsable,
    /// A 307 with a `Location` of 64 KiB.
    OverLong,
    /// A 307 with a query of many long values of one letter.
    ManyValues,
    /// 200 and the blob itself, by the login endpoint.
    ServedDirectly,
    /// So many redirects to the login server itself before the right one.
    ViaLogin(usize),
}

/// Faults of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobFault {
    /// As many bytes, other ones.
    WrongBytes,
    /// More bytes than the manifest says, honestly counted.
    MoreBytes,
    /// Fewer bytes than the manifest says, honestly counted.
    FewerBytes,
    /// No bytes.
    Empty,
    /// 206 with the whole blob, though nobody asked for a part.
    WholeAsPart,
    /// 206 with the first half of the blob.
    HalfAsPart,
    /// Refuses the signature that the login endpoint has just made.
    SignatureRefused,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Whole and at once.
    Whole,
    /// Whole, after this long.
    Delayed(Duration),
    /// RST after the request was read.
    ResetAfterRequest,
    /// The connection is closed after the request was read, without an answer.
    CloseAfterRequest,
    /// Nothing after the request was read.
    SilentAfterRequest,
    /// RST after half of the body.
    ResetMidBody,
    /// The connection is closed after half of the body, short of the announced length.
    CloseMidBody,
    /// Nothing more after half of the body.
    SilentMidBody,
    /// One byte at a time with this long between two, from the first byte on.
    Dripping(Duration),
    /// The head at once, the body one byte at a time with this long between two.
    BodyDripping(Duration),
    /// A status line and headers that never end, as fast as they are read.
    EndlessHeaders,
    /// A status line and one header that never ends, as fast as it is read.
    EndlessLine,
    /// Interim answers (103) without end, as fast as they are read, and never the one that was asked for.
    EndlessInterim,
    /// A chunked body that never ends, as fast as it is read.
    EndlessBody,
    /// A body of 10 GB by its length, as fast as it is read.
    HugeBody,
    /// New keys for TLS 1.3 without end instead of an answer, as fast as they are read.
    EndlessKeyUpdates,
    /// The right answer with one header of 1 MiB.
    HugeHeader,
    /// Bytes that are no HTTP.
    NotHttp,
    /// The right answer with two lengths that differ.
    TwoLengths,
    /// The right answer with a length that is no number.
    LengthNoNumber,
    /// The right answer with a status line that has no status.
    StatusNoNumber,
    /// The right answer with a line among its headers that is none.
    HeaderWithoutColon,
    /// The right answer in chunks whose length is no number.
    ChunkNoNumber,
    /// Whole, and the connection closes after it.
    Closing,
}

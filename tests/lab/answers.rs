//! The responses of the HTTP steps at the registry, and their delivery.
//!
//! Owns the settings of the steps as closed enums: a step supports the canned answers and its own faults. `canned.rs`,
//! `registry.rs`, `exchange.rs`, `tokens.rs` and `data.rs` write the bytes.

use std::time::Duration;

use super::settings::ExchangeFault;

/// The requests of a check at the registry, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `/v2/` at the login endpoint, or a manifest there without an authorization.
    Challenge,
    /// `/oauth2/exchange` at the login endpoint; only a check with an identity needs it.
    Exchange,
    /// `/oauth2/token` at the login endpoint.
    Token,
    /// A manifest at the login endpoint.
    Manifest,
    /// A blob at the login endpoint, which redirects.
    BlobRedirect,
    /// The blob at the data endpoint.
    Blob,
}

impl Step {
    /// The steps of a check with a repository token.
    pub const ALL: [Self; 5] = [Self::Challenge, Self::Token, Self::Manifest, Self::BlobRedirect, Self::Blob];
    /// The steps of a check with an identity.
    pub const WITH_IDENTITY: [Self; 6] =
        [Self::Challenge, Self::Exchange, Self::Token, Self::Manifest, Self::BlobRedirect, Self::Blob];
}

/// The response and delivery of one step.
#[derive(Clone, Debug)]
pub struct StepSettings<F> {
    pub answer: Answer<F>,
    /// The answers to the first requests, one each, before `answer` applies. A change of settings restarts the count.
    pub first: Vec<Canned>,
    pub delivery: Delivery,
}

impl<F> Default for StepSettings<F> {
    fn default() -> Self {
        Self { answer: Answer::Normal, first: Vec::new(), delivery: Delivery::Whole }
    }
}

/// The response of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<F> {
    /// As ACR does.
    Normal,
    /// An answer for any step, regardless of request and caller.
    Canned(Canned),
    /// A fault specific to the step; the request is otherwise served normally.
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
faults_are_answers!(ChallengeFault, ExchangeFault, TokenFault, ManifestFault, RedirectFault, BlobFault);

/// Answers for any step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Canned {
    /// 401 UNAUTHORIZED with the correlation ID in the text, as returned by the token endpoint.
    Unauthorized,
    /// 401 with the text for service principals: `Invalid clientid or client secret.`
    InvalidClient,
    /// 403 DENIED by the registry's firewall, which saw 203.0.113.7.
    Firewall(FirewallWording),
    /// 403 DENIED, `retrieving permissions failed`: not the firewall.
    PermissionsFailed,
    /// 403 AuthorizationFailure as XML with a byte order mark, as returned by Azure Storage.
    StorageForbidden,
    /// 404 NAME_UNKNOWN.
    NameUnknown,
    /// 404 MANIFEST_UNKNOWN.
    ManifestUnknown,
    /// 404 BLOB_UNKNOWN.
    BlobUnknown,
    /// 404 BlobNotFound as XML, as returned by Azure Storage.
    StorageNotFound,
    /// 429 toomanyrequests.
    Throttled(RetryAfter),
    /// 5xx with a body and a correlation ID of ACR.
    ServerError(u16),
    /// This status without a body, with ACR's headers: a 405, or a 408 that invites a retry.
    Empty(u16),
    /// 502 of a proxy: HTML, without ACR's headers.
    BadGateway,
    /// 200 with the HTML of a captive portal.
    CaptivePortal,
    /// 403 with the HTML of a proxy.
    ProxyForbidden,
    /// A redirect that this step should not return, or to a wrong target.
    Redirect { status: u16, target: Target },
    /// Verbatim; Content-Length, Date and Connection are added.
    Raw { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
}

/// The known wordings of the firewall's denial.
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

/// The target of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The data endpoint with a signed query: the correct target for a blob.
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
    /// An unrelated host.
    ForeignHost,
    /// A host whose name begins with the data endpoint's.
    Lookalike,
    /// The data endpoint with user information before it.
    UserInfo,
    /// The data endpoint of another registry.
    OtherRegistry,
    /// The requested URL, including the signed query: circular.
    Itself,
    /// Azure Blob Storage: the registry has no data endpoint.
    BlobStorage,
    /// This registry's data endpoint in a region, existing or not.
    Region(&'static str),
    /// Verbatim.
    Url(String),
}

/// Faults of the challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChallengeFault {
    /// 200 to `GET /v2/`, with the version header and no challenge.
    NoChallenge,
    /// 401 without `WWW-Authenticate`.
    HeaderMissing,
    /// Only offers `Basic realm="Azure Container Registry"`.
    BasicOnly,
    /// `Basic` in a header before the correct one.
    BasicAndBearer,
    /// An unparsable header.
    Unparsable,
    /// Two bearer challenges, the second with a foreign realm.
    Duplicate,
    /// A parameter twice in one challenge: the second realm is foreign.
    DuplicateParameter,
    /// A challenge of 64 KiB.
    OverLong,
    /// A challenge without a realm.
    RealmMissing,
    /// A realm that is not a URL.
    RealmUnparsable,
    /// The realm is on another host.
    RealmOtherHost,
    /// The realm is on another host whose name starts with the login server's.
    RealmLookalike,
    /// The realm is on another port.
    RealmOtherPort,
    /// The realm is plain HTTP.
    RealmPlainHttp,
    /// The realm is the login endpoint's own address.
    RealmAddress,
    /// The realm has user information before the correct host.
    RealmUserInfo,
    /// The realm has its own query, which a client must keep.
    RealmWithQuery,
    /// No service parameter.
    ServiceMissing,
    /// The service is another registry.
    ServiceOther,
    /// The correct 401 without `Docker-Distribution-Api-Version` and correlation ID, as altered by a middlebox.
    VersionHeaderMissing,
}

/// Faults of the token service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// 200 with text that is not JSON.
    NotJson,
    /// 200 with an object without a token.
    NoToken,
    /// 200 with an empty token.
    Empty,
    /// 200 with a token of 1 MiB.
    OverLong,
    /// 200 with a token that contains a line break, which is invalid in a header.
    LineBreak,
    /// A valid token that is not a JWT.
    Opaque,
    /// A token whose access claim lists the repository without pull.
    WithoutPull,
    /// A token for another repository.
    OtherRepository,
    /// A token without an access claim.
    AccessMissing,
    /// An expired token.
    Expired,
    /// A token for another registry.
    OtherAudience,
    /// A token signed by another key: the registry rejects what its own service issued.
    BadSignature,
    /// The correct token under the key `token` instead of `access_token`.
    TokenKey,
}

/// Faults of the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestFault {
    /// Content that does not match the digest in the header, nor a requested digest.
    WrongBytes,
    /// Other content with its own, correct digest header: only a requested digest reveals it.
    OtherContent,
    /// No `Docker-Content-Digest`.
    DigestHeaderMissing,
    /// An invalid digest header.
    DigestHeaderMalformed,
    /// A manifest of schema 1.
    Schema1,
    /// Bytes that are not JSON.
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
    /// An unknown media type.
    UnknownMediaType,
    /// An HTML page with the status and the headers of a manifest.
    Html,
    /// The correct content with another `Content-Type`, or without one if empty.
    Typed(&'static str),
}

/// Faults of the blob's redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectFault {
    /// A 307 to a wrong target.
    Target(Target),
    /// The correct target with another status.
    Status(u16),
    /// A 307 without `Location`.
    NoLocation,
    /// A 307 with a `Location` that is not a URL.
    Unparsable,
    /// A 307 with a `Location` of 64 KiB.
    OverLong,
    /// A 307 with a query of many long values of one letter.
    ManyValues,
    /// 200 with the blob itself, from the login endpoint.
    ServedDirectly,
    /// This many redirects to the login server itself before the correct one.
    ViaLogin(usize),
}

/// Faults of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlobFault {
    /// Other content of the same size.
    WrongBytes,
    /// More bytes than in the manifest, with a correct length.
    MoreBytes,
    /// Fewer bytes than in the manifest, with a correct length.
    FewerBytes,
    /// No bytes.
    Empty,
    /// 206 with the whole blob, although no range was requested.
    WholeAsPart,
    /// 206 with the first half of the blob.
    HalfAsPart,
    /// Rejects the signature that the login endpoint has just created.
    SignatureRefused,
}

/// The delivery of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Complete and immediately.
    Whole,
    /// Complete, after this delay.
    Delayed(Duration),
    /// RST after the request was read.
    ResetAfterRequest,
    /// The connection is closed after the request was read, without a response.
    CloseAfterRequest,
    /// Nothing after the request was read.
    SilentAfterRequest,
    /// RST after half of the body.
    ResetMidBody,
    /// The connection is closed after half of the body, short of the announced length.
    CloseMidBody,
    /// Nothing more after half of the body.
    SilentMidBody,
    /// One byte at a time with this interval, from the first byte on.
    Dripping(Duration),
    /// The head immediately, the body one byte at a time with this interval.
    BodyDripping(Duration),
    /// A status line and endless headers, as fast as they are read.
    EndlessHeaders,
    /// A status line and one endless header, as fast as it is read.
    EndlessLine,
    /// Endless interim responses (103), as fast as they are read, and never the final one.
    EndlessInterim,
    /// An endless chunked body, as fast as it is read.
    EndlessBody,
    /// A body with a length of 10 GB, as fast as it is read.
    HugeBody,
    /// Endless TLS 1.3 key updates instead of a response, as fast as they are read.
    EndlessKeyUpdates,
    /// The correct response with one header of 1 MiB.
    HugeHeader,
    /// Bytes that are not HTTP.
    NotHttp,
    /// The correct response with two different lengths.
    TwoLengths,
    /// The correct response with a non-numeric length.
    LengthNoNumber,
    /// The correct response with a status line without a status.
    StatusNoNumber,
    /// The correct response with an invalid header line.
    HeaderWithoutColon,
    /// The correct response in chunks with a non-numeric length.
    ChunkNoNumber,
    /// Complete, then the connection closes.
    Closing,
}

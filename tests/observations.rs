//! Generates every observation that the types allow, including those that no check would make, so properties hold for any
//! network.
//!
//! Owns the strategies. The properties are in `rules.rs` and `report/arbitrary.rs`.

mod containerd;
mod diagnosed;
mod expectation;
mod identity;
mod node_cache;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use acr_verifier::observation::{
    Answer, Attempt, Blob, Certificate, ConnectFailure, CredentialEvidence, CredentialKind, CredentialsUsed,
    DnsAnswer, DnsFailure, DnsFailureKind, Endpoint, ExtendedError, Failure, Fault, IdentityFailure, Lookup,
    Manifest, Mark, Observation, PlatformMismatch, Rcode, Reason, Record, RecordData, RejectedEntry, Request,
    Resolution, Resolver, Sender, Stage, TlsFailure, TlsSession, TlsVersion, Token, TrustedBy,
};
use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

pub(crate) use self::diagnosed::{checked, comparisons, diagnose, evaluate};
pub(crate) use self::expectation::expectation;
pub(crate) use self::node_cache::{CacheChoices, cache_of};

/// Years 1 to 9998: the range of certificates and clocks.
const SECONDS: std::ops::Range<i64> = -62_000_000_000..253_000_000_000;

/// A peer's text: ordinary, malicious for a terminal or a document, and arbitrary.
pub(crate) fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        select(vec![
            "",
            " ",
            ".",
            "contoso",
            "\u{1b}[2J\u{1b}]0;owned\u{7}",
            "\r\nok    forged\n",
            "\u{202e}\u{200b}\u{feff}",
            "]]>&<script>\"'--><!--",
            "%00\0{}`$(id)",
            "é€🔑\u{301}",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
        (any::<char>(), 0..2_000_usize).prop_map(|(character, count)| character.to_string().repeat(count)),
    ]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    let near = -2_000_000_i64..2_000_000;
    prop_oneof![SECONDS, near].prop_map(|seconds| Timestamp::from_second(seconds).expect("within the years"))
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..100_000_u64).prop_map(Duration::from_micros),
        any::<u32>().prop_map(|seconds| Duration::from_secs(seconds.into()))
    ]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    select(&Endpoint::ALL[..])
}

fn stage() -> impl Strategy<Value = Stage> {
    use Stage::{Address, Blob, Challenge, Connect, Dns, Manifest, Tls, Token};
    select(vec![Dns, Address, Connect, Tls, Challenge, Token, Manifest, Blob])
}

fn address() -> impl Strategy<Value = IpAddr> {
    let known = select(vec![
        "10.60.4.4",
        "10.99.0.1",
        "20.45.122.144",
        "168.63.129.16",
        "127.0.0.1",
        "169.254.169.254",
        "fd00::4",
        "2603:1030::1",
        "::1",
        "::ffff:10.60.4.4",
        "::ffff:169.254.169.254",
    ]);
    prop_oneof![
        4 => known.prop_map(|text| text.parse().expect("an address")),
        1 => any::<IpAddr>(),
    ]
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    (address(), select(vec![53_u16, 443, 8443])).prop_map(SocketAddr::from)
}

fn host() -> impl Strategy<Value = String> {
    let known =
        select(vec!["contoso.azurecr.io", "contoso.westeurope.data.azurecr.io", "registry.example.net"]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => words().prop_map(|words| words + "x")]
}

/// The name of a record, with the final dot; the probe escapes unusual characters as a zone file does.
fn name() -> impl Strategy<Value = String> {
    let known = select(vec!["contoso.privatelink.azurecr.io.", "contoso.azurecr.io.", "we.fe.azcr.io."]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => words().prop_map(|words| format!("{}.", words.escape_default()))]
}

fn rcode() -> impl Strategy<Value = Rcode> {
    prop_oneof![4 => (0..6_u16).prop_map(Rcode), 1 => any::<u16>().prop_map(Rcode)]
}

fn extended_errors() -> impl Strategy<Value = Vec<ExtendedError>> {
    vec((any::<u16>(), words()).prop_map(|(code, text)| ExtendedError { code, text }), 0..3)
}

fn answer() -> impl Strategy<Value = DnsAnswer> {
    let data = prop_oneof![name().prop_map(RecordData::Cname), address().prop_map(RecordData::Address)];
    let record = (name(), any::<u32>(), data).prop_map(|(name, ttl, data)| Record { name, ttl, data });
    let found = (vec(record, 0..5), vec(address(), 0..6));
    (rcode(), found, option::of(name()), extended_errors(), any::<bool>()).prop_map(
        |(rcode, (chain, addresses), soa_owner, extended_errors, over_tcp)| DnsAnswer {
            rcode,
            chain,
            addresses,
            soa_owner,
            extended_errors,
            over_tcp,
        },
    )
}

fn lookup() -> impl Strategy<Value = Lookup> {
    let kind = prop_oneof![
        Just(DnsFailureKind::Timeout),
        Just(DnsFailureKind::Unreachable),
        rcode().prop_map(DnsFailureKind::Refused),
        Just(DnsFailureKind::Malformed),
        Just(DnsFailureKind::TruncatedWithoutTcp),
        name().prop_map(DnsFailureKind::CnameLoop),
        Just(DnsFailureKind::ChainTooLong),
    ];
    let failed = (kind, extended_errors())
        .prop_map(|(kind, extended_errors)| Lookup::Failed(DnsFailure { kind, extended_errors }));
    prop_oneof![3 => answer().prop_map(Lookup::Answered), 1 => failed]
}

fn resolution() -> impl Strategy<Value = Resolution> {
    let resolver = prop_oneof![3 => Just(Resolver::System), 1 => "[a-z]{1,8}".prop_map(Resolver::Compared)];
    ((endpoint(), host(), resolver, socket(), any::<bool>()), (lookup(), lookup()), duration()).prop_map(
        |((endpoint, host, resolver, server, tcp_only), (a, aaaa), duration)| Resolution {
            endpoint,
            host,
            resolver,
            server: server.into(),
            tcp_only,
            a,
            aaaa,
            duration,
        },
    )
}

fn attempt() -> impl Strategy<Value = Attempt> {
    let failure = select(vec![ConnectFailure::Timeout, ConnectFailure::Refused, ConnectFailure::Unreachable]);
    (endpoint(), socket(), option::of(failure)).prop_map(|(endpoint, address, failure)| Attempt {
        endpoint,
        address,
        failure,
    })
}

fn tls() -> impl Strategy<Value = TlsSession> {
    let names = (words(), words(), vec(words(), 0..3), vec(words(), 0..3));
    let certificate = (names, moment(), moment()).prop_map(
        |((subject, issuer, names, chain_issuers), not_before, not_after)| Certificate {
            subject,
            issuer,
            names,
            not_before,
            not_after,
            chain_issuers,
        },
    );
    let version = select(vec![TlsVersion::Tls12, TlsVersion::Tls13]);
    let trusted_by = option::of(select(TrustedBy::ALL.to_vec()));
    (endpoint(), socket(), option::of(version), option::of(certificate), trusted_by).prop_map(
        |(endpoint, address, version, certificate, trusted_by)| TlsSession {
            endpoint,
            address,
            version,
            certificate,
            trusted_by,
        },
    )
}

fn http_answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![4 => select(vec![400_u16, 401, 403, 404, 429, 500, 503]), 1 => 100..1_000_u16];
    let code = prop_oneof![
        select(vec!["NAME_UNKNOWN", "MANIFEST_UNKNOWN", "DENIED", "UNAUTHORIZED"]).prop_map(str::to_owned),
        words(),
    ];
    let texts = (vec(code, 0..3), option::of(words()), option::of(words()), option::of(words()));
    let sender = select(vec![Sender::Registry, Sender::Storage, Sender::Page, Sender::Text, Sender::Unknown]);
    let reason = select(vec![Reason::Unstated, Reason::Firewall, Reason::CacheRule, Reason::Quarantine]);
    let get_status = option::of(select(vec![200_u16, 404, 503]));
    (status, texts, option::of(duration()), option::of(address()), (sender, reason, get_status)).prop_map(
        |(
            status,
            (codes, message, challenge_error, correlation_id),
            retry_after,
            seen_address,
            (sender, reason, get_status),
        )| Answer {
            status,
            correlation_id,
            retry_after,
            codes,
            message,
            challenge_error,
            seen_address,
            sender,
            reason,
            get_status,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    use TlsFailure::{Expired, Handshake, NameMismatch, NotYetValid, Untrusted};
    let closed = select(vec![Untrusted, NameMismatch, Expired, NotYetValid]);
    let tls = prop_oneof![4 => closed, 1 => words().prop_map(Handshake)];
    let reason = || select(vec!["plain HTTP", "another host"]);
    prop_oneof![
        Just(Fault::NotConnected),
        tls.prop_map(Fault::Tls),
        duration().prop_map(|limit| Fault::ResponseTimeout { limit }),
        Just(Fault::ConnectionReset),
        duration().prop_map(|limit| Fault::DeadlineExceeded { limit }),
        http_answer().prop_map(Fault::Answer),
        (option::of(any::<u16>()), words())
            .prop_map(|(status, reason)| Fault::NotARegistry { status, reason }),
        (words(), reason()).prop_map(|(realm, reason)| Fault::UntrustedRealm { realm, reason }),
        (words(), reason()).prop_map(|(target, reason)| Fault::UntrustedRedirect { target, reason }),
        words().prop_map(|host| Fault::StorageRedirect { host }),
        words().prop_map(|searched| Fault::CredentialsMissing { searched }),
        words().prop_map(|reason| Fault::CredentialsInvalid { reason }),
        identity::fault().prop_map(Fault::Identity),
        words().prop_map(|reason| Fault::ManifestInvalid { reason }),
        (words(), words()).prop_map(|(expected, found)| Fault::DigestMismatch { expected, found }),
        (words(), vec(words(), 0..3)).prop_map(|(wanted, found)| Fault::PlatformMissing { wanted, found }),
    ]
}

const DIGEST: &str = "sha256:[0-9a-f]{64}";

/// The credentials used for the pull, and the rejected entries.
fn credentials() -> impl Strategy<Value = (Option<CredentialsUsed>, Vec<RejectedEntry>)> {
    let kind = select(vec![
        CredentialKind::RepositoryToken,
        CredentialKind::AdminUser,
        CredentialKind::ServicePrincipal,
        CredentialKind::RefreshToken,
        CredentialKind::Empty,
    ]);
    let evidence = select(vec![
        CredentialEvidence::LineEnd,
        CredentialEvidence::Blank,
        CredentialEvidence::AuthDiffers,
        CredentialEvidence::NotUtf8,
    ]);
    let rejected = (words(), kind, vec(evidence, 0..3)).prop_map(|(entry, kind, evidence)| RejectedEntry {
        entry,
        kind,
        evidence,
    });
    let used = select(vec![
        CredentialsUsed::Secret,
        CredentialsUsed::Anonymous,
        CredentialsUsed::ManagedIdentity,
        CredentialsUsed::WorkloadIdentity,
    ]);
    (option::of(used), vec(rejected, 0..3))
}

/// The results from the registry, apart from failures.
fn found() -> impl Strategy<Value = (Option<Token>, Option<Manifest>, Option<Blob>)> {
    let token = any::<Option<bool>>().prop_map(|pull| Token { pull });
    let manifest =
        (DIGEST, words(), any::<u32>(), option::of(words())).prop_map(|(digest, kind, size, platform)| {
            Manifest {
                digest,
                media_type: format!("application/{kind}"),
                size: size.into(),
                platform: platform.map(|platform| format!("{platform}/")),
            }
        });
    let blob = (DIGEST, any::<u32>(), any::<u32>(), words()).prop_map(|(digest, size, read, host)| Blob {
        digest,
        size: size.into(),
        bytes_read: read.into(),
        host: format!("{host}.example"),
    });
    (option::of(token), option::of(manifest), option::of(blob))
}

/// The observation of one check.
pub(crate) fn observation() -> impl Strategy<Value = Observation> {
    let mark = (endpoint(), stage(), duration()).prop_map(|(endpoint, stage, duration)| Mark {
        endpoint,
        stage,
        duration,
    });
    let request = (endpoint(), stage(), option::of(any::<u16>()))
        .prop_map(|(endpoint, stage, status)| Request { endpoint, stage, status });
    let failure = (endpoint(), stage(), fault()).prop_map(|(endpoint, stage, fault)| Failure {
        endpoint,
        stage,
        fault,
    });
    let lists = (
        vec(mark, 0..14),
        vec(resolution(), 0..6),
        vec(attempt(), 0..5),
        vec(request, 0..4),
        vec(tls(), 0..3),
    );
    let mismatch = (words(), words()).prop_map(|(wanted, found)| PlatformMismatch { wanted, found });
    let token = option::of(option::of(any::<bool>()).prop_map(|pull| Token { pull }));
    let warned = (endpoint(), stage(), fault(), token, option::of(words())).prop_map(
        |(endpoint, stage, fault, token, correlation_id)| IdentityFailure {
            failure: Failure { endpoint, stage, fault },
            token,
            correlation_id,
        },
    );
    let identity = (option::weighted(0.3, identity::identity()), option::weighted(0.1, warned));
    let ended = (option::of(words()), option::weighted(0.1, mismatch), option::weighted(0.8, failure));
    (
        lists,
        option::of(moment()),
        (credentials(), identity),
        found(),
        containerd::facts(),
        ended,
        (duration(), any::<CacheChoices>()),
    )
        .prop_map(
            |(
                (marks, resolutions, attempts, requests, tls),
                credentials_expire_at,
                tried,
                found,
                containerd,
                ended,
                (duration, cache),
            )| {
                let (((credentials, rejected_entries), (identity, identity_failure)), (proxied, mirrors)) =
                    (tried, containerd);
                let (token, manifest, blob) = found;
                let (correlation_id, platform_mismatch, failure) = ended;
                Observation {
                    node_cache: cache_of(&resolutions, cache),
                    marks,
                    resolutions,
                    attempts,
                    requests,
                    tls,
                    credentials_expire_at,
                    credentials,
                    identity,
                    identity_failure,
                    rejected_entries,
                    token,
                    manifest,
                    blob,
                    platform_mismatch,
                    proxied,
                    mirrors,
                    correlation_id,
                    failure,
                    duration,
                }
            },
        )
}

//! The rows of the table: a change to an open registry, the expected probes, and the number of connections.

use lab::answers::{Canned, ChallengeFault, Delivery, FirewallWording, RetryAfter, Step, Target};
use lab::settings::{Behaviour, Certificate, Nameserver, Rcode, Settings, Transport, View};

/// The answer to a client that the rules do not allow.
pub(super) const FIREWALL: Canned = Canned::Firewall(FirewallWording::Refer);

pub(super) type Arrange = fn(&mut Settings);

/// Name, change, expected probes, and number of connections.
pub(super) type Row = (&'static str, Arrange, &'static str, usize);

pub(super) fn answer(settings: &mut Settings, canned: Canned) {
    settings.answer(Step::Challenge, canned);
}

pub(super) fn resolve(settings: &mut Settings, addresses: &[&str]) {
    let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    settings.nameservers[0].login = View::Addresses(addresses);
}

pub(super) const ANSWERS: [Row; 22] = [
    ("open to all networks", |_| {}, "exposed IPv4 401", 1),
    (
        "open, without a token service",
        |settings| settings.challenge.answer = ChallengeFault::NoChallenge.into(),
        "exposed IPv4 200",
        1,
    ),
    (
        "open, with Basic only",
        |settings| settings.challenge.answer = ChallengeFault::BasicOnly.into(),
        "exposed IPv4 401",
        1,
    ),
    (
        "open, headers altered on the path",
        |settings| settings.challenge.answer = ChallengeFault::VersionHeaderMissing.into(),
        "exposed IPv4 401",
        1,
    ),
    ("public access disabled", |settings| answer(settings, FIREWALL), "refused IPv4 403 203.0.113.7", 1),
    (
        "IP rules without this client",
        |settings| answer(settings, Canned::Firewall(FirewallWording::CommaRefer)),
        "refused IPv4 403 203.0.113.7",
        1,
    ),
    (
        "disabled, with a correlation id",
        |settings| answer(settings, Canned::Firewall(FirewallWording::CorrelationId)),
        "refused IPv4 403 203.0.113.7",
        1,
    ),
    (
        "disabled, escaped quotes",
        |settings| answer(settings, Canned::Firewall(FirewallWording::Escaped)),
        "refused IPv4 403 203.0.113.7",
        1,
    ),
    (
        "403 without the firewall's text",
        |settings| answer(settings, Canned::PermissionsFailed),
        "not_tested forbidden IPv4 403",
        1,
    ),
    (
        "403 with the firewall's text and another code",
        |settings| {
            let body = br#"{"errors":[{"code":"UNKNOWN","message":"client with IP '203.0.113.7' is not allowed access."}]}"#;
            answer(settings, Canned::Raw { status: 403, headers: Vec::new(), body: body.to_vec() });
        },
        "not_tested forbidden IPv4 403 203.0.113.7",
        1,
    ),
    (
        "another status with the firewall's text",
        |settings| {
            let body = br#"{"errors":[{"code":"DENIED","message":"client with IP '203.0.113.7' is not allowed access."}]}"#;
            answer(settings, Canned::Raw { status: 404, headers: Vec::new(), body: body.to_vec() });
        },
        "not_tested not_found IPv4 404 203.0.113.7",
        1,
    ),
    ("a proxy's 403", |settings| answer(settings, Canned::ProxyForbidden), "not_tested page IPv4 403", 1),
    (
        "a storage's 403",
        |settings| answer(settings, Canned::StorageForbidden),
        "not_tested forbidden IPv4 403",
        1,
    ),
    ("HTML of a portal", |settings| answer(settings, Canned::CaptivePortal), "not_tested page IPv4 200", 1),
    ("a proxy's 502", |settings| answer(settings, Canned::BadGateway), "not_tested page IPv4 502", 1),
    (
        "401 without a challenge",
        |settings| settings.challenge.answer = ChallengeFault::HeaderMissing.into(),
        "not_tested other_answer IPv4 401",
        1,
    ),
    ("404", |settings| answer(settings, Canned::ManifestUnknown), "not_tested not_found IPv4 404", 1),
    (
        "429",
        |settings| answer(settings, Canned::Throttled(RetryAfter::Seconds(7))),
        "not_tested throttled IPv4 429",
        1,
    ),
    ("500", |settings| answer(settings, Canned::ServerError(500)), "not_tested server_error IPv4 500", 1),
    ("503", |settings| answer(settings, Canned::ServerError(503)), "not_tested server_error IPv4 503", 1),
    (
        "408, which invites a retry",
        |settings| answer(settings, Canned::Empty(408)),
        "not_tested other_answer IPv4 408",
        1,
    ),
    (
        "a redirect, which is not followed",
        |settings| answer(settings, Canned::Redirect { status: 302, target: Target::DataEndpoint }),
        "not_tested redirected IPv4 302",
        1,
    ),
];

pub(super) const NAMES: [Row; 11] = [
    ("private answer", |settings| resolve(settings, &["10.60.4.4"]), "not_tested private_answer IPv4", 0),
    (
        "private answers in both families",
        |settings| resolve(settings, &["10.60.4.4", "fd00:60::4"]),
        "not_tested private_answer IPv4; not_tested private_answer IPv6",
        0,
    ),
    (
        "reserved answer",
        |settings| resolve(settings, &["169.254.169.254"]),
        "not_tested reserved_answer IPv4",
        0,
    ),
    (
        "private and public answers",
        |settings| resolve(settings, &["10.60.4.4", "127.0.0.2"]),
        "exposed IPv4 401",
        1,
    ),
    ("NXDOMAIN", |settings| settings.nameservers[0].login = View::NoSuchName, "not_tested name_not_found", 0),
    (
        "a linked zone without the record",
        |settings| settings.nameservers[0].login = View::RecordMissing,
        "not_tested name_not_found",
        0,
    ),
    (
        "no address",
        |settings| settings.nameservers[0].login = View::RecordEmpty,
        "not_tested name_not_found",
        0,
    ),
    (
        "silent nameserver",
        |settings| settings.nameservers[0].behaviour = Behaviour::Silent,
        "not_tested not_resolved",
        0,
    ),
    (
        "SERVFAIL",
        |settings| settings.nameservers[0].behaviour = Behaviour::Rcode(Rcode::ServFail, None),
        "not_tested not_resolved",
        0,
    ),
    (
        "IPv6 unknown",
        |settings| settings.nameservers[0].behaviour = Behaviour::AaaaRcode(Rcode::ServFail),
        "exposed IPv4 401; not_tested not_resolved IPv6",
        1,
    ),
    (
        "one of two nameservers is silent",
        |settings| settings.nameservers.push(Nameserver::behaving(Behaviour::Silent)),
        "exposed IPv4 401",
        1,
    ),
];

pub(super) const CONNECTIONS: [Row; 14] = [
    // The kernel has no TCP route to a broadcast address, and loopback has such an address.
    (
        "no route",
        |settings| resolve(settings, &["127.255.255.255"]),
        "not_tested network_unreachable IPv4",
        0,
    ),
    (
        "closed port",
        |settings| settings.login.transport = Transport::Closed,
        "not_tested connect_refused IPv4",
        0,
    ),
    (
        "dropped SYN",
        |settings| settings.login.transport = Transport::AcceptQueueFull,
        "not_tested connect_timeout IPv4",
        0,
    ),
    (
        "reset at once",
        |settings| settings.login.transport = Transport::ResetOnAccept,
        "not_tested connection_reset IPv4",
        1,
    ),
    (
        "closed at once",
        |settings| settings.login.transport = Transport::CloseOnAccept,
        "not_tested connection_reset IPv4",
        1,
    ),
    (
        "reset in the handshake",
        |settings| settings.login.transport = Transport::ResetInHandshake,
        "not_tested connection_reset IPv4",
        1,
    ),
    (
        "silent in the handshake",
        |settings| settings.login.transport = Transport::SilentAfterAccept,
        "not_tested response_timeout IPv4",
        1,
    ),
    (
        "plain HTTP",
        |settings| settings.login.transport = Transport::PlainHttp,
        "not_tested tls_failed IPv4",
        1,
    ),
    (
        "TLS inspection",
        |settings| settings.login.certificate = Certificate::Untrusted,
        "not_tested certificate_untrusted IPv4",
        1,
    ),
    (
        "another name",
        |settings| settings.login.certificate = Certificate::WrongName,
        "not_tested tls_failed IPv4",
        1,
    ),
    (
        "expired certificate",
        |settings| settings.login.certificate = Certificate::Expired,
        "not_tested tls_failed IPv4",
        1,
    ),
    (
        "reset after the request",
        |settings| settings.deliver(Step::Challenge, Delivery::ResetAfterRequest),
        "not_tested connection_reset IPv4",
        1,
    ),
    (
        "silent after the request",
        |settings| settings.deliver(Step::Challenge, Delivery::SilentAfterRequest),
        "not_tested response_timeout IPv4",
        1,
    ),
    (
        "not HTTP",
        |settings| settings.deliver(Step::Challenge, Delivery::NotHttp),
        "not_tested not_http IPv4",
        1,
    ),
];

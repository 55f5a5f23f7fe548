//! Every way of the lab to make a check fail.
//!
//! Owns the list, and how one is put into a lab.

use std::time::Duration;

use crate::lab::answers::{
    BlobFault, Canned, ChallengeFault, Delivery, FirewallWording, ManifestFault, RedirectFault, RetryAfter,
    Step, Target, TokenFault,
};
use crate::lab::settings::{
    Behaviour, Certificate, Endpoint, Grant, Nameserver, Rcode, Settings, TcpDeath, Transport, View,
};

/// One way to break the registry.
pub(crate) struct Fault(Box<dyn Fn(&mut Settings)>);

impl Fault {
    /// Makes healthy settings broken.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        (self.0)(settings);
    }
}

fn fault(apply: impl Fn(&mut Settings) + 'static) -> Fault {
    Fault(Box::new(apply))
}

/// Every kind of fault of the lab that makes a check fail.
pub(crate) fn all() -> Vec<Fault> {
    let mut faults = names();
    faults.extend(connections());
    faults.extend(travels());
    faults.extend(answers());
    faults
}

fn names() -> Vec<Fault> {
    let views = [
        View::Addresses(vec![[203, 0, 113, 7].into()]),
        View::NotLinked,
        View::NoPrivateEndpoint,
        View::RecordMissing,
        View::RecordEmpty,
        View::NoSuchName,
        View::Chain(Vec::new(), Rcode::ServFail),
        View::CnameLoop,
    ];
    let behaviours = [
        Behaviour::Silent,
        Behaviour::Closed,
        Behaviour::Rcode(Rcode::Refused, None),
        Behaviour::Rcode(Rcode::FormErr, None),
        Behaviour::Rcode(Rcode::NotImp, None),
        Behaviour::Garbage,
        Behaviour::WrongId,
        Behaviour::ForeignSource,
        Behaviour::WrongQuestion,
        Behaviour::TruncatedTcpDead(TcpDeath::Refuses),
        Behaviour::TruncatedTcpDead(TcpDeath::Closes),
        Behaviour::TruncatedTcpDead(TcpDeath::Silent),
        Behaviour::DropFirst(5),
        Behaviour::Delay(Duration::from_millis(400)),
        Behaviour::HugeAnswer(300),
    ];
    let mut faults = Vec::new();
    for view in views {
        let data = view.clone();
        faults.push(fault(move |settings| settings.nameservers[0].login = view.clone()));
        faults.push(fault(move |settings| settings.nameservers[0].data = data.clone()));
    }
    faults.extend(behaviours.map(|behaviour| {
        fault(move |settings| settings.nameservers[0] = Nameserver::behaving(behaviour.clone()))
    }));
    faults
}

fn connections() -> Vec<Fault> {
    let transports = [
        Transport::Closed,
        Transport::AcceptQueueFull,
        Transport::ResetOnAccept,
        Transport::CloseOnAccept,
        Transport::SilentAfterAccept,
        Transport::ResetInHandshake,
        Transport::PlainHttp,
    ];
    let certificates = [
        Certificate::Untrusted,
        Certificate::SelfSigned,
        Certificate::MissingIntermediate,
        Certificate::WrongName,
        Certificate::Expired,
        Certificate::NotYetValid,
    ];
    let broken = transports.map(|transport| Endpoint { transport, ..Endpoint::default() });
    let untrusted = certificates.map(|certificate| Endpoint { certificate, ..Endpoint::default() });
    let mut faults = Vec::new();
    for endpoint in broken.into_iter().chain(untrusted) {
        let data = endpoint.clone();
        faults.push(fault(move |settings| settings.login = endpoint.clone()));
        faults.push(fault(move |settings| settings.data = data.clone()));
    }
    faults
}

fn travels() -> Vec<Fault> {
    let deliveries = [
        Delivery::Delayed(Duration::from_millis(400)),
        Delivery::ResetAfterRequest,
        Delivery::CloseAfterRequest,
        Delivery::SilentAfterRequest,
        Delivery::ResetMidBody,
        Delivery::CloseMidBody,
        Delivery::SilentMidBody,
        Delivery::Dripping(Duration::from_secs(1)),
        Delivery::BodyDripping(Duration::from_secs(1)),
        Delivery::EndlessHeaders,
        Delivery::EndlessBody,
        Delivery::HugeHeader,
        Delivery::NotHttp,
    ];
    // Each delivery at a step of its own, then at the next: all pairs would be too many of the slow ones.
    let pairs = deliveries.into_iter().zip(Step::ALL.into_iter().cycle());
    let shifted = deliveries.into_iter().zip(Step::ALL.into_iter().cycle().skip(2));
    pairs
        .chain(shifted)
        .map(|(delivery, step)| fault(move |settings| settings.deliver(step, delivery)))
        .collect()
}

fn answers() -> Vec<Fault> {
    let mut faults = vec![
        fault(|settings| settings.credentials.password = "the-next-password".into()),
        fault(|settings| settings.credentials.grant = Grant::Repositories(vec!["apps/other".into()])),
    ];
    let canned = [
        Canned::Unauthorized,
        Canned::InvalidClient,
        Canned::Firewall(FirewallWording::Refer),
        Canned::PermissionsFailed,
        Canned::StorageForbidden,
        Canned::NameUnknown,
        Canned::ManifestUnknown,
        Canned::BlobUnknown,
        Canned::StorageNotFound,
        Canned::Throttled(RetryAfter::Seconds(1)),
        Canned::ServerError(503),
        Canned::BadGateway,
        Canned::CaptivePortal,
        Canned::ProxyForbidden,
    ];
    for (number, canned) in canned.into_iter().enumerate() {
        for step in [Step::ALL[number % 5], Step::ALL[(number + 2) % 5]] {
            let canned = canned.clone();
            faults.push(fault(move |settings| settings.answer(step, canned.clone())));
        }
    }
    let challenges = [
        ChallengeFault::HeaderMissing,
        ChallengeFault::BasicOnly,
        ChallengeFault::Unparsable,
        ChallengeFault::OverLong,
        ChallengeFault::RealmMissing,
        ChallengeFault::RealmUnparsable,
        ChallengeFault::RealmOtherHost,
        ChallengeFault::RealmPlainHttp,
        ChallengeFault::ServiceOther,
    ];
    faults.extend(
        challenges.map(|found| fault(move |settings| settings.challenge.answer = found.clone().into())),
    );
    let tokens = [
        TokenFault::NotJson,
        TokenFault::NoToken,
        TokenFault::Empty,
        TokenFault::OverLong,
        TokenFault::LineBreak,
        TokenFault::WithoutPull,
        TokenFault::Expired,
        TokenFault::BadSignature,
    ];
    faults.extend(tokens.map(|found| fault(move |settings| settings.token.answer = found.into())));
    let manifests = [
        ManifestFault::WrongBytes,
        ManifestFault::OtherContent,
        ManifestFault::Schema1,
        ManifestFault::NotJson,
        ManifestFault::OverLong,
        ManifestFault::DeeplyNested,
        ManifestFault::HugeIndex,
        ManifestFault::EmptyIndex,
        ManifestFault::NoLayers,
        ManifestFault::UnknownMediaType,
        ManifestFault::Html,
    ];
    faults.extend(manifests.map(|found| fault(move |settings| settings.manifest.answer = found.into())));
    let redirects = [
        RedirectFault::Target(Target::PlainHttp),
        RedirectFault::Target(Target::ForeignHost),
        RedirectFault::Target(Target::Metadata),
        RedirectFault::Target(Target::Itself),
        RedirectFault::NoLocation,
        RedirectFault::Unparsable,
        RedirectFault::OverLong,
    ];
    faults.extend(
        redirects.map(|found| fault(move |settings| settings.blob_redirect.answer = found.clone().into())),
    );
    let blobs = [
        BlobFault::WrongBytes,
        BlobFault::MoreBytes,
        BlobFault::FewerBytes,
        BlobFault::Empty,
        BlobFault::SignatureRefused,
    ];
    faults.extend(blobs.map(|found| fault(move |settings| settings.blob.answer = found.into())));
    faults
}

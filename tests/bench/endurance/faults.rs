//! Every way of the lab to make a check fail, and what the contract calls each.
//!
//! Owns the list, how a fault is put into a lab, and the causes that a check may tell which met nothing but that fault. The
//! causes are written down here by the contract, and are not the program's own.

mod answers;

use std::time::Duration;

use crate::lab::answers::{Delivery, Step};
use crate::lab::settings::{
    Behaviour, Certificate, Endpoint, Nameserver, Rcode, Settings, TcpDeath, Transport, View,
};

/// The word for a check that found nothing wrong.
pub(crate) const PASS: &str = "pass";

/// A and AAAA are asked at once, and may meet a state each: half of an answer is of the one, half of the other.
const HALF: &[&str] =
    &["nameserver_failing", "mixed_addresses", "private_record_missing", "private_zone_not_linked"];

/// One way to break the registry.
pub(crate) struct Fault {
    /// What is broken.
    pub(crate) name: String,
    /// The causes that it may be told as; the first stage that it stops decides.
    pub(crate) causes: &'static [&'static str],
    /// Those that are told beside them while it comes or goes.
    pub(crate) in_passing: &'static [&'static str],
    apply: Box<dyn Fn(&mut Settings)>,
}

impl Fault {
    /// Makes healthy settings broken.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        (self.apply)(settings);
    }
}

fn fault(
    name: impl Into<String>,
    causes: &'static [&'static str],
    apply: impl Fn(&mut Settings) + 'static,
) -> Fault {
    Fault { name: name.into(), causes, in_passing: &[], apply: Box::new(apply) }
}

/// Every kind of fault of the lab that makes a check fail.
pub(crate) fn all() -> Vec<Fault> {
    let mut faults = names();
    faults.extend(connections());
    faults.extend(travels());
    faults.extend(answers::all());
    faults
}

fn names() -> Vec<Fault> {
    let views: [(View, &[&str]); 8] = [
        (View::Addresses(vec![[203, 0, 113, 7].into()]), &["private_zone_not_linked"]),
        (View::NotLinked, &["private_zone_not_linked"]),
        (View::NoPrivateEndpoint, &["no_private_endpoint"]),
        (View::RecordMissing, &["private_record_missing"]),
        (View::RecordEmpty, &["private_record_missing"]),
        (View::NoSuchName, &["name_not_found"]),
        (View::Chain(Vec::new(), Rcode::ServFail), &["dns_server_failure"]),
        (View::CnameLoop, &["dns_server_failure"]),
    ];
    let (silent, failing) = (&["dns_timeout"], &["dns_server_failure"]);
    let behaviours: [(Behaviour, &[&str]); 15] = [
        (Behaviour::Silent, silent),
        (Behaviour::Closed, silent),
        (Behaviour::Rcode(Rcode::Refused, None), failing),
        (Behaviour::Rcode(Rcode::FormErr, None), failing),
        (Behaviour::Rcode(Rcode::NotImp, None), failing),
        (Behaviour::Garbage, failing),
        (Behaviour::WrongId, silent),
        (Behaviour::ForeignSource, silent),
        (Behaviour::WrongQuestion, silent),
        (Behaviour::TruncatedTcpDead(TcpDeath::Refuses), failing),
        (Behaviour::TruncatedTcpDead(TcpDeath::Closes), failing),
        (Behaviour::TruncatedTcpDead(TcpDeath::Silent), failing),
        // The checks at a time have the first datagrams of a question between them: some lose few enough to go on.
        (Behaviour::DropFirst(5), &["dns_timeout", PASS]),
        (Behaviour::Delay(Duration::from_millis(400)), silent),
        // More addresses than any registry has.
        (Behaviour::HugeAnswer(300), failing),
    ];
    let mut faults = Vec::new();
    for (view, causes) in views {
        let data = view.clone();
        faults.push(fault(format!("login {view:?}"), causes, move |settings| {
            settings.nameservers[0].login = view.clone();
        }));
        faults.push(fault(format!("data {data:?}"), causes, move |settings| {
            settings.nameservers[0].data = data.clone();
        }));
    }
    faults.extend(behaviours.map(|(behaviour, causes)| {
        fault(format!("{behaviour:?}"), causes, move |settings| {
            settings.nameservers[0] = Nameserver::behaving(behaviour.clone());
        })
    }));
    faults.into_iter().map(|fault| Fault { in_passing: HALF, ..fault }).collect()
}

fn connections() -> Vec<Fault> {
    let transports: [(Transport, &[&str]); 7] = [
        (Transport::Closed, &["connect_refused"]),
        (Transport::AcceptQueueFull, &["connect_timeout"]),
        (Transport::ResetOnAccept, &["connection_reset"]),
        (Transport::CloseOnAccept, &["connection_reset"]),
        (Transport::SilentAfterAccept, &["response_timeout"]),
        (Transport::ResetInHandshake, &["connection_reset"]),
        (Transport::PlainHttp, &["tls_handshake_failed"]),
    ];
    let certificates: [(Certificate, &[&str]); 6] = [
        (Certificate::Untrusted, &["certificate_untrusted"]),
        (Certificate::SelfSigned, &["certificate_untrusted"]),
        (Certificate::MissingIntermediate, &["certificate_untrusted"]),
        (Certificate::WrongName, &["certificate_name_mismatch"]),
        (Certificate::Expired, &["certificate_expired"]),
        (Certificate::NotYetValid, &["certificate_not_yet_valid"]),
    ];
    let broken =
        transports.map(|(transport, causes)| (Endpoint { transport, ..Endpoint::default() }, causes));
    let untrusted =
        certificates.map(|(certificate, causes)| (Endpoint { certificate, ..Endpoint::default() }, causes));
    let mut faults = Vec::new();
    for (endpoint, causes) in broken.into_iter().chain(untrusted) {
        let data = endpoint.clone();
        let name = format!("{:?} {:?}", endpoint.transport, endpoint.certificate);
        // With a listener the connections go that wait to be accepted, and there is none until the next one is there.
        let is_door = matches!(endpoint.transport, Transport::Closed | Transport::AcceptQueueFull);
        let in_passing: &[&str] = if is_door { &["connection_reset", "connect_refused"] } else { &[] };
        let login = fault(format!("login {name}"), causes, move |settings| {
            settings.login = endpoint.clone();
        });
        let data = fault(format!("data {name}"), causes, move |settings| settings.data = data.clone());
        faults.extend([login, data].map(|fault| Fault { in_passing, ..fault }));
    }
    faults
}

fn travels() -> Vec<Fault> {
    let (late, torn, foreign) = (&["response_timeout"], &["connection_reset"], &["not_a_registry"]);
    let deliveries: [(Delivery, &[&str]); 13] = [
        (Delivery::Delayed(Duration::from_millis(400)), late),
        (Delivery::ResetAfterRequest, torn),
        (Delivery::CloseAfterRequest, torn),
        (Delivery::SilentAfterRequest, late),
        (Delivery::ResetMidBody, torn),
        (Delivery::CloseMidBody, torn),
        (Delivery::SilentMidBody, late),
        (Delivery::Dripping(Duration::from_secs(1)), late),
        (Delivery::BodyDripping(Duration::from_secs(1)), late),
        (Delivery::EndlessHeaders, foreign),
        // Of a challenge it is read to a limit and decides nothing; then the connection is another one.
        (Delivery::EndlessBody, &["manifest_invalid", PASS]),
        (Delivery::HugeHeader, foreign),
        (Delivery::NotHttp, foreign),
    ];
    // Each delivery at a step of its own, then at the next: all pairs would be too many of the slow ones.
    let pairs = deliveries.into_iter().zip(Step::ALL.into_iter().cycle());
    let shifted = deliveries.into_iter().zip(Step::ALL.into_iter().cycle().skip(2));
    let fault = |((delivery, causes), step): ((Delivery, &'static [&'static str]), Step)| {
        // The challenge is the answer to a HEAD, which has no body that could be torn or late.
        let is_of_the_body = matches!(
            delivery,
            Delivery::ResetMidBody
                | Delivery::CloseMidBody
                | Delivery::SilentMidBody
                | Delivery::BodyDripping(_)
        );
        let causes: &[&str] = if is_of_the_body && step == Step::Challenge { &[PASS] } else { causes };
        fault(format!("{delivery:?} at {step:?}"), causes, move |settings: &mut Settings| {
            settings.deliver(step, delivery);
        })
    };
    pairs.chain(shifted).map(fault).collect()
}

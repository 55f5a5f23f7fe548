//! All faults of the lab that make a check fail, with their causes.
//!
//! Contains how a fault is applied to the lab, and the causes that a check may report if it meets only that fault. The causes
//! follow the contract, independently of the program.

mod answers;

use std::time::Duration;

use lab::answers::{Delivery, Step};
use lab::settings::{
    Behaviour, Certificate, Endpoint, Nameserver, Rcode, Settings, TcpDeath, Transport, View,
};

/// Stands for a check without a problem.
pub(crate) const PASS: &str = "pass";

/// A and AAAA are queried concurrently and may meet different states: half of an answer belongs to each.
const HALF: &[&str] =
    &["nameserver_failing", "mixed_addresses", "private_record_missing", "private_zone_not_linked"];

/// A way to break the registry.
pub(crate) struct Fault {
    /// Description of the fault.
    pub(crate) name: String,
    /// Causes that may be reported; the first failing stage decides.
    pub(crate) causes: &'static [&'static str],
    /// Additional causes while it comes or goes.
    pub(crate) in_passing: &'static [&'static str],
    apply: Box<dyn Fn(&mut Settings)>,
}

impl Fault {
    /// Applies the fault to healthy settings.
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

/// Returns every fault of the lab that makes a check fail.
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
        // Concurrent checks share the dropped datagrams of a query: some lose few enough to continue.
        (Behaviour::DropFirst(5), &["dns_timeout", PASS]),
        (Behaviour::Delay(Duration::from_millis(400)), silent),
        // More addresses than a registry has.
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
        // Closing a listener drops connections waiting to be accepted, and until the next one listens there is none.
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
        // A challenge's body is read up to a limit and ignored; the connection is then replaced.
        (Delivery::EndlessBody, &["manifest_invalid", PASS]),
        (Delivery::HugeHeader, foreign),
        (Delivery::NotHttp, foreign),
    ];
    // Each delivery at one step and at the step after the next: all pairs would include too many slow ones.
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

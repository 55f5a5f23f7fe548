//! Networks with packet loss, low bandwidth or failures during a pull; and several faults at once.

use super::{Credentials, State, state};
use lab::answers::{Delivery, Step};
use lab::settings::Certificate;
use std::time::Duration;
use support::namespaces::network::{FORWARDER, UNUSED};

/// Every fifth packet to the registry, and back. DNS is not affected: Go's resolver queries twice and gives up, so pulls would
/// fail at random.
const A_FIFTH: &str = "tcp dport 443 numgen inc mod 5 0 drop";
const A_FIFTH_BACK: &str = "tcp sport 443 numgen inc mod 5 0 drop";
/// Why a client may fail where the check does not.
const GIVES_UP: &str =
    "clients query a nameserver twice, 5 s apart, the check four times; the kubelet pulls again";
/// Long enough for the fault to start while waiting for the manifest.
const SLOW_MANIFEST: Duration = Duration::from_secs(3);

pub(crate) fn states() -> Vec<State> {
    let mut states = losing();
    states.extend(worse_and_worse());
    states.extend(several_at_once());
    states
}

fn losing() -> Vec<State> {
    vec![
        state("a fifth of the packets is lost, both ways").arriving(A_FIFTH).leaving(A_FIFTH_BACK).patient(),
        state("a fifth of all packets is lost at random, including DNS")
            .arriving("meta l4proto { tcp, udp } numgen random mod 5 0 drop")
            .patient()
            .by_chance(GIVES_UP),
        // Every second one; the program retries.
        state("every second DNS query is lost")
            .arriving("udp dport 53 numgen inc mod 2 0 drop")
            .by_chance(GIVES_UP),
        // 8 KB a second: the certificates take half a second.
        state("a link of 64 kbit/s").link("64kbit").patient(),
        state("slow responses").endpoints(|settings| {
            for step in Step::ALL {
                settings.deliver(step, Delivery::Delayed(Duration::from_millis(700)));
            }
        }),
        State {
            nameservers: vec![UNUSED, FORWARDER],
            options: "options timeout:1\n",
            ..state("first nameserver drops")
                .arriving("ip daddr 10.60.0.12 drop")
                .impatient()
                .expects(&["warn login dns nameserver_failing", "warn data dns nameserver_failing"])
        },
    ]
}

fn worse_and_worse() -> Vec<State> {
    // Two manifests within the per-stage timeout.
    let slow = |name| State {
        patience: "8s",
        ..state(name).endpoints(|settings| settings.deliver(Step::Manifest, Delivery::Delayed(SLOW_MANIFEST)))
    };
    vec![
        State {
            halfway: Some("meta l4proto { tcp, udp } th dport 53 drop"),
            ..slow("nameserver fails during the pull")
                .pulls_fail("i/o timeout")
                .expects(&["fail data dns dns_timeout"])
        },
        State {
            halfway: Some("ip daddr 10.60.4.5 tcp dport 443 reject with tcp reset"),
            ..slow("data endpoint fails during the pull").expects(&["fail data connect connect_refused"])
        },
        // Reset or refused: clients may notice before they send the next request, and connect again.
        State {
            halfway: Some("ip daddr 10.60.4.4 tcp dport 443 reject with tcp reset"),
            ..slow("login server fails during the pull")
                .pulls_fail(": connection re")
                .expects(&["fail login manifest connection_reset"])
        },
    ]
}

fn several_at_once() -> Vec<State> {
    vec![
        State {
            credentials: Credentials::Wrong,
            ..state("zone not linked, and the password is wrong")
                .names(|names| names.linked = false)
                .expects(&["fail login address private_zone_not_linked"])
        },
        State {
            credentials: Credentials::Wrong,
            ..state("wrong password, and the data endpoint is closed")
                .arriving("ip daddr 10.60.4.5 tcp dport 443 reject with tcp reset")
                .expects(&["fail login token credentials_rejected"])
        },
        State {
            nameservers: vec![FORWARDER, UNUSED],
            ..state("second nameserver drops, and the login server's port is closed")
                .arriving("ip daddr 10.60.0.12 drop")
                .arriving("ip daddr 10.60.4.4 tcp dport 443 reject with tcp reset")
                .impatient()
                .expects(&["fail login connect connect_refused", "warn login dns nameserver_failing"])
        },
        state("certificate with 13 days left, and an expired one at the data endpoint")
            .endpoints(|settings| {
                settings.login.certificate = Certificate::ExpiresIn(13);
                settings.data.certificate = Certificate::Expired;
            })
            .expects(&["fail data tls certificate_expired", "warn login tls certificate_expiring"]),
        state("a fifth of the packets is lost, and the data record is missing")
            .names(|names| names.records.truncate(1))
            .arriving(A_FIFTH)
            .leaving(A_FIFTH_BACK)
            .patient()
            .expects(&["fail data dns private_record_missing"]),
    ]
}

//! Who may trigger a check: every client, those with the key, or none.
//!
//! Owns the answers to all others, which cost no check and none of the budget, and the limit on wrong keys. Browsers' cross-site
//! requests are rejected in `middleware`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::HeaderMap;
use tokio::time::Instant;

use super::CheckAccess;
use super::problem::{OnDemand, Problem};
use crate::check_key::HEADER;

/// Wrong keys of one address within the window. The next ones are not compared.
const MAX_WRONG: u32 = 10;
/// The window, which starts with the first wrong key of an address.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses with wrong keys within the window. While there are so many, the keys of other addresses are not compared
/// either: at most 2,560 wrong keys are compared in a minute.
const MAX_ADDRESSES: usize = 256;
/// The network of an IPv6 client: one machine has all addresses of a /64.
const NETWORK: u128 = u128::MAX << 64;

/// Decides about check requests.
#[derive(Clone, Default)]
pub(super) struct Admission(Arc<Mutex<BTreeMap<IpAddr, Wrong>>>);

/// The wrong keys of an address.
struct Wrong {
    first: Instant,
    count: u32,
}

impl Admission {
    /// Admits a request, or returns the answer to it.
    pub(super) fn admit(
        &self,
        access: &CheckAccess,
        peer: IpAddr,
        headers: &HeaderMap,
    ) -> Result<(), Problem> {
        let key = match access {
            CheckAccess::Open => return Ok(()),
            CheckAccess::Disabled => {
                return Err(Problem::not_on_demand(
                    StatusCode::FORBIDDEN,
                    OnDemand::Disabled,
                    "checks on demand are disabled (server.checksOnDemand): GET /report returns the report of the last check",
                ));
            }
            CheckAccess::NoKey(_) => {
                return Err(Problem::not_on_demand(
                    StatusCode::SERVICE_UNAVAILABLE,
                    OnDemand::Key,
                    "checks on demand require a key, and the agent has none (server.keyFile): its log has the reason",
                ));
            }
            CheckAccess::Key(key) => key,
        };
        let Some(sent) = headers.get(HEADER) else {
            return Err(Problem::not_on_demand(
                StatusCode::UNAUTHORIZED,
                OnDemand::Key,
                "checks on demand require the key in the header Acr-Verifier-Key",
            ));
        };
        let (peer, now) = (network(peer), Instant::now());
        if let Some(left) = self.blocked(peer, now) {
            return Err(Problem::later("too many wrong keys", left));
        }
        // A second header of the same name is not looked at, so each request is one attempt.
        if key.matches(sent.as_bytes()) {
            return Ok(());
        }
        self.record(peer, now);
        let error = "the key in the header Acr-Verifier-Key is wrong";
        Err(Problem::not_on_demand(StatusCode::FORBIDDEN, OnDemand::Key, error))
    }

    /// Returns how long the keys of this address are not compared, if so.
    fn blocked(&self, peer: IpAddr, now: Instant) -> Option<Duration> {
        let mut addresses = self.addresses();
        addresses.retain(|_, wrong| now.duration_since(wrong.first) < WINDOW);
        let left = |wrong: &Wrong| WINDOW.saturating_sub(now.duration_since(wrong.first));
        match addresses.get(&peer) {
            Some(wrong) => (wrong.count >= MAX_WRONG).then(|| left(wrong)),
            None if addresses.len() >= MAX_ADDRESSES => addresses.values().map(left).min(),
            None => None,
        }
    }

    fn record(&self, peer: IpAddr, now: Instant) {
        self.addresses().entry(peer).or_insert(Wrong { first: now, count: 0 }).count += 1;
    }

    /// Nothing panics while the lock is held.
    fn addresses(&self) -> MutexGuard<'_, BTreeMap<IpAddr, Wrong>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of an address that counts: an IPv4 address, or the /64 of an IPv6 address.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Admission, MAX_ADDRESSES, MAX_WRONG, WINDOW, network};

    fn address(text: &str) -> IpAddr {
        network(text.parse().expect("an address"))
    }

    #[test]
    fn wrong_keys_are_limited_by_address_and_in_total() {
        let (admission, now) = (Admission::default(), Instant::now());
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for _ in 0..MAX_WRONG {
            assert_eq!(admission.blocked(one, now), None);
            admission.record(one, now);
        }
        let later = now + Duration::from_secs(20);
        assert_eq!(admission.blocked(one, later), Some(Duration::from_secs(40)));
        assert_eq!(admission.blocked(other, later), None);
        for index in 1..MAX_ADDRESSES {
            admission.record(IpAddr::from([10, 1, 0, u8::try_from(index).expect("a byte")]), later);
        }
        assert_eq!(admission.blocked(other, later), Some(Duration::from_secs(40)), "the table is full");
        assert_eq!(admission.blocked(one, now + WINDOW), None, "the window has elapsed");
        assert_eq!(admission.blocked(other, now + WINDOW), None);
    }

    #[test]
    fn an_ipv6_client_counts_by_its_network() {
        assert_eq!(address("fd00::1"), address("fd00::ffff:1"));
        assert_ne!(address("fd00::1"), address("fd00:0:0:1::1"));
        assert_eq!(address("::ffff:10.0.0.1"), address("10.0.0.1"));
    }
}

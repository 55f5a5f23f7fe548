//! The `dns` and `address` stages: which resolvers to query, and which addresses may be connected to.
//!
//! Owns the gate: an address is only returned if every nameserver of the node answered correctly. `dns` sends the queries,
//! `rules` evaluates the answers.

use std::net::IpAddr;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::compared::Compared;
use super::deadline::Clock;
use super::dns::{self, Nameserver, Patience, ResolvConf};
use super::{Halt, Task};
use crate::address::Scope;
use crate::config::{Resolvers, SystemResolver};
use crate::observation::{Endpoint, Failure, Fault, Observation, Resolution, Resolver, Stage};
use crate::rules;

/// The resolvers of one check.
pub(super) struct Names<'check> {
    pub(super) task: &'check Task,
    pub(super) clock: &'check Clock,
    nameservers: Vec<Nameserver>,
    compared: Compared,
}

impl<'check> Names<'check> {
    /// The node's nameservers and the compared resolvers, as they are now.
    pub(super) fn new(task: &'check Task, clock: &'check Clock) -> Self {
        let (nameservers, compared) = nameservers(&task.resolvers);
        Self { task, clock, nameservers, compared: Compared::new(compared) }
    }

    /// Adds the answers of the compared resolvers to the observation.
    pub(super) async fn add_compared(self, observation: &mut Observation) {
        self.compared.add_to(observation, self.clock.deadline()).await;
    }

    /// Resolves a name and evaluates the answers. Returns the accepted addresses in answer order, or a halt.
    pub(super) async fn resolve(
        &self,
        endpoint: Endpoint,
        host: &str,
        observation: &mut Observation,
    ) -> Result<Vec<IpAddr>, Halt> {
        let started = Instant::now();
        let limit = self.clock.limit();
        let is_about = |seen: &&Resolution| seen.endpoint == endpoint && seen.host == host;
        let mut seen: Vec<Resolution> = observation.resolutions.iter().filter(is_about).cloned().collect();
        if seen.is_empty() {
            self.compared.ask(endpoint, host);
            seen = dns::resolve(endpoint, host, &self.nameservers, Patience::until(limit.until)).await;
            observation.resolutions.extend(seen.iter().cloned());
        }
        observation.mark(endpoint, Stage::Dns, started.elapsed());
        let judging = Instant::now();
        let diagnoses = rules::names::judge(&self.task.image, &self.task.policy, endpoint, true, &seen);
        if rules::names::stops(&diagnoses, Stage::Dns) {
            let out_of_time = limit.whole && Instant::now() >= limit.until;
            let fault = Fault::DeadlineExceeded { limit: self.clock.timeout() };
            return Err(out_of_time.then_some(Failure { endpoint, stage: Stage::Dns, fault }));
        }
        observation.mark(endpoint, Stage::Address, judging.elapsed());
        if rules::names::stops(&diagnoses, Stage::Address) {
            return Err(None);
        }
        Ok(self.good_addresses(&seen))
    }

    /// Resolves the configured data endpoints. The rules evaluate each, but none stops the check, because a pull from another
    /// region's endpoint still works.
    pub(super) async fn resolve_configured(&self, observation: &mut Observation) {
        if !self.task.blob || self.task.data_endpoints.is_empty() {
            return;
        }
        let started = Instant::now();
        let patience = Patience::until(self.clock.limit().until);
        let hosts = self.task.data_endpoints.iter();
        let asked = hosts.map(|host| {
            self.compared.ask(Endpoint::Data, host);
            dns::resolve(Endpoint::Data, host, &self.nameservers, patience)
        });
        observation.resolutions = join_all(asked).await.into_iter().flatten().collect();
        observation.mark(Endpoint::Data, Stage::Dns, started.elapsed());
        let judging = Instant::now();
        let diagnoses = rules::names::judge(
            &self.task.image,
            &self.task.policy,
            Endpoint::Data,
            true,
            &observation.resolutions,
        );
        if !rules::names::stops(&diagnoses, Stage::Dns) {
            observation.mark(Endpoint::Data, Stage::Address, judging.elapsed());
        }
    }

    fn good_addresses(&self, seen: &[Resolution]) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        let system = seen.iter().filter(|resolution| resolution.resolver == Resolver::System);
        for address in system.flat_map(Resolution::addresses) {
            let address = address.to_canonical();
            if self.task.policy.classify(address) == Scope::Private && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// The node's own nameservers, and the compared resolvers.
fn nameservers(resolvers: &Resolvers) -> (Vec<Nameserver>, Vec<Nameserver>) {
    let node = match &resolvers.system {
        SystemResolver::File(path) => dns::read_resolv_conf(path),
        SystemResolver::Servers(servers) => {
            ResolvConf { nameservers: servers.clone(), ..ResolvConf::default() }
        }
    };
    // A compared resolver is queried over the same transport as the node's own.
    let tcp_alone = node.tcp_alone;
    let nameserver = |resolver, address| Nameserver { resolver, address, tcp_alone };
    let system = node.nameservers.into_iter().map(|address| nameserver(Resolver::System, address));
    let compared = resolvers
        .compare
        .iter()
        .map(|(name, address)| nameserver(Resolver::Compared(name.clone()), address.clone()));
    (system.collect(), compared.collect())
}

//! The `dns` and `address` stages: which resolvers to query, and which addresses may be connected to.
//!
//! Owns the gate: it returns addresses only if the findings about the name allow a connection. `dns` sends the queries,
//! `findings` evaluates the answers.

use std::sync::{Mutex, PoisonError};

use futures_util::future::join_all;
use tokio::time::Instant;

use super::compared::Compared;
use super::deadline::Clock;
use super::dns::{self, Nameserver, Patience, ResolvConf};
use super::node_cache::{self, SecondQueries};
use super::{Stop, Task};
use crate::address::NameserverAddress;
use crate::config::SystemResolver;
use crate::findings::{AllowedAddresses, Findings};
use crate::observation::{Endpoint, Failure, Fault, NodeCache, Observation, Resolution, Resolver, Stage};

/// The resolvers of one check, and the findings about their answers.
pub(super) struct Gate<'check> {
    pub(super) task: &'check Task,
    pub(super) clock: &'check Clock,
    nameservers: Vec<Nameserver>,
    compared: Compared,
    cache: NodeCache,
    second_queries: SecondQueries,
    findings: Mutex<Findings>,
}

impl<'check> Gate<'check> {
    /// The node's nameservers and the compared resolvers, as they are now.
    pub(super) fn new(task: &'check Task, clock: &'check Clock) -> Self {
        let (nameservers, tcp_only) = system_nameservers(&task.resolvers.system);
        let cache = node_cache::of(&task.resolvers, task.lab, &nameservers);
        let by_default = node_cache::default_comparison(&cache, task.lab, &nameservers);
        // A compared resolver is queried over the same transport as the node's own.
        let compared = |(name, address): &(String, NameserverAddress)| Nameserver {
            resolver: Resolver::Compared(name.clone()),
            address: address.clone(),
            tcp_only,
        };
        let compared =
            Compared::new(task.resolvers.compare.iter().chain(&by_default).map(compared).collect());
        let (second_queries, findings) = Default::default();
        Self { task, clock, nameservers, compared, cache, second_queries, findings }
    }

    /// The node's own nameservers.
    pub(super) fn nameservers(&self) -> &[Nameserver] {
        &self.nameservers
    }

    /// Adds the answers of the compared resolvers to the observation, and returns all findings.
    pub(super) async fn finish(self, observation: &mut Observation) -> Findings {
        let (deadline, mut cache) = (self.clock.deadline(), self.cache);
        self.compared.add_to(observation, deadline).await;
        cache.second_answers = self.second_queries.finish(deadline).await;
        observation.node_cache = cache;
        let mut findings = self.findings.into_inner().unwrap_or_else(PoisonError::into_inner);
        findings.compare(&self.task.policy, observation);
        findings
    }

    /// Resolves a name and evaluates the answers, once in a check. Returns the addresses that may be connected to.
    pub(super) async fn resolve(
        &self,
        endpoint: Endpoint,
        host: &str,
        observation: &mut Observation,
    ) -> Result<AllowedAddresses, Stop> {
        let started = Instant::now();
        let limit = self.clock.limit();
        let is_about = |seen: &Resolution| seen.endpoint == endpoint && seen.host == host;
        if !observation.resolutions.iter().any(is_about) {
            self.compared.ask(endpoint, host);
            let patience = Patience::until(limit.until);
            let answers = dns::resolve(endpoint, host, &self.nameservers, patience).await;
            self.query_cache_again(&answers);
            observation.resolutions.extend(answers);
        }
        observation.mark(endpoint, Stage::Dns, started.elapsed());
        let started = Instant::now();
        let allowed = self.evaluate(observation, |findings| findings.allows_connect(endpoint, host));
        if allowed == Err(Stage::Dns) {
            let is_out_of_time = limit.whole && Instant::now() >= limit.until;
            let fault = Fault::DeadlineExceeded { limit: self.clock.timeout() };
            let failure = Failure { endpoint, stage: Stage::Dns, fault };
            return Err(if is_out_of_time { Stop::Failed(failure) } else { Stop::NotAllowed });
        }
        observation.mark(endpoint, Stage::Address, started.elapsed());
        allowed.map_err(|_| Stop::NotAllowed)
    }

    /// Resolves the configured data endpoints. Each is evaluated, but none stops the check, because a pull from another region's
    /// endpoint still works.
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
        self.query_cache_again(&observation.resolutions);
        observation.mark(Endpoint::Data, Stage::Dns, started.elapsed());
        let started = Instant::now();
        if self.evaluate(observation, |findings| findings.all_resolved(Endpoint::Data)) {
            observation.mark(Endpoint::Data, Stage::Address, started.elapsed());
        }
    }

    /// Queries the node's cache again if something is compared with it.
    fn query_cache_again(&self, answers: &[Resolution]) {
        if !self.compared.is_empty() {
            self.second_queries.follow(&self.cache, answers);
        }
    }

    /// Evaluates the names that were resolved since the last call, and returns what `read` finds.
    fn evaluate<T>(&self, observation: &Observation, read: impl FnOnce(&Findings) -> T) -> T {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        findings.evaluate(&self.task.image, &self.task.policy, observation);
        read(&findings)
    }
}

/// The nameservers of this machine, as they are now, and whether they are queried over TCP only.
pub(super) fn system_nameservers(resolver: &SystemResolver) -> (Vec<Nameserver>, bool) {
    let found = match resolver {
        SystemResolver::File(path) => dns::read_resolv_conf(path),
        SystemResolver::Servers(servers) => {
            ResolvConf { nameservers: servers.clone(), ..ResolvConf::default() }
        }
    };
    let tcp_only = found.tcp_only;
    let nameserver = |address| Nameserver { resolver: Resolver::System, address, tcp_only };
    (found.nameservers.into_iter().map(nameserver).collect(), tcp_only)
}

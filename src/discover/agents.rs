//! The requests to agents: what the agent of each waiting Pod's node reports, and which registries the agents check.
//!
//! Owns the choice of the agents and the limits on number and time; `cluster::ask` owns the limit on size.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::Options;
use crate::cluster::ask::{self, Answer};
use crate::cluster::{Agent, Cluster, ClusterError, Readiness};
use crate::fleet::report::NodeReport;
use crate::inventory::coverage::{CheckedRegistries, Coverage};
use crate::inventory::waiting::{AgentView, Explanation, Silence, WaitingImage};
use crate::text::words::seconds;

/// Maximum concurrent requests: a report takes milliseconds.
const AT_A_TIME: usize = 16;
/// Timeout of one request.
const ASK_LIMIT: Duration = Duration::from_secs(10);
/// Agents that are queried about the registries they check, if none was queried about a Pod.
const COVERAGE_ATTEMPTS: usize = 3;

/// Queries the agents of the nodes with waiting Pods, and one about the registries that it checks.
///
/// A missing permission is an error only if the outcome depends on the agents: the images are known without them.
pub(super) async fn query(
    cluster: &Cluster,
    options: &Options,
    waiting: Vec<WaitingImage>,
    deadline: Instant,
    now: fn() -> Timestamp,
) -> Result<(Vec<Explanation>, Coverage), ClusterError> {
    let listed = timeout_at(deadline, cluster.all_agents()).await;
    let listed = listed.unwrap_or_else(|_elapsed| {
        Err(ClusterError::Unavailable(format!("no response within {}", seconds(options.timeout))))
    });
    let queried = match listed {
        Ok(agents) => {
            let mut queries = Queries::new(cluster, agents, deadline);
            queries.run(&waiting).await.map(|()| queries)
        }
        Err(error) => Err(error),
    };
    let mut queries = match queried {
        Ok(queries) => queries,
        Err(error) if options.coverage => return Err(error),
        Err(error) => {
            let reason = error.to_string();
            let silence =
                |_: &WaitingImage| AgentView::Silent(Silence::NotQueried { reason: reason.clone() });
            return Ok((explain(waiting, silence, now()), Coverage::Unknown(reason)));
        }
    };
    if queries.coverage.is_none() && options.scope_is_wide() {
        match queries.query_about_registries().await {
            Err(error) if options.coverage => return Err(error),
            Err(error) => queries.failure = Some(error.to_string()),
            Ok(()) => {}
        }
    }
    let coverage = queries.coverage(options.scope_is_wide());
    let view = |image: &WaitingImage| {
        queries.views.get(&key(image)).cloned().unwrap_or(AgentView::Silent(Silence::NoAgent))
    };
    Ok((explain(waiting, view, now()), coverage))
}

fn explain(
    waiting: Vec<WaitingImage>,
    view: impl Fn(&WaitingImage) -> AgentView,
    now: Timestamp,
) -> Vec<Explanation> {
    let explained = waiting.into_iter().map(|image| {
        let view = view(&image);
        Explanation::of(image, view, now)
    });
    explained.collect()
}

/// The key of a view: node and image.
fn key(image: &WaitingImage) -> (String, String) {
    (image.node.clone().unwrap_or_default(), image.image.to_string())
}

/// The requests to agents. A report is reduced at once to what it contains about the waiting images, so that few are in memory.
struct Queries<'cluster> {
    cluster: &'cluster Cluster,
    deadline: Instant,
    /// The best agent of each node.
    agents: BTreeMap<String, Agent>,
    /// By node and image.
    views: BTreeMap<(String, String), AgentView>,
    coverage: Option<CheckedRegistries>,
    /// Why the last agent returned no report.
    failure: Option<String>,
}

impl<'cluster> Queries<'cluster> {
    fn new(cluster: &'cluster Cluster, agents: Vec<Agent>, deadline: Instant) -> Self {
        let mut best: BTreeMap<String, Agent> = BTreeMap::new();
        for agent in agents {
            let rank = |agent: &Agent| (preference(&agent.readiness), agent.created.clone());
            if best.get(&agent.node).is_none_or(|known| rank(known) < rank(&agent)) {
                best.insert(agent.node.clone(), agent);
            }
        }
        Self { cluster, deadline, agents: best, views: BTreeMap::new(), coverage: None, failure: None }
    }

    /// Queries the agent of each node with waiting Pods, once.
    async fn run(&mut self, waiting: &[WaitingImage]) -> Result<(), ClusterError> {
        let mut by_node: BTreeMap<&str, Vec<&WaitingImage>> = BTreeMap::new();
        for image in waiting {
            by_node.entry(image.node.as_deref().unwrap_or_default()).or_default().push(image);
        }
        let (cluster, limit) = (self.cluster, self.limit());
        let mut requests = Vec::new();
        for (node, images) in by_node {
            let Some(agent) = self.agents.get(node).cloned() else { continue };
            if let Readiness::NotReady(reason) = &agent.readiness {
                let silence = Silence::NotReady { pod: agent.name.clone(), reason: reason.clone() };
                self.keep(&images, |_| AgentView::Silent(silence.clone()));
                continue;
            }
            requests.push(async move {
                let answer = ask::report(cluster, &agent, limit).await;
                (agent, images, answer)
            });
        }
        let mut answers = stream::iter(requests).buffer_unordered(AT_A_TIME);
        while let Some((agent, images, answer)) = answers.next().await {
            match reason_or_report(answer?) {
                Ok(report) => {
                    self.keep(&images, |image| AgentView::of(&report, &agent.name, image));
                    let is_first = self.coverage.as_ref().is_none_or(|known| agent.node < known.node);
                    if is_first {
                        self.coverage = Some(CheckedRegistries::of(&report, &agent.name, &agent.node));
                    }
                }
                Err(reason) => {
                    let silence = Silence::NoReport { pod: agent.name.clone(), reason: reason.clone() };
                    self.keep(&images, |_| AgentView::Silent(silence.clone()));
                    self.failure = Some(format!("{} on node {}: {reason}", agent.name, agent.node));
                }
            }
        }
        Ok(())
    }

    /// Queries ready agents until one returns its report.
    async fn query_about_registries(&mut self) -> Result<(), ClusterError> {
        let ready = self.agents.values().filter(|agent| agent.readiness == Readiness::Ready);
        for agent in ready.take(COVERAGE_ATTEMPTS).cloned().collect::<Vec<_>>() {
            match reason_or_report(ask::report(self.cluster, &agent, self.limit()).await?) {
                Ok(report) => {
                    self.coverage = Some(CheckedRegistries::of(&report, &agent.name, &agent.node));
                    return Ok(());
                }
                Err(reason) => {
                    self.failure = Some(format!("{} on node {}: {reason}", agent.name, agent.node));
                }
            }
        }
        Ok(())
    }

    fn limit(&self) -> Duration {
        ASK_LIMIT.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    fn keep(&mut self, images: &[&WaitingImage], view: impl Fn(&WaitingImage) -> AgentView) {
        for image in images {
            self.views.insert(key(image), view(image));
        }
    }

    fn coverage(&self, is_wide: bool) -> Coverage {
        match &self.coverage {
            Some(checked) => Coverage::Reported(checked.clone()),
            None if !is_wide => Coverage::NotRequested,
            None if self.agents.is_empty() => Coverage::NoAgents,
            None => {
                let reason = self.failure.clone();
                Coverage::Unknown(reason.unwrap_or_else(|| "no agent is ready".to_owned()))
            }
        }
    }
}

/// Ready agents are better than starting ones.
const fn preference(readiness: &Readiness) -> u8 {
    match readiness {
        Readiness::Ready => 2,
        Readiness::Running(_) => 1,
        Readiness::NotReady(_) => 0,
    }
}

fn reason_or_report(answer: Answer) -> Result<Box<NodeReport>, String> {
    match answer {
        Answer::Report { report, age: _, path_age: _ } => Ok(report),
        Answer::Nothing(reason) => Err(reason),
        Answer::Later { reason, .. } => Err(format!("it is busy ({reason})")),
        Answer::OtherConfiguration(_) => Err("it responded with a conflict".to_owned()),
        Answer::NotOnDemand(reason) => Err(reason.to_string()),
    }
}

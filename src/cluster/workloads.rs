//! The workloads that create Pods: their images will be needed, even if no Pod runs now.
//!
//! Owns the kinds, their paths and the wire format. A workload that another one controls is skipped, and so is a finished Job.

use serde::Deserialize;

use super::list::{ApiResource, Listing};
use super::pods::{ATTEMPTS, Metadata, PodSpec};
use super::{Cluster, ClusterError};
use crate::inventory::Workload;

/// Workloads per page.
const PAGE: usize = 250;

/// The kinds of workloads, in the order in which they are listed: kind, resource, API group.
pub const OWNERS: [(&str, &str, &str); 6] = [
    ("Deployment", "deployments", "apps"),
    ("StatefulSet", "statefulsets", "apps"),
    ("DaemonSet", "daemonsets", "apps"),
    ("ReplicaSet", "replicasets", "apps"),
    ("Job", "jobs", "batch"),
    ("CronJob", "cronjobs", "batch"),
];

#[derive(Deserialize, Default)]
#[serde(default)]
struct WorkloadObject {
    metadata: OwnedMetadata,
    spec: Spec,
    status: Status,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct OwnedMetadata {
    #[serde(flatten)]
    name: Metadata,
    owner_references: Vec<Owner>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Owner {
    controller: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    template: Template,
    /// Only a CronJob has one.
    job_template: JobTemplate,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JobTemplate {
    spec: JobSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct JobSpec {
    template: Template,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Template {
    spec: PodSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Status {
    conditions: Vec<Condition>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

impl WorkloadObject {
    /// Returns the workload, unless another one controls it or it is a Job that has finished.
    fn into_workload(self, kind: &'static str) -> Option<Workload> {
        let has_ended = |condition: &Condition| {
            matches!(condition.kind.as_str(), "Complete" | "Failed") && condition.status == "True"
        };
        let is_finished = kind == "Job" && self.status.conditions.iter().any(has_ended);
        if is_finished || self.metadata.owner_references.iter().any(|owner| owner.controller) {
            return None;
        }
        let template =
            if kind == "CronJob" { self.spec.job_template.spec.template } else { self.spec.template };
        let (containers, pull_secrets) = template.spec.into_parts();
        let Metadata { namespace, name, .. } = self.metadata.name;
        Some(Workload { kind, namespace, name, containers, pull_secrets })
    }
}

impl Cluster {
    /// Lists the workloads of a namespace, or of all, and passes them on.
    ///
    /// # Errors
    /// A request fails or is denied.
    pub async fn each_workload<Sink>(
        &self,
        namespace: Option<&str>,
        sink: &mut Sink,
        take: fn(&mut Sink, &Workload),
    ) -> Result<(), ClusterError> {
        for (kind, resource, group) in OWNERS {
            let path = match namespace {
                Some(namespace) => format!("/apis/{group}/v1/namespaces/{namespace}/{resource}"),
                None => format!("/apis/{group}/v1/{resource}"),
            };
            let of = ApiResource { resource, group, path, namespace };
            let listing = Listing { labels: None, fields: None, page: PAGE, attempts: ATTEMPTS, restarts: 0 };
            self.each_page::<WorkloadObject>(&of, &listing, |page| {
                for workload in page.items.into_iter().filter_map(|object| object.into_workload(kind)) {
                    take(sink, &workload);
                }
            })
            .await?;
        }
        Ok(())
    }
}

//! Real Kubernetes: a control plane and three nodes with kubelet and containerd, each in a network namespace, next to a
//! private registry with Azure's names. Installs the chart as in the README and runs the operator's commands.
//!
//! Needs root, some packages (`packages.txt`), the servers (`servers`) and the image (`deploy/image`). Without them, the test
//! prints the reason and passes, unless they are required. `ACR_VERIFIER_KUBERNETES` selects a version of `versions`. All traffic stays inside the namespaces. Everything is cleaned up
//! afterwards, including leftovers of a killed run.
//!
//! Reading order: `control` and `worker` are the cluster, `whole` adds the registry, `story` contains the steps.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "tests may use the clock and the environment")]

mod control;
mod discover;
mod identity;
mod image;
mod node_files;
mod quick_start;
mod reach;
mod requirements;
mod runbook;
mod story;
mod waiting;
mod whole;
mod worker;

use std::time::Instant;

use support::namespaces::plugin;
use support::tell;

use self::requirements::Requirements;
use self::whole::Cluster;

#[test]
fn the_documentation_holds_on_a_three_node_cluster() {
    let (programs, image) = match requirements::met() {
        Requirements::Met { programs, image } => (programs, image),
        Requirements::Skip(reason) => return tell(&format!("\nSKIPPED cluster: {reason}\n")),
        Requirements::Fail(reason) => panic!("cluster: {reason}"),
    };
    let plugin = plugin::find();
    if let Err(reason) = &plugin {
        plugin::skip("pulls with a node's identity", reason);
    }
    tell(&format!("\nthe cluster of {}", programs.display()));
    let started = Instant::now();
    let cluster = Cluster::start(programs, &image, plugin.ok().as_deref());
    tell(&format!("\nstep {:<60} {:.1} s", "three nodes are Ready", started.elapsed().as_secs_f64()));
    for (name, step) in story::STEPS {
        let begun = Instant::now();
        step(&cluster);
        tell(&format!("step {name:<60} {:.1} s", begun.elapsed().as_secs_f64()));
    }
    tell(&format!("{} steps in {:.0} s", story::STEPS.len(), started.elapsed().as_secs_f64()));
}

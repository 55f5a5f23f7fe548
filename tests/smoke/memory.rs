//! Memory use of a smoke check of a large fleet with a hostile agent.
//!
//! `ACR_VERIFIER_SMOKE_NODES=6000` tests the largest supported fleet and takes ten minutes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Cluster, Reply, named, report_of};
use lab::Lab;
use lab::settings::{Settings, View};
use support::hostile::process::peak_of;

/// Default number of nodes, and the timeout for them.
const NODES: usize = 1_000;
const TIMEOUT: &str = "30s";
/// Timeout for more nodes, which are queried at a thousand per minute.
const LONG_TIMEOUT: &str = "10m";
/// Limit in KiB: a sixth of the 100 MiB for 6,000 nodes, the program itself, and one response of 4 MiB.
const ALLOWED: u64 = 56 * 1024;
/// Memory limit of the `helm test` Job in KiB.
const LIMIT: u64 = 100 * 1024;

#[test]
fn memory_stays_bounded_with_a_thousand_failing_nodes_and_a_hostile_agent() {
    let nodes =
        std::env::var("ACR_VERIFIER_SMOKE_NODES").map_or(NODES, |nodes| nodes.parse().expect("a number"));
    let (timeout, allowed) = if nodes > NODES { (LONG_TIMEOUT, LIMIT) } else { (TIMEOUT, ALLOWED) };
    let lab = Lab::start(Settings::default());
    lab.change(|settings| settings.nameservers[0].login = View::NotLinked);
    let mut bad = report_of(&lab);
    let image = bad["images"][0].clone();
    bad["images"] = vec![image.clone(); 4].into();
    // The largest accepted report: four megabytes of images, diagnoses and texts.
    let mut hostile = bad.clone();
    let mut more = image;
    more["diagnoses"] = vec![more["diagnoses"][0].clone(); 30].into();
    more["diagnoses"][0]["message"] = "x".repeat(20_000).into();
    hostile["images"] = vec![more; 70].into();
    let size = hostile.to_string().len();
    assert!((3 << 20..4 << 20).contains(&size), "{size} bytes");
    let answer = move |index: usize| {
        let mut report = named(if index == 500 { &hostile } else { &bad }, index);
        // Half of the nodes report their own messages.
        if index.is_multiple_of(2) {
            let message =
                report["images"][0]["diagnoses"][0]["message"].as_str().unwrap_or_default().to_owned();
            report["images"][0]["diagnoses"][0]["message"] = format!("{message} Seen by {index}.").into();
        }
        Reply::Report(report)
    };
    let cluster = Cluster::start(nodes, Box::new(answer));
    let mut child = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
        .args([
            "smoke",
            "--sample",
            "all",
            "--timeout",
            timeout,
            "--output",
            "json",
            "--report-file",
            "/dev/null",
            "--kubeconfig",
        ])
        .arg(&cluster.kubeconfig)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut peak = 0;
    let status = loop {
        peak = peak_of(child.id()).unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().expect("our own child") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(status.code(), Some(1));
    let asked = cluster.asked.lock().expect("no panic").len();
    assert_eq!(asked, nodes, "every agent was queried");
    assert!(peak < allowed, "{asked} of {nodes} nodes queried, peak {peak} KiB");
}

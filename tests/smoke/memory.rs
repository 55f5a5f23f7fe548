//! What a smoke check of a large fleet costs in memory, a hostile agent included.
//!
//! `ACR_VERIFIER_SMOKE_NODES=6000` makes it the largest fleet that is promised anything; that takes ten minutes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Cluster, Reply, named, report_of};
use crate::hostile::process::peak_of;
use crate::lab::Lab;
use crate::lab::settings::{Settings, View};

/// Nodes unless said, and how long the smoke check has for them.
const NODES: usize = 1_000;
const TIMEOUT: &str = "30s";
/// The same for more, which are asked at a thousand a minute.
const LONG_TIMEOUT: &str = "10m";
/// A sixth of the nodes of the goal of 100 MiB, the program itself, and one answer of 4 MiB that is read, in KiB.
const ALLOWED: u64 = 56 * 1024;
/// What the Job of `helm test` has, in KiB.
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
    // As long as it may be: four megabytes of images, diagnoses and texts.
    let mut hostile = bad.clone();
    let mut more = image;
    more["diagnoses"] = vec![more["diagnoses"][0].clone(); 30].into();
    more["diagnoses"][0]["message"] = "x".repeat(20_000).into();
    hostile["images"] = vec![more; 70].into();
    let size = hostile.to_string().len();
    assert!((3 << 20..4 << 20).contains(&size), "{size} bytes");
    let answer = move |index: usize| {
        let mut report = named(if index == 500 { &hostile } else { &bad }, index);
        // Half of the nodes have words of their own.
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
    assert_eq!(asked, nodes, "every agent was asked");
    assert!(peak < allowed, "{asked} of {nodes} nodes asked, peak {peak} KiB");
}

//! What a smoke check of a large fleet costs in memory, a hostile agent included. `tests/bench/gate` measures the release binary
//! with 6,000 nodes.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Cluster, Reply, named, report_of};
use crate::hostile::process::peak_of;
use crate::lab::Lab;
use crate::lab::settings::{Settings, View};

const NODES: usize = 1_000;
/// A sixth of the nodes of the goal of 100 MiB, the program itself, and one answer of 4 MiB that is read, in KiB.
const ALLOWED: u64 = 56 * 1024;

#[test]
fn a_thousand_nodes_with_four_failing_images_and_a_hostile_agent_cost_little() {
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
    let cluster = Cluster::start(NODES, Box::new(answer));
    let mut child = Command::new(env!("CARGO_BIN_EXE_acr-verifier"))
        .args(["smoke", "--timeout", "30s", "--output", "json", "--report-file", "/dev/null", "--kubeconfig"])
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
    assert!(cluster.asked.lock().expect("no panic").len() == NODES, "every agent was asked");
    assert!(peak < ALLOWED, "{peak} KiB");
}

//! The first steps of the runbook on real nodes: the agent answers for its node, without a shell there.

use serde_json::Value;

use super::story::agents;
use super::whole::Cluster;

const RUNBOOK: &str = include_str!("../../dashboards/runbook.md");

/// Returns the commands of `Ask the agent` for a node and the Pod of its agent.
fn commands(node: &str, pod: &str) -> Vec<Vec<String>> {
    let (_, section) = RUNBOOK.split_once("\n## Ask the agent\n").expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("a block");
    let filled = block.replace("NODE", node).replace("POD", pod);
    let words = filled.lines().map(|line| line.split(' ').skip(1).map(str::to_owned).collect());
    words.collect()
}

/// On a healthy node: the Pod is found, its check passes, and its report is the one of the loop.
pub(super) fn ask_the_agent(cluster: &Cluster) {
    let (node, pod, ..) = agents(cluster).into_iter().next().expect("an agent");
    let mut answers = commands(&node, &pod).into_iter().map(|command| {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        cluster.kubectl(&words)
    });
    let found = answers.next().expect("the Pod");
    assert!(found.contains(&pod), "{found}");
    let check = answers.next().expect("a check");
    assert!(check.contains("pass: ") && check.contains("contoso.azurecr.io"), "{check}");
    let report: Value = serde_json::from_str(&answers.next().expect("the report")).expect("JSON");
    assert_eq!((&report["node"], &report["verdict"]), (&Value::from(node), &Value::from("pass")));
}

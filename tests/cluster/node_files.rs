//! The files of a node, as the chart mounts them: changes appear in the next report, and the agent writes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::story::agents;
use super::whole::{Cluster, wait};

/// Time within which the agent follows a change, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// Lists the mounted folders of a node, apart from the files that this test writes.
const LISTING: &str = "find /etc/systemd /etc/containerd /etc/ssl /run/systemd -print | sort";

/// Returns the newest report of the first node's agent.
fn report(cluster: &Cluster) -> Value {
    let (_, pod, _, _) = agents(cluster).remove(0);
    let path = format!("/api/v1/namespaces/acr-verifier/pods/{pod}:9469/proxy/report");
    serde_json::from_str(&cluster.kubectl(&["get", "--raw", &path])).expect("JSON")
}

pub(super) fn follow(cluster: &Cluster) {
    let node = &cluster.workers[0];
    let before = node.shell(LISTING);
    assert!(!before.contains("certs.d"), "the runtime created nothing: {before}");
    let first = report(cluster);
    assert_eq!(first["node"], node.name.as_str());
    let expected = json!(
        {"resolvConf": "/host/etc/resolv.conf", "roots": "node", "proxy": "none", "mirrors": "none"}
    );
    assert_eq!(first["nodeFiles"], expected, "{first:#}");
    // The ConfigMap contains the same certificate authority.
    assert_eq!(first["images"][0]["connection"]["trustedBy"], "node", "{first:#}");

    let proxy = "[Manager]\nDefaultEnvironment=\"HTTPS_PROXY=http://user:hunter2@192.0.2.1:3128\"\n";
    node.write("/etc/systemd/system.conf.d/proxy.conf", proxy);
    node.write("/etc/containerd/certs.d/_default/hosts.toml", "[host.\"https://mirror.contoso.com\"]\n");
    wait("proxy_bypassed", SOON, || {
        let report = report(cluster);
        report["images"][0]["diagnoses"][0]["cause"] == "proxy_bypassed"
            && report["nodeFiles"]["mirrors"] == "mirror.contoso.com"
    });
    let warned = report(cluster).to_string();
    assert!(warned.contains("192.0.2.1:3128") && !warned.contains("hunter2"), "{warned}");
    node.shell("rm -r /etc/systemd/system.conf.d /etc/containerd/certs.d");

    // A bind-mounted file stays the old one; the agent follows the file that replaced it.
    let servers = |report: &Value| report["images"][0]["resolutions"].as_array().map_or(0, Vec::len);
    assert_eq!(servers(&first), 2, "a nameserver for each of two endpoints: {first:#}");
    let text = node.shell("cat /run/systemd/resolve/resolv.conf");
    node.write("/run/systemd/resolve/resolv.conf", &format!("{text}{text}"));
    wait("both nameservers", SOON, || servers(&report(cluster)) == 4);
    node.write("/run/systemd/resolve/resolv.conf", &text);
    wait("the pass", SOON, || report(cluster)["verdict"] == "pass");
    assert_eq!(node.shell(LISTING), before, "nothing was written to the node");
}

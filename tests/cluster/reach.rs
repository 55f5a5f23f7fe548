//! Who reaches the agents of a real cluster: their addresses, `kubectl port-forward`, and the key of checks on demand.

use std::net::TcpStream;
use std::time::Duration;

use super::story::{agents, install_as, rolled_out};
use super::whole::{Cluster, wait};

const NAMESPACE: &str = "--namespace=acr-verifier";
const KEY: &str = "planted-key-0123456789abcdef";
/// Time within which an agent follows a changed configuration; the kubelet delivers it within two minutes.
const DELIVERY: Duration = Duration::from_secs(150);

pub(super) fn limited(cluster: &Cluster) {
    assert!(cluster.ask(0, "/readyz").starts_with("HTTP/1.1 200"), "at the address of the node");
    let own = |address: &str| cluster.workers[0].namespace.run(|| TcpStream::connect(address).is_ok());
    assert!(own("127.0.0.1:9469"), "processes of the node");
    assert!(!own("127.0.0.2:9469"), "another address of the node");
    let pod = &agents(cluster)[0].1;
    assert!(cluster.forwarded(pod, "/readyz").starts_with("HTTP/1.1 200"));

    let file = cluster.path().join("check-key");
    std::fs::write(&file, format!("{KEY}\n")).expect("a file");
    let from = format!("--from-file=key={}", file.display());
    cluster.kubectl(&["create", "secret", "generic", "check-key", NAMESPACE, &from]);
    let key = ["--set=config.server.checksOnDemand=key", "--set=config.server.keySecret.name=check-key"];
    install_as(cluster, "acr-verifier", "acr-verifier", &key);
    rolled_out(cluster, "acr-verifier", "acr-verifier");
    assert!(cluster.trigger(0, "").starts_with("HTTP/1.1 401"));
    assert!(cluster.trigger(0, "Acr-Verifier-Key: a-guess\r\n").starts_with("HTTP/1.1 403"));
    let output = cluster.helm(&["test", "acr-verifier", NAMESPACE, "--timeout=120s", "--logs=false"]);
    assert!(output.contains("Succeeded"), "{output}");
    let (code, text) = cluster.smoke(&["--timeout", "60s", "--key-file", file.to_str().expect("UTF-8")]);
    assert_eq!(code, Some(0), "through the API server: {text}");
    assert!(!text.contains("regular"), "{text}");
    let (code, text) = cluster.smoke(&["--timeout", "60s"]);
    assert_eq!(code, Some(0), "without the key: {text}");
    assert!(text.contains("waiting for regular checks instead"), "{text}");
    let logs = cluster.kubectl(&["logs", NAMESPACE, "--selector=app.kubernetes.io/name=acr-verifier"]);
    assert!(!logs.contains(KEY) && !text.contains(KEY), "{logs}");

    install_as(cluster, "acr-verifier", "acr-verifier", &[]);
    rolled_out(cluster, "acr-verifier", "acr-verifier");
    wait("open checks", DELIVERY, || cluster.trigger(0, "").starts_with("HTTP/1.1 200"));
    cluster.kubectl(&["delete", "secret", "check-key", NAMESPACE]);
}

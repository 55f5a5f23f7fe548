//! The documents about the chart: their values render, and no password is an argument.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::helm;

fn read(name: &str) -> String {
    fs::read_to_string(helm::path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn no_document_passes_a_password_as_an_argument() {
    let documents = [vec![helm::path("README.md")], files(&helm::path("deploy"))].concat();
    assert!(documents.len() > 30);
    for path in documents {
        let text = String::from_utf8_lossy(&fs::read(&path).expect("a file")).into_owned();
        for argument in ["--docker-password", "--password ", "--password=", "--from-literal=password"] {
            assert!(!text.contains(argument), "{}: {argument}", path.display());
        }
    }
}

#[test]
fn the_values_in_the_readme_render() {
    let Some(programs) = helm::programs() else { return };
    let readme = read("deploy/chart/README.md");
    let blocks: Vec<&str> =
        readme.split("```yaml\n").skip(1).map(|text| text.split("```").next().expect("its end")).collect();
    assert_eq!(blocks.len(), 7);
    let folder = tempfile::tempdir().expect("a folder");
    let minimal = helm::values_of("minimal");
    for block in blocks {
        let file = folder.path().join("values.yaml");
        fs::write(&file, block).expect("a file");
        let file = file.to_str().expect("UTF-8");
        // A NetworkPolicy is only accepted on the pod network, and PodMonitors have to be enabled without a cluster.
        let settings =
            format!("hostNetwork={},podMonitor.azureMonitor=true", !block.contains("networkPolicy:"));
        let arguments = ["--values", &minimal[0], "--values", file, "--set", &settings];
        programs.template(&helm::chart(), &arguments).unwrap_or_else(|error| panic!("{block}\n{error}"));
    }
}

/// The policies of Microsoft's page of 2026-06-02; `security` checks the rendered objects.
#[test]
fn the_readme_covers_every_policy_of_the_safeguards() {
    let readme = read("deploy/chart/README.md");
    let table = readme.split("| policy of the safeguards |").nth(1).expect("the table");
    let rows: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    for policy in [
        "Cannot Edit Individual Nodes",
        "CPU and memory resource requests",
        "Anti Affinity Rules",
        "No AKS Specific Labels",
        "allowed images",
        "Reserved System Pool Taints",
        "readiness or liveness probes",
        "CSI driver StorageClass",
        "unique selectors",
        "latest image tag",
        "Pod Security",
    ] {
        let of_it =
            rows.iter().filter(|row| row.split(" | ").next().is_some_and(|name| name.contains(policy)));
        assert_eq!(of_it.count(), 1, "{policy}");
    }
}

/// AKS Automatic, once the namespace is excluded from the safeguards: the host network and the node's files again.
#[test]
fn the_preset_can_be_used_on_the_host_network() {
    let Some(programs) = helm::programs() else { return };
    let preset = helm::chart().join("values-aks-automatic.yaml");
    let minimal = helm::values_of("minimal");
    let settings = "hostNetwork=true,nodeFiles.enabled=auto";
    let arguments = ["--values", preset.to_str().expect("UTF-8"), "--values", &minimal[0], "--set", settings];
    let objects = helm::parse(&programs.template(&helm::chart(), &arguments).expect("it renders"));
    let pod = helm::agent(&objects);
    assert_eq!(pod["hostNetwork"], true);
    assert!(pod["volumes"].to_string().contains("/etc/containerd"), "{pod}");
    assert_eq!(pod["tolerations"][0]["key"], "kubernetes.azure.com/scalesetpriority");
}

/// Returns whether a node satisfies the node selector and one required term of the affinity.
fn selects(pod: &Value, node: &Value) -> bool {
    let selector = pod["nodeSelector"].as_object().expect("a node selector");
    let place = "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = pod.pointer(place).and_then(Value::as_array).expect("terms");
    let holds = |expression: &Value| {
        let label = node.get(expression["key"].as_str().expect("a key"));
        let values = expression["values"].as_array().expect("values");
        let is_in = label.is_some_and(|label| values.contains(label));
        match expression["operator"].as_str() {
            Some("In") => is_in,
            Some("NotIn") => !is_in,
            other => panic!("{other:?}"),
        }
    };
    let is_term_met =
        |term: &Value| term["matchExpressions"].as_array().expect("expressions").iter().all(holds);
    selector.iter().all(|(key, value)| node.get(key) == Some(value)) && terms.iter().any(is_term_met)
}

/// Two agents on the host network cannot share a node, and every Linux node has one.
#[test]
fn the_two_releases_for_azure_linux_share_no_node() {
    let Some(programs) = helm::programs() else { return };
    let readme = read("deploy/chart/README.md");
    let blocks: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .filter_map(|text| text.split("```").next())
        .filter(|block| block.contains("kubernetes.azure.com/os-sku"))
        .collect();
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let pods: Vec<Value> = blocks
        .iter()
        .map(|block| {
            let file = folder.path().join("values.yaml");
            fs::write(&file, block).expect("a file");
            let objects = programs.objects("minimal", &["--values", file.to_str().expect("UTF-8")]);
            helm::agent(&objects).clone()
        })
        .collect();
    let ports: Vec<&Value> =
        pods.iter().map(|pod| &pod["containers"][0]["ports"][0]["containerPort"]).collect();
    assert!(pods.iter().all(|pod| pod["hostNetwork"] == true) && ports[0] == ports[1], "{ports:?}");
    for (labels, expected) in [
        (json!({"kubernetes.io/os": "linux", "kubernetes.azure.com/os-sku": "Ubuntu"}), [true, false]),
        (json!({"kubernetes.io/os": "linux"}), [true, false]),
        (json!({"kubernetes.io/os": "linux", "kubernetes.azure.com/os-sku": "AzureLinux"}), [false, true]),
        (json!({"kubernetes.io/os": "linux", "type": "virtual-kubelet"}), [false, false]),
        (
            json!({"kubernetes.io/os": "windows", "kubernetes.azure.com/os-sku": "Windows2022"}),
            [false, false],
        ),
    ] {
        let selected: Vec<bool> = pods.iter().map(|pod| selects(pod, &labels)).collect();
        assert_eq!(selected, expected, "{labels}");
    }
    let authorities = |pod: &Value| pod["volumes"].to_string().contains("/etc/pki/tls/certs");
    assert_eq!(pods.iter().map(authorities).collect::<Vec<_>>(), [false, true]);
}

/// Azure's policy for host paths must list exactly what the chart mounts by default.
#[test]
fn the_policy_for_host_paths_lists_the_paths_of_the_chart() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("minimal", &[]);
    let volumes = helm::agent(&objects)["volumes"].as_array().expect("volumes").clone();
    let mounted: Vec<String> =
        volumes.iter().filter_map(|volume| volume["hostPath"]["path"].as_str().map(str::to_owned)).collect();
    let readme = read("deploy/chart/README.md");
    let listed: Vec<String> = readme
        .split("\"pathPrefix\": \"")
        .skip(1)
        .filter_map(|text| text.split('"').next().map(str::to_owned))
        .collect();
    assert_eq!(listed, mounted);
}

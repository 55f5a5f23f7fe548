//! The agent's configuration file, arguments, environment and volumes.

use std::path::Path;

use acr_verifier::cli;
use acr_verifier::config::server::{ChecksOnDemand, ListenAddress};
use acr_verifier::config::value::{self, SHORTEST_LIMIT};
use acr_verifier::config::{Config, file};
use serde_json::{Value, json};

use super::helm::{self, VARIANTS};

fn config_of(objects: &[Value]) -> Config {
    file::parse(Path::new("config.yaml"), helm::configuration(objects)).expect("the agent accepts it")
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text")).collect()
}

/// The digest of the mounted file is the one that `helm test` expects and the notes print.
#[test]
fn the_smoke_check_expects_the_digest_of_the_configuration_file() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS.iter().filter(|(variant, _)| !["quiet", "manifests"].contains(variant)) {
        let objects = programs.objects(variant, &[]);
        let job = helm::smoke_job(&objects);
        let arguments = texts(&job["template"]["spec"]["containers"][0]["args"]);
        let digest = file::digest(helm::configuration(&objects));
        assert_eq!(arguments[arguments.len() - 2..], ["--expect-config", &digest], "{variant}");
    }
}

fn argument_error(arguments: &[&str]) -> Option<String> {
    let words = std::iter::once(cli::NAME).chain(arguments.iter().copied());
    cli::command().try_get_matches_from(words).err().map(|error| error.to_string())
}

#[test]
fn the_agent_accepts_every_rendered_configuration() {
    let Some(programs) = helm::programs() else { return };
    for (variant, _) in VARIANTS {
        let objects = programs.objects(variant, &[]);
        let config = config_of(&objects);
        let container = &helm::agent(&objects)["containers"][0];
        assert_eq!(
            container["ports"],
            json!([{"name": "http", "containerPort": config.server.address.port(), "protocol": "TCP"}]),
            "{variant}"
        );
        let arguments = texts(&container["args"]);
        assert_eq!(arguments[..3], ["agent", "--config", "/etc/acr-verifier/config.yaml"], "{variant}");
        assert_eq!(argument_error(&arguments), None, "{variant}");
    }
}

#[test]
fn the_agent_listens_on_its_node_unless_values_say_otherwise() {
    let Some(programs) = helm::programs() else { return };
    let at = |address: &str| ListenAddress::At(address.parse().expect("an address"));
    let pods = "hostNetwork=false";
    let cases: [(&[&str], ListenAddress); 7] = [
        (&[], ListenAddress::Node(9469)),
        (&["port=9470"], ListenAddress::Node(9470)),
        (&["config.server.address=node:9469"], ListenAddress::Node(9469)),
        (&["config.server.address=0.0.0.0:9469"], at("0.0.0.0:9469")),
        (&["config.server.address=[::]:9469"], at("[::]:9469")),
        (&[pods], at("0.0.0.0:9469")),
        (&[pods, "config.server.address=[::]:9469"], at("[::]:9469")),
    ];
    for (settings, expected) in cases {
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let server = config_of(&programs.objects("minimal", &arguments)).server;
        assert_eq!(server.address, expected, "{settings:?}");
        assert_eq!(server.checks_on_demand, ChecksOnDemand::Open, "{settings:?}");
    }
}

/// The key is mounted where the configuration and the smoke check expect it, and only that key of the Secret.
#[test]
fn agents_and_smoke_check_mount_the_same_key() {
    let Some(programs) = helm::programs() else { return };
    let settings = |checks: &str| vec!["--set".to_owned(), format!("config.server.checksOnDemand={checks}")];
    let mut with_key = settings("key");
    with_key.extend(["--set".to_owned(), "config.server.keySecret.name=check-key".to_owned()]);
    for mode in ["test", "job", "cronjob"] {
        let mut arguments = with_key.clone();
        arguments.extend(["--set".to_owned(), format!("smoke.mode={mode}")]);
        let objects = programs.objects("minimal", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let ChecksOnDemand::Key(path) = config_of(&objects).server.checks_on_demand else {
            panic!("the agent requires no key");
        };
        let job = helm::smoke_job(&objects);
        let smoke = &job["template"]["spec"];
        let arguments = texts(&smoke["containers"][0]["args"]);
        let place = arguments.iter().position(|argument| *argument == "--key-file").expect("the flag");
        assert_eq!(Some(arguments[place + 1]), path.to_str(), "{mode}");
        for pod in [smoke, helm::agent(&objects)] {
            let volume = named(&pod["volumes"], "check-key");
            assert_eq!(volume["secret"]["secretName"], "check-key");
            assert_eq!(volume["secret"]["items"], json!([{"key": "key", "path": "key"}]));
            assert_eq!(volume["secret"]["optional"], true);
            let mount = named(&pod["containers"][0]["volumeMounts"], "check-key");
            assert_eq!(
                Some(format!("{}/key", mount["mountPath"].as_str().expect("a path")).as_str()),
                path.to_str()
            );
            assert_eq!(mount["readOnly"], true);
        }
    }
    for checks in ["open", "disabled"] {
        let arguments = settings(checks);
        let objects = programs.objects("minimal", &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(!serde_json::to_string(&objects).expect("JSON").contains("check-key"), "{checks}");
        let expected = if checks == "open" { ChecksOnDemand::Open } else { ChecksOnDemand::Disabled };
        assert_eq!(config_of(&objects).server.checks_on_demand, expected);
    }
}

fn named<'list>(list: &'list Value, name: &str) -> &'list Value {
    let found = list.as_array().expect("a list").iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn every_configuration_value_is_passed_on_unchanged() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let text = r#"
images:
  - image: contoso.azurecr.io/apps/canary:1
    name: canary
    credentials: {path: /var/run/secrets/acr-verifier/acr-pull, expiresAt: 2027-05-01T00:00:00Z}
    privateEndpoint:
      cidrs: [10.60.4.0/24, "fd00:60::/64"]
      addresses: {contoso.azurecr.io: [10.60.4.5], contoso.westeurope.data.azurecr.io: [10.60.4.4, 10.60.4.6]}
    dataEndpoints: [contoso.westeurope.data.azurecr.io, contoso.northeurope.data.azurecr.io]
  - image: contoso.azurecr.io/apps/canary@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
    name: pinned
    credentials: {path: /var/run/secrets/acr-verifier/acr-pull}
  - image: fabrikam-e7ggejfuhzhgedc8.azurecr.us:8443/canary
    credentials: {path: /var/run/secrets/acr-verifier/acr.fabrikam}
  - image: registry.contoso.internal/canary:1
    credentials: {path: /mnt/key-vault/acr}
  - image: public.contoso.internal/canary:1
resolvers:
  compare: {azure: 168.63.129.16, cluster: 10.0.0.10, other: "10.0.0.11:5353", six: "[fd00::10]:53"}
tls: {caFile: /etc/acr-verifier/ca.pem}
schedule: {interval: 90s, jitter: 0.1, timeout: 20s, stageTimeout: 2.5s, confirmAfter: 3, fleetSize: 1000000, budgetPerMinute: 1000000}
nodeFiles: {root: /host}
server: {address: "[::]:9600", checksOnDemand: key, keyFile: /var/run/secrets/acr-verifier-check-key/key}
events: {enabled: true}
"#;
    let expected = file::parse(Path::new("expected"), text).expect("a configuration");
    let digest = config_of(&objects).digest;
    assert_eq!(config_of(&objects), Config { digest, ..expected });
}

#[test]
fn the_agent_accepts_every_duration_that_the_chart_accepts() {
    let Some(programs) = helm::programs() else { return };
    for text in [
        "1ms", "1500ms", "1s", "2.5s", "0.5s", "60s", "86400s", "1m", "1m30s", "90m", "1h", "1h30m",
        "1h30m5s", "24h",
    ] {
        let setting = format!("config.schedule.timeout={text}");
        // The default per-stage timeout would exceed the shortest of these.
        let arguments = ["--set", "config.schedule.stageTimeout=1ms", "--set-string", &setting];
        let chart_takes = {
            let files = helm::values_of("minimal");
            let all = [&["--values", files[0].as_str()][..], &arguments].concat();
            programs.template(&helm::chart(), &all).is_ok()
        };
        assert_eq!(chart_takes, !text.starts_with('0'), "{text}");
        assert!(value::duration(text, SHORTEST_LIMIT).is_ok(), "{text}");
    }
}

#[test]
fn the_pod_sets_the_node_context() {
    let Some(programs) = helm::programs() else { return };
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    for (variant, view) in [
        ("minimal", "node"),
        ("aks-automatic", "pod"),
        ("managed-identity", "node"),
        ("workload-identity", "pod"),
    ] {
        let objects = programs.objects(variant, &[]);
        let pod = helm::agent(&objects);
        assert_eq!(
            pod["containers"][0]["env"],
            json!([
                {"name": "NODE_NAME", "valueFrom": field("spec.nodeName")},
                {"name": "NODE_ZONE", "valueFrom": field("metadata.labels['topology.kubernetes.io/zone']")},
                {"name": "NODE_IPS", "valueFrom": field("status.hostIPs")},
                {"name": "POD_NAME", "valueFrom": field("metadata.name")},
                {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
                {"name": "POD_UID", "valueFrom": field("metadata.uid")},
                {"name": "NETWORK_VIEW", "value": view},
            ])
        );
        assert_eq!(pod["hostNetwork"], json!(view == "node"));
        assert_eq!(pod["dnsPolicy"], "Default");
        assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
        let terms = &pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
        let virtual_nodes = json!([{"matchExpressions": [{"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]}]}]);
        assert_eq!(terms, &virtual_nodes);
    }
}

#[test]
fn each_secret_is_an_optional_volume_without_subpath() {
    let Some(programs) = helm::programs() else { return };
    let objects = programs.objects("everything", &[]);
    let pod = helm::agent(&objects);
    let volumes = pod["volumes"].as_array().expect("volumes");
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
    for name in ["acr-pull", "acr.fabrikam"] {
        let volumes: Vec<&Value> =
            volumes.iter().filter(|volume| volume["secret"]["secretName"] == name).collect();
        assert_eq!(volumes.len(), 1, "two images share one volume");
        assert_eq!(volumes[0]["secret"]["optional"], true);
        assert!(volumes[0]["secret"].get("items").is_none(), "the operator's keys, whichever they are");
        let mounts: Vec<&Value> = mounts.iter().filter(|mount| mount["name"] == volumes[0]["name"]).collect();
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0]["mountPath"], format!("/var/run/secrets/acr-verifier/{name}"));
    }
    assert!(mounts.iter().all(|mount| mount.get("subPath").is_none() && mount["readOnly"] == true));
}

#[test]
fn only_settings_that_need_a_restart_replace_the_pods() {
    let Some(programs) = helm::programs() else { return };
    let template = |setting: &str| {
        let objects = programs.objects("minimal", &["--set", setting]);
        helm::the(&objects, "DaemonSet")["spec"]["template"].clone()
    };
    let before = template("nameOverride=");
    for setting in [
        "config.schedule.interval=5m",
        "config.images[0].image=contoso.azurecr.io/apps/canary:2",
        "config.resolvers.compare.azure=168.63.129.16",
        "podMonitor.interval=30s",
        "updateStrategy.minReadySeconds=20",
    ] {
        assert_eq!(template(setting), before, "{setting}");
    }
    let annotation =
        |template: &Value| template["metadata"]["annotations"]["acr-verifier/start-settings"].clone();
    for setting in ["config.server.address=[::]:9469", "port=9470", "config.events.enabled=false"] {
        assert_ne!(annotation(&template(setting)), annotation(&before), "{setting}");
    }
}

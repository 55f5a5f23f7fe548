//! `acr-verifier discover` with an account that has exactly the documented permissions, and with accounts that lack one of them.
//!
//! Owns the accounts and how the steps run the command. `waiting` owns what it reports about Pods.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use super::control::RECORDED;
use super::quick_start::block_of;
use super::whole::{Cluster, wait};

const DOCUMENT: &str = include_str!("../../docs/discover.md");
/// The account with all permissions, also the name of its bindings.
const ACCOUNT: &str = "discover";
/// The role that grants access to agents, bound in the namespaces of agents.
const AGENTS_ROLE: &str = "discover-agents";
/// The resource that only this role grants.
const PROXY: &str = "pods/proxy";
/// The resource without which only the number of nodes is missing.
const OPTIONAL: &str = "nodes";
const SOON: Duration = Duration::from_secs(60);

/// One documented permission.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    group: String,
    resource: String,
    verb: String,
}

impl Permission {
    /// The rule as the program writes it.
    fn rule(&self) -> String {
        let Self { group, resource, verb } = self;
        format!("{{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}]}}")
    }

    fn rule_object(&self) -> Value {
        json!({"apiGroups": [self.group], "resources": [self.resource], "verbs": [self.verb]})
    }

    /// The account that lacks only this permission.
    fn account(&self) -> String {
        format!("without-{}", self.resource.replace('/', "-"))
    }
}

/// Returns the documented permissions.
fn documented() -> BTreeSet<Permission> {
    let rules: Vec<Value> = serde_saphyr::from_str(block_of(DOCUMENT, "cronjobs")).expect("YAML");
    let words = |rule: &Value, key: &str| -> Vec<String> {
        let list = rule[key].as_array().expect("a list").iter();
        list.map(|word| word.as_str().expect("a word").to_owned()).collect()
    };
    let of_rule = |rule: &Value| {
        let (groups, resources) = (words(rule, "apiGroups"), words(rule, "resources"));
        assert_eq!((groups.len(), words(rule, "verbs").len()), (1, 1), "{rule}");
        let (group, verb) = (groups.concat(), words(rule, "verbs").concat());
        let permissions = resources.into_iter().map(|resource| Permission {
            group: group.clone(),
            resource,
            verb: verb.clone(),
        });
        permissions.collect::<Vec<_>>()
    };
    rules.iter().flat_map(of_rule).collect()
}

/// Returns the objects of an account: the document requires access to agents only in their namespace.
fn account<'all>(name: &str, permissions: impl Iterator<Item = &'all Permission>) -> Vec<Value> {
    let (of_agents, of_cluster): (Vec<_>, Vec<_>) = permissions.partition(|one| one.resource == PROXY);
    let rules: Vec<Value> = of_cluster.into_iter().map(Permission::rule_object).collect();
    let role = format!("discover-{name}");
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": RECORDED}}),
        cluster_role(&role, &rules),
        binding("ClusterRoleBinding", &role, None, &role, name),
    ];
    if !of_agents.is_empty() {
        objects.push(binding("RoleBinding", name, Some("acr-verifier"), AGENTS_ROLE, name));
    }
    objects
}

fn cluster_role(name: &str, rules: &[Value]) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": name, "labels": {"app": RECORDED}}, "rules": rules,
    })
}

fn binding(kind: &str, name: &str, namespace: Option<&str>, role: &str, account: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": RECORDED}},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": RECORDED}],
    })
}

/// Workloads without Pods, whose image only `--owners` finds.
fn idle_workloads(image: &str) -> [Value; 2] {
    let template = |restart: &str| {
        json!({
            "metadata": {"labels": {"app": "idle"}},
            "spec": {"restartPolicy": restart, "containers": [{"name": "tool", "image": image}]},
        })
    };
    let metadata = json!({"name": "idle", "namespace": RECORDED});
    [
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "idle"}}, "template": template("Always")},
        }),
        json!({
            "apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata,
            "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template("Never")}}},
        }),
    ]
}

/// Runs the command with an account.
fn run_as(cluster: &Cluster, kubeconfig: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = cluster.program("discover", kubeconfig, arguments);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// Runs the command with the documented permissions, and returns its exit code, output and errors.
pub(super) fn run(cluster: &Cluster, arguments: &[&str]) -> (Option<i32>, String, String) {
    run_as(cluster, &cluster.path().join(format!("kubeconfig-{ACCOUNT}")), arguments)
}

/// Returns the JSON report with the documented permissions.
pub(super) fn report(cluster: &Cluster, arguments: &[&str]) -> Value {
    let (code, text, errors) = run(cluster, &[&["--output", "json"], arguments].concat());
    assert_eq!(code, Some(0), "{text}{errors}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Grants access to the agents in another namespace.
pub(super) fn grant(cluster: &Cluster, namespace: &str) {
    cluster.create(&binding("RoleBinding", ACCOUNT, Some(namespace), AGENTS_ROLE, ACCOUNT));
}

pub(super) fn permissions(cluster: &Cluster) {
    let documented = documented();
    let is_of_agents = |permission: &&Permission| permission.resource == PROXY;
    let of_agents: Vec<Value> = documented.iter().filter(is_of_agents).map(Permission::rule_object).collect();
    let mut objects = vec![cluster_role(AGENTS_ROLE, &of_agents)];
    objects.extend(idle_workloads(&cluster.inside.image_of("apps/tool", ":1")));
    for missing in &documented {
        objects.extend(account(&missing.account(), documented.iter().filter(|one| *one != missing)));
    }
    // The last one: if its permissions are in effect, so are those of the others.
    objects.extend(account(ACCOUNT, documented.iter()));
    cluster.kubectl(&["create", "namespace", RECORDED]);
    cluster.create(&json!({"apiVersion": "v1", "kind": "List", "items": objects}));
    cluster.kubeconfig_of(RECORDED, ACCOUNT);
    let everything = ["--owners", "--coverage"];
    wait("the permissions", SOON, || run(cluster, &everything).0 == Some(0));

    let found = report(cluster, &everything);
    let registry = &found["registries"][0];
    assert_eq!(registry["registry"], "contoso.azurecr.io", "{found:#}");
    assert_eq!((&registry["checked"], &registry["verdict"]), (&json!(true), &json!("pass")), "{found:#}");
    assert_eq!(found["images"][0]["workloads"], 2, "{found:#}");
    let (code, values, errors) = run(cluster, &["--owners", "--output", "values"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(values.contains("- image: \"contoso.azurecr.io/apps/tool:1\""), "{values}");
    assert_eq!(requested(cluster), documented, "left: requested from the API server, right: the document");

    for missing in &documented {
        let kubeconfig = cluster.kubeconfig_of(RECORDED, &missing.account());
        let (code, text, errors) = run_as(cluster, &kubeconfig, &everything);
        if missing.resource == OPTIONAL {
            assert_eq!(code, Some(0), "{missing:?}: {errors}");
            let (code, values, errors) = run_as(cluster, &kubeconfig, &["--owners", "--output", "values"]);
            assert_eq!((code, values.contains("fleetSize")), (Some(0), false), "{errors}");
            continue;
        }
        assert_eq!(code, Some(3), "{missing:?}: {text}{errors}");
        assert!(text.is_empty() && errors.contains(&missing.rule()), "{missing:?}: {text}{errors}");
        if missing.resource == PROXY {
            let (code, text, _) = run_as(cluster, &kubeconfig, &["--owners"]);
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(code, Some(0), "{text}");
            assert!(text.contains("apps/tool:1") && text.contains(&missing.rule()), "{text}");
        }
    }
}

/// Returns what the account with all permissions requested from the API server, whether granted or not.
fn requested(cluster: &Cluster) -> BTreeSet<Permission> {
    let user = format!("system:serviceaccount:{RECORDED}:{ACCOUNT}");
    let requests =
        cluster.recorded_requests().into_iter().filter(|request| request["user"]["username"] == user);
    let permissions = requests.map(|request| {
        let object = &request["objectRef"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let resource = match object["subresource"].as_str() {
            Some(part) => format!("{}/{part}", word(&object["resource"])),
            None => word(&object["resource"]),
        };
        Permission { group: word(&object["apiGroup"]), resource, verb: word(&request["verb"]) }
    });
    permissions.collect()
}

/// Removes the accounts.
pub(super) fn remove(cluster: &Cluster) {
    let label = format!("--selector=app={RECORDED}");
    cluster.kubectl(&["delete", "clusterroles,clusterrolebindings", &label]);
    cluster.kubectl(&["delete", "namespace", RECORDED, "--wait=false"]);
}

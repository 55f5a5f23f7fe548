//! Every kubectl line of the runbook and the documents, run by bash with the real kubectl against a real API server.
//!
//! Placeholders are filled in. A line that would change the cluster is a dry run of the server, except for the fixes of the
//! pull secret, whose result is checked. There is no kubelet: what needs one has to reach the API server's request to it; the
//! cluster suite runs the first steps of the runbook on real nodes.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::markdown::{Page, pages, root};
use tempfile::TempDir;

use super::server::{ApiServer, NODE};

const SETUP: &str = include_str!("documents.yaml");
const POD: &str = "acr-verifier-x7k2p";
const RUNBOOK: &str = include_str!("../../dashboards/runbook.md");
const DASHBOARD: &str = "dashboards/node.json";
/// Documents whose commands run in another place: in the pipelines' services.
const ELSEWHERE: [&str; 2] = ["CHANGELOG.md", "deploy/pipelines/README.md"];
/// The variables of the documents' scripts.
const VARIABLES: [(&str, &str); 7] = [
    ("NODE", NODE),
    ("node", NODE),
    ("POD", "pod/acr-verifier-x7k2p"),
    ("NAMESPACE", "acr-verifier"),
    ("SECRET", "acr-pull"),
    ("LOGIN_SERVER", "contoso.azurecr.io"),
    ("REGISTRY", "contoso"),
];

/// A change is a dry run, and a debugging Pod is not waited for.
const KUBECTL: &str = r#"#!/usr/bin/env bash
case "$*" in
*--dry-run=*) ;;
create* | label* | delete* | apply* | cordon* | uncordon* | drain*) set -- "$@" --dry-run=server ;;
debug*) set -- debug --attach=false "${@:2}" ;;
esac
exec timeout --kill-after=5 60 "$REAL_KUBECTL" --request-timeout=20s "$@"
"#;
/// The same, but changes are real.
const CHANGING_KUBECTL: &str = r#"#!/usr/bin/env bash
exec timeout --kill-after=5 60 "$REAL_KUBECTL" --request-timeout=20s "$@"
"#;
const AZ: &str = r#"#!/usr/bin/env bash
echo "$*" >>"$HOME/az.log"
case "$*" in
"acr token credential generate"*)
    echo '{"username": "DemoToken", "passwords": [{"name": "password1", "value": "new \"1"}, {"name": "password2", "value": "new \"2"}]}' ;;
*) exit 1 ;;
esac
"#;

/// A shell with the real kubectl and a stub of az.
struct Shell<'server> {
    server: &'server ApiServer,
    folder: TempDir,
    options: &'static str,
}

impl<'server> Shell<'server> {
    fn new(server: &'server ApiServer, kubectl: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [("kubectl", kubectl), ("az", AZ)] {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
        }
        // A document copies the program into a Pod, and another one applies the manifests.
        fs::write(folder.path().join("acr-verifier"), "").expect("a file");
        symlink(root().join("deploy"), folder.path().join("deploy")).expect("a link");
        Self { server, folder, options: "set -eo pipefail" }
    }

    /// Returns a shell in which changes are real, with the options of an operator's: a pipeline succeeds if its last command does.
    fn changing(server: &'server ApiServer) -> Self {
        Self { options: "set -e", ..Self::new(server, CHANGING_KUBECTL) }
    }

    fn run(&self, line: &str) -> Output {
        Command::new("bash")
            .args(["-c", &format!("{}\n{line}", self.options)])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(VARIABLES)
            .env("PATH", format!("{}:/usr/bin:/bin", self.folder.path().display()))
            .env("HOME", self.folder.path())
            .env("KUBECONFIG", self.server.kubeconfig("administrator"))
            .env("REAL_KUBECTL", self.server.kubectl_program())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs")
    }
}

impl Shell<'_> {
    /// Returns how many passwords were generated since the last call.
    fn generated(&self) -> usize {
        let log = self.folder.path().join("az.log");
        let calls = fs::read_to_string(&log).unwrap_or_default();
        fs::write(&log, "").expect("our own file");
        calls.matches("generate").count()
    }

    fn succeeds(&self, line: &str) {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Starts a server with an installation; `None` if the programs are missing.
fn installed() -> Option<ApiServer> {
    let server = ApiServer::start()?;
    let done = |output: Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    done(server.kubectl_fed(&["create", "--filename=-"], SETUP));
    let namespace = "--namespace=acr-verifier";
    let status = |object: &str, status: &str| {
        let patch = format!("{{\"status\": {status}}}");
        done(server.kubectl(&[
            "patch",
            object,
            namespace,
            "--subresource=status",
            "--type=merge",
            "--patch",
            &patch,
        ]));
    };
    status(
        &format!("pod/{POD}"),
        r#"{"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}"#,
    );
    status(
        "daemonset/acr-verifier",
        r#"{"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1,
            "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1, "numberMisscheduled": 0}"#,
    );
    let kinds = ["crd/podmonitors.azmonitoring.coreos.com", "crd/podmonitors.monitoring.coreos.com"];
    for kind in kinds {
        done(server.kubectl(&["wait", "--for=condition=Established", kind, "--timeout=30s"]));
    }
    Some(server)
}

/// Returns the documents with kubectl lines, and the dashboard with texts.
fn documents() -> Vec<Page> {
    let mut documents = pages();
    documents.push(Page::read(DASHBOARD));
    documents.retain(|page| !ELSEWHERE.contains(&page.path.as_str()) && !lines(&page.text).is_empty());
    assert!(documents.len() >= 9, "{}", documents.len());
    documents
}

/// Returns the lines that run kubectl: of the blocks, with continuations joined, and in the text.
fn lines(text: &str) -> Vec<String> {
    // A dashboard has its text in JSON.
    let text = &if text.starts_with('{') { text.replace("\\n", "\n") } else { text.to_owned() };
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let joined = blocks.map(|block| block.replace("\\\n", " ").replace("|\n", "| "));
    let blocks: Vec<String> =
        joined.flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    let plain = without_blocks(text);
    let spans = plain.split('`').skip(1).step_by(2).map(|span| span.replace('\n', " "));
    let spans = spans.filter(|span| span.starts_with("kubectl ") && span.contains(" --"));
    let all = blocks.into_iter().chain(spans);
    all.filter(|line| line.contains("kubectl ") && !line.trim_start().starts_with("az aks command"))
        .filter(|line| !line.contains("\"kubectl "))
        .collect()
}

fn without_blocks(text: &str) -> String {
    text.split("```").step_by(2).collect()
}

/// Fills in the placeholders: words in capitals on their own.
fn filled(line: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '$';
    let mut text = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        text.push_str(match word {
            word if after.starts_with('=') => word,
            "NODE" => NODE,
            "POD" | "DEBUG_POD" => POD,
            "SECRET" => "acr-pull",
            word => word,
        });
        let next = after.find(is_part).unwrap_or(after.len());
        text.push_str(&after[..next]);
        rest = &after[next..];
    }
    text
}

/// Whether the output is what the API server answers without a kubelet, or for an object that exists already.
fn is_expected(line: &str, error: &str) -> bool {
    let needs_kubelet = ["kubectl exec", "kubectl logs", "/proxy/"].iter().any(|part| line.contains(part));
    let reached = ["no preferred addresses found", "address not allowed"];
    (needs_kubelet && reached.iter().any(|text| error.contains(text)))
        || (line.contains("kubectl create") && error.contains("already exists"))
}

#[test]
fn every_kubectl_line_of_the_documents_works() {
    let Some(server) = installed() else { return };
    let shell = Shell::new(&server, KUBECTL);
    let (mut wrong, mut done) = (Vec::new(), BTreeSet::new());
    for Page { path: name, text } in documents() {
        let mut lines: Vec<String> = lines(&text).iter().map(|line| filled(line)).collect();
        // A drain rejects the Pods of node shells, which have no controller, while they run.
        lines.sort_by_key(|line| !line.contains("kubectl drain"));
        // krew is a plugin, which the suite installs with it. `new` has a password, which the tests below generate.
        let is_run = |line: &&String| !line.contains("\"$new\"") && !line.contains("kubectl krew");
        for line in lines.iter().filter(is_run) {
            if !done.insert(line.clone()) {
                continue;
            }
            let output = shell.run(line);
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() && !is_expected(line, &error) {
                wrong.push(format!("{name}: {line}\n    {}: {error}", output.status));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done.len() > 60, "{}", done.len());
    // Why the shells name a namespace: others may enforce Pod Security.
    let rejected =
        shell.run("kubectl debug node/aks-np1-0 --namespace apps --profile=sysadmin --image=busybox -- true");
    let error = String::from_utf8_lossy(&rejected.stderr).into_owned();
    assert!(!rejected.status.success() && error.contains("violates PodSecurity"), "{error}");
}

/// Returns the entries of the agents' Secret, and its `expiresAt`.
fn stored(shell: &Shell<'_>) -> (Value, String) {
    let text = |key: &str| {
        let path = format!("--output=go-template={{{{index .data \"{key}\" | base64decode}}}}");
        let output = shell.server.kubectl(&["get", "secret", "acr-pull", "--namespace=acr-verifier", &path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    (serde_json::from_str(&text(".dockerconfigjson")).expect("JSON"), text("expiresAt"))
}

/// The commands of a cause that generate a password and store it.
struct Fix {
    generate: String,
    store: String,
}

impl Fix {
    fn of(cause: &str, store: &str) -> Self {
        let (_, section) = RUNBOOK.split_once(&format!("\n## {cause}\n")).expect("a section");
        let section = section.split("\n## ").next().expect("a part");
        let line = |part: &str| {
            let found = section.lines().find(|line| line.contains(part));
            filled(found.unwrap_or_else(|| panic!("{cause}: no {part}")))
        };
        Self { generate: line("new=$("), store: line(store) }
    }

    fn script(&self) -> String {
        format!("{}\n{}", self.generate, self.store)
    }
}

const CREATE: &str = "kubectl create --filename";
const REPLACE: &str = "kubectl replace --filename";
const RECREATE: &str = "kubectl replace --force";

#[test]
fn a_new_password_keeps_the_other_entries_and_sets_the_expiry() {
    let Some(server) = installed() else { return };
    let shell = Shell::changing(&server);
    for cause in ["credentials_expiring", "credentials_rejected", "credentials_stale_entry"] {
        shell.succeeds(&Fix::of(cause, REPLACE).script());
        let (config, expires_at) = stored(&shell);
        assert_eq!(config["auths"]["fabrikam.azurecr.io"]["password"], "of-the-other");
        let entry = serde_json::json!({"username": "DemoToken", "password": "new \"2"});
        assert_eq!(config["auths"]["REGISTRY.azurecr.io"], entry);
        assert_expiry(&expires_at);
    }
    // Nothing is stored without a password, such as after a failure of az.
    let before = stored(&shell);
    for (cause, store) in [
        ("credentials_expiring", REPLACE),
        ("credentials_missing", REPLACE),
        ("credentials_missing", CREATE),
        ("credentials_invalid", RECREATE),
    ] {
        let script = Fix::of(cause, store).script().replace("az acr token", "az acr none");
        shell.run(&format!("set +e\n{script}"));
        assert_eq!(stored(&shell), before, "{cause}");
    }
    // A Secret that cannot be read is replaced.
    shell.succeeds(&Fix::of("credentials_invalid", RECREATE).script());
    let (config, expires_at) = stored(&shell);
    assert_eq!(config["auths"].as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(config["auths"]["REGISTRY.azurecr.io"]["password"], "new \"1");
    assert_expiry(&expires_at);
    shell.succeeds("kubectl delete secret acr-pull --namespace acr-verifier");
    shell.succeeds(&Fix::of("credentials_missing", CREATE).script());
    assert_eq!(stored(&shell).0, config);
}

const GENERIC: &str = "kubectl create secret generic acr-pull --namespace acr-verifier --from-literal=";
const DELETE: &str = "kubectl delete secret acr-pull --namespace acr-verifier --ignore-not-found";

/// The other form of the agents' Secret.
#[test]
fn a_new_password_is_stored_in_a_secret_with_user_name_and_password() {
    let Some(server) = installed() else { return };
    let shell = Shell::changing(&server);
    shell.succeeds(&format!("{DELETE}\n{GENERIC}username=old --from-literal=password=old"));
    shell.succeeds(&Fix::of("credentials_expiring", REPLACE).script());
    for (key, expected) in [("username", "DemoToken"), ("password", "new \"2")] {
        let path = format!("--output=go-template={{{{index .data \"{key}\" | base64decode}}}}");
        let output = server.kubectl(&["get", "secret", "acr-pull", "--namespace=acr-verifier", &path]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

/// A generated password invalidates the previous one at once, so none is lost, and none is generated without the rights to store it.
#[test]
fn a_password_that_cannot_be_stored_is_kept_or_not_generated() {
    let Some(server) = installed() else { return };
    let shell = Shell::changing(&server);
    let merge = Fix::of("credentials_expiring", REPLACE);
    let empty = format!("{GENERIC}.dockerconfigjson='{{\"auths\": {{}}}}'");
    let immutable = r#"kubectl patch secret acr-pull --namespace acr-verifier --patch '{"immutable": true}'"#;
    for (state, change) in [
        ("no document", format!("{GENERIC}token=abc")),
        ("not JSON", format!("{GENERIC}.dockerconfigjson=abc")),
        ("immutable", format!("{empty} && {immutable}")),
        ("missing", "true".to_owned()),
    ] {
        let Fix { generate, store } = &merge;
        shell.succeeds(&format!(
            "{DELETE}\n{change}\n{generate}\nset +e\n{store}\nset -e\n{DELETE}\n{empty}\n{store}"
        ));
        assert_eq!(stored(&shell).0["auths"]["REGISTRY.azurecr.io"]["password"], "new \"2", "{state}");
        assert_eq!(shell.generated(), 1, "{state}");
    }
    // A caller who may read the Secret, but not change it.
    shell.succeeds(
        "kubectl create role reader --namespace acr-verifier --verb=get --resource=secrets; kubectl create rolebinding reader \
         --namespace acr-verifier --role=reader --user=reader",
    );
    let before = stored(&shell);
    for (cause, store) in [
        ("credentials_expiring", REPLACE),
        ("credentials_missing", CREATE),
        ("credentials_invalid", RECREATE),
    ] {
        let script = Fix::of(cause, store).script().replace("kubectl ", "kubectl --as=reader ");
        shell.run(&format!("set +e\n{script}"));
        assert_eq!(shell.generated(), 0, "{cause}");
        assert_eq!(stored(&shell), before, "{cause}");
    }
}

/// A day before the 90 days that the password is valid.
fn assert_expiry(text: &str) {
    let expires_at: jiff::Timestamp = text.parse().expect("RFC 3339");
    let hours = (expires_at - jiff::Timestamp::now()).total(jiff::Unit::Hour).expect("a duration");
    assert!((88.0 * 24.0..=89.0 * 24.0).contains(&hours), "{text}");
}

/// Without it the Pod of a node shell is rejected where Pod Security is enforced for other namespaces.
#[test]
fn node_shells_use_the_namespace_of_the_agent_and_the_current_image() {
    let image = "--image=mcr.microsoft.com/azurelinux/busybox:1.36";
    let mut shells = 0;
    for Page { path: name, text } in documents() {
        assert!(!text.contains("cbl-mariner"), "{name}");
        for line in lines(&text).iter().filter(|line| line.contains("kubectl debug")) {
            assert!(line.contains("--namespace acr-verifier") && line.contains(image), "{name}: {line}");
            shells += 1;
        }
    }
    assert!(shells > 10, "{shells}");
}

//! The kubelet's side of a pull with an identity: it runs the credential provider, and tries what that returns.
//!
//! Owns the request, the time limit, and the order of the credentials. containerd pulls in `super::setup`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::pull::seen_from_the_node;
use support::find;
use support::namespaces::network::Namespace;

/// The kubelet kills the program after this time, in seconds.
const LONGEST_RUN: &str = "60";
const ANNOTATIONS: &str = "kubernetes.azure.com/acr-";

/// A service account that opted in to pulls with its own identity.
pub(crate) struct ServiceAccount {
    pub(crate) token: String,
    /// Its annotations, without their common prefix.
    pub(crate) annotations: Vec<(&'static str, String)>,
}

/// One run of the credential provider.
pub(crate) struct Run<'run> {
    pub(crate) program: &'run Path,
    /// `/etc/kubernetes/azure.json` of the node.
    pub(crate) azure_json: PathBuf,
    pub(crate) image: &'run str,
    pub(crate) service_account: Option<ServiceAccount>,
    /// A PEM file with all roots that the node trusts.
    pub(crate) roots: PathBuf,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Provided {
    /// Users and passwords for the image, in the order in which the kubelet tries them. An empty user is anonymous.
    Credentials(Vec<(String, String)>),
    /// The program fails with this message; the kubelet logs it, and pulls anonymously.
    Failed(String),
    /// The program is still trying when the kubelet kills it; the pull is anonymous.
    Killed,
}

impl Provided {
    /// Users and passwords of the pull; without any it is anonymous.
    pub(crate) fn users(&self) -> Vec<(String, String)> {
        match self {
            Self::Credentials(users) => users.clone(),
            Self::Failed(_) | Self::Killed => Vec::new(),
        }
    }
}

impl Run<'_> {
    /// Runs the program on the node.
    pub(crate) fn start(&self, node: &Namespace, folder: &Path) -> Provided {
        let mut request = json!({
            "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest",
            "image": self.image,
        });
        if let Some(ServiceAccount { token, annotations }) = &self.service_account {
            let annotations =
                annotations.iter().map(|(name, value)| (format!("{ANNOTATIONS}{name}"), json!(value)));
            request["serviceAccountToken"] = json!(token);
            request["serviceAccountAnnotations"] = Value::Object(annotations.collect());
        }
        let timeout = find("timeout").expect("timeout is part of coreutils");
        let mut program = seen_from_the_node(folder, &timeout);
        program.args(["--signal=KILL", LONGEST_RUN]).arg(self.program).arg(&self.azure_json);
        program.env("SSL_CERT_FILE", &self.roots);
        let output = node.run(|| answer(&mut program, &request.to_string()));
        match output.status.code() {
            Some(0) => Provided::Credentials(self.credentials(&output.stdout)),
            // timeout ends by the signal that it sends.
            None | Some(137) => Provided::Killed,
            Some(_) => Provided::Failed(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }

    /// Reads the credentials that match the image, as the kubelet's keyring sorts them.
    fn credentials(&self, answer: &[u8]) -> Vec<(String, String)> {
        let answer: Value = serde_json::from_slice(answer).expect("the credential provider prints JSON");
        let registry = self.image.split('/').next().unwrap_or_default();
        let entries = answer["auth"].as_object().cloned().unwrap_or_default();
        let mut entries: Vec<_> =
            entries.into_iter().filter(|(pattern, _)| matches(pattern, registry)).collect();
        entries.sort_by(|(one, _), (other, _)| other.cmp(one));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        entries.into_iter().map(|(_, entry)| (text(&entry["username"]), text(&entry["password"]))).collect()
    }
}

fn answer(program: &mut Command, input: &str) -> Output {
    let program = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().expect("unshare is installed");
    // A program that exits without reading closes the pipe.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the program runs")
}

/// Returns whether a key matches a registry: label by label, where `*` stands for any text in a label.
fn matches(pattern: &str, registry: &str) -> bool {
    let (pattern, registry): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), registry.split('.').collect());
    pattern.len() == registry.len()
        && pattern.iter().zip(&registry).all(|(pattern, label)| *pattern == "*" || pattern == label)
}

#[test]
fn keys_match_label_by_label() {
    assert!(matches("*.azurecr.*", "contoso.azurecr.io"));
    assert!(matches("contoso.azurecr.io", "contoso.azurecr.io"));
    assert!(!matches("*.azurecr.*", "contoso.westeurope.geo.azurecr.io"));
    assert!(!matches("fabrikam.azurecr.io", "contoso.azurecr.io"));
}

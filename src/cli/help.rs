//! The longer texts of the help: what a command is for, and examples that can be copied.

/// Behind the name in the list of programs.
pub(super) const ABOUT: &str =
    "Tells whether images can be pulled from a private Azure Container Registry, and why not";

/// `acr-verifier --help`.
pub(super) const LONG_ABOUT: &str = "\
Tells whether images can be pulled from a private Azure Container Registry, and why not.

It takes the way that a node's pull takes: names, addresses, connection, TLS, credentials, manifest, layers. Where the way \
is broken or leaves the private network, it names the cause, the evidence and the remedy.";

/// `acr-verifier --help`, at the end.
pub(super) const EXAMPLES: &str = "\
Examples:
  acr-verifier check contoso.azurecr.io/apps/canary:1
  acr-verifier agent --config /etc/acr-verifier/config.yaml
  acr-verifier smoke
  acr-verifier causes

Exit codes:
  0  every verdict is pass (or warn, without --strict)
  1  a problem was found
  2  wrong usage or configuration
  3  inconclusive: something could not be judged, and nothing failed; or the cluster could
     not be asked

`acr-verifier COMMAND --help` explains a command.";

/// `acr-verifier check --help`.
pub(super) const CHECK: &str = "\
Verify once, from this machine, that images can be pulled.

The report goes to standard output, logs and progress go to standard error. Nothing is sent to an address that was not \
judged private first, and credentials go to the login server alone.";

/// `acr-verifier check --help`, at the end.
pub(super) const CHECK_EXAMPLES: &str = "\
Examples:
  Check one image with the credentials that docker has:
    acr-verifier check contoso.azurecr.io/apps/canary:1
  Insist on the private endpoint's range, with a mounted pull secret:
    acr-verifier check --expect-cidr 10.60.4.0/24 \\
      --credentials /var/run/secrets/acr contoso.azurecr.io/apps/canary:1
  Wait for DNS after the private endpoint was made, and keep a report for the pipeline:
    acr-verifier check --wait 10m --output junit --report-file report.xml \\
      contoso.azurecr.io/apps/canary:1
  Compare the node's nameserver with Azure's own:
    acr-verifier check --compare-resolver azure=168.63.129.16 contoso.azurecr.io/apps/canary:1
  Check what the agent checks:
    acr-verifier check --config /etc/acr-verifier/config.yaml

Durations have a unit: 500ms, 60s, 1m30s, up to 24h.

Exit codes: 0 pass (or warn, without --strict), 1 a problem was found, 2 wrong usage or
configuration, 3 inconclusive.";

/// `acr-verifier agent --help`.
pub(super) const AGENT: &str = "\
Verify for ever, serve metrics and a status page, publish Events: the process that a DaemonSet runs on every node.

Configuration and credentials are read again when their files change. A bad new configuration keeps the old one running \
and shows in the log, the metrics and the page. In a pod of a cluster Events about the Node go to the API server; elsewhere \
there are none. It stops within two seconds of SIGTERM or Ctrl-C.

It serves /metrics, /report, /livez, /readyz, POST /check and, for people, /. NODE_NAME, NETWORK_VIEW (node or pod), \
POD_NAME, POD_NAMESPACE and POD_UID of the environment tell it where it runs.";

/// `acr-verifier agent --help`, at the end.
pub(super) const AGENT_EXAMPLES: &str = "\
Examples:
  acr-verifier agent --config /etc/acr-verifier/config.yaml
  acr-verifier agent --config config.yaml --log-format json -v

Exit codes: 0 stopped as asked, 2 it cannot start: wrong usage or configuration, or its address
is taken.";

/// `acr-verifier smoke --help`.
pub(super) const SMOKE: &str = "\
Ask every node's agent to verify now, and pass when all of them do: the gate after a deployment.

It finds the DaemonSet and the nodes that should run it, asks each agent for a check of its own, and waits until every node \
has reported a pass that is younger than this smoke check, or the time is over. A node that does not report is a failure. \
Pods that run and are not ready yet are asked as well. Nodes on which the DaemonSet wants no agent, virtual ones among them, are told and do not count; nor does a node that joins \
meanwhile, until it has reported.

In a Pod it talks to the agents directly; elsewhere it goes through the API server, as kubectl does, and needs the rights to \
list nodes, and in the agents' namespace to list daemonsets and pods and to create pods/proxy.";

/// `acr-verifier smoke --help`, at the end.
pub(super) const SMOKE_EXAMPLES: &str = "\
Examples:
  After a deployment, with the kubeconfig's current context:
    acr-verifier smoke
  In a pipeline, with a report for its test results and a summary for its page:
    acr-verifier smoke --timeout 5m --output junit --report-file smoke.xml \\
      --summary-file \"$GITHUB_STEP_SUMMARY\"
  After a new configuration, when only reports about that one count:
    acr-verifier smoke --timeout 4m --expect-config \"sha256:$(sha256sum <config.yaml | cut -d' ' -f1)\"
  Another installation on another cluster:
    acr-verifier smoke --context prod --namespace registry-checks \\
      --selector app.kubernetes.io/instance=canary

Exit codes: 0 every node passed (or warned, without --strict), 1 a problem was found, 2 wrong
usage or configuration, 3 inconclusive, or the cluster could not be asked.";

/// `acr-verifier causes --help`.
pub(super) const CAUSES: &str = "\
Print the catalogue of causes, with what each means and what to do.

The codes are those of reports, metrics and Events; the list is closed and no code is ever renamed.";

/// `acr-verifier causes --help`, at the end.
pub(super) const CAUSES_EXAMPLES: &str = "\
Examples:
  acr-verifier causes
  acr-verifier causes --output markdown > runbook.md";

/// `acr-verifier completions --help`, at the end.
pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  acr-verifier completions bash > /etc/bash_completion.d/acr-verifier
  acr-verifier completions zsh > \"${fpath[1]}/_acr-verifier\"
  acr-verifier completions fish > ~/.config/fish/completions/acr-verifier.fish";

/// `acr-verifier man --help`, at the end.
pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  acr-verifier man > /usr/local/share/man/man1/acr-verifier.1
  acr-verifier man | man -l -";

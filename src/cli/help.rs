//! The longer help texts: the purpose of each command, and examples to copy.

/// The exit codes of `check` and `smoke`, in the words of docs/check.md.
macro_rules! exit_codes {
    ($interrupted:literal) => {
        concat!(
            "\
Exit codes:
  0    every verdict is pass (or warn, without --strict)
  1    a problem was found
  2    invalid usage or configuration, or an internal error
  3    inconclusive: at least one verdict is unknown and none is fail, such as while the registry
       throttles; or the cluster could not be reached
  130  ",
            $interrupted
        )
    };
}

/// The summary of the program.
pub(super) const ABOUT: &str =
    "Checks whether a node can pull images from a private Azure Container Registry, and explains why not";

/// `acr-verifier --help`.
pub(super) const LONG_ABOUT: &str = "\
Checks whether a node can pull images from a private Azure Container Registry, and explains why not.

It follows the same path as a real image pull: DNS, addresses, connection, TLS, credentials, manifest, layers. If the path \
is broken or leaves the private network, it reports the cause, the evidence and the remedy.";

/// `acr-verifier --help`, at the end.
pub(super) const EXAMPLES: &str = concat!(
    "\
Examples:
  acr-verifier check contoso.azurecr.io/apps/canary:1
  acr-verifier agent --config /etc/acr-verifier/config.yaml
  acr-verifier smoke
  acr-verifier exposure contoso.azurecr.io
  acr-verifier discover
  acr-verifier causes

",
    exit_codes!("interrupted by Ctrl-C; with --wait the last complete check is reported"),
    "

Run `acr-verifier COMMAND --help` for the help of a command."
);

/// `acr-verifier check --help`.
pub(super) const CHECK: &str = "\
Verify once that this machine can pull images.

The report goes to standard output, logs and progress to standard error. Nothing is sent to an address before it was \
verified to be private, and credentials are sent only to the login server. With --identity, the token comes from Azure's \
metadata service or from Entra ID, and is sent only to the login server.";

/// The usage of `acr-verifier check`: clap would join both forms in one.
pub(super) const CHECK_USAGE: &str = "\
acr-verifier check [OPTIONS] <IMAGE>...
       acr-verifier check [OPTIONS] --config <FILE>";

/// `acr-verifier check --help`, at the end.
pub(super) const CHECK_EXAMPLES: &str = concat!(
    "\
Examples:
  Check one image with docker's credentials:
    acr-verifier check contoso.azurecr.io/apps/canary:1
  Require the address range of the private endpoint, with a mounted pull secret:
    acr-verifier check --expect-cidr 10.60.4.0/24 \\
      --credentials /var/run/secrets/acr contoso.azurecr.io/apps/canary:1
  Require exactly the addresses of the private endpoint, as the Azure CLI prints them:
    az network nic show --output json --ids NIC_ID > nic.json
    acr-verifier check --expect-file nic.json contoso.azurecr.io/apps/canary:1
  Wait for DNS after creating the private endpoint, and write a report for the pipeline:
    acr-verifier check --wait 10m --output junit --report-file report.xml \\
      contoso.azurecr.io/apps/canary:1
  Pull with the managed identity that the node's kubelet pulls with:
    acr-verifier check --identity managed contoso.azurecr.io/apps/canary:1
  Compare the node's nameserver with Azure's:
    acr-verifier check --compare-resolver azure=168.63.129.16 contoso.azurecr.io/apps/canary:1
  Check the agent's images with its configuration:
    acr-verifier check --config /etc/acr-verifier/config.yaml

Durations have a unit: 500ms, 60s, 1m30s, up to 24h.

",
    exit_codes!("interrupted by Ctrl-C; with --wait the last complete check is reported")
);

/// `acr-verifier agent --help`.
pub(super) const AGENT: &str = "\
Verify continuously and expose the results as metrics, Events and a status page. A DaemonSet runs this process on every node.

Configuration and credentials are reloaded when their files change. If a new configuration is invalid, the old one stays in \
effect, and the log, the metrics and the status page report the error. Events about the Node are only published in a \
cluster. The agent stops within two seconds of SIGTERM or Ctrl-C.

It serves /metrics, /report, /livez, /readyz, POST /check and the status page at /. The environment variables NODE_NAME, \
NODE_IPS (for server.address node:PORT), NETWORK_VIEW (node or pod), POD_NAME, POD_NAMESPACE and POD_UID describe its node \
context.";

/// `acr-verifier agent --help`, at the end.
pub(super) const AGENT_EXAMPLES: &str = "\
Examples:
  acr-verifier agent --config /etc/acr-verifier/config.yaml
  acr-verifier agent --config config.yaml --log-format json -v

Exit codes:
  0    stopped by SIGTERM or Ctrl-C
  2    invalid usage or configuration, or an internal error, such as an address that is in use";

/// `acr-verifier smoke --help`.
pub(super) const SMOKE: &str = "\
Trigger a check on every node and wait until all nodes pass: the gate after a deployment.

It finds the DaemonSet and the nodes that should run it, triggers a check on each agent, and waits until every node has \
reported a pass newer than the start of the smoke check, or the timeout has elapsed. A node that does not report is a \
failure. Pods that run but are not ready yet are checked as well. Nodes that the DaemonSet excludes, such as virtual nodes, are \
listed but not required. A node that joins during the smoke check is not required until it has reported. If the agents start no \
checks on demand, or only with a key that is not given, it waits for their regular checks. Of more than 300 nodes, it checks a \
sample whole, and the others pass with an open path and a last check that passed (--sample).

In a Pod it connects to the agents directly. Elsewhere it goes through the API server, as kubectl does, and needs permission \
to list nodes and, in the agents' namespace, to list daemonsets and pods and to create pods/proxy (to get it, if it waits for \
regular checks or checks a sample).";

/// `acr-verifier smoke --help`, at the end.
pub(super) const SMOKE_EXAMPLES: &str = concat!(
    "\
Examples:
  After a deployment, with the kubeconfig's current context:
    acr-verifier smoke
  In a pipeline, with a report for its test results and a summary for its page:
    acr-verifier smoke --timeout 5m --output junit --report-file smoke.xml \\
      --summary-file \"$GITHUB_STEP_SUMMARY\"
  After a configuration change, accepting only reports about the new configuration:
    acr-verifier smoke --timeout 4m --expect-config \"sha256:$(sha256sum <config.yaml | cut -d' ' -f1)\"
  For another installation on another cluster:
    acr-verifier smoke --context prod --namespace registry-checks \\
      --selector app.kubernetes.io/instance=canary

",
    exit_codes!("interrupted by Ctrl-C")
);

/// `acr-verifier exposure --help`.
pub(super) const EXPOSURE: &str = "\
Verify from outside that the public endpoint of a registry rejects this client.

Run it where no pull should work: on a hosted pipeline agent, a workstation, or a node with a public resolver. It sends one \
GET of /v2/ without credentials to the public address of each login server and address family, over verified TLS and without \
a proxy. The verdict is refused only for the answer of the registry's own firewall, which names the address of this client; \
exposed if the registry answers as it does any client; and not_tested for everything else, such as a private address, a \
timeout or a proxy's page. The firewall applies before any credential is checked, so none is needed, and none is ever sent.

The report lists what no request can show, such as other clients and trusted services, with the command that shows the \
registry's settings.";

/// `acr-verifier exposure --help`, at the end.
pub(super) const EXPOSURE_EXAMPLES: &str = "\
Examples:
  After public access was disabled, on a hosted pipeline agent:
    acr-verifier exposure --wait 10m --output junit --report-file exposure.xml contoso.azurecr.io
  A registry with regional endpoints:
    acr-verifier exposure contoso.azurecr.io contoso.westeurope.geo.azurecr.io
  From a node's egress, with a resolver that does not see the private zone:
    acr-verifier exposure --nameserver 1.1.1.1 contoso.azurecr.io

Durations have a unit: 500ms, 60s, 1m30s, up to 24h.

Exit codes:
  0    every registry rejected this client
  1    at least one registry is exposed
  2    invalid usage, or an internal error
  3    not tested: at least one registry was not reached, and none is exposed
  130  interrupted by Ctrl-C; with --wait the last complete check is reported";

/// `acr-verifier discover --help`.
pub(super) const DISCOVER: &str = "\
List the images of Azure Container Registries that a cluster uses, and explain why Pods wait for theirs.

For every Pod in ErrImagePull or ImagePullBackOff it shows the kubelet's message next to what the agent on the Pod's node \
reports about the registry: cause, since when, and fix; or that the two disagree, or that no agent covers the registry. Then it \
lists the registries and images in use, and which registries the agents check. --output values prints values for the chart: one \
image for each repository. Pods that have finished do not count. Secrets are never read.

It needs permission to list pods (with --owners, workloads too). To query the agents it lists pods in their namespace, and \
outside of a cluster it needs permission to get pods/proxy there. Without that, the images are still listed.";

/// `acr-verifier discover --help`, at the end.
pub(super) const DISCOVER_EXAMPLES: &str = "\
Examples:
  Why do Pods wait for their images, and what does the cluster use?
    acr-verifier discover
  Why does this Pod not start?
    acr-verifier discover --pod shop/api-7c9f6d5b8-x2x4z
  Install the agents for everything in use:
    acr-verifier discover --owners --output values > values.yaml
    helm upgrade --install acr-verifier deploy/chart --namespace acr-verifier --values values.yaml \\
      --set image.registry=fabrikam.azurecr.io
  In a pipeline, fail if a registry in use is not checked:
    acr-verifier discover --coverage

Exit codes:
  0    the report was written
  1    --coverage: a registry in use is not checked by the agents; --pod: the Pod waits for an image
  2    invalid usage or configuration, or an internal error, such as a Pod that does not exist
  3    the cluster could not be reached or denied a request; --coverage: no agent returned a report
  130  interrupted by Ctrl-C";

/// `acr-verifier causes --help`.
pub(super) const CAUSES: &str = "\
Print the catalogue of causes, with the meaning and remedy of each.

Reports, metrics and Events use these codes. The list is closed, and no code is ever renamed.";

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

/// `kubectl acr-verifier completions --help`, at the end.
pub(super) const PLUGIN_COMPLETIONS_EXAMPLES: &str = "\
kubectl completes a plugin with a second program next to it. A link is enough, for every shell that completes kubectl:
  plugin=$(command -v kubectl-acr_verifier)
  ln -s \"$plugin\" \"${plugin%/*}/kubectl_complete-acr_verifier\"

The scripts that this command prints complete the program under its own name, acr-verifier.";

/// `acr-verifier man --help`, at the end.
pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  acr-verifier man > /usr/local/share/man/man1/acr-verifier.1
  acr-verifier man | man -l -";

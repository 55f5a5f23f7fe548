//! A node: kubelet, containerd and runc in their own namespaces, with the DNS and network of a VNet.
//!
//! Owns what such a node needs without systemd, cgroup v2 and CAP_SYS_RESOURCE. All its processes are in one PID namespace and
//! end with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::control::{ADDRESS, PORT, Programs, SERVICE};
use support::certificates::Pair;
use support::namespaces::network::{FORWARDER, Namespace, Network, PUBLIC_DATA, PUBLIC_LOGIN};
use support::namespaces::process::{run, try_run};

/// The controllers of cgroup v1.
const CGROUPS: &str = "/sys/fs/cgroup";
const PAUSE: &str = "registry.k8s.io/pause:tests";
const PLUGINS: &str = "/usr/lib/cni";
/// User ID of the agent.
const USER: u32 = 65_532;

/// Starts containerd, then kubelet, in a mount namespace with the files of an AKS node: its own resolv.conf at the path of
/// systemd-resolved, its certificate authorities, and the folders of systemd and containerd. Restarts a process that exits, as
/// systemd does: a kubelet exits if containerd is not up yet, and nothing else would restart it.
const START: &str = r#"
set -e
keep_running() {
    while :; do
        code=0
        "$@" || code=$?
        echo "$1 exited with $code" >&2
        sleep 0.5
    done
}
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/lock /run/systemd/resolve
cp "$1/resolv.conf" /run/systemd/resolve/resolv.conf
# Changes in /etc stay on the node.
mkdir -p "$1/etc/upper" "$1/etc/work"
mount -t overlay -o "lowerdir=/etc,upperdir=$1/etc/upper,workdir=$1/etc/work" none /etc
ln --symbolic --force /run/systemd/resolve/resolv.conf /etc/resolv.conf
for folder in /etc/systemd /etc/containerd /etc/ssl/certs; do
    mkdir -p "$folder"
    mount -t tmpfs none "$folder"
done
mkdir /etc/systemd/system
cp "$1/authorities.pem" /etc/ssl/certs/ca-certificates.crt
# Links to container logs go there regardless of the configuration.
mount -t tmpfs none /var/log
keep_running containerd --config "$1/containerd.toml" >"$1/containerd.log" 2>&1 &
until [ -S "$1/containerd.sock" ]; do sleep 0.05; done
folder=$1 kubelet=$2
shift 2
keep_running "$kubelet" --config="$folder/kubelet.json" --kubeconfig="$folder/kubeconfig" --root-dir="$folder/kubelet" \
    --cert-dir="$folder/certificates" "$@" >"$folder/kubelet.log" 2>&1
"#;

/// A node of the cluster.
pub(crate) struct Worker {
    pub(crate) name: String,
    number: usize,
    pub(crate) folder: PathBuf,
    process: Child,
    pub(crate) namespace: Namespace,
}

/// Returns the name of a node.
pub(crate) fn name(number: usize) -> String {
    format!("aks-np{}-{number}", pool(number))
}

/// The first two nodes share a pool.
fn pool(number: usize) -> usize {
    if number < 3 { 1 } else { 2 }
}

/// Returns the address of a node.
pub(crate) fn address(number: usize) -> String {
    format!("10.61.{number}.2")
}

impl Worker {
    /// Connects a node to the VNet and starts it.
    pub(crate) fn start(
        number: usize,
        network: &Network,
        folder: &Path,
        programs: &Programs,
        pair: &Pair,
        authorities: &str,
        more_flags: &[String],
    ) -> Self {
        let namespace = Namespace::new(&format!("worker{number}"));
        join(number, network, &namespace);
        let folder = folder.join(format!("worker{number}"));
        fs::create_dir_all(folder.join("cni")).expect("a folder");
        let write = |file: &str, text: &str| fs::write(folder.join(file), text).expect("a file");
        write("resolv.conf", &format!("nameserver {FORWARDER}\n"));
        write("authorities.pem", authorities);
        write("containerd.toml", &containerd(&folder));
        write("cni/10-pods.conflist", &pods(&folder, number));
        write("kubelet.json", &kubelet(&folder, number, programs, pair));
        write("kubeconfig", &programs.kubeconfig(pair));
        let cgroup = cgroup(number);
        for controller in controllers() {
            fs::create_dir_all(controller.join(&cgroup)).expect("root may make cgroups");
        }
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let root = Path::new(CGROUPS).join("cpuset");
            if let Ok(all) = fs::read(root.join(file)) {
                fs::write(root.join(&cgroup).join(file), all).expect("root may set cgroups");
            }
        }
        let labels = format!(
            "kubernetes.azure.com/agentpool=np{0},kubernetes.azure.com/network-name=aks-vnet,\
             kubernetes.azure.com/network-subnet=snet-np{0},topology.kubernetes.io/zone=westeurope-{number}",
            pool(number)
        );
        let name = name(number);
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", START, "node"])
            .arg(&folder)
            .arg(programs.path("kubelet"))
            .args([
                format!("--hostname-override={name}"),
                format!("--node-ip={}", address(number)),
                format!("--node-labels={labels}"),
            ])
            .args(more_flags)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("start.log")).expect("a file"));
        let process = namespace.run(|| command.spawn().expect("unshare is there"));
        Self { name, number, folder, process, namespace }
    }

    /// Imports an image into the node's containerd.
    pub(crate) fn import(&self, archive: &Path) {
        let path = archive.display().to_string();
        self.containerd(&["images", "import", "--snapshotter", "native", &path]);
    }

    /// Runs `ctr`.
    pub(crate) fn containerd(&self, arguments: &[&str]) -> String {
        let socket = self.folder.join("containerd.sock").display().to_string();
        run("ctr", &[&["--address", &socket, "--namespace", "k8s.io"], arguments].concat(), "")
    }

    /// Writes a file on the node as systemd-resolved does: a new file replaces the old one.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let script = "mkdir -p \"${1%/*}\" && cat >\"$1.next\" && mv \"$1.next\" \"$1\"";
        let process = self.process.id().to_string();
        run("nsenter", &["--target", &process, "--mount", "sh", "-c", script, "write", path], text);
    }

    /// Runs a script in the node's mount namespace.
    pub(crate) fn shell(&self, script: &str) -> String {
        let process = self.process.id().to_string();
        run("nsenter", &["--target", &process, "--mount", "sh", "-c", script], "")
    }

    /// Restarts the kubelet, which forgets the credentials that it cached. Containers keep running.
    pub(crate) fn restart_kubelet(&self) {
        let list = run("ip", &["netns", "pids", self.namespace.name()], "");
        let is_kubelet = |pid: &str| {
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            program.file_name().is_some_and(|name| name == "kubelet")
        };
        let kubelets = list.split_whitespace().filter(|pid| is_kubelet(pid));
        for pid in kubelets.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            kill_process(pid, Signal::TERM).expect("root may stop it");
        }
    }

    /// Counts packets to public addresses of the registry from agents and from Pods on the pod network.
    pub(crate) fn public_packets(&self) -> u64 {
        self.namespace.counter("ip", "node", "agents")
    }

    /// Returns the last lines of the node's logs.
    pub(crate) fn logs(&self) -> String {
        let end = |file: &str| {
            let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(25)..].join("\n")
        };
        format!(
            "--- {} kubelet\n{}\n--- containerd\n{}\n{}",
            self.name,
            end("kubelet.log"),
            end("containerd.log"),
            end("start.log")
        )
    }

    /// Returns whether containerd responds.
    pub(crate) fn is_up(&self) -> bool {
        let socket = self.folder.join("containerd.sock").display().to_string();
        try_run("ctr", &["--address", &socket, "version"], "").is_ok()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // All processes of the PID namespace end with its first one, containers included.
        self.process.kill().ok();
        self.process.wait().ok();
        remove_cgroup(&cgroup(self.number));
    }
}

/// Returns the name of the cgroup of a node in this run.
fn cgroup(number: usize) -> String {
    format!("{}{number}", support::namespaces::leftovers::folder_prefix())
}

/// Returns the cgroup folders, one per controller.
fn controllers() -> Vec<PathBuf> {
    let entries = fs::read_dir(CGROUPS).into_iter().flatten().flatten();
    // A link is another name of a controller, and cgroup v2 has no controllers here.
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()) && entry.file_name() != "unified")
        .map(|entry| entry.path())
        .collect()
}

/// Removes a cgroup and its children.
fn remove_cgroup(name: &str) {
    for controller in controllers() {
        // A process leaves its cgroup shortly after it ends.
        for _ in 0..50 {
            let path = controller.join(name);
            if !path.exists() {
                break;
            }
            let text = path.display().to_string();
            let _ = try_run("find", &[&text, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], "");
            std::thread::sleep(support::namespaces::process::PAUSE);
        }
    }
}

/// Removes the cgroups of earlier runs.
pub(crate) fn remove_leftovers() {
    for controller in controllers() {
        for entry in fs::read_dir(controller).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some((pid, _)) = support::namespaces::leftovers::parts(&name)
                && !support::namespaces::leftovers::is_running(pid)
            {
                remove_cgroup(&name);
            }
        }
    }
}

fn join(number: usize, network: &Network, namespace: &Namespace) {
    let own = namespace.name();
    network.vnet.ip(&format!(
        "link add worker{number} type veth peer name eth0 netns {own}\n\
         link set worker{number} up\n\
         address add 10.61.{number}.1/24 dev worker{number}\n"
    ));
    namespace.ip(&format!(
        "link set lo up\nlink set eth0 up\naddress add {}/24 dev eth0\nroute add default via 10.61.{number}.1\n",
        address(number)
    ));
    network.vnet.ip(&format!("route add 10.244.{number}.0/24 via {}\n", address(number)));
    namespace.run(|| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").expect("a node that routes for its Pods");
        // The Service of the API server, which kube-proxy provides on a usual node. `names` is empty until DNS is broken.
        let rule = format!("ip daddr {SERVICE} tcp dport 443 dnat to {ADDRESS}:{PORT}");
        let public = format!("ip daddr {{ {PUBLIC_LOGIN}, {PUBLIC_DATA} }}");
        let table = format!(
            "table ip node {{\n counter agents {{ }}\n \
             chain watch {{\n type filter hook output priority -150;\n meta skuid {USER} {public} counter name agents\n }}\n \
             chain watch_pods {{\n type filter hook prerouting priority -150;\n \
             ip saddr 10.244.0.0/16 {public} counter name agents\n }}\n \
             chain out {{\n type nat hook output priority -100;\n {rule}\n jump names\n }}\n \
             chain through {{\n type nat hook prerouting priority -100;\n {rule}\n jump names\n }}\n chain names {{ }}\n}}\n"
        );
        run("nft", &["-f", "-"], &table)
    });
}

fn containerd(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{PLUGINS}"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    # Overlay does not work on a folder in tmpfs.
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#
    )
}

/// The pod network: a veth pair for each Pod, and routes through the VNet.
fn pods(folder: &Path, number: usize) -> String {
    json!({"cniVersion": "0.4.0", "name": "pods", "plugins": [{
        "type": "ptp", "ipMasq": false,
        "ipam": {"type": "host-local", "dataDir": folder.join("addresses"),
            "ranges": [[{"subnet": format!("10.244.{number}.0/24")}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }]})
    .to_string()
}

fn kubelet(folder: &Path, number: usize, programs: &Programs, pair: &Pair) -> String {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": address(number),
        "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": false},
            "x509": {"clientCAFile": programs.authority()}},
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": pair.certificate, "tlsPrivateKeyFile": pair.key,
        "containerRuntimeEndpoint": format!("unix://{}/containerd.sock", folder.display()),
        "cgroupDriver": "cgroupfs", "failCgroupV1": false, "cgroupRoot": format!("/{}", cgroup(number)),
        "failSwapOn": false, "localStorageCapacityIsolation": false,
        "resolvConf": folder.join("resolv.conf"), "podLogsDir": folder.join("logs"),
        "volumePluginDir": folder.join("plugins"),
        // Changes of a Secret are seen immediately, not within a minute.
        "configMapAndSecretChangeDetectionStrategy": "Watch", "syncFrequency": "2s",
        "nodeStatusUpdateFrequency": "2s", "healthzPort": 0, "readOnlyPort": 0,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    })
    .to_string()
}

/// Returns the pause image.
pub(crate) const fn pause() -> &'static str {
    PAUSE
}

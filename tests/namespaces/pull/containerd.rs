//! containerd with its own clients: resolver, fetchers and unpacking are those of the kubelet's pulls.
//!
//! Owns the servers, and ensures that nothing of an earlier pull remains: existing content is not requested again.
//!
//! In 1.6 its client `ctr` resolves and fetches like the CRI plugin in the server. In 2 the CRI plugin pulls by the transfer
//! service and then reads the result, and `ctr` only does the first half. Therefore the CRI itself is called there, and the
//! server runs as the node, with its network, resolv.conf and authorities.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Fate, Order, on_the_node, outcome, seen_from_the_node};
use crate::node::HOSTS;
use support::namespaces::network::Namespace;
use support::namespaces::process::{Server, command, run, try_run};

/// The user and password of a pull, if any.
type User<'order> = Option<&'order (String, String)>;

/// A running containerd 1.6.
pub(crate) struct Containerd {
    socket: PathBuf,
    _server: Server,
}

impl Containerd {
    /// Starts it in namespaces that end with it.
    pub(crate) fn start(folder: &Path) -> Self {
        let own = folder.join("containerd");
        fs::create_dir_all(&own).expect("a folder");
        let text = own.display();
        let configuration = format!(
            "version = 2\nroot = \"{text}/root\"\nstate = \"{text}/state\"\n\
             disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{text}/socket\"\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"{text}/opt\"\n"
        );
        let file = own.join("config.toml");
        fs::write(&file, configuration).expect("a file");
        let mut program = command("unshare");
        program.args([
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "containerd",
            "--config",
        ]);
        let mut server = Server::start(program.arg(file), &own.join("log"));
        let socket = own.join("socket");
        let address = socket.display().to_string();
        server.wait_until(|| try_run("ctr", &["--address", &address, "version"], "").is_ok());
        Self { socket, _server: server }
    }

    /// Pulls and unpacks from an empty store, and empties it again.
    pub(super) fn pull(&self, node: &Namespace, folder: &Path, order: &Order<'_>, user: User<'_>) -> Fate {
        let left = self.ask(&["content", "ls", "--quiet"]);
        assert!(left.is_empty(), "an earlier pull left: {left}");
        let mut program = on_the_node(folder, "ctr", order.limit);
        if order.trusted {
            program.env("SSL_CERT_FILE", folder.join("trusted/ca.crt"));
        }
        order.node.equip(&mut program);
        program.arg("--address").arg(&self.socket).args(["images", "pull", "--snapshotter", "native"]);
        program.arg("--hosts-dir").arg(folder.join("host").join(HOSTS));
        if let Some((user, password)) = user {
            program.args(["--user", &format!("{user}:{password}")]);
        }
        let output = node.run(|| program.arg(&order.image).output().expect("unshare is installed"));
        self.forget();
        outcome(&output)
    }

    fn forget(&self) {
        for image in self.ask(&["images", "ls", "--quiet"]).lines() {
            self.ask(&["images", "rm", "--sync", image]);
        }
        // Deleting a lease removes all content that nothing else references; interrupted pulls leave leases behind.
        self.ask(&["leases", "create", "--id", "the-last"]);
        for lease in self.ask(&["leases", "ls", "--quiet"]).lines() {
            self.ask(&["leases", "rm", "--sync", lease]);
        }
        let ingests = self.socket.with_file_name("root").join("io.containerd.content.v1.content/ingest");
        for ingest in fs::read_dir(ingests).into_iter().flatten().flatten() {
            // containerd may have removed it first.
            let _ = fs::remove_dir_all(ingest.path());
        }
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let socket = self.socket.display().to_string();
        run("ctr", &[&["--address", &socket], arguments].concat(), "")
    }
}

/// containerd 2: a separate server for each pull, since its resolver reads resolv.conf every 5 s and authorities once.
pub(crate) struct Newer {
    programs: PathBuf,
}

impl Newer {
    /// Uses the programs of a directory.
    pub(crate) fn of(programs: &Path) -> Self {
        Self { programs: programs.to_owned() }
    }

    /// Pulls and unpacks in a new server, which is removed afterwards.
    pub(super) fn pull(&self, node: &Namespace, folder: &Path, order: &Order<'_>) -> Fate {
        let own = folder.join("newer");
        fs::create_dir_all(&own).expect("a folder");
        let (socket, file) = (own.join("socket"), own.join("config.toml"));
        fs::write(&file, configuration(&own, &folder.join("host").join(HOSTS))).expect("a file");
        let mut program = seen_from_the_node(folder, &self.programs.join("containerd"));
        program.arg("--config").arg(&file);
        if order.trusted {
            program.env("SSL_CERT_FILE", folder.join("trusted/ca.crt"));
        }
        order.node.equip(&mut program);
        let mut server = node.run(|| Server::start(&mut program, &own.join("log")));
        server.wait_until(|| socket.exists());
        let mut client = command("timeout");
        client.arg("--kill-after=1").arg(order.limit.as_secs().to_string());
        client.arg(self.programs.join("kubelet-pull")).arg(&socket).arg(&order.image);
        client.args(order.users.iter().map(|(user, password)| format!("{user}:{password}")));
        let output = client.output().expect("timeout is installed");
        drop(server);
        fs::remove_dir_all(own).expect("the directory is no longer used");
        outcome(&output)
    }
}

/// The configuration of a server with all files in one directory; the NRI socket would be shared by all servers.
fn configuration(folder: &Path, hosts: &Path) -> String {
    let hosts = hosts.display();
    let (text, architecture) = (folder.display(), lab::content::running_architecture());
    format!(
        "version = 3\nroot = \"{text}/root\"\nstate = \"{text}/state\"\n\
         [grpc]\n  address = \"{text}/socket\"\n\
         [plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"{text}/opt\"\n\
         [plugins.\"io.containerd.nri.v1.nri\"]\n  disable = true\n\
         [plugins.\"io.containerd.cri.v1.images\"]\n  snapshotter = \"native\"\n\
         [plugins.\"io.containerd.cri.v1.images\".registry]\n  config_path = \"{hosts}\"\n\
         [[plugins.\"io.containerd.transfer.v1.local\".unpack_config]]\n  platform = \"linux/{architecture}\"\n  \
         snapshotter = \"native\"\n"
    )
}

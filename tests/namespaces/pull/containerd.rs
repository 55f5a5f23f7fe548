//! containerd with its own client: resolver, fetchers and unpacking are those that the kubelet's pulls use.
//!
//! Owns the server, and that there is nothing of an earlier pull in it: what is there already is not asked for.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Fate, Order, on_the_node, outcome};
use crate::network::Namespace;
use crate::process::{Server, command, run, try_run};

/// A running containerd.
pub(crate) struct Containerd {
    socket: PathBuf,
    _server: Server,
}

impl Containerd {
    /// Starts it in namespaces whose end is its own.
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

    /// Pulls and unpacks, with nothing there before; nothing is left.
    pub(super) fn pull(&self, node: &Namespace, folder: &Path, order: &Order<'_>) -> Fate {
        let left = self.ask(&["content", "ls", "--quiet"]);
        assert!(left.is_empty(), "there is something of an earlier pull: {left}");
        let mut program = on_the_node(folder, "ctr", order.limit);
        if order.trusted {
            program.env("SSL_CERT_FILE", folder.join("trusted/ca.crt"));
        }
        program.arg("--address").arg(&self.socket).args(["images", "pull", "--snapshotter", "native"]);
        if let Some((user, password)) = &order.user {
            program.args(["--user", &format!("{user}:{password}")]);
        }
        let output = node.run(|| program.arg(&order.image).output().expect("unshare is there"));
        self.forget();
        outcome(&output)
    }

    fn forget(&self) {
        for image in self.ask(&["images", "ls", "--quiet"]).lines() {
            self.ask(&["images", "rm", "--sync", image]);
        }
        // The end of a lease takes everything with it that nothing else holds, and there are those of pulls that were cut off.
        self.ask(&["leases", "create", "--id", "the-last"]);
        for lease in self.ask(&["leases", "ls", "--quiet"]).lines() {
            self.ask(&["leases", "rm", "--sync", lease]);
        }
        let ingests = self.socket.with_file_name("root").join("io.containerd.content.v1.content/ingest");
        for ingest in fs::read_dir(ingests).into_iter().flatten().flatten() {
            // containerd may be quicker.
            let _ = fs::remove_dir_all(ingest.path());
        }
    }

    fn ask(&self, arguments: &[&str]) -> String {
        let socket = self.socket.display().to_string();
        run("ctr", &[&["--address", &socket], arguments].concat(), "")
    }
}

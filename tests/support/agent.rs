//! An agent process: started with its own configuration, queried over HTTP, stopped by its id.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use lab::Lab;

/// Upper limit for every wait.
const PATIENCE: Duration = Duration::from_secs(40);

/// A configuration for a lab.
pub fn config(lab: &Lab, interval: &str) -> String {
    format!(
        "images:\n  - image: {}\n    name: canary\n    credentials: {{path: {}}}\ntls: {{caFile: {}}}\nschedule: \
         {{interval: {interval}, jitter: 0}}\nserver: {{address: \"127.0.0.1:0\"}}\n",
        lab.image(),
        lab.secret_folder().display(),
        lab.ca_file().display()
    )
}

fn command(program: &str, lab: &Lab, config: &std::path::Path) -> Command {
    command_asking(program, &lab.nameservers(), config)
}

fn command_asking(program: &str, nameservers: &[SocketAddr], config: &std::path::Path) -> Command {
    let mut command = Command::new(program);
    command.args(["agent", "--log-format", "json", "--allow-loopback"]);
    for server in nameservers {
        command.arg("--nameserver").arg(server.to_string());
    }
    command.arg("--config").arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("NODE_NAME", "aks-np1-0").env_remove("KUBERNETES_SERVICE_HOST");
    command
}

/// Runs an agent that is expected to fail at the start.
pub fn run_to_the_end(program: &str, lab: &Lab, text: &str) -> Output {
    run_to_the_end_as(program, lab, text, |command| command)
}

/// The same, with a modified command.
pub fn run_to_the_end_as(
    program: &str,
    lab: &Lab,
    text: &str,
    wrap: impl FnOnce(Command) -> Command,
) -> Output {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, text).expect("a file");
    wrap(command(program, lab, &path)).stderr(Stdio::piped()).output().expect("the program starts")
}

/// A running agent, stopped on drop.
pub struct Agent {
    child: Child,
    folder: TempDir,
    pub address: SocketAddr,
}

impl Agent {
    /// Starts an agent and returns once it listens.
    pub fn start(program: &str, lab: &Lab, text: &str) -> Self {
        Self::start_as(program, lab, text, |command| command)
    }

    /// The same, with a modified command.
    pub fn start_as(program: &str, lab: &Lab, text: &str, wrap: impl FnOnce(Command) -> Command) -> Self {
        Self::start_by(text, |path| wrap(command(program, lab, path)))
    }

    /// Starts the agent of a node with these nameservers.
    pub fn start_on(program: &str, node: &str, nameservers: &[SocketAddr], text: &str) -> Self {
        Self::start_by(text, |path| {
            let mut command = command_asking(program, nameservers, path);
            command.env("NODE_NAME", node);
            command
        })
    }

    /// Starts an agent whose log is not read, on an address that was free a moment ago.
    pub fn start_unheard(program: &str, lab: &Lab, text: &str, log: Stdio) -> Self {
        Self::start_unheard_as(program, lab, text, log, |command| command)
    }

    /// The same, with a modified command.
    pub fn start_unheard_as(
        program: &str,
        lab: &Lab,
        text: &str,
        log: Stdio,
        wrap: impl FnOnce(Command) -> Command,
    ) -> Self {
        let folder = TempDir::new().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text.replace("127.0.0.1:0", &address.to_string())).expect("a file");
        std::fs::write(folder.path().join("log"), "not kept").expect("a file");
        let child = wrap(command(program, lab, &path)).stderr(log).spawn().expect("the program starts");
        let agent = Self { child, folder, address };
        agent.wait_for("its address", |agent| TcpStream::connect(agent.address).is_ok());
        agent
    }

    fn start_by(text: &str, command: impl FnOnce(&std::path::Path) -> Command) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text).expect("a file");
        let log = File::create(folder.path().join("log")).expect("a file");
        let child = command(&path).stderr(log).spawn().expect("the program starts");
        let mut agent = Self { child, folder, address: ([127, 0, 0, 1], 0).into() };
        let started = Instant::now();
        agent.address = loop {
            let address = agent.log().lines().find_map(listening_address);
            if let Some(address) = address {
                break address;
            }
            assert!(started.elapsed() < PATIENCE, "it does not start: {}", agent.log());
            std::thread::sleep(Duration::from_millis(20));
        };
        agent
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).expect("the log")
    }

    fn config_path(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    /// Writes the configuration in place.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.config_path(), text).expect("a file");
    }

    /// Removes the configuration.
    pub fn remove_configuration(&self) {
        std::fs::remove_file(self.config_path()).expect("it was there");
    }

    /// Replaces the configuration by rename.
    pub fn replace(&self, text: &str) {
        let next = self.folder.path().join("config.next");
        std::fs::write(&next, text).expect("a file");
        std::fs::rename(next, self.config_path()).expect("a rename");
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path)
    }

    pub fn post(&self, path: &str) -> Reply {
        self.ask("POST", path)
    }

    /// Posts with additional headers, each with its line break.
    pub fn post_with(&self, path: &str, headers: &str) -> Reply {
        self.ask_with("POST", path, headers)
    }

    fn ask(&self, method: &str, path: &str) -> Reply {
        self.ask_with(method, path, "")
    }

    fn ask_with(&self, method: &str, path: &str, headers: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).expect("the agent listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("the agent reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the agent answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Returns the value of a metric with a single series.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let body = self.get("/metrics").body;
        let line = body.lines().find(|line| line.starts_with(&format!("{name}{{")))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    #[track_caller]
    pub fn wait_for(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_there(self) {
            assert!(started.elapsed() < PATIENCE, "{what} does not come: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal, waits for the process and returns its exit code.
    pub fn stop(&mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
        self.child.wait().expect("the process ends").code()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    // Several addresses are separated by commas.
    line["fields"]["address"].as_str()?.split(", ").next()?.parse().ok()
}

/// An answer of the agent.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

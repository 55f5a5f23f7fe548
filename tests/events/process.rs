//! Server processes: started, paused, stopped, and never left behind.
//!
//! Owns a process, its log and its ports. `server.rs` owns what it serves.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Sends the requested signals to the process and acknowledges each. If its input closes, the test is gone without running
/// `Drop`, so it kills the process and removes the folder.
const WARDEN: &str = r#"
while read -r word; do
    [ "$word" = over ] && exit
    kill "-$word" "$1"
    echo "$word"
done
kill -KILL "$1"
sleep 1
rm -rf "$2"
"#;

/// Below the ephemeral port range of Linux, so that a restarted server finds its port free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Lines of the log shown after a failed start.
const LAST_LINES: usize = 30;

/// A running process with its warden.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    warden: Child,
    orders: ChildStdin,
    acknowledgements: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Process {
    /// Starts a program with an empty environment apart from its home in `folder`, which also gets its log.
    pub(crate) fn start(name: &'static str, program: &Path, arguments: &[String], folder: &Path) -> Self {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log).expect("a log file");
        let errors = output.try_clone().expect("a second handle");
        // In its own process group: the test handles an interrupt at the terminal, through the warden.
        let child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("HOME", folder)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut warden = Command::new("/bin/sh")
            .args(["-c", WARDEN, "warden", &child.id().to_string()])
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let orders = warden.stdin.take().expect("it was asked for");
        let acknowledgements = BufReader::new(warden.stdout.take().expect("it was asked for"));
        Self { name, child, warden, orders, acknowledgements, log }
    }

    /// Sends a signal, named without `SIG`, and waits until it was sent.
    pub(crate) fn signal(&mut self, name: &str) {
        writeln!(self.orders, "{name}").expect("the warden lives");
        let mut line = String::new();
        self.acknowledgements.read_line(&mut line).expect("the warden answers");
        assert_eq!(line.trim_end(), name);
    }

    /// Panics with the log if the process has exited.
    pub(crate) fn assert_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("our own child") {
            panic!("{} ended ({status}):\n{}", self.name, self.last_lines());
        }
    }

    /// Returns the last lines of its log.
    pub(crate) fn last_lines(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The warden first: once the child is reaped, its process ID may be reused. KILL also ends a paused process, and
        // etcd's data survives it.
        if writeln!(self.orders, "over").is_ok() {
            self.warden.wait().ok();
        }
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns a free port of 127.0.0.1, a different one with each call.
pub(crate) fn free_port() -> u16 {
    // Concurrent test processes start their search at different ports.
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is after 1970");
        AtomicU16::new((now.subsec_micros() & 0x3fff) as u16)
    });
    PORTS
        .map(|_| PORTS.start + NEXT.fetch_add(1, Ordering::Relaxed) % (PORTS.end - PORTS.start))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a port is free")
}

//! A network of its own that has the forbidden places: the metadata service and the API server, at their addresses.
//!
//! Takes root, for a network namespace; without, the test is skipped and says so.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::TcpListener;
use std::process::Command;

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The ports that the forbidden places have of their own.
pub(super) const OWN_PORTS: [&str; 4] =
    ["169.254.169.254:80", "10.0.0.1:6443", "127.0.0.1:80", "127.0.0.1:6443"];

/// The network namespace; it is gone when it is dropped.
pub(super) struct Places(String);

impl Places {
    /// Makes it; nothing where this machine does not let us.
    pub(super) fn make() -> Option<Self> {
        let name = format!("acrv-{}-hostile", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            // Past the capture of the test harness: a skip that nobody sees looks like a pass.
            let line = "\nSKIPPED hostile: the metadata service and the API server need root and the Debian package iproute2\n";
            std::io::stderr().write_all(line.as_bytes()).expect("standard error");
            return None;
        }
        let places = Self(name);
        places.run(|| {
            let ip = |words: &str| {
                let run = Command::new("ip").args(words.split(' ')).status().expect("ip runs");
                assert!(run.success(), "ip {words}");
            };
            ip("link set lo up");
            for address in ["169.254.169.254/32", "10.0.0.1/32"] {
                ip(&format!("address add {address} dev lo"));
            }
        });
        Some(places)
    }

    /// Runs a job inside; sockets, threads and processes that it makes stay inside for their life.
    pub(super) fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let file = File::open(format!("/run/netns/{}", self.0)).expect("the namespace is there");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            job()
        };
        let result = std::thread::scope(|scope| scope.spawn(enter).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Listeners at all of these.
    pub(super) fn listen() -> Vec<TcpListener> {
        let listen = |place: &str| {
            let listener = TcpListener::bind(place).expect("nobody else is here");
            listener.set_nonblocking(true).expect("a listener");
            listener
        };
        OWN_PORTS.map(listen).into()
    }

    /// How many came to the listeners.
    pub(super) fn accepted(listeners: &[TcpListener]) -> usize {
        let came = |listener: &TcpListener| match listener.accept() {
            Ok(_) => 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        listeners.iter().map(came).sum()
    }

    /// How many TCP connections were begun in this thread's network so far (RFC 4022, `tcpActiveOpens`).
    pub(super) fn opened() -> u64 {
        let text = fs::read_to_string("/proc/thread-self/net/snmp").expect("Linux");
        let mut lines = text.lines().filter(|line| line.starts_with("Tcp:"));
        let names = lines.next().expect("the names");
        let place = names.split(' ').position(|name| name == "ActiveOpens").expect("the counter");
        let values = lines.next().expect("the values");
        values.split(' ').nth(place).and_then(|value| value.parse().ok()).expect("a number")
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        // A namespace that stays is in nobody's way.
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

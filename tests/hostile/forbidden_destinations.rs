//! A separate network with the forbidden destinations: the metadata service and the API server, at their addresses.
//!
//! Needs root for a network namespace; otherwise the test is skipped with a message.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::net::TcpListener;
use std::process::Command;

use rustix::fd::AsFd as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The own ports of the forbidden destinations.
pub(super) const OWN_PORTS: [&str; 4] =
    ["169.254.169.254:80", "10.0.0.1:6443", "127.0.0.1:80", "127.0.0.1:6443"];

/// The network namespace, removed on drop.
pub(super) struct Places(String);

impl Places {
    /// Creates it; `None` if this machine does not permit it.
    pub(super) fn make() -> Option<Self> {
        let name = format!("acrv-{}-hostile", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        if !made.is_ok_and(|output| output.status.success()) {
            // Bypasses the test harness's capture: an invisible skip looks like a pass.
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

    /// Runs a job inside; the sockets, threads and processes it creates stay inside.
    pub(super) fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            let file = File::open(format!("/run/netns/{}", self.0)).expect("the namespace exists");
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter a namespace");
            job()
        };
        let result = std::thread::scope(|scope| scope.spawn(enter).join());
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Opens listeners at all of these.
    pub(super) fn listen() -> Vec<TcpListener> {
        let listen = |place: &str| {
            let listener = TcpListener::bind(place).expect("the address is free");
            listener.set_nonblocking(true).expect("a listener");
            listener
        };
        OWN_PORTS.map(listen).into()
    }

    /// The number of connections accepted by the listeners.
    pub(super) fn accepted(listeners: &[TcpListener]) -> usize {
        let came = |listener: &TcpListener| match listener.accept() {
            Ok(_) => 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        listeners.iter().map(came).sum()
    }

    /// The number of TCP connections opened in this thread's network (RFC 4022, `tcpActiveOpens`).
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
        // A leftover namespace does no harm.
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).status();
    }
}

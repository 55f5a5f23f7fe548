//! A hostile client on the cluster network: floods of connections to the agent's port, and their cost.
//!
//! Owns the floods and the concurrent measurements. The address and the process of the agent are arguments.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::process::peak_of;

/// Number of concurrent connection attempts.
const AT_A_TIME: usize = 256;
/// The interval of probes; the kubelet probes every few seconds.
const PROBE: Duration = Duration::from_millis(100);
/// The timeout of a probe.
const PATIENCE: Duration = Duration::from_secs(10);
/// When an incomplete crowd is measured anyway.
const GATHERING: Duration = Duration::from_secs(60);
/// Source addresses of a crowd, since one address has only some 28,000 ports.
const SOURCES: u8 = 8;

/// What each client of a crowd does after connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// Nothing.
    Idle,
    /// Sends a head, a byte a second.
    SlowHeads,
    /// Sends a head of a megabyte.
    HugeHeads,
    /// Pipelines requests for the metrics and reads every response; reconnects when disconnected.
    Pipelines,
    /// The same, without reading the responses.
    DeafPipelines,
    /// Requests the report, closes its sending side, and stays without reading the response.
    HalfClosed,
    /// Triggers a check; reconnects after the response.
    Posts,
}

impl Crowd {
    pub const ALL: [Self; 7] = [
        Self::Idle,
        Self::SlowHeads,
        Self::HugeHeads,
        Self::Pipelines,
        Self::DeafPipelines,
        Self::HalfClosed,
        Self::Posts,
    ];

    /// Whether it reconnects.
    const fn returns(self) -> bool {
        matches!(self, Self::Pipelines | Self::DeafPipelines | Self::Posts)
    }
}

/// The cost of a crowd for the agent.
#[derive(Debug, Default)]
pub struct Toll {
    /// The number of established connections.
    pub connections: usize,
    /// The peak of descriptors, threads and resident memory (KiB, since the agent's start).
    pub descriptors: usize,
    pub threads: u64,
    pub peak: u64,
    /// Probes of `/livez` during the crowd: their number, the failures, and the slowest success.
    pub probes: usize,
    pub unanswered: usize,
    pub slowest: Duration,
    /// The time until `/livez` and `/metrics` responded after the crowd had left.
    pub recovered: Duration,
    /// The duration of the crowd.
    pub lasted: Duration,
}

/// Lets a crowd of `number` clients connect, stay for a while after the last one, and leave.
pub async fn press(crowd: Crowd, address: SocketAddr, agent: u32, count: usize, stay: Duration) -> Toll {
    let started = Instant::now();
    let mut toll = Toll::default();
    let gate = Arc::new(Semaphore::new(AT_A_TIME));
    let (come, mut came) = tokio::sync::mpsc::unbounded_channel();
    let mut visitors = JoinSet::new();
    for number in 0..count {
        visitors.spawn(visit(crowd, address, number, Arc::clone(&gate), come.clone()));
    }
    drop(come);
    let mut until = None;
    while until.is_none_or(|until| Instant::now() < until) {
        toll.note(agent);
        toll.probe(address).await;
        while came.try_recv().is_ok() {
            toll.connections += 1;
        }
        // Reconnecting clients are never all connected at once: then the total number of connections counts.
        if until.is_none() && (toll.connections >= count || started.elapsed() > GATHERING) {
            until = Some(Instant::now() + stay);
        }
        sleep(PROBE).await;
    }
    toll.note(agent);
    toll.lasted = started.elapsed();
    drop(visitors);
    let gone = Instant::now();
    for path in ["/livez", "/metrics"] {
        while ask(address, path).await.is_err() && gone.elapsed() < PATIENCE {
            sleep(PROBE / 10).await;
        }
    }
    toll.recovered = gone.elapsed();
    toll
}

impl Toll {
    fn note(&mut self, agent: u32) {
        let folder = format!("/proc/{agent}");
        let descriptors = fs::read_dir(format!("{folder}/fd")).map_or(0, Iterator::count);
        self.descriptors = self.descriptors.max(descriptors);
        self.peak = self.peak.max(peak_of(agent).unwrap_or_default());
        let status = fs::read_to_string(format!("{folder}/status")).unwrap_or_default();
        let threads = status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok());
        self.threads = self.threads.max(threads.unwrap_or_default());
    }

    async fn probe(&mut self, address: SocketAddr) {
        let started = Instant::now();
        self.probes += 1;
        match ask(address, "/livez").await {
            Ok(()) => self.slowest = self.slowest.max(started.elapsed()),
            Err(_) => self.unanswered += 1,
        }
    }
}

/// Sends a request like a kubelet or scraper; an error unless the response is a complete 200.
async fn ask(address: SocketAddr, path: &str) -> io::Result<()> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if answer.starts_with(b"HTTP/1.1 200") { Ok(()) } else { Err(io::Error::other("no answer")) }
    };
    timeout(PATIENCE, asked).await?
}

/// One client of a crowd, running indefinitely; counts every established connection.
async fn visit(
    crowd: Crowd,
    address: SocketAddr,
    number: usize,
    gate: Arc<Semaphore>,
    come: tokio::sync::mpsc::UnboundedSender<()>,
) {
    let from = u8::try_from(number % usize::from(SOURCES)).unwrap_or_default();
    loop {
        let Ok(pass) = gate.acquire().await else { return };
        let connected = connect(Ipv4Addr::new(127, 0, 9, from + 1), address).await;
        drop(pass);
        if let Ok(mut stream) = connected {
            // Nothing is counted after the crowd has left.
            let _counted = come.send(());
            let _sent_away = behave(crowd, &mut stream).await;
            if !crowd.returns() {
                // The connection is kept, even if the agent has closed it.
                std::future::pending::<()>().await;
            }
        }
        sleep(Duration::from_millis(5)).await;
    }
}

async fn connect(from: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    timeout(PATIENCE, socket.connect(address)).await?
}

async fn behave(crowd: Crowd, stream: &mut TcpStream) -> io::Result<()> {
    match crowd {
        Crowd::Idle => {}
        Crowd::SlowHeads => {
            stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await?;
            loop {
                sleep(Duration::from_secs(1)).await;
                stream.write_all(b"x").await?;
            }
        }
        Crowd::HugeHeads => {
            stream.write_all(b"GET / HTTP/1.1\r\nX-Huge: ").await?;
            stream.write_all(&vec![b'x'; 1 << 20]).await?;
        }
        Crowd::Pipelines => {
            let (mut read, mut write) = stream.split();
            let asking = async {
                loop {
                    write.write_all(&b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n".repeat(50)).await?;
                }
            };
            let mut sink = tokio::io::sink();
            let taking = tokio::io::copy(&mut read, &mut sink);
            let _over: io::Result<()> =
                tokio::select! { ended = asking => ended, ended = taking => ended.map(drop) };
        }
        Crowd::DeafPipelines => {
            // Until the agent stops reading, and then until it disconnects.
            let until = Instant::now() + PATIENCE;
            while let Ok(sent) = timeout_at(
                until,
                stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n".repeat(50)),
            )
            .await
            {
                sent?;
            }
            sleep_until(until).await;
        }
        Crowd::HalfClosed => {
            stream.write_all(b"GET /report HTTP/1.1\r\nHost: agent\r\n\r\n").await?;
            stream.shutdown().await?;
        }
        Crowd::Posts => {
            let post =
                b"POST /check HTTP/1.1\r\nHost: agent\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(post).await?;
            tokio::io::copy(stream, &mut tokio::io::sink()).await?;
        }
    }
    Ok(())
}

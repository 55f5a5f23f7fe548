//! Misbehaving clients: limits of the server, and no cost for the main loop.

use std::net::SocketAddr;
use std::time::Duration;

use acr_verifier::server::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::bench::{PATIENCE, Server, ask, limits, post};
use super::states;

/// The default timeout of a kubelet probe; an idle machine needs a hundredth of it.
const KUBELET: Duration = Duration::from_secs(1);
const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n";

/// Measures how long the server keeps an idle connection.
async fn time_to_close(stream: &mut TcpStream) -> Duration {
    let started = Instant::now();
    let mut bytes = Vec::new();
    // A reset closes the connection, too.
    let _end = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server closes");
    started.elapsed()
}

#[tokio::test]
async fn idle_connections_are_closed_before_and_after_a_request() {
    let server = Server::healthy();
    let mut silent = TcpStream::connect(server.address).await.expect("a connection");
    assert!(time_to_close(&mut silent).await < Duration::from_secs(3));
    let mut kept = TcpStream::connect(server.address).await.expect("a connection");
    kept.write_all(b"GET /livez HTTP/1.1\r\nHost: agent\r\n\r\n").await.expect("sent");
    let closed = time_to_close(&mut kept).await;
    assert!(closed > Duration::from_millis(300) && closed < Duration::from_secs(3), "{closed:?}");
}

#[tokio::test]
async fn a_slow_request_head_times_out() {
    let server = Server::healthy();
    let mut stream = TcpStream::connect(server.address).await.expect("a connection");
    let started = Instant::now();
    for byte in format!("GET / HTTP/1.1\r\nX-Slow: {}", "x".repeat(1_000)).bytes() {
        if stream.write_all(&[byte]).await.is_err() || started.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn oversized_requests_are_rejected() {
    let server = Server::healthy();
    let long = "x".repeat(64 * 1024);
    let head = format!("GET / HTTP/1.1\r\nHost: agent\r\nX-Long: {long}\r\n\r\n");
    assert_eq!(server.ask(&head).await.status, 431);
    let many: String = (0..200).map(|index| format!("X-{index}: 1\r\n")).collect();
    assert_eq!(server.ask(&format!("GET / HTTP/1.1\r\nHost: agent\r\n{many}\r\n")).await.status, 431);
    let path = format!("GET /{long} HTTP/1.1\r\nHost: agent\r\n\r\n");
    assert!([414, 431].contains(&server.ask(&path).await.status));
    let body = format!("POST /check HTTP/1.1\r\nHost: agent\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    assert_eq!(server.ask(&body).await.status, 413);
    let chunked =
        format!("POST /check HTTP/1.1\r\nHost: agent\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n{long}");
    assert_eq!(server.ask(&chunked).await.status, 413);
    let missing = "POST /check HTTP/1.1\r\nHost: agent\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(server.ask(missing).await.status, 408);
    // No heartbeat is sent here, and a busy machine is slow with the requests above.
    server.heartbeat.send_replace(Instant::now());
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let big = vec![b'#'; 16 * 1024 * 1024];
    let server = Server::with_metrics(states::healthy(), limits(), big);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let mut stream = socket.connect(server.address).await.expect("a connection");
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: agent\r\n\r\n").await.expect("sent");
    // Slow progress does not extend the timeout.
    let started = Instant::now();
    let mut bytes = [0; 64];
    let mut read = 0;
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        read += count;
        if started.elapsed() > Duration::from_secs(3) {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    // Only the contents of the socket buffers still arrive.
    let mut rest = Vec::new();
    let _end = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the server closed");
    assert!(read + rest.len() < 16 * 1024 * 1024, "everything arrived: {}", read + rest.len());
}

#[tokio::test]
async fn a_thousand_idle_connections_delay_neither_the_kubelet_nor_the_main_loop() {
    let patient = Limits { head: Duration::from_secs(60), heartbeat: Duration::from_secs(60), ..limits() };
    let server = Server::start(states::healthy(), patient);
    let address = server.address;
    // On the same thread as the server, like the agent's main loop.
    let beat = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(10));
        let mut worst = Duration::ZERO;
        let mut last = ticks.tick().await;
        loop {
            ticks.tick().await;
            let now = Instant::now();
            worst = worst.max(now - last);
            last = now;
            server.heartbeat.send_replace(now);
            if server.status.is_closed() {
                return worst;
            }
        }
    });
    let mut idle = Vec::new();
    let mut slowest = Duration::ZERO;
    for index in 0..1_000 {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
        idle.push(stream);
        if index % 100 == 99 {
            let started = Instant::now();
            assert_eq!(ask(address, LIVEZ).await.status, 200, "after {index}");
            slowest = slowest.max(started.elapsed());
        }
    }
    assert!(slowest < KUBELET, "livez took {slowest:?}");
    drop(server.stop);
    timeout(PATIENCE, server.served).await.expect("it ends").expect("no panic");
    let worst = beat.await.expect("no panic");
    assert!(worst < KUBELET, "the main loop was delayed by {worst:?}");
    // The oldest were evicted, and the limit was never exceeded.
    let mut byte = [0];
    assert!(matches!(timeout(PATIENCE, idle[0].read(&mut byte)).await, Ok(Ok(0) | Err(_))));
}

/// A probe whose request is slow, since the machine is busy, is older than a crowd that connects in the meantime.
#[tokio::test]
async fn a_crowd_evicts_only_its_own_connections() {
    let few = Limits { connections: 16, head: Duration::from_secs(60), ..limits() };
    let server = Server::start(states::healthy(), few);
    let mut probe = TcpStream::connect(server.address).await.expect("a connection");
    let mut crowd = Vec::new();
    for number in 0..64 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 9, 1 + number % 8], 0).into()).expect("a separate address");
        crowd.push(socket.connect(server.address).await.expect("a connection"));
    }
    // By now, more clients have connected than the limit allows.
    let mut byte = [0];
    let last = crowd.len() - 17;
    assert!(matches!(timeout(PATIENCE, crowd[last].read(&mut byte)).await, Ok(Ok(0) | Err(_))));
    probe.write_all(LIVEZ.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    timeout(PATIENCE, probe.read_to_end(&mut answer)).await.expect("in time").expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

/// Pipelined requests of any kind leave the main loop enough time.
#[tokio::test]
async fn pipelined_requests_do_not_starve_the_main_loop() {
    let patient = Limits { heartbeat: Duration::from_secs(60), ..limits() };
    let server = Server::with_work(states::healthy(), patient, Duration::from_millis(2));
    let address = server.address;
    let (go, gone) = oneshot::channel::<()>();
    // On a separate thread; the server and the simulated main loop share this one.
    let crowd = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut crowd = JoinSet::new();
            for path in ["/metrics", "/", "/livez"].repeat(40) {
                crowd.spawn(ask_without_waiting(address, path));
            }
            gone.await.expect_err("the test ends");
        });
    });
    let started = Instant::now();
    let mut turns = 0;
    while started.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(1)).await;
        turns += 1;
    }
    assert_eq!(ask(address, LIVEZ).await.status, 200);
    // A check takes about sixty.
    assert!(turns > 60, "{turns} turns in {:?}", started.elapsed());
    drop(go);
    crowd.join().expect("no panic");
}

async fn ask_without_waiting(address: SocketAddr, path: &'static str) {
    let (mut read, mut write) = TcpStream::connect(address).await.expect("a connection").into_split();
    let requests = format!("GET {path} HTTP/1.1\r\nHost: agent\r\n\r\n").repeat(50);
    let asking = async { while write.write_all(requests.as_bytes()).await.is_ok() {} };
    let mut sink = tokio::io::sink();
    tokio::select! { () = asking => {}, _ = tokio::io::copy(&mut read, &mut sink) => {} }
}

#[tokio::test]
async fn idle_connections_do_not_evict_callers_that_wait_for_a_check() {
    let mut server = Server::start(states::healthy(), Limits { connections: 3, ..limits() });
    let address = server.address;
    let waiting = tokio::spawn(async move { ask(address, &post("")).await });
    let request = server.checks.recv().await.expect("a request");
    let mut idle = Vec::new();
    for _ in 0..10 {
        idle.push(TcpStream::connect(address).await.expect("a connection"));
    }
    assert_eq!(ask(address, LIVEZ).await.status, 200);
    let run = crate::report::samples::run(vec![crate::report::samples::healthy()]);
    request.reply.send(acr_verifier::server::CheckAnswer::Report(run.into())).expect("it still waits");
    assert_eq!(waiting.await.expect("no panic").status, 200);
}

#[tokio::test]
async fn shutdown_completes_in_time_with_open_connections() {
    let server = Server::start(states::healthy(), Limits { head: Duration::from_secs(60), ..limits() });
    let mut idle = TcpStream::connect(server.address).await.expect("a connection");
    idle.write_all(b"GET / HTTP/1.1\r\nHost: ").await.expect("sent");
    let address = server.address;
    let mut checks = server.checks;
    let waiting = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream.write_all(post("").as_bytes()).await.expect("sent");
        time_to_close(&mut stream).await
    });
    let _unanswered = checks.recv().await.expect("a request");
    let started = Instant::now();
    drop(server.stop);
    timeout(PATIENCE, server.served).await.expect("it ends").expect("no panic");
    assert!(started.elapsed() < Duration::from_millis(1_500), "{:?}", started.elapsed());
    assert!(TcpStream::connect(address).await.is_err(), "the server no longer listens");
    waiting.await.expect("no panic");
}

//! Addresses and ports: reserved for the lifetime of a lab, opened and closed while it runs.
//!
//! Owns the binding of sockets. Labs run concurrently in one process, so a port stays reserved while its listener is closed: by
//! a bound socket that never listens. Clients see a closed port (RST), and Linux lets a second socket with `SO_REUSEADDR` bind
//! and listen on the same port.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::settings::{Nameserver, Place};

/// Attempts to find a port that is free at all addresses.
const MOST_TRIES: usize = 100;
/// On loopback connections are immediate; longer means that the kernel dropped the SYN.
const LOOPBACK_CONNECT: Duration = Duration::from_millis(200);

/// A reserved address and port.
pub struct Reserved {
    pub address: SocketAddr,
    /// Already open for a nameserver, which takes it over.
    pub udp: Option<UdpSocket>,
    /// Never listens and is never used: it only reserves the port.
    _tcp: TcpSocket,
}

/// The endpoints at one common port: login, data, the replicas' data endpoints, the storage, then the decoys.
pub fn reserve_endpoints(place: &Place) -> io::Result<Vec<Reserved>> {
    let addresses: Vec<IpAddr> = [place.login_address, place.data_address]
        .into_iter()
        .chain(place.replicas.iter().map(|(_, address)| *address))
        .chain(place.storage_address)
        .chain(place.decoy_addresses.iter().copied())
        .collect();
    if let Some(port) = place.port {
        return addresses.iter().map(|address| reserve(SocketAddr::new(*address, port))).collect();
    }
    try_often(|| {
        let first = reserve(SocketAddr::new(place.login_address, 0))?;
        let port = first.address.port();
        let others = addresses[1..].iter().map(|address| reserve(SocketAddr::new(*address, port)));
        std::iter::once(Ok(first)).chain(others).collect()
    })
}

/// Reserves a nameserver's address, with UDP and TCP on one port.
pub fn reserve_nameserver(settings: &Nameserver) -> io::Result<Reserved> {
    let wanted = settings.address.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
    try_often(|| {
        let mut reserved = reserve(wanted)?;
        let udp = std::net::UdpSocket::bind(reserved.address)
            .map_err(|error| io::Error::new(error.kind(), format!("cannot have {wanted}: {error}")))?;
        udp.set_nonblocking(true)?;
        reserved.udp = Some(UdpSocket::from_std(udp)?);
        Ok(reserved)
    })
}

/// A listener at a reserved address.
pub async fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    patiently(|| async {
        let socket = new_socket(address)?;
        socket.bind(address)?;
        socket.listen(backlog)
    })
    .await
}

/// A listener whose accept queue is full. With a backlog of 0 the queue holds one connection, which is never accepted. Linux
/// then silently drops every further SYN (`tcp_abort_on_overflow` is off), so a connect times out as behind a dropping
/// firewall. Opens connections until one is not accepted.
pub async fn listen_with_full_queue(address: SocketAddr) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let listener = listen(address, 0).await?;
    let mut fillers = Vec::new();
    for _ in 0..MOST_TRIES {
        match timeout(LOOPBACK_CONNECT, TcpStream::connect(address)).await {
            Ok(filler) => fillers.push(filler?),
            Err(_) => return Ok((listener, fillers)),
        }
    }
    Err(io::Error::other("the accept queue took every connection"))
}

/// Retries briefly: a socket that was dropped in another task may still be closing.
pub async fn patiently<T, F: Future<Output = io::Result<T>>>(open: impl Fn() -> F) -> io::Result<T> {
    for _ in 0..MOST_TRIES {
        match open().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => sleep(Duration::from_millis(10)).await,
            result => return result,
        }
    }
    open().await
}

/// Reserves an address of a service of its own; port 0 selects a free one.
pub fn reserve_service(address: SocketAddr) -> io::Result<Reserved> {
    try_often(|| reserve(address))
}

fn reserve(address: SocketAddr) -> io::Result<Reserved> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot have {address}: {error}"));
    let socket = new_socket(address).map_err(named)?;
    socket.bind(address).map_err(named)?;
    Ok(Reserved { address: socket.local_addr()?, udp: None, _tcp: socket })
}

fn new_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    Ok(socket)
}

fn try_often<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..MOST_TRIES {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            result => return result,
        }
    }
    attempt()
}

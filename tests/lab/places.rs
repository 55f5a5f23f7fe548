//! Addresses and ports: reserved for the life of a lab, opened and closed while it runs.
//!
//! Owns the binding of sockets. Leaves alone what is served there. Labs run side by side in one process, so a port
//! stays taken while its listener is closed: a bound socket that never listens holds it. To others it is a closed
//! port (RST), and Linux lets a second socket with `SO_REUSEADDR` bind and listen beside it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};

use super::settings::{Nameserver, Place};

/// Ports that were free at one address and taken at another before the search is given up.
const MOST_TRIES: usize = 100;
/// On loopback a connection stands at once; longer means that the kernel dropped the SYN.
const LOOPBACK_CONNECT: Duration = Duration::from_millis(200);

/// An address with its port, held.
pub struct Reserved {
    pub address: SocketAddr,
    /// Open already for a nameserver; taken over by it.
    pub udp: Option<UdpSocket>,
    /// Never listens, never used: it holds the port.
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

/// A nameserver's address, with UDP and TCP at one port.
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

/// A listener whose accept queue is full. With a backlog of 0 the queue holds one connection; nobody accepts it, and
/// from then on Linux drops every further SYN without a word (`tcp_abort_on_overflow` is off), so that a connect
/// times out as it does behind a firewall that drops. Connections are made until one is not taken.
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

/// Tries again for a moment: a socket that was dropped in another task may still be closing.
pub async fn patiently<T, F: Future<Output = io::Result<T>>>(open: impl Fn() -> F) -> io::Result<T> {
    for _ in 0..MOST_TRIES {
        match open().await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => sleep(Duration::from_millis(10)).await,
            result => return result,
        }
    }
    open().await
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

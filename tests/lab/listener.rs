//! The listeners of the endpoints: accepting connections, and everything before the first request.
//!
//! Owns the transport settings and the TLS handshake. `http.rs` serves HTTP, `places.rs` reserves ports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::certificates::Names;
use super::http;
use super::log::{Connection, Listener};
use super::places::{self, Reserved};
use super::settings::{Endpoint, Settings, Transport};
use super::shared::Shared;
use super::wire::Wire;

/// More concurrent connections than any test has; further ones are dropped.
const MOST_CONNECTIONS: usize = 256;
/// No test waits longer for one connection.
const LONGEST_LIFE: Duration = Duration::from_secs(180);
/// A RST before the client notices the connection appears as a failed connect; this delay prevents it.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// The state of the port.
enum Door {
    Closed,
    /// A listener that never accepts, and the connections that fill its queue.
    Full {
        _listener: TcpListener,
        _fillers: Vec<TcpStream>,
    },
    Open(TcpListener),
}

/// The settings that determine the state of the port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Closed,
    Full,
    Open,
}

/// Serves until the lab stops; established connections survive a change of the port's state.
pub async fn serve(shared: Arc<Shared>, listener: Listener, place: Reserved, seat: usize) {
    let mut changes = shared.changes();
    let mut connections = JoinSet::new();
    loop {
        let current = Arc::clone(&changes.borrow_and_update());
        let wanted = wanted(endpoint(&current.settings, listener).transport);
        let door = match open(place.address, wanted).await {
            Ok(door) => door,
            Err(error) => panic!("{listener:?} cannot listen at {}: {error}", place.address),
        };
        shared.acknowledge(seat, current.number);
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let current = Arc::clone(&changes.borrow_and_update());
                    if self::wanted(endpoint(&current.settings, listener).transport) != wanted {
                        changes.mark_changed();
                        break;
                    }
                    shared.acknowledge(seat, current.number);
                }
                Ok(stream) = accept(&door) => {
                    while connections.try_join_next().is_some() {}
                    if connections.len() < MOST_CONNECTIONS {
                        let number = shared
                            .log
                            .connections
                            .push(Connection { listener, server_name: None, tls_version: None });
                        let served = receive(Arc::clone(&shared), listener, number, stream);
                        connections.spawn(timeout(LONGEST_LIFE, served));
                    }
                }
            }
        }
    }
}

/// Sends a record repeatedly, as fast as it is read.
async fn flood(mut stream: TcpStream, record: &[u8]) -> io::Result<()> {
    stream.read_u8().await?;
    let records = record.repeat(1_000);
    loop {
        stream.write_all(&records).await?;
    }
}

/// The settings of a listener's endpoint; decoys look like the login endpoint.
pub fn endpoint(settings: &Settings, listener: Listener) -> &Endpoint {
    match listener {
        Listener::Login | Listener::Decoy(_) => &settings.login,
        Listener::Data => &settings.data,
        Listener::Imds => &settings.identity.imds.endpoint,
        Listener::Entra => &settings.identity.entra.endpoint,
    }
}

fn wanted(transport: Transport) -> Wanted {
    match transport {
        Transport::Closed => Wanted::Closed,
        Transport::AcceptQueueFull => Wanted::Full,
        Transport::Serve
        | Transport::ResetOnAccept
        | Transport::CloseOnAccept
        | Transport::SilentAfterAccept
        | Transport::ResetInHandshake
        | Transport::PlainHttp
        | Transport::DrippingHandshake
        | Transport::EndlessAlerts
        | Transport::EndlessRecords => Wanted::Open,
    }
}

async fn open(address: SocketAddr, wanted: Wanted) -> io::Result<Door> {
    match wanted {
        Wanted::Closed => Ok(Door::Closed),
        Wanted::Full => {
            let (listener, fillers) = places::listen_with_full_queue(address).await?;
            Ok(Door::Full { _listener: listener, _fillers: fillers })
        }
        Wanted::Open => Ok(Door::Open(places::listen(address, 1_024).await?)),
    }
}

async fn accept(door: &Door) -> io::Result<TcpStream> {
    match door {
        Door::Closed | Door::Full { .. } => std::future::pending().await,
        Door::Open(listener) => listener.accept().await.map(|(stream, _)| stream),
    }
}

/// Serves one connection. Errors are ignored: most are intended, and the client notices them.
async fn receive(
    shared: Arc<Shared>,
    listener: Listener,
    number: usize,
    mut stream: TcpStream,
) -> io::Result<()> {
    let current = shared.settings();
    let endpoint = endpoint(&current.settings, listener);
    stream.set_nodelay(true)?;
    match endpoint.transport {
        Transport::Serve => {}
        // The port was closed while this connection arrived.
        Transport::Closed | Transport::AcceptQueueFull => return stream.set_zero_linger(),
        Transport::ResetOnAccept => {
            sleep(BEFORE_RESET).await;
            return stream.set_zero_linger();
        }
        Transport::CloseOnAccept => {
            stream.shutdown().await?;
            return http::drain(&mut stream).await;
        }
        Transport::SilentAfterAccept => return http::drain(&mut stream).await,
        Transport::ResetInHandshake => {
            stream.read_u8().await?;
            return stream.set_zero_linger();
        }
        Transport::PlainHttp => {
            stream.read_u8().await?;
            let page = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: 46\r\n\
                        Connection: close\r\n\r\n<html><body>This port is not TLS</body></html>";
            stream.write_all(page.as_bytes()).await?;
            stream.shutdown().await?;
            return http::drain(&mut stream).await;
        }
        Transport::DrippingHandshake => {
            stream.read_u8().await?;
            // A record of 16 KiB with a server hello of the same size.
            stream.write_all(&[22, 3, 3, 0x40, 0, 2, 0, 0x3f, 0xfc, 3, 3]).await?;
            loop {
                sleep(Duration::from_secs(1)).await;
                stream.write_u8(0).await?;
            }
        }
        Transport::EndlessAlerts => return flood(stream, &[21, 3, 3, 0, 2, 1, 90]).await,
        Transport::EndlessRecords => return flood(stream, &[22, 3, 3, 0, 0]).await,
    }
    let (certificates, names) = match listener {
        Listener::Imds => return http::serve(shared, listener, number, Wire::Plain(stream)).await,
        Listener::Login | Listener::Decoy(_) => (&shared.certificates, Names::Login),
        Listener::Data => (&shared.certificates, Names::Data),
        Listener::Entra => (shared.identity.certificates(), Names::Login),
    };
    let config = certificates.server(names, endpoint.certificate, endpoint.tls);
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let session = stream.get_ref().1;
    let server_name = session.server_name().map(str::to_owned);
    let tls_version = session.protocol_version().map(|version| format!("{version:?}"));
    shared.log.connections.update(number, |entry| {
        entry.server_name = server_name;
        entry.tls_version = tls_version;
    });
    http::serve(shared, listener, number, Wire::Tls(Box::new(stream))).await
}

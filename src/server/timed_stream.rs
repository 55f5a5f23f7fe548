//! A socket with a write timeout that is closed so that the peer still receives the response.
//!
//! Libraries such as `tokio-io-timeout` limit the time of each write. A client that reads a byte a second would never exceed
//! that, so the limit here is on the complete response.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// Bytes to drain from a request that was rejected before its end. Closing a socket with unread bytes resets the
/// connection, and the peer loses the response.
const LINGER_BYTES: usize = 256 * 1024;
/// Time to spend draining.
const LINGER: Duration = Duration::from_millis(500);

/// A socket with a timeout for sending a complete response.
pub(super) struct TimedStream {
    socket: TcpStream,
    limit: Duration,
    /// Runs from the moment the peer falls behind until it has received everything: a client that reads a byte a second
    /// makes progress, too.
    behind: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    pub(super) fn new(socket: TcpStream, limit: Duration) -> Self {
        Self { socket, limit, behind: None }
    }

    /// Shuts down the write side, then drains incoming bytes briefly.
    pub(super) async fn close(&mut self) {
        if self.behind.is_some() || self.socket.shutdown().await.is_err() {
            return;
        }
        let socket = &mut self.socket;
        let drain = async {
            let mut bytes = [0; 4096];
            let mut left = LINGER_BYTES;
            while let Ok(count @ 1..) = socket.read(&mut bytes).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        };
        let _over_either_way = timeout(LINGER, drain).await;
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(behind) = &mut this.behind
            && behind.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(&mut this.socket).poll_write(cx, bytes);
        if written.is_pending() && this.behind.is_none() {
            let behind = this.behind.insert(Box::pin(sleep(this.limit)));
            // Polled once, so it wakes this task.
            if behind.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }

    /// Called once everything has been written.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.socket).poll_flush(cx))?;
        this.behind = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

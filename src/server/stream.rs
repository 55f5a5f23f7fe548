//! A socket whose peer has to take what is sent, in time, and that is closed so that it can.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, timeout};

/// What is read and thrown away of a request that was refused before its end, so that the peer gets to the answer: a
/// socket closed over unread bytes resets the connection, and takes the answer with it.
const LINGER_BYTES: usize = 256 * 1024;
/// How long.
const LINGER: Duration = Duration::from_millis(500);

/// A socket with a limit on the time that a whole answer takes to be sent.
pub(super) struct Guarded {
    socket: TcpStream,
    limit: Duration,
    /// Runs from the moment at which the peer does not keep up until it has everything: a reader of a byte a second
    /// makes progress too.
    behind: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    pub(super) fn new(socket: TcpStream, limit: Duration) -> Self {
        Self { socket, limit, behind: None }
    }

    /// Says goodbye: no more is sent, and what still comes is thrown away for a moment.
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

impl AsyncRead for Guarded {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
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
            // Asked once, so that it wakes this task.
            if behind.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        written
    }

    /// Called once everything was written.
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

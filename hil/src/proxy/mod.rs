//! A proxy of the rig's own between the program under test and the DCS's server, in user space: it works everywhere.
//!
//! What a fault of the link does to a TCP stream, where nothing can be lost or come out of order:
//!
//! | fault | does |
//! |---|---|
//! | drop, half-open | both directions stand still; what was sent comes when the fault goes, as TCP would send it again |
//! | one way | one direction stands still |
//! | loss | a direction stands still for a scan, a fifth of the scans, as while a lost segment is sent again |
//! | delay | each chunk waits before it is passed on |
//! | reorder, duplicate | a chunk waits a little, for TCP puts segments in order and drops what it has: no more is seen of them |
//! | flap, reset storm, session loss | connections are reset, and new ones refused while it is down |
//! | narrow band | a chunk passes now and then |
//!
//! # Invariant
//! Bytes are passed on as they came or not at all: the proxy knows nothing of what they mean.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::faults::network::Passing;

/// Bytes that are passed on at a time.
const CHUNK: usize = 16 * 1024;
/// What a chunk waits that came out of order or twice.
const JITTER: Duration = Duration::from_millis(50);

/// A running proxy. Dropping it ends it, with every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    passing: watch::Sender<Passing>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens there and passes on to `target`; port 0 takes a free one.
    ///
    /// # Errors
    /// The system's, when it cannot be listened there.
    pub async fn start(at: SocketAddr, target: watch::Receiver<SocketAddr>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(at).await?;
        let address = listener.local_addr()?;
        let (passing, watched) = watch::channel(Passing::default());
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if watched.borrow().down {
                    reset(&client);
                    continue;
                }
                tokio::spawn(carry(client, *target.borrow(), watched.clone()));
            }
        });
        Ok(Self { address, passing, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What passes from now on; times are those of the wall.
    pub fn set(&self, passing: Passing) {
        self.passing.send_if_modified(|now| {
            let changed = *now != passing;
            *now = passing;
            changed
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Connections end when nobody says any more what passes.
        self.passing.send_replace(Passing { down: true, ..Passing::default() });
    }
}

/// Ends a connection by a reset: no orderly end.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

/// One connection, until either side ends it or the link goes down.
async fn carry(client: TcpStream, target: SocketAddr, watched: watch::Receiver<Passing>) {
    let Ok(server) = TcpStream::connect(target).await else { return reset(&client) };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    // A dropped half of a stream with this set is a reset.
    reset(&client);
    reset(&server);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let mut down = watched.clone();
    tokio::select! {
        () = pump(from_client, to_server, watched.clone(), |p| p.mute) => {}
        () = pump(from_server, to_client, watched, |p| p.deaf) => {}
        _ = down.wait_for(|passing| passing.down) => {}
    }
}

/// Passes on one direction, which stands still while `stalled`.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut watched: watch::Receiver<Passing>,
    stalled: fn(&Passing) -> bool,
) {
    let mut chunk = vec![0; CHUNK];
    loop {
        let Ok(read @ 1..) = from.read(&mut chunk).await else { return };
        let Ok(passing) = watched.wait_for(|passing| !stalled(passing)).await.map(|passing| *passing) else { return };
        let wait = if passing.again.is_some() { passing.late + JITTER } else { passing.late };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        if to.write_all(chunk.get(..read).unwrap_or_default()).await.is_err() {
            return;
        }
    }
}

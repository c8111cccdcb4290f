//! Starts threads that must not inherit what the control thread has.
//!
//! A new thread takes scheduling class, priority and CPU mask from the thread that starts it. The control thread may be
//! SCHED_FIFO on a CPU of its own; a solver that is replaced must not be. So threads are started by a small ordinary
//! thread, made before the control thread is promoted: the control thread only puts an order into a bounded channel.
//! Thus it also pays neither for mapping the new stack nor, under `mlockall`, for faulting it in.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};

/// Orders that may wait. A loop has a few threads, and none is started per cycle.
const WAITING: usize = 16;

struct Order {
    name: &'static str,
    body: Box<dyn FnOnce() + Send>,
}

/// The way to the spawning thread, which ends with the last clone.
#[derive(Clone)]
pub struct Spawner(SyncSender<Order>);

impl std::fmt::Debug for Spawner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spawner")
    }
}

impl Spawner {
    /// Starts the spawning thread, with the class and the CPUs of the caller: call it before [`super::rt::promote`].
    ///
    /// # Errors
    /// The operating system's, when it gives no thread.
    pub fn start() -> std::io::Result<Self> {
        let (orders, inbox) = sync_channel::<Order>(WAITING);
        std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
            for Order { name, body } in inbox {
                if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(body) {
                    tracing::error!(%error, name, "no thread");
                }
            }
        })?;
        Ok(Self(orders))
    }

    /// Orders a thread that runs `body`. Returns at once; a refusal by the operating system goes to the log.
    ///
    /// # Errors
    /// When too many orders wait; `body` is then dropped.
    pub fn spawn(&self, name: &'static str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.0.try_send(Order { name, body: Box::new(body) }).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                std::io::Error::new(std::io::ErrorKind::WouldBlock, "too many threads are ordered")
            }
            TrySendError::Disconnected(_) => std::io::Error::other("the spawning thread has ended"),
        })
    }
}

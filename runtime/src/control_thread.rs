//! The thread on which every stage of a loop runs: a single-threaded tokio runtime of its own.
//!
//! The rule of the two runtimes: this one does no I/O but the pacer's timer, and what is spawned here is the loop. The
//! service runtime has everything that waits for the world. Between them pass the slots of the [`actors::Board`], nudges
//! (`Notify`), the bounded log of events, and the oneshots below, each used once. It is enforced where things enter: the
//! control runtime is made here and its handle leaves this file for nobody, and an adapter is given the board's ports and
//! no actor.

use std::convert::Infallible;
use std::time::Duration;

use actors::kernel::rt::{self, Granted, RealTime};
use actors::{Ending, Loop, LoopConfig, LoopContext};
use anyhow::{Context, bail};
use tokio::sync::oneshot;

use crate::events::EventLog;

/// How long the thread may take to end. A stage that hangs never does; the thread is then left behind.
const END: Duration = Duration::from_secs(2);

pub(crate) struct ControlThread {
    thread: std::thread::JoinHandle<()>,
    /// Dropping it ends the loop.
    stop: oneshot::Sender<()>,
    /// Resolves when the loop ended by itself, with the reason.
    pub(crate) failed: oneshot::Receiver<String>,
    /// Dropped when the thread is done.
    done: oneshot::Receiver<Infallible>,
}

impl ControlThread {
    /// Starts the loop, and once every stage stands, makes the thread a real-time thread if that is wanted. Gives the
    /// thread, and what the operating system granted.
    pub(crate) async fn start(
        config: LoopConfig,
        ending: Ending,
        context: LoopContext,
        log: EventLog,
        real_time: Option<RealTime>,
    ) -> anyhow::Result<(Self, Option<Granted>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.context("cannot make the control runtime")?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (fail, failed) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let (_done, done) = oneshot::channel();
        let body = move || {
            let _done = _done;
            let ended = runtime.block_on(async {
                let (mut running, events) = Loop::start(config, ending, context).await.map_err(|e| e.to_string())?;
                log.drain(events)?;
                let granted = real_time.map(|wanted| rt::promote(&wanted)).transpose().map_err(|e| e.to_string())?;
                let _ = ready.send(granted);
                let ended = tokio::select! {
                    driven = running.drive() => driven.map(|never| match never {}).map_err(|e| e.to_string()),
                    _ = stopped => Ok(()),
                };
                running.stop().await;
                ended
            });
            if let Err(why) = ended {
                // Nobody listens any more when the run is being stopped.
                let _ = fail.send(why);
            }
        };
        let thread = std::thread::Builder::new().name("outrigger-control".to_owned()).spawn(body);
        let thread = thread.context("no thread for the control loop")?;
        match started.await {
            Ok(granted) => Ok((Self { thread, stop, failed, done }, granted)),
            Err(_) => bail!("the control loop cannot start: {}", failed.await.unwrap_or_default()),
        }
    }

    /// Ends the loop and waits for its thread, but not for one that hangs.
    pub(crate) async fn end(self) {
        drop(self.stop);
        if tokio::time::timeout(END, self.done).await.is_err() {
            tracing::error!("the control thread hangs and is left behind");
        } else if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

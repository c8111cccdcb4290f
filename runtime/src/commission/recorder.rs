//! Gathers evidence while a loop runs: a thread that looks at the board, and saves what it has counted.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use actors::Board;
use actors::kernel::Clock;
use anyhow::Context;
use safety::State;

use super::evidence::Tally;
use crate::config::Mode;

/// The shortest time between two savings, in nanoseconds of the wall.
const SAVE_EVERY_NS: i64 = 10_000_000_000;

/// The thread; it saves once more when it is told to finish.
#[derive(Debug)]
pub(crate) struct Recorder {
    stop: SyncSender<Infallible>,
    thread: JoinHandle<()>,
}

impl Recorder {
    /// Looks at the board four times a period from now on.
    pub(crate) fn start(
        board: &Board,
        clock: Clock,
        period: Duration,
        record: (Tally, PathBuf),
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let look_every = clock.wall_span(period / 4);
        let (board, (tally, file)) = (board.clone(), record);
        let body = move || watch(&board, clock, &stopped, (look_every, tally, file));
        let thread = std::thread::Builder::new().name("outrigger-evidence".to_owned()).spawn(body);
        let thread = thread.context("no thread for the evidence")?;
        Ok(Self { stop, thread })
    }

    /// Saves and ends.
    pub(crate) fn finish(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the recorder of evidence panicked: what it had not saved is lost");
        }
    }
}

fn watch(
    board: &Board,
    clock: Clock,
    stopped: &Receiver<Infallible>,
    (look_every, mut tally, file): (Duration, Tally, PathBuf),
) {
    let (mut saved_ns, mut unsaved) = (clock.wall_ns(), false);
    loop {
        let ends = stopped.recv_timeout(look_every) == Err(RecvTimeoutError::Disconnected);
        if let Some(error) = board.model_error.read() {
            unsaved |= tally.observe(&error, mode_of(board));
        }
        if unsaved && (ends || clock.wall_ns() - saved_ns >= SAVE_EVERY_NS) {
            saved_ns = clock.wall_ns();
            match tally.evidence().save(&file) {
                Ok(()) => unsaved = false,
                Err(error) => tracing::error!(%error, "evidence cannot be saved"),
            }
        }
        if ends {
            return;
        }
    }
}

/// What the loop does, whatever it is wired for.
fn mode_of(board: &Board) -> Mode {
    match board.status.read().map(|status| status.state) {
        Some(State::Advisory) => Mode::Advisory,
        Some(state) if state.is_engaged() => Mode::ClosedLoop,
        _ => Mode::Shadow,
    }
}

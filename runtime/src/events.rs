//! The interlock's events: a thread of its own that tells them to the log and keeps the states for the report.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::EventQueue;
use safety::{Event, State};

/// The interlock's events: told to the log, and the states kept for the report.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLog(Arc<Mutex<Vec<State>>>);

/// How long an event waits for the log at most. The queue holds a thousand.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// States that the report keeps at most.
const STATES_KEPT: usize = 10_000;

impl EventLog {
    /// Looks for events from time to time, on a thread of its own, until nobody can send any more.
    pub(crate) fn drain(&self, events: EventQueue) -> Result<(), String> {
        let log = self.clone();
        let body = move || {
            let mut lost = 0;
            loop {
                // Asked before the last look: who is alone then misses nothing.
                let is_last = events.is_alone();
                while let Some(event) = events.receive() {
                    log.note(event);
                }
                let rejected = events.rejected();
                if rejected > lost {
                    tracing::warn!(events = rejected - lost, "the log was full, and these are lost");
                    lost = rejected;
                }
                if is_last {
                    return;
                }
                std::thread::sleep(LOOK_EVERY);
            }
        };
        let spawned = std::thread::Builder::new().name("outrigger-events".to_owned()).spawn(body);
        spawned.map(drop).map_err(|e| format!("no thread for the event log: {e}"))
    }

    fn note(&self, event: Event) {
        match event {
            Event::Changed { from, to, why } => {
                tracing::info!(?from, ?to, ?why, "interlock");
                let mut states = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                if states.is_empty() {
                    states.push(from);
                }
                if states.len() < STATES_KEPT {
                    states.push(to);
                }
            }
            Event::Asked { from, to } => tracing::info!(?from, ?to, "the operator asks"),
            Event::Refused { asked, refusal } => tracing::warn!(?asked, ?refusal, "the operator's request is refused"),
            Event::Raised { cause, effect } => tracing::warn!(%cause, ?effect, "raised"),
            Event::Cleared { cause } => tracing::info!(%cause, "cleared"),
            Event::BypassBegan { bypass } => tracing::warn!(?bypass, "a check is bypassed"),
            Event::BypassEnded { bypass, why } => tracing::warn!(?bypass, ?why, "a bypass has ended"),
            Event::BypassRefused { bypass, objection } => tracing::error!(?bypass, ?objection, "a bypass is refused"),
            Event::Clamped { mv, asked, given, by } => tracing::info!(mv, asked, given, ?by, "clamped"),
        }
    }

    pub(crate) fn states(&self) -> Vec<State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

//! The rig on the wall clock: it steps the rig, serves it, obeys the operator and reports.
//!
//! Place in the loop: the outermost shell of `outrigger-hil`. Everything that it says is an [`Event`]; how events are
//! printed is the caller's affair.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::clock::WallClock;
use crate::modbus::outside::{Outside, OutsideLoop};
use crate::modbus::{ModbusError, ModbusServer};
use crate::server::{RigServer, ServerError, ServerOptions, SharedRig, certificate_path, lock};
use rig::Rig;
use rig::report::{Snapshot, Summary};
use rig::{Ack, CommandError};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(10);

/// How to run.
#[derive(Clone, Debug)]
pub struct LiveOptions {
    /// Plant seconds per wall second, finite and above zero.
    pub speed: f64,
    /// Wall time after which the run ends by itself.
    pub wall_limit: Option<Duration>,
    /// The server.
    pub server: ServerOptions,
    /// Where Modbus masters are served as well, if at all; port 0 takes a free one.
    pub modbus: Option<SocketAddr>,
    /// The MVs whose slave loops are in PLCs.
    pub outside: Vec<Outside>,
}

/// A rig that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// Over OPC UA.
    #[error(transparent)]
    OpcUa(#[from] ServerError),
    /// Over Modbus.
    #[error(transparent)]
    Modbus(#[from] ModbusError),
    /// A slave loop that the rig does not have.
    #[error("the rig has no MV{0}, so it has no slave loop outside")]
    NoSuchMv(usize),
}

/// What the rig has to say. Serialised, it is one JSON object with the key `event`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The server listens.
    Ready {
        /// Its URL.
        endpoint: String,
        /// The file of its certificate.
        certificate: String,
        /// Where Modbus masters are served.
        #[serde(skip_serializing_if = "Option::is_none")]
        modbus: Option<SocketAddr>,
    },
    /// A control period has ended.
    Cycle {
        /// Wall time since the start, in seconds.
        wall_s: f64,
        /// Whether the OPC UA server is up.
        server_up: bool,
        /// The state.
        #[serde(flatten)]
        snapshot: Box<Snapshot>,
    },
    /// A command was carried out, or not.
    Ack {
        /// The command, as it was written.
        command: String,
        /// Whether it was carried out.
        ok: bool,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The plant outside fell silent, or gives numbers again.
    Plant {
        /// Whether it gives numbers.
        ok: bool,
        /// Why not.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// The run has ended.
    Summary {
        /// Wall time, in seconds.
        wall_s: f64,
        /// Wall time that the machine could not keep up with, in seconds; 0 in a run in order.
        late_s: f64,
        /// The run.
        #[serde(flatten)]
        summary: Box<Summary>,
    },
}

/// A rig on the wall clock.
#[derive(Debug)]
struct Live {
    rig: SharedRig,
    clock: WallClock,
    options: LiveOptions,
    server: Option<RigServer>,
    plant_silent: bool,
    modbus: Option<ModbusServer>,
    /// Held while they exchange.
    _outside: Vec<OutsideLoop>,
}

/// Runs `rig` until a command, the wall limit or `stop` ends it. `tell` is given every event; it ends the run by
/// answering `false` (nobody listens any more).
///
/// # Errors
/// The server cannot be started at the beginning. Later faults of the server are events.
pub async fn run(
    rig: Rig,
    options: LiveOptions,
    mut commands: mpsc::Receiver<String>,
    stop: impl Future<Output = ()>,
    mut tell: impl FnMut(Event) -> bool,
) -> Result<(), LiveError> {
    let mut live = Box::pin(Live::start(rig, options)).await?;
    let mut listened_to = tell(live.ready());
    tokio::pin!(stop);
    let mut next_tick = live.clock.after(TICK);
    let mut commands_open = true;
    while listened_to && !live.is_over() {
        let line = tokio::select! {
            biased;
            () = &mut stop => break,
            line = commands.recv(), if commands_open => {
                commands_open = line.is_some();
                line
            }
            () = tokio::time::sleep_until(next_tick) => {
                next_tick = live.clock.after(TICK);
                None
            }
        };
        let mut events = Vec::new();
        let mut quit = false;
        if let Some(line) = line.filter(|line| !line.trim().is_empty()) {
            let outcome = lock(&live.rig).command(&line);
            quit |= live.acknowledge(line, outcome, &mut events).await;
        }
        quit |= live.advance(&mut events).await;
        listened_to = events.into_iter().all(&mut tell);
        if quit {
            break;
        }
    }
    let summary = live.summary();
    live.stop_server().await;
    tell(summary);
    Ok(())
}

impl Live {
    async fn start(rig: Rig, mut options: LiveOptions) -> Result<Self, LiveError> {
        if let Some(outside) = options.outside.iter().find(|outside| rig.slave(outside.mv).is_none()) {
            return Err(LiveError::NoSuchMv(outside.mv + 1));
        }
        let rig = Arc::new(Mutex::new(rig));
        let clock = WallClock::start(options.speed);
        let server = RigServer::start(&rig, &clock, &options.server)?;
        // A restart comes back to the port that the clients know.
        options.server.listen = server.address();
        let modbus = match options.modbus {
            Some(address) => Some(ModbusServer::start(Arc::clone(&rig), address).await?),
            None => None,
        };
        let every = lock(&rig).config().scan.div_f64(options.speed).max(TICK);
        let start = |outside: &Outside| OutsideLoop::start(Arc::clone(&rig), *outside, every);
        let _outside = options.outside.iter().map(start).collect();
        Ok(Self { rig, clock, options, server: Some(server), plant_silent: false, modbus, _outside })
    }

    fn ready(&self) -> Event {
        let endpoint = self.server.as_ref().map(RigServer::endpoint).unwrap_or_default();
        let certificate = certificate_path(&self.options.server.pki).display().to_string();
        Event::Ready { endpoint, certificate, modbus: self.modbus.as_ref().map(ModbusServer::address) }
    }

    fn is_over(&self) -> bool {
        self.options.wall_limit.is_some_and(|limit| self.clock.elapsed() >= limit)
    }

    /// Steps the rig to the present, period by period, and brings the nodes up to date; whether the run is to end.
    async fn advance(&mut self, events: &mut Vec<Event>) -> bool {
        let mut due = self.clock.due();
        let mut quit = false;
        while !due.is_zero() {
            let (carried, period_ended, silent) = {
                let mut rig = lock(&self.rig);
                let (dt, cycles) = (due.min(rig.to_next_period()), rig.cycles());
                rig.step(dt);
                due -= dt;
                (rig.take_carried(), rig.cycles() > cycles, rig.plant_fault().map(str::to_owned))
            };
            if silent.is_some() != self.plant_silent {
                self.plant_silent = silent.is_some();
                events.push(Event::Plant { ok: silent.is_none(), error: silent });
            }
            for command in carried {
                quit |= self.acknowledge(command.line, command.outcome, events).await;
            }
            if period_ended {
                events.push(self.cycle());
            }
        }
        if let Some(server) = &mut self.server
            && let Err(error) = server.publish(&self.rig, &self.clock)
        {
            tracing::error!(%error, "publishing failed");
        }
        quit
    }

    fn cycle(&self) -> Event {
        let snapshot = Box::new(lock(&self.rig).snapshot());
        Event::Cycle { wall_s: self.clock.elapsed().as_secs_f64(), server_up: self.server.is_some(), snapshot }
    }

    fn summary(&self) -> Event {
        let summary = Box::new(lock(&self.rig).summary());
        let (wall_s, late_s) = (self.clock.elapsed().as_secs_f64(), self.clock.dropped().as_secs_f64());
        Event::Summary { wall_s, late_s, summary }
    }

    /// Does the shell's part of a command and reports it; whether the run is to end.
    async fn acknowledge(
        &mut self,
        command: String,
        outcome: Result<Ack, CommandError>,
        events: &mut Vec<Event>,
    ) -> bool {
        let outcome = match outcome {
            Ok(Ack::ServerStop) => {
                self.stop_server().await;
                Ok(false)
            }
            Ok(Ack::ServerStart) => self.start_server().map(|()| false).map_err(|e| e.to_string()),
            Ok(ack) => Ok(ack == Ack::Quit),
            Err(error) => Err(error.to_string()),
        };
        let (quit, error) = match outcome {
            Ok(quit) => (quit, None),
            Err(error) => (false, Some(error)),
        };
        events.push(Event::Ack { command: command.trim().to_owned(), ok: error.is_none(), error });
        quit
    }

    fn start_server(&mut self) -> Result<(), ServerError> {
        if self.server.is_none() {
            self.server = Some(RigServer::start(&self.rig, &self.clock, &self.options.server)?);
        }
        Ok(())
    }

    async fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }
}

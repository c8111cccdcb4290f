//! One life of the loop: from the start of its process to its end, or to the end of the scenario.

use std::sync::Arc;
use std::time::Duration;

use actors::Board;
use actors::kernel::Unwitnessed;
use actors::tape::Tape;
use control::selector::Selection;
use rig::Rig;
use runtime::simulate::{Cell, Crashes, Fittings, LATE_MAX, LinkFaults, Plumbing, SimulateError};
use safety::{Event, Why};
use signals::Quality;
use signals::dcs::{DcsTag, MvMode, MvTag, WireValue};
use tokio::time::{Instant, advance, sleep_until};

use super::disk::{Broken, Direct, Disk};
use super::saboteur::{Saboteur, Stages};
use super::{Bed, BedError, loop_config};
use crate::faults::network::Passing;
use crate::faults::{ControllerFault, Fault, HostFault};
use crate::record::RaisedSeen;
use crate::scenario::Off;

/// The most causes that a record keeps.
const RAISED_MAX: usize = 2000;

/// A loop, and where it can be broken.
struct Life {
    cell: Cell,
    plumbing: Plumbing,
    crashes: Crashes,
    saboteur: Arc<Saboteur>,
    disk: Option<Disk>,
    born: Duration,
    /// The faults whose beginning was seen, by their place in the scenario.
    begun: Vec<bool>,
}

/// Starts the loop and lets time pass until it is killed, ends by itself, or the scenario is over.
pub(super) async fn live(bed: &mut Bed<'_>) -> Result<(), BedError> {
    let scan = bed.rig.lock().config().scan;
    let mut life = Life::start(bed).await?;
    let (start, from) = (Instant::now(), bed.passed);
    while bed.passed + scan <= bed.scenario.duration && life.cell.ended().is_none() {
        bed.passed += scan;
        sleep_until(start + (bed.passed - from)).await;
        bed.at_the_rig();
        if bed.is_dead() {
            bed.rig.lock().step(scan);
            bed.observer.look(&bed.rig.lock());
            break;
        }
        life.befall(bed);
        stall(bed, scan).await;
        life.plumbing.exchange(scan);
        if bed.is_off(Off::Interlock) {
            write_raw(&life.cell.board, &mut bed.rig.lock());
        }
        bed.observer.look(&bed.rig.lock());
        life.tell(bed);
    }
    life.end(bed);
    // What is left of the scenario when the loop has ended by itself belongs to the rig.
    while bed.observer.record_mut().ended.is_some() && bed.passed + scan <= bed.scenario.duration {
        bed.passed += scan;
        bed.at_the_rig();
        bed.rig.lock().step(scan);
        bed.observer.look(&bed.rig.lock());
    }
    Ok(())
}

/// A control thread that does not get the processor: its time goes on without it.
async fn stall(bed: &Bed<'_>, scan: Duration) {
    let hog = bed.acting().find_map(|timed| match timed.fault {
        Fault::Host(HostFault::CpuHog { stall_s, every_s }) => Some((bed.passed - timed.at, stall_s, every_s)),
        _ => None,
    });
    if let Some((since, stall_s, every_s)) = hog
        && since.as_secs_f64() % every_s < scan.as_secs_f64()
    {
        advance(Duration::from_secs_f64(stall_s)).await;
    }
}

/// The interlock taken away: what was selected goes to the DCS as it is, wherever the DCS listens.
fn write_raw(board: &Board, rig: &mut Rig) {
    let Some(Selection::Move(proposed)) = board.selected.read().map(|selected| selected.selection) else { return };
    let listening: Vec<bool> = rig.view().mvs.iter().map(|mv| mv.mode.value == MvMode::Rcas).collect();
    for ((n, u), _) in (0..).zip(&proposed.u).zip(listening).filter(|(_, listens)| *listens) {
        // A refusal is counted by the DCS, which is what is wanted.
        let _ = rig.write(DcsTag::Mv(n, MvTag::SpReq), WireValue::Double(*u), Quality::Good);
    }
}

impl Life {
    async fn start(bed: &Bed<'_>) -> Result<Self, BedError> {
        let config = loop_config(bed)?;
        let (mode, tags) = (bed.loaded.plant.mode, config.screens.len());
        let board = Board::with_spares(tags, config.interlock.spared());
        let broken = bed.scenario.faults.iter().find_map(|timed| match timed.fault {
            Fault::Host(HostFault::DiskFull) => Some(Broken::Full),
            Fault::Host(HostFault::IoError) => Some(Broken::Gone),
            _ => None,
        });
        let disk = broken.map(|broken| Disk::start(broken, &bed.loaded, &board)).transpose()?;
        let told: Arc<dyn Tape> = match &disk {
            Some(_) if bed.is_off(Off::DiskThread) => Arc::new(Direct::start()?),
            Some(disk) => disk.tape(),
            None => Arc::new(Unwitnessed),
        };
        let crashes = Crashes::telling(told);
        let saboteur = Arc::new(Saboteur::new(board.clone(), Stages::of(tags), crashes.clone()));
        if bed.is_off(Off::Controller) {
            saboteur.idle();
        }
        let fittings = Fittings {
            observer: Box::new(crashes.clone()),
            tape: Arc::clone(&saboteur) as Arc<dyn Tape>,
            latch: bed.latch,
            gap_max: None,
        };
        let end = Box::new(|sink: &runtime::simulate::RigSink| Box::new(sink.clone()) as Box<dyn actors::MoveSink>);
        let started = Cell::of(config, mode, board, bed.rig.clone(), (fittings, end)).await;
        let (cell, plumbing) = started.map_err(SimulateError::from)?;
        let begun = vec![false; bed.scenario.faults.len()];
        Ok(Self { cell, plumbing, crashes, saboteur, disk, born: bed.passed, begun })
    }

    /// Lets what acts now act on link, controller and clock.
    fn befall(&mut self, bed: &mut Bed<'_>) {
        let scan = bed.rig.lock().config().scan;
        let mut passing = Passing::default();
        for timed in bed.scenario.faults.iter().filter(|timed| timed.acts(bed.passed)) {
            let now = match &timed.fault {
                Fault::Link(link) => link.at(bed.passed - timed.at, scan, &mut bed.chance),
                Fault::Host(HostFault::SessionLoss | HostFault::CertificateExpiry | HostFault::DeviceRestart) => {
                    Passing { down: true, deaf: true, mute: true, ..Passing::default() }
                }
                _ => continue,
            };
            passing = passing.and(now);
        }
        let late = (passing.late.as_secs_f64() / scan.as_secs_f64()).round() as usize;
        self.cell.board.inlet.set_link(!passing.down);
        self.plumbing.faults().put(LinkFaults {
            deaf: passing.deaf,
            mute: passing.mute,
            late_scans: late.min(LATE_MAX),
            again: passing.again,
            failing_writes: passing.failing,
            no_last_look: bed.is_off(Off::LastLook),
            ..LinkFaults::default()
        });
        let answer = bed.controller(ControllerFault::is_of_the_answer);
        self.saboteur.set(answer, bed.controller(ControllerFault::is_of_the_proposal));
        let has_jump = |timed: &crate::faults::Timed| matches!(timed.fault, Fault::Host(HostFault::ClockJump { .. }));
        if bed.scenario.faults.iter().any(has_jump) {
            let off = bed.acting().find_map(|timed| match timed.fault {
                Fault::Host(HostFault::ClockJump { by_s }) => Some(by_s),
                _ => None,
            });
            self.saboteur.set_calendar(off.unwrap_or(0.0));
        }
        self.crash(bed);
    }

    /// Stages crash when their fault begins.
    fn crash(&mut self, bed: &Bed<'_>) {
        for (timed, begun) in bed.scenario.faults.iter().zip(&mut self.begun) {
            if *begun || !timed.acts(bed.passed) {
                continue;
            }
            *begun = true;
            let (stage, times) = match &timed.fault {
                Fault::Controller(ControllerFault::Panic { stage, times }) => (stage, *times),
                Fault::Controller(ControllerFault::CorruptCheckpoint { stage }) => (stage, ControllerFault::POISONED),
                _ => continue,
            };
            if let Some(name) = STAGES.iter().find(|name| *name == stage) {
                self.crashes.inject(name, times);
            }
        }
    }

    /// Notes what the loop told of since the last scan.
    fn tell(&self, bed: &mut Bed<'_>) {
        let t_s = bed.passed.as_secs_f64();
        while let Some(event) = self.cell.events.receive() {
            let cause = match event {
                Event::Raised { cause, .. }
                | Event::Changed { why: Why::Cause(cause) | Why::HoldExpired(cause), .. } => cause,
                _ => {
                    note_clamp(&event, t_s, &mut bed.observer.record_mut().raised);
                    continue;
                }
            };
            let raised = &mut bed.observer.record_mut().raised;
            if raised.len() < RAISED_MAX {
                let (row, on) = (cause.row().key().to_owned(), cause.subject().to_string());
                raised.push(RaisedSeen { t_s, row, on, text: cause.to_string() });
            }
        }
    }

    fn end(self, bed: &mut Bed<'_>) {
        let record = bed.observer.record_mut();
        record.unsafe_writes.at_the_sink += self.cell.sink.invalid().total();
        record.late_scans += self.cell.telemetry.overruns();
        record.restarts += self.cell.telemetry.restarts();
        record.ended = self.cell.ended();
        let born_s = self.born.as_secs_f64();
        if born_s > 0.0 {
            record.notes.push(format!("the program was started again at {born_s:.1} s"));
        }
        bed.latch = self.cell.board.latch.read().unwrap_or_default();
        if let Some(disk) = self.disk {
            bed.observer.record_mut().notes.extend(disk.end());
        }
    }
}

/// The stages of a loop, by their names in it.
const STAGES: [&str; 8] = ["sensor", "estimator", "model", "mpc", "selector", "interlock", "recommender", "actuator"];

fn note_clamp(event: &Event, t_s: f64, raised: &mut Vec<RaisedSeen>) {
    let Event::Clamped { mv, asked, given, by } = *event else { return };
    if raised.len() >= RAISED_MAX {
        return;
    }
    let row = if by == safety::Bound::Rate { "command_rate" } else { "command_range" };
    let (on, text) = (format!("MV{}", mv + 1), format!("MV{}: {asked} asked, {given} given ({by:?})", mv + 1));
    raised.push(RaisedSeen { t_s, row: row.to_owned(), on, text });
}

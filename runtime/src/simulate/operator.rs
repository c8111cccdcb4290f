//! The scripted operator: engages the loop, gives it something to do, and engages it again after it let go.
//!
//! Place in the loop: at the rig's keyboard ([`rig::Rig::command`]), once per scan of the DCS. He sees what a person sees
//! there, and does what the hand-shake asks of one: OFF, WARM, ON, engage, with time between; after a shed he takes a while
//! to notice, re-arms the watchdog if it has tripped, and begins again. Nothing is engaged but by him.
//!
//! In ADVISORY he takes each recommendation once he has read it, if it still stands then.
//!
//! While the loop is closed, or recommends, he moves set-points, and the feed moves by itself: Poisson processes, each with its own
//! stream of the run's seed.

use std::time::Duration;

use rig::{Random, Rig, RigConfig};
use serde::Serialize;
use signals::Stamp;
use signals::dcs::{MvMode, RecStatus};

use crate::config::{Mode, PlantFile};

/// Mean plant time between two moves of a set-point, over all CVs.
const SETPOINT_EVERY: Duration = Duration::from_secs(10 * 60);
/// Mean plant time between two steps of a disturbance.
const FEED_EVERY: Duration = Duration::from_secs(15 * 60);
/// Mean plant time until a shed is noticed.
const NOTICES_AFTER: Duration = Duration::from_secs(60);
/// Mean plant time for which a recommendation is read.
const READS_FOR: Duration = Duration::from_secs(60);
/// How far a set-point goes from its start, in the CV's span (the change that its cost calls 1).
const SETPOINT_REACH: f64 = 0.1;
/// How far a disturbance goes from its nominal value, as a part of the model's envelope.
const FEED_REACH: f64 = 0.1;

/// What the operator did, and what he saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Shift {
    /// Times that the loop was closed, the first included.
    pub engagements: u32,
    /// Times that a closed loop was seen open though nobody asked.
    pub sheds: u32,
    /// Set-points moved.
    pub setpoints: u32,
    /// Disturbances stepped.
    pub disturbances: u32,
    /// Recommendations taken.
    pub accepted: u32,
    /// Commands that the DCS refused, such as an engagement too early.
    pub refused: u32,
}

/// One line of the way into closed loop, and how many periods it is given.
type Line = (&'static str, u32);

/// The way, by the mode of the plant file: no further than that reaches.
fn way(mode: Mode) -> &'static [Line] {
    match mode {
        Mode::Shadow => &[("mode off", 2), ("mode warm", 4)],
        Mode::Advisory => &[("mode off", 2), ("mode warm", 4), ("mode advisory", 4)],
        Mode::ClosedLoop => &[("mode off", 2), ("mode warm", 4), ("mode on", 2), ("engage", 4)],
    }
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    /// On the way in: the line that comes next, and when.
    Way { line: usize, at: Stamp },
    /// The loop is as closed as its mode lets it be.
    Watching,
}

/// A set-point that may be moved, and between which values.
#[derive(Clone, Copy, Debug)]
struct Movable {
    number: usize,
    low: f64,
    high: f64,
}

/// The operator.
#[derive(Debug)]
pub struct Operator {
    way: &'static [Line],
    closes: bool,
    period: Duration,
    doing: Doing,
    movable: Vec<Movable>,
    setpoints: Random,
    next_setpoint: Stamp,
    feed: Random,
    next_feed: Stamp,
    notices: Random,
    /// The recommendation that he reads, and when he will have read it; `None` once he has answered.
    reading: Option<(u32, Option<Stamp>)>,
    shift: Shift,
}

impl Operator {
    /// An operator who begins two periods after the start. `streams` are his: for set-points, feed and his attention.
    #[must_use]
    pub fn new(plant: &PlantFile, rig: &RigConfig, streams: [Random; 3]) -> Self {
        let [mut setpoints, mut feed, notices] = streams;
        let movable = rig.cvs.iter().zip(&plant.cvs).enumerate().filter_map(|(number, (cv, ours))| {
            let (start, reach) = (cv.setpoint?, SETPOINT_REACH * ours.span);
            Some(Movable { number, low: (start - reach).max(cv.limits.low), high: (start + reach).min(cv.limits.high) })
        });
        let period = plant.period();
        Self {
            way: way(plant.mode),
            closes: plant.mode == Mode::ClosedLoop,
            period,
            doing: Doing::Way { line: 0, at: Stamp::ZERO + 2 * period },
            movable: movable.collect(),
            next_setpoint: Stamp::ZERO + setpoints.wait(SETPOINT_EVERY),
            setpoints,
            next_feed: Stamp::ZERO + feed.wait(FEED_EVERY),
            feed,
            notices,
            reading: None,
            shift: Shift::default(),
        }
    }

    /// What he did so far.
    #[must_use]
    pub fn shift(&self) -> Shift {
        self.shift
    }

    /// One look at the DCS, and at most one thing done there besides what chance moves.
    pub fn look(&mut self, rig: &mut Rig) {
        match self.doing {
            Doing::Way { line, at } if rig.now() >= at => self.go_on(line, rig),
            Doing::Way { .. } => {}
            Doing::Watching => {
                self.answer(rig);
                self.watch(rig);
            }
        }
        self.step_the_feed(rig);
    }

    fn go_on(&mut self, line: usize, rig: &mut Rig) {
        let now = rig.now();
        let Some((command, periods)) = self.way.get(line).copied() else {
            self.doing = match !self.closes || all_handed_over(rig) {
                true => Doing::Watching,
                false => Doing::Way { line: 0, at: now + self.notices.wait(NOTICES_AFTER) },
            };
            self.shift.engagements += u32::from(matches!(self.doing, Doing::Watching) && self.closes);
            return;
        };
        if line == 0 && !rig.view().wd_ok.value {
            self.say("rearm", rig);
        }
        self.doing = Doing::Way { line: line + 1, at: now + self.period * periods };
        if !self.say(command, rig) {
            self.doing = Doing::Way { line: 0, at: now + self.notices.wait(NOTICES_AFTER) };
        }
    }

    fn watch(&mut self, rig: &mut Rig) {
        let now = rig.now();
        if self.closes && !all_handed_over(rig) {
            self.shift.sheds += 1;
            self.doing = Doing::Way { line: 0, at: now + self.notices.wait(NOTICES_AFTER) };
        } else if now >= self.next_setpoint {
            self.next_setpoint = now + self.setpoints.wait(SETPOINT_EVERY);
            let chosen = self.setpoints.below(self.movable.len());
            if let Some(Movable { number, low, high }) = self.movable.get(chosen).copied() {
                let value = self.setpoints.between(low, high);
                self.shift.setpoints += u32::from(self.say(&format!("sp CV{} {value}", number + 1), rig));
            }
        }
    }

    fn answer(&mut self, rig: &mut Rig) {
        let (now, rec) = (rig.now(), &rig.apc().rec);
        let Some(id) = rec.id.good().filter(|_| rec.status.good() == Some(RecStatus::Open)) else { return };
        match self.reading.filter(|(read, _)| *read == id) {
            None => self.reading = Some((id, Some(now + self.notices.wait(READS_FOR)))),
            Some((_, Some(read_at))) if now >= read_at => {
                self.reading = Some((id, None));
                self.shift.accepted += u32::from(self.say(&format!("accept {id} operator"), rig));
            }
            Some(_) => {}
        }
    }

    /// The feed does not wait for anybody.
    fn step_the_feed(&mut self, rig: &mut Rig) {
        if rig.now() < self.next_feed {
            return;
        }
        self.next_feed = rig.now() + self.feed.wait(FEED_EVERY);
        let disturbances = rig.config().card().disturbances;
        if let Some(variable) = disturbances.get(self.feed.below(disturbances.len())) {
            let reach = FEED_REACH * variable.span();
            let value = variable.nominal + self.feed.between(-reach, reach);
            self.shift.disturbances += u32::from(self.say(&format!("disturb {} {value}", variable.name), rig));
        }
    }

    fn say(&mut self, line: &str, rig: &mut Rig) -> bool {
        let taken = rig.command(line).is_ok();
        self.shift.refused += u32::from(!taken);
        taken
    }
}

/// Whether the application has every MV.
fn all_handed_over(rig: &Rig) -> bool {
    rig.view().mvs.iter().all(|mv| mv.mode.value == MvMode::Rcas)
}

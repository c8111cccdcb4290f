//! What the operator does in the demo, as a pure step: time and sight in, one act out.
//!
//! Nothing here waits by sleeping. A fraction of the run says when an act is due at the earliest; what lets the story
//! go on is always something seen on the DCS side, and each wait has a limit after which the run has failed.

use super::record::{Cycle, Mark};

/// The CV whose set-point is moved, and by how much in its unit.
pub(super) const MOVED_CV: &str = "CV1";
const SETPOINT_STEP: f64 = 0.1;
/// The feed disturbance, and where it goes.
const DISTURBED_DV: &str = "CA0";
const DISTURBED_TO: f64 = 4.8;
/// Fractions of the run at which the acts are due.
const SETPOINT_AT: f64 = 0.2;
const DISTURB_AT: f64 = 0.42;
const OUTAGE_AT: f64 = 0.62;
/// How long the DCS's server is away, wall time.
const OUTAGE_S: f64 = 3.0;
/// Periods in closed loop before the run may end: ten to settle, and ten to judge.
const SETTLE_CYCLES: usize = 24;
/// Limits of the waits, wall time.
const BOOT_LIMIT_S: f64 = 30.0;
const STEP_LIMIT_S: f64 = 5.0;
const RECOVERY_LIMIT_S: f64 = 20.0;
const ENGAGE_TRIES: u32 = 5;

/// What the script may know when it decides.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sight<'a> {
    /// Wall seconds since the runtime was started.
    pub(super) elapsed_s: f64,
    /// The newest cycle of the rig and how many there were.
    pub(super) cycle: Option<&'a Cycle>,
    pub(super) cycles: usize,
    /// The runtime answers, its link stands and its interlock has left Boot.
    pub(super) runtime_up: bool,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    Wait,
    /// Type this at the rig; the label, if any, marks it in the plot.
    Type(String, Option<&'static str>),
    End,
    Fail(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Boot,
    Engage,
    SetPoint,
    Disturb,
    StopServer,
    StartServer,
    Recover,
    Rearm,
    EngageAgain,
    Settle,
    Over,
}

/// One line of the hand-over: what to type, what must then be seen, for how many cycles at least.
struct Line {
    typed: &'static str,
    seen: fn(&Cycle) -> bool,
    cycles_min: usize,
}

/// The hand-over as an operator performs it. OFF is kept for a whole period at least, so that the runtime sees it.
const HAND_OVER: [Line; 4] = [
    Line { typed: "mode off", seen: |cycle| cycle.mode_req == "OFF", cycles_min: 2 },
    Line { typed: "mode warm", seen: |cycle| shows(cycle, "WARM"), cycles_min: 1 },
    Line { typed: "mode on", seen: |cycle| shows(cycle, "INIT"), cycles_min: 1 },
    Line { typed: "engage", seen: |cycle| shows(cycle, "ON"), cycles_min: 1 },
];

fn shows(cycle: &Cycle, mode: &str) -> bool {
    cycle.mode_act.as_deref() == Some(mode)
}

/// True for lines whose refusal is not a fault of the run: the hand-over is tried again, and its own limit tells.
pub(super) fn may_be_refused(line: &str) -> bool {
    HAND_OVER.iter().any(|known| known.typed == line)
}

/// Where the hand-over stands.
#[derive(Clone, Copy, Debug, Default)]
struct HandOver {
    at: usize,
    tries: u32,
    /// Cycles seen and wall time when the line was typed.
    typed: Option<(usize, f64)>,
}

/// The moment at which the server was started again: wall time, and what the runtime had written last.
#[derive(Clone, Debug)]
struct Restart {
    at_s: f64,
    hb_apc: u32,
    mode_act: Option<String>,
}

/// The story, and what was measured on the way.
#[derive(Clone, Debug)]
pub(super) struct Script {
    seconds: f64,
    scene: Scene,
    hand_over: HandOver,
    stopped_s: f64,
    started: Option<Restart>,
    closed_at_cycle: usize,
    dcs_took_over: bool,
    /// Wall seconds from the return of the DCS's server to the first new write of the runtime, seen at the DCS.
    /// Quantised to the rig's control period.
    pub(super) recovery_s: Option<f64>,
    /// Wall seconds from the return of the DCS's server to closed loop.
    pub(super) reengaged_s: Option<f64>,
}

impl Script {
    /// A story of `seconds` wall time.
    pub(super) fn new(seconds: f64) -> Self {
        Self {
            seconds,
            scene: Scene::Boot,
            hand_over: HandOver::default(),
            stopped_s: 0.0,
            started: None,
            closed_at_cycle: 0,
            dcs_took_over: false,
            recovery_s: None,
            reengaged_s: None,
        }
    }

    /// True once, during the outage, the DCS's watchdog had taken the set-points back by itself.
    pub(super) fn dcs_took_over(&self) -> bool {
        self.dcs_took_over
    }

    /// What is going on, for people.
    pub(super) fn caption(&self) -> &'static str {
        match self.scene {
            Scene::Boot => "the runtime starts, tripped",
            Scene::Engage => "the operator hands the loop over",
            Scene::SetPoint => "closed loop",
            Scene::Disturb => "tracking the new set-point",
            Scene::StopServer => "rejecting the feed disturbance",
            Scene::StartServer => "the DCS's server is gone; the DCS sheds by itself",
            Scene::Recover => "the server is back; waiting for the runtime",
            Scene::Rearm | Scene::EngageAgain => "the operator hands the loop over again",
            Scene::Settle => "closed loop again",
            Scene::Over => "done",
        }
    }

    /// One step: returns what to do now. Call it again at once after `Act::Type`.
    pub(super) fn step(&mut self, sight: &Sight<'_>) -> Act {
        match self.scene {
            Scene::Boot => self.boot(sight),
            Scene::Engage => self.engage(sight, Scene::SetPoint),
            Scene::SetPoint => self.move_setpoint(sight),
            Scene::Disturb => {
                let line = format!("disturb {DISTURBED_DV} {DISTURBED_TO}");
                self.when_due(sight, DISTURB_AT, Scene::StopServer, Act::Type(line, Some("feed disturbance")))
            }
            Scene::StopServer => {
                self.stopped_s = sight.elapsed_s;
                let line = Act::Type("server stop".to_owned(), Some("DCS server gone"));
                self.when_due(sight, OUTAGE_AT, Scene::StartServer, line)
            }
            Scene::StartServer => self.start_server(sight),
            Scene::Recover => self.recover(sight),
            Scene::Rearm => {
                self.scene = Scene::EngageAgain;
                let tripped = sight.cycle.is_some_and(|cycle| !cycle.wd_ok);
                if tripped { Act::Type("rearm".to_owned(), None) } else { Act::Wait }
            }
            Scene::EngageAgain => self.engage(sight, Scene::Settle),
            Scene::Settle => self.settle(sight),
            Scene::Over => Act::End,
        }
    }

    fn boot(&mut self, sight: &Sight<'_>) -> Act {
        if sight.runtime_up && sight.cycle.is_some() {
            self.scene = Scene::Engage;
            Act::Wait
        } else if sight.elapsed_s > BOOT_LIMIT_S {
            Act::Fail(format!("the runtime did not come up within {BOOT_LIMIT_S} s"))
        } else {
            Act::Wait
        }
    }

    fn when_due(&mut self, sight: &Sight<'_>, fraction: f64, next: Scene, act: Act) -> Act {
        if sight.elapsed_s < fraction * self.seconds {
            return Act::Wait;
        }
        self.scene = next;
        act
    }

    /// Types the next line of the hand-over when the last one has shown its effect; begins anew when it did not.
    fn engage(&mut self, sight: &Sight<'_>, next: Scene) -> Act {
        let Some(&Line { typed: line, seen, cycles_min }) = HAND_OVER.get(self.hand_over.at) else {
            self.scene = next;
            self.hand_over = HandOver::default();
            self.closed_at_cycle = sight.cycles;
            self.reengaged_s = self.started.as_ref().map(|started| sight.elapsed_s - started.at_s);
            return Act::Wait;
        };
        let Some((cycles, typed_s)) = self.hand_over.typed else {
            self.hand_over.typed = Some((sight.cycles, sight.elapsed_s));
            let label = if line == "engage" { Some("engage") } else { None };
            return Act::Type(line.to_owned(), label);
        };
        if sight.cycles >= cycles + cycles_min && sight.cycle.is_some_and(seen) {
            self.hand_over.at += 1;
            self.hand_over.typed = None;
        } else if sight.elapsed_s - typed_s > STEP_LIMIT_S {
            let tries = self.hand_over.tries + 1;
            self.hand_over = HandOver { tries, ..HandOver::default() };
            if tries >= ENGAGE_TRIES {
                let stuck =
                    sight.cycle.and_then(|cycle| cycle.mode_act.clone()).unwrap_or_else(|| "unknown".to_owned());
                return Act::Fail(format!("the hand-over failed {tries} times; after `{line}` MODE_ACT was {stuck}"));
            }
        }
        Act::Wait
    }

    fn move_setpoint(&mut self, sight: &Sight<'_>) -> Act {
        let cv = sight.cycle.and_then(|cycle| cycle.cv.iter().find(|cv| cv.tag == MOVED_CV));
        let Some(setpoint) = cv.and_then(|cv| cv.sp) else {
            return Act::Fail(format!("{MOVED_CV} has no set-point to move"));
        };
        let line = format!("sp {MOVED_CV} {:.3}", setpoint + SETPOINT_STEP);
        self.when_due(sight, SETPOINT_AT, Scene::Disturb, Act::Type(line, Some("set-point")))
    }

    fn start_server(&mut self, sight: &Sight<'_>) -> Act {
        self.dcs_took_over |=
            sight.cycle.is_some_and(|cycle| !cycle.wd_ok && cycle.mv.iter().all(|mv| mv.mode != "RCAS"));
        if sight.elapsed_s - self.stopped_s < OUTAGE_S {
            return Act::Wait;
        }
        let Some(cycle) = sight.cycle else { return Act::Fail("the rig reports no cycles".to_owned()) };
        self.started = Some(Restart { at_s: sight.elapsed_s, hb_apc: cycle.hb_apc, mode_act: cycle.mode_act.clone() });
        self.scene = Scene::Recover;
        Act::Type("server start".to_owned(), Some("server back"))
    }

    fn recover(&mut self, sight: &Sight<'_>) -> Act {
        let Some(started) = &self.started else { return Act::Fail("no server was started".to_owned()) };
        let waited_s = sight.elapsed_s - started.at_s;
        let written = |cycle: &Cycle| cycle.hb_apc != started.hb_apc || cycle.mode_act != started.mode_act;
        if sight.cycle.is_some_and(|cycle| cycle.server_up && written(cycle)) {
            self.recovery_s = Some(waited_s);
            self.scene = Scene::Rearm;
        } else if waited_s > RECOVERY_LIMIT_S {
            return Act::Fail(format!("no write of the runtime within {RECOVERY_LIMIT_S} s of the server's return"));
        }
        Act::Wait
    }

    fn settle(&mut self, sight: &Sight<'_>) -> Act {
        if sight.elapsed_s >= self.seconds && sight.cycles >= self.closed_at_cycle + SETTLE_CYCLES {
            self.scene = Scene::Over;
            return Act::End;
        }
        Act::Wait
    }
}

/// The mark that an act leaves in the plot.
pub(super) fn mark(act: &Act, t_s: f64) -> Option<Mark> {
    let Act::Type(_, Some(label)) = act else { return None };
    Some(Mark { t_s, label: (*label).to_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::record::{CvState, MvState};
    use super::*;

    /// A DCS with a runtime behind it, as far as the script can see: one cycle every half second of wall time.
    struct World {
        now: f64,
        cycles: usize,
        cycle: Cycle,
        typed: Vec<String>,
        /// `mode warm` is refused this many times.
        deaf: u32,
        /// The runtime writes again this long after the server's return.
        back_after_s: f64,
        back_at: f64,
    }

    impl World {
        fn new() -> Self {
            let cv = CvState { tag: MOVED_CV.to_owned(), sp: Some(0.75), ..CvState::default() };
            let mv = MvState { mode: "AUTO".to_owned(), ..MvState::default() };
            let mode_req = "OFF".to_owned();
            let cycle =
                Cycle { mode_req, cv: vec![cv], mv: vec![mv], wd_ok: true, server_up: true, ..Cycle::default() };
            Self { now: 0.0, cycles: 0, cycle, typed: vec![], deaf: 0, back_after_s: 1.0, back_at: 0.0 }
        }

        fn act(&mut self, mode: &str) {
            self.cycle.mode_act = Some(mode.to_owned());
        }

        fn hear(&mut self, line: &str) {
            self.typed.push(line.to_owned());
            match line {
                "mode off" => self.cycle.mode_req = "OFF".to_owned(),
                "mode warm" if self.deaf > 0 => self.deaf -= 1,
                "mode warm" => self.act("WARM"),
                "mode on" => self.act("INIT"),
                "engage" => {
                    self.act("ON");
                    self.cycle.mv[0].mode = "RCAS".to_owned();
                }
                "rearm" => self.cycle.wd_ok = true,
                "server stop" => self.cycle.server_up = false,
                "server start" => {
                    self.cycle.server_up = true;
                    self.back_at = self.now + self.back_after_s;
                }
                _ => {}
            }
        }

        /// Runs the script to its end.
        fn play(&mut self, script: &mut Script) -> Act {
            while self.now < 300.0 {
                let sight =
                    Sight { elapsed_s: self.now, cycle: Some(&self.cycle), cycles: self.cycles, runtime_up: true };
                match script.step(&sight) {
                    Act::Type(line, _) => self.hear(&line),
                    Act::Wait => self.tick(),
                    end => return end,
                }
            }
            Act::Wait
        }

        fn tick(&mut self) {
            self.now += 0.05;
            let cycles = (self.now * 2.0) as usize;
            if cycles > self.cycles {
                self.cycles = cycles;
                if self.cycle.server_up && self.now >= self.back_at {
                    self.cycle.hb_apc += 1;
                }
                if !self.cycle.server_up {
                    self.cycle.wd_ok = false;
                    self.cycle.mv[0].mode = "AUTO".to_owned();
                }
            }
        }
    }

    #[test]
    fn the_story_runs_to_its_end_and_is_measured() {
        let (mut world, mut script) = (World::new(), Script::new(60.0));
        assert_eq!(world.play(&mut script), Act::End);
        let hand_over = ["mode off", "mode warm", "mode on", "engage"];
        let between = ["sp CV1 0.850", "disturb CA0 4.8", "server stop", "server start", "rearm"];
        assert_eq!(world.typed, [&hand_over[..], &between, &hand_over].concat());
        assert!(script.dcs_took_over());
        let recovery_s = script.recovery_s.unwrap();
        assert!((1.0..=1.6).contains(&recovery_s), "{recovery_s}");
        assert!(script.reengaged_s.unwrap() > recovery_s);
        assert!(world.now >= 60.0);
    }

    #[test]
    fn a_short_run_still_settles_before_it_ends() {
        let (mut world, mut script) = (World::new(), Script::new(10.0));
        assert_eq!(world.play(&mut script), Act::End);
        assert!(world.cycles >= script.closed_at_cycle + SETTLE_CYCLES);
    }

    #[test]
    fn a_refused_edge_is_given_again_from_off() {
        let (mut world, mut script) = (World::new(), Script::new(60.0));
        world.deaf = 2;
        assert_eq!(world.play(&mut script), Act::End);
        assert_eq!(world.typed.iter().filter(|line| *line == "mode off").count(), 4);
    }

    #[test]
    fn a_runtime_that_never_engages_fails_the_run() {
        let (mut world, mut script) = (World::new(), Script::new(60.0));
        world.deaf = u32::MAX;
        let Act::Fail(why) = world.play(&mut script) else { panic!("did not fail") };
        assert!(why.contains("after `mode warm`"), "{why}");
    }

    #[test]
    fn a_runtime_that_does_not_come_back_fails_the_run() {
        let (mut world, mut script) = (World::new(), Script::new(60.0));
        world.back_after_s = 1e9;
        let Act::Fail(why) = world.play(&mut script) else { panic!("did not fail") };
        assert!(why.contains("server's return"), "{why}");
        assert_eq!(script.recovery_s, None);
    }

    #[test]
    fn a_runtime_that_never_starts_fails_the_run() {
        let mut script = Script::new(60.0);
        let sight = Sight { elapsed_s: BOOT_LIMIT_S + 1.0, ..Sight::default() };
        assert!(matches!(script.step(&sight), Act::Fail(_)));
    }
}

//! The whole runtime is killed, at random moments by seed, in virtual time. Beside it the rig goes on.
//!
//! A kill takes the tokio runtime away with every task in it, as SIGKILL takes a process: nothing is said any more. What must
//! hold is judged from the DCS's side alone:
//!
//! - Within max(3 Ts, its watchdog) after the kill the DCS has every MV.
//! - No set-point in use moves by more than 0.1 % of its span by that.
//! - Nothing engages by itself: not before a new runtime starts, not after it, and not by re-arming the watchdog. The
//!   operator's way in works.
//!
//! The same over the wire, in real time, is in `over_the_wire/takeover.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a scenario that cannot go on has failed"
)]

use std::sync::Arc;
use std::time::Duration;

use actors::kernel::{Unobserved, Unwitnessed};
use rig::{Random, Rig, RigConfig};
use runtime::config::{PlantFile, load};
use runtime::simulate::{Cell, Fittings, SharedRig};
use safety::{Latch, State};
use signals::dcs::{DcsView, ModeActual, MvMode};
use tests::repo;
use tokio::time::{Instant, sleep_until};

/// How often the runtime hears of the DCS.
const SCAN: Duration = Duration::from_secs(1);
/// The DCS's watchdog is never shorter.
const WATCHDOG_FLOOR: Duration = Duration::from_secs(30);
/// The greatest bump, in percent of span.
const BUMP_MAX_PCT: f64 = 0.1;
/// For so many periods nothing may engage, before a new runtime starts and after it has.
const QUIET: u32 = 4;
/// The operator's way in, and for how many periods each line is given.
const WAY_IN: [(&str, u32); 5] = [("rearm", 1), ("mode off", 2), ("mode warm", 4), ("mode on", 2), ("engage", 4)];
/// Periods that the way in takes.
const WAY_IN_PERIODS: u32 = 13;
/// Lives of a runtime beside one plant. The reactor is open-loop unstable: left alone too often it ignites, and then every reset
/// is rightly refused and nothing more is tried.
const LIVES: u32 = 4;
/// What else may befall a loop that is going to be killed, and its remedy.
const UPSETS: [(&str, &str); 4] = [
    ("quality CV1 bad", "quality CV1 good"),
    ("permit off", "permit on"),
    ("mode warm", "mode on"),
    ("disturb TF 352", "disturb TF 350"),
];

/// Why a takeover was none.
#[derive(Debug, PartialEq)]
enum Fault {
    /// An MV was in RCAS so long after the kill.
    Held(Duration),
    /// A set-point moved by so much, in percent of span.
    Bump(f64),
    /// An MV came back to RCAS, or the DCS gave a lease, by itself.
    Engaged(Duration),
}

/// A DCS and its plant, which outlive every runtime.
struct Site {
    rig: SharedRig,
    plant: PlantFile,
    /// The range of each MV.
    spans: Vec<f64>,
    period: Duration,
}

fn any_rcas(view: &DcsView) -> bool {
    view.mvs.iter().any(|mv| mv.mode.value == MvMode::Rcas)
}

impl Site {
    fn new(seed: u64, adapt: impl FnOnce(&mut RigConfig)) -> Self {
        let plant = load(&repo("deploy/plants/cstr2.toml")).unwrap().plant;
        let mut config = RigConfig::load(&repo("hil/plants/cstr2.toml")).unwrap();
        let (period, spans) = (config.period, config.mvs.iter().map(|mv| mv.range.width()).collect());
        adapt(&mut config);
        Self { rig: SharedRig::new(Rig::new(config, seed).unwrap()), plant, spans, period }
    }

    fn view(&self) -> DcsView {
        *self.rig.lock().view()
    }

    /// The life of one runtime. It ends, in the middle of whatever it does, `life` after its start. `at` is told of every
    /// scan of the DCS before the runtime hears of it.
    fn run(&self, life: Duration, mut at: impl FnMut(u32, &SharedRig, State)) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let engaged = runtime.block_on(async {
            let (observer, tape) = (Box::new(Unobserved), Arc::new(Unwitnessed));
            let fittings = Fittings { observer, tape, latch: Latch::default(), gap_max: None };
            let start = Instant::now();
            let (cell, mut plumbing) = Cell::start(&self.plant, self.rig.clone(), fittings).await.unwrap();
            let scans = u32::try_from(life.as_secs() / SCAN.as_secs()).unwrap();
            for scan in 1..=scans {
                sleep_until(start + SCAN * scan).await;
                plumbing.exchange(SCAN);
                at(scan, &self.rig, cell.board.status.read().map_or(State::Boot, |status| status.state));
            }
            sleep_until(start + life).await;
            assert_eq!(cell.ended(), None);
            assert_eq!(cell.sink.invalid().total(), 0, "{:?}", cell.sink.invalid());
            cell.board.status.read().is_some_and(|status| status.engaged())
        });
        drop(runtime);
        engaged
    }

    /// What the DCS does once the runtime is dead: judged scan by scan until some periods after it must have its MVs.
    fn take_over(&self) -> Result<Duration, Fault> {
        let limit = (3 * self.period).max(WATCHDOG_FLOOR);
        // Scan by scan of the DCS, so that a ramp's last step is not taken for a bump of the change after it.
        let scan = self.rig.lock().config().scan;
        let said = *self.rig.lock().apc();
        let mut before = self.view();
        let (mut out, mut passed) = ((!any_rcas(&before)).then_some(Duration::ZERO), Duration::ZERO);
        while passed < limit + QUIET * self.period {
            self.rig.lock().step(scan);
            passed += scan;
            let view = self.view();
            for ((mv, was), span) in view.mvs.iter().zip(&before.mvs).zip(&self.spans) {
                let bump = 100.0 * (mv.sp_act.value - was.sp_act.value).abs() / span;
                if mv.mode.value != was.mode.value && bump > BUMP_MAX_PCT {
                    return Err(Fault::Bump(bump));
                }
            }
            match (any_rcas(&view), out) {
                (true, None) if passed >= limit + scan => return Err(Fault::Held(passed)),
                (true, Some(_)) => return Err(Fault::Engaged(passed)),
                (false, None) => out = Some(passed),
                _ => {}
            }
            before = view;
        }
        let now_said = *self.rig.lock().apc();
        assert_eq!((said.hb_apc, said.mvs), (now_said.hb_apc, now_said.mvs), "the dead say nothing");
        // The first scan after the kill is less than a whole one away.
        Ok(out.unwrap_or_default().saturating_sub(scan))
    }

    /// The next runtime: quiet at first, then engaged by the operator's way in, with an upset perhaps, until it is killed at
    /// a random moment. The way in begins after so many periods. Gives whether it was engaged when it was killed.
    fn live_and_be_killed(&self, chance: &mut Random, way_in_after: u32) -> Result<bool, Fault> {
        let periods = |n: u32| (self.period * n).as_secs_f64();
        // One in five is killed on the way in.
        let in_between = chance.below(5) == 0;
        let (from, until) = match in_between {
            true => (periods(QUIET), periods(QUIET + WAY_IN_PERIODS)),
            false => (periods(QUIET + WAY_IN_PERIODS), periods(QUIET + WAY_IN_PERIODS + 10)),
        };
        let life = Duration::from_secs_f64(chance.between(from, until));
        let upset = (chance.below(3) == 0).then(|| UPSETS[chance.below(UPSETS.len())]);
        let scans = |n: u32| u32::try_from((self.period * n).as_secs() / SCAN.as_secs()).unwrap();
        let mut lines = Vec::new();
        let mut due = scans(way_in_after);
        for (line, periods) in WAY_IN {
            lines.push((due, line));
            due += scans(periods);
        }
        lines.extend(upset.map(|(befalls, _)| (due + scans(1), befalls)));
        let (quiet, mut fault) = (scans(QUIET), None);
        let engaged = self.run(life, |scan, rig, state| {
            let mut rig = rig.lock();
            let returned = any_rcas(rig.view()) || rig.view().lease.value != 0;
            let claims = rig.apc().mode_act.value == ModeActual::On || state != State::Tripped;
            if scan > 1 && scan <= quiet && (returned || (claims && state != State::Boot)) {
                fault.get_or_insert(Fault::Engaged(SCAN * scan));
            }
            for (_, line) in lines.iter().filter(|(at, _)| *at == scan) {
                // The watchdog may be in order; a hand-over may be refused to a loop that is not armed any more.
                let _ = rig.command(line);
            }
        });
        if let Some((_, remedy)) = upset {
            let _ = self.rig.lock().command(remedy);
        }
        fault.map_or(Ok(engaged), Err)
    }
}

/// What a campaign has seen.
#[derive(Debug, Default)]
struct Tally {
    kills: u32,
    engaged: u32,
    slowest: Duration,
    bump_pct: f64,
}

fn campaign(kills: u32, seed: u64) -> Tally {
    let (mut chance, mut tally) = (Random::stream(seed, 40), Tally::default());
    let mut site = Site::new(seed, |_| {});
    while tally.kills < kills {
        if tally.kills % LIVES == 0 {
            site = Site::new(seed + u64::from(tally.kills), |_| {});
        }
        let what = format!("seed {seed}, kill {}", tally.kills);
        let engaged = site.live_and_be_killed(&mut chance, QUIET).unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        let took = site.take_over().unwrap_or_else(|fault| panic!("{what}: {fault:?}"));
        let summary = site.rig.lock().summary();
        tally.kills += 1;
        tally.engaged += u32::from(engaged);
        tally.slowest = tally.slowest.max(took);
        tally.bump_pct = tally.bump_pct.max(summary.bump_pct);
        assert_eq!(summary.writes_while_not_on, 0, "{what}");
    }
    println!("{tally:?}");
    assert!(tally.bump_pct <= BUMP_MAX_PCT, "{tally:?}");
    assert!(tally.engaged * 10 > kills * 6, "too few were engaged: {tally:?}");
    assert!(tally.slowest > 2 * site.period, "the watchdog was never needed: {tally:?}");
    tally
}

#[test]
fn forty_kills_of_the_runtime_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself() {
    campaign(40, 1);
}

#[test]
#[ignore = "long: some minutes"]
fn a_thousand_kills_of_the_runtime_leave_the_dcs_with_its_mvs_and_nothing_returns_by_itself() {
    for seed in 100..110 {
        campaign(100, seed);
    }
}

/// A site whose runtime is killed with the loop closed.
fn killed_engaged(adapt: impl FnOnce(&mut RigConfig)) -> Site {
    let site = Site::new(3, adapt);
    let mut chance = Random::seeded(3);
    while !site.live_and_be_killed(&mut chance, QUIET).unwrap() {
        site.take_over().unwrap();
    }
    site
}

#[test]
fn with_the_dcs_watchdog_off_the_judge_sees_that_the_mvs_are_not_back() {
    // The negative control: a DCS whose watchdog waits for hours.
    let site = killed_engaged(|rig| rig.period *= 1000);
    assert!(matches!(site.take_over(), Err(Fault::Held(_))));
    assert!(killed_engaged(|_| {}).take_over().is_ok());
}

#[test]
fn with_an_operator_who_does_not_wait_the_judge_sees_that_the_loop_did_not_stay_tripped() {
    // The negative control of "nothing by itself": here somebody does it, in the quiet time.
    let site = killed_engaged(|_| {});
    site.take_over().unwrap();
    let outcome = site.live_and_be_killed(&mut Random::seeded(4), 0);
    assert!(matches!(outcome, Err(Fault::Engaged(_))), "{outcome:?}");
}

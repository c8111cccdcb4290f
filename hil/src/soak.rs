//! Hours of plant time with faults by seed: nothing is asked but that no unsafe write is ever made.
//!
//! Each hour is a scenario of its own, made from the seed and the number of the hour, so that the hour which failed is run
//! again alone. The operator takes the loop back in every few minutes, whatever happened.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rig::Random;
use serde::Serialize;

use crate::bed::{self, BedError};
use crate::record::UnsafeWrites;
use crate::scenario::{Scenario, ScenarioError};

/// The stream of an hour's seed for its faults.
const STREAM: u32 = 21;
/// Mean time between two faults, and how long one lasts in the mean.
const EVERY: Duration = Duration::from_secs(4 * 60);
const LASTS: Duration = Duration::from_secs(30);
/// How often the operator takes the loop in.
const TAKEN_IN_S: u32 = 300;

/// The faults of a soak, as a scenario has them; `{CV}`, `{MV}` and `{TAG}` stand for one of those.
const FAULTS: [&str; 41] = [
    "kind = \"stuck\"\non = \"{TAG}\"",
    "kind = \"drift\"\non = \"{TAG}\"\nper_s = 0.01",
    "kind = \"bias\"\non = \"{TAG}\"\nby = 0.2",
    "kind = \"noise\"\non = \"{TAG}\"\nsd = 0.1",
    "kind = \"spike\"\non = \"{TAG}\"\nsize = 5.0\nprobability = 0.1",
    "kind = \"dropout\"\non = \"{TAG}\"\nprobability = 0.5",
    "kind = \"not_a_number\"\non = \"{TAG}\"",
    "kind = \"out_of_range\"\non = \"{TAG}\"\nside = \"high\"\nby_pct = 6.0",
    "kind = \"bad_quality\"\non = \"{TAG}\"\nstatus = \"bad\"",
    "kind = \"sign_flip\"\non = \"{TAG}\"",
    "kind = \"wrong_unit\"\non = \"{TAG}\"\nfactor = 1.8\noffset = 32.0",
    "kind = \"quantised\"\non = \"{TAG}\"\nstep = 0.5",
    "kind = \"slow_sampling\"\non = \"{TAG}\"\nevery_s = 20.0",
    "kind = \"stiction\"\non = \"{MV}\"\nstatic_pct = 3.0\nkinetic_pct = 1.0",
    "kind = \"saturation\"\non = \"{MV}\"\nlow_pct = 10.0\nhigh_pct = 60.0",
    "kind = \"fail_in_place\"\non = \"{MV}\"",
    "kind = \"fail_open\"\non = \"{MV}\"\nstroke_s = 10.0",
    "kind = \"fail_closed\"\non = \"{MV}\"\nstroke_s = 10.0",
    "kind = \"slow\"\non = \"{MV}\"\nstroke_s = 300.0",
    "kind = \"wrong_readback\"\non = \"{MV}\"\nby_pct = 5.0",
    "kind = \"hysteresis\"\non = \"{MV}\"\nband_pct = 4.0",
    "kind = \"drop\"",
    "kind = \"one_way\"\nway = \"in\"",
    "kind = \"one_way\"\nway = \"out\"",
    "kind = \"loss\"\nshare = 0.2",
    "kind = \"delay\"\ndelay_s = 2.0",
    "kind = \"reorder\"\nback = 3\nshare = 0.3",
    "kind = \"duplicate\"\nshare = 0.5",
    "kind = \"flap\"\nup_s = 3.0\ndown_s = 1.0",
    "kind = \"narrow_band\"\nevery_s = 3.0",
    "kind = \"reset_storm\"\nevery_s = 5.0\ndown_s = 1.0",
    "kind = \"half_open\"\nsilent_s = 4.0\nreconnect_s = 2.0",
    "kind = \"session_loss\"",
    "kind = \"device_restart\"",
    "kind = \"clock_jump\"\nby_s = -3600.0",
    "kind = \"cpu_hog\"\nstall_s = 0.7\nevery_s = 5.0",
    "kind = \"kill\"",
    "kind = \"infeasible\"",
    "kind = \"nan_weights\"",
    "kind = \"out_of_distribution\"",
    "kind = \"frozen_output\"",
];

/// The stages that crash now and then.
const STAGES: [&str; 8] = ["sensor", "estimator", "model", "mpc", "selector", "interlock", "recommender", "actuator"];

/// What is soaked.
#[derive(Clone, Debug)]
pub struct Soak {
    /// The plant file.
    pub plant: PathBuf,
    /// The rig's file.
    pub rig: PathBuf,
    /// Hours of plant time.
    pub hours: u32,
    /// The seed of the first hour; each hour has the next one.
    pub seed: u64,
    /// Threads.
    pub jobs: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Soaked {
    /// Hours of plant time.
    pub hours: u32,
    /// Faults.
    pub faults: u64,
    /// New set-points that the DCS saw.
    pub writes: u64,
    /// Times that the DCS got its MVs back.
    pub released: u64,
    /// Stages made anew.
    pub restarts: u64,
    /// Unsafe writes.
    pub unsafe_writes: u64,
    /// The hours with unsafe writes, by seed: what replays each.
    pub failed: Vec<String>,
    /// Resident memory after the first tenth and at the end, in KiB.
    pub memory_kib: (u64, u64),
}

/// A soak that cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum SoakError {
    /// An hour's scenario.
    #[error("seed {seed}: {source}")]
    Scenario {
        /// The hour's seed.
        seed: u64,
        /// Why.
        source: ScenarioError,
    },
    /// An hour's run.
    #[error("seed {seed}: {source}")]
    Bed {
        /// The hour's seed.
        seed: u64,
        /// Why.
        source: BedError,
    },
}

impl Soak {
    /// The scenario of the hour with this seed, as a file would have it.
    #[must_use]
    pub fn hour(&self, seed: u64, (cvs, dvs, mvs): (usize, usize, usize)) -> String {
        let mut chance = Random::stream(seed, STREAM);
        let mut text = format!(
            "title = \"an hour of faults, seed {seed}\"\nrequirements = [\"soak\"]\nplant = {:?}\nrig = {:?}\nseed = {}\n\
             duration_s = 3600.0\nway_in = false\n[pass]\nengages = false\nlate_scans_max = 4294967295\n[negative]\nguard = \"interlock\"\n",
            self.plant,
            self.rig,
            // A file holds 32 bits; hours further apart than that are not run.
            seed & 0xffff_ffff,
        );
        for minute in (0..3600).step_by(TAKEN_IN_S as usize) {
            for (after, line) in [(2, "rearm"), (4, "mode off"), (6, "mode warm"), (12, "mode on"), (16, "engage")] {
                // A string takes what is written to it, here and below.
                let _ = write!(text, "[[operator]]\nat_s = {}\ndo = \"{line}\"\n", minute + after);
            }
        }
        let mut at = chance.wait(EVERY);
        while at < Duration::from_secs(3500) {
            let until = at + chance.wait(LASTS).max(Duration::from_secs(1));
            let mut one = |what: &str, count: usize| format!("{what}{}", chance.below(count.max(1)) + 1);
            let (cv, dv, mv) = (one("CV", cvs), one("DV", dvs), one("MV", mvs));
            let tag = if dvs > 0 && chance.below(4) == 0 { dv } else { cv };
            let fault = match chance.below(FAULTS.len() + 4) {
                n if n < FAULTS.len() => FAULTS.get(n).copied().unwrap_or_default().to_owned(),
                _ => {
                    let stage = STAGES.get(chance.below(STAGES.len())).copied().unwrap_or_default();
                    format!("kind = \"panic\"\non = \"{stage}\"\ntimes = {}", 1 + chance.below(3))
                }
            };
            let fault = fault.replace("{TAG}", &tag).replace("{MV}", &mv);
            let (at_s, until_s) = (at.as_secs_f64(), until.as_secs_f64());
            let _ = write!(text, "[[fault]]\nat_s = {at_s:.3}\nuntil_s = {until_s:.3}\n{fault}\n");
            at = until + chance.wait(EVERY);
        }
        text
    }

    /// Runs every hour; `told` is given the number of hours done.
    ///
    /// # Errors
    /// [`SoakError`], the first.
    pub fn run(&self, told: impl Fn(u64) + Sync) -> Result<Soaked, SoakError> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let jobs = if self.jobs == 0 { processors } else { self.jobs };
        let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let result = Mutex::new((Soaked { hours: self.hours, ..Soaked::default() }, None));
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    loop {
                        let hour = next.fetch_add(1, Ordering::Relaxed);
                        if hour >= u64::from(self.hours) {
                            return;
                        }
                        let seed = self.seed.wrapping_add(hour);
                        let ran = self.one(seed);
                        let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
                        let finished = done.fetch_add(1, Ordering::Relaxed) + 1;
                        match ran {
                            Ok(hour) => result.0.add(seed, &hour),
                            Err(error) => {
                                result.1.get_or_insert(error);
                                return;
                            }
                        }
                        if finished == u64::from(self.hours / 10).max(1) {
                            result.0.memory_kib.0 = resident_kib();
                        }
                        told(finished);
                    }
                });
            }
        });
        let (mut soaked, failed) = result.into_inner().unwrap_or_else(PoisonError::into_inner);
        soaked.memory_kib.1 = resident_kib();
        failed.map_or(Ok(soaked), Err)
    }

    fn one(&self, seed: u64) -> Result<Hour, SoakError> {
        let scenario = |text: &str| {
            let parsed = Scenario::parse(Path::new("soak.toml"), text);
            parsed.map_err(|source| SoakError::Scenario { seed, source })
        };
        // How many variables there are is in the rig's file; a scenario without faults finds it.
        let bare = scenario(&self.hour(seed, (1, 0, 1)))?;
        let fitted = bed::fit(&bare, None).map_err(|source| SoakError::Bed { seed, source })?;
        let counts = (fitted.rig.cvs.len(), fitted.rig.dvs.len(), fitted.rig.mvs.len());
        let scenario = scenario(&self.hour(seed, counts))?;
        let record = bed::run(&scenario, None).map_err(|source| SoakError::Bed { seed, source })?;
        Ok(Hour {
            faults: scenario.faults.len() as u64,
            writes: record.writes.values().sum(),
            released: record.released_s.len() as u64,
            restarts: record.restarts,
            unsafe_writes: record.unsafe_writes,
        })
    }
}

/// What of an hour is counted.
struct Hour {
    faults: u64,
    writes: u64,
    released: u64,
    restarts: u64,
    unsafe_writes: UnsafeWrites,
}

impl Soaked {
    fn add(&mut self, seed: u64, hour: &Hour) {
        self.faults += hour.faults;
        self.writes += hour.writes;
        self.released += hour.released;
        self.restarts += hour.restarts;
        self.unsafe_writes += hour.unsafe_writes.total();
        if hour.unsafe_writes.total() > 0 {
            self.failed.push(format!("outrigger-hil soak --hours 1 --seed {seed}: {:?}", hour.unsafe_writes));
        }
    }
}

/// Resident memory of this process in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(seed: u64) -> Soak {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (plant, rig) = (repo.join("../deploy/plants/cstr-1hz.toml"), repo.join("plants/cstr-1hz.toml"));
        Soak { plant, rig, hours: 1, seed, jobs: 1 }
    }

    #[test]
    fn an_hour_is_a_sound_scenario_of_its_seed_alone() {
        let mut faults = std::collections::BTreeSet::new();
        for seed in 1..60 {
            let text = soak(seed).hour(seed, (3, 1, 2));
            assert_eq!(text, soak(seed).hour(seed, (3, 1, 2)));
            let scenario = Scenario::parse(Path::new("soak.toml"), &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
            faults.extend(scenario.faults.into_iter().map(|fault| fault.kind));
        }
        assert!(faults.len() > 35, "{faults:?}");
        assert_ne!(soak(1).hour(1, (3, 1, 2)), soak(1).hour(2, (3, 1, 2)));
    }

    #[test]
    fn an_hour_of_faults_has_no_unsafe_write_and_was_not_tame() {
        let soaked = soak(1).run(|_| {}).unwrap();
        assert_eq!((soaked.unsafe_writes, soaked.failed.len()), (0, 0), "{soaked:?}");
        assert!(soaked.faults > 5 && soaked.writes > 1000 && soaked.released > 1, "{soaked:?}");
    }
}

//! The model as `stateright` sees it, and the two things asked of it: that it is clean, and that each seeded bug is found.
//!
//! Time is part of a state, so a state lies at one depth only: depth-first search with its small memory goes through all
//! that breadth-first search would.

use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};

use safety::Reach;
use serde::Serialize;
use signals::dcs::ModeRequest;
use stateright::{Checker, Expectation, Model, Property};

use super::bug::Bug;
use super::judge::{Invariant, Milestone};
use super::oddity::Oddity;
use super::setup::{Grain, Setup};
use super::world::World;
use crate::ProofError;

/// How far the checker goes from each start.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bounds {
    /// Scans of a life.
    pub scans: u8,
    /// Oddities of a life.
    pub oddities: u8,
    /// Threads.
    #[serde(skip)]
    pub threads: usize,
}

/// A state of the checker: the world, and what is left of its bounds.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) world: World,
    scans_left: u8,
    oddities_left: u8,
}

/// Two states are one when they read alike: every field of either half is in its `Debug`.
impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        struct Into<'a, H>(&'a mut H);
        impl<H: Hasher> Write for Into<'_, H> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                self.0.write(text.as_bytes());
                Ok(())
            }
        }
        // Writing into a hasher cannot fail.
        let _ = write!(Into(state), "{self:?}");
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}

/// The model.
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    starts: Vec<Node>,
    /// Whether the first broken invariant ends the search, and whether it has. When a way is told, nothing is searched.
    ends_early: bool,
    ended: AtomicBool,
    tells: AtomicBool,
}

const PASS: Oddity = Oddity::Nothing;
const OFF: Oddity = Oddity::Request(ModeRequest::Off);
const WARM: Oddity = Oddity::Request(ModeRequest::Warm);
const ON: Oddity = Oddity::Request(ModeRequest::On);
const ADVISORY: Oddity = Oddity::Request(ModeRequest::Advisory);

/// The lives that lead to the starts. Each is a life of the model itself, and judged.
const CLOSED_LOOP: [&[Oddity]; 7] = [
    &[],
    &[PASS, PASS, WARM],
    &[PASS, PASS, WARM, PASS, ON],
    &[PASS, PASS, WARM, PASS, ON, PASS, Oddity::Engage, PASS, PASS, PASS],
    &[PASS, PASS, WARM, PASS, ON, PASS, Oddity::Engage, PASS, PASS, Oddity::PermitOffOrOn, Oddity::PermitOffOrOn],
    // After the link was cut and the DCS's watchdog ran out, reset again.
    &[
        PASS,
        PASS,
        WARM,
        PASS,
        ON,
        PASS,
        Oddity::Engage,
        PASS,
        PASS,
        Oddity::CutOrMend,
        PASS,
        PASS,
        PASS,
        Oddity::CutOrMend,
        OFF,
        PASS,
        WARM,
        PASS,
    ],
    // With a write of the first engagement held up on its way, and armed again.
    &[
        PASS,
        PASS,
        WARM,
        PASS,
        ON,
        PASS,
        Oddity::Engage,
        PASS,
        PASS,
        Oddity::DelayWrite,
        Oddity::PermitOffOrOn,
        Oddity::PermitOffOrOn,
        OFF,
        PASS,
        WARM,
        PASS,
        ON,
        PASS,
    ],
];
const ADVISORY_LOOP: [&[Oddity]; 2] = [&[], &[PASS, PASS, WARM, PASS, ADVISORY]];

impl Machine {
    /// The model of a setup within bounds.
    #[must_use]
    pub fn new(setup: Setup, bounds: Bounds) -> Self {
        let lives = if setup.reach == Reach::ClosedLoop { CLOSED_LOOP.as_slice() } else { ADVISORY_LOOP.as_slice() };
        let start = |life: &&[Oddity]| {
            let mut world = World::new(&setup);
            // An oddity is carried by the first scan of a period.
            for oddity in *life {
                if world.truth.is_broken() {
                    break;
                }
                world.pass(*oddity, &setup);
                for _ in 1..setup.grain.scans() {
                    if !world.truth.is_broken() {
                        world.pass(PASS, &setup);
                    }
                }
            }
            Node { world, scans_left: bounds.scans, oddities_left: bounds.oddities }
        };
        let starts = lives.iter().map(start).collect();
        let ends_early = setup.bug.is_some();
        let (ended, tells) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { setup, starts, ends_early, ended, tells }
    }
}

impl Model for Machine {
    type State = Node;
    type Action = Oddity;

    fn init_states(&self) -> Vec<Node> {
        self.starts.clone()
    }

    fn actions(&self, node: &Node, actions: &mut Vec<Oddity>) {
        let ended = self.ended.load(Ordering::Relaxed) && !self.tells.load(Ordering::Relaxed);
        if ended || node.scans_left == 0 || node.world.truth.is_broken() {
            return;
        }
        actions.push(PASS);
        if node.oddities_left > 0 {
            actions.extend(Oddity::possible(&node.world, &self.setup));
        }
    }

    fn next_state(&self, node: &Node, oddity: Oddity) -> Option<Node> {
        let mut next = node.clone();
        next.world.pass(oddity, &self.setup);
        next.scans_left = node.scans_left.saturating_sub(1);
        next.oddities_left = node.oddities_left.saturating_sub(u8::from(oddity != PASS));
        if self.ends_early && next.world.truth.is_broken() {
            self.ended.store(true, Ordering::Relaxed);
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut all = Invariant::properties();
        // A search that ends at the first broken invariant has nothing to say of milestones.
        if !self.ends_early {
            all.extend(Milestone::properties());
        }
        all
    }
}

/// A way from a start to a broken invariant.
#[derive(Clone, Debug, Serialize)]
pub struct Counterexample {
    /// What is broken.
    pub invariant: &'static str,
    /// The state of the start, and scan by scan what befell and what came of it.
    pub path: Vec<String>,
}

/// What came of a model without a bug.
#[derive(Clone, Debug, Serialize)]
pub struct Clean {
    /// The grain.
    pub grain: String,
    /// The reach.
    pub reach: String,
    /// The bounds.
    pub bounds: Bounds,
    /// Unique states.
    pub states: usize,
    /// States generated, those met before included.
    pub generated: usize,
    /// Invariants that are broken.
    pub counterexamples: Vec<Counterexample>,
    /// What should have happened and did not.
    pub missing: Vec<&'static str>,
}

/// What came of a seeded bug.
#[derive(Clone, Debug, Serialize)]
pub struct Seeded {
    /// The bug.
    pub bug: Bug,
    /// What it is.
    pub what: &'static str,
    /// With how many oddities it was found.
    pub oddities: u8,
    /// How it shows; `None` when it was not found.
    pub counterexample: Option<Counterexample>,
}

/// Goes through the model of a setup without a bug.
///
/// # Errors
/// [`ProofError`] when the setup cannot be made.
pub fn check_clean(grain: Grain, reach: Reach, bounds: Bounds) -> Result<Clean, ProofError> {
    let machine = Machine::new(Setup::new(grain, reach, None)?, bounds);
    let checker = machine.checker().threads(bounds.threads).spawn_dfs().join();
    let discoveries = checker.discoveries();
    let mut counterexamples = Vec::new();
    let mut missing = Vec::new();
    for property in checker.model().properties() {
        let discovery = discoveries.get(property.name);
        match (property.expectation, discovery) {
            (Expectation::Sometimes, None) => missing.push(property.name),
            (Expectation::Always, Some(path)) => counterexamples.push(told(property.name, path.clone().into_vec())),
            _ => {}
        }
    }
    missing.retain(|name| Milestone::ALL.iter().any(|m| m.text() == *name && m.fits(reach)));
    Ok(Clean {
        grain: format!("{grain:?}"),
        reach: format!("{reach:?}"),
        bounds,
        states: checker.unique_state_count(),
        generated: checker.state_count(),
        counterexamples,
        missing,
    })
}

/// Looks for a bug with one oddity, then with two, up to the bounds.
///
/// # Errors
/// [`ProofError`] when the setup cannot be made.
pub fn find(bug: Bug, bounds: Bounds) -> Result<Seeded, ProofError> {
    let mut seeded = Seeded { bug, what: bug.what(), oddities: 0, counterexample: None };
    for oddities in 0..=bounds.oddities {
        let setup = Setup::new(Grain::Period, bug.reach(), Some(bug))?;
        let machine = Machine::new(setup, Bounds { oddities, ..bounds });
        let checker = machine.checker().threads(bounds.threads).spawn_dfs().join();
        // The way is gone again to be told.
        checker.model().tells.store(true, Ordering::Relaxed);
        let mut ways: Vec<_> = checker.discoveries().into_iter().collect();
        ways.sort_by_key(|(name, _)| *name);
        if let Some((name, path)) = ways.into_iter().next() {
            seeded.oddities = oddities;
            seeded.counterexample = Some(told(name, path.into_vec()));
            break;
        }
    }
    Ok(seeded)
}

fn told(invariant: &'static str, path: Vec<(Node, Option<Oddity>)>) -> Counterexample {
    let befalls: Vec<_> = path.iter().map(|(_, oddity)| *oddity).collect();
    let line = |(number, (node, _)): (usize, &(Node, Option<Oddity>))| {
        let befell = number.checked_sub(1).and_then(|before| befalls.get(before).copied().flatten());
        let befell = befell.map_or_else(|| "start".to_owned(), |oddity| format!("{oddity:?}"));
        format!("{befell}: {}", node.world.describe())
    };
    Counterexample { invariant, path: path.iter().enumerate().map(line).collect() }
}

//! Closed loops of a plant, a filter, and a proposer that means ill.

use super::*;

/// A proposer that knows nothing of safety, or works against it.
#[derive(Clone, Copy, Debug)]
enum Proposer {
    /// Always one end of an input's range, each input its own.
    Extreme,
    /// From end to end, every so many periods.
    BangBang(u64),
    /// Any number of the range.
    Uniform,
    /// A walk that drifts out of the range.
    Walk,
    /// NaN, infinities and numbers far out of the range.
    NoNumber,
    /// Holds still for a while, then goes to one end at full rate: from where the backup plan is oldest.
    Ambush,
}

const ALL: [Proposer; 6] = [
    Proposer::Extreme,
    Proposer::BangBang(3),
    Proposer::BangBang(11),
    Proposer::Uniform,
    Proposer::Walk,
    Proposer::NoNumber,
];

impl Proposer {
    fn of(seed: u64) -> Self {
        match seed as usize % (ALL.len() + 1) {
            last if last == ALL.len() => Self::Ambush,
            i => ALL[i],
        }
    }

    fn propose(self, plant: &Plant, cycle: u64, (seed, random): (u64, &mut Random)) -> Vec<f64> {
        let each = (0..plant.u.len()).map(|i| {
            let (lo, hi) = (plant.u_lo[i], plant.u_hi[i]);
            let end = |odd: bool| if odd { hi } else { lo };
            let side = (seed >> (i + 3)) & 1 == 0;
            match self {
                Self::Extreme => end(side),
                Self::BangBang(periods) => end((cycle / periods).is_multiple_of(2) == side),
                Self::Uniform => lo + random.unit() * (hi - lo),
                Self::Walk => plant.u[i] + 0.3 * (hi - lo) * (random.signed() + if side { 0.2 } else { -0.2 }),
                Self::NoNumber => [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300][random.below(5)],
                Self::Ambush => {
                    if cycle > 5 + seed % 20 {
                        end(side)
                    } else {
                        plant.u[i]
                    }
                }
            }
        });
        each.collect()
    }
}

/// What was counted in one or several runs.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    passed: u32,
    changed: u32,
    backup: u32,
    exhausted: u32,
    uncertified: u32,
    violations: u32,
    /// In spans beyond the tolerance.
    worst: f64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.changed += other.changed;
        self.backup += other.backup;
        self.exhausted += other.exhausted;
        self.uncertified += other.uncertified;
        self.violations += other.violations;
        self.worst = self.worst.max(other.worst);
    }
}

/// Lets a proposer at the plant for so many cycles, with the filter between or without.
fn drive(mut plant: Plant, (seed, cycles): (u64, u64), filter: Option<&mut SafetyFilter>) -> Counts {
    let (truth, d) = (Integrator::rk4(plant.model), plant.no_disturbance());
    let (proposer, mut random) = (Proposer::of(seed), Random::new(seed));
    let mut counts = Counts::default();
    let mut filter = filter;
    for cycle in 1..=cycles {
        let proposal = proposer.propose(&plant, cycle, (seed, &mut random));
        let u = match &mut filter {
            None => plant.clamped(&proposal),
            Some(filter) => {
                let filtered = filter.step(&plant.input(cycle, &d, &proposal), &in_time);
                match filtered.outcome {
                    Outcome::Passed => counts.passed += 1,
                    Outcome::Changed { .. } => counts.changed += 1,
                    Outcome::Backup { .. } => counts.backup += 1,
                    Outcome::Exhausted => counts.exhausted += 1,
                }
                counts.uncertified += u32::from(filtered.alarm);
                filtered.u().map_or_else(|| plant.u.clone(), |u| u.to_vec())
            }
        };
        assert_eq!(u, plant.clamped(&u), "{proposer:?} {seed}: a limit or rate of an mv is not kept");
        let beyond = plant.advance(&truth, &u);
        counts.violations += u32::from(beyond > 0.0);
        counts.worst = counts.worst.max(beyond);
    }
    counts
}

/// So many proposers, one after the other.
fn crowd(plant: &Plant, (seeds, cycles): (std::ops::Range<u64>, u64), filtered: bool) -> Counts {
    let mut counts = Counts::default();
    for seed in seeds {
        let mut filter = filtered.then(|| plant.filter());
        counts.add(&drive(plant.clone(), (seed, cycles), filter.as_mut()));
    }
    counts
}

/// The claim and its negative control: the same proposers violate the limits as soon as nobody stands between.
#[track_caller]
fn withstands(plant: &Plant, seeds: std::ops::Range<u64>, cycles: u64) {
    let open = crowd(plant, (seeds.clone(), cycles), false);
    assert!(open.violations > 100, "the negative control is too tame: {open:?}");
    let counts = crowd(plant, (seeds, cycles), true);
    assert_eq!((counts.violations, counts.exhausted, counts.uncertified), (0, 0, 0), "{counts:?}");
    assert!(counts.passed > 0 && counts.changed > counts.passed / 20, "{counts:?}");
}

#[test]
fn nine_hundred_proposers_do_not_ignite_the_reactor() {
    withstands(&cstr2(), 0..900, 40);
}

#[test]
fn a_hundred_and_fifty_proposers_do_not_flood_or_drain_the_tanks() {
    withstands(&quadtank(), 0..150, 40);
}

/// Recursive feasibility, counted: in long runs no cycle is without a certified plan.
#[test]
fn a_long_run_never_comes_to_the_end_of_its_plans() {
    for (plant, cycles) in [(cstr2(), 2_000), (quadtank(), 500)] {
        for seed in [0, 7, 13] {
            let counts = drive(plant.clone(), (seed, cycles), Some(&mut plant.filter()));
            assert_eq!((counts.violations, counts.exhausted, counts.uncertified), (0, 0, 0), "{seed}: {counts:?}");
        }
    }
}

/// The plant is another one than the model, by less than the margin makes room for.
#[test]
fn the_margin_makes_room_for_a_plant_that_is_not_quite_the_model() {
    static NEARLY: plant_models::Cstr2 = plant_models::Cstr2 {
        heat_transfer: 0.998 * plant_models::Cstr2::NOMINAL.heat_transfer,
        ..plant_models::Cstr2::NOMINAL
    };
    let mut plant = cstr2();
    let (truth, d, mut filter) = (Integrator::rk4(&NEARLY), plant.no_disturbance(), plant.filter());
    for cycle in 1..=400 {
        let u = filter.step(&plant.input(cycle, &d, &[320.0]), &in_time).u().unwrap();
        assert!(plant.advance(&truth, &u) == 0.0, "cycle {cycle}: {:?}", plant.x);
    }
    assert!(plant.x[1] > 335.0, "the negative control: the proposer did press against the limit: {:?}", plant.x);
}

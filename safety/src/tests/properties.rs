//! The invariants, over random sequences of disturbances. The judge beside each step knows only what stands on the
//! interface: it reads inputs and decisions, never the interlock's memory.

use std::cell::Cell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use signals::dcs::ModeRequest;
use signals::{ProposedMove, Quality};

use super::script::change;
use super::world::{MVS, T, World};
use crate::config::Reach;
use crate::interlock::Interlock;
use crate::latch::Latch;
use crate::verdict::{ApprovedMove, Decision, MoveKind, State, Verdict};

/// The operator and the DCS put everything right and go the whole way to Active.
const UP: [&str; 4] = [
    "mode=OFF permit=1 wd=1 hb_dcs=go echo=go confirm=go link=up cv1=ok cv2=ok cv2b=ok cv2c=ok solver=ok prop=55,45 \
     left=1 fail1=0 mv1.sp=50 mv1.lim=10,90 mv1.clamp=5,95 lease=100 model=none by=mpc hash=2748 stuck=0",
    "mode=WARM",
    "mode=ON",
    "grant",
];

/// Everything that may befall a loop; `#` stands for a number and `@` for [`UP`].
const EVENTS: [&str; 76] = [
    "@",
    "@",
    "@",
    "mode=OFF",
    "mode=WARM",
    "mode=ADVISORY",
    "mode=ON",
    "mode=bad",
    "mode=OFF",
    "mode=WARM",
    "mode=ON",
    "grant",
    "grant",
    "permit=0",
    "permit=bad",
    "permit=1",
    "permit=1",
    "wd=0",
    "wd=1",
    "wd=1",
    "lease=bad",
    "lease=7",
    "hb_dcs=stop",
    "hb_dcs=go",
    "echo=stop",
    "echo=go",
    "confirm=stop",
    "confirm=go",
    "link=down",
    "link=up",
    "link=up",
    "cv1=ok",
    "cv1=bad",
    "cv1=nan",
    "cv1=#",
    "cv2=ok",
    "cv2=ok",
    "cv2=lost",
    "cv2=frozen",
    "solver=fail",
    "solver=ok",
    "prop=#,#",
    "prop=#,50",
    "prop=50,#",
    "prop=none",
    "left=0",
    "left=1",
    "fail1=2",
    "fail1=0",
    "mv1.mode=AUTO",
    "mv1.mode=RCAS",
    "mv1.sp=#",
    "mv1.lim=#,#",
    "mv1.clamp=#,#",
    "mv2.windup=HI",
    "cv2b=#",
    "cv2b=bad",
    "cv2b=ok",
    "cv2c=lost",
    "cv2c=nan",
    "cv2c=ok",
    "cv1=skipped",
    "cv1=still",
    "model=#",
    "model=none",
    "by=policy",
    "by=mpc",
    "ground=#",
    "ground=0",
    "ground=none",
    "wall=jump",
    "hash=7",
    "hash=2748",
    "dropped=1",
    "late_scan=4",
    "stuck=1",
];

type Step = (usize, f64, usize);

/// Any `f64`, the ordinary ones more often.
fn any_number() -> impl Strategy<Value = f64> {
    prop_oneof![6 => 0.0..100.0, 2 => -1e3..1e3, 1 => any::<f64>()]
}

fn any_life() -> impl Strategy<Value = (bool, Vec<Step>)> {
    (any::<bool>(), prop::collection::vec((0..EVENTS.len(), any_number(), 1..14_usize), 1..60))
}

/// What the judge remembers from step to step.
struct Judge {
    before: State,
    first_out: Option<crate::FirstOut>,
    /// The last good request.
    asked: Option<ModeRequest>,
    lease_at_arming: u32,
    /// Value and service of each MV in the last approval of this engagement.
    last: [Option<f64>; MVS],
    moved_cycle: u64,
}

/// How often each thing happened: a property that was never put to the test has not held.
#[derive(Default)]
struct Tally {
    resets: Cell<u32>,
    refusals: Cell<u32>,
    engagements: Cell<u32>,
    moves: Cell<u32>,
    sheds: Cell<u32>,
    trips: Cell<u32>,
    recommendations: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// CV1 by its own transmitter, CV2 by any of its three.
fn critical_data_usable(world: &World) -> bool {
    let usable = |n: usize| {
        world.samples[n].is_some_and(|s| {
            s.quality == Quality::Good && s.value.is_finite() && world.now.since(s.source_time) <= T * 5 / 2
        })
    };
    usable(0) && [1, 3, 4].into_iter().any(usable)
}

impl Judge {
    fn new() -> Self {
        let (last, lease_at_arming) = ([None; MVS], 0);
        Self { before: State::Boot, first_out: None, asked: None, lease_at_arming, last, moved_cycle: 0 }
    }

    fn judge(&mut self, world: &World, proposal: Option<&ProposedMove>, d: &Decision, tally: &Tally) {
        self.latches(world, d, tally);
        self.worst_decides(world, proposal, d);
        match &d.verdict {
            Verdict::Pass(approved) => self.approval(world, approved, d, tally),
            Verdict::Recommend(r) => {
                count(&tally.recommendations);
                assert_eq!(d.state, State::Advisory);
                let ours = |mv: &usize| r.concerns[*mv];
                let inside = |mv: usize| [r.u[mv], r.low[mv], r.high[mv]].iter().all(|u| (0.0..=100.0).contains(u));
                assert!((0..MVS).filter(ours).all(|mv| inside(mv) && r.low[mv] <= r.high[mv]), "{r:?}");
            }
            Verdict::Trip(_) => assert_eq!(d.state, State::Tripped),
            Verdict::Withhold(_) => {}
        }
        if d.state == State::Armed && self.before != State::Armed {
            self.lease_at_arming = world.dcs.lease.value;
        }
        if !d.state.is_engaged() {
            self.last = [None; MVS];
        }
        self.asked = world.dcs.mode_req.good().or(self.asked);
        (self.before, self.first_out) = (d.state, d.first_out);
    }

    /// I3, I4, I5, I7.
    fn latches(&self, world: &World, d: &Decision, tally: &Tally) {
        let latched = |s| matches!(s, State::Tripped | State::Shed);
        let edge = self.asked == Some(ModeRequest::Off)
            && world.dcs.mode_req.good().is_some_and(|now| now >= ModeRequest::Warm);
        if latched(self.before) && !latched(d.state) {
            count(&tally.resets);
            assert_eq!(d.state, State::Ready, "I3");
            assert!(edge, "I3: no edge of the operator");
            assert!(world.dcs.permit.good() == Some(true) && world.link_up, "I4");
            assert!(critical_data_usable(world), "I4");
            let cv1 = world.samples[0].map(|s| s.value);
            assert!(cv1.is_some_and(|v| (0.0..=100.0).contains(&v)), "I4: {cv1:?}");
        } else if latched(self.before) {
            if edge {
                count(&tally.refusals);
                assert!(d.events.iter().any(|e| matches!(e, crate::Event::Refused { .. })), "a silent refusal");
            }
            assert_eq!(d.first_out, self.first_out, "I7");
        }
        if self.before != State::Shed && d.state == State::Shed {
            count(&tally.sheds);
        }
        if !latched(self.before) && d.state == State::Tripped && self.before != State::Boot {
            count(&tally.trips);
        }
        if matches!(d.state, State::Boot | State::Tripped | State::Shed) {
            assert!(!matches!(d.verdict, Verdict::Pass(_)), "I5");
            assert!(d.first_out.is_some());
        }
    }

    /// I15 and I6: of the causes that stand on the interface, the hardest has its state in the same step.
    fn worst_decides(&self, world: &World, proposal: Option<&ProposedMove>, d: &Decision) {
        let trip = proposal.is_some_and(|p| p.u.iter().any(|u| !u.is_finite()))
            || world.samples[0].is_some_and(|s| {
                s.quality == Quality::Good && s.value.is_finite() && !(0.0..=100.0).contains(&s.value)
            });
        let withdrawn = world.dcs.permit.good() != Some(true) || world.dcs.wd_ok.good() != Some(true);
        let changed = world.config_hash != crate::ConfigHash(0xabc);
        if changed {
            assert!(!d.state.is_engaged() && d.state != State::Armed, "check 22: {:?}", d.state);
        }
        if trip {
            assert_eq!(d.state, State::Tripped, "I15");
        } else if withdrawn && self.before.is_engaged() {
            assert!(matches!(d.state, State::Shed | State::Tripped), "I15: {:?}", d.state);
        }
    }

    /// I1, I2, I8, I11, I12.
    fn approval(&mut self, world: &World, approved: &ApprovedMove, d: &Decision, tally: &Tally) {
        for mv in 0..MVS {
            assert!(approved.set_point(mv).is_none_or(|u| (0.0..=100.0).contains(&u)), "I1: {approved:?}");
        }
        assert!(approved.valid_until() <= world.now + T);
        if approved.kind() == MoveKind::Track {
            assert!(matches!(d.state, State::Ready | State::Advisory | State::Armed), "tracked in {:?}", d.state);
            for mv in 0..MVS {
                let sp_act = world.dcs.mvs[mv].sp_act.value;
                assert!(approved.set_point(mv).is_none_or(|u| (u - sp_act).abs() <= 1e-4));
            }
            return;
        }
        count(&tally.moves);
        assert!(d.state.is_engaged(), "I11: moved in {:?}", d.state);
        assert_eq!(world.dcs.lease.good(), Some(approved.lease()), "I8");
        assert_ne!(approved.lease(), self.lease_at_arming, "I8");
        let first = self.last.iter().all(Option::is_none);
        if first {
            count(&tally.engagements);
        } else {
            assert!(approved.cycle() > self.moved_cycle, "two moves in one cycle");
        }
        self.moved_cycle = approved.cycle();
        for mv in 0..MVS {
            let read = &world.dcs.mvs[mv];
            if !approved.in_service(mv) {
                self.last[mv] = None;
                continue;
            }
            let u = approved.u()[mv];
            let (lo, hi) = (read.clamp_lo.value.max(0.0), read.clamp_hi.value.min(100.0));
            assert!((lo..=hi).contains(&u), "I1: MV{} {u} outside {lo}..{hi}", mv + 1);
            let from = self.last[mv].unwrap_or(read.sp_act.value);
            let step = (u - from.max(lo).min(hi)).abs();
            if self.last[mv].is_some() {
                assert!(step <= 5.0 + 1e-9, "I2: MV{} moved by {step}", mv + 1);
            } else {
                assert!(step <= 5.0 + 1e-9, "I12: MV{} engaged with {step}", mv + 1);
                assert!(!first || step <= 1e-4, "I12: MV{} engaged with {step}", mv + 1);
            }
            self.last[mv] = Some(u);
        }
    }
}

/// Lives a life under the judge; a twin of the interlock must decide alike, bit for bit (I14).
fn live(reach: Reach, engaged: bool, steps: &[Step], tally: &Tally) {
    let mut world = World::with_everything(reach);
    let config = super::world::everything(reach);
    let (mut interlock, mut twin) =
        (Interlock::build(config.clone(), Latch::default()), Interlock::build(config, Latch::default()));
    let mut judge = Judge::new();
    let prefix = UP.iter().filter(|_| engaged).map(|t| ((*t).to_owned(), 12));
    let life = steps.iter().flat_map(|(event, number, scans)| match EVENTS[*event] {
        "@" => UP.map(|t| (t.to_owned(), 12)).to_vec(),
        one => vec![(one.replace('#', &number.to_string()), *scans)],
    });
    for (tokens, scans) in prefix.chain(life) {
        tokens.split_whitespace().for_each(|token| change(&mut world, token));
        for _ in 0..scans {
            world.pass_time();
            let proposal = world.proposal();
            let inputs = world.inputs(proposal.as_ref());
            let decision = interlock.step(&inputs, world.now);
            let other = twin.step(&inputs, world.now);
            assert_eq!(format!("{decision:?}"), format!("{other:?}"), "I14");
            judge.judge(&world, proposal.as_ref(), &decision, tally);
            world.react(&decision);
        }
    }
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, proptest::test_runner::TestRng::deterministic_rng(Default::default()))
}

#[test]
fn the_invariants_hold_over_random_lives() {
    let tally = Tally::default();
    let run = runner(2000).run(&any_life(), |(engaged, steps)| {
        live(Reach::ClosedLoop, engaged, &steps, &tally);
        Ok(())
    });
    run.unwrap_or_else(|e| panic!("{e}"));
    for (what, seen, least) in [
        ("resets", &tally.resets, 100),
        ("refusals", &tally.refusals, 100),
        ("engagements", &tally.engagements, 300),
        ("moves", &tally.moves, 500),
        ("sheds", &tally.sheds, 200),
        ("trips", &tally.trips, 100),
        ("recommendations", &tally.recommendations, 10),
    ] {
        println!("{what}: {}", seen.get());
        assert!(seen.get() >= least, "only {} {what}: the property was hardly tested", seen.get());
    }
}

#[test]
fn a_loop_that_may_not_engage_never_passes_anything() {
    let tally = Tally::default();
    for reach in [Reach::Shadow, Reach::Advisory] {
        let run = runner(100).run(&any_life(), |(engaged, steps)| {
            live(reach, engaged, &steps, &tally);
            Ok(())
        });
        run.unwrap_or_else(|e| panic!("{e}"));
    }
    assert_eq!(tally.moves.get() + tally.engagements.get(), 0);
    assert!(tally.resets.get() > 0 && tally.recommendations.get() > 0);
}

//! For any cell of a matrix: how to provoke its cause in a [`World`], and when the cause is then present.

use signals::dcs::{ModeRequest, MvMode};
use signals::{Proposer, Quality, SolveStatus, Stamp, Values};

use super::world::{T, World};
use crate::config_hash::ConfigHash;
use crate::inputs::PolicyReport;
use crate::matrix::Cell;
use crate::row::Row;
use crate::subject::Subject;

/// What is done to a world, before a scan that is counted from 0.
type Change = Box<dyn Fn(&mut World, u32)>;

/// How a cause is provoked.
pub(super) struct Stimulus {
    /// Done once.
    pub(super) begin: Box<dyn Fn(&mut World)>,
    /// Done before every scan from then on.
    pub(super) go_on: Change,
    /// In which scan, counted from 1, the cause is present: the earliest and the latest.
    pub(super) present: (u64, u64),
}

impl Stimulus {
    fn once(present: (u64, u64), begin: impl Fn(&mut World) + 'static) -> Self {
        Self { begin: Box::new(begin), go_on: Box::new(|_, _| {}), present }
    }

    fn at_once(begin: impl Fn(&mut World) + 'static) -> Self {
        Self::once((1, 1), begin)
    }

    fn scan_by_scan(present: (u64, u64), go_on: impl Fn(&mut World, u32) + 'static) -> Self {
        Self { begin: Box::new(|_| {}), go_on: Box::new(go_on), present }
    }
}

/// The next proposal after [`World::after_a_proposal`].
const NEXT_PROPOSAL: (u64, u64) = (10, 10);

/// How to provoke the cause of `cell` in a world of that shape that is engaged and at rest, right after a proposal.
pub(super) fn provoke(cell: &Cell, world: &World) -> Stimulus {
    match cell.subject {
        Subject::Tag(measured) => of_tag(cell.row, world.transmitters_of(usize::from(measured.tag))),
        Subject::Mv(mv) => of_mv(cell.row, usize::from(mv)),
        Subject::Balance(_) => Stimulus::at_once(|w| w.measure(0, 40.0)),
        Subject::Loop if cell.row.check().is_some() => of_loop(cell.row),
        Subject::Loop => of_hand_shake(cell.row),
    }
}

/// `all` are the tag's transmitters, its own first: a vote of three is wrong only when all three are.
fn of_tag(row: Row, all: Vec<usize>) -> Stimulus {
    let tag = all[0];
    let each = move |change: fn(&mut World, usize)| {
        let all = all.clone();
        move |w: &mut World| all.iter().for_each(|n| change(w, *n))
    };
    let bad = |w: &mut World, n: usize| w.samples[n].as_mut().unwrap().quality = Quality::Bad;
    match row {
        Row::Quality => Stimulus::at_once(each(bad)),
        Row::Age => Stimulus::once((26, 26), each(|w, n| w.frozen[n] = true)),
        Row::NotFinite => Stimulus::at_once(each(|w, n| w.measure(n, f64::NAN))),
        Row::Range => Stimulus::at_once(each(|w, n| w.measure(n, 150.0))),
        Row::Rate => {
            let jump = each(|w, n| w.measure(n, w.base[n] + 15.0));
            Stimulus::scan_by_scan((1, 1), move |w, _| jump(w))
        }
        // It stands still from the first scan on, and the input moves at the second.
        Row::Frozen => {
            let still = each(|w, n| w.swing[n] = 0.0);
            Stimulus::scan_by_scan((9, 9), move |w, n| {
                still(w);
                w.dcs.mvs[0].sp_act.value += if n == 1 { 3.0 } else { 0.0 };
            })
        }
        Row::Spike => {
            let out = each(|w, n| w.measure(n, 50.0 + 3.0 * (w.base[n] - 50.0).max(3.0)));
            Stimulus::scan_by_scan((1, 1), move |w, _| out(w))
        }
        Row::Transmitter => Stimulus::at_once(|w| w.measure(3, 70.0)),
        Row::TwoDisagree => Stimulus::at_once(move |w| {
            bad(w, 3);
            w.measure(4, 70.0);
        }),
        Row::OneLeft => Stimulus::at_once(move |w| {
            bad(w, 3);
            bad(w, 4);
        }),
        Row::Residual => Stimulus::at_once(move |w| w.expected[tag] = Some(70.0)),
        Row::Drift => Stimulus::once((4, 5), move |w| w.expected[tag] = Some(44.0)),
        Row::Sequence => {
            let skip = each(|w, n| w.samples[n].as_mut().unwrap().sequence += 9);
            Stimulus::scan_by_scan((1, 1), move |w, _| skip(w))
        }
        other => panic!("{other} is no row of a tag"),
    }
}

fn of_mv(row: Row, mv: usize) -> Stimulus {
    match row {
        // The DCS confirms 55 and 60 and stays at 50, where it might be for two cycles.
        Row::Readback => Stimulus::once((20, 30), move |w| {
            w.stuck[mv] = true;
            w.propose = Some([60.0; 2]);
        }),
        Row::Travel => Stimulus::scan_by_scan((7, 7), move |w, n| {
            w.dcs.mvs[mv].sp_act.value += if n < 7 { 3.0 } else { 0.0 };
        }),
        Row::Chatter => Stimulus::scan_by_scan((8, 8), move |w, n| {
            w.dcs.mvs[mv].sp_act.value += if n % 2 == 0 { 1.0 } else { -1.0 };
        }),
        Row::LeftRcas => Stimulus::at_once(move |w| w.dcs.mvs[mv].mode.value = MvMode::Auto),
        Row::CommandNotFinite => proposes(mv, f64::NAN),
        Row::CommandRange => Stimulus::once(NEXT_PROPOSAL, move |w| {
            w.dcs.mvs[mv].clamp_hi.value = 52.0;
            w.propose.as_mut().unwrap()[mv] = 53.0;
        }),
        Row::CommandRate => proposes(mv, 60.0),
        Row::WritesFail => Stimulus::at_once(move |w| w.writes.failures[mv] = 2),
        Row::OperatorLimits => Stimulus::at_once(move |w| w.dcs.mvs[mv].lo_opr.quality = Quality::Bad),
        other => panic!("{other} is no row of an MV"),
    }
}

fn proposes(mv: usize, u: f64) -> Stimulus {
    Stimulus::once(NEXT_PROPOSAL, move |w| w.propose.as_mut().unwrap()[mv] = u)
}

fn policy(distance: f64, away: f64) -> Stimulus {
    Stimulus::once(NEXT_PROPOSAL, move |w| {
        w.proposer = Proposer::Policy;
        w.policy = Some(PolicyReport { cycle: 0, distance, reference: Values::collect([50.0 + away, 50.0]) });
    })
}

fn of_loop(row: Row) -> Stimulus {
    match row {
        Row::OutOfDistribution => policy(1.5, 0.0),
        Row::Disagreement => policy(0.5, 30.0),
        Row::ClockJump => Stimulus::at_once(|w| w.wall_ahead += T * 10),
        Row::ConfigHash => Stimulus::at_once(|w| w.config_hash = ConfigHash(7)),
        Row::ScanOverrun => Stimulus::at_once(|w| w.now = w.now + T / 2),
        Row::ControllerSilent => Stimulus::at_once(|w| w.propose = None),
        Row::NoProposalLeft => Stimulus::at_once(|w| w.no_proposal_left = true),
        Row::HbDcs => Stimulus::at_once(|w| w.hb_dcs_runs = false),
        // It is missed from the next beat on, which is due once a cycle.
        Row::HbEcho => Stimulus::once((1, 12), |w| w.echo_runs = false),
        Row::Link => Stimulus::once((1, 2), |w| w.link_up = false),
        // The next cycle's solve is the first that fails.
        Row::SolverHold | Row::SolverShed => Stimulus::once((7, 8), |w| w.solver = Some(SolveStatus::Infeasible)),
        other => panic!("{other} is no row of the loop"),
    }
}

fn of_hand_shake(row: Row) -> Stimulus {
    let change: fn(&mut World) = match row {
        Row::Permit => |w| w.dcs.permit.value = false,
        Row::WdOk => |w| w.dcs.wd_ok.value = false,
        Row::Lease => |w| w.dcs.lease.value += 1,
        Row::NoMvInService => |w| w.dcs.mvs.iter_mut().for_each(|mv| mv.mode.value = MvMode::Auto),
        Row::Boot => |w| *w = World::with_everything(crate::Reach::ClosedLoop),
        Row::ClockBack => |w| w.now = Stamp::from_nanos(w.now.nanos() - 2_000_000_000),
        Row::Inconsistent => |w| w.cycle_offset = 2,
        other => panic!("{other} is no row of the hand-shake"),
    };
    Stimulus::at_once(change)
}

impl World {
    /// The transmitters of a tag, its own first. Only CV2 has spares here.
    fn transmitters_of(&self, tag: usize) -> Vec<usize> {
        let spared = self.interlock.config().tags[tag].spares_tolerance.is_some();
        if spared { vec![tag, 3, 4] } else { vec![tag] }
    }

    /// Goes on to the scan after the next proposal.
    pub(super) fn after_a_proposal(&mut self) {
        while self.proposal().is_none() {
            self.scan();
        }
        assert_eq!(self.dcs.mode_req.value, ModeRequest::On);
    }
}

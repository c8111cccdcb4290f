//! One test per cell of the cause-and-effect matrix of a loop with every check in force.
//!
//! Each provokes the cause of its cell where nothing else that can be configured may do more than warn, expects the effect
//! within the delay plus one scan and nothing before the delay, and then runs its negative control: with that check
//! switched off, nothing happens. A cause of the hand-shake has no switch; its control is that nothing happens without it.

use std::time::Duration;

use super::stimulus::provoke;
use super::world::{T, World, everything};
use crate::cause::Cause;
use crate::check::CheckSet;
use crate::config::{InterlockConfig, Reach};
use crate::latch::Latch;
use crate::limits::Bound;
use crate::matrix::Cell;
use crate::reaction::{Effect, Reaction};
use crate::row::Row;
use crate::verdict::{Decision, Event, State, Why};

const SCAN: Duration = Duration::from_millis(100);

/// The configuration in which only `cell` may do more than warn, of what is configured.
fn alone(cell: &Cell) -> InterlockConfig {
    let mut config = everything(Reach::ClosedLoop);
    for other in config.matrix().into_iter().filter(|other| !other.fixed && other != cell) {
        let calm = Reaction::of(Effect::Warn, other.delay);
        *config.configured_mut(other.row, other.subject).unwrap() = calm;
    }
    config
}

fn is_of(cell: &Cell, cause: &Cause) -> bool {
    let row = match cell.row {
        Row::SolverShed => Row::SolverHold,
        row => row,
    };
    cause.row() == row && cause.subject() == cell.subject
}

/// Whether a decision shows the effect of the cell, by the cause of the cell.
fn reacts(cell: &Cell, decision: &Decision) -> bool {
    let target = match cell.effect {
        Effect::Warn | Effect::Clamp => None,
        Effect::Hold => Some(State::Hold),
        Effect::Ramp => Some(State::Ramp),
        Effect::StandDown => Some(State::Ready),
        Effect::Shed => Some(State::Shed),
        Effect::Trip => Some(State::Tripped),
    };
    decision.events.iter().any(|event| match event {
        Event::Raised { cause, effect } => target.is_none() && is_of(cell, cause) && *effect == cell.effect,
        Event::Changed { to, why: Why::Cause(cause), .. } => Some(*to) == target && is_of(cell, cause),
        Event::Changed { to, why: Why::Started, .. } => Some(*to) == target && cell.row == Row::Boot,
        Event::Clamped { mv, by, .. } => {
            let row = if *by == Bound::Rate { Row::CommandRate } else { Row::CommandRange };
            cell.row == row && cell.subject == crate::Subject::Mv(u16::from(*mv))
        }
        _ => false,
    })
}

/// Provokes the cause of a cell; the first scan of `scans` that reacts, and the state after all of them.
fn play(cell: &Cell, off: CheckSet, provoked: bool, scans: u64) -> (Option<u64>, State) {
    let config = InterlockConfig { switched_off: off, ..alone(cell) };
    let mut world = World::alive(config, Latch::default());
    assert_eq!(world.engage().state, State::Active, "{cell}");
    world.after_a_proposal();
    let stimulus = provoke(cell, &world);
    if provoked {
        (stimulus.begin)(&mut world);
    }
    let (mut first, mut state) = (None, State::Active);
    for scan in 1..=scans {
        if provoked {
            (stimulus.go_on)(&mut world, scan as u32 - 1);
        }
        let decision = world.scan();
        if reacts(cell, &decision) {
            first = first.or(Some(scan));
        }
        state = decision.state;
    }
    (first, state)
}

/// Holds one cell to its word.
pub(super) fn hold_to_its_word(cell: &Cell) {
    let delay = cell.delay.as_nanos().div_ceil(SCAN.as_nanos()) as u64;
    let world = World::with_everything(Reach::ClosedLoop);
    let (earliest, latest) = provoke(cell, &world).present;
    let (first, _) = play(cell, CheckSet::EMPTY, true, latest + delay + 20);
    let first = first.unwrap_or_else(|| panic!("no reaction: {cell}"));
    assert!(first >= earliest + delay, "scan {first} is before the delay: {cell}");
    assert!(first <= latest + delay + 1, "scan {first} is too late: {cell}");
    let off = cell.row.check().map_or(CheckSet::EMPTY, |check| CheckSet::EMPTY.with(check));
    let control = play(cell, off, cell.row.check().is_some(), latest + delay + 20);
    assert_eq!(control, (None, State::Active), "negative control: {cell}");
}

fn cells() -> Vec<Cell> {
    everything(Reach::ClosedLoop).matrix()
}

/// The name of a cell's test: its row and its subject.
fn name(cell: &Cell) -> (String, String) {
    (cell.row.key().to_owned(), cell.subject.to_string().to_lowercase().replace("loop", "the_loop"))
}

macro_rules! one_test_per_cell {
    ($($row:ident: $($subject:ident)+;)+) => {
        $(mod $row {
            $(#[test]
            fn $subject() {
                let named = (stringify!($row).to_owned(), stringify!($subject).to_owned());
                let cell = super::cells().into_iter().find(|cell| super::name(cell) == named);
                super::hold_to_its_word(&cell.expect("the matrix has this cell"));
            })+
        })+
        const TESTED: &[(&str, &str)] = &[$($((stringify!($row), stringify!($subject))),+),+];
    };
}

one_test_per_cell! {
    quality: cv1 cv2 dv1;
    age: cv1 cv2 dv1;
    not_finite: cv1 cv2 dv1;
    range: cv1 cv2 dv1;
    rate: cv1 cv2 dv1;
    frozen: cv1 cv2 dv1;
    spike: cv1 cv2 dv1;
    transmitter: cv2;
    two_disagree: cv2;
    one_left: cv2;
    residual: cv1 cv2 dv1;
    drift: cv1 cv2 dv1;
    sequence: cv1 cv2 dv1;
    balance: balance1;
    readback: mv1 mv2;
    travel: mv1 mv2;
    chatter: mv1 mv2;
    left_rcas: mv1 mv2;
    command_not_finite: mv1 mv2;
    command_range: mv1 mv2;
    command_rate: mv1 mv2;
    writes_fail: mv1 mv2;
    operator_limits: mv1 mv2;
    out_of_distribution: the_loop;
    disagreement: the_loop;
    clock_jump: the_loop;
    config_hash: the_loop;
    scan_overrun: the_loop;
    controller_silent: the_loop;
    no_proposal_left: the_loop;
    hb_dcs: the_loop;
    hb_echo: the_loop;
    link: the_loop;
    solver_hold: the_loop;
    solver_shed: the_loop;
    permit: the_loop;
    wd_ok: the_loop;
    lease: the_loop;
    no_mv_in_service: the_loop;
    boot: the_loop;
    clock_back: the_loop;
    inconsistent: the_loop;
}

#[test]
fn every_cell_has_its_test_and_every_check_its_cell() {
    let cells = cells();
    let names: Vec<_> = cells.iter().map(name).collect();
    let tested: Vec<_> = TESTED.iter().map(|(row, subject)| ((*row).to_owned(), (*subject).to_owned())).collect();
    assert_eq!(names, tested);
    for check in crate::CheckId::ALL {
        assert!(cells.iter().any(|cell| cell.row.check() == Some(check)), "{check:?}");
    }
    assert!(cells.iter().all(|cell| cell.delay < T * 10));
}

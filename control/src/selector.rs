//! Who proposes the next move: the ordered fallback before the interlock.
//!
//! ```text
//! this cycle's plan  ->  the next move of the last feasible plan  ->  the set-points in use  ->  nothing: shed
//!       Mpc                          LastPlan                               Hold                   Shed
//! ```
//!
//! Each step down is bounded in cycles. A step up needs nothing but a fresh plan; that a shed loop does not come back
//! by itself is the interlock's latch, not the selector's.
//!
//! # Invariants
//! - Every proposal has exactly one finite set-point per MV.
//! - A plan's move `k` is proposed in the cycle `k` after the plan's, or never: a plan is neither stretched nor
//!   replayed.
//! - Without a plan the selector sheds at the latest `plan_max_age + hold_max` cycles after the last one.
//! - No allocation, no clock.

use std::time::Duration;

use signals::{MAX_MVS, ProposedMove, Proposer, SolveStatus, Stamp, Values};

use crate::mpc::{MpcOutcome, Plan};

/// How long each fallback may carry the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectorConfig {
    /// Cycles for which the last feasible plan may be played on; 0 for not at all. A plan ends with its moves in any
    /// case.
    pub plan_max_age: u64,
    /// Cycles in a row for which the set-points in use may be held; 0 for not at all.
    pub hold_max: u64,
}

/// What the selector is given each cycle.
#[derive(Clone, Copy, Debug)]
pub struct SelectorInput<'a> {
    /// The control cycle.
    pub cycle: u64,
    /// Plant time.
    pub now: Stamp,
    /// How long a proposal made now may be used.
    pub valid_for: Duration,
    /// The newest outcome of the controller, if any has arrived.
    pub outcome: Option<&'a MpcOutcome>,
    /// The set-points in use, one per MV in model units.
    pub u_current: &'a [f64],
}

/// What the selector chose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Selection {
    /// A move for the interlock to judge.
    Move(ProposedMove),
    /// Nothing is left to propose: the loop must go back to the DCS.
    Shed,
}

/// A plan that was feasible when it was made.
#[derive(Clone, Copy, Debug)]
struct Feasible {
    plan: Plan,
    solve: SolveStatus,
}

/// The selector of one loop.
#[derive(Clone, Debug)]
pub struct Selector {
    config: SelectorConfig,
    last: Option<Feasible>,
    /// The first cycle of the present run of holds.
    holding_since: Option<u64>,
}

impl Selector {
    /// A selector that knows no plan.
    #[must_use]
    pub fn new(config: SelectorConfig) -> Self {
        Self { config, last: None, holding_since: None }
    }

    /// Chooses the proposal of a cycle.
    ///
    /// A plan that arrives after its own cycle is not this cycle's, but takes the place of an older one in memory. An
    /// outcome without a usable plan, or with one that does not give every MV a finite set-point, changes nothing.
    pub fn step(&mut self, input: &SelectorInput<'_>) -> Selection {
        self.remember(input);
        if let Some((proposer, feasible, u)) = self.planned(input) {
            self.holding_since = None;
            return Selection::Move(ProposedMove {
                proposer,
                cycle: input.cycle,
                computed_at: feasible.plan.computed_at,
                valid_until: input.now + input.valid_for,
                u,
                solve: feasible.solve,
            });
        }
        match self.held(input) {
            Some(u) => Selection::Move(ProposedMove {
                proposer: Proposer::Hold,
                cycle: input.cycle,
                computed_at: input.now,
                valid_until: input.now + input.valid_for,
                u,
                solve: SolveStatus::NotRun,
            }),
            None => Selection::Shed,
        }
    }

    /// Keeps the input's plan if it is sound, not of the future, and not older than the one known.
    fn remember(&mut self, input: &SelectorInput<'_>) {
        // A cycle that runs back leaves plans of the future behind.
        self.last = self.last.filter(|known| known.plan.cycle <= input.cycle);
        let Some(outcome) = input.outcome.filter(|outcome| outcome.status.is_usable()) else { return };
        let Some(plan) = outcome.plan.filter(|plan| plan.cycle <= input.cycle) else { return };
        let sound = !plan.u.is_empty() && plan.u.iter().all(|u| fits(u, input.u_current.len()));
        let newer = self.last.is_none_or(|known| plan.cycle >= known.plan.cycle);
        if sound && newer {
            self.last = Some(Feasible { plan, solve: outcome.status });
        }
    }

    /// The move of the known plan for this cycle, while the plan is young enough and has one.
    fn planned(&self, input: &SelectorInput<'_>) -> Option<(Proposer, Feasible, Values<MAX_MVS>)> {
        let feasible = self.last?;
        let age = input.cycle.checked_sub(feasible.plan.cycle).filter(|age| *age <= self.config.plan_max_age)?;
        let u = feasible.plan.u.get(usize::try_from(age).ok()?)?;
        let proposer = if age == 0 { Proposer::Mpc } else { Proposer::LastPlan };
        fits(u, input.u_current.len()).then_some((proposer, feasible, *u))
    }

    /// The set-points in use, while holding is allowed and they are numbers.
    fn held(&mut self, input: &SelectorInput<'_>) -> Option<Values<MAX_MVS>> {
        let since = self.holding_since.filter(|since| *since <= input.cycle).unwrap_or(input.cycle);
        self.holding_since = Some(since);
        let u = Values::collect(input.u_current.iter().copied());
        let allowed = input.cycle - since < self.config.hold_max && !u.is_empty();
        (allowed && fits(&u, input.u_current.len())).then_some(u)
    }
}

/// Whether `u` gives each of `mvs` MVs a finite set-point.
fn fits(u: &[f64], mvs: usize) -> bool {
    u.len() == mvs && u.iter().all(|u| u.is_finite())
}

#[cfg(test)]
mod tests {
    use signals::Fixed;

    use super::*;

    const CONFIG: SelectorConfig = SelectorConfig { plan_max_age: 3, hold_max: 2 };

    fn values<const CAP: usize>(items: &[f64]) -> Values<CAP> {
        Values::collect(items.iter().copied())
    }

    /// A plan of `moves` moves whose move k is `10 cycle + k`.
    fn plan(cycle: u64, moves: usize) -> Plan {
        let first = 10.0 * cycle as f64;
        Plan {
            cycle,
            computed_at: Stamp::from_secs_f64(cycle as f64 + 0.5),
            u: Fixed::collect((0..moves).map(|k| values(&[first + k as f64]))),
            cv_next: values(&[0.0]),
            cv_end: values(&[0.0]),
            cost: 0.0,
            given_up: Fixed::filled(false, 1),
        }
    }

    fn outcome(status: SolveStatus, plan: Option<Plan>) -> MpcOutcome {
        MpcOutcome { status, plan, iterations: 7, kkt_residual: 1e-9, guarded: None }
    }

    fn input(cycle: u64, outcome: Option<&MpcOutcome>) -> SelectorInput<'_> {
        let now = Stamp::from_secs_f64(cycle as f64);
        SelectorInput { cycle, now, valid_for: Duration::from_secs(1), outcome, u_current: &[-1.0] }
    }

    fn show(selection: Selection) -> String {
        match selection {
            Selection::Shed => "shed".to_owned(),
            Selection::Move(m) => {
                let who = match m.proposer {
                    Proposer::Policy => "policy",
                    Proposer::Mpc => "mpc",
                    Proposer::LastPlan => "last-plan",
                    Proposer::Hold => "hold",
                };
                format!("{who} {}", m.u[0])
            }
        }
    }

    /// Plays a table of `cycle outcome | selection`. An outcome is `-`, a status without a plan, or
    /// `status@cycle*moves`; a plan's move k is `10 cycle + k`, and -1 is in use.
    #[track_caller]
    fn play(config: SelectorConfig, table: &str) {
        let mut selector = Selector::new(config);
        for line in table.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (given, expected) = line.split_once('|').unwrap();
            let (cycle, arrived) = given.trim().split_once(char::is_whitespace).unwrap();
            let (word, made) = arrived.trim().split_once('@').unwrap_or((arrived.trim(), ""));
            let made = made.split_once('*').map(|(at, moves)| plan(at.parse().unwrap(), moves.parse().unwrap()));
            let status = match word {
                "solved" => SolveStatus::Solved,
                "limit" => SolveStatus::IterationLimit,
                "late" => SolveStatus::TimeLimit,
                _ => SolveStatus::Infeasible,
            };
            let outcome = (word != "-").then(|| outcome(status, made));
            let selection = selector.step(&input(cycle.parse().unwrap(), outcome.as_ref()));
            assert_eq!(show(selection), expected.trim(), "{line}");
        }
    }

    #[test]
    fn the_fallbacks_are_taken_in_order_and_run_out() {
        play(
            CONFIG,
            "1 solved@1*16   | mpc 10
             2 solved@2*16   | mpc 20
             3 -             | last-plan 21
             4 late          | last-plan 22
             5 infeasible    | last-plan 23
             6 -             | hold -1
             7 infeasible    | hold -1
             8 -             | shed
             9 -             | shed
            10 solved@10*16  | mpc 100
            11 -             | last-plan 101
            14 -             | hold -1
            15 -             | hold -1
            16 -             | shed",
        );
    }

    #[test]
    fn before_the_first_plan_it_holds_and_then_sheds() {
        play(CONFIG, "5 - | hold -1\n 6 late | hold -1\n 7 - | shed");
        play(SelectorConfig { hold_max: 0, ..CONFIG }, "5 - | shed");
    }

    #[test]
    fn a_plan_ends_with_its_moves_whatever_its_age_allows() {
        play(
            SelectorConfig { plan_max_age: 30, hold_max: 1 },
            "1 solved@1*3 | mpc 10
             2 -          | last-plan 11
             3 -          | last-plan 12
             4 -          | hold -1
             5 -          | shed",
        );
        play(SelectorConfig { plan_max_age: 0, hold_max: 1 }, "1 solved@1*3 | mpc 10\n 2 - | hold -1");
    }

    #[test]
    fn a_plan_that_comes_late_is_played_from_where_the_cycle_is() {
        play(
            CONFIG,
            "1 solved@1*16 | mpc 10
             2 -           | last-plan 11
             3 solved@2*16 | last-plan 21
             4 solved@1*16 | last-plan 22
             5 solved@1*16 | last-plan 23",
        );
    }

    #[test]
    fn missed_cycles_count() {
        play(CONFIG, "1 solved@1*16 | mpc 10\n 4 - | last-plan 13\n 5 - | hold -1\n 9 - | shed");
    }

    #[test]
    fn a_plan_of_the_future_or_without_moves_is_none() {
        play(CONFIG, "1 solved@2*16 | hold -1\n 2 solved@2*0 | hold -1\n 3 - | shed");
        play(CONFIG, "9 solved@9*16 | mpc 90\n 3 - | hold -1\n 9 - | shed");
    }

    #[test]
    fn only_a_usable_status_makes_a_plan() {
        play(CONFIG, "1 limit@1*16 | mpc 10\n 2 late@2*16 | last-plan 11\n 3 infeasible@3*16 | last-plan 12");
    }

    #[test]
    fn a_plan_with_one_number_missing_or_not_finite_is_not_proposed() {
        let good = outcome(SolveStatus::Solved, Some(plan(1, 4)));
        for bad_move in [values(&[f64::NAN]), values(&[f64::INFINITY]), values(&[]), values(&[1.0, 2.0])] {
            let mut bad = plan(2, 4);
            bad.u[3] = bad_move;
            let bad = outcome(SolveStatus::Solved, Some(bad));
            let mut selector = Selector::new(CONFIG);
            assert_eq!(show(selector.step(&input(1, Some(&good)))), "mpc 10");
            assert_eq!(show(selector.step(&input(2, Some(&bad)))), "last-plan 11", "{bad_move:?}");
        }
    }

    #[test]
    fn set_points_that_are_no_numbers_cannot_be_held() {
        for u_current in [&[f64::NAN][..], &[f64::NEG_INFINITY], &[], &[0.0; MAX_MVS + 1]] {
            let mut selector = Selector::new(CONFIG);
            let selection = selector.step(&SelectorInput { u_current, ..input(1, None) });
            assert_eq!(selection, Selection::Shed, "{u_current:?}");
        }
    }

    #[test]
    fn a_proposal_says_whose_it_is_and_until_when() {
        let mut selector = Selector::new(CONFIG);
        let solved = outcome(SolveStatus::IterationLimit, Some(plan(1, 4)));
        let expected = ProposedMove {
            proposer: Proposer::Mpc,
            cycle: 1,
            computed_at: Stamp::from_secs_f64(1.5),
            valid_until: Stamp::from_secs_f64(2.0),
            u: values(&[10.0]),
            solve: SolveStatus::IterationLimit,
        };
        assert_eq!(selector.step(&input(1, Some(&solved))), Selection::Move(expected));
        let next = ProposedMove {
            proposer: Proposer::LastPlan,
            cycle: 2,
            valid_until: Stamp::from_secs_f64(3.0),
            u: values(&[11.0]),
            ..expected
        };
        assert_eq!(selector.step(&input(2, None)), Selection::Move(next));
    }

    #[test]
    fn a_step_does_not_allocate() {
        let solved = outcome(SolveStatus::Solved, Some(plan(0, 16)));
        let mut selector = Selector::new(CONFIG);
        let mut shed = 0;
        let counted = allocation_counter::measure(|| {
            for cycle in 0..20 {
                shed += u32::from(selector.step(&input(cycle, Some(&solved))) == Selection::Shed);
            }
        });
        assert_eq!((counted.count_total, shed), (0, 14));
    }
}

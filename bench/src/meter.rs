//! How a scenario is timed, and its allocations counted. The one place of `bench` that reads a clock.
//!
//! Rule: the scenario is deterministic, so a step's time is the least over the repetitions; what disturbs a machine only
//! ever adds. Statistics are then taken over the steps. A step has two parts: what can be done before the measurement
//! is known (preparation), and what stands between the measurement and its move (feedback).

use std::time::{Duration, Instant};

/// One deterministic run of steps.
pub trait Scenario {
    /// Steps of one run.
    fn steps(&self) -> usize;

    /// Back to the state before step 0. Not timed.
    fn start(&mut self);

    /// Step `k`; what is timed goes through the meter. True if the step did what it should.
    fn step(&mut self, k: usize, meter: &mut Meter) -> bool;
}

/// What a meter does with the parts that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Time,
    CountAllocations,
}

/// Times, or counts the allocations of, the parts of one step.
#[derive(Debug)]
pub struct Meter {
    mode: Mode,
    preparation_us: f64,
    feedback_us: Option<f64>,
    allocations: u64,
}

impl Meter {
    fn new(mode: Mode) -> Self {
        Self { mode, preparation_us: 0.0, feedback_us: None, allocations: 0 }
    }

    /// Runs a part that does not need the measurement, or a step that is not divided.
    pub fn preparation<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let (out, us) = self.run(part);
        self.preparation_us += us;
        out
    }

    /// Runs the part from the measurement to the move.
    pub fn feedback<T>(&mut self, part: impl FnOnce() -> T) -> T {
        let (out, us) = self.run(part);
        *self.feedback_us.get_or_insert(0.0) += us;
        out
    }

    #[allow(clippy::disallowed_methods, reason = "times our own commands; nothing here is part of the loop")]
    fn run<T>(&mut self, part: impl FnOnce() -> T) -> (T, f64) {
        if self.mode == Mode::Time {
            let started = Instant::now();
            let out = part();
            return (out, started.elapsed().as_secs_f64() * 1e6);
        }
        // `measure` takes a closure without a result; `part` always runs, so the second arm is never reached.
        let (mut part, mut out) = (Some(part), None);
        let info = allocation_counter::measure(|| out = part.take().map(|part| part()));
        self.allocations += info.count_total;
        match out {
            Some(out) => (out, 0.0),
            None => unreachable!("the measured closure was run"),
        }
    }
}

/// How often a scenario is repeated.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Timed repetitions, at least 1.
    pub repetitions: usize,
    /// No further repetition is begun after so long, s.
    pub budget_s: f64,
}

/// What the repetitions of a scenario gave.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Least time of each step, µs, both parts together.
    pub us: Vec<f64>,
    /// Least time of each step's feedback part, µs; `None` where steps are not divided.
    pub feedback_us: Option<Vec<f64>>,
    /// Steps that did not do what they should.
    pub failures: u32,
    /// Allocations of all steps of one run together.
    pub allocations: u64,
    /// Repetitions that were timed.
    pub repetitions: usize,
}

/// Runs the scenario once to count allocations and failures, and then timed as often as `effort` says.
pub fn measure(scenario: &mut dyn Scenario, effort: Effort) -> Measured {
    let steps = scenario.steps();
    let mut measured = Measured { us: vec![f64::INFINITY; steps], ..Measured::default() };
    let mut feedback_us = vec![f64::INFINITY; steps];
    let mut divided = false;
    scenario.start();
    for k in 0..steps {
        let mut meter = Meter::new(Mode::CountAllocations);
        measured.failures += u32::from(!scenario.step(k, &mut meter));
        measured.allocations += meter.allocations;
        divided |= meter.feedback_us.is_some();
    }
    let watch = Stopwatch::start();
    while measured.repetitions < effort.repetitions.max(1) {
        scenario.start();
        for (k, (least, least_feedback)) in measured.us.iter_mut().zip(&mut feedback_us).enumerate() {
            let mut meter = Meter::new(Mode::Time);
            scenario.step(k, &mut meter);
            let feedback = meter.feedback_us.unwrap_or(0.0);
            *least = least.min(meter.preparation_us + feedback);
            *least_feedback = least_feedback.min(feedback);
        }
        measured.repetitions += 1;
        if watch.seconds() > effort.budget_s {
            break;
        }
    }
    measured.feedback_us = divided.then_some(feedback_us);
    measured
}

/// Wall time of the timed parts of one run, for a harness that does its own statistics.
pub fn one_run(scenario: &mut dyn Scenario) -> Duration {
    scenario.start();
    let mut meter = Meter::new(Mode::Time);
    for k in 0..scenario.steps() {
        scenario.step(k, &mut meter);
    }
    Duration::from_secs_f64(1e-6 * (meter.preparation_us + meter.feedback_us.unwrap_or(0.0)))
}

/// Wall time since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "times our own commands; nothing here is part of the loop")]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Seconds since the start.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that spin for as long as they are told, longer in the first repetition; step 2 fails and allocates.
    struct Spin {
        runs: usize,
    }

    impl Scenario for Spin {
        fn steps(&self) -> usize {
            4
        }

        fn start(&mut self) {
            self.runs += 1;
        }

        fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
            let slow = if self.runs < 3 { 400.0 } else { 40.0 };
            let spin = |us: f64| {
                let watch = Stopwatch::start();
                while watch.seconds() * 1e6 < us {}
            };
            meter.preparation(|| spin(slow));
            let boxes = meter.feedback(|| {
                spin(slow / 4.0);
                if k == 2 { vec![Box::new(k)] } else { Vec::new() }
            });
            boxes.is_empty()
        }
    }

    #[test]
    fn a_steps_time_is_its_least_and_both_parts_count() {
        let measured = measure(&mut Spin { runs: 0 }, Effort { repetitions: 8, budget_s: 10.0 });
        let feedback = measured.feedback_us.unwrap();
        for (us, feedback) in measured.us.iter().zip(&feedback) {
            assert!(*us >= 50.0 && *us < 400.0, "{us}");
            assert!(*feedback >= 10.0 && feedback < us, "{feedback} {us}");
        }
        assert_eq!(measured.repetitions, 8);
    }

    #[test]
    fn failures_and_allocations_are_those_of_one_run() {
        let measured = measure(&mut Spin { runs: 0 }, Effort { repetitions: 3, budget_s: 10.0 });
        assert_eq!(measured.failures, 1);
        assert_eq!(measured.allocations, 2, "a vector and its box");
    }

    #[test]
    fn one_run_takes_the_sum_of_its_parts() {
        let run = one_run(&mut Spin { runs: 2 });
        assert!(run >= Duration::from_micros(4 * 50) && run < Duration::from_millis(50), "{run:?}");
    }

    #[test]
    fn the_budget_ends_the_repetitions_but_one_is_always_made() {
        let measured = measure(&mut Spin { runs: 0 }, Effort { repetitions: 100, budget_s: 0.0 });
        assert_eq!(measured.repetitions, 1);
        assert!(measured.us.iter().all(|us| us.is_finite()));
    }
}

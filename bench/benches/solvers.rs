//! Every benchmark under criterion, for development: `cargo bench -p bench -- qp/quad`.
//!
//! A sample is one run of all steps of a scenario, of which only the timed parts count, per step. What is reported to
//! others comes from `cargo xtask bench`, whose rule is the minimum over repetitions of each step.

#![allow(clippy::expect_used, clippy::print_stderr, reason = "a development tool")]

use std::time::Duration;

use bench::cases::{self, Bench, Options};
use bench::meter::{self, Effort};
use criterion::{Criterion, Throughput};

fn main() {
    let mut criterion = Criterion::default().sample_size(20).configure_from_args();
    let options = Options { effort: Effort { repetitions: 1, budget_s: 0.0 }, traces: false };
    let mut bench = Bench::new(options).expect("the specification that is compiled in can be read");
    // Sequences take time to make: only those that are asked for.
    let filter = std::env::args().skip(1).find(|arg| !arg.starts_with('-')).unwrap_or_default();
    for case in cases::all().iter().filter(|case| case.name.contains(&filter)) {
        let lent = bench.with_scenario(case, &mut |scenario| {
            let mut group = criterion.benchmark_group(case.name.split('/').next().unwrap_or("bench"));
            group.throughput(Throughput::Elements(scenario.steps() as u64));
            group.bench_function(case.name.split_once('/').map_or("", |(_, rest)| rest), |b| {
                b.iter_custom(|runs| (0..runs).map(|_| meter::one_run(scenario)).sum::<Duration>());
            });
            group.finish();
        });
        if let Err(error) = lent {
            eprintln!("{}: {error:#}", case.name);
        }
    }
    criterion.final_summary();
}

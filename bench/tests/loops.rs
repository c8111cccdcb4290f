//! A few loops in one process, for some seconds: what a fault in one does to the others.

use std::time::Duration;

use bench::loops::{Options, run};

const OPTIONS: Options = Options { loops: 6, period: Duration::from_millis(250), periods: 40, one_thread: false };

#[test]
fn wall_a_crash_a_hang_and_a_solver_that_never_returns_leave_the_other_loops_alone() {
    let report = run(&OPTIONS, &|line| println!("{line}")).unwrap();
    println!("{report:#?}");
    for row in &report.rows {
        assert_eq!(row.engaged, 3, "{}", row.load);
        assert!(row.n as u64 + 6 >= row.cycles, "{}: {} moves in {} cycles", row.load, row.n, row.cycles);
    }
    let [crashes, _hangs, sticks] = &report.faulty[..] else { panic!("three faults") };
    assert!(crashes.restarts >= 1 && crashes.state == "Active", "{crashes:?}");
    assert_eq!((sticks.solvers_replaced, sticks.solvers_hung, &*sticks.state), (3, 4, "Shed"), "{sticks:?}");
}

#[test]
fn wall_on_one_control_thread_a_stage_that_does_not_return_takes_every_loop() {
    // The negative control.
    let report = run(&Options { one_thread: true, ..OPTIONS }, &|line| println!("{line}")).unwrap();
    let [idle, faults] = &report.rows[..] else { panic!("two phases") };
    assert!(idle.n > 100 && faults.n < idle.n / 10, "{} moves, then {}", idle.n, faults.n);
}

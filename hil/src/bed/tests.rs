//! The bed with its first scenarios: each passes, and without its guard fails.

use std::path::Path;

use super::*;
use crate::verdict::judge;

fn scenario(name: &str) -> Scenario {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("campaigns/cstr/{name}.toml"));
    Scenario::load(&file).unwrap_or_else(|e| panic!("{e}"))
}

/// What fails of a scenario, with its guard on and off.
fn both(name: &str) -> (Vec<String>, Vec<String>) {
    let scenario = scenario(name);
    let failed = |off: Option<&Guard>| {
        let record = run(&scenario, off).unwrap();
        let findings = judge(&scenario.pass, &record).into_iter().filter(|f| !f.ok);
        findings.map(|f| format!("{}: {} instead of {}", f.criterion, f.actual, f.expected)).collect::<Vec<_>>()
    };
    (failed(None), failed(Some(&scenario.negative)))
}

#[test]
fn the_first_scenarios_pass_and_fail_without_their_guard() {
    let mut wrong = Vec::new();
    for name in ["link-drop", "permit", "kill", "nan-weights", "infeasible", "feed-step"] {
        let (with, without) = both(name);
        println!("{name}: with {with:#?} without {without:#?}");
        if !with.is_empty() || without.is_empty() {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_same_scenario_gives_the_same_record() {
    let scenario = scenario("link-drop");
    assert_eq!(run(&scenario, None).unwrap(), run(&scenario, None).unwrap());
}

/// Five minutes of the reactor, with this from the second minute on.
fn felt(fault: &str) -> Record {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("campaigns/cstr/felt.toml");
    let table = if fault.is_empty() { String::new() } else { format!("[[fault]]\nat_s = 120.0\n{fault}\n") };
    let text = format!(
        "title = \"a fault\"\nrequirements = [\"felt\"]\nduration_s = 300.0\n{table}[pass]\nlate_scans_max = 1000000\n[negative]\nguard = \"interlock\"\n"
    );
    let scenario = Scenario::parse_beside(&file, &text).unwrap_or_else(|e| panic!("{e}"));
    run(&scenario, None).unwrap()
}

/// Whether such a cause was told of after the fault began.
fn told(record: &Record, row: &str) -> bool {
    record.raised.iter().any(|raised| raised.row == row && raised.t_s >= 120.0)
}

/// Whether the DCS got its MVs back between two times.
fn released(record: &Record, (from_s, to_s): (f64, f64)) -> bool {
    record.released_s.iter().any(|t_s| (from_s..=to_s).contains(t_s))
}

/// A fault that changes nothing that can be seen would be none: each has a mark by which it is known, and without the fault
/// the mark is not there.
macro_rules! one_test_per_fault {
    ($($name:ident: $fault:literal => $mark:expr;)+) => {$(
        #[test]
        fn $name() {
            let mark: fn(&Record) -> bool = $mark;
            let record = felt($fault);
            assert!(mark(&record), "modes {:?}\nraised {:?}\nnotes {:?}\nreleased {:?}", record.modes, record.raised, record.notes, record.released_s);
            assert!(!mark(&felt("")), "the negative control: the mark is there without the fault");
        }
    )+};
}

one_test_per_fault! {
    device_restart: "kind = \"device_restart\"\nuntil_s = 125.0" => |r| released(r, (120.0, 122.0)) && told(r, "hb_dcs");
    session_loss: "kind = \"session_loss\"\nuntil_s = 200.0" => |r| told(r, "hb_dcs") && released(r, (140.0, 200.0));
    certificate_expiry: "kind = \"certificate_expiry\"\nuntil_s = 200.0" => |r| told(r, "hb_dcs") && released(r, (140.0, 200.0));
    clock_jump: "kind = \"clock_jump\"\nby_s = 3600.0" => |r| told(r, "clock_jump");
    disk_full: "kind = \"disk_full\"" => |r| r.notes.iter().any(|note| note.contains("No space left"));
    io_error: "kind = \"io_error\"" => |r| r.notes.iter().any(|note| note.contains("Bad file descriptor"));
    kill: "kind = \"kill\"\nuntil_s = 200.0" =>
        |r| released(r, (120.0, 160.0)) && r.notes.iter().any(|note| note.contains("started again at 200"));
    cpu_hog: "kind = \"cpu_hog\"\nstall_s = 3.0\nevery_s = 20.0" => |r| told(r, "scan_overrun");
    infeasible: "kind = \"infeasible\"" => |r| told(r, "solver_hold");
    time_out: "kind = \"time_out\"\nlate_s = 1000.0" => |r| told(r, "solver_hold") || told(r, "controller_silent");
    out_of_distribution: "kind = \"out_of_distribution\"" => |r| told(r, "command_rate") || told(r, "command_range");
    panic: "kind = \"panic\"\non = \"estimator\"\ntimes = 2" => |r| r.restarts == 2;
    nan_weights: "kind = \"nan_weights\"" => |r| told(r, "command_not_finite");
    corrupt_checkpoint: "kind = \"corrupt_checkpoint\"\non = \"mpc\"" => |r| r.restarts == 3;
    frozen_output: "kind = \"frozen_output\"" => |r| r.trend.mvs.iter().all(|mv| mv.sp_act[130..].iter().all(|u| (u - mv.sp_act[130]).abs() < 1e-12));
}

/// A watchdog that somebody holds re-armed does not take the MVs from an application that is dead.
#[test]
fn dcs_watchdog_off() {
    let kill = "kind = \"kill\"";
    let without = format!("{kill}\n[[fault]]\nat_s = 120.0\nkind = \"dcs_watchdog_off\"");
    assert!(felt(&without).held_at_the_end);
    assert!(!felt(kill).held_at_the_end, "the negative control");
}

/// A controller that believes in the wrong sign drives the reactor away from its set-points.
#[test]
fn wrong_model() {
    let wrong = felt("kind = \"wrong_model\"\non = \"MV1\"\ngain = -1.0");
    assert!(wrong.cost.0 > 10.0 * felt("").cost.0, "{:?}", wrong.cost);
}

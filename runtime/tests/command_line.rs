//! The program `outrigger` as a shell sees it: exit status, standard output, standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test speaks by panicking, helpers of tests too"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// The environment variable of the shipped plant files.
const PASSWORD: &str = "OUTRIGGER_DCS_PASSWORD";

fn outrigger() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.env_remove("RUST_LOG").env_remove(PASSWORD).stdin(Stdio::null());
    command
}

fn cstr() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml")
}

/// A run whose state lies in `dir`.
fn run_in(dir: &Path) -> Command {
    let mut command = outrigger();
    command.arg("run").arg(cstr()).arg("--state").arg(dir.join("state")).current_dir(dir);
    command
}

/// The plant file with three faults.
fn faulty(dir: &Path) -> PathBuf {
    let text = fs::read_to_string(cstr()).unwrap();
    let text = text.replace("period_s = 18.0", "period_s = 0").replace("unit = \"kJ/h\"", "unit = \"bar\"");
    let file = dir.join("faulty.toml");
    fs::write(&file, text.replace("hold_max = 2", "hold_maximum = 2")).unwrap();
    file
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Both streams, after making sure that nothing panicked.
fn said(output: &Output) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!err.contains("panic"), "{err}");
    (out, err)
}

#[test]
fn check_ends_with_0_for_a_sound_file() {
    let output = outrigger().arg("check").arg(cstr()).output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert!(out.contains("in order (revision ") && out.contains("2 MVs, 3 CVs, 1 DVs"), "{out}");
    assert!(err.is_empty(), "{err}");
}

#[test]
fn check_ends_with_1_and_tells_every_fault_on_standard_error() {
    let dir = tempfile::tempdir().unwrap();
    let output = outrigger().arg("check").arg(faulty(dir.path())).output().unwrap();
    let (out, err) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(out.is_empty(), "{out}");
    for key in ["`loop.period_s` = 0", "`mpc.hold_max` is missing", "`mpc.hold_maximum` = 2", "`mv[2].unit` = \"bar\""]
    {
        assert!(err.lines().any(|line| line.contains("faulty.toml:") && line.contains(key)), "{key}: {err}");
    }
    assert!(err.trim_end().ends_with("4 faults"), "{err}");
}

#[test]
fn check_speaks_json_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    for (file, code, faults) in [(cstr(), 0, 0), (faulty(dir.path()), 1, 4)] {
        let output = outrigger().arg("check").arg(file).arg("--json").output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let (out, err) = said(&output);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}{err}"));
        assert_eq!(json["ok"].as_bool(), Some(code == 0));
        assert_eq!(json["faults"].as_array().unwrap().len(), faults);
        for fault in json["faults"].as_array().unwrap() {
            assert!(fault["line"].is_u64() && fault["key"].is_string() && fault["expected"].is_string(), "{fault}");
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_said_once() {
    for task in ["check", "run", "browse"] {
        let output = outrigger().args([task, "none.toml"]).output().unwrap();
        let (_, err) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{task}");
        assert_eq!(err.matches("none.toml: cannot be read: No such file or directory").count(), 1, "{err}");
        assert_eq!(err.matches("No such file").count(), 1, "{err}");
    }
}

#[test]
fn run_refuses_a_faulty_file() {
    let dir = tempfile::tempdir().unwrap();
    let output = outrigger().arg("run").arg(faulty(dir.path())).arg("--pki").arg(dir.path()).output().unwrap();
    let (_, err) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(err.contains("`mpc.hold_max` is missing") && err.contains("`mv[2].unit` = \"bar\""), "{err}");
}

#[test]
fn a_speed_below_the_walls_is_refused_by_the_command_line() {
    let output = outrigger().arg("run").arg(cstr()).args(["--speed", "0.5"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn run_without_its_password_says_which_variable_it_wants() {
    let dir = tempfile::tempdir().unwrap();
    let output = run_in(dir.path()).args(OVERRIDE).arg("--pki").arg(dir.path().join("pki")).output().unwrap();
    let (_, err) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{err}");
    let wanted = "password of user \"outrigger\" from the environment variable OUTRIGGER_DCS_PASSWORD";
    assert!(err.contains(wanted) && err.contains("not found"), "{err}");
}

/// A port at which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The lines of a stream as they come.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1024);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Kills the program if the test fails before it has ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn run_without_a_server_keeps_trying_says_so_and_ends_in_order_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let mut command = run_alone(dir.path(), &["--report"]);
    let mut running = Running(command.arg(&report).spawn().unwrap());
    let log = lines(running.0.stderr.take().unwrap());
    let mut tries = 0;
    while tries < 2 {
        let line = log.recv_timeout(Duration::from_secs(60)).expect("a try at least every few seconds");
        assert!(!line.contains("panic") && !line.contains("never sent"), "{line}");
        if line.contains("no connection to the DCS") {
            assert!(line.contains("opc.tcp://127.0.0.1:"), "{line}");
            tries += 1;
        }
    }
    assert!(running.0.try_wait().unwrap().is_none(), "it ended by itself");
    let told = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!(report["reconnects"], 0);
    assert!(report["real_time"].is_null() && report["watchdog"].is_null(), "{report}");
    assert!(report["states"].as_array().unwrap().iter().all(|state| state != "Active"), "{report}");
}

/// Standard error is a pipe that is full to the last byte: whoever writes to it waits for ever.
#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let (mut unread, mut log) = std::io::pipe().unwrap();
    log.write_all(&[b'.'; 65_536]).unwrap();
    let mut command = run_alone(dir.path(), &["--report"]);
    let mut running = Running(command.arg(&report).stderr(log).spawn().unwrap());
    drop(command);
    std::thread::sleep(Duration::from_secs(3));
    let told = Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap();
    assert!(told.success());
    let ended = (0..400).find_map(|_| {
        std::thread::sleep(Duration::from_millis(50));
        running.0.try_wait().unwrap()
    });
    assert_eq!(ended.expect("it waits for a reader of its log").code(), Some(0));
    assert!(report.exists());
    let mut told = Vec::new();
    unread.read_to_end(&mut told).unwrap();
    assert_eq!(told.len(), 65_536, "the control: not one line could be written");
}

/// A loop that was never commissioned, at what passes for a rig.
const OVERRIDE: [&str; 4] = ["--override", "a test", "--override-hours", "1"];

/// A run for which nobody listens, with these arguments more.
fn run_alone(dir: &Path, more: &[&str]) -> Command {
    let mut command = run_in(dir);
    let endpoint = format!("opc.tcp://127.0.0.1:{}/", free_port());
    command.args(["--endpoint", &endpoint]).args(OVERRIDE).env(PASSWORD, "never sent");
    command.arg("--pki").arg(dir.join("pki")).args(more).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn real_time_on_a_cpu_that_is_not_there_is_refused_before_anything_is_tried() {
    let dir = tempfile::tempdir().unwrap();
    let (_, err) = said(&run_alone(dir.path(), &["--rt", "1023"]).output().unwrap());
    // Without the other rights, one of them is refused first.
    let refused = ["CPU 1023 is refused", "mlockall is refused", "SCHED_FIFO 81 is refused"];
    assert!(refused.iter().any(|what| err.matches(what).count() == 1), "{err}");
    assert!(!err.contains("connection"), "{err}");
}

/// Where the system permits it: the grant is told, in the log and in the report, and only the control thread and the
/// watchdog are real-time threads. Where it does not: the run is refused, and the limit is named.
#[test]
fn wall_real_time_is_for_the_control_thread_and_the_watchdog_alone_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let mut command = run_alone(dir.path(), &["--rt", "--rt-priority", "20", "--report"]);
    let mut running = Running(command.arg(&report).spawn().unwrap());
    let log = lines(running.0.stderr.take().unwrap());
    let granted = loop {
        let Ok(line) = log.recv_timeout(Duration::from_secs(60)) else { panic!("neither granted nor refused") };
        if line.contains("SCHED_FIFO") || line.contains("mlockall") {
            break line;
        }
    };
    if granted.contains("refused") {
        assert!(granted.contains("RLIMIT_") || granted.contains("real-time budget"), "{granted}");
        assert_eq!(running.0.wait().unwrap().code(), Some(1));
        return;
    }
    assert!(granted.contains("SCHED_FIFO 20 on CPU") && granted.contains("KiB locked"), "{granted}");
    while !log.recv_timeout(Duration::from_secs(60)).unwrap().contains("no connection") {}
    let threads = actors::kernel::rt::threads(running.0.id());
    let mut real_time: Vec<_> = threads.iter().filter(|t| t.priority > 0).map(|t| (&*t.thread, t.priority)).collect();
    real_time.sort_unstable();
    assert_eq!(real_time, [("outrigger-contr", 20), ("outrigger-watch", 21)], "{threads:?}");
    let solver = threads.iter().find(|t| t.thread == "outrigger-mpc").expect("the solver's thread");
    let control = threads.iter().find(|t| t.priority == 20).unwrap();
    assert!(!control.cpus.contains(['-', ',']), "pinned: {control:?}");
    assert_eq!(solver.cpus, threads.iter().find(|t| t.thread == "outrigger").unwrap().cpus);
    assert!(Command::new("kill").args(["-TERM", &running.0.id().to_string()]).status().unwrap().success());
    assert_eq!(running.0.wait().unwrap().code(), Some(0));
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(report).unwrap()).unwrap();
    assert_eq!((&report["real_time"]["fifo_priority"], &report["watchdog"]), (&20.into(), &serde_json::Value::Null));
    assert!(report["stages"].as_array().unwrap().iter().any(|probe| probe["name"] == "release"), "{report}");
}

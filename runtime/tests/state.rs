//! What a loop keeps over restarts: through kills, damage, two runs at once, and the commands that people give.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test speaks by panicking; the writer that is killed speaks through its standard output"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use runtime::state::{LatchFile, StateError, StateFolder, Trail, calendar};
use safety::CheckId;
use safety::Latch;
use safety::bypass::{Account, Act, Target};

/// Where the writer that is killed has its state.
const FOLDER: &str = "OUTRIGGER_TEST_STATE";

fn latch(cycle: u64) -> Latch {
    let text = r#"{"first_out":{"cause":"no_permit","at_ns":77,"cycle":CYCLE}}"#;
    serde_json::from_str(&text.replace("CYCLE", &cycle.to_string())).unwrap()
}

fn who(name: &str) -> Account {
    Account { name: name.to_owned(), os_user: "test".to_owned() }
}

/// Not a test but the writer: writes without end, and says what is kept.
#[test]
#[ignore = "the child of a test, which kills it"]
fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (trail, latch_file) = (Trail::of(Path::new(&folder)), LatchFile::of(Path::new(&folder)));
    let begun = latch_file.read().unwrap().and_then(|latch| latch.first_out()).map_or(0, |f| f.cycle);
    for n in begun + 1.. {
        let request = |id| Act::Request {
            id,
            check: CheckId::Age,
            target: Target::Tag(format!("T{n}")),
            reason: "x".repeat(2000),
            life_s: 60,
        };
        let (act, acted) = trail.act((who("Abel"), calendar().unwrap()), |book| request(book.next_id())).unwrap();
        acted.unwrap();
        latch_file.write(&latch(n)).unwrap();
        let Act::Request { id, .. } = act else { unreachable!() };
        println!("kept {id} {n}");
    }
}

/// The numbers of the last request and latch of which a writer said that they are kept, before it was killed.
fn killed_after(folder: &Path, lifetime: Duration) -> Option<(usize, u64)> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["writer", "--exact", "--ignored", "--nocapture"]).env(FOLDER, folder);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kept = None;
    let mut take = |line: &str| {
        // The harness speaks on the same line.
        let numbers = line.split_once("kept ").map(|(_, numbers)| numbers.split(' '));
        let mut numbers = numbers.into_iter().flatten();
        let pair = numbers.next().and_then(|id| id.parse().ok()).zip(numbers.next().and_then(|n| n.parse().ok()));
        kept = pair.or(kept);
        pair.is_some()
    };
    while !take(&lines.next().unwrap().unwrap()) {}
    std::thread::sleep(lifetime);
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines.map_while(Result::ok) {
        let _ = take(&line);
    }
    kept
}

#[test]
fn a_writer_that_is_killed_again_and_again_loses_nothing_that_it_said_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (trail, mut torn) = (dir.path().join("bypass.jsonl"), 0);
    for kill in 0..20_u64 {
        let (id, n) = killed_after(dir.path(), Duration::from_micros(kill * kill * 137)).unwrap();
        torn += u32::from(!std::fs::read(&trail).unwrap().ends_with(b"\n"));
        let book = Trail::of(dir.path()).read().unwrap();
        let numbers: Vec<_> = book.all().iter().map(|shown| shown.id as usize).collect();
        assert!(numbers.len() >= id, "kill {kill}: {id} was said to be kept, {} is there", numbers.len());
        assert!(numbers.iter().copied().eq(1..=numbers.len()), "kill {kill}");
        let first_out = LatchFile::of(dir.path()).read().unwrap().unwrap().first_out().unwrap();
        assert!(first_out.cycle >= n, "kill {kill}: latch {n} was said to be kept, {} is there", first_out.cycle);
    }
    println!("{torn} of 20 kills tore a line");
}

/// The negative control: what a plain write leaves when it is cut off is found out, wherever it was cut.
#[test]
fn a_file_that_is_cut_off_is_damaged_and_the_line_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = LatchFile::of(dir.path());
    assert_eq!(file.read().unwrap(), None);
    file.write(&latch(3)).unwrap();
    assert_eq!(file.read().unwrap(), Some(latch(3)));
    let path = dir.path().join("latch.json");
    let whole = std::fs::read(&path).unwrap();
    // The last byte is the end of the last line.
    for cut in 0..whole.len() - 1 {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let Err(StateError::Damaged { file, line, .. }) = file.read() else { panic!("cut at {cut}") };
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert!(file == path && (lines..=lines + 1).contains(&line), "cut at {cut}: line {line}");
    }
}

#[test]
fn a_torn_last_line_does_not_count_and_is_cut_off_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let (trail, path) = (Trail::of(dir.path()), dir.path().join("bypass.jsonl"));
    let request = |id| Act::Request {
        id,
        check: CheckId::Age,
        target: Target::Loop,
        reason: "calibration".to_owned(),
        life_s: 60,
    };
    // Check 2 is not of the loop: refused, and written down.
    let act = || trail.act((who("Abel"), calendar().unwrap()), |book| request(book.next_id())).unwrap().1;
    assert!(act().is_err());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..], &whole[..40]].concat()).unwrap();
    assert!(trail.read().is_ok());
    assert!(act().is_err());
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2);
    assert!(text.lines().all(|line| line.contains("refused") && line.contains("Abel")), "{text}");
}

#[test]
fn any_changed_digit_of_the_trail_is_found_and_its_line_said() {
    let dir = tempfile::tempdir().unwrap();
    let (trail, path) = (Trail::of(dir.path()), dir.path().join("bypass.jsonl"));
    for (name, id) in [("Abel", 1), ("Abel", 2)] {
        let act = Act::Request {
            id,
            check: CheckId::Age,
            target: Target::Tag("AI101".into()),
            reason: "calibration".into(),
            life_s: 3600,
        };
        assert!(trail.act((who(name), calendar().unwrap()), |_| act).unwrap().1.is_ok());
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(trail.read().is_ok(), "the negative control");
    let second = text.find('\n').unwrap() + 1;
    for (place, digit) in text.char_indices().filter(|(_, c)| c.is_ascii_digit()) {
        let other = if digit == '7' { "8" } else { "7" };
        std::fs::write(&path, [&text[..place], other, &text[place + 1..]].concat()).unwrap();
        let Err(StateError::Damaged { line, .. }) = trail.read() else { panic!("{place}: {digit} for {other}") };
        assert_eq!(line, if place < second { 1 } else { 2 }, "{place}");
    }
}

#[test]
fn a_damaged_latch_is_set_aside_and_not_overwritten_and_the_folder_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latch.json");
    for n in 1..=2 {
        std::fs::write(&path, format!("{{\n  \"first_out\": nonsense {n}\n}}\n")).unwrap();
        let state = StateFolder::take(dir.path()).unwrap();
        assert_eq!(state.latch(), Latch::default());
        assert!(!path.exists());
        let aside = std::fs::read_to_string(dir.path().join(format!("latch.json.damaged-{n}"))).unwrap();
        assert!(aside.contains(&format!("nonsense {n}")));
    }
    LatchFile::of(dir.path()).write(&latch(5)).unwrap();
    assert_eq!(
        StateFolder::take(dir.path()).unwrap().latch(),
        latch(5),
        "the negative control: a sound one is taken up"
    );
}

#[test]
fn a_folder_is_taken_by_one_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateFolder::take(dir.path()).unwrap();
    assert!(matches!(StateFolder::take(dir.path()), Err(StateError::Held(_))));
    let mut command = outrigger();
    command.args(["run", "--override", "a test", "--override-hours", "1"]).arg(cstr()).current_dir(dir.path());
    let output = command.arg("--state").arg(dir.path()).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("another run of the loop has it"), "{said}");
    drop(first);
    assert!(StateFolder::take(dir.path()).is_ok());
}

fn outrigger() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.env_remove("RUST_LOG").env("OUTRIGGER_DCS_PASSWORD", "never sent").stdin(Stdio::null());
    command
}

fn cstr() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml")
}

fn bypass(state: &Path, args: &str) -> Output {
    let mut command = outrigger();
    let mut words = args.split(' ');
    command.arg("bypass").arg(words.next().unwrap()).arg("--plant").arg(cstr()).arg("--state").arg(state);
    command.args(words).output().unwrap()
}

/// What it said, and that it ended well or did not.
fn says(output: &Output) -> (bool, String) {
    let bytes = if output.status.success() { &output.stdout } else { &output.stderr };
    (output.status.success(), String::from_utf8(bytes.clone()).unwrap())
}

#[test]
fn two_people_and_a_reason_make_a_bypass_and_everything_else_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let good = "request --check age --tag AI101 --reason calibration --hours 2 --by Abel";
    let table = [
        ("--check age", "--check not_finite", "check 3 is never bypassed"),
        ("--check age", "--check 16", "check 16 is never bypassed"),
        ("--check age", "--check travels", "no such check; there are quality, age"),
        ("--check age", "--check solver_status", "does not look at that"),
        ("--tag AI101", "--tag AI999", "AI999 is not in the plant file; there are AI101"),
        ("--tag AI101", "--mv AI101", "AI101 is not in the plant file; there are FC101"),
        ("--hours 2", "--hours 8.1", "at most 28800 s"),
        ("--hours 2", "--hours 0", "expected more than 0"),
        ("--by Abel", "--by ", "a name is needed"),
        ("--reason calibration", "--reason ", "a reason is needed"),
        (" --reason calibration", "", "--reason"),
    ];
    for (old, new, said) in table {
        let (ok, text) = says(&bypass(dir.path(), &good.replace(old, new)));
        assert!(!ok && text.contains(said), "{new}: {text}");
    }
    for (task, ok, said) in [
        ("approve --id 1 --by Baker", false, "no bypass of number 1"),
        (good, true, "bypass 1 waits"),
        ("approve --id 1 --by ABEL", false, "another person must"),
        ("list", true, "waiting for an approval"),
        ("approve --id 1 --by Baker", true, "bypass 1 is in force until 20"),
        (good, false, "bypassed already, by number 1"),
        ("list", true, "1: check 2 (Age) on AI101: in force until 20"),
        ("revoke --id 1 --reason done --by Abel", true, "bypass 1 is revoked"),
        ("list --json", true, "\"standing\":\"revoked\""),
        (good, true, "bypass 2 waits"),
    ] {
        let (did, text) = says(&bypass(dir.path(), task));
        assert!(did == ok && text.contains(said), "{task}: {text}");
    }
    // Who, what, when, why, to what end: also of what was refused.
    let trail = std::fs::read_to_string(dir.path().join("bypass.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let refused = lines.iter().filter(|line| line["entry"]["outcome"]["refused"].is_string()).count();
    assert!(lines.len() >= 12 && refused >= 8, "{trail}");
    assert!(lines.iter().all(|line| line["when"].is_string() && line["entry"]["by"]["os_user"].is_string()), "{trail}");
}

#[test]
fn a_damaged_trail_is_said_with_its_line_by_every_command_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bypass.jsonl");
    let text = "{\"nonsense\":1}\n";
    std::fs::write(&file, text).unwrap();
    for task in ["list", "approve --id 1 --by Baker", "request --check age --tag AI101 --reason x --hours 2 --by Abel"]
    {
        let (ok, said) = says(&bypass(dir.path(), task));
        assert!(!ok && said.contains("bypass.jsonl:1: "), "{task}: {said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

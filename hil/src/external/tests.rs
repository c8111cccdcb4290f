//! Plants outside that behave and that do not: a process, a socket, and what the rig shows meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use signals::Quality;

use super::*;

const OFFER: &str = concat!(
    r#"{"protocol":1,"name":"a tank","#,
    r#""inputs":[{"name":"PUMP","unit":"%","low":0,"high":100,"nominal":50}],"#,
    r#""outputs":[{"name":"LEVEL","unit":"m","low":0,"high":2,"nominal":1}]}"#
);

const TIME_OUT: Duration = Duration::from_secs(10);

/// A shell script that greets, starts at a level of 1 m, and then does `rest` with the lines that it reads.
fn script(rest: &str) -> Place {
    let words = format!("read l; echo '{OFFER}'; read l; echo '{{\"y\":[1.0]}}'; {rest}");
    Place::Program(vec!["sh".to_owned(), "-c".to_owned(), words])
}

fn tank_toml() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tank.toml")
}

fn rig(place: &Place, time_out: Duration) -> Rig {
    rig_around(&tank_toml(), 1, place, time_out).unwrap_or_else(|e| panic!("{e}"))
}

const SCAN: Duration = Duration::from_millis(500);

/// What every PV shows must be bad and no number, and the reason must be told.
fn assert_blind(rig: &Rig, says: &str) {
    let pv = rig.view().cvs[0].pv;
    assert!(pv.quality == Quality::Bad && pv.value.is_nan(), "{pv:?}");
    assert!(rig.truth()[0].is_nan());
    let why = rig.plant_fault().unwrap();
    assert!(why.contains(says), "{why}");
    let told = rig.summary().alarms.iter().any(|alarm| alarm.cause == rig::report::AlarmCause::PlantSilent);
    assert!(told && rig.snapshot().plant_fault.as_deref() == Some(why));
}

#[test]
fn a_plant_that_answers_is_measured() {
    let place = script(r#"n=1; while read l; do echo "{\"n\":$n,\"y\":[1.$n]}"; n=$((n+1)); done"#);
    let mut rig = rig(&place, TIME_OUT);
    assert!((rig.truth()[0] - 1.0).abs() < 1e-12);
    rig.step(3 * SCAN);
    assert!((rig.truth()[0] - 1.3).abs() < 1e-12, "{:?}", rig.truth());
    let pv = rig.view().cvs[0].pv;
    assert!(pv.quality.is_good() && (pv.value - 1.3).abs() < 0.02 && rig.plant_fault().is_none());
    rig.step(10 * SCAN);
    let totals = rig.summary().totals;
    assert!(totals.cost > 0.0 && totals.cost_open_loop.is_nan(), "there is no twin to compare with: {totals:?}");
}

#[test]
fn a_plant_that_dies_is_told_and_never_shown_as_good() {
    let mut rig = rig(&script("read l; exit 3"), TIME_OUT);
    rig.step(SCAN);
    assert_blind(&rig, "the program has ended, exit status: 3");
    rig.command("fault CV1 stuck at=1.0").unwrap();
    rig.step(SCAN);
    assert_blind(&rig, "the program has ended");
}

#[test]
fn a_plant_that_is_late_is_bad_until_it_catches_up_and_is_given_the_time_it_owes() {
    // The second answer is held back; the script writes what it was asked for then into the level.
    let rest = r#"read l; sleep 2.5; echo '{"n":1,"y":[1.5]}'; read l; dt=${l#*\"dt_s\":}; echo "{\"n\":2,\"y\":[${dt%%,*}]}"; read l"#;
    let mut rig = rig(&script(rest), Duration::from_secs(1));
    rig.step(SCAN);
    assert_blind(&rig, "no answer to step 1 within 1 s");
    rig.step(2 * SCAN);
    assert_blind(&rig, "no answer to step 1");
    std::thread::sleep(Duration::from_secs(3));
    rig.step(SCAN);
    assert!(rig.plant_fault().is_none(), "{:?}", rig.plant_fault());
    assert!((rig.truth()[0] - 1.5).abs() < 1e-9, "three scans of half a second: {:?}", rig.truth());
    assert!(rig.view().cvs[0].pv.quality.is_good());
}

#[test]
fn a_plant_that_talks_nonsense_is_told_word_for_word() {
    for (said, says) in [
        ("hello there", "said \"hello there\", expected"),
        (r#"{"n":1,"y":[NaN]}"#, "said"),
        (r#"{"n":1,"y":[1.0,2.0]}"#, "answered 2 outputs, expected 1"),
        (r#"{"n":1}"#, "answered 0 outputs"),
        (r#"{"n":7,"y":[1.0]}"#, "answered step 7 when asked for step 1"),
        (r#"{"n":1,"z":[1.0]}"#, "unknown field `z`"),
        (r#"{"n":1,"error":"the solver diverged"}"#, "it says: the solver diverged"),
    ] {
        let mut rig = rig(&script(&format!("read l; echo '{said}'; read l")), TIME_OUT);
        rig.step(SCAN);
        assert_blind(&rig, says);
    }
}

#[test]
fn a_line_without_end_is_cut_off() {
    let mut rig = rig(&script("read l; head -c 3000000 /dev/zero | tr '\\0' x; read l"), TIME_OUT);
    rig.step(SCAN);
    assert_blind(&rig, "a line is longer than 1048576 bytes");
}

#[test]
fn what_is_no_plant_is_refused_with_the_reason() {
    let refused = |words: &[&str]| {
        let place = Place::Program(words.iter().map(|w| (*w).to_owned()).collect());
        ExternalPlant::greet(&place, Duration::from_secs(2)).unwrap_err().to_string()
    };
    assert!(refused(&["/nonexistent/plant"]).contains("cannot start `/nonexistent/plant`"));
    assert!(refused(&[]).contains("no program is named"));
    assert!(refused(&["true"]).contains("has ended"));
    assert!(refused(&["sleep", "20"]).contains("no answer to `hello` within 2 s"));
    let says = |line: &str| refused(&["sh", "-c", &format!("read l; echo '{line}'")]);
    assert!(says("hi").contains("`hello` was answered \"hi\""));
    assert!(says(&OFFER.replace(":1,\"name\"", ":9,\"name\"")).contains("protocol 9, expected 1"));
    let error = ExternalPlant::greet(&Place::Address("127.0.0.1:1".to_owned()), TIME_OUT).unwrap_err();
    assert!(error.to_string().contains("cannot connect to `127.0.0.1:1`"), "{error}");
}

#[test]
fn a_plant_file_that_does_not_fit_is_refused() {
    let offer = OFFER.replace("LEVEL", "HEIGHT");
    let place = Place::Program(vec!["sh".to_owned(), "-c".to_owned(), format!("read l; echo '{offer}'; read l")]);
    let error = rig_around(&tank_toml(), 1, &place, TIME_OUT).unwrap_err().to_string();
    assert!(error.contains("cv[0].name") && error.contains("`HEIGHT`"), "{error}");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("plants/cstr.toml");
    let error = rig_around(&model, 1, &script("read l"), TIME_OUT).unwrap_err().to_string();
    assert!(error.contains("model") && error.contains("expected `external`"), "{error}");
    let error = RigConfig::load(&tank_toml()).unwrap_err().to_string();
    assert!(error.contains("--exec or --connect"), "{error}");
}

/// A peer over TCP that greets, starts, answers `steps` steps, and hangs up.
fn peer(steps: u64) -> (Place, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = Place::Address(listener.local_addr().unwrap().to_string());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut answer = |text: String| {
            lines.next().unwrap().unwrap();
            stream.write_all((text + "\n").as_bytes()).unwrap();
        };
        answer(OFFER.to_owned());
        answer(r#"{"y":[1.0]}"#.to_owned());
        (1..=steps).for_each(|n| answer(format!(r#"{{"n":{n},"y":[1.25]}}"#)));
    });
    (place, served)
}

#[test]
fn a_peer_over_tcp_is_a_plant_until_it_hangs_up() {
    let (place, served) = peer(2);
    let mut rig = rig(&place, TIME_OUT);
    rig.step(2 * SCAN);
    assert!((rig.truth()[0] - 1.25).abs() < 1e-12 && rig.plant_fault().is_none());
    served.join().unwrap();
    rig.step(SCAN);
    assert_blind(&rig, "the connection has ended");
}

#[test]
fn a_program_that_will_not_end_is_ended() {
    let rig = rig(&script("while :; do sleep 0.05; done"), TIME_OUT);
    drop(rig);
}

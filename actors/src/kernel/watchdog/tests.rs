//! The watchdog against cycles that hang, block, starve or stand still, each with the same cycle unwatched beside it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use rustix::process::{Pid, Signal, kill_process};

use super::super::supervision::{Backoff, ChildSpec, Escalation, RestartPolicy, Supervised, Surroundings};
use super::super::{Doorbell, Pacer, Telemetry, Tick, Unobserved, Unwitnessed};
use super::*;

const BEAT: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_millis(300);

/// What goes wrong at the twentieth step.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    /// The step does not return.
    Hang,
    /// The thread blocks in the operating system.
    Block,
    /// The step takes its time and rings its own bell, for ever.
    LiveLock,
    /// The step rings its own bell for ever, and is quick.
    Echo,
    /// The step panics, again and again.
    Crash,
}

#[derive(Debug)]
struct Faulty {
    fault: Fault,
    steps: Arc<AtomicU64>,
    me: Doorbell,
}

impl Stage for Faulty {
    fn step(&mut self, _now: Stamp) {
        if self.steps.fetch_add(1, Ordering::Relaxed) < 20 {
            return;
        }
        match self.fault {
            Fault::Nothing => {}
            Fault::Hang => loop {
                std::hint::spin_loop();
            },
            Fault::Block => std::thread::sleep(Duration::from_secs(3600)),
            Fault::LiveLock => {
                // tokio looks at the timer after every 61 polls at the latest.
                std::thread::sleep(Duration::from_millis(20));
                self.me.ring(0);
            }
            Fault::Echo => self.me.ring(0),
            Fault::Crash => panic!("injected"),
        }
    }
}

/// A running cycle, as seen from outside of its thread.
struct Cycle {
    heartbeat: Heartbeat,
    clock: Clock,
    ticks: Arc<Mutex<Vec<Tick>>>,
}

impl Cycle {
    /// A control thread with a pacer, a stage and an interlock, of which `faulty` tells the one that has the fault.
    fn start(fault: Fault, faulty: Sign) -> Self {
        let cycle = Self { heartbeat: Heartbeat::new(), clock: Clock::wall(1.0), ticks: Arc::default() };
        let (heartbeat, clock, ticks) = (cycle.heartbeat.clone(), cycle.clock, Arc::clone(&cycle.ticks));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let bells = [Doorbell::new(), Doorbell::new()];
                let stage = |fault, bell: &Doorbell| {
                    let (steps, me) = (Arc::new(AtomicU64::new(0)), bell.clone());
                    move || Faulty { fault, steps: steps.clone(), me: me.clone() }
                };
                let (in_stage, in_interlock) =
                    if faulty == Sign::Beat { (fault, Fault::Nothing) } else { (Fault::Nothing, fault) };
                let stage_of = stage(in_stage, &bells[0]);
                let (guard_of, signs) = (stage(in_interlock, &bells[1]), heartbeat.clone());
                let child = |name, bell: &Doorbell, make| ChildSpec {
                    name,
                    bell: bell.clone(),
                    backoff: Backoff::Periods,
                    make,
                };
                let children = vec![
                    child("stage", &bells[0], Box::new(move || Box::new(stage_of()) as Box<dyn Stage>)),
                    child(
                        "interlock",
                        &bells[1],
                        Box::new(move || Box::new(Watched::new(guard_of(), signs.clone(), clock))),
                    ),
                ];
                let policy = RestartPolicy { period: 10 * BEAT, intensity: 1000, window_periods: 10 };
                let telemetry = Telemetry::new(Box::new(Unobserved));
                let (escalation, witness) = (Escalation::default(), Arc::new(Unwitnessed));
                let around = Surroundings { clock, telemetry, escalation, witness };
                let _tree = Supervised::start(children, policy, around).await.unwrap();
                let mut pacer = Pacer::new(&clock, BEAT).unwrap();
                loop {
                    let tick = pacer.next().await.unwrap();
                    heartbeat.give(Sign::Beat, clock.boot_ns());
                    ticks.lock().unwrap().push(tick);
                    bells.iter().for_each(|bell| bell.ring(0));
                }
            });
        });
        cycle
    }

    fn watch(&self) -> (Watchdog, Receiver<Lapse>) {
        let (tell, told) = sync_channel(1);
        let watch = Watch { limit: LIMIT, priority: None };
        (Watchdog::start(&self.heartbeat, watch, self.clock, move |lapse| tell.send(lapse).unwrap()).unwrap(), told)
    }

    /// Waits until the cycle has run for a while.
    fn warm_up(&self) {
        while self.ticks.lock().unwrap().len() < 10 {
            std::thread::sleep(BEAT);
        }
    }

    fn permits(&self) -> bool {
        self.heartbeat.permit().objection(self.clock.boot_ns()).is_none()
    }
}

/// The sign that the watchdog missed first (of two that stop together, either), and, the negative control, that nothing happens to the permit of the same cycle
/// without a watchdog.
fn missed(fault: Fault, faulty: Sign) -> Sign {
    let (watched, blind) = (Cycle::start(fault, faulty), Cycle::start(fault, faulty));
    let (_dog, told) = watched.watch();
    let lapse = told.recv_timeout(Duration::from_secs(20)).expect("the watchdog barks");
    assert!(!watched.permits() && lapse.silence > LIMIT, "{lapse}");
    blind.warm_up();
    assert!(blind.permits() && blind.heartbeat.permit().lapse().is_none());
    lapse.sign
}

#[test]
fn wall_a_stage_that_does_not_return_drops_the_permit() {
    missed(Fault::Hang, Sign::Beat);
}

#[test]
fn wall_an_interlock_that_does_not_return_drops_the_permit() {
    missed(Fault::Hang, Sign::Interlock);
}

#[test]
fn wall_a_blocked_runtime_drops_the_permit() {
    missed(Fault::Block, Sign::Beat);
}

#[test]
fn wall_a_live_lock_that_starves_the_beat_drops_the_permit() {
    missed(Fault::LiveLock, Sign::Beat);
}

#[test]
fn wall_an_interlock_that_crashes_again_and_again_drops_the_permit_although_the_beat_goes_on() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    assert_eq!(missed(Fault::Crash, Sign::Interlock), Sign::Interlock);
    std::panic::set_hook(hook);
}

#[test]
fn wall_a_stage_that_crashes_again_and_again_leaves_the_permit() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    stays(Fault::Crash);
    std::panic::set_hook(hook);
}

#[test]
fn wall_a_stage_that_rings_itself_and_lets_the_beat_through_leaves_the_permit() {
    stays(Fault::Echo);
}

#[test]
fn wall_a_sound_cycle_keeps_its_permit() {
    stays(Fault::Nothing);
}

fn stays(fault: Fault) {
    let cycle = Cycle::start(fault, Sign::Beat);
    let (_dog, told) = cycle.watch();
    assert_eq!(told.recv_timeout(5 * LIMIT), Err(RecvTimeoutError::Timeout));
    assert!(cycle.permits());
    let beats = cycle.ticks.lock().unwrap().len();
    assert!(beats > 50, "{beats} beats of {BEAT:?} in {:?}", 5 * LIMIT);
}

fn limited() -> (Heartbeat, Permit) {
    let heartbeat = Heartbeat::new();
    heartbeat.0.limit_ns.store(100, Ordering::Relaxed);
    let permit = heartbeat.permit();
    (heartbeat, permit)
}

#[test]
fn there_is_no_permit_before_the_first_beat_and_none_is_dropped() {
    let (heartbeat, permit) = limited();
    assert_eq!((permit.objection(1_000_000), permit.lapse()), (Some("the cycle has not begun"), None));
    heartbeat.give(Sign::Beat, 1_000_000);
    assert_eq!(permit.objection(1_000_100), None);
}

#[test]
fn a_sign_after_too_long_a_silence_drops_the_permit_although_nobody_has_looked() {
    let (heartbeat, permit) = limited();
    heartbeat.give(Sign::Beat, 1000);
    heartbeat.give(Sign::Interlock, 1001);
    heartbeat.give(Sign::Beat, 1100);
    assert_eq!(permit.lapse(), None, "the negative control: at the limit");
    heartbeat.give(Sign::Beat, 1201);
    let silence = Duration::from_nanos(101);
    assert_eq!(permit.lapse(), Some(Lapse { sign: Sign::Beat, silence }));
}

#[test]
fn whoever_writes_notices_a_silence_that_nobody_else_has_seen_yet() {
    let (heartbeat, permit) = limited();
    heartbeat.give(Sign::Beat, 1000);
    assert!(permit.objection(1100).is_none() && permit.objection(1101).is_some());
}

#[test]
fn an_interlock_that_never_steps_is_missed_from_the_first_beat_on() {
    let (heartbeat, permit) = limited();
    heartbeat.give(Sign::Beat, 1000);
    heartbeat.give(Sign::Beat, 1090);
    assert_eq!(permit.lapse(), None);
    heartbeat.give(Sign::Beat, 1101);
    assert_eq!(permit.lapse().map(|lapse| lapse.sign), Some(Sign::Interlock));
}

#[test]
fn a_dropped_permit_does_not_come_back() {
    let (heartbeat, permit) = limited();
    heartbeat.give(Sign::Beat, 1000);
    heartbeat.give(Sign::Beat, 5000);
    for at in 5001..6000 {
        heartbeat.give(Sign::Beat, at);
        heartbeat.give(Sign::Interlock, at);
        assert!(permit.objection(at).is_some());
    }
}

const CHILD: &str = "OUTRIGGER_TEST_STOPPED_CHILD";

/// The process that is stopped: a cycle, watched or not, that tells at the end what it has seen.
#[test]
#[ignore = "the child process of another test"]
fn stopped_child() {
    let Ok(watched) = std::env::var(CHILD) else { return };
    let cycle = Cycle::start(Fault::Nothing, Sign::Beat);
    let _dog = (watched == "watched").then(|| cycle.watch());
    cycle.warm_up();
    println!("child: ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let ticks = cycle.ticks.lock().unwrap().clone();
    let late = ticks.iter().position(|tick| tick.dropped > 20).unwrap();
    let after: u64 = ticks[late + 1..].iter().map(|tick| 1 + tick.dropped).sum();
    let phase_kept = ticks.windows(2).all(|two| two[1].index == two[0].index + two[1].dropped + 1);
    let span = ticks[ticks.len() - 1].index - ticks[late].index;
    println!("child: {} {} {} {}", cycle.permits(), ticks[late].dropped, phase_kept, after == span);
}

/// Stops a process for many beats and lets it go on. Whether it still permits, and how many beats it dropped at once.
fn stopped(kind: &str) -> (bool, u64) {
    let name = "kernel::watchdog::tests::stopped_child";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(CHILD, kind)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    // libtest may have begun the line.
    let mut said = said.lines().map(Result::unwrap).filter_map(|l| Some(l.split_once("child: ")?.1.to_owned()));
    assert_eq!(said.next().as_deref(), Some("ready"));
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    std::thread::sleep(3 * LIMIT);
    kill_process(pid, Signal::CONT).unwrap();
    std::thread::sleep(LIMIT);
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    let told = said.next().unwrap();
    assert!(child.wait().unwrap().success());
    let [permits, dropped, phase_kept, no_burst] = told.split(' ').collect::<Vec<_>>()[..] else { panic!("{told}") };
    assert_eq!((phase_kept, no_burst), ("true", "true"));
    (permits == "true", dropped.parse().unwrap())
}

#[test]
fn wall_a_stopped_process_drops_the_permit_and_gives_one_beat_not_a_burst() {
    let (permits, dropped) = stopped("watched");
    assert!(!permits);
    // 900 ms of 5 ms beats.
    assert!((150..400).contains(&dropped), "{dropped}");
    assert!(stopped("blind").0, "the negative control");
}

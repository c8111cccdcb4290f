//! Promotion to real time: what is granted, what is refused and in which words, and who does not inherit it.

use std::hint::black_box;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::process::{Rlimit, setrlimit};
use rustix::thread::{CapabilitySets, set_capabilities};

use super::super::Clock;
use super::*;

/// Runs `body` on a thread without any capability, in a process whose limits are 0. Lowering needs no right.
fn deprived<R: Send + 'static>(body: fn() -> R) -> R {
    for resource in [Resource::Memlock, Resource::Rtprio] {
        setrlimit(resource, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    }
    let none = CapabilitySet::empty();
    let deprived = move || {
        set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
        body()
    };
    std::thread::spawn(deprived).join().unwrap()
}

#[test]
fn a_refused_lock_names_limit_capability_and_cure() {
    let refused = deprived(|| promote(&RealTime { cpu: None, priority: 10 }));
    let words = refused.unwrap_err().to_string();
    for word in ["CAP_IPC_LOCK", "RLIMIT_MEMLOCK, which is 0 B", "LimitMEMLOCK=infinity", "--ulimit memlock=-1"] {
        assert!(words.contains(word), "{words}");
    }
    let own = here().into_iter().find(|t| t.priority > 0);
    assert_eq!(own, None, "nothing comes after a refusal");
}

#[test]
fn a_refused_class_names_limit_capability_and_cure() {
    let words = deprived(|| fifo(10)).unwrap_err().to_string();
    for word in ["SCHED_FIFO 10", "CAP_SYS_NICE", "RLIMIT_RTPRIO of at least 10, which is 0", "LimitRTPRIO=10"] {
        assert!(words.contains(word), "{words}");
    }
}

#[test]
fn a_priority_and_a_cpu_that_do_not_exist_are_refused() {
    for priority in [0, 98, 255] {
        assert!(matches!(promote(&RealTime { cpu: None, priority }), Err(RtError::Priority(_))), "{priority}");
    }
    for cpu in [CpuSet::MAX_CPU - 1, CpuSet::MAX_CPU, usize::MAX] {
        let words = pin(Some(cpu)).unwrap_err().to_string();
        assert!(words.contains(&format!("CPU {cpu} is refused")) && words.contains("may use [0"), "{words}");
    }
}

#[test]
fn the_kernels_lists_of_cpus_are_read() {
    assert_eq!(cpu_list("2-4,7\n"), [2, 3, 4, 7]);
    assert_eq!(cpu_list("0"), [0]);
    assert_eq!(cpu_list("\n"), [0; 0]);
}

fn here() -> Vec<Scheduled> {
    threads(std::process::id())
}

/// A new thread gives itself its name, so it may be there a little later.
fn class_of(name: &str) -> Scheduled {
    let clock = Clock::wall(1.0);
    while clock.wall_ns() < 10_000_000_000 {
        if let Some(found) = here().into_iter().find(|t| t.thread == name) {
            return found;
        }
        std::thread::yield_now();
    }
    panic!("{name} in {:?}", here())
}

fn start(name: &str, body: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).unwrap()
}

/// Starts a thread by `spawn` and says how it is scheduled.
fn class_of_one_started_by(spawn: impl FnOnce(Box<dyn FnOnce() + Send>)) -> Scheduled {
    let (told, tell) = sync_channel(1);
    spawn(Box::new(move || {
        let me = std::thread::current().name().map(str::to_owned).unwrap();
        told.send(class_of(&me)).unwrap();
    }));
    tell.recv_timeout(Duration::from_secs(10)).unwrap()
}

/// Promotes a thread and runs `body` there; without the right to, makes sure that the refusal says so.
fn promoted(body: impl FnOnce(&Granted) + Send + 'static) {
    let control = start("control", move || match promote(&RealTime { cpu: None, priority: 10 }) {
        Ok(granted) => body(&granted),
        Err(refused) => {
            let plausible = match refused {
                RtError::Memory { .. } => !may(CapabilitySet::IPC_LOCK),
                RtError::Class { .. } => !may(CapabilitySet::SYS_NICE),
                RtError::Group { .. } => true,
                RtError::Cpu { .. } | RtError::Priority(_) => false,
            };
            assert!(plausible, "{refused}");
            println!("not permitted here: {refused}");
        }
    });
    control.join().unwrap();
}

#[test]
fn wall_a_thread_started_by_an_earlier_helper_is_ordinary_and_one_started_by_the_promoted_thread_is_not() {
    let (orders, inbox) = sync_channel::<Box<dyn FnOnce() + Send>>(1);
    let helper = move || inbox.into_iter().for_each(|body| drop(start("started", body)));
    start("helper", helper);
    let before = class_of("helper");
    promoted(move |granted| {
        let control = class_of("control");
        assert_eq!((control.priority, control.cpus), (10, granted.cpu.to_string()));
        let started = class_of_one_started_by(|body| orders.send(body).unwrap());
        assert_eq!((started.priority, started.cpus), (0, before.cpus));
        let heir = class_of_one_started_by(|body| drop(start("heir", body)));
        assert_eq!((heir.priority, heir.cpus), (10, granted.cpu.to_string()), "the negative control");
        let others: Vec<_> = here().into_iter().filter(|t| t.priority > 0).map(|t| t.thread).collect();
        assert!(others.iter().all(|name| name == "control" || name == "heir"), "{others:?}");
    });
}

/// Minor page faults of this thread so far.
fn faults() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(7).unwrap().parse().unwrap()
}

/// Page faults of a cycle that uses much stack and heap for the first time.
fn faults_of_a_first_use() -> u64 {
    #[inline(never)]
    fn deep() {
        let mut stack = [0_u8; STACK / 2];
        stack.iter_mut().step_by(PAGE).for_each(|byte| *byte = 2);
        black_box(&mut stack);
    }
    let before = faults();
    deep();
    let blocks: Vec<Vec<u8>> = (0..HEAP / BLOCK / 2).map(|n| vec![n as u8 | 1; BLOCK]).collect();
    drop(black_box(blocks));
    faults() - before
}

#[test]
fn wall_after_the_promotion_a_first_use_of_stack_and_heap_faults_no_page_in() {
    let ordinary = std::thread::spawn(faults_of_a_first_use).join().unwrap();
    assert!(ordinary > 500, "the negative control: {ordinary}");
    promoted(move |granted| {
        let real_time = faults_of_a_first_use();
        assert!(real_time < 10, "{real_time} against {ordinary}");
        assert!(granted.locked_kib > 1000, "{granted}");
    });
}

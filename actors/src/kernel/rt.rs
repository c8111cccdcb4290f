//! What the control thread asks of the operating system, so that the beat comes in time.
//!
//! In this order, and why:
//! 1. `/dev/cpu_dma_latency` is held at 0: no deep sleep of the CPU from which it wakes late. A wish; the only one that
//!    may be refused without consequence, and it is said.
//! 2. `mlockall` of what is there and what will come: no page is ever fetched from disk.
//! 3. Stack and heap are touched: what the cycle may need is mapped now and not at its first use.
//! 4. The thread is pinned to one CPU.
//! 5. SCHED_FIFO, last: what came before may block and fault, and must not do so above everybody else.
//!
//! A thread inherits class, priority and CPUs from the thread that starts it. So every helper thread is there before the
//! promotion, and threads that are needed later (a solver in place of one that hangs) are started by such a helper, never
//! by the control thread. It would also pay for faulting the new stack in.
//!
//! A refusal of 2, 4 or 5 is an error that says which limit stands against it. Nothing is dropped silently.
//!
//! Sources: sched(7), mlockall(2), capabilities(7), kernel documentation `admin-guide/pm/cpuidle` and
//! `scheduler/sched-rt-group`.

use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::Write;

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, CpuSet, capabilities, sched_getaffinity, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

/// The lowest and the highest priority that may be asked for: above it stand the watchdog and the kernel's own threads.
pub const PRIORITIES: std::ops::RangeInclusive<u8> = 1..=97;

/// Stack and heap that are touched before the loop runs.
const STACK: usize = 256 * 1024;
const HEAP: usize = 8 * 1024 * 1024;
/// Below glibc's threshold for giving a block a mapping of its own, which would go back with the block.
const BLOCK: usize = 64 * 1024;
const PAGE: usize = 4096;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealTime {
    /// The CPU to be pinned to; none: the first isolated CPU, else the last of those that the thread may use.
    pub cpu: Option<usize>,
    /// The priority within SCHED_FIFO, of [`PRIORITIES`]. Threaded interrupts have 50.
    pub priority: u8,
}

/// What was given, and what of the machine bears on it.
#[derive(Debug)]
pub struct Granted {
    /// The CPU.
    pub cpu: usize,
    /// Whether the scheduler keeps other threads away from it (`isolcpus`).
    pub isolated: bool,
    /// The priority within SCHED_FIFO.
    pub priority: u8,
    /// Memory that is resident, and locked as all of it is, in KiB.
    pub locked_kib: u64,
    /// Whether the kernel is PREEMPT_RT.
    pub preempt_rt: bool,
    /// The share of each second after which the kernel stops real-time threads, in per cent; 100: never.
    pub throttled_at_pct: f64,
    /// Held open: as long as it is, the CPUs sleep no deeper than they wake at once. None: the wish was refused.
    pub wakeful: Option<File>,
}

impl std::fmt::Display for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let isolated = if self.isolated { "isolated" } else { "not isolated" };
        let kernel = if self.preempt_rt { "PREEMPT_RT" } else { "not PREEMPT_RT" };
        let idle = if self.wakeful.is_some() { "held shallow" } else { "deep (no access to /dev/cpu_dma_latency)" };
        write!(
            f,
            "SCHED_FIFO {} on CPU {} ({isolated}), {} KiB locked, idle states {idle}, kernel {kernel}, real-time threads stopped at {} %",
            self.priority, self.cpu, self.locked_kib, self.throttled_at_pct
        )
    }
}

/// What the operating system refused.
#[derive(Debug, thiserror::Error)]
pub enum RtError {
    /// The priority.
    #[error("priority {0} is not of {first} to {last}", first = PRIORITIES.start(), last = PRIORITIES.end())]
    Priority(u8),
    /// The CPU.
    #[error(
        "CPU {cpu} is refused ({os}): this process may use {allowed}; a container or a slice may exclude it (cpuset)"
    )]
    Cpu {
        /// The CPU.
        cpu: usize,
        /// Those that may be used.
        allowed: String,
        /// The operating system's words.
        os: std::io::Error,
    },
    /// The memory.
    #[error(
        "mlockall is refused: it wants CAP_IPC_LOCK, which is missing, or an unlimited RLIMIT_MEMLOCK, which is {limit} \
         (systemd: LimitMEMLOCK=infinity; limits.conf: memlock unlimited; container: --cap-add IPC_LOCK or \
         --ulimit memlock=-1): {os}"
    )]
    Memory {
        /// `RLIMIT_MEMLOCK`, in words.
        limit: String,
        /// The operating system's words.
        os: std::io::Error,
    },
    /// The scheduling class, for want of a right.
    #[error(
        "SCHED_FIFO {priority} is refused: it wants CAP_SYS_NICE, which is missing, or RLIMIT_RTPRIO of at least \
         {priority}, which is {limit} (systemd: LimitRTPRIO={priority}; limits.conf: rtprio {priority}; container: \
         --cap-add SYS_NICE or --ulimit rtprio={priority}): {os}"
    )]
    Class {
        /// The priority.
        priority: u8,
        /// `RLIMIT_RTPRIO`, in words.
        limit: String,
        /// The operating system's words.
        os: std::io::Error,
    },
    /// The scheduling class, although the right is there.
    #[error(
        "SCHED_FIFO {priority} is refused although the right is there: the control group has no real-time budget \
         (cpu.rt_runtime_us), or a seccomp filter forbids it: {os}"
    )]
    Group {
        /// The priority.
        priority: u8,
        /// The operating system's words.
        os: std::io::Error,
    },
}

/// Makes the calling thread a real-time thread, in the order told above. Call it when every stage is made and nothing
/// has begun.
///
/// # Errors
/// [`RtError`]. What was granted before stays, so do not go on: end the program.
pub fn promote(wanted: &RealTime) -> Result<Granted, RtError> {
    if !PRIORITIES.contains(&wanted.priority) {
        return Err(RtError::Priority(wanted.priority));
    }
    let wakeful = OpenOptions::new().write(true).open("/dev/cpu_dma_latency");
    let wakeful = wakeful.and_then(|mut file| file.write_all(&0_i32.to_ne_bytes()).map(|()| file)).ok();
    lock_memory()?;
    touch_heap();
    touch_stack();
    let (cpu, isolated) = pin(wanted.cpu)?;
    fifo(wanted.priority)?;
    Ok(Granted {
        cpu,
        isolated,
        priority: wanted.priority,
        locked_kib: locked_kib(),
        preempt_rt: fs::read_to_string("/sys/kernel/realtime").is_ok_and(|s| s.trim() == "1"),
        throttled_at_pct: throttled_at_pct(),
        wakeful,
    })
}

/// Puts the calling thread into SCHED_FIFO.
///
/// # Errors
/// [`RtError::Class`], [`RtError::Group`].
pub fn fifo(priority: u8) -> Result<(), RtError> {
    let value = ThreadPriorityValue::try_from(priority).map_err(|_| RtError::Priority(priority))?;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Crossplatform(value), policy).map_err(|error| {
        let os = match error {
            thread_priority::Error::OS(code) => std::io::Error::from_raw_os_error(code),
            other => std::io::Error::other(other),
        };
        if may(CapabilitySet::SYS_NICE) || getrlimit(Resource::Rtprio).current.is_none_or(|l| l >= u64::from(priority))
        {
            return RtError::Group { priority, os };
        }
        RtError::Class { priority, limit: limit(Resource::Rtprio, ""), os }
    })
}

/// A finite limit would let the lock succeed now and an allocation fail later, so it is refused at once.
fn lock_memory() -> Result<(), RtError> {
    let refused = |os| RtError::Memory { limit: limit(Resource::Memlock, " B"), os };
    if !may(CapabilitySet::IPC_LOCK) && getrlimit(Resource::Memlock).current.is_some() {
        return Err(refused(std::io::Error::other("a limit that later allocations would meet")));
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).map_err(|os| refused(os.into()))
}

/// Grows the thread's heap by what the cycle can need and gives it back to the allocator, which keeps the pages: they are
/// locked.
fn touch_heap() {
    let blocks: Vec<Vec<u8>> = (0..HEAP / BLOCK)
        .map(|_| {
            let mut block = vec![0_u8; BLOCK];
            block.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
            block
        })
        .collect();
    drop(black_box(blocks));
}

#[inline(never)]
fn touch_stack() {
    let mut stack = [0_u8; STACK];
    stack.iter_mut().step_by(PAGE).for_each(|byte| *byte = 1);
    black_box(&mut stack);
}

fn pin(wanted: Option<usize>) -> Result<(usize, bool), RtError> {
    let isolated = cpu_list(&fs::read_to_string("/sys/devices/system/cpu/isolated").unwrap_or_default());
    let allowed: Vec<usize> = sched_getaffinity(None)
        .map_or_else(|_| Vec::new(), |set| (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect());
    let cpu = wanted.or(isolated.first().copied()).or(allowed.last().copied()).unwrap_or(0);
    let refused = |os| RtError::Cpu { cpu, allowed: format!("{allowed:?}"), os };
    if cpu >= CpuSet::MAX_CPU {
        return Err(refused(std::io::Error::other("no such CPU")));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|os| refused(os.into()))?;
    Ok((cpu, isolated.contains(&cpu)))
}

/// CPUs of a list in the kernel's form, such as `2-3,6`.
fn cpu_list(text: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

fn may(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(capability))
}

fn limit(resource: Resource, unit: &str) -> String {
    getrlimit(resource).current.map_or_else(|| "unlimited".to_owned(), |limit| format!("{limit}{unit}"))
}

fn locked_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok()).unwrap_or(0)
}

fn throttled_at_pct() -> f64 {
    let number = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
        text.trim().parse::<f64>().ok()
    };
    match (number("sched_rt_runtime_us"), number("sched_rt_period_us")) {
        (Some(runtime), Some(period)) if runtime >= 0.0 && period > 0.0 => 100.0 * runtime / period,
        _ => 100.0,
    }
}

/// How a thread of this process is scheduled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduled {
    /// The thread's name, its first 15 bytes.
    pub thread: String,
    /// The priority within SCHED_FIFO or SCHED_RR; 0: an ordinary thread.
    pub priority: u8,
    /// The CPUs that it may use, in the kernel's form.
    pub cpus: String,
}

/// Every thread of a process. Threads that end meanwhile are left out.
#[must_use]
pub fn threads(process: u32) -> Vec<Scheduled> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    tasks.filter_map(|task| scheduled(&task.ok()?.path())).collect()
}

fn scheduled(task: &std::path::Path) -> Option<Scheduled> {
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let status = fs::read_to_string(task.join("status")).ok()?;
    // proc(5): the name is in parentheses; `rt_priority` is field 40, the 38th after it.
    let (head, tail) = stat.rsplit_once(')')?;
    let (_, thread) = head.split_once('(')?;
    let priority = tail.split_whitespace().nth(37)?.parse().ok()?;
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(Scheduled { thread: thread.to_owned(), priority, cpus: cpus.trim().to_owned() })
}

#[cfg(test)]
mod tests;

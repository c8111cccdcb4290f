//! What a run was like: `/status` while it lasts, the report file when it ends.

use std::path::Path;

use actors::Board;
use actors::kernel::rt::Granted;
use actors::kernel::watchdog::Permit;
use actors::kernel::{StageReport, Telemetry};
use safety::State;
use serde::Serialize;

use crate::advice::AdviceReport;
use crate::commission::admission::CommissionStatus;
use crate::journal::JournalStatus;
use crate::metrics::{contract_word, filter_word};
use crate::opcua::LinkCounts;
use crate::state::{BypassStatus, KeeperStatus};

/// The latency of a stage, in microseconds, and its restarts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageLatency {
    name: &'static str,
    count: u64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    max_us: f64,
    restarts: u64,
    missed: u64,
}

impl From<StageReport> for StageLatency {
    fn from(r: StageReport) -> Self {
        let StageReport { name, count, p50_us, p99_us, p999_us, max_us, restarts, missed } = r;
        Self { name, count, p50_us, p99_us, p999_us, max_us, restarts, missed }
    }
}

fn stages(telemetry: &Telemetry) -> Vec<StageLatency> {
    telemetry.stages().into_iter().map(StageLatency::from).collect()
}

/// What the operating system granted to the control thread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RealTimeStatus {
    cpu: usize,
    cpu_isolated: bool,
    fifo_priority: u8,
    locked_kib: u64,
    shallow_idle: bool,
    preempt_rt: bool,
    throttled_at_pct: f64,
}

impl From<&Granted> for RealTimeStatus {
    fn from(granted: &Granted) -> Self {
        Self {
            cpu: granted.cpu,
            cpu_isolated: granted.isolated,
            fifo_priority: granted.priority,
            locked_kib: granted.locked_kib,
            shallow_idle: granted.wakeful.is_some(),
            preempt_rt: granted.preempt_rt,
            throttled_at_pct: granted.throttled_at_pct,
        }
    }
}

/// What a run shows of the machine under it and of its guards.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Footing {
    /// Absent without `--rt`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real_time: Option<RealTimeStatus>,
    /// How far the run may go, and why no further.
    pub commission: Option<CommissionStatus>,
    /// Why the watchdog has dropped the permit; null while it stands.
    pub watchdog: Option<String>,
    /// Panics that were not logged, for want of room.
    pub panics_lost: u64,
}

impl Footing {
    /// This, with what has become of the permit.
    #[must_use]
    pub fn with_permit(mut self, permit: &Permit) -> Self {
        self.watchdog = permit.lapse().map(|lapse| lapse.to_string());
        self
    }
}

/// The present state of a loop.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    state: String,
    mode_act: String,
    first_out: Option<String>,
    link_up: bool,
    cycle: u64,
    overruns: u64,
    restarts: u64,
    solve_status: Option<String>,
    solve_ms: Option<f64>,
    /// Whether another move than the controller's was put in its place.
    filtered: bool,
    /// What became of the last proposal at the safety filter; `None` where there is none.
    filter: Option<&'static str>,
    /// Where the model's contract stands; `None` where none is watched over.
    contract: Option<&'static str>,
    #[serde(flatten)]
    footing: Footing,
    stages: Vec<StageLatency>,
    /// How the run is recorded; `None` where it is not.
    journal: Option<String>,
    /// How many bypasses the interlock has in force.
    bypasses_in_force: u8,
    /// Those that it was told of.
    bypasses: Vec<BypassStatus>,
    /// Why the state cannot be kept; null while it can.
    state_fault: Option<String>,
    /// What is recommended; `None` where nothing is.
    advice: Option<AdviceReport>,
    /// How answers are written down.
    audit: Option<String>,
}

impl Status {
    /// Reads it from the loop's slots.
    #[must_use]
    pub fn read(board: &Board, telemetry: &Telemetry, footing: Footing) -> Self {
        let (status, solved) = (board.status.read(), board.solved.read());
        let guarded = solved.and_then(|s| s.outcome.guarded);
        Self {
            state: status.map_or_else(|| "Boot".to_owned(), |s| format!("{:?}", s.state)),
            mode_act: status.map_or_else(String::new, |s| s.mode_act.label()),
            first_out: status.and_then(|s| s.first_out).map(|f| f.cause.to_string()),
            link_up: board.inlet.link_up(),
            cycle: telemetry.cycles(),
            overruns: telemetry.overruns(),
            restarts: telemetry.restarts(),
            solve_status: solved.map(|s| format!("{:?}", s.outcome.status)),
            filtered: status.is_some_and(|s| s.filtered),
            filter: guarded.and_then(|g| filter_word(&g)),
            contract: guarded.map(|g| contract_word(&g.contract)),
            solve_ms: solved.map(|s| s.took_ns as f64 * 1e-6),
            footing: footing.with_permit(&board.heartbeat.permit()),
            stages: stages(telemetry),
            journal: None,
            bypasses_in_force: status.map_or(0, |s| s.bypasses),
            bypasses: Vec::new(),
            state_fault: None,
            advice: None,
            audit: None,
        }
    }

    /// With what is to be said of the journal.
    #[must_use]
    pub fn with_journal(self, journal: Option<&JournalStatus>) -> Self {
        let say = |status: &JournalStatus| match status.stopped() {
            Some(why) => format!("journalling stopped: {why}"),
            None => format!("{} bytes, {} blocks lost", status.bytes(), status.lost()),
        };
        Self { journal: journal.map(say), ..self }
    }

    /// With what is to be said of the state over restarts.
    #[must_use]
    pub fn with_state(self, keeper: &KeeperStatus) -> Self {
        Self { bypasses: keeper.bypasses(), state_fault: keeper.fault(), ..self }
    }

    /// With what became of recommendations, and how that is written down.
    #[must_use]
    pub fn with_advice(self, advice: Option<AdviceReport>, audit: String) -> Self {
        Self { audit: advice.is_some().then_some(audit), advice, ..self }
    }
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub struct RunReport {
    revision: String,
    cycles: u64,
    overruns: u64,
    restarts: u64,
    reconnects: u64,
    failed_writes: u64,
    late_moves: u64,
    states: Vec<String>,
    #[serde(flatten)]
    footing: Footing,
    stages: Vec<StageLatency>,
    advice: Option<AdviceReport>,
}

impl RunReport {
    /// Sums a run up. `states` are those that the interlock passed through, in order.
    #[must_use]
    pub fn new(revision: &str, telemetry: &Telemetry, link: &LinkCounts, states: &[State]) -> Self {
        Self {
            revision: revision.to_owned(),
            cycles: telemetry.cycles(),
            overruns: telemetry.overruns(),
            restarts: telemetry.restarts(),
            reconnects: link.reconnects(),
            failed_writes: link.failed_writes(),
            late_moves: link.late_moves(),
            states: states.iter().map(|s| format!("{s:?}")).collect(),
            footing: Footing::default(),
            stages: stages(telemetry),
            advice: None,
        }
    }

    /// With what became of recommendations.
    #[must_use]
    pub fn with_advice(self, advice: Option<AdviceReport>) -> Self {
        Self { advice, ..self }
    }

    /// On what the run stood.
    #[must_use]
    pub fn on(self, footing: Footing) -> Self {
        Self { footing, ..self }
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(file, text + "\n")
    }
}

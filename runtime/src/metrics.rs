//! What Prometheus is told. The one place of the crate `prometheus`.
//!
//! Latencies are observed as they happen, by the control thread (atomic additions, no allocation once a stage is
//! known); everything else is read from the loop's slots when somebody asks.

use std::sync::Arc;

use actors::Board;
use actors::kernel::{Observer, RELEASE, Telemetry};
use control::contract::ContractStatus;
use control::guard_report::{GuardReport, Outcome};
use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use safety::State;
use signals::SolveStatus;
use signals::dcs::DcsTag;

use crate::advice::ByBound;
use crate::opcua::LinkCounts;

/// Stages of a loop, in the order of the cycle.
const STAGES: [&str; 9] =
    ["sensor", "estimator", "model", "mpc", "selector", "interlock", "actuator", "recommender", "cycle"];

/// What the histogram of a probe is called, and what it says.
fn described(probe: &str) -> HistogramOpts {
    if probe == RELEASE {
        let says = "How late the beats are released, in wall time; dropped ones are overruns";
        return HistogramOpts::new("outrigger_release_lateness_seconds", says);
    }
    HistogramOpts::new("outrigger_stage_latency_seconds", "From the ring of a stage to its end")
        .const_label("stage", probe)
}

/// From 1 µs to 4 s, in factors of 4.
const BUCKETS_S: [f64; 12] = [1e-6, 4e-6, 16e-6, 64e-6, 256e-6, 1e-3, 4e-3, 16e-3, 64e-3, 0.25, 1.0, 4.0];

/// The latencies of the stages.
#[derive(Clone, Debug)]
pub struct StageLatencies(Arc<Vec<(&'static str, Histogram)>>);

impl StageLatencies {
    /// A histogram per stage, known to `registry`.
    ///
    /// # Errors
    /// The registry's, when a metric of the name is there already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let mut stages = Vec::new();
        for stage in STAGES.into_iter().chain([RELEASE]) {
            let histogram = Histogram::with_opts(described(stage).buckets(BUCKETS_S.to_vec()))?;
            registry.register(Box::new(histogram.clone()))?;
            stages.push((stage, histogram));
        }
        Ok(Self(Arc::new(stages)))
    }
}

impl Observer for StageLatencies {
    fn stage(&self, name: &'static str, latency_ns: u64) {
        if let Some((_, histogram)) = self.0.iter().find(|(stage, _)| *stage == name) {
            histogram.observe(latency_ns as f64 * 1e-9);
        }
    }
}

/// The rest, read when asked for.
#[derive(Debug)]
pub struct Exporter {
    registry: Registry,
    cycles: IntCounter,
    overruns: IntCounter,
    restarts: IntCounter,
    reconnects: IntCounter,
    refused_values: IntCounter,
    failed_writes: IntCounter,
    late_moves: IntCounter,
    link_up: IntGauge,
    sample_age: GaugeVec,
    overwritten: IntCounterVec,
    plan_age: Gauge,
    model_rmse: GaugeVec,
    solver_status: IntGauge,
    solver_seconds: Gauge,
    solver_iterations: IntGauge,
    state: IntGaugeVec,
    heartbeat: IntGauge,
    permit: IntGauge,
    recommendations: IntCounterVec,
    would_have_violated: IntCounterVec,
    untaken_violated: IntCounter,
    bypasses: IntGauge,
    guard: GuardMetrics,
}

/// What is told of the safety filter and the contract; nothing where there is none.
#[derive(Debug)]
struct GuardMetrics {
    outcome: IntGaugeVec,
    certified: IntGauge,
    slack: GaugeVec,
    contract: IntGaugeVec,
}

/// What the exporter reads.
#[derive(Debug)]
pub struct Sources<'a> {
    /// The loop's slots.
    pub board: &'a Board,
    /// The loop's counters.
    pub telemetry: &'a Telemetry,
    /// The link's counters.
    pub link: &'a LinkCounts,
    /// Names of the transmitters ([`transmitter_names`]).
    pub tags: &'a [String],
    /// The plant time now.
    pub now: signals::Stamp,
}

fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

impl Exporter {
    /// Every metric of a loop, known to `registry`.
    ///
    /// # Errors
    /// The registry's, when a metric of the name is there already.
    pub fn register(registry: Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| IntCounter::new(name, help).and_then(|m| add(&registry, m));
        let gauge = |name: &str, help: &str| IntGauge::new(name, help).and_then(|m| add(&registry, m));
        let per = |name: &str, help: &str, label: &str| {
            GaugeVec::new(Opts::new(name, help), &[label]).and_then(|m| add(&registry, m))
        };
        let counters = |name: &str, help: &str, label: &str| {
            IntCounterVec::new(Opts::new(name, help), &[label]).and_then(|m| add(&registry, m))
        };
        Ok(Self {
            cycles: counter("outrigger_cycles_total", "Control cycles")?,
            overruns: counter("outrigger_overruns_total", "Scheduled beats that were dropped")?,
            restarts: counter("outrigger_restarts_total", "Restarts of crashed stages")?,
            reconnects: counter("outrigger_reconnects_total", "Connections to the DCS that were made again")?,
            refused_values: counter("outrigger_refused_values_total", "Values of another type than their tag's")?,
            failed_writes: counter("outrigger_failed_writes_total", "Writes that the DCS did not accept")?,
            late_moves: counter("outrigger_late_moves_total", "Approved moves that came too late to be written")?,
            link_up: gauge("outrigger_link_up", "1 while the DCS can be reached")?,
            sample_age: per("outrigger_sample_age_seconds", "Age of the newest sample, in plant time", "tag")?,
            overwritten: {
                let help = "Values that were overwritten before anybody read them";
                counters("outrigger_overwritten_total", help, "slot")?
            },
            plan_age: {
                let help = "Age of the newest plan, counted from the opening of its cycle, in plant time";
                add(&registry, Gauge::new("outrigger_plan_age_seconds", help)?)?
            },
            model_rmse: per("outrigger_model_rmse", "Error of the open-loop model, root mean square", "tag")?,
            solver_status: gauge("outrigger_solver_status", "Status of the last solve: 1 solved; see SOLVE_STS")?,
            solver_seconds: add(&registry, Gauge::new("outrigger_solver_seconds", "Wall time of the last solve")?)?,
            solver_iterations: gauge("outrigger_solver_iterations", "Interior-point iterations of the last solve")?,
            state: {
                let opts = Opts::new("outrigger_interlock_state", "1 for the present state of the interlock");
                add(&registry, IntGaugeVec::new(opts, &["state"])?)?
            },
            heartbeat: gauge("outrigger_heartbeat", "HB_APC")?,
            permit: gauge("outrigger_watchdog_permit", "1 until the watchdog drops the permit to write")?,
            bypasses: gauge("outrigger_bypass_active", "Checks that are bypassed at present")?,
            guard: GuardMetrics::register(&registry)?,
            recommendations: counters("outrigger_recommendations_total", "Recommendations and answers", "what")?,
            would_have_violated: {
                let help = "Set-points of proposals in ADVISORY that would have violated a bound";
                counters("outrigger_would_have_violated_total", help, "bound")?
            },
            untaken_violated: {
                let help = "Recommendations not taken after which a CV left its limits within the horizon";
                counter("outrigger_untaken_violated_total", help)?
            },
            registry,
        })
    }

    /// The metrics as text (exposition format 0.0.4).
    ///
    /// # Errors
    /// The encoder's.
    pub fn render(&self, sources: &Sources<'_>) -> Result<String, prometheus::Error> {
        self.read(sources);
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        String::from_utf8(out).map_err(|e| prometheus::Error::Msg(e.to_string()))
    }

    fn read(&self, sources: &Sources<'_>) {
        let Sources { board, telemetry, link, tags, now } = sources;
        raise(&self.cycles, telemetry.cycles());
        raise(&self.overruns, telemetry.overruns());
        raise(&self.restarts, telemetry.restarts());
        raise(&self.reconnects, link.reconnects());
        raise(&self.refused_values, link.refused_values());
        raise(&self.failed_writes, link.failed_writes());
        raise(&self.late_moves, link.late_moves());
        self.link_up.set(i64::from(board.inlet.link_up()));
        self.permit.set(i64::from(board.heartbeat.permit().lapse().is_none()));
        for (name, slot) in tags.iter().zip(&board.inlet.samples) {
            let age = slot.read().map_or(f64::INFINITY, |s| now.since(s.source_time).as_secs_f64());
            self.sample_age.with_label_values(&[name]).set(age);
        }
        if let Some(error) = board.model_error.read() {
            for (name, rmse) in tags.iter().zip(&error.rmse) {
                self.model_rmse.with_label_values(&[name]).set(*rmse);
            }
        }
        for (name, slot) in tags.iter().zip(&board.inlet.samples) {
            self.overwritten_in(&format!("sample {name}"), slot.overwritten());
        }
        self.overwritten_in("answer", board.answers.dropped());
        self.overwritten_in("approved", board.approved.overwritten());
        self.overwritten_in("recommended", board.recommended.overwritten());
        let plan_age = board.solved.read().and_then(|solved| solved.age(*now));
        self.plan_age.set(plan_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        if let Some(solved) = board.solved.read() {
            self.solver_status.set(i64::from(solved.outcome.status.code()));
            self.solver_seconds.set(solved.took_ns as f64 * 1e-9);
            self.solver_iterations.set(i64::from(solved.outcome.iterations));
        } else {
            self.solver_status.set(i64::from(SolveStatus::NotRun.code()));
        }
        self.guard.read(board, tags);
        self.read_advice(board);
        if let Some(status) = board.status.read() {
            self.heartbeat.set(i64::from(status.heartbeat));
            self.bypasses.set(i64::from(status.bypasses));
            for state in State::ALL {
                self.state.with_label_values(&[&format!("{state:?}")]).set(i64::from(state == status.state));
            }
        }
    }
}

impl Exporter {
    fn read_advice(&self, board: &Board) {
        let Some(tally) = board.advised.read().map(|advised| advised.tally) else { return };
        for (what, times) in [
            ("offered", tally.offered),
            ("accepted", tally.accepted),
            ("rejected", tally.rejected),
            ("expired", tally.expired),
            ("superseded", tally.superseded),
            ("withdrawn", tally.withdrawn),
            ("refused_stale", tally.refused_stale),
            ("refused_unsigned", tally.refused_unsigned),
        ] {
            raise(&self.recommendations.with_label_values(&[what]), times);
        }
        let ByBound { operator, rate, windup, hard } = ByBound::of(&tally);
        for (bound, times) in [("operator", operator), ("rate", rate), ("windup", windup), ("hard", hard)] {
            raise(&self.would_have_violated.with_label_values(&[bound]), times);
        }
        raise(&self.untaken_violated, tally.untaken_violated);
    }

    fn overwritten_in(&self, slot: &str, times: u64) {
        raise(&self.overwritten.with_label_values(&[slot]), times);
    }
}

impl GuardMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let states = |name: &str, help: &str, label: &str| {
            IntGaugeVec::new(Opts::new(name, help), &[label]).and_then(|m| add(registry, m))
        };
        let (certified, slack) = (
            IntGauge::new("outrigger_filter_certified", "1 while the plan is known to keep the safe limits")?,
            GaugeVec::new(
                Opts::new("outrigger_filter_slack", "How far a CV lies outside its safe limits, or will; model units"),
                &["tag"],
            )?,
        );
        Ok(Self {
            outcome: states("outrigger_filter_outcome", "1 for what became of the last proposal", "outcome")?,
            certified: add(registry, certified)?,
            slack: add(registry, slack)?,
            contract: states("outrigger_contract", "1 for where the model's contract stands", "status")?,
        })
    }

    fn read(&self, board: &Board, tags: &[String]) {
        let Some(report) = board.solved.read().and_then(|solved| solved.outcome.guarded) else { return };
        let outcome = filter_word(&report);
        for word in FILTER_WORDS {
            self.outcome.with_label_values(&[word]).set(i64::from(outcome == Some(word)));
        }
        self.certified.set(i64::from(report.certified));
        for (name, slack) in tags.iter().zip(&report.slack) {
            self.slack.with_label_values(&[name]).set(*slack);
        }
        let contract = contract_word(&report.contract);
        for word in CONTRACT_WORDS {
            self.contract.with_label_values(&[word]).set(i64::from(contract == word));
        }
    }
}

const FILTER_WORDS: [&str; 4] = ["passed", "changed", "backup", "exhausted"];
const CONTRACT_WORDS: [&str; 3] = ["holding", "suspect", "void"];

/// What became of the last proposal, in a word; `None` when the filter was not asked.
pub(crate) fn filter_word(report: &GuardReport) -> Option<&'static str> {
    report.outcome.map(|outcome| match outcome {
        Outcome::Passed => "passed",
        Outcome::Changed { .. } => "changed",
        Outcome::Backup { .. } => "backup",
        Outcome::Exhausted => "exhausted",
    })
}

/// Where the contract stands, in a word.
pub(crate) fn contract_word(contract: &ContractStatus) -> &'static str {
    match contract {
        ContractStatus::Holding => "holding",
        ContractStatus::Suspect { .. } => "suspect",
        ContractStatus::Void { .. } => "void",
    }
}

fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Names of the transmitters of a loop in the order of [`signals::Spared`]: those of the tags, by `TagId`, then the spares, as
/// `TI101.PV_B`.
#[must_use]
pub fn transmitter_names(plant: &crate::config::PlantFile) -> Vec<String> {
    let (tags, cvs) = (tag_names(plant), plant.cvs.len());
    let spares = DcsTag::spares(cvs, plant.dvs.len(), plant.spared()).filter_map(|tag| {
        let (id, _) = tag.measured(cvs)?;
        Some(format!("{}.{}", tags.get(id.index())?, tag.to_string().split_once('.')?.1))
    });
    let spares: Vec<_> = spares.collect();
    tags.into_iter().chain(spares).collect()
}

/// Names of the measured tags of a loop, by `TagId`.
#[must_use]
pub fn tag_names(plant: &crate::config::PlantFile) -> Vec<String> {
    let cvs = plant.cvs.iter().map(|cv| cv.tag.name.clone());
    cvs.chain(plant.dvs.iter().map(|dv| dv.tag.name.clone())).collect()
}

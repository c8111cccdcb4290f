//! Nonlinear MPC on the benchmark reactors, in closed loop with the plant integrated more finely than the prediction.

use control::mpc::{CvTuning, MpcConfig, MpcError, MpcInput, MvTuning, Nmpc, Solver};
use plant_models::{Held, Integrator, Method, PlantModel, Variable};
use signals::Stamp;

use crate::meter::{Meter, Scenario};
use crate::problems::{Reactor, ScenarioRow, seconds_in};
use crate::report::{Line, Panel, Role};

const PREDICTION_SUBSTEPS: usize = 2;
const PLANT_SUBSTEPS: usize = 20;
/// Solves before the scenario begins.
const SOLVES_BEFORE: usize = 20;

/// How far each solve goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// One programme per period: the real-time iteration.
    Rti,
    /// Programmes until the step is small, twenty at most.
    Sqp,
}

impl Effort {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rti, Self::Sqp];

    /// The last part of a row's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Rti => "rti",
            Self::Sqp => "sqp",
        }
    }

    /// In words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Rti => "real-time iteration",
            Self::Sqp => "converged",
        }
    }

    fn programmes(self) -> usize {
        match self {
            Self::Rti => 1,
            Self::Sqp => 20,
        }
    }
}

/// One state of the specification as the controller sees it.
struct Output<'a> {
    state: usize,
    output: usize,
    variable: &'a Variable,
}

/// The states that can be measured, in the order of the specification.
fn outputs<'a>(reactor: &Reactor, model: &'a dyn PlantModel) -> Vec<Output<'a>> {
    let card = model.card();
    let of = |state: usize| {
        let variable = card.states.get(state)?;
        let output = card.outputs.iter().position(|output| output.name == variable.name)?;
        Some(Output { state, output, variable })
    };
    (0..reactor.states).filter_map(of).collect()
}

fn get(values: &[f64], i: usize) -> f64 {
    values.get(i).copied().unwrap_or(0.0)
}

/// The controller's tuning for a reactor. Spans are a tenth of a variable's range and the limit of a move; weights and
/// prices are those of the specification, which counts in model units.
#[must_use]
pub fn config(reactor: &Reactor, model: &dyn PlantModel, (horizon, effort): (usize, Effort)) -> MpcConfig {
    let cv = outputs(reactor, model).into_iter().map(|Output { state, output, variable }| {
        let span = variable.span() / 10.0;
        let soft = reactor.soft_upper.iter().find(|soft| soft.state == state);
        CvTuning {
            output,
            span,
            weight: get(&reactor.w, state) * span * span,
            terminal_weight: get(&reactor.w_end, state) * span * span,
            soft_linear: soft.map_or(0.0, |soft| soft.l1 * span),
            soft_quadratic: soft.map_or(0.0, |soft| soft.l2 * span * span),
            ..CvTuning::default()
        }
    });
    let mv = reactor.wv.iter().zip(&reactor.du_max_per_sample).enumerate().map(|(j, (w, span))| {
        let square = span * span;
        MvTuning {
            span: *span,
            move_weight: w * square,
            target_weight: get(&reactor.w, reactor.states + j) * square,
            terminal_target_weight: get(&reactor.w_end, reactor.states + j) * square,
            ..MvTuning::default()
        }
    });
    MpcConfig {
        period_s: reactor.period * seconds_in(&reactor.time_unit),
        horizon,
        blocks: vec![1; horizon],
        method: Method::Rk4,
        substeps: PREDICTION_SUBSTEPS,
        sqp_iterations: effort.programmes(),
        terminal_lqr: false,
        solver: Solver::ActiveSet,
        cv: cv.collect(),
        mv: mv.collect(),
        dv_of: (0..model.card().disturbances.len()).collect(),
    }
}

/// What is to be followed at one step.
struct Targets {
    cv: Vec<Option<f64>>,
    mv: Vec<Option<f64>>,
}

/// One cycle: what acts on the plant, and what is asked.
#[derive(Clone, Copy)]
struct Beat<'a> {
    cycle: usize,
    row: &'a ScenarioRow,
    targets: &'a Targets,
}

/// The soft limits and output disturbances of the CVs: the same at every step.
struct Limits {
    cv_lo: Vec<f64>,
    cv_hi: Vec<f64>,
    d: Vec<f64>,
}

impl Limits {
    /// The controller's input at `z = [x; u_prev]`.
    fn input<'b>(&'b self, reactor: &'b Reactor, z: &'b [f64], beat: Beat<'b>) -> MpcInput<'b> {
        let (x, u_prev) = z.split_at(reactor.states);
        MpcInput {
            cycle: beat.cycle as u64,
            now: Stamp::from_secs_f64(beat.cycle as f64),
            x,
            d: &self.d,
            p: &beat.row.p,
            u_prev,
            setpoints: &beat.targets.cv,
            mv_targets: &beat.targets.mv,
            cv_lo: &self.cv_lo,
            cv_hi: &self.cv_hi,
            u_lo: &reactor.u_min,
            u_hi: &reactor.u_max,
            du_max: &reactor.du_max_per_sample,
        }
    }
}

/// The closed loop of one reactor under one controller.
pub struct NmpcScenario<'a> {
    reactor: &'a Reactor,
    model: &'static dyn PlantModel,
    controller: Nmpc,
    plant: Integrator,
    /// Of each CV: whether its set-point has a weight, and where in x it is.
    weighted: Vec<bool>,
    states_of_cvs: Vec<usize>,
    limits: Limits,
    /// z = [x; u_prev] now, and at every step since the start.
    z: Vec<f64>,
    history: Vec<Vec<f64>>,
    /// Closed-loop cost of the last run.
    pub cost: f64,
    /// Iterations of the quadratic programmes of each step.
    pub iterations: Vec<f64>,
}

impl std::fmt::Debug for NmpcScenario<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NmpcScenario").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl<'a> NmpcScenario<'a> {
    /// The scenario of `reactor` at one horizon.
    ///
    /// # Errors
    /// [`MpcError`] when the controller refuses the tuning.
    pub fn new(
        reactor: &'a Reactor,
        model: &'static dyn PlantModel,
        (horizon, effort): (usize, Effort),
    ) -> Result<Self, MpcError> {
        let outputs = outputs(reactor, model);
        let limit = |output: &Output<'_>| reactor.soft_upper.iter().find(|soft| soft.state == output.state);
        let weight = |output: &Output<'_>| get(&reactor.w, output.state).max(get(&reactor.w_end, output.state));
        Ok(Self {
            controller: Nmpc::new(model, config(reactor, model, (horizon, effort)))?,
            plant: Integrator::rk4(model),
            weighted: outputs.iter().map(|output| weight(output) > 0.0).collect(),
            states_of_cvs: outputs.iter().map(|output| output.state).collect(),
            limits: Limits {
                cv_lo: vec![f64::NEG_INFINITY; outputs.len()],
                cv_hi: outputs.iter().map(|output| limit(output).map_or(f64::INFINITY, |soft| soft.limit)).collect(),
                d: vec![0.0; outputs.len()],
            },
            z: reactor.z0.clone(),
            history: Vec::new(),
            cost: 0.0,
            iterations: Vec::new(),
            reactor,
            model,
        })
    }

    fn targets(&self, row: &ScenarioRow) -> Targets {
        let (nx, nu) = (self.reactor.states, self.reactor.inputs);
        let cv = self.states_of_cvs.iter().zip(&self.weighted);
        let mv = (nx..nx + nu).map(|j| (get(&self.reactor.w, j) > 0.0).then(|| get(&row.reference, j)));
        Targets {
            cv: cv.map(|(state, weighted)| weighted.then(|| get(&row.reference, *state))).collect(),
            mv: mv.collect(),
        }
    }

    /// Applies `u` after the hard limits of the specification, and goes to the next period.
    fn advance(&mut self, u: &[f64], row: &ScenarioRow) {
        let nx = self.reactor.states;
        let before = self.z.clone();
        let (x, u_now) = self.z.split_at_mut(nx);
        let limits = self.reactor.u_min.iter().zip(&self.reactor.u_max).zip(&self.reactor.du_max_per_sample);
        for ((now, wish), ((lo, hi), du)) in u_now.iter_mut().zip(u).zip(limits) {
            *now = (*now + (wish - *now).clamp(-du, *du)).clamp(*lo, *hi);
        }
        let period_s = self.reactor.period * seconds_in(&self.reactor.time_unit);
        self.plant.step(x, &Held { u: u_now, p: &row.p, dt_s: period_s, substeps: PLANT_SUBSTEPS });
        let v: Vec<f64> = self.z.iter().zip(&before).skip(nx).map(|(now, before)| now - before).collect();
        self.cost += self.reactor.closed_loop_cost(&before, &v, (row, &self.z));
        self.history.push(self.z.clone());
    }

    /// The last run, for a picture.
    #[must_use]
    pub fn panels(&self) -> Vec<Panel> {
        let (nx, steps) = (self.reactor.states, self.history.len());
        let card = self.model.card();
        let whole = |values: &dyn Fn(usize) -> f64| (0..steps).map(values).collect::<Vec<f64>>();
        let line = |name: &str, role, values| Line { name: name.to_owned(), role, values };
        let title = |v: &Variable| format!("{}  {}, {}", v.name, v.description, v.unit);
        let row = |k: usize| self.reactor.row(k.min(self.reactor.steps - 1));
        let z = |k: usize, i: usize| self.history.get(k).map_or(f64::NAN, |z| get(z, i));
        let mut panels = Vec::new();
        for ((state, hi), weighted) in self.states_of_cvs.iter().zip(&self.limits.cv_hi).zip(&self.weighted) {
            let Some(variable) = card.states.get(*state) else { continue };
            let mut lines = Vec::new();
            if hi.is_finite() {
                lines.push(line("limit", Role::Limit, vec![*hi; steps]));
            }
            if *weighted {
                let target = |k: usize| row(k).map_or(f64::NAN, |row| get(&row.reference, *state));
                lines.push(line("set-point", Role::Setpoint, whole(&target)));
            }
            lines.push(line(variable.name, Role::Cv, whole(&|k| z(k, *state))));
            panels.push(Panel { title: title(variable), lines });
        }
        for (j, variable) in card.inputs.iter().enumerate() {
            let limits = [&self.reactor.u_min, &self.reactor.u_max];
            let mut lines: Vec<Line> =
                limits.iter().map(|limit| line("limit", Role::Limit, vec![get(limit, j); steps])).collect();
            // The history's k-th entry holds the input of period k - 1.
            lines.push(line(variable.name, Role::Mv, whole(&|k| z((k + 1).min(steps - 1), nx + j))));
            panels.push(Panel { title: title(variable), lines });
        }
        panels
    }
}

impl Scenario for NmpcScenario<'_> {
    fn steps(&self) -> usize {
        self.reactor.steps
    }

    /// The scenario begins in the middle of a controller's life, as the peers' does: it has solved for the first state
    /// until nothing changed. Not timed; what a start from nothing takes is a test of the controller's own.
    fn start(&mut self) {
        self.controller.reset();
        self.z.clone_from(&self.reactor.z0);
        self.history = vec![self.z.clone()];
        (self.cost, self.iterations) = (0.0, Vec::new());
        let Some(row) = self.reactor.row(0) else { return };
        let targets = self.targets(row);
        let beat = Beat { cycle: 0, row, targets: &targets };
        for _ in 0..SOLVES_BEFORE {
            self.controller.solve(&self.limits.input(self.reactor, &self.z, beat), &|| false);
        }
    }

    fn step(&mut self, k: usize, meter: &mut Meter) -> bool {
        let Some(row) = self.reactor.row(k) else { return false };
        // References are not previewed: what is prepared for step k is what was known at step k - 1.
        let known = self.reactor.row(k.saturating_sub(1)).unwrap_or(row);
        let (before, now) = (self.targets(known), self.targets(row));
        let expected = Beat { cycle: k, row: known, targets: &before };
        let beat = Beat { cycle: k, row, targets: &now };
        let Self { controller, reactor, limits, z, .. } = self;
        meter.preparation(|| controller.prepare(&limits.input(reactor, z, expected), &|| false));
        let outcome = meter.feedback(|| controller.solve(&limits.input(reactor, z, beat), &|| false));
        self.iterations.push(f64::from(outcome.iterations));
        let u: Vec<f64> = match outcome.plan.as_ref().and_then(|plan| plan.u.first()) {
            Some(u) => u.to_vec(),
            None => self.z.iter().skip(self.reactor.states).copied().collect(),
        };
        self.advance(&u, row);
        outcome.status.is_usable() && outcome.plan.is_some()
    }
}

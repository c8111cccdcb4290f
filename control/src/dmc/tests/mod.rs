//! The controller against the benchmark, and against its promises.

mod garbage;
mod golden;
mod identified;
mod promises;
mod services;
mod table;
mod targets;

use signals::{SolveStatus, Stamp};

use super::*;

/// Everything that an input borrows, for tests to change one thing.
#[derive(Clone, Debug)]
struct Scene {
    cycle: u64,
    y: Vec<f64>,
    u_prev: Vec<f64>,
    dv: Vec<f64>,
    setpoints: Vec<Option<f64>>,
    cv_lo: Vec<f64>,
    cv_hi: Vec<f64>,
    u_lo: Vec<f64>,
    u_hi: Vec<f64>,
    du_max: Vec<f64>,
    u_ideal: Vec<Option<f64>>,
}

impl Scene {
    /// At rest at 0, set-points 0, no limits.
    fn of(model: &StepResponseModel) -> Self {
        let (cvs, mvs) = (model.cvs(), model.mvs());
        Self {
            cycle: 0,
            y: vec![0.0; cvs],
            u_prev: vec![0.0; mvs],
            dv: vec![0.0; model.dvs()],
            setpoints: vec![Some(0.0); cvs],
            cv_lo: vec![f64::NEG_INFINITY; cvs],
            cv_hi: vec![f64::INFINITY; cvs],
            u_lo: vec![f64::NEG_INFINITY; mvs],
            u_hi: vec![f64::INFINITY; mvs],
            du_max: vec![f64::INFINITY; mvs],
            u_ideal: vec![None; mvs],
        }
    }

    fn input(&self) -> DmcInput<'_> {
        DmcInput {
            cycle: self.cycle,
            now: Stamp::from_secs_f64(self.cycle as f64),
            y: &self.y,
            u_prev: &self.u_prev,
            dv: &self.dv,
            setpoints: &self.setpoints,
            cv_lo: &self.cv_lo,
            cv_hi: &self.cv_hi,
            u_lo: &self.u_lo,
            u_hi: &self.u_hi,
            du_max: &self.du_max,
            u_ideal: &self.u_ideal,
        }
    }
}

/// A plant by superposition of its whole history, which shares no code with the controller's prediction.
#[derive(Clone, Debug)]
struct Plant {
    model: StepResponseModel,
    /// Cycle, input and size of every move.
    moves: Vec<(u64, usize, f64)>,
    /// Factor on the gains of each input.
    gain: Vec<f64>,
    inputs: Vec<f64>,
}

impl Plant {
    fn of(model: &StepResponseModel) -> Self {
        let inputs = model.mvs() + model.dvs();
        Self { model: model.clone(), moves: Vec::new(), gain: vec![1.0; inputs], inputs: vec![0.0; inputs] }
    }

    /// Puts `input` on `value` from `cycle` on.
    fn put(&mut self, cycle: u64, input: usize, value: f64) {
        let delta = value - std::mem::replace(&mut self.inputs[input], value);
        if delta.abs() > 0.0 {
            self.moves.push((cycle, input, delta));
        }
    }

    fn y(&self, cycle: u64, cv: usize) -> f64 {
        let effect = |&(at, input, delta): &(u64, usize, f64)| {
            let age = usize::try_from(cycle - at).unwrap();
            let response = self.model.response(cv, input);
            let n = response.len();
            let ramp = self.model.final_gain(cv, input);
            let s = match age {
                0 => 0.0,
                age if age <= n => response[age - 1],
                age if self.model.is_integrating(cv) => response[n - 1] + (age - n) as f64 * ramp,
                _ => response[n - 1],
            };
            self.gain[input] * s * delta
        };
        self.moves.iter().map(effect).sum()
    }
}

/// Plant and controller in closed loop.
struct Loop {
    controller: DmcController,
    plant: Plant,
    scene: Scene,
    outcome: Option<DmcOutcome>,
}

impl Loop {
    fn new(model: &StepResponseModel, config: &DmcConfig) -> Self {
        Self {
            controller: DmcController::new(model.clone(), config.clone()).unwrap(),
            plant: Plant::of(model),
            scene: Scene::of(model),
            outcome: None,
        }
    }

    /// One cycle under the output disturbances `d`; the plan's first move is made.
    fn step(&mut self, d: &[f64]) -> DmcOutcome {
        let cycle = self.scene.cycle;
        let mvs = self.scene.u_prev.len();
        for (j, dv) in self.scene.dv.iter().enumerate().filter(|(_, dv)| dv.is_finite()) {
            self.plant.put(cycle, mvs + j, *dv);
        }
        for (cv, d) in d.iter().enumerate() {
            self.scene.y[cv] = self.plant.y(cycle, cv) + d;
        }
        let outcome = self.controller.step(&self.scene.input(), &|| false);
        if let Some(plan) = outcome.mpc.plan {
            self.scene.u_prev = plan.u[0].to_vec();
        }
        self.moved();
        self.outcome = Some(outcome);
        outcome
    }

    /// Ends the cycle with the inputs as they stand in the scene.
    fn moved(&mut self) {
        for (j, u) in self.scene.u_prev.iter().enumerate() {
            self.plant.put(self.scene.cycle, j, *u);
        }
        self.scene.cycle += 1;
    }

    fn run(&mut self, cycles: usize, d: &[f64]) -> DmcOutcome {
        for _ in 1..cycles {
            self.step(d);
        }
        self.step(d)
    }
}

fn wood_berry() -> StepResponseModel {
    StepResponseModel::from_table("wood_berry.csv", include_str!("wood_berry.csv")).unwrap()
}

fn shell() -> StepResponseModel {
    StepResponseModel::from_table("shell.csv", include_str!("shell.csv")).unwrap()
}

const CV: CvTuning = CvTuning {
    span: 1.0,
    weight: 1.0,
    soft_linear: 10.0,
    soft_quadratic: 100.0,
    feedback: Feedback::BIAS,
    limit_rank: 1,
    setpoint_rank: 2,
    cost: 0.0,
};
const MV: MvTuning = MvTuning { span: 1.0, move_weight: 0.1, rest_weight: 0.0, ideal_weight: 0.0, cost: 0.0 };

/// P 90, M 20, with targets.
fn tuned(model: &StepResponseModel) -> DmcConfig {
    DmcConfig { horizon: 90, moves: 20, targets: true, cv: vec![CV; model.cvs()], mv: vec![MV; model.mvs()] }
}

//! The controller against the benchmark, and against its promises.

mod benchmark;
mod features;
mod offset_free;
mod promises;
mod upsets;

use plant_models::{Held, Integrator, Method, PlantModel};
use signals::Stamp;

use super::*;
use crate::test_support::in_time;

/// Everything that an input borrows, for tests to change one thing.
#[derive(Clone, Debug)]
struct Scene {
    cycle: u64,
    x: Vec<f64>,
    d: Vec<f64>,
    p: Vec<f64>,
    u_prev: Vec<f64>,
    setpoints: Vec<Option<f64>>,
    mv_targets: Vec<Option<f64>>,
    cv_lo: Vec<f64>,
    cv_hi: Vec<f64>,
    u_lo: Vec<f64>,
    u_hi: Vec<f64>,
    du_max: Vec<f64>,
}

impl Scene {
    fn input(&self) -> MpcInput<'_> {
        MpcInput {
            cycle: self.cycle,
            now: Stamp::from_secs_f64(self.cycle as f64),
            x: &self.x,
            d: &self.d,
            p: &self.p,
            u_prev: &self.u_prev,
            setpoints: &self.setpoints,
            mv_targets: &self.mv_targets,
            cv_lo: &self.cv_lo,
            cv_hi: &self.cv_hi,
            u_lo: &self.u_lo,
            u_hi: &self.u_hi,
            du_max: &self.du_max,
        }
    }

    /// Applies the plan's first move to a plant of 20 sub-steps, and goes to the next cycle.
    fn advance(&mut self, plant: &Integrator, u: &[f64], period_s: f64) {
        plant.step(&mut self.x, &Held { u, p: &self.p, dt_s: period_s, substeps: 20 });
        self.u_prev = u.to_vec();
        self.cycle += 1;
    }
}

fn model(name: &str) -> &'static dyn PlantModel {
    plant_models::by_name(name).unwrap()
}

/// The benchmark's cstr4: CB follows, reactor and jacket stay below 140 °C.
fn cstr4_config(horizon: usize, sqp_iterations: usize) -> MpcConfig {
    let limit = |output| CvTuning {
        output,
        span: 10.0,
        soft_linear: 10.0 * 10.0,
        soft_quadratic: 10.0 * 10.0 * 10.0,
        ..CvTuning::default()
    };
    let cb =
        CvTuning { output: 0, span: 0.1, weight: 100.0 * 0.01, terminal_weight: 1000.0 * 0.01, ..CvTuning::default() };
    MpcConfig {
        period_s: 18.0,
        horizon,
        blocks: vec![1; horizon],
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations,
        terminal_lqr: false,
        solver: Solver::default(),
        cv: vec![cb, limit(1), limit(2)],
        mv: vec![
            MvTuning { span: 20.0, move_weight: 1e-3 * 20.0 * 20.0, ..MvTuning::default() },
            MvTuning { span: 2000.0, move_weight: 2.5e-8 * 2000.0 * 2000.0, ..MvTuning::default() },
        ],
        dv_of: vec![0],
    }
}

fn cstr4_scene() -> Scene {
    Scene {
        cycle: 1,
        x: vec![0.8, 0.5, 134.14, 130.0],
        d: vec![0.0; 3],
        p: vec![5.1],
        u_prev: vec![18.0, -4500.0],
        setpoints: vec![Some(0.6), None, None],
        mv_targets: vec![None; 2],
        cv_lo: vec![f64::NEG_INFINITY; 3],
        cv_hi: vec![f64::INFINITY, 140.0, 140.0],
        u_lo: vec![5.0, -8500.0],
        u_hi: vec![100.0, 0.0],
        du_max: vec![20.0, 2000.0],
    }
}

/// The benchmark's cstr2: concentration, temperature and coolant near their references, the temperature below 356 K.
fn cstr2_config(horizon: usize) -> MpcConfig {
    let ca = CvTuning { span: 0.1, weight: 1.0, terminal_weight: 10.0, ..CvTuning::default() };
    let t = CvTuning {
        output: 1,
        span: 5.0,
        weight: 0.01 * 25.0,
        terminal_weight: 0.1 * 25.0,
        soft_linear: 50.0,
        soft_quadratic: 25.0,
        ..CvTuning::default()
    };
    let tc = MvTuning {
        span: 2.0,
        move_weight: 0.08,
        target_weight: 0.001 * 4.0,
        terminal_target_weight: 0.01 * 4.0,
        ..MvTuning::default()
    };
    MpcConfig {
        period_s: 6.0,
        horizon,
        blocks: vec![1; horizon],
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 1,
        terminal_lqr: false,
        solver: Solver::default(),
        cv: vec![ca, t],
        mv: vec![tc],
        dv_of: vec![0, 1],
    }
}

fn cstr2_scene() -> Scene {
    Scene {
        cycle: 1,
        x: vec![0.877, 324.503_685_790_141_7],
        d: vec![0.0; 2],
        p: vec![1.0, 350.0],
        u_prev: vec![300.016_447_597_829_37],
        setpoints: vec![Some(0.5), Some(350.000_952_619_118_27)],
        mv_targets: vec![Some(300.001_407_971_056_8)],
        cv_lo: vec![f64::NEG_INFINITY; 2],
        cv_hi: vec![f64::INFINITY, 356.0],
        u_lo: vec![290.0],
        u_hi: vec![310.0],
        du_max: vec![2.0],
    }
}

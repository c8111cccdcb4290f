//! The loop that is multiplied: the small reactor (`cstr2`), as `deploy/plants/cstr2.toml` has it, at a period of choice.

use std::time::Duration;

use actors::LoopConfig;
use actors::kernel::supervision::RestartPolicy;
use control::accuracy::OpenLoopConfig;
use control::estimation::{CvNoise, EkfConfig};
use control::mpc::{CvTuning, MpcConfig, MvTuning, Solver};
use control::screening::ScreenConfig;
use control::selector::SelectorConfig;
use control::targets::{CvTarget, MvRange, TargetsConfig};
use plant_models::{Method, PlantModel};
use rig::{ConfigError, RigConfig};
use safety::{InterlockConfig, MvChecks, Reach, Role, TagChecks, TagReactions};

/// Measured tags: T, CA and the feed's temperature TF.
pub(super) const TAGS: usize = 3;
const CVS: usize = 2;

/// Range, hysteresis, fastest change per second, resolution and role of each tag.
const LIMITS: [(f64, f64, f64, f64, f64, Role); TAGS] = [
    (290.0, 360.0, 1.0, 4.0, 0.01, Role::Critical),
    (0.0, 1.2, 0.02, 0.05, 0.0005, Role::NonCritical),
    (320.0, 380.0, 1.0, 30.0, 0.01, Role::NonCritical),
];

/// The coolant's temperature: low, high, K, and its fastest change, K/s.
const COOLANT: (f64, f64, f64) = (280.0, 320.0, 0.5);

/// The whole loop, with `model` as the controller's model of the plant.
pub(super) fn loop_config(model: &'static dyn PlantModel, period: Duration) -> LoopConfig {
    let mv = MvRange { low: COOLANT.0, high: COOLANT.1, rate_max_per_s: COOLANT.2, rest: None, commissioned: true };
    let cvs = vec![CvTarget { has_setpoint: true, margin: 0.5 }, CvTarget { has_setpoint: false, margin: 0.01 }];
    LoopConfig {
        model,
        period,
        screens: LIMITS.iter().map(|limits| screen(limits, period)).collect(),
        ekf: ekf(period),
        open_loop: OpenLoopConfig {
            period_s: period.as_secs_f64(),
            substeps: 2,
            outputs: vec![1, 0],
            anchor_every: 20,
        },
        targets: TargetsConfig { period, cvs, mvs: vec![mv] },
        mpc: mpc(period),
        guard: None,
        deadline_scan: 4,
        selector: SelectorConfig { plan_max_age: 3, hold_max: 2 },
        interlock: interlock(period),
        advice: None,
        restarts: RestartPolicy { period, intensity: 5, window_periods: 60 },
    }
}

fn screen(
    &(lo, hi, hysteresis, rate_max_per_s, frozen_band, _): &(f64, f64, f64, f64, f64, Role),
    period: Duration,
) -> ScreenConfig {
    ScreenConfig {
        lo,
        hi,
        hysteresis,
        rate_max_per_s,
        max_age: period * 5 / 2,
        frozen_samples: 0,
        frozen_band,
        spike_window: 5,
        spike_sigmas: 4.0,
        accept_uncertain: false,
    }
}

fn ekf(period: Duration) -> EkfConfig {
    EkfConfig {
        period_s: period.as_secs_f64(),
        substeps: 2,
        cv: vec![
            CvNoise { output: 1, measurement_sd: 0.2, disturbance_sd: 0.05 },
            CvNoise { output: 0, measurement_sd: 0.005, disturbance_sd: 0.002 },
        ],
        state_sd: vec![0.001, 0.1],
        initial_sd: vec![0.1, 5.0],
        dv_of: vec![1],
        dv_hold: Duration::from_secs(60),
        cv_missing_max: 5,
    }
}

fn mpc(period: Duration) -> MpcConfig {
    let soft = CvTuning { soft_linear: 100.0, soft_quadratic: 1000.0, ..CvTuning::default() };
    MpcConfig {
        period_s: period.as_secs_f64(),
        horizon: 20,
        blocks: vec![1, 1, 1, 2, 5, 10],
        method: Method::Rk4,
        substeps: 2,
        sqp_iterations: 1,
        terminal_lqr: false,
        solver: Solver::default(),
        cv: vec![
            CvTuning { output: 1, span: 10.0, weight: 100.0, terminal_weight: 1000.0, ..soft },
            CvTuning { output: 0, span: 0.2, weight: 0.0, terminal_weight: 0.0, ..soft },
        ],
        mv: vec![MvTuning { span: COOLANT.1 - COOLANT.0, move_weight: 1.0, ..MvTuning::default() }],
        dv_of: vec![1],
    }
}

fn interlock(period: Duration) -> InterlockConfig {
    let checks = LIMITS.map(|(lo, hi, hysteresis, rate_max_per_s, _, role)| TagChecks {
        hysteresis,
        rate_max_per_s,
        reactions: TagReactions::of(role, period),
        ..TagChecks::customary(role, lo, hi, period)
    });
    let (lo, hi, rate_max_per_s) = COOLANT;
    let mv = MvChecks { ramp_safe_value: Some(290.0), ..MvChecks::customary(lo, hi, rate_max_per_s, period) };
    InterlockConfig::customary(period, Reach::ClosedLoop, checks.to_vec(), CVS, vec![mv])
}

/// The plant and its DCS.
pub(super) fn rig_config(period: Duration) -> Result<RigConfig, ConfigError> {
    const FILE: &str = include_str!("../../../hil/plants/cstr2.toml");
    let (period_s, scan_s) = (period.as_secs_f64(), period.as_secs_f64() / 10.0);
    let text = FILE.replace("period_s = 6.0", &format!("period_s = {period_s:?}"));
    RigConfig::parse(&text.replace("scan_s = 0.5", &format!("scan_s = {scan_s:?}")), "hil/plants/cstr2.toml")
}

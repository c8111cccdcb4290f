//! From a plant file to what each crate of the loop is told.

use std::time::Duration;

use actors::board::SCANS_PER_CYCLE;
use actors::kernel::supervision::RestartPolicy;
use actors::{AdviceConfig, LoopConfig};
use control::accuracy::OpenLoopConfig;
use control::advice::{AdviserConfig, ForecastConfig, Worth};
use control::estimation::{CvNoise, EkfConfig};
use control::mpc::{CvTuning, MpcConfig, MvTuning};
use control::screening::ScreenConfig;
use control::selector::SelectorConfig;
use control::targets::{CvTarget, MvRange, TargetsConfig};
use safety::{Effect, Frozen, InterlockConfig, MvChecks, Reach, Role, Row, Spike, TagChecks, TagReactions};
use signals::{Fixed, Spared};

use super::plant::{Cv, Limits, Mode, Mv, OnRange, PlantFile};
use super::units::Affine;

/// Periods after which the model that runs beside the plant is set to the estimate again.
const ANCHOR_EVERY: u32 = 20;
/// Crashes of one stage that are mended within [`RESTART_WINDOW`] periods; one more and the loop sheds.
const RESTART_INTENSITY: usize = 5;
const RESTART_WINDOW: u32 = 60;

impl PlantFile {
    /// The control period T.
    #[must_use]
    pub fn period(&self) -> Duration {
        Duration::from_secs_f64(self.period_s)
    }

    /// The loop that this file describes.
    #[must_use]
    pub fn loop_config(&self) -> LoopConfig {
        let scans = self.mpc.time_limit_pct / 100.0 * SCANS_PER_CYCLE as f64;
        LoopConfig {
            model: self.model,
            period: self.period(),
            screens: self.measured().map(|(limits, _)| self.screen(limits)).collect(),
            ekf: self.ekf(),
            open_loop: OpenLoopConfig {
                period_s: self.period_s,
                substeps: self.estimator.substeps,
                outputs: self.cvs.iter().map(|cv| cv.output).collect(),
                anchor_every: ANCHOR_EVERY,
            },
            targets: self.targets(),
            mpc: self.mpc_config(),
            guard: self.guard(),
            // At least one scan, at most the last: `time_limit_pct` is between 10 and 90.
            deadline_scan: (scans.round() as u64).clamp(1, SCANS_PER_CYCLE - 1),
            selector: SelectorConfig { plan_max_age: self.mpc.plan_max_age, hold_max: self.mpc.hold_max },
            interlock: self.interlock(),
            advice: self.advice(),
            restarts: RestartPolicy {
                period: self.period(),
                intensity: RESTART_INTENSITY,
                window_periods: RESTART_WINDOW,
            },
        }
    }

    /// Every measured tag in the order of `TagId`; the CV where it is one.
    fn measured(&self) -> impl Iterator<Item = (&Limits, Option<&Cv>)> {
        let cvs = self.cvs.iter().map(|cv| (&cv.limits, Some(cv)));
        cvs.chain(self.dvs.iter().map(|dv| (&dv.limits, None)))
    }

    /// Which measured tags have spare transmitters.
    #[must_use]
    pub fn spared(&self) -> Spared {
        Spared::collect(self.measured().map(|(limits, _)| limits.spares_tolerance.is_some()))
    }

    fn screen(&self, limits: &Limits) -> ScreenConfig {
        ScreenConfig {
            lo: limits.low,
            hi: limits.high,
            hysteresis: limits.hysteresis,
            rate_max_per_s: limits.rate_max_per_s,
            max_age: Duration::from_secs_f64(limits.max_age_s),
            frozen_samples: limits.frozen_samples,
            frozen_band: limits.resolution,
            spike_window: limits.spike_window as usize,
            spike_sigmas: limits.spike_sigmas,
            accept_uncertain: false,
        }
    }

    fn ekf(&self) -> EkfConfig {
        let noise = |cv: &Cv| CvNoise {
            output: cv.output,
            measurement_sd: cv.measurement_sd,
            disturbance_sd: cv.disturbance_sd,
        };
        EkfConfig {
            period_s: self.period_s,
            substeps: self.estimator.substeps,
            cv: self.cvs.iter().map(noise).collect(),
            state_sd: self.estimator.state_sd.clone(),
            initial_sd: self.estimator.initial_sd.clone(),
            dv_of: self.dvs.iter().map(|dv| dv.disturbance).collect(),
            dv_hold: Duration::from_secs_f64(self.estimator.dv_hold_s),
            cv_missing_max: self.estimator.cv_missing_max,
        }
    }

    fn targets(&self) -> TargetsConfig {
        let cv = |cv: &Cv| CvTarget { has_setpoint: cv.weight > 0.0, margin: cv.limit_margin };
        let mvs = self.mvs.iter().map(|mv| MvRange {
            low: mv.low,
            high: mv.high,
            rate_max_per_s: mv.rate_max_per_s,
            rest: mv.rest,
            commissioned: mv.commissioned,
        });
        TargetsConfig { period: self.period(), cvs: self.cvs.iter().map(cv).collect(), mvs: mvs.collect() }
    }

    fn mpc_config(&self) -> MpcConfig {
        let cv = |cv: &Cv| CvTuning {
            output: cv.output,
            span: cv.span,
            weight: cv.weight,
            terminal_weight: cv.terminal_weight,
            soft_linear: cv.limit_linear,
            soft_quadratic: cv.limit_quadratic,
            rank: cv.rank,
            funnel_periods: cv.funnel_s / self.period_s,
            price: cv.price * cv.span,
        };
        let mvs = self.mvs.iter().map(|mv| MvTuning {
            span: mv.high - mv.low,
            move_weight: mv.move_weight,
            target_weight: mv.rest_weight,
            terminal_target_weight: mv.rest_weight,
            price: mv.price * (mv.high - mv.low),
        });
        MpcConfig {
            period_s: self.period_s,
            horizon: self.mpc.horizon,
            blocks: self.mpc.blocks.clone(),
            method: self.mpc.method,
            substeps: self.mpc.substeps,
            sqp_iterations: self.mpc.sqp_iterations,
            terminal_lqr: self.mpc.terminal_lqr,
            solver: self.mpc.solver,
            cv: self.cvs.iter().map(cv).collect(),
            mv: mvs.collect(),
            dv_of: self.dvs.iter().map(|dv| dv.disturbance).collect(),
        }
    }

    fn advice(&self) -> Option<AdviceConfig> {
        let advisory = self.advisory.as_ref()?;
        let worth = |span: f64| Worth {
            offer: advisory.offer_pct / 100.0 * span,
            supersede: advisory.supersede_pct / 100.0 * span,
        };
        let adviser = AdviserConfig {
            expiry: Duration::from_secs_f64(advisory.expiry_s),
            horizon: self.period().mul_f64(self.mpc.horizon as f64),
            mvs: Fixed::collect(self.mvs.iter().map(|mv| worth(mv.high - mv.low))),
        };
        let forecast = ForecastConfig {
            period_s: self.period_s,
            substeps: self.estimator.substeps,
            periods: self.mpc.horizon,
            outputs: self.cvs.iter().map(|cv| cv.output).collect(),
        };
        Some(AdviceConfig { adviser, forecast })
    }

    /// The interlock of this file. That the changes of cells can be made was found when it was read.
    pub(crate) fn interlock(&self) -> InterlockConfig {
        let mut config = self.interlock_without_cells();
        let made = self.cells.apply(&mut config);
        debug_assert!(made.is_ok(), "{made:?}");
        config
    }

    pub(super) fn interlock_without_cells(&self) -> InterlockConfig {
        let period = self.period();
        let mvs = self.mvs.iter().map(|mv| mv_checks(mv, period));
        let reach = match self.mode {
            Mode::Shadow => Reach::Shadow,
            Mode::Advisory => Reach::Advisory,
            Mode::ClosedLoop => Reach::ClosedLoop,
        };
        let tags = self.measured().map(|(limits, cv)| tag_checks(limits, cv, period)).collect();
        let units = self.cvs.iter().map(|cv| &cv.tag).chain(self.dvs.iter().map(|dv| &dv.tag));
        let units: Vec<Affine> = units.map(|tag| tag.to_model).collect();
        let set_points: Vec<Affine> = self.mvs.iter().map(|mv| mv.tag.to_model).collect();
        InterlockConfig {
            heartbeat_timeout: Duration::from_secs_f64(self.safety.heartbeat_timeout_s),
            armed_timeout: Duration::from_secs_f64(self.safety.armed_timeout_s),
            hold_periods: self.safety.hold_periods,
            solver_failures_hold: self.safety.solver_failures_hold,
            solver_failures_shed: self.safety.solver_failures_shed,
            write_failures_max: self.safety.write_failures_max,
            balances: self.balances.iter().map(|balance| balance.build(&units, &set_points)).collect(),
            ..InterlockConfig::customary(period, reach, tags, self.cvs.len(), mvs.collect())
        }
    }
}

fn mv_checks(mv: &Mv, period: Duration) -> MvChecks {
    let customary = MvChecks::customary(mv.low, mv.high, mv.rate_max_per_s, period);
    MvChecks {
        ramp_safe_value: mv.ramp_to,
        readback_tolerance: mv.checks.readback_tolerance.unwrap_or(customary.readback_tolerance),
        travel: mv.checks.travel,
        commissioned: mv.commissioned,
        ..customary
    }
}

fn tag_checks(limits: &Limits, cv: Option<&Cv>, period: Duration) -> TagChecks {
    let role = if cv.is_some_and(|cv| cv.critical) { Role::Critical } else { Role::NonCritical };
    let mut reactions = TagReactions::of(role, Duration::from_secs_f64(limits.delay_s));
    if let Some(cv) = cv.filter(|cv| cv.critical) {
        let effect = match cv.on_range {
            OnRange::Hold => Effect::Hold,
            OnRange::Shed => Effect::Shed,
            OnRange::Trip => Effect::Trip,
        };
        reactions = reactions.with(Row::Range, effect);
    }
    TagChecks {
        hysteresis: limits.hysteresis,
        rate_max_per_s: limits.rate_max_per_s,
        max_age: Duration::from_secs_f64(limits.max_age_s),
        frozen: (limits.frozen_samples > 0)
            .then_some(Frozen { samples: limits.frozen_samples, resolution: limits.resolution }),
        spike: (limits.spike_window > 0).then_some(Spike {
            window: limits.spike_window as usize,
            sigmas: limits.spike_sigmas,
            floor: limits.resolution,
        }),
        spares_tolerance: limits.spares_tolerance,
        residual_max: cv.and_then(|cv| cv.checks.residual_max),
        cusum: cv.and_then(|cv| cv.checks.cusum),
        reactions,
        ..TagChecks::customary(role, limits.low, limits.high, period)
    }
}

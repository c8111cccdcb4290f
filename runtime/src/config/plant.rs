//! What a plant file says, once it is sound. Numbers of tags are in the model's units, converted as they were read.

use std::fmt;
use std::path::PathBuf;

use control::mpc::Solver;
use plant_models::{Method, PlantModel, Variable};
use safety::Overlay;
use serde::{Deserialize, Serialize};
use signals::Unit;

use super::checks::{BalanceTable, ModelChecks, ValveChecks};
use super::guard::{Contract, Filter, Safe};
use super::units::Affine;

/// A plant file that was read without a fault.
#[derive(Clone, Debug)]
pub struct PlantFile {
    /// The loop's name.
    pub name: String,
    /// The plant model.
    pub model: &'static dyn PlantModel,
    /// The control period T, in seconds of plant time.
    pub period_s: f64,
    /// The highest mode.
    pub mode: Mode,
    /// Where and how the DCS is reached.
    pub dcs: Dcs,
    pub(crate) estimator: Estimator,
    pub(crate) mpc: Mpc,
    pub(crate) safety: Safety,
    pub(crate) filter: Option<Filter>,
    pub(crate) contract: Option<Contract>,
    /// What must be shown before the mode may be raised.
    pub commission: Commission,
    pub(crate) advisory: Option<Advisory>,
    /// Manipulated variables, in the model's order.
    pub mvs: Vec<Mv>,
    /// Controlled variables.
    pub cvs: Vec<Cv>,
    /// Measured disturbances.
    pub dvs: Vec<Dv>,
    pub(crate) balances: Vec<BalanceTable>,
    pub(crate) cells: Overlay,
}

/// The three ways in which the loop is used, from the lowest. Each is a wiring, and a step of the commissioning ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Watch.
    Shadow,
    /// Recommend.
    Advisory,
    /// Control.
    ClosedLoop,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shadow => "shadow",
            Self::Advisory => "advisory",
            Self::ClosedLoop => "closed-loop",
        })
    }
}

/// The section `[dcs]`.
#[derive(Clone, Debug)]
pub struct Dcs {
    /// `opc.tcp://host:port/path`.
    pub endpoint: String,
    /// Policy and mode of the secure channel.
    pub security: Security,
    /// URI of the namespace in which the tags live.
    pub namespace: String,
    /// What stands before every tag.
    pub prefix: String,
    /// Who we are.
    pub login: Login,
}

/// Security of the channel (OPC 10000-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Open: for rigs on one's own machine.
    None,
    /// Basic256Sha256, signed.
    Sign,
    /// Basic256Sha256, signed and encrypted.
    SignAndEncrypt,
}

/// The identity under which we write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// No identity.
    Anonymous,
    /// A user name, and the environment variable that holds the password.
    Password {
        /// The user.
        user: String,
        /// The variable.
        password_env: String,
    },
    /// An X.509 certificate of the user.
    Certificate {
        /// DER file.
        certificate: String,
        /// PEM file.
        private_key: String,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Estimator {
    pub(crate) substeps: usize,
    pub(crate) dv_hold_s: f64,
    pub(crate) cv_missing_max: u32,
    pub(crate) state_sd: Vec<f64>,
    pub(crate) initial_sd: Vec<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Mpc {
    pub(crate) horizon: usize,
    pub(crate) blocks: Vec<usize>,
    pub(crate) method: Method,
    pub(crate) substeps: usize,
    pub(crate) sqp_iterations: usize,
    pub(crate) terminal_lqr: bool,
    pub(crate) solver: Solver,
    pub(crate) time_limit_pct: f64,
    pub(crate) plan_max_age: u64,
    pub(crate) hold_max: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Safety {
    pub(crate) heartbeat_timeout_s: f64,
    pub(crate) armed_timeout_s: f64,
    pub(crate) hold_periods: u32,
    pub(crate) solver_failures_hold: u32,
    pub(crate) solver_failures_shed: u32,
    pub(crate) write_failures_max: u32,
}

/// The section `[commission]`.
#[derive(Clone, Debug)]
pub struct Commission {
    /// The folder of the evidence.
    pub evidence: PathBuf,
    /// The file with the public keys of the rigs whose certificates count.
    pub rig_keys: PathBuf,
    /// Servers at which an override is possible; none where left out.
    pub rig_endpoints: Vec<String>,
    /// Hours in shadow before advisory.
    pub shadow_hours: f64,
    /// Hours in advisory before closed loop.
    pub advisory_hours: f64,
}

/// How well the open-loop model must foretell a CV.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Largest root mean square of its errors.
    pub rmse_max: f64,
    /// Largest mean error, either way.
    pub bias_max: f64,
    /// Smallest share of the measurement's variance that it explains.
    pub r2_min: f64,
}

/// The section `[advisory]`. Set-points in percent of an MV's range from low to high.
#[derive(Clone, Debug)]
pub(crate) struct Advisory {
    pub(crate) expiry_s: f64,
    pub(crate) offer_pct: f64,
    pub(crate) supersede_pct: f64,
}

/// What every tag has: a name, a node, a unit.
#[derive(Clone, Debug)]
pub struct Tag {
    /// The plant's name.
    pub name: String,
    /// The node below the prefix.
    pub node: String,
    /// The tag's unit.
    pub unit: Unit,
    /// From the tag's unit to the model's.
    pub to_model: Affine,
}

/// The section `[[mv]]`.
#[derive(Clone, Debug)]
pub struct Mv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's variable.
    pub variable: &'static Variable,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) rate_max_per_s: f64,
    pub(crate) ramp_to: Option<f64>,
    pub(crate) move_weight: f64,
    pub(crate) rest: Option<f64>,
    pub(crate) rest_weight: f64,
    /// Per model unit and period.
    pub(crate) price: f64,
    pub(crate) checks: ValveChecks,
    /// Whether a run may manipulate it; a file says nothing of that, its evidence does.
    pub commissioned: bool,
}

/// What a confirmed range violation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnRange {
    Hold,
    Shed,
    Trip,
}

/// Validation of one measured tag.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) hysteresis: f64,
    pub(crate) rate_max_per_s: f64,
    pub(crate) max_age_s: f64,
    pub(crate) delay_s: f64,
    pub(crate) resolution: f64,
    pub(crate) frozen_samples: u32,
    pub(crate) spike_window: u32,
    pub(crate) spike_sigmas: f64,
    /// There are two spare transmitters, and one of three may differ from the median by so much.
    pub(crate) spares_tolerance: Option<f64>,
}

/// The section `[[cv]]`.
#[derive(Clone, Debug)]
pub struct Cv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's output.
    pub variable: &'static Variable,
    pub(crate) output: usize,
    pub(crate) critical: bool,
    pub(crate) on_range: OnRange,
    pub(crate) limits: Limits,
    pub(crate) span: f64,
    pub(crate) weight: f64,
    pub(crate) terminal_weight: f64,
    pub(crate) limit_linear: f64,
    pub(crate) limit_quadratic: f64,
    pub(crate) rank: u8,
    pub(crate) funnel_s: f64,
    /// Per model unit and period.
    pub(crate) price: f64,
    pub(crate) limit_margin: f64,
    pub(crate) safe: Option<Safe>,
    pub(crate) residual_max: f64,
    pub(crate) measurement_sd: f64,
    pub(crate) disturbance_sd: f64,
    pub(crate) checks: ModelChecks,
    /// How well it must be foretold.
    pub accuracy: Accuracy,
}

/// The section `[[dv]]`.
#[derive(Clone, Debug)]
pub struct Dv {
    /// Name, node, unit.
    pub tag: Tag,
    /// The model's disturbance.
    pub variable: &'static Variable,
    pub(crate) disturbance: usize,
    pub(crate) limits: Limits,
}

//! What a loop is told before it starts, and why it may not start.

use std::time::Duration;

use control::accuracy::OpenLoopConfig;
use control::advice::{AdviserConfig, ForecastConfig};
use control::estimation::{EkfConfig, EstimationError};
use control::guarded::{GuardConfig, GuardError};
use control::mpc::{MpcConfig, MpcError};
use control::screening::{ScreenConfig, ScreenError};
use control::selector::SelectorConfig;
use control::targets::TargetsConfig;
use plant_models::PlantModel;
use safety::{InterlockConfig, SafetyError};

use crate::kernel::PacerError;
use crate::kernel::supervision::RestartPolicy;
use crate::ports::MoveSink;

/// Everything that a loop must be told, every part checked by the crate that uses it.
#[derive(Clone, Debug)]
pub struct LoopConfig {
    /// The plant model.
    pub model: &'static dyn PlantModel,
    /// The control period T.
    pub period: Duration,
    /// Per tag: the CVs, then the DVs.
    pub screens: Vec<ScreenConfig>,
    /// The estimator.
    pub ekf: EkfConfig,
    /// The model beside the plant.
    pub open_loop: OpenLoopConfig,
    /// Set-points and limits.
    pub targets: TargetsConfig,
    /// The controller.
    pub mpc: MpcConfig,
    /// What stands behind the controller, on the solver's thread; `None` for nothing.
    pub guard: Option<GuardConfig>,
    /// The part of the period, in scans, after which a plan is late.
    pub deadline_scan: u64,
    /// The fallback list.
    pub selector: SelectorConfig,
    /// The interlock.
    pub interlock: InterlockConfig,
    /// What is shown to a person in ADVISORY; `None` where nothing is.
    pub advice: Option<AdviceConfig>,
    /// Crashes.
    pub restarts: RestartPolicy,
}

/// How recommendations are made.
#[derive(Clone, Debug)]
pub struct AdviceConfig {
    /// When one is worth a person's attention.
    pub adviser: AdviserConfig,
    /// How its effect is foretold.
    pub forecast: ForecastConfig,
}

/// Where the loop ends: the mode. The sink is made anew for each incarnation of the stage that holds it.
pub enum Ending {
    /// Nothing is proposed and nothing written but status.
    Shadow,
    /// Set-points are recommended to a person; there is no way to the plant.
    Advisory,
    /// Approved moves are written; in ADVISORY, set-points are recommended.
    ClosedLoop(Box<dyn FnMut() -> Box<dyn MoveSink> + Send>),
}

impl std::fmt::Debug for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shadow => "Shadow",
            Self::Advisory => "Advisory",
            Self::ClosedLoop(_) => "ClosedLoop",
        })
    }
}

/// A loop that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The screening of a tag.
    #[error("tag {tag}: {source}")]
    Screen {
        /// The tag, counted from 1.
        tag: usize,
        /// Why.
        source: ScreenError,
    },
    /// The estimator.
    #[error("estimator: {0}")]
    Estimation(#[from] EstimationError),
    /// The controller.
    #[error("mpc: {0}")]
    Mpc(#[from] MpcError),
    /// The safety filter or the model's contract.
    #[error("guard: {0}")]
    Guard(#[from] GuardError),
    /// The interlock.
    #[error("interlock: {0}")]
    Safety(#[from] SafetyError),
    /// The pacer.
    #[error("pacer: {0}")]
    Pacer(#[from] PacerError),
    /// The solver's threads.
    #[error("no thread for the solver: {0}")]
    Thread(#[from] std::io::Error),
    /// The actors.
    #[error("actors: {0}")]
    Spawn(#[from] Box<ractor::SpawnErr>),
}

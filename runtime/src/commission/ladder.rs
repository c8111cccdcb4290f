//! The decision: how far a loop may go, and what is missing for the next step. Pure.
//!
//! Shadow needs nothing. Advisory needs a HIL certificate, time in shadow with an accurate model, and two persons. An MV in
//! closed loop needs all that advisory needs, time in advisory with an accurate model, and two persons for that MV. What
//! is missing is data; its text is for people. More evidence never permits less (`tests`, for any case).

use std::fmt;

use control::accuracy::Fit;
use serde::Serialize;

use super::evidence::Shown;
use crate::config::{Accuracy, Mode, PlantFile};

/// Different persons who must approve a step.
pub const APPROVALS: usize = 2;

/// What a plant file requires; numbers of a CV in the model's unit.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// Hours in shadow before advisory.
    pub shadow_hours: f64,
    /// Hours in advisory before closed loop.
    pub advisory_hours: f64,
    /// Names and accuracies of the CVs.
    pub cvs: Vec<(String, Accuracy)>,
    /// Names of the MVs.
    pub mvs: Vec<String>,
}

impl Requirements {
    /// Those of a plant file.
    #[must_use]
    pub fn of(plant: &PlantFile) -> Self {
        Self {
            shadow_hours: plant.commission.shadow_hours,
            advisory_hours: plant.commission.advisory_hours,
            cvs: plant.cvs.iter().map(|cv| (cv.tag.name.clone(), cv.accuracy)).collect(),
            mvs: plant.mvs.iter().map(|mv| mv.tag.name.clone()).collect(),
        }
    }
}

/// What there is for a loop, all of it bound to its present hashes.
#[derive(Clone, Debug)]
pub struct Case {
    /// Why there is no valid certificate, if there is none.
    pub certificate: Result<(), String>,
    /// Shown in shadow.
    pub shadow: Shown,
    /// Shown in advisory.
    pub advisory: Shown,
    /// Persons who approved advisory.
    pub advisory_approvals: usize,
    /// Persons who approved closed loop, per MV.
    pub mv_approvals: Vec<usize>,
}

/// How far a loop may go.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// The highest step; closed loop if any MV may be manipulated.
    pub step: Mode,
    /// Which MVs may be manipulated in closed loop.
    pub mvs: Vec<bool>,
    /// What is missing for the steps above, all of it.
    pub missing: Vec<Missing>,
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missing {
    /// For which step.
    pub step: Mode,
    /// For which MV, if only for one.
    pub mv: Option<String>,
    /// What.
    pub what: Lack,
}

/// What can be missing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "lack", rename_all = "kebab-case")]
pub enum Lack {
    /// A valid HIL certificate.
    Certificate {
        /// Why there is none.
        why: String,
    },
    /// Time.
    Hours {
        /// In this mode.
        mode: Mode,
        /// What there is, in hours.
        have: f64,
        /// What is needed.
        need: f64,
    },
    /// Errors of a CV to judge.
    Unmeasured {
        /// In this mode.
        mode: Mode,
        /// The CV.
        cv: String,
    },
    /// Accuracy of a CV.
    Accuracy {
        /// In this mode.
        mode: Mode,
        /// The CV.
        cv: String,
        /// Of which measure.
        measure: Measure,
        /// What there is, in the model's unit.
        have: f64,
        /// The limit, in the same.
        limit: f64,
    },
    /// Persons.
    Approvals {
        /// How many different ones approved.
        have: usize,
    },
}

/// A measure of accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Root mean square error.
    Rmse,
    /// Mean error.
    Bias,
    /// Share of the variance that is explained.
    R2,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.step)?;
        if let Some(mv) = &self.mv {
            write!(f, " of {mv}")?;
        }
        match &self.what {
            Lack::Certificate { why } => write!(f, ": a HIL certificate: {why}"),
            Lack::Hours { mode, have, need } => {
                write!(f, ": {need} h in {mode} within the accuracy limits; there are {have:.2} h")
            }
            Lack::Unmeasured { mode, cv } => write!(f, ": errors of {cv} in {mode}; there are none"),
            Lack::Accuracy { mode, cv, measure, have, limit } => {
                let (measure, least) = match measure {
                    Measure::Rmse => ("RMSE", "at most"),
                    Measure::Bias => ("bias", "at most"),
                    Measure::R2 => ("R2", "at least"),
                };
                write!(f, ": {measure} of {cv} in {mode} {least} {limit:.4}; it is {have:.4} (model's unit)")
            }
            Lack::Approvals { have } => write!(f, ": approvals by {APPROVALS} different persons; there are {have}"),
        }
    }
}

/// How far the loop of this case may go.
#[must_use]
pub fn judge(required: &Requirements, case: &Case) -> Standing {
    let mut for_advisory = Vec::new();
    if let Err(why) = &case.certificate {
        for_advisory.push(Lack::Certificate { why: why.clone() });
    }
    judge_mode(required, Mode::Shadow, &case.shadow, &mut for_advisory);
    judge_approvals(case.advisory_approvals, &mut for_advisory);
    let mut for_closed = Vec::new();
    judge_mode(required, Mode::Advisory, &case.advisory, &mut for_closed);
    let below = for_advisory.is_empty() && for_closed.is_empty();
    let all = |step, lacks: Vec<Lack>| lacks.into_iter().map(move |what| Missing { step, mv: None, what });
    let steps = (for_advisory.is_empty(), below);
    let mut missing: Vec<_> = all(Mode::Advisory, for_advisory).chain(all(Mode::ClosedLoop, for_closed)).collect();
    let mut mvs = Vec::new();
    for (i, mv) in required.mvs.iter().enumerate() {
        let mut lacks = Vec::new();
        judge_approvals(case.mv_approvals.get(i).copied().unwrap_or(0), &mut lacks);
        mvs.push(steps.1 && lacks.is_empty());
        let of = |what| Missing { step: Mode::ClosedLoop, mv: Some(mv.clone()), what };
        missing.extend(lacks.into_iter().map(of));
    }
    let step = match steps {
        _ if mvs.contains(&true) => Mode::ClosedLoop,
        (true, _) => Mode::Advisory,
        (false, _) => Mode::Shadow,
    };
    Standing { step, mvs, missing }
}

fn judge_approvals(have: usize, lacks: &mut Vec<Lack>) {
    if have < APPROVALS {
        lacks.push(Lack::Approvals { have });
    }
}

fn judge_mode(required: &Requirements, mode: Mode, shown: &Shown, lacks: &mut Vec<Lack>) {
    let need = if mode == Mode::Shadow { required.shadow_hours } else { required.advisory_hours };
    let have = shown.hours();
    if have < need {
        lacks.push(Lack::Hours { mode, have, need });
    }
    for (i, (cv, limits)) in required.cvs.iter().enumerate() {
        match shown.fits.get(i).filter(|fit| fit.n() > 0) {
            None => lacks.push(Lack::Unmeasured { mode, cv: cv.clone() }),
            Some(fit) => lacks.extend(beyond(fit, limits).map(|(measure, have, limit)| Lack::Accuracy {
                mode,
                cv: cv.clone(),
                measure,
                have,
                limit,
            })),
        }
    }
}

/// The measures that are beyond their limits. A measurement that did not vary leaves nothing to explain: its R2 is as if
/// there were no model.
fn beyond(fit: &Fit, limits: &Accuracy) -> impl Iterator<Item = (Measure, f64, f64)> + use<> {
    let (rmse, bias, r2) = (fit.rmse(), fit.bias().abs(), fit.r2().unwrap_or(0.0));
    let all = [
        (Measure::Rmse, rmse, limits.rmse_max, rmse <= limits.rmse_max),
        (Measure::Bias, bias, limits.bias_max, bias <= limits.bias_max),
        (Measure::R2, r2, limits.r2_min, r2 >= limits.r2_min),
    ];
    all.into_iter().filter(|(.., holds)| !holds).map(|(measure, have, limit, _)| (measure, have, limit))
}

//! What a run may do: decided once when it starts, and again when what it stood on has lapsed.
//!
//! A file that asks for a step that the loop has evidence for gets it. One whose evidence a changed hash has made void
//! falls back to the last step that still has evidence. One that never had any is refused with all that is missing. At a
//! rig, an override stands in for evidence: for a reason, for some hours, and in the audit log before the run begins.

use std::fmt;
use std::time::Duration;

use actors::kernel::Clock;
use serde::Serialize;

use super::approvals::{Act, once_reached, os_user};
use super::certificate::rfc3339;
use super::ladder::{Missing, Standing, judge};
use super::{CommissionError, Dossier};
use crate::config::{Mode, PlantFile};

/// The longest override, in hours.
pub const OVERRIDE_MAX_HOURS: f64 = 8.0;

/// The URI that our rig's server bears; it is in its table of namespaces, and in nobody else's.
pub const RIG_URI: &str = "urn:outrigger:rig:server";

/// How often the evidence of a run is looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A wish to go without evidence, at a rig.
#[derive(Clone, Debug)]
pub struct Override {
    /// Why.
    pub reason: String,
    /// For how long.
    pub hours: f64,
}

/// How far a run may go, and on what grounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Admission {
    mode: Mode,
    mvs: Vec<bool>,
    grant: Grant,
    missing: Vec<Missing>,
}

#[derive(Clone, Debug, PartialEq)]
enum Grant {
    Evidence,
    FellBack { from: Mode, why: String },
    Override { lasts: Duration, until: String, reason: String },
}

/// Why a run may not begin.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The evidence does not reach.
    #[error("`mode = \"{wanted}\"` is refused; {} is permitted. Missing:{}", .permitted, List(.missing))]
    Evidence {
        /// What the file asks for.
        wanted: Mode,
        /// What the loop may do.
        permitted: Mode,
        /// Everything that is missing.
        missing: Vec<Missing>,
    },
    /// An override beside a plant.
    #[error("an override is for rigs only, and {endpoint} is none: it is not in `commission.rig_endpoints`")]
    NotTheRig {
        /// The server.
        endpoint: String,
    },
    /// A record that cannot be used.
    #[error(transparent)]
    Broken(#[from] CommissionError),
}

/// One thing a line.
pub(super) struct List<'a>(pub(super) &'a [Missing]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|missing| write!(f, "\n  - {missing}"))
    }
}

/// What `/status` and the report say of a run's permission.
#[derive(Clone, Debug, Serialize)]
pub struct CommissionStatus {
    /// How far the run may go.
    mode: Mode,
    /// The MVs that it may manipulate when it is closed.
    mvs: Vec<String>,
    /// On what grounds: `evidence`, `fell-back`, `override`.
    grounds: &'static str,
    /// In words, where it is not evidence.
    why: Option<String>,
    /// What is missing for more.
    missing: Vec<String>,
}

/// Decides on a run of `plant`, and writes the decision into the audit log.
///
/// # Errors
/// [`Refused`]. Nothing has been started.
pub fn admit(dossier: &Dossier, plant: &PlantFile, wish: Option<&Override>, now_s: u64) -> Result<Admission, Refused> {
    let (id, audit, wanted) = (dossier.binding.id(), dossier.audit(), plant.mode);
    let entries = audit.entries()?;
    let Standing { step, mvs, missing } = judge(&dossier.requirements, &dossier.case(&entries, now_s)?);
    let (mode, grant, act) = if wanted <= step {
        let may = dossier.requirements.mvs.iter().zip(&mvs).filter(|(_, may)| **may && wanted == Mode::ClosedLoop);
        let act = Act::Run { mode: wanted, mvs: may.map(|(mv, _)| mv.clone()).collect() };
        (wanted, Grant::Evidence, act)
    } else if let Some(wish) = wish {
        let endpoint = plant.dcs.endpoint.clone();
        if !is_rig(&endpoint, &plant.commission.rig_endpoints) {
            return Err(Refused::NotTheRig { endpoint });
        }
        let lasts = Duration::from_secs_f64(wish.hours * 3600.0);
        let (until, reason) = (rfc3339(now_s + lasts.as_secs()), wish.reason.clone());
        let grant = Grant::Override { lasts, until: until.clone(), reason: reason.clone() };
        (wanted, grant, Act::Override { mode: wanted, endpoint, until, reason, os_user: os_user() })
    } else if once_reached(&entries, &id, wanted) {
        let why = "a hash has changed since".to_owned();
        (step, Grant::FellBack { from: wanted, why: why.clone() }, Act::FellBack { from: wanted, to: step, why })
    } else {
        return Err(Refused::Evidence { wanted, permitted: step, missing });
    };
    audit.append(&id, act, now_s)?;
    Ok(Admission { mode, mvs, grant, missing })
}

/// What is left of a run of `plant` when its permission has lapsed; a dossier that cannot be read any more leaves shadow.
#[must_use]
pub fn stand_down(dossier: &Dossier, plant: &PlantFile, why: String, now_s: u64) -> Admission {
    let (wanted, nothing) = (plant.mode, Standing { step: Mode::Shadow, mvs: Vec::new(), missing: Vec::new() });
    let Standing { step, mvs, missing } = dossier.standing(now_s).unwrap_or(nothing);
    let mode = wanted.min(step);
    let act = Act::FellBack { from: wanted, to: mode, why: why.clone() };
    if let Err(error) = dossier.audit().append(&dossier.binding.id(), act, now_s) {
        tracing::error!(%error, "standing down is not in the audit log");
    }
    Admission { mode, mvs, grant: Grant::FellBack { from: wanted, why }, missing }
}

/// Whether an endpoint is one of a list; `:*` in it stands for any port.
fn is_rig(endpoint: &str, rigs: &[String]) -> bool {
    rigs.iter().any(|rig| match rig.split_once(":*") {
        Some((host, path)) => {
            let port = endpoint.strip_prefix(host).and_then(|rest| rest.strip_suffix(path)?.strip_prefix(':'));
            port.is_some_and(|port| port.parse::<u16>().is_ok())
        }
        None => rig == endpoint,
    })
}

/// Whether plant time may run faster than the wall and still leave evidence: only a rig is that fast.
pub(crate) fn leaves_evidence(plant: &PlantFile, speed: f64) -> bool {
    speed <= 1.0 || is_rig(&plant.dcs.endpoint, &plant.commission.rig_endpoints)
}

impl Admission {
    /// Lowers a plant file to what is permitted.
    pub fn apply(&self, plant: &mut PlantFile) {
        plant.mode = self.mode;
        // In advisory nothing is written, and a person is told of every MV.
        let all = self.mode < Mode::ClosedLoop || self.proof().is_some();
        for (i, mv) in plant.mvs.iter_mut().enumerate() {
            mv.commissioned = all || self.mvs.get(i).copied().unwrap_or(false);
        }
    }

    /// By which namespace the server must prove to be the rig: under an override, by the rig's own.
    #[must_use]
    pub fn proof(&self) -> Option<&'static str> {
        matches!(self.grant, Grant::Override { .. }).then_some(RIG_URI)
    }

    /// Resolves, with the reason, when the run may not go on as it does.
    pub(crate) async fn lapsed(&self, dossier: &Dossier) -> String {
        if let Grant::Override { lasts, .. } = &self.grant {
            tokio::time::sleep(*lasts).await;
            return "the override has expired".to_owned();
        }
        if self.mode == Mode::Shadow {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            match dossier.standing(Clock::calendar_s()) {
                Ok(standing) if self.stands_on(&standing) => {}
                Ok(standing) => return format!("the evidence does not suffice any more:{}", List(&standing.missing)),
                Err(error) => return error.to_string(),
            }
        }
    }

    fn stands_on(&self, now: &Standing) -> bool {
        let mut mvs = self.mvs.iter().zip(&now.mvs);
        self.mode <= now.step && (self.mode < Mode::ClosedLoop || mvs.all(|(had, has)| *has || !*had))
    }

    /// Says to the log how far the run may go, loudly where that is not what the file asks for.
    pub(crate) fn tell(&self) {
        let (mode, missing) = (self.mode, List(&self.missing).to_string());
        match &self.grant {
            Grant::Evidence if self.mvs.contains(&false) && mode == Mode::ClosedLoop => {
                tracing::warn!(%mode, missing, "commissioned for some MVs; the others are left to the DCS");
            }
            Grant::Evidence => tracing::info!(%mode, "commissioned"),
            Grant::FellBack { from, why } => {
                tracing::error!(%from, to = %mode, why, missing, "FALLEN BACK: the loop has no evidence for its mode");
            }
            Grant::Override { until, reason, .. } => {
                tracing::warn!(%mode, until, reason, missing, "OVERRIDE: the loop runs without evidence, at a rig");
            }
        }
    }

    /// For `/status` and the report; `plant` names the MVs.
    #[must_use]
    pub fn status(&self, plant: &PlantFile) -> CommissionStatus {
        let (grounds, why) = match &self.grant {
            Grant::Evidence => ("evidence", None),
            Grant::FellBack { from, why } => ("fell-back", Some(format!("from {from}: {why}"))),
            Grant::Override { until, reason, .. } => ("override", Some(format!("until {until}: {reason}"))),
        };
        let closes = self.mode == Mode::ClosedLoop;
        let may = plant.mvs.iter().filter(|mv| closes && mv.commissioned);
        CommissionStatus {
            mode: self.mode,
            mvs: may.map(|mv| mv.tag.name.clone()).collect(),
            grounds,
            why,
            missing: self.missing.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_rig;

    #[test]
    fn a_rig_is_one_of_the_list_and_a_star_is_a_port() {
        let rigs = ["opc.tcp://127.0.0.1:*/".to_owned(), "opc.tcp://rig:4855/x".to_owned()];
        for rig in ["opc.tcp://127.0.0.1:4855/", "opc.tcp://127.0.0.1:1/", "opc.tcp://rig:4855/x"] {
            assert!(is_rig(rig, &rigs), "{rig}");
        }
        for plant in [
            "opc.tcp://dcs:4855/",
            "opc.tcp://127.0.0.1:4855/x",
            "opc.tcp://127.0.0.1.evil:4855/",
            "opc.tcp://127.0.0.1:4855@dcs/",
            "opc.tcp://rig:4856/x",
            "opc.tcp://127.0.0.1/",
        ] {
            assert!(!is_rig(plant, &rigs), "{plant}");
        }
        assert!(!is_rig("opc.tcp://127.0.0.1:4855/", &[]), "no list, no rig");
    }
}

//! A run in legs: as far as it is permitted, and when that lapses, a leg below.
//!
//! Standing down ends the loop in order, as a stop does: the DCS is told OFF and takes the MVs back. The next leg is a new
//! loop, wired for less, and boots tripped.

use std::path::{Path, PathBuf};
use std::pin::pin;

use actors::kernel::Clock;

use crate::commission::Dossier;
use crate::commission::admission::{Admission, leaves_evidence, stand_down};
use crate::commission::evidence::Tally;
use crate::config::Loaded;
use crate::run::{Commissioned, RunOptions, run};

/// Runs the loop of a plant file as far as it is admitted, until `stop` resolves.
///
/// # Errors
/// Those of [`run`].
pub async fn run_admitted(
    loaded: Loaded,
    options: RunOptions,
    (dossier, mut admission): (Dossier, Admission),
    stop: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let mut stop = pin!(stop);
    for leg in 1_u32.. {
        admission.tell();
        let mut permitted = loaded.clone();
        admission.apply(&mut permitted.plant);
        let commission = Commissioned {
            status: admission.status(&permitted.plant),
            evidence: evidence(&dossier, &permitted, options.speed),
            proof: admission.proof(),
        };
        let mut lapse = None;
        let stopped_or_lapsed = async {
            tokio::select! {
                () = &mut stop => {}
                why = admission.lapsed(&dossier) => lapse = Some(why),
            }
        };
        run(permitted, of_leg(options.clone(), leg), commission, stopped_or_lapsed).await?;
        let Some(why) = lapse else { break };
        admission = stand_down(&dossier, &loaded.plant, why, Clock::calendar_s());
    }
    Ok(())
}

/// Where the run's time and accuracy are counted on from.
fn evidence(dossier: &Dossier, loaded: &Loaded, speed: f64) -> Option<(Tally, PathBuf)> {
    if !leaves_evidence(&loaded.plant, speed) {
        tracing::warn!(speed, "faster than the wall and not at a rig: this run leaves no evidence");
        return None;
    }
    let evidence = dossier.evidence().inspect_err(|error| tracing::error!(%error, "this run leaves no evidence"));
    Some((Tally::new(&loaded.plant, evidence.ok()?), dossier.evidence_file()))
}

/// A later leg has files of its own: neither journal nor report is written over.
fn of_leg(mut options: RunOptions, leg: u32) -> RunOptions {
    let name = |file: &Path| match leg {
        1 => file.to_owned(),
        _ => PathBuf::from(format!("{}.{leg}", file.display())),
    };
    options.report = options.report.map(|file| name(&file));
    if let Some(journal) = &mut options.journal {
        journal.file = name(&journal.file);
    }
    options
}

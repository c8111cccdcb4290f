//! The ladder as tables and as a property, its files, and what a run is allowed.

mod admission;
mod files;
mod ladder;

use std::path::Path;

use control::accuracy::Fit;
use tempfile::TempDir;

use super::Dossier;
use super::approvals::{Act, Person};
use super::certificate::Certificate;
use super::certificate::tests::{NOW, claims, hashes, rig, trusting};
use super::evidence::{Evidence, Shown};
use super::hashes::Binding;
use crate::config::{Loaded, Mode, load};

/// The shipped reactor with a folder of its own for its papers, which are complete.
struct Papers {
    dir: TempDir,
    loaded: Loaded,
}

fn binding() -> Binding {
    Binding { hashes: hashes(), site: "s".into() }
}

/// So many hours, all CVs well foretold.
fn shown(loaded: &Loaded, hours: f64) -> Shown {
    let fits = loaded.plant.cvs.iter().map(|cv| fit(10.0 * cv.accuracy.rmse_max, 0.5 * cv.accuracy.rmse_max, 0.0));
    Shown { seconds: 3600.0 * hours, seconds_beyond: 0.0, fits: fits.collect() }
}

/// A measurement that goes up and down by `y`, and errors of ±`e` around `bias`.
fn fit(y: f64, e: f64, bias: f64) -> Fit {
    let mut fit = Fit::default();
    for (y, e) in [(y, e), (y, -e), (-y, e), (-y, -e)] {
        fit.add(y, e + bias);
    }
    fit
}

fn person(name: &str) -> Person {
    Person { name: name.into(), role: "engineer".into(), os_user: os() }
}

fn os() -> String {
    "ops (uid 1000)".into()
}

impl Papers {
    fn none() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml")).unwrap();
        loaded.plant.commission.evidence = dir.path().join("evidence");
        loaded.plant.commission.rig_keys = dir.path().join("rig-keys.txt");
        Self { dir, loaded }
    }

    fn complete() -> Self {
        let papers = Self::none();
        papers.complete_for(binding());
        papers
    }

    fn complete_for(&self, binding: Binding) {
        let dossier = self.bound(binding.clone());
        trusting(self.dir.path(), &[rig()]);
        let evidence = Evidence {
            shadow: shown(&self.loaded, 72.0),
            advisory: shown(&self.loaded, 168.0),
            ..Evidence::none(binding.clone())
        };
        evidence.save(&dossier.evidence_file()).unwrap();
        let certificate = Certificate::sign(claims(binding.hashes), &rig());
        std::fs::write(dossier.certificate_file(), serde_json::to_string(&certificate).unwrap()).unwrap();
        for (step, mv) in [(Mode::Advisory, None), (Mode::ClosedLoop, Some("FC101")), (Mode::ClosedLoop, Some("QC101"))]
        {
            for name in ["Ann Lee", "Bo Ek"] {
                self.approve(&dossier, (step, mv), name);
            }
        }
    }

    fn approve(&self, dossier: &Dossier, (step, mv): (Mode, Option<&str>), name: &str) {
        let act = Act::Approve { step, mv: mv.map(str::to_owned), by: person(name), reason: "seen".into() };
        dossier.audit().append(&dossier.binding().id(), act, NOW).unwrap();
    }

    fn revoke(&self, dossier: &Dossier, (step, mv): (Mode, Option<&str>)) {
        let act = Act::Revoke { step, mv: mv.map(str::to_owned), by: person("Cy"), reason: "valve".into() };
        dossier.audit().append(&dossier.binding().id(), act, NOW).unwrap();
    }

    fn bound(&self, binding: Binding) -> Dossier {
        Dossier::bound(&self.loaded, binding)
    }

    fn dossier(&self) -> Dossier {
        self.bound(binding())
    }
}

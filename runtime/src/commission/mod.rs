//! The commissioning ladder: shadow, advisory, closed loop, one MV at a time, and nothing without evidence.
//!
//! [`hashes`] says what evidence is bound to. [`certificate`] is the rig's word, [`evidence`] the time and accuracy that a
//! loop has shown, [`approvals`] what persons allowed; [`ladder`] decides from the three how far a loop may go, and lists
//! what is missing. [`admission`] holds a run to that, [`recorder`] gathers evidence while it lasts, [`command`] is
//! `outrigger commission`.
//!
//! # Invariants
//! - What is not bound to the present hashes does not count.
//! - A file that was damaged or edited is an error that is told, never less evidence that is silently more.
//! - Nothing here writes to the plant. A run that may not go so far has no way to: it is wired for less.

pub mod admission;
pub mod approvals;
pub mod certificate;
pub mod command;
pub mod evidence;
pub mod hashes;
pub mod ladder;
mod recorder;
pub mod rig_key;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub(crate) use recorder::Recorder;

use crate::config::{Loaded, Mode};
use approvals::{AuditLog, Entry, approvals, log_in};
use certificate::{Certificate, CertificateError, RigKeys};
use evidence::Evidence;
use hashes::Binding;
use ladder::{Case, Requirements, Standing, judge};

/// A record that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommissionError {
    /// What evidence is bound to cannot be told.
    #[error("{what}: {why}")]
    Program {
        /// What was read.
        what: &'static str,
        /// What went wrong.
        why: String,
    },
    /// The record of time and accuracy.
    #[error("evidence {file}: {why}")]
    Evidence {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The log of approvals.
    #[error("audit log {file}: {why}")]
    Audit {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// The papers of one loop as it is now: where they are, and what they must show.
#[derive(Clone, Debug)]
pub struct Dossier {
    binding: Binding,
    requirements: Requirements,
    folder: PathBuf,
    rig_keys: PathBuf,
}

impl Dossier {
    /// The dossier of a plant file, its endpoint perhaps overridden, and of this program.
    ///
    /// # Errors
    /// [`CommissionError::Program`].
    pub fn of(loaded: &Loaded) -> Result<Self, CommissionError> {
        Ok(Self::bound(loaded, Binding::of(loaded)?))
    }

    fn bound(loaded: &Loaded, binding: Binding) -> Self {
        let section = &loaded.plant.commission;
        let requirements = Requirements::of(&loaded.plant);
        Self { binding, requirements, folder: section.evidence.clone(), rig_keys: section.rig_keys.clone() }
    }

    /// To what its papers are bound.
    #[must_use]
    pub fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Where time and accuracy are recorded.
    #[must_use]
    pub fn evidence_file(&self) -> PathBuf {
        self.folder.join(format!("evidence-{}.txt", self.binding.id()))
    }

    /// Where an accepted certificate lies.
    #[must_use]
    pub fn certificate_file(&self) -> PathBuf {
        self.folder.join("certificate.json")
    }

    /// The log of approvals.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        log_in(&self.folder)
    }

    /// Time and accuracy so far.
    ///
    /// # Errors
    /// [`CommissionError::Evidence`].
    pub fn evidence(&self) -> Result<Evidence, CommissionError> {
        Evidence::load(&self.evidence_file(), &self.binding)
    }

    /// A certificate in a file, if it is valid for this loop now.
    ///
    /// # Errors
    /// Why it does not count.
    pub fn certificate(&self, file: &Path, now_s: u64) -> Result<Certificate, CertificateError> {
        let certificate = Certificate::read(file)?;
        certificate.verify(&RigKeys::read(&self.rig_keys)?, &self.binding.hashes, now_s)?;
        Ok(certificate)
    }

    /// How far the loop may go now, `now_s` in seconds of the calendar.
    ///
    /// # Errors
    /// [`CommissionError`]: a record was damaged or edited.
    pub fn standing(&self, now_s: u64) -> Result<Standing, CommissionError> {
        let case = self.case(&self.audit().entries()?, now_s)?;
        Ok(judge(&self.requirements, &case))
    }

    fn case(&self, entries: &[Entry], now_s: u64) -> Result<Case, CommissionError> {
        let Evidence { shadow, advisory, .. } = self.evidence()?;
        let id = self.binding.id();
        let persons = |step, mv: Option<&str>| approvals(entries, &id, step, mv).len();
        let certificate = self.certificate(&self.certificate_file(), now_s);
        Ok(Case {
            certificate: certificate.map(drop).map_err(|why| why.to_string()),
            shadow,
            advisory,
            advisory_approvals: persons(Mode::Advisory, None),
            mv_approvals: self.requirements.mvs.iter().map(|mv| persons(Mode::ClosedLoop, Some(mv))).collect(),
        })
    }
}

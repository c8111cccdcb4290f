//! The HIL certificate: written after a campaign in which every scenario passed and every negative control failed, and
//! after no other. Its format, and what believes it, is [`runtime::commission::certificate`].

use std::path::{Path, PathBuf};
use std::process::Command;

use actors::kernel::Clock;
use runtime::commission::CommissionError;
use runtime::commission::certificate::{Certificate, Claims, Results, rfc3339};
use runtime::commission::hashes::Binding;
use runtime::commission::rig_key::RigKey;
use runtime::config::{ConfigError, Loaded, load};

use crate::campaign::Count;
use crate::scenario::Scenario;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertifyError {
    /// The campaign was not passed.
    #[error("no certificate: of {} scenarios {} failed, and of {} negative controls {} failed as they must", .0.scenarios, .0.failed, .0.negative_controls, .0.negative_failed_as_expected)]
    NotPassed(Count),
    /// The campaign has tried another device than `outrigger`.
    #[error("no certificate: it speaks of `outrigger`, and this campaign has tried another device, {0}")]
    OtherDevice(String),
    /// A part of the campaign was left out.
    #[error("no certificate: {0} scenarios of the campaign were left out")]
    NotWhole(usize),
    /// The scenarios speak of several loops.
    #[error("no certificate: the scenarios speak of several plant files, {0} and {1}")]
    SeveralLoops(String, String),
    /// The plant file.
    #[error(transparent)]
    Plant(#[from] ConfigError),
    /// The program.
    #[error(transparent)]
    Program(#[from] CommissionError),
    /// The program is not of this rig's version, so what was run here says nothing of it.
    #[error("no certificate: {} says that it is `{said}`, and this rig has run `{ours}`", .program.display())]
    OtherVersion {
        /// The program.
        program: PathBuf,
        /// What it says of itself.
        said: String,
        /// What was run.
        ours: String,
    },
}

/// The plant file that all scenarios run.
///
/// # Errors
/// [`CertifyError::SeveralLoops`], [`CertifyError::Plant`].
pub fn subject(scenarios: &[Scenario]) -> Result<Loaded, CertifyError> {
    let real = |file: &Path| file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let first = scenarios.first().map(|scenario| real(&scenario.plant)).unwrap_or_default();
    match scenarios.iter().map(|scenario| real(&scenario.plant)).find(|plant| *plant != first) {
        Some(other) => Err(CertifyError::SeveralLoops(first.display().to_string(), other.display().to_string())),
        None => Ok(load(&first)?),
    }
}

/// The device under test, where it is not `outrigger`.
#[must_use]
pub fn device(scenarios: &[Scenario]) -> Option<String> {
    scenarios.iter().find_map(|scenario| scenario.device.as_ref()).map(|device| device.name.clone())
}

/// The hashes of a plant file and of the program that is to run it, which must be of this version.
///
/// # Errors
/// [`CertifyError::OtherVersion`], [`CertifyError::Program`].
pub fn binding(loaded: &Loaded, program: &Path) -> Result<Binding, CertifyError> {
    let binding = Binding::with_program(loaded, program)?;
    let told = Command::new(program).arg("--version").output();
    let said = told.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default();
    let ours = format!("outrigger {}", env!("CARGO_PKG_VERSION"));
    if said == ours { Ok(binding) } else { Err(CertifyError::OtherVersion { program: program.to_owned(), said, ours }) }
}

/// The certificate of a campaign that was passed whole, for so many days from now.
///
/// # Errors
/// [`CertifyError::OtherDevice`], [`CertifyError::NotPassed`], [`CertifyError::NotWhole`].
pub fn certificate(
    campaign: &str,
    (scenarios, left_out): (&[Scenario], usize),
    count: &Count,
    binding: &Binding,
    (key, days): (&RigKey, u32),
) -> Result<Certificate, CertifyError> {
    if let Some(device) = device(scenarios) {
        return Err(CertifyError::OtherDevice(device));
    }
    if !count.is_good() {
        return Err(CertifyError::NotPassed(count.clone()));
    }
    if left_out > 0 {
        return Err(CertifyError::NotWhole(left_out));
    }
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let now = Clock::calendar_s();
    Ok(key.sign(Claims {
        format: 0,
        campaign: campaign.to_owned(),
        rig: format!("outrigger-hil {}", env!("CARGO_PKG_VERSION")),
        hashes: binding.hashes.clone(),
        results: Results { passed: number(count.passed), failed: number(count.failed), skipped: 0 },
        issued: rfc3339(now),
        expires: rfc3339(now + u64::from(days) * 86_400),
        key: String::new(),
    }))
}

//! The plant file: one TOML file that says all that a loop must know.
//!
//! [`load`] gives a [`PlantFile`] that is sound, or every fault of its keys at once, what spans several keys included. Of
//! a file without such a fault the crates of the loop are asked as a second pass, by making each part once, so that
//! `outrigger check` accepts no file that `outrigger run` would refuse; the first part that refuses is told
//! ([`ConfigError::Refused`]).

mod build;
mod checks;
mod cross;
mod guard;
mod plant;
pub mod reader;
mod sections;
mod units;

use std::path::{Path, PathBuf};

use control::estimation::Ekf;
use control::guarded::Guarded;
use control::mpc::Nmpc;
use control::screening::Screen;
use safety::{ConfigHash, Interlock};
use sha2::{Digest, Sha256};
use signals::TagId;

pub use plant::{Accuracy, Commission, Cv, Dcs, Dv, Login, Mode, Mv, PlantFile, Security, Tag};
pub use reader::{Fault, Faults};
pub use units::Affine;

/// A plant file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not text.
    #[error("{}:{line}: not UTF-8 text, as a TOML file must be", .file.display())]
    NotText {
        /// The file.
        file: PathBuf,
        /// The first line that is not, counted from 1.
        line: usize,
    },
    /// The file has faults.
    #[error(transparent)]
    Faulty(#[from] Faults),
    /// Every key is in order, and a part of the loop refuses what they say together.
    #[error("{}: {part}: {why}", .file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// The part: estimator, mpc, interlock, a tag.
        part: String,
        /// Its own words.
        why: String,
    },
}

/// A plant file and the hash by which it is known (`CFG_REV`).
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file says.
    pub plant: PlantFile,
    /// SHA-256 over the file and this program's version, the first 16 hexadecimal digits.
    pub revision: String,
    /// The file, word by word.
    pub text: String,
}

impl Loaded {
    /// The revision as a number: what the interlock's check 22 holds against the file on the disk.
    #[must_use]
    pub fn config_hash(&self) -> ConfigHash {
        config_hash(&self.text)
    }
}

/// The hash of a configuration with this plant file's text and this program.
pub(crate) fn config_hash(text: &str) -> ConfigHash {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(text);
    ConfigHash(hash.finalize().iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

/// Reads and checks a plant file.
///
/// # Errors
/// [`ConfigError`]; of a faulty file, every fault.
pub fn load(file: &Path) -> Result<Loaded, ConfigError> {
    let bytes = std::fs::read(file).map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?;
    load_text(file, text(file, bytes)?)
}

/// Checks a plant file's text, as it stands in the file or with changes; `file` is its name in the messages.
///
/// # Errors
/// As [`load`].
pub fn load_text(file: &Path, text: String) -> Result<Loaded, ConfigError> {
    let plant = parse(file, &text)?;
    let revision = config_hash(&text).to_string();
    Ok(Loaded { plant, revision, text })
}

fn text(file: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|e| {
        let sound = e.as_bytes().iter().take(e.utf8_error().valid_up_to());
        let line = 1 + sound.filter(|b| **b == b'\n').count();
        ConfigError::NotText { file: file.to_owned(), line }
    })
}

/// Checks a plant file's text; `file` is its name in the messages.
///
/// # Errors
/// As [`load`].
pub fn parse(file: &Path, text: &str) -> Result<PlantFile, ConfigError> {
    let plant = reader::Document::new(file, text).read(sections::read)?;
    let refused = |part: String, why: String| ConfigError::Refused { file: file.to_owned(), part, why };
    let config = plant.loop_config();
    for (tag, screen) in (0_u16..).zip(config.screens) {
        Screen::new(TagId(tag), screen).map_err(|e| refused(format!("measured tag {}", tag + 1), e.to_string()))?;
    }
    Ekf::new(config.model, config.ekf).map_err(|e| refused("estimator".into(), e.to_string()))?;
    Nmpc::new(config.model, config.mpc.clone()).map_err(|e| refused("mpc".into(), e.to_string()))?;
    let guarded = config.guard.map(|guard| Guarded::new(config.model, config.mpc, guard)).transpose();
    guarded.map_err(|e| refused("guard".into(), e.to_string()))?;
    Interlock::new(config.interlock).map_err(|e| refused("safety".into(), e.to_string()))?;
    Ok(plant)
}

//! The key of a rig: what signs its certificates.
//!
//! Two files: `FILE` holds the secret, 64 hexadecimal digits, for its owner to read alone; `FILE.pub` the line that goes
//! into the file of trusted keys of a plant ([`super::certificate::RigKeys`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;

use super::certificate::{Certificate, Claims, key_id};
use super::hashes::{hex, unhex};

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RigKeyError {
    /// The file system, or the operating system's source of chance.
    #[error("{}: {source}", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{}: no secret key of a rig, expected 64 hexadecimal digits", .0.display())]
    NoKey(PathBuf),
}

/// The key of a rig.
#[derive(Debug)]
pub struct RigKey(SigningKey);

impl RigKey {
    /// Makes a pair of files; neither may exist.
    ///
    /// # Errors
    /// [`RigKeyError::File`].
    pub fn create(file: &Path) -> Result<Self, RigKeyError> {
        let failed = |file: &Path| {
            let file = file.to_owned();
            move |source| RigKeyError::File { file, source }
        };
        let mut secret = [0; 32];
        let chance = Path::new("/dev/urandom");
        File::open(chance).and_then(|mut open| open.read_exact(&mut secret)).map_err(failed(chance))?;
        let key = Self(SigningKey::from_bytes(&secret));
        let write = |file: &Path, mode: u32, text: String| {
            let open = OpenOptions::new().write(true).create_new(true).mode(mode).open(file);
            open.and_then(|mut open| open.write_all(text.as_bytes())).map_err(failed(file))
        };
        write(file, 0o600, format!("{}\n", hex(&secret)))?;
        write(&public(file), 0o644, format!("{}\n", key.public_line()))?;
        Ok(key)
    }

    /// Reads the secret.
    ///
    /// # Errors
    /// [`RigKeyError`].
    pub fn read(file: &Path) -> Result<Self, RigKeyError> {
        let text =
            std::fs::read_to_string(file).map_err(|source| RigKeyError::File { file: file.to_owned(), source })?;
        let bytes = unhex(text.trim()).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(|bytes| Self(SigningKey::from_bytes(&bytes))).ok_or_else(|| RigKeyError::NoKey(file.to_owned()))
    }

    /// The line for a file of trusted keys.
    #[must_use]
    pub fn public_line(&self) -> String {
        let public = self.0.verifying_key();
        format!("{}  # the rig's key {}", hex(public.as_bytes()), key_id(&public))
    }

    /// Signs what a rig says of a loop.
    #[must_use]
    pub fn sign(&self, claims: Claims) -> Certificate {
        Certificate::sign(claims, &self.0)
    }
}

/// Where the public half lies.
#[must_use]
pub fn public(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".pub");
    file.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::certificate::RigKeys;
    use super::super::certificate::tests::{NOW, claims, hashes};
    use super::*;

    #[test]
    fn a_pair_signs_and_is_believed_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rig.key");
        RigKey::create(&file).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let certificate = RigKey::read(&file).unwrap().sign(claims(hashes()));
        let keys = RigKeys::read(&public(&file)).unwrap();
        assert_eq!(certificate.verify(&keys, &hashes(), NOW), Ok(()));
        assert!(matches!(RigKey::create(&file), Err(RigKeyError::File { .. })));
    }

    #[test]
    fn two_keys_differ_and_what_is_no_key_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let line = |name: &str| RigKey::create(&dir.path().join(name)).unwrap().public_line();
        assert_ne!(line("a"), line("b"));
        std::fs::write(dir.path().join("c"), "abcd").unwrap();
        assert!(matches!(RigKey::read(&dir.path().join("c")), Err(RigKeyError::NoKey(_))));
    }
}

//! The HIL certificate: a rig's word that this configuration, model and program passed its campaign.
//!
//! A JSON file: the claims, and an ed25519 signature (RFC 8032) over them. What is signed is [`DOMAIN`] and then the
//! claims as compact JSON with their fields in the order of [`Claims`]; a claim is a text or a whole number, so there is
//! one such form. The rig makes it by [`Certificate::sign`]; we believe the rigs whose public keys stand in a file.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, SecondsFormat};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::hashes::{Hashes, hex, sha256, unhex};

/// The format that is made and understood here.
pub const FORMAT: u32 = 1;

/// What stands before the claims when they are signed, so that no other signature of a rig passes for a certificate.
const DOMAIN: &str = "outrigger HIL certificate\n";

/// What a rig says of a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// [`FORMAT`].
    pub format: u32,
    /// What was run.
    pub campaign: String,
    /// By which version of the rig.
    pub rig: String,
    /// Of which loop.
    pub hashes: Hashes,
    /// With what results.
    pub results: Results,
    /// When, as RFC 3339.
    pub issued: String,
    /// Until when it holds, as RFC 3339.
    pub expires: String,
    /// The signer: [`key_id`] of the public key.
    pub key: String,
}

/// How many cases of a campaign ended how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Results {
    /// As they should.
    pub passed: u32,
    /// Otherwise.
    pub failed: u32,
    /// Not at all.
    pub skipped: u32,
}

/// Claims with the signature of a rig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// What it says.
    pub claims: Claims,
    /// Over the claims; 128 hexadecimal digits.
    pub signature: String,
}

/// Why a certificate does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no file.
    #[error("none was accepted (`outrigger commission accept-certificate`)")]
    Absent,
    /// It cannot be read, or is no certificate.
    #[error("{file}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        why: String,
    },
    /// A later program made it.
    #[error("it has format {0}, and this program understands {FORMAT}")]
    Format(u32),
    /// Its signer is not trusted.
    #[error("it is signed by the key {key}, which is not in {keys}")]
    UnknownKey {
        /// The signer.
        key: String,
        /// The file of the trusted keys.
        keys: String,
    },
    /// Something in it was changed, or the signer was another one.
    #[error("its signature is not that of the key {key} over these claims: it was changed")]
    Signature {
        /// The claimed signer.
        key: String,
    },
    /// It speaks of another loop.
    #[error("it speaks of another {}", .0.join(", another "))]
    OtherLoop(Vec<&'static str>),
    /// The campaign was not passed.
    #[error("its campaign has {} passed, {} failed and {} skipped cases", .0.passed, .0.failed, .0.skipped)]
    NotPassed(Results),
    /// It does not hold now.
    #[error("it holds from {issued} to {expires}")]
    NotNow {
        /// From then.
        issued: String,
        /// To then.
        expires: String,
    },
}

/// The name of a public key: 16 hexadecimal digits of its SHA-256.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    let mut id = sha256(key.as_bytes());
    id.truncate(16);
    id
}

/// Seconds of the calendar since 1970 as RFC 3339, in UTC.
#[must_use]
pub fn rfc3339(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|s| DateTime::from_timestamp(s, 0));
    time.map_or_else(|| "(no date)".to_owned(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

impl Certificate {
    /// Signs claims; the fields `format` and `key` are set here.
    #[must_use]
    pub fn sign(claims: Claims, key: &SigningKey) -> Self {
        let claims = Claims { format: FORMAT, key: key_id(&key.verifying_key()), ..claims };
        let signature = hex(&key.sign(&signed_bytes(&claims)).to_bytes());
        Self { claims, signature }
    }

    /// Reads a certificate; what it says is not yet believed.
    ///
    /// # Errors
    /// [`CertificateError::Absent`], [`CertificateError::Unreadable`].
    pub fn read(file: &Path) -> Result<Self, CertificateError> {
        let unreadable = |why: String| CertificateError::Unreadable { file: file.display().to_string(), why };
        let text = match std::fs::read_to_string(file) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(CertificateError::Absent),
            read => read.map_err(|e| unreadable(e.to_string()))?,
        };
        serde_json::from_str(&text).map_err(|e| unreadable(format!("no HIL certificate: {e}")))
    }

    /// Whether a trusted rig says that this loop passed, and still says so at `now_s` of the calendar.
    ///
    /// # Errors
    /// The first reason why not, the signature before anything that it covers.
    pub fn verify(&self, keys: &RigKeys, hashes: &Hashes, now_s: u64) -> Result<(), CertificateError> {
        let claims = &self.claims;
        if claims.format != FORMAT {
            return Err(CertificateError::Format(claims.format));
        }
        let unknown = || CertificateError::UnknownKey { key: claims.key.clone(), keys: keys.file.clone() };
        let key = keys.keys.get(&claims.key).ok_or_else(unknown)?;
        let forged = || CertificateError::Signature { key: claims.key.clone() };
        let signature =
            unhex(&self.signature).and_then(|bytes| Signature::from_slice(&bytes).ok()).ok_or_else(forged)?;
        key.verify_strict(&signed_bytes(claims), &signature).map_err(|_| forged())?;
        let differing = claims.hashes.differing(hashes);
        if !differing.is_empty() {
            return Err(CertificateError::OtherLoop(differing));
        }
        if claims.results.passed == 0 || claims.results.failed > 0 {
            return Err(CertificateError::NotPassed(claims.results));
        }
        let second =
            |text: &str| DateTime::parse_from_rfc3339(text).ok().and_then(|t| u64::try_from(t.timestamp()).ok());
        match (second(&claims.issued), second(&claims.expires)) {
            (Some(issued), Some(expires)) if (issued..expires).contains(&now_s) => Ok(()),
            _ => Err(CertificateError::NotNow { issued: claims.issued.clone(), expires: claims.expires.clone() }),
        }
    }
}

fn signed_bytes(claims: &Claims) -> Vec<u8> {
    let mut bytes = DOMAIN.as_bytes().to_vec();
    // Texts and whole numbers, which always have a form in JSON.
    bytes.extend(serde_json::to_vec(claims).unwrap_or_default());
    bytes
}

/// The public keys of the rigs that are believed.
#[derive(Clone, Debug)]
pub struct RigKeys {
    file: String,
    keys: BTreeMap<String, VerifyingKey>,
}

impl RigKeys {
    /// Reads a file with one key a line, 64 hexadecimal digits, then what one likes; `#` begins a comment.
    ///
    /// # Errors
    /// [`CertificateError::Unreadable`], with the line that is no key.
    pub fn read(file: &Path) -> Result<Self, CertificateError> {
        let name = file.display().to_string();
        let unreadable = |why: String| CertificateError::Unreadable { file: name.clone(), why };
        let text = std::fs::read_to_string(file).map_err(|e| unreadable(format!("the rigs' public keys: {e}")))?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let mut keys = BTreeMap::new();
        for (n, word) in lines.enumerate().filter_map(|(n, line)| Some((n, line.split_whitespace().next()?))) {
            let bytes = unhex(word).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let key = bytes.and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
            let key =
                key.ok_or_else(|| unreadable(format!("line {}: no ed25519 public key in hexadecimal digits", n + 1)))?;
            keys.insert(key_id(&key), key);
        }
        Ok(Self { file: name, keys })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::commission) const NOW: u64 = 1_800_000_000;

    pub(in crate::commission) fn rig() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    pub(in crate::commission) fn hashes() -> Hashes {
        Hashes { configuration: "c".into(), model: "m".into(), binary: "b".into() }
    }

    pub(in crate::commission) fn claims(hashes: Hashes) -> Claims {
        Claims {
            format: 0,
            campaign: "full".into(),
            rig: "0.1.0".into(),
            hashes,
            results: Results { passed: 120, failed: 0, skipped: 2 },
            issued: rfc3339(NOW - 10),
            expires: rfc3339(NOW + 10),
            key: String::new(),
        }
    }

    /// A file that trusts these rigs.
    pub(in crate::commission) fn trusting(dir: &Path, rigs: &[SigningKey]) -> RigKeys {
        let file = dir.join("rig-keys.txt");
        let lines: String =
            rigs.iter().map(|rig| format!("{}  a rig # ours\n", hex(rig.verifying_key().as_bytes()))).collect();
        std::fs::write(&file, format!("# keys\n\n{lines}")).unwrap();
        RigKeys::read(&file).unwrap()
    }

    #[test]
    fn a_certificate_comes_back_from_its_file_and_holds() {
        let dir = tempfile::tempdir().unwrap();
        let (keys, file) = (trusting(dir.path(), &[rig()]), dir.path().join("c.json"));
        let certificate = Certificate::sign(claims(hashes()), &rig());
        assert_eq!(Certificate::read(&file), Err(CertificateError::Absent));
        std::fs::write(&file, serde_json::to_string_pretty(&certificate).unwrap()).unwrap();
        let read = Certificate::read(&file).unwrap();
        assert_eq!(read, certificate);
        assert_eq!(read.verify(&keys, &hashes(), NOW), Ok(()));
    }

    /// Every field is covered by the signature.
    #[test]
    fn a_certificate_that_was_changed_anywhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let keys = trusting(dir.path(), &[rig()]);
        let sound = serde_json::to_string(&Certificate::sign(claims(hashes()), &rig())).unwrap();
        for (from, to) in [
            ("\"full\"", "\"fuller\""),
            ("0.1.0", "0.1.1"),
            ("\"binary\":\"b\"", "\"binary\":\"B\""),
            ("\"passed\":120", "\"passed\":121"),
            ("\"skipped\":2", "\"skipped\":0"),
            ("\"issued\":\"2027", "\"issued\":\"2026"),
            ("\"expires\":\"2027", "\"expires\":\"2037"),
        ] {
            let text = sound.replacen(from, to, 1);
            assert_ne!(text, sound, "{from}");
            let changed: Certificate = serde_json::from_str(&text).unwrap();
            let refused = changed.verify(&keys, &hashes(), NOW);
            assert!(matches!(refused, Err(CertificateError::Signature { .. })), "{to}: {refused:?}");
        }
        let mut unsigned = Certificate::sign(claims(hashes()), &rig());
        unsigned.signature = "00".repeat(64);
        assert!(matches!(unsigned.verify(&keys, &hashes(), NOW), Err(CertificateError::Signature { .. })));
    }

    #[test]
    fn each_reason_refuses_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let (sound, other) = (claims(hashes()), SigningKey::from_bytes(&[8; 32]));
        let keys = trusting(dir.path(), &[rig()]);
        let verify = |claims: Claims, now| Certificate::sign(claims, &rig()).verify(&keys, &hashes(), now);
        assert_eq!(verify(sound.clone(), NOW), Ok(()), "the control");
        for late in [NOW + 10, NOW + 1_000_000, NOW - 11] {
            assert!(matches!(verify(sound.clone(), late), Err(CertificateError::NotNow { .. })), "{late}");
        }
        let results = |results| Claims { results, ..sound.clone() };
        for bad in [Results { passed: 0, failed: 0, skipped: 9 }, Results { passed: 9, failed: 1, skipped: 0 }] {
            assert_eq!(verify(results(bad), NOW), Err(CertificateError::NotPassed(bad)));
        }
        for (hashes, part) in [
            (Hashes { configuration: "x".into(), ..hashes() }, "configuration"),
            (Hashes { model: "x".into(), ..hashes() }, "model"),
            (Hashes { binary: "x".into(), ..hashes() }, "binary"),
        ] {
            assert_eq!(verify(claims(hashes), NOW), Err(CertificateError::OtherLoop(vec![part])));
        }
        let stranger = Certificate::sign(sound.clone(), &other).verify(&keys, &hashes(), NOW);
        assert!(matches!(stranger, Err(CertificateError::UnknownKey { .. })), "{stranger:?}");
        let mut later = Certificate::sign(sound, &rig());
        later.claims.format = 2;
        assert_eq!(later.verify(&keys, &hashes(), NOW), Err(CertificateError::Format(2)));
    }

    #[test]
    fn a_line_that_is_no_key_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keys");
        std::fs::write(&file, "# a comment\nabcd\n").unwrap();
        let said = RigKeys::read(&file).unwrap_err().to_string();
        assert!(said.contains("line 2") && said.contains("no ed25519 public key"), "{said}");
        assert!(RigKeys::read(&dir.path().join("none")).unwrap_err().to_string().contains("No such file"));
    }
}

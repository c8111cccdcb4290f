//! What a site's administrator does once: each side's certificate goes into the other side's folder of trusted ones.
//!
//! The OPC UA stack looks for a trusted certificate under the name `<common name> [<SHA-1 of the file>].der`, so the
//! name is worked out here. SHA-1 names the file and guards nothing: the stack compares the bytes.
//! Source: OPC UA Part 6, 6.2.2 (thumbprint); the folder layout is that of the async-opcua certificate store.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha1::{Digest, Sha1};

/// Puts a copy of `certificate` (DER) into `pki/trusted`.
pub(super) fn trust(certificate: &Path, pki: &Path) -> Result<()> {
    let der = fs::read(certificate).with_context(|| format!("{} cannot be read", certificate.display()))?;
    let folder = pki.join("trusted");
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = folder.join(trusted_name(&der));
    fs::write(&path, der).with_context(|| format!("{} cannot be written", path.display()))
}

fn trusted_name(der: &[u8]) -> String {
    let thumbprint: String = Sha1::digest(der).iter().map(|byte| format!("{byte:02x}")).collect();
    match common_name(der) {
        Some(name) => format!("CN={name} [{thumbprint}].der"),
        None => format!("{thumbprint}.der"),
    }
}

/// The subject's common name: the string after the second `2.5.4.3` (the first is the issuer's), or after the only one.
fn common_name(der: &[u8]) -> Option<String> {
    const COMMON_NAME_OID: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];
    let values = der.windows(COMMON_NAME_OID.len()).enumerate().filter(|(_, window)| *window == COMMON_NAME_OID);
    let (at, _) = values.take(2).last()?;
    let value = der.get(at + COMMON_NAME_OID.len()..)?;
    let length = usize::from(*value.get(1)?);
    // A name of 128 bytes or more has a longer length field; X.520 ends a common name at 64 characters.
    let text = (length < 128).then(|| value.get(2..2 + length)).flatten()?;
    let name = String::from_utf8_lossy(text).trim().replace('/', "");
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(name: &str) -> Vec<u8> {
        let mut der = vec![0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, u8::try_from(name.len()).unwrap()];
        der.extend(name.bytes());
        der
    }

    #[test]
    fn the_file_is_named_after_subject_and_thumbprint() {
        let der = [vec![0x30, 0x82], attribute("issuer"), vec![0x17], attribute("Outrigger/rig")].concat();
        let name = trusted_name(&der);
        assert!(name.starts_with("Outriggerrig ["), "{name}");
        assert_eq!(name.len(), "Outriggerrig [] .der".len() - 1 + 40, "{name}");
    }

    #[test]
    fn the_thumbprint_is_sha1() {
        assert_eq!(trusted_name(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d.der"); // FIPS 180-4, example 1
    }

    #[test]
    fn a_name_cut_short_is_no_name() {
        let mut der = attribute("rig");
        der.pop();
        assert_eq!(common_name(&der), None);
    }
}

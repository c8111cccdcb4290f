//! What evidence is bound to: the configuration, the model, the program, and the DCS it was gathered at.
//!
//! Evidence speaks of one loop as it was. Each part is a SHA-256 in hexadecimal digits; whatever changes the loop's
//! behaviour changes one of them, and evidence of another hash is none.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use plant_models::PlantModel;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::CommissionError;
use crate::config::Loaded;

/// What a HIL certificate is bound to: all but the place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashes {
    /// The plant file without its comments and its form, without `loop.mode`, and without what says which DCS is
    /// reached and as whom (`endpoint`, `namespace`, `security`, `login`).
    pub configuration: String,
    /// The model's card, and its equations by what they give at points across the envelope.
    pub model: String,
    /// The file of the running program.
    pub binary: String,
}

/// What evidence and approvals are bound to: the hashes, and the DCS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The loop.
    pub hashes: Hashes,
    /// Which DCS is reached and as whom.
    pub site: String,
}

impl Binding {
    /// The binding of a plant file, its endpoint perhaps overridden, and of this program.
    ///
    /// # Errors
    /// [`CommissionError::Program`] when the program's own file cannot be read.
    pub fn of(loaded: &Loaded) -> Result<Self, CommissionError> {
        Self::with_program(loaded, Path::new("/proc/self/exe"))
    }

    /// The binding of a plant file and of the program in this file: what a rig certifies that is not the program itself.
    ///
    /// # Errors
    /// [`CommissionError::Program`] when the program's file cannot be read.
    pub fn with_program(loaded: &Loaded, program: &Path) -> Result<Self, CommissionError> {
        let mut table: Table = loaded.text.parse().map_err(|_| CommissionError::Program {
            what: "the plant file",
            why: "it was read as TOML before and is none now".to_owned(),
        })?;
        let site = take_site(&mut table, &loaded.plant.dcs.endpoint);
        let hashes = Hashes {
            configuration: sha256(canonical(&Value::Table(table)).as_bytes()),
            model: of_model(loaded.plant.model),
            binary: of_program(program)?,
        };
        Ok(Self { hashes, site: sha256(canonical(&Value::Table(site)).as_bytes()) })
    }

    /// The name under which records know this binding: 16 hexadecimal digits over all four hashes.
    #[must_use]
    pub fn id(&self) -> String {
        let Hashes { configuration, model, binary } = &self.hashes;
        let mut id = sha256([configuration, model, binary, &self.site].map(String::as_str).join(" ").as_bytes());
        id.truncate(16);
        id
    }
}

impl Hashes {
    /// The parts in which two loops differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            ("configuration", self.configuration != other.configuration),
            ("model", self.model != other.model),
            ("binary", self.binary != other.binary),
        ];
        parts.into_iter().filter(|(_, differs)| *differs).map(|(part, _)| part).collect()
    }
}

/// SHA-256 in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes what is written to it.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of hexadecimal digits; `None` where there are others.
#[must_use]
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Takes out of a plant file what does not make the loop another one: the mode, and what says where the DCS is, which is
/// given back.
fn take_site(table: &mut Table, endpoint: &str) -> Table {
    if let Some(Value::Table(section)) = table.get_mut("loop") {
        section.remove("mode");
    }
    let mut site = Table::new();
    if let Some(Value::Table(dcs)) = table.get_mut("dcs") {
        for key in ["endpoint", "namespace", "security", "login"] {
            if let Some(value) = dcs.remove(key) {
                site.insert(key.to_owned(), value);
            }
        }
    }
    site.insert("endpoint".to_owned(), Value::String(endpoint.to_owned()));
    site
}

/// One text for all ways to write the same file: keys in order, `18` and `18.0` alike.
fn canonical(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let sorted: BTreeMap<_, _> = table.iter().collect();
            let items = sorted.into_iter().map(|(key, value)| format!("{key:?}={};", canonical(value)));
            format!("{{{}}}", items.collect::<String>())
        }
        Value::Array(items) => format!("[{}]", items.iter().map(|item| canonical(item) + ",").collect::<String>()),
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => format!("{:?}", *number as f64),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(time) => time.to_string(),
    }
}

/// The card as it stands, and slopes and outputs at four points from the low end of the envelope to the high one. Nine
/// digits: enough to tell two models apart, and not two libraries of `exp`.
fn of_model(model: &dyn PlantModel) -> String {
    let card = model.card();
    let mut text = format!("{card:?}");
    for share in [0.0, 0.3, 0.7, 1.0] {
        let at = |variables: &[plant_models::Variable]| -> Vec<f64> {
            variables.iter().map(|v| v.low + share * v.span()).collect()
        };
        let (x, u, p) = (at(card.states), at(card.inputs), at(card.disturbances));
        let (mut dx, mut y) = (vec![0.0; card.states.len()], vec![0.0; card.outputs.len()]);
        model.rhs(&x, &u, &p, &mut dx);
        model.outputs(&x, &p, &mut y);
        for number in dx.iter().chain(&y) {
            // As above.
            let _ = write!(text, " {number:.9e}");
        }
    }
    sha256(text.as_bytes())
}

/// The program in this file; `/proc/self/exe` is what this process was started from, even if another one lies in its place by
/// now.
fn of_program(file: &Path) -> Result<String, CommissionError> {
    let what = "the program's file";
    let failed = |e: std::io::Error| CommissionError::Program { what, why: format!("{}: {e}", file.display()) };
    let mut hash = Sha256::new();
    std::io::copy(&mut File::open(file).map_err(failed)?, &mut hash).map_err(failed)?;
    Ok(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{load, parse};

    fn cstr() -> Loaded {
        load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants/cstr.toml")).unwrap()
    }

    fn with(from: &str, to: &str) -> Binding {
        let mut loaded = cstr();
        assert!(loaded.text.contains(from), "{from}");
        loaded.text = loaded.text.replacen(from, to, 1);
        loaded.plant = parse(Path::new("cstr.toml"), &loaded.text).unwrap();
        Binding::of(&loaded).unwrap()
    }

    #[test]
    fn comments_form_and_mode_change_nothing() {
        let plain = Binding::of(&cstr()).unwrap();
        for (from, to) in [
            ("period_s = 18.0 ", "period_s  =  18 # the same\n"),
            ("[mpc] ", "# a word\n[mpc] "),
            ("mode = \"closed-loop\"", "mode = \"shadow\""),
            ("low = 5.0 ", "low = 0.5e1 "),
        ] {
            assert_eq!(with(from, to), plain, "{to}");
        }
    }

    /// The control of the test above: what changes the loop changes the configuration, and what changes the place changes the
    /// site alone.
    #[test]
    fn what_matters_changes_the_hash_that_speaks_of_it() {
        let plain = Binding::of(&cstr()).unwrap();
        for (from, to) in [
            ("move_weight = 1.0", "move_weight = 1.5"),
            ("hold_periods = 5", "hold_periods = 6"),
            ("shadow_hours = ", "shadow_hours = 1"),
            ("R101.SIS.XV101", "R101.SIS.XV102"),
        ] {
            let other = with(from, to);
            assert_eq!(plain.hashes.differing(&other.hashes), ["configuration"], "{to}");
            assert_eq!(other.site, plain.site);
            assert_ne!(other.id(), plain.id());
        }
        for (from, to) in
            [("opc.tcp://127.0.0.1:4855/", "opc.tcp://dcs:4840/"), ("user = \"outrigger\"", "user = \"x\"")]
        {
            let other = with(from, to);
            assert_eq!(other.hashes, plain.hashes, "{to}");
            assert!(other.site != plain.site && other.id() != plain.id(), "{to}");
        }
        let mut elsewhere = cstr();
        elsewhere.plant.dcs.endpoint = "opc.tcp://dcs:4840/".to_owned();
        assert_ne!(Binding::of(&elsewhere).unwrap().site, plain.site, "an endpoint of the command line");
    }

    #[test]
    fn every_model_has_a_hash_of_its_own_and_other_parameters_another() {
        let mut hashes: Vec<String> = plant_models::ALL.iter().map(|model| of_model(*model)).collect();
        let other = plant_models::Cstr2 {
            heat_transfer: 1.0001 * plant_models::Cstr2::NOMINAL.heat_transfer,
            ..plant_models::Cstr2::NOMINAL
        };
        hashes.push(of_model(&other));
        assert_eq!(of_model(&plant_models::Cstr2::NOMINAL), hashes[0], "the control: the same model, the same hash");
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), plant_models::ALL.len() + 1);
    }

    #[test]
    fn hexadecimal_digits_come_back() {
        assert_eq!(unhex(&hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        for bad in ["0", "0g", "é0"] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}

//! Which of a unit's variables are the plant's, and under what names, units and ranges: the command line held against
//! the unit's description.

use serde::Serialize;

use crate::cli::PlayArgs;
use crate::description::{Description, Kind, Variable};
use crate::error::FmuError;

/// Names that a fault lists at most.
const LISTED_MAX: usize = 20;

/// One variable as the plant offers it (`docs/external-plant.md`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Offered {
    pub(crate) name: String,
    pub(crate) unit: String,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) nominal: f64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
}

/// A variable of the unit, and how the plant offers it.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) variable: Variable,
    pub(crate) offered: Offered,
}

/// A value that the unit is given before it starts.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    Number(Variable, f64),
    Text(Variable, String),
}

/// All that was chosen.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) inputs: Vec<Chosen>,
    pub(crate) disturbances: Vec<Chosen>,
    pub(crate) outputs: Vec<Chosen>,
    pub(crate) starts: Vec<Start>,
}

/// `NAME=VALUE`, parted at the last `=`.
fn parted<'a>(flag: &str, text: &'a str, faults: &mut Vec<String>) -> Option<(&'a str, &'a str)> {
    let parts = text.rsplit_once('=');
    if parts.is_none() {
        faults.push(format!("--{flag} {text}: expected NAME=VALUE"));
    }
    parts
}

fn listed<'a>(names: impl Iterator<Item = &'a Variable>) -> String {
    let mut names: Vec<String> = names.map(|v| format!("`{}`", v.name)).collect();
    let more = names.len() > LISTED_MAX;
    names.truncate(LISTED_MAX);
    match (names.is_empty(), more) {
        (true, _) => "but it has none".to_owned(),
        (false, true) => format!("one of {}, … (--list shows all)", names.join(", ")),
        (false, false) => format!("one of {}", names.join(", ")),
    }
}

struct Chooser<'a> {
    says: &'a Description,
    args: &'a PlayArgs,
    faults: Vec<String>,
}

impl Chooser<'_> {
    /// What `--FLAG NAME=…` says of this variable.
    fn said<'a>(&mut self, flag: &str, list: &'a [String], name: &str) -> Option<&'a str> {
        list.iter().filter_map(|text| parted(flag, text, &mut Vec::new())).find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    fn number(&mut self, flag: &str, name: &str, text: &str) -> Option<f64> {
        let number = text.parse().ok().filter(|value: &f64| value.is_finite());
        if number.is_none() {
            self.faults.push(format!("--{flag} {name}={text}: expected a finite number"));
        }
        number
    }

    fn range(&mut self, v: &Variable) -> Option<(f64, f64)> {
        let (low, high) = match self.said("range", &self.args.range, &v.name) {
            Some(text) => {
                let Some((low, high)) = text.split_once(':') else {
                    self.faults.push(format!("--range {}={text}: expected LOW:HIGH", v.name));
                    return None;
                };
                (self.number("range", &v.name, low)?, self.number("range", &v.name, high)?)
            }
            None => match (v.min, v.max) {
                (Some(low), Some(high)) => (low, high),
                _ => {
                    let shown = |end: Option<f64>| end.map_or_else(|| "none".to_owned(), |end| end.to_string());
                    let (name, min, max) = (&v.name, shown(v.min), shown(v.max));
                    self.faults.push(format!("`{name}`: min is {min} and max {max}, expected --range {name}=LOW:HIGH"));
                    return None;
                }
            },
        };
        if low < high {
            return Some((low, high));
        }
        self.faults.push(format!("`{}`: the range is {low} to {high}, expected the lower end first", v.name));
        None
    }

    /// What is offered of `v`, under the name `tag`.
    fn offered(&mut self, v: &Variable, tag: &str) -> Option<Offered> {
        let unit = self.said("unit", &self.args.unit, &v.name).or(v.unit.as_deref()).map(str::to_owned);
        if unit.is_none() {
            let fault = format!(
                "`{0}`: the unit of measure is not given, expected --unit {0}=SYMBOL (1: a pure number)",
                v.name
            );
            self.faults.push(fault);
        }
        let range = self.range(v);
        let said = self.said("nominal", &self.args.nominal, &v.name).map(str::to_owned);
        let said = said.map(|text| self.number("nominal", &v.name, &text).unwrap_or(f64::NAN));
        let (unit, (low, high)) = (unit?, range?);
        let starts = v.start.as_deref().and_then(|text| text.parse().ok()).filter(|at| (low..=high).contains(at));
        let nominal = said.or(starts).unwrap_or(low + (high - low) / 2.0);
        if !(low..=high).contains(&nominal) {
            self.faults.push(format!("--nominal {}={nominal}: expected it from {low} to {high}", v.name));
        }
        Some(Offered { name: tag.to_owned(), unit, low, high, nominal, description: v.description.clone() })
    }

    /// The variables that `--FLAG NAME[=TAG]` names, of which `fits` says whether they may stand there.
    fn group(&mut self, flag: &str, list: &[String], fits: fn(&Variable) -> bool) -> Vec<Chosen> {
        let mut chosen: Vec<Chosen> = Vec::new();
        for text in list {
            // A name may hold an `=`; the whole is tried first.
            let says = self.says;
            let (name, tag) = match (says.variable(text), text.rsplit_once('=')) {
                (None, Some((name, tag))) => (name, tag),
                _ => (text.as_str(), text.as_str()),
            };
            let Some(v) = says.variable(name) else {
                let fit = says.variables.iter().filter(|v| usable(v) && fits(v));
                self.faults.push(format!("--{flag} {name}: the unit has no such variable, expected {}", listed(fit)));
                continue;
            };
            if !(usable(v) && fits(v)) {
                let array = if v.is_array { "an array of " } else { "" };
                let is = format!("{} {array}{}", v.causality, v.type_name);
                let fit = says.variables.iter().filter(|v| usable(v) && fits(v));
                self.faults.push(format!("--{flag} {name}: it is {is}, expected {}", listed(fit)));
                continue;
            }
            if tag.is_empty() || chosen.iter().any(|c| c.offered.name == tag) {
                self.faults.push(format!("--{flag} {text}: the name `{tag}` is empty or taken"));
                continue;
            }
            if let Some(offered) = self.offered(v, tag) {
                chosen.push(Chosen { variable: v.clone(), offered });
            }
        }
        chosen
    }

    fn start(&mut self, text: &str) -> Option<Start> {
        let (name, value) = parted("start", text, &mut self.faults)?;
        let says = self.says;
        let fits = |v: &&Variable| v.can_start() && !v.is_array && v.kind != Kind::Other;
        let Some(v) = says.variable(name).filter(fits) else {
            let fault = "expected a variable that can be given a value before the start,";
            let fit = listed(says.variables.iter().filter(fits).filter(|v| v.start.is_some()));
            self.faults.push(format!("--start {name}: {fault} {fit}"));
            return None;
        };
        if v.kind.is_number() {
            let value = match value {
                "true" => "1",
                "false" => "0",
                other => other,
            };
            return self.number("start", name, value).map(|value| Start::Number(v.clone(), value));
        }
        Some(Start::Text(v.clone(), value.to_owned()))
    }

    /// Flags about a variable that was not chosen do nothing, so they are a mistake.
    fn idle(&mut self) {
        let flags = [("unit", &self.args.unit), ("range", &self.args.range), ("nominal", &self.args.nominal)];
        for (flag, text) in flags.into_iter().flat_map(|(flag, list)| list.iter().map(move |text| (flag, text))) {
            let Some((name, _)) = parted(flag, text, &mut self.faults) else { continue };
            if !self.is_named(name) {
                self.faults.push(format!("--{flag} {text}: `{name}` is no --input, --disturbance or --output"));
            }
        }
    }

    fn is_named(&self, name: &str) -> bool {
        let lists = [&self.args.input, &self.args.disturbance, &self.args.output];
        lists.into_iter().flatten().any(|text| text == name || text.rsplit_once('=').is_some_and(|(n, _)| n == name))
    }
}

fn usable(v: &Variable) -> bool {
    v.kind.is_number() && !v.is_array
}

/// Holds what was asked for against what the unit `file` has.
///
/// # Errors
/// [`FmuError::Choice`] with every fault.
pub(crate) fn choose(file: &str, says: &Description, args: &PlayArgs) -> Result<Choice, FmuError> {
    let mut chooser = Chooser { says, args, faults: Vec::new() };
    let choice = Choice {
        inputs: chooser.group("input", &args.input, Variable::is_input),
        disturbances: chooser.group("disturbance", &args.disturbance, Variable::is_input),
        outputs: chooser.group("output", &args.output, |_| true),
        starts: args.start.iter().filter_map(|text| chooser.start(text)).collect(),
    };
    chooser.idle();
    for (flag, list) in [("input", &args.input), ("output", &args.output)] {
        if list.is_empty() {
            chooser.faults.push(format!("expected at least one --{flag} (--list shows the unit's variables)"));
        }
    }
    if chooser.faults.is_empty() {
        return Ok(choice);
    }
    Err(FmuError::Choice(chooser.faults.into_iter().map(|fault| format!("{file}: {fault}")).collect()))
}

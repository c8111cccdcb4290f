//! What a unit says of itself: `modelDescription.xml`, as far as a plant needs it.
//!
//! The reader is our own. That of the crate `fmi` (0.8) drops `unit`, `min`, `max` of a variable of FMI 2, refuses a unit
//! of FMI 3 whose variables bear a `unit`, and refuses legal attributes of both; so the crate is handed a description
//! with nothing in it but what it needs to start the unit ([`Description::bare`]).

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

use crate::error::FmuError;

/// Which standard a unit follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Fmi2,
    Fmi3,
}

impl Version {
    /// The attribute that a unit is asked for when it is started: it must be the one it was built with.
    fn token(self) -> &'static str {
        match self {
            Self::Fmi2 => "guid",
            Self::Fmi3 => "instantiationToken",
        }
    }
}

/// How a variable's value is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float64,
    Float32,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Boolean,
    Text,
    /// Binary values and clocks: no numbers.
    Other,
}

impl Kind {
    fn of(version: Version, tag: &str) -> Option<Self> {
        Some(match (version, tag) {
            (Version::Fmi2, "Real") | (Version::Fmi3, "Float64") => Self::Float64,
            (Version::Fmi2, "Integer" | "Enumeration") | (Version::Fmi3, "Int32") => Self::Int32,
            (Version::Fmi3, "Float32") => Self::Float32,
            (Version::Fmi3, "Int8") => Self::Int8,
            (Version::Fmi3, "UInt8") => Self::UInt8,
            (Version::Fmi3, "Int16") => Self::Int16,
            (Version::Fmi3, "UInt16") => Self::UInt16,
            (Version::Fmi3, "UInt32") => Self::UInt32,
            (Version::Fmi3, "Int64" | "Enumeration") => Self::Int64,
            (Version::Fmi3, "UInt64") => Self::UInt64,
            (_, "Boolean") => Self::Boolean,
            (_, "String") => Self::Text,
            (Version::Fmi3, "Binary" | "Clock") => Self::Other,
            _ => return None,
        })
    }

    /// Whether its value is a number, or a Boolean that can stand as 0 or 1.
    pub(crate) fn is_number(self) -> bool {
        !matches!(self, Self::Text | Self::Other)
    }
}

/// One variable of a unit.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) reference: u32,
    pub(crate) kind: Kind,
    /// The word for its type in the file.
    pub(crate) type_name: String,
    pub(crate) causality: String,
    pub(crate) variability: String,
    pub(crate) unit: Option<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// Its start value, as it stands in the file.
    pub(crate) start: Option<String>,
    pub(crate) description: String,
    /// Whether it is an array; such a one can only be listed.
    pub(crate) is_array: bool,
}

impl Variable {
    /// Whether the unit may be given its value while it runs.
    pub(crate) fn is_input(&self) -> bool {
        self.causality == "input" || (self.causality == "parameter" && self.variability == "tunable")
    }

    /// Whether the unit may be given its value before it runs.
    pub(crate) fn can_start(&self) -> bool {
        self.variability != "constant" && matches!(self.causality.as_str(), "input" | "parameter" | "output" | "local")
    }
}

/// What a unit says of itself.
#[derive(Debug)]
pub(crate) struct Description {
    pub(crate) version: Version,
    pub(crate) fmi_version: String,
    pub(crate) name: String,
    pub(crate) identifier: String,
    pub(crate) start_s: f64,
    /// Whether one step may be longer than another.
    pub(crate) varies_steps: bool,
    /// Whether this process may make only one instance.
    pub(crate) only_one: bool,
    pub(crate) variables: Vec<Variable>,
    token: String,
}

/// The named types, each the element whose attributes its variables take over.
type Types<'a> = BTreeMap<&'a str, Node<'a, 'a>>;

impl Description {
    /// Reads the description `xml` of the unit `file`.
    ///
    /// # Errors
    /// [`FmuError::Description`]: what is missing or cannot be used.
    pub(crate) fn read(file: &str, xml: &str) -> Result<Self, FmuError> {
        let fault = |why: String| FmuError::Description { file: file.to_owned(), why };
        let document = Document::parse(xml).map_err(|e| fault(e.to_string()))?;
        let root = document.root_element();
        let text = |node: Node<'_, '_>, name: &str| {
            node.attribute(name)
                .map(str::to_owned)
                .ok_or_else(|| fault(format!("`{}` has no attribute `{name}`", node.tag_name().name())))
        };
        let fmi_version = text(root, "fmiVersion")?;
        let version = match fmi_version.split('.').next() {
            Some("2") => Version::Fmi2,
            Some("3") => Version::Fmi3,
            _ => return Err(fault(format!("`fmiVersion` = {fmi_version}, expected 2.0 or 3.0"))),
        };
        let Some(co_simulation) = child(root, "CoSimulation") else {
            let why =
                "it has no `CoSimulation`, expected a unit for co-simulation: one for model exchange has no solver";
            return Err(fault(why.to_owned()));
        };
        let flag = |name: &str| matches!(co_simulation.attribute(name), Some("true" | "1"));
        let start = child(root, "DefaultExperiment").and_then(|n| number(n, "startTime"));
        Ok(Self {
            version,
            name: text(root, "modelName")?,
            identifier: text(co_simulation, "modelIdentifier")?,
            token: text(root, version.token())?,
            start_s: start.unwrap_or(0.0),
            varies_steps: flag("canHandleVariableCommunicationStepSize"),
            only_one: flag("canBeInstantiatedOnlyOncePerProcess"),
            variables: variables(version, root).map_err(fault)?,
            fmi_version,
        })
    }

    /// The variable of this name.
    pub(crate) fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|v| v.name == name)
    }

    /// A description with nothing in it but what it takes to start the unit.
    pub(crate) fn bare(&self) -> String {
        format!(
            "<fmiModelDescription fmiVersion=\"{}\" modelName=\"{}\" {}=\"{}\"><CoSimulation modelIdentifier=\"{}\"/>\
             </fmiModelDescription>",
            escaped(&self.fmi_version),
            escaped(&self.name),
            self.version.token(),
            escaped(&self.token),
            escaped(&self.identifier)
        )
    }
}

fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children().find(|n| n.has_tag_name(name))
}

fn number(node: Node<'_, '_>, name: &str) -> Option<f64> {
    node.attribute(name).and_then(|text| text.trim().parse().ok())
}

fn variables<'a>(version: Version, root: Node<'a, 'a>) -> Result<Vec<Variable>, String> {
    let types: Types<'a> = child(root, "TypeDefinitions")
        .into_iter()
        .flat_map(|types| types.children())
        .filter_map(|node| {
            // FMI 2 wraps a type's attributes in an element of their own, FMI 3 does not.
            let inner = if version == Version::Fmi2 { node.children().find(Node::is_element)? } else { node };
            Some((node.attribute("name")?, inner))
        })
        .collect();
    let list = child(root, "ModelVariables").ok_or("it has no `ModelVariables`")?;
    list.children().filter(Node::is_element).map(|node| variable(version, node, &types)).collect()
}

fn variable(version: Version, node: Node<'_, '_>, types: &Types<'_>) -> Result<Variable, String> {
    let name = node.attribute("name").ok_or("a variable without a `name`")?;
    let typed = match version {
        Version::Fmi2 => node.children().find(|n| Kind::of(version, n.tag_name().name()).is_some()),
        Version::Fmi3 => Some(node),
    };
    let typed = typed.ok_or_else(|| format!("`{name}` has no type"))?;
    let type_name = typed.tag_name().name().to_owned();
    let kind = Kind::of(version, &type_name).ok_or_else(|| format!("`{name}` has the unknown type `{type_name}`"))?;
    let reference = node.attribute("valueReference").and_then(|text| text.parse().ok());
    let declared = typed.attribute("declaredType").and_then(|of| types.get(of)).copied();
    let bound = |key| number(typed, key).or_else(|| declared.and_then(|n| number(n, key)));
    let unit = typed.attribute("unit").or_else(|| declared.and_then(|n| n.attribute("unit")));
    let word = |key, default: &str| node.attribute(key).unwrap_or(default).to_owned();
    Ok(Variable {
        name: name.to_owned(),
        reference: reference.ok_or_else(|| format!("`{name}` has no `valueReference` that is a number"))?,
        kind,
        type_name,
        causality: word("causality", "local"),
        variability: word("variability", ""),
        unit: unit.map(str::to_owned),
        min: bound("min"),
        max: bound("max"),
        start: typed.attribute("start").map(str::to_owned),
        description: word("description", ""),
        is_array: child(node, "Dimension").is_some(),
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests;

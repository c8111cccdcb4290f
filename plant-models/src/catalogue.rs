//! The models that a plant file may name.

use crate::{AgedCstr2, ColumnA, Cstr2, Cstr4, Exchanger, PlantModel, QuadTank};

/// Every model with its literature parameters. A new plant is one line here.
pub static ALL: [&'static dyn PlantModel; 3] = [&Cstr2::NOMINAL, &Cstr4::NOMINAL, &QuadTank::NOMINAL];

/// Models that only a rig may play: too large for an estimator or a controller, which hold at most
/// [`MAX_STATES`](crate::MAX_STATES) states, or with slow parameters that nobody estimates. A new one is one line here.
pub static RIG_ONLY: [&'static dyn PlantModel; 3] = [&ColumnA::NOMINAL, &Exchanger::NOMINAL, &AgedCstr2::NOMINAL];

/// A model name that is not in [`ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown plant model `{name}`, expected one of {}", known())]
pub struct UnknownModel {
    /// What was asked for.
    pub name: String,
}

/// The model whose card bears `name`.
///
/// # Errors
/// [`UnknownModel`], whose message lists the known names.
pub fn by_name(name: &str) -> Result<&'static dyn PlantModel, UnknownModel> {
    let known = ALL.iter().copied().find(|model| model.card().name == name);
    known.ok_or_else(|| UnknownModel { name: name.to_owned() })
}

/// The model that a rig's plant file names: one of [`ALL`], or one of [`RIG_ONLY`].
///
/// # Errors
/// [`UnknownModel`], whose message lists the names of [`ALL`].
pub fn for_rig(name: &str) -> Result<&'static dyn PlantModel, UnknownModel> {
    let found = RIG_ONLY.iter().copied().find(|model| model.card().name == name);
    found.map_or_else(|| by_name(name), Ok)
}

fn known() -> String {
    ALL.iter().map(|model| format!("`{}`", model.card().name)).collect::<Vec<_>>().join(", ")
}

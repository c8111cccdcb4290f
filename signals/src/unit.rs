//! Engineering units as data. Which unit a tag bears is known only when the plant file is read, so units are checked
//! there and converted once, at the adapter; inside, every number is in the unit of its model variable (the model
//! card names it).

use std::fmt;
use std::str::FromStr;

/// What a unit measures. Values convert only within one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Absolute temperature.
    Temperature,
    /// Amount of substance per volume.
    Concentration,
    /// Per time: dilution rates.
    Frequency,
    /// Energy per time.
    Power,
    /// Length; levels.
    Length,
    /// Volume per time.
    VolumeFlow,
    /// Mass per time.
    MassFlow,
    /// Force per area.
    Pressure,
    /// Electric potential; pump drives.
    Voltage,
    /// A fraction of a whole.
    Ratio,
    /// Amount of substance; hold-ups.
    Amount,
    /// Amount of substance per time.
    MolarFlow,
    /// Temperature difference per heat flux; fouling.
    ThermalResistance,
}

/// An engineering unit: a row of [`Unit::ALL`].
#[derive(Clone, Copy, PartialEq)]
pub struct Unit {
    symbol: &'static str,
    dimension: Dimension,
    scale: f64,
    offset: f64,
}

/// A unit that cannot be used as it stands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnitError {
    /// The symbol is not in the table.
    #[error("unknown unit `{symbol}`, expected one of {}", Unit::symbols())]
    Unknown {
        /// What was written.
        symbol: String,
    },
    /// The two units measure different things.
    #[error("`{from}` measures {from_dimension:?} and `{to}` measures {to_dimension:?}")]
    Mismatch {
        /// Symbol of the unit converted from.
        from: &'static str,
        /// What it measures.
        from_dimension: Dimension,
        /// Symbol of the unit converted to.
        to: &'static str,
        /// What it measures.
        to_dimension: Dimension,
    },
}

/// The SI value is `scale * value + offset`.
const fn unit(symbol: &'static str, dimension: Dimension, scale: f64, offset: f64) -> Unit {
    Unit { symbol, dimension, scale, offset }
}

impl Unit {
    /// Kelvin.
    pub const KELVIN: Self = unit("K", Dimension::Temperature, 1.0, 0.0);
    /// Degree Celsius.
    pub const CELSIUS: Self = unit("degC", Dimension::Temperature, 1.0, 273.15);
    /// Moles per litre.
    pub const MOL_PER_L: Self = unit("mol/L", Dimension::Concentration, 1e3, 0.0);
    /// Per hour.
    pub const PER_HOUR: Self = unit("1/h", Dimension::Frequency, 1.0 / 3600.0, 0.0);
    /// Kilojoule per hour.
    pub const KJ_PER_HOUR: Self = unit("kJ/h", Dimension::Power, 1.0 / 3.6, 0.0);
    /// Centimetre.
    pub const CENTIMETRE: Self = unit("cm", Dimension::Length, 1e-2, 0.0);
    /// Volt.
    pub const VOLT: Self = unit("V", Dimension::Voltage, 1.0, 0.0);
    /// Percent.
    pub const PERCENT: Self = unit("%", Dimension::Ratio, 1e-2, 0.0);
    /// A fraction of one.
    pub const ONE: Self = unit("1", Dimension::Ratio, 1.0, 0.0);
    /// Kilogram per second.
    pub const KG_PER_S: Self = unit("kg/s", Dimension::MassFlow, 1.0, 0.0);
    /// Kilomole.
    pub const KMOL: Self = unit("kmol", Dimension::Amount, 1e3, 0.0);
    /// Kilomole per minute.
    pub const KMOL_PER_MIN: Self = unit("kmol/min", Dimension::MolarFlow, 1e3 / 60.0, 0.0);
    /// Square metre kelvin per kilowatt.
    pub const M2_K_PER_KW: Self = unit("m2.K/kW", Dimension::ThermalResistance, 1e-3, 0.0);

    /// Every unit that a plant file may name.
    pub const ALL: &'static [Self] = &[
        Self::KELVIN,
        Self::CELSIUS,
        unit("degF", Dimension::Temperature, 5.0 / 9.0, 459.67 * 5.0 / 9.0),
        Self::MOL_PER_L,
        unit("mol/m3", Dimension::Concentration, 1.0, 0.0),
        unit("kmol/m3", Dimension::Concentration, 1e3, 0.0),
        unit("1/s", Dimension::Frequency, 1.0, 0.0),
        unit("1/min", Dimension::Frequency, 1.0 / 60.0, 0.0),
        Self::PER_HOUR,
        unit("W", Dimension::Power, 1.0, 0.0),
        unit("kW", Dimension::Power, 1e3, 0.0),
        Self::KJ_PER_HOUR,
        unit("m", Dimension::Length, 1.0, 0.0),
        Self::CENTIMETRE,
        unit("mm", Dimension::Length, 1e-3, 0.0),
        unit("m3/s", Dimension::VolumeFlow, 1.0, 0.0),
        unit("m3/h", Dimension::VolumeFlow, 1.0 / 3600.0, 0.0),
        unit("L/min", Dimension::VolumeFlow, 1e-3 / 60.0, 0.0),
        unit("L/h", Dimension::VolumeFlow, 1e-3 / 3600.0, 0.0),
        Self::KG_PER_S,
        unit("kg/h", Dimension::MassFlow, 1.0 / 3600.0, 0.0),
        unit("Pa", Dimension::Pressure, 1.0, 0.0),
        unit("kPa", Dimension::Pressure, 1e3, 0.0),
        unit("bar", Dimension::Pressure, 1e5, 0.0),
        Self::VOLT,
        Self::ONE,
        Self::PERCENT,
        unit("mol", Dimension::Amount, 1.0, 0.0),
        Self::KMOL,
        unit("mol/s", Dimension::MolarFlow, 1.0, 0.0),
        unit("kmol/h", Dimension::MolarFlow, 1e3 / 3600.0, 0.0),
        Self::KMOL_PER_MIN,
        unit("m2.K/W", Dimension::ThermalResistance, 1.0, 0.0),
        Self::M2_K_PER_KW,
    ];

    /// The symbol, as a plant file writes it.
    #[must_use]
    pub fn symbol(&self) -> &'static str {
        self.symbol
    }

    /// What the unit measures.
    #[must_use]
    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// `(scale, offset)` such that a value in `to` is `scale * value_in_self + offset`. A unit converts to itself
    /// exactly: `(1, 0)`. A rate of change converts by the scale alone.
    ///
    /// # Errors
    /// [`UnitError::Mismatch`] when the two measure different things.
    pub fn affine_to(&self, to: &Unit) -> Result<(f64, f64), UnitError> {
        if self.dimension != to.dimension {
            return Err(UnitError::Mismatch {
                from: self.symbol,
                from_dimension: self.dimension,
                to: to.symbol,
                to_dimension: to.dimension,
            });
        }
        if self == to {
            return Ok((1.0, 0.0));
        }
        Ok((self.scale / to.scale, (self.offset - to.offset) / to.scale))
    }

    fn symbols() -> String {
        Self::ALL.iter().map(|u| format!("`{}`", u.symbol)).collect::<Vec<_>>().join(", ")
    }
}

impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(symbol: &str) -> Result<Self, UnitError> {
        let known = Self::ALL.iter().find(|u| u.symbol == symbol);
        known.copied().ok_or_else(|| UnitError::Unknown { symbol: symbol.to_owned() })
    }
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(value: f64, from: &str, to: &str) -> f64 {
        let (scale, offset) = from.parse::<Unit>().unwrap().affine_to(&to.parse().unwrap()).unwrap();
        scale * value + offset
    }

    #[test]
    fn known_conversions_hold() {
        for (value, from, to, want) in [
            (0.0, "degC", "K", 273.15),
            (212.0, "degF", "degC", 100.0),
            (5.1, "mol/L", "mol/m3", 5100.0),
            (3600.0, "kJ/h", "kW", 1.0),
            (12.4, "cm", "mm", 124.0),
            (50.0, "%", "1", 0.5),
        ] {
            assert!((convert(value, from, to) - want).abs() < 1e-9, "{value} {from} in {to}");
        }
    }

    #[test]
    fn a_unit_converts_to_itself_bit_for_bit() {
        for unit in Unit::ALL {
            assert_eq!(unit.affine_to(unit), Ok((1.0, 0.0)));
        }
    }

    #[test]
    fn dimensions_do_not_mix_and_symbols_are_unique() {
        assert!(matches!(Unit::KELVIN.affine_to(&Unit::VOLT), Err(UnitError::Mismatch { .. })));
        for (i, unit) in Unit::ALL.iter().enumerate() {
            assert!(Unit::ALL.iter().skip(i + 1).all(|other| other.symbol != unit.symbol));
        }
    }

    #[test]
    fn an_unknown_unit_names_the_known_ones() {
        let message = "furlong".parse::<Unit>().unwrap_err().to_string();
        assert!(message.contains("furlong") && message.contains("`degC`"), "{message}");
    }
}

//! The one conversion between a tag's unit and the model's.

use signals::{Unit, UnitError};

/// `model value = scale · tag value + offset`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    scale: f64,
    offset: f64,
}

impl Affine {
    /// No conversion.
    pub const IDENTITY: Self = Self { scale: 1.0, offset: 0.0 };

    /// The conversion from the unit of a tag to that of its model variable.
    ///
    /// # Errors
    /// [`UnitError::Mismatch`] when they measure different things.
    pub fn between(tag: &Unit, model: &Unit) -> Result<Self, UnitError> {
        tag.affine_to(model).map(|(scale, offset)| Self { scale, offset })
    }

    /// A value, from the tag's unit to the model's.
    #[must_use]
    pub fn value(&self, tag: f64) -> f64 {
        self.scale * tag + self.offset
    }

    /// A difference or a rate, from the tag's unit to the model's.
    #[must_use]
    pub fn span(&self, tag: f64) -> f64 {
        self.scale * tag
    }

    /// A value, from the model's unit to the tag's.
    #[must_use]
    pub fn to_tag(&self, model: f64) -> f64 {
        (model - self.offset) / self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_spans_convert_differently() {
        let by = Affine::between(&"degF".parse().unwrap(), &Unit::CELSIUS).unwrap();
        assert!((by.value(212.0) - 100.0).abs() < 1e-9);
        assert!((by.span(9.0) - 5.0).abs() < 1e-9);
        assert!((by.to_tag(100.0) - 212.0).abs() < 1e-9);
    }
}

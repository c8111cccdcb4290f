//! A plant that a controller may wrongly believe in: the model with another gain of one input.

use nalgebra::DMatrix;
use plant_models::{Held, Method, ModelCard, PlantModel, Sensitivities};

/// `f(x, u', p)` with `u'` the input of this number turned about its nominal value by the factor `gain`.
#[derive(Debug)]
pub(super) struct Skewed {
    model: &'static dyn PlantModel,
    input: usize,
    gain: f64,
}

impl Skewed {
    /// The model, for the rest of the process: models are `'static`, and a run makes one at most.
    pub(super) fn of(model: &'static dyn PlantModel, input: usize, gain: f64) -> &'static dyn PlantModel {
        Box::leak(Box::new(Self { model, input, gain }))
    }

    fn turned(&self, u: &[f64]) -> Vec<f64> {
        let mut u = u.to_vec();
        if let (Some(value), Some(variable)) = (u.get_mut(self.input), self.card().inputs.get(self.input)) {
            *value = variable.nominal + self.gain * (*value - variable.nominal);
        }
        u
    }
}

impl PlantModel for Skewed {
    fn card(&self) -> &'static ModelCard {
        self.model.card()
    }

    fn rhs(&self, x: &[f64], u: &[f64], p: &[f64], dx: &mut [f64]) {
        self.model.rhs(x, &self.turned(u), p, dx);
    }

    fn rhs_jacobians(&self, x: &[f64], u: &[f64], p: &[f64], a: &mut DMatrix<f64>, b: &mut DMatrix<f64>) {
        self.model.rhs_jacobians(x, &self.turned(u), p, a, b);
        if self.input < b.ncols() {
            b.column_mut(self.input).scale_mut(self.gain);
        }
    }

    fn integrate(&self, method: Method, x: &mut [f64], held: &Held<'_>, sensitivities: Option<Sensitivities<'_>>) {
        let u = self.turned(held.u);
        let held = Held { u: &u, ..*held };
        let Some(Sensitivities { by_x, by_u }) = sensitivities else {
            return self.model.integrate(method, x, &held, None);
        };
        self.model.integrate(method, x, &held, Some(Sensitivities { by_x, by_u: &mut *by_u }));
        let states = self.card().states.len();
        let column = by_u.chunks_mut(states.max(1)).nth(self.input).into_iter().flatten();
        column.for_each(|s| *s *= self.gain);
    }

    fn outputs(&self, x: &[f64], p: &[f64], y: &mut [f64]) {
        self.model.outputs(x, p, y);
    }

    fn output_jacobian(&self, x: &[f64], p: &[f64], c: &mut DMatrix<f64>) {
        self.model.output_jacobian(x, p, c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_gain_turns_the_input_about_its_nominal_value_and_its_derivatives_with_it() {
        let plain = plant_models::by_name("cstr4").unwrap();
        let flipped = Skewed::of(plain, 1, -1.0);
        let card = plain.card();
        let nominal = |variables: &[plant_models::Variable]| variables.iter().map(|v| v.nominal).collect::<Vec<_>>();
        let (x, mut u, p) = (nominal(card.states), nominal(card.inputs), nominal(card.disturbances));
        let slope = |model: &dyn PlantModel, u: &[f64]| {
            let mut dx = vec![0.0; x.len()];
            model.rhs(&x, u, &p, &mut dx);
            dx
        };
        assert_eq!(slope(plain, &u), slope(flipped, &u));
        let at = u[1];
        u[1] = at + 500.0;
        let up = slope(plain, &u);
        u[1] = at - 500.0;
        assert_eq!(up, slope(flipped, &u));
        let (n, m) = (x.len(), u.len());
        let jacobians = |model: &dyn PlantModel, u: &[f64]| {
            let (mut a, mut b) = (DMatrix::zeros(n, n), DMatrix::zeros(n, m));
            model.rhs_jacobians(&x, u, &p, &mut a, &mut b);
            b
        };
        let theirs = jacobians(flipped, &u);
        u[1] = at + 500.0;
        assert_eq!(theirs.column(1), -jacobians(plain, &u).column(1));
    }
}

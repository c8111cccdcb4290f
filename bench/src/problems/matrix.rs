//! The linear models: discretisation, and the chain of masses.
#![allow(clippy::indexing_slicing, reason = "indices come from the sizes that the matrices were made with")]

use nalgebra::DMatrix;

use super::spec::Masses;

/// A linear model `x⁺ = A x + B u`.
pub(crate) type Linear = (DMatrix<f64>, DMatrix<f64>);

/// `dx/dt = Ac x + Bc u` sampled with period `ts` and u held: `exp([Ac Bc; 0 0] ts) = [A B; 0 I]` (Van Loan, *IEEE
/// Trans. Autom. Control* 23(3) 1978).
///
/// `ac` is NX × NX, `bc` NX × NU.
#[must_use]
pub fn c2d(ac: &DMatrix<f64>, bc: &DMatrix<f64>, ts: f64) -> Linear {
    let (nx, nu) = bc.shape();
    let mut block = DMatrix::zeros(nx + nu, nx + nu);
    block.view_mut((0, 0), (nx, nx)).copy_from(&(ac * ts));
    block.view_mut((0, nx), (nx, nu)).copy_from(&(bc * ts));
    let e = block.exp();
    (e.view((0, 0), (nx, nx)).into_owned(), e.view((0, nx), (nx, nu)).into_owned())
}

/// Unit masses in a row between two walls, springs and dampers between neighbours, `nu` forces on evenly spaced ones;
/// x is positions, then velocities. After Wang and Boyd, *IEEE Trans. Control Syst. Technol.* 18(2) 2010.
#[must_use]
pub fn oscillating_masses(masses: usize, nu: usize, spec: &Masses) -> Linear {
    let (mut ac, mut bc) = (DMatrix::zeros(2 * masses, 2 * masses), DMatrix::zeros(2 * masses, nu));
    for i in 0..masses {
        ac[(i, masses + i)] = 1.0;
        for (j, pull) in [(i.checked_sub(1), 1.0), (Some(i), -2.0), (Some(i + 1).filter(|j| *j < masses), 1.0)] {
            if let Some(j) = j {
                ac[(masses + i, j)] = spec.k * pull;
                ac[(masses + i, masses + j)] = spec.d * pull;
            }
        }
    }
    for j in 0..nu {
        bc[(masses + (2 * j * masses + masses) / (2 * nu), j)] = 1.0;
    }
    c2d(&ac, &bc, spec.period_s)
}

/// A matrix given by its rows.
pub(super) fn of_rows(rows: &[Vec<f64>]) -> DMatrix<f64> {
    let columns = rows.first().map_or(0, Vec::len);
    DMatrix::from_row_iterator(rows.len(), columns, rows.iter().flatten().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_integrator_is_sampled_exactly() {
        let (a, b) = c2d(
            &DMatrix::from_row_slice(2, 2, &[0.0, 1.0, 0.0, 0.0]),
            &DMatrix::from_row_slice(2, 1, &[0.0, 1.0]),
            0.5,
        );
        let expected =
            (DMatrix::from_row_slice(2, 2, &[1.0, 0.5, 0.0, 1.0]), DMatrix::from_row_slice(2, 1, &[0.125, 0.5]));
        assert!((a - expected.0).amax() < 1e-14 && (b - expected.1).amax() < 1e-14);
    }
}

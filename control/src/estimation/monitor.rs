//! Whether a filter is consistent: its innovations as large as it expects, and white.
//!
//! Beside any filter, over a window of the last W periods:
//!
//! - The sum of the normalised innovations squared over the window is χ² with Σ m degrees of freedom, m the rows
//!   measured in each. Above the upper quantile the filter is too sure of itself, below the lower one it is not sure
//!   enough.
//! - The whitened innovations of one row, ν/√s, are independent with variance 1. With their sample autocorrelations
//!   `ρ_l`, the statistic of Ljung and Box, `W (W + 2) Σ_{l=1..L} ρ_l² / (W - l)`, is χ² with L degrees of freedom.
//!   Above its quantile they are coloured: the model, not a noise, is wrong.
//!
//! Both quantiles are Wilson's and Hilferty's approximation, `k (1 - 2/9k + z √(2/9k))³`, good to 2 % from k = 10 on,
//! and better the larger k is. With R rows and significance α each row is tested at α/R (Bonferroni), so that the whole
//! test errs with α.
//!
//! # Invariants
//! - A push and a verdict do not allocate. A number that is not finite counts as not measured.
//!
//! # Sources
//! Y. Bar-Shalom, X. R. Li and T. Kirubarajan, *Estimation with Applications to Tracking and Navigation*, 2001, 5.4;
//! G. M. Ljung and G. E. P. Box, On a measure of lack of fit in time series models, Biometrika 65 (1978) 297;
//! E. B. Wilson and M. M. Hilferty, The distribution of chi-square, Proc. Natl. Acad. Sci. 17 (1931) 684; the normal
//! quantile is P. J. Acklam's rational approximation, relative error 1.2e-9.

#![allow(clippy::indexing_slicing, reason = "positions in the ring are taken modulo its length; rows are zipped")]

use super::config::{EstimationError, numbers};
use super::filter::{Correction, Outcome};

/// What the monitor is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MonitorConfig {
    /// Periods of the window, W: at least 20.
    pub window: usize,
    /// Lags of the autocorrelation, L: at least 1, less than half the window.
    pub lags: usize,
    /// Chance that a consistent filter is called otherwise by either test, within (0, 0.5).
    pub significance: f64,
}

/// What the innovations of the window say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The window is not full yet, or held nothing measured.
    Waiting,
    /// As large and as white as expected.
    Consistent,
    /// Larger than expected: the filter trusts itself too much.
    Overconfident,
    /// Smaller than expected: the filter trusts itself too little.
    Underconfident,
    /// Of the expected size, and not white: the model is wrong.
    Coloured,
}

/// The numbers behind a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Sum of the normalised innovations squared.
    pub nis: f64,
    /// Its degrees of freedom.
    pub measured: u32,
    /// The range within which it is consistent.
    pub nis_range: (f64, f64),
    /// The largest Ljung-Box statistic of a row.
    pub whiteness: f64,
    /// Above it the row is coloured.
    pub whiteness_max: f64,
}

/// A consistency monitor of one filter.
#[derive(Clone, Debug)]
pub struct Monitor {
    config: MonitorConfig,
    rows: usize,
    /// Per period of the window: normalised innovation squared and rows measured; whitened innovations, `rows` each.
    nis: Vec<(f64, u32)>,
    whitened: Vec<f64>,
    next: usize,
    len: usize,
    z_two_sided: f64,
    z_row: f64,
}

impl Monitor {
    /// A monitor of a filter with `rows` measured rows.
    ///
    /// # Errors
    /// [`EstimationError::Number`] for a number out of its range.
    pub fn new(rows: usize, config: MonitorConfig) -> Result<Self, EstimationError> {
        numbers("window less 19", [config.window as f64 - 19.0], false)?;
        numbers("lags", [config.lags as f64], false)?;
        numbers("half the window less lags", [config.window as f64 / 2.0 - config.lags as f64], false)?;
        numbers("significance", [config.significance], false)?;
        numbers("0.5 less significance", [0.5 - config.significance], false)?;
        Ok(Self {
            rows,
            nis: vec![(0.0, 0); config.window],
            whitened: vec![0.0; config.window * rows],
            next: 0,
            len: 0,
            z_two_sided: normal_quantile(1.0 - 0.5 * config.significance),
            z_row: normal_quantile(1.0 - config.significance / rows.max(1) as f64),
            config,
        })
    }

    /// Takes one period: what the filter found, and its whitened innovations ([`super::Filter::whitened`]; 0 where
    /// missing). A lost belief empties the window; a refused period is left out.
    pub fn push(&mut self, correction: &Correction, whitened: &[f64]) {
        match correction.outcome {
            Outcome::Lost => self.reset(),
            Outcome::Refused => {}
            Outcome::Corrected | Outcome::Predicted => {
                let finite = correction.nis.is_finite();
                self.nis[self.next] = if finite { (correction.nis, correction.measured) } else { (0.0, 0) };
                let slots = &mut self.whitened[self.next * self.rows..(self.next + 1) * self.rows];
                slots.fill(0.0);
                for (slot, a) in slots.iter_mut().zip(whitened) {
                    *slot = if a.is_finite() { *a } else { 0.0 };
                }
                self.next = (self.next + 1) % self.config.window;
                self.len = (self.len + 1).min(self.config.window);
            }
        }
    }

    /// Forgets the window.
    pub fn reset(&mut self) {
        self.len = 0;
        self.next = 0;
    }

    /// What the window says. Size is judged before colour.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let Some(evidence) = self.evidence() else { return Verdict::Waiting };
        match evidence {
            e if e.nis > e.nis_range.1 => Verdict::Overconfident,
            e if e.nis < e.nis_range.0 => Verdict::Underconfident,
            e if e.whiteness > e.whiteness_max => Verdict::Coloured,
            _ => Verdict::Consistent,
        }
    }

    /// The statistics of the window; `None` until it is full and something was measured.
    #[must_use]
    pub fn evidence(&self) -> Option<Evidence> {
        if self.len < self.config.window {
            return None;
        }
        let (nis, measured) = self.nis.iter().fold((0.0, 0), |(sum, n), (nis, m)| (sum + nis, n + m));
        let k = f64::from(measured);
        (measured > 0).then(|| Evidence {
            nis,
            measured,
            nis_range: (chi_square_quantile(k, -self.z_two_sided), chi_square_quantile(k, self.z_two_sided)),
            whiteness: (0..self.rows).map(|row| self.ljung_box(row)).fold(0.0, f64::max),
            whiteness_max: chi_square_quantile(self.config.lags as f64, self.z_row),
        })
    }

    /// The statistic of Ljung and Box of one row, about its mean 0: an offset counts as colour.
    fn ljung_box(&self, row: usize) -> f64 {
        let window = self.config.window;
        // Oldest first: the ring is full.
        let at = |k: usize| self.whitened[((self.next + k) % window) * self.rows + row];
        let power: f64 = (0..window).map(|k| at(k) * at(k)).sum();
        if power <= 0.0 {
            return 0.0;
        }
        let n = window as f64;
        let terms = (1..=self.config.lags).map(|lag| {
            let rho = (lag..window).map(|k| at(k) * at(k - lag)).sum::<f64>() / power;
            rho * rho / (n - lag as f64)
        });
        n * (n + 2.0) * terms.sum::<f64>()
    }
}

/// The quantile of χ² with `k` degrees of freedom at the standard normal deviate `z` (Wilson and Hilferty).
#[must_use]
pub fn chi_square_quantile(k: f64, z: f64) -> f64 {
    let spread = 2.0 / (9.0 * k);
    k * (1.0 - spread + z * spread.sqrt()).max(0.0).powi(3)
}

/// The standard normal deviate below which a part `p` of (0, 1) lies (Acklam).
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const B: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const C: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    /// Below this part the tail's own approximation is used.
    const TAIL: f64 = 0.024_25;
    fn polynomial(coefficients: &[f64], x: f64) -> f64 {
        coefficients.iter().fold(0.0, |sum, c| sum * x + c)
    }
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / polynomial(&D, q)
    };
    if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * polynomial(&A, q * q) / polynomial(&B, q * q)
    }
}

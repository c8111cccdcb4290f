//! Scores on two data sets of DaISy, the identification database of KU Leuven (De Moor): `cstr`, a simulated stirred
//! tank with strong nonlinearity, and `exchanger`, a real steam heat exchanger. They lie beside the repository; without
//! them the tests say so and pass.
//!
//! Fits on the samples after the first 5000 (cstr) and 3000 (exchanger), percent: simulation / 10 steps / 1 step ahead.
//!
//! | model | cstr concentration | cstr temperature |
//! |---|---|---|
//! | N4SID, 2 states | 82.3 / 83.2 / 90.3 | 90.1 / 90.8 / 96.3 |
//! | CVA, 5 states | 83.7 / 87.5 / 99.5 | 92.4 / 93.3 / 99.6 |
//! | MOESP, 6 states | 83.7 / 85.6 / 99.0 | 92.1 / 92.3 / 99.2 |
//! | ARX na = nb = 2 | 81.6 / 80.5 / 98.6 | 91.5 / 92.1 / 99.2 |
//! | ARX na = nb = 8 | 83.5 / 74.1 / 97.8 | 92.3 / 92.8 / 99.3 |
//!
//! | model | exchanger |
//! |---|---|
//! | CVA, 4 states | 43.4 / 46.2 / 37.6, gain polished 43.4 / 46.5 / 50.0 |
//! | MOESP, 4 states, gain polished | 43.5 / 46.7 / 50.0 |
//! | finite impulse response, nb = 60 | 43.9 / 43.9 / 43.9 |
//! | ARX na = nb = 8 | 16.3 / 16.6 / 53.1 |
//!
//! The models agree on where linearity ends: about 84 and 92 % of the tank, whose gain varies with its state, and 44 %
//! of the exchanger, whose gain varies with the flow and whose level drifts; nonlinear models are fitted to it for that
//! reason (Bittanti and Piroddi, *J. Franklin Inst.* 334B(1) 1997). ARX, which minimises one step's error, is best at
//! that and poor far ahead, as it must be where the noise is not white through 1/A (Ljung, §8.5).

use std::fs;
use std::path::Path;

use super::subspace::{Gain, Order, SubspaceOrders, Weighting};
use super::*;

fn table(file: &str) -> Option<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/daisy").join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Some(Table::parse(file, &text).unwrap()),
        Err(fault) => {
            println!("skipped: {file} of DaISy is not beside the repository ({fault})");
            None
        }
    }
}

/// Means removed and scaled with the first `at` samples; the rest is for judging.
fn parts(data: &DataSet, at: usize) -> (DataSet, DataSet) {
    let (train, fresh) = data.split(at);
    let scaling = Scaling::of(&train, Trend::Mean);
    (scaling.apply(&train), scaling.apply(&fresh))
}

fn subspace_model(
    train: &DataSet,
    order: usize,
    (weighting, block_rows, gain): (Weighting, usize, Gain),
) -> StateSpace {
    let orders = SubspaceOrders { order: Order::Fixed(order), block_rows, weighting, feedthrough: false, gain };
    let found = subspace::fit(train, &orders).unwrap();
    assert!(!found.stabilised && found.model.spectral_radius() < 1.0, "{}", found.model.spectral_radius());
    found.model
}

fn arx(train: &DataSet, output: usize, (na, nb): (usize, usize)) -> StateSpace {
    let orders = ArxOrders { na, inputs: vec![ArxInput { nb, delay: 1 }] };
    Arx::fit(train, output, &orders).unwrap().to_state_space()
}

/// Prints the scores and holds them against bounds, half a percent below what was reached.
fn judge(name: &str, model: &StateSpace, fresh: &DataSet, bounds: [&[f64]; 3]) {
    let horizons = [Horizon::Simulation, Horizon::Steps(10), Horizon::Steps(1)];
    for (horizon, bounds) in horizons.into_iter().zip(bounds) {
        let fit = score(model, fresh, horizon).fit_pct;
        println!("{name}: {horizon:?} {fit:.2?} %");
        assert_eq!(fit.len(), bounds.len());
        assert!(
            fit.iter().zip(bounds).all(|(fit, bound)| fit >= bound),
            "{name} {horizon:?}: {fit:?} below {bounds:?}"
        );
    }
}

fn only(data: &DataSet, output: usize) -> DataSet {
    DataSet { y: data.y.columns(output, 1).into_owned(), ..data.clone() }
}

#[test]
fn the_stirred_tank_is_foretold() {
    let Some(table) = table("cstr.dat") else { return };
    let data = DataSet::from_table(&table, &["2"], &["3", "4"], 0.1).unwrap();
    assert_eq!(data.len(), 7500);
    let (train, fresh) = parts(&data, 5000);
    let two = subspace_model(&train, 2, (Weighting::N4sid, 10, Gain::Covariance));
    judge("cstr N4SID 2", &two, &fresh, [&[81.8, 89.6], &[82.7, 90.3], &[89.8, 95.8]]);
    let five = subspace_model(&train, 5, (Weighting::Cva, 10, Gain::Covariance));
    judge("cstr CVA 5", &five, &fresh, [&[83.2, 91.9], &[86.9, 92.8], &[99.0, 99.1]]);
    let six = subspace_model(&train, 6, (Weighting::Moesp, 10, Gain::Covariance));
    judge("cstr MOESP 6", &six, &fresh, [&[83.1, 91.6], &[85.0, 91.8], &[98.4, 98.7]]);
    for (output, n, bounds) in [
        (0, 2, [[81.1], [80.0], [98.1]]),
        (0, 8, [[82.9], [73.5], [97.3]]),
        (1, 2, [[91.0], [91.5], [98.6]]),
        (1, 8, [[91.8], [92.3], [98.7]]),
    ] {
        let [simulation, ten, one] = &bounds;
        let name = format!("cstr ARX {n} of output {output}");
        judge(&name, &arx(&train, output, (n, n)), &only(&fresh, output), [simulation, ten, one]);
    }
}

#[test]
fn the_heat_exchanger_is_foretold() {
    let Some(table) = table("exchanger.csv") else { return };
    let data = DataSet::from_table(&table, &["q"], &["th"], 1.0).unwrap();
    assert_eq!(data.len(), 4000);
    let (train, fresh) = parts(&data, 3000);
    let covariance = subspace_model(&train, 4, (Weighting::Cva, 15, Gain::Covariance));
    judge("exchanger CVA 4, covariances", &covariance, &fresh, [&[42.9], &[45.7], &[37.1]]);
    let polished = subspace_model(&train, 4, (Weighting::Cva, 15, Gain::PredictionError));
    judge("exchanger CVA 4, polished", &polished, &fresh, [&[42.9], &[46.0], &[49.5]]);
    let moesp = subspace_model(&train, 4, (Weighting::Moesp, 15, Gain::PredictionError));
    judge("exchanger MOESP 4, polished", &moesp, &fresh, [&[43.0], &[46.2], &[49.5]]);
    let response = arx(&train, 0, (0, 60));
    judge("exchanger FIR 60", &response, &fresh, [&[43.4], &[43.4], &[43.4]]);
    judge("exchanger ARX 8", &arx(&train, 0, (8, 8)), &fresh, [&[15.7], &[16.0], &[52.0]]);
}

#[test]
fn a_score_knows_the_perfect_the_trivial_and_the_wrong() {
    let y = DMatrix::from_column_slice(4, 1, &[1.0, 2.0, 3.0, 6.0]);
    assert_eq!(fit_percent(&y, &y), [100.0]);
    assert_eq!(fit_percent(&y, &DMatrix::from_element(4, 1, 3.0)), [0.0]);
    assert!((fit_percent(&y, &-&y)[0] + 100.0 * (200f64 / 14.0).sqrt() - 100.0).abs() < 1e-12);
}

//! Systems that are known: what is found must be what was put in.

use super::subspace::{Gain, Order, SubspaceOrders, Weighting};
use super::*;

const WEIGHTINGS: [Weighting; 3] = [Weighting::N4sid, Weighting::Moesp, Weighting::Cva];

fn orders(weighting: Weighting) -> SubspaceOrders {
    SubspaceOrders { order: Order::Fixed(3), block_rows: 8, weighting, feedthrough: false, gain: Gain::PredictionError }
}

/// y(t) = 1.5 y(t-1) - 0.7 y(t-2) + u1(t-1) + 0.5 u1(t-2) - 0.8 u2(t-3) + e(t)
fn arx_data(samples: usize, noise: f64) -> DataSet {
    let mut random = Random::new(3);
    let u = DMatrix::from_fn(samples, 2, |_, _| random.normal());
    let mut y = DMatrix::zeros(samples, 1);
    let at = |m: &DMatrix<f64>, t: usize, back: usize, j: usize| if t >= back { m[(t - back, j)] } else { 0.0 };
    for t in 0..samples {
        y[t] = 1.5 * at(&y, t, 1, 0) - 0.7 * at(&y, t, 2, 0) + at(&u, t, 1, 0) + 0.5 * at(&u, t, 2, 0)
            - 0.8 * at(&u, t, 3, 1)
            + noise * random.normal();
    }
    DataSet { period: 1.0, first: 0, input_names: vec![], output_names: vec![], u, y }
}

fn arx_orders() -> ArxOrders {
    ArxOrders { na: 2, inputs: vec![ArxInput { nb: 2, delay: 1 }, ArxInput { nb: 1, delay: 3 }] }
}

fn arx_error(model: &Arx) -> f64 {
    let found = model.a.iter().chain(&model.b[0]).chain(&model.b[1]);
    found.zip([-1.5, 0.7, 1.0, 0.5, -0.8]).fold(0.0, |most: f64, (got, truth)| most.max((got - truth).abs()))
}

#[test]
fn arx_finds_a_noiseless_system() {
    let model = Arx::fit(&arx_data(200, 0.0), 0, &arx_orders()).unwrap();
    assert!(arx_error(&model) < 1e-10, "{model:?}");
}

#[test]
fn arx_finds_a_noisy_system_as_nearly_as_theory_says() {
    // Standard error of a coefficient of b under white inputs of variance 1: noise / sqrt(samples) = 0.0032.
    let model = Arx::fit(&arx_data(4000, 0.2), 0, &arx_orders()).unwrap();
    assert!(arx_error(&model) < 4.0 * 0.2 / 4000f64.sqrt(), "{model:?}");
    assert!(arx_error(&model) > 1e-6, "noise leaves its mark");
    assert!((model.noise_variance.sqrt() - 0.2).abs() < 0.01, "{}", model.noise_variance);
}

#[test]
fn an_arx_model_and_its_state_space_are_the_same_model() {
    let data = arx_data(300, 0.0);
    let model = Arx::fit(&data, 0, &arx_orders()).unwrap().to_state_space();
    let y = model.simulate(&data.u, &DVector::zeros(model.order()));
    assert!((&y - &data.y).amax() < 1e-8, "{}", (&y - &data.y).amax());
}

#[test]
fn one_step_predictions_of_an_arx_model_leave_only_its_noise() {
    let data = arx_data(4000, 0.2);
    let model = Arx::fit(&data, 0, &arx_orders()).unwrap().to_state_space();
    let y_hat = model.predict(&data, &model.initial_state(&data), 1);
    let rms = (&data.y - y_hat).norm() / 4000f64.sqrt();
    assert!((rms - 0.2).abs() < 0.01, "{rms}");
}

#[test]
fn an_input_at_rest_determines_nothing() {
    let mut data = arx_data(200, 0.0);
    data.u.column_mut(1).fill(0.0);
    let fault = Arx::fit(&data, 0, &arx_orders()).unwrap_err();
    assert_eq!(fault, IdentificationError::Rank { regressors: 5, rank: 4 });
    data.u.column_mut(0).fill(0.0);
    assert!(subspace::fit(&data, &orders(Weighting::N4sid)).is_err());
}

#[test]
fn too_few_samples_are_told() {
    let fault = Arx::fit(&arx_data(8, 0.0), 0, &arx_orders()).unwrap_err();
    assert_eq!(fault, IdentificationError::Short { samples: 8, needed: 9 });
    let fault = subspace::fit(&experiment(&plant(), 78, 0.0), &orders(Weighting::Cva)).unwrap_err();
    assert_eq!(fault, IdentificationError::Short { samples: 78, needed: 79 });
}

#[test]
fn every_weighting_finds_a_noiseless_system() {
    let data = experiment(&StateSpace { k: DMatrix::zeros(3, 2), ..plant() }, 400, 0.0);
    for weighting in WEIGHTINGS {
        let found = subspace::fit(&data, &orders(weighting)).unwrap();
        let distance = step_distance(&found.model, &plant());
        assert!(distance < 1e-6, "{weighting:?}: {distance}");
        assert!(found.singular_values[3] < 1e-6 * found.singular_values[2], "{:?}", found.singular_values);
        assert!(found.model.k.amax() < 1e-6, "no noise, no gain: {}", found.model.k);
        let gap = SubspaceOrders { order: Order::Above(1e-6), ..orders(weighting) };
        assert_eq!(subspace::fit(&data, &gap).unwrap().model.order(), 3, "{weighting:?}");
        let poorer = SubspaceOrders { order: Order::Fixed(2), ..orders(weighting) };
        let distance = step_distance(&subspace::fit(&data, &poorer).unwrap().model, &plant());
        assert!(distance > 1e-2, "two states are too few: {distance}");
    }
}

#[test]
fn feedthrough_is_found_where_it_is_looked_for() {
    let truth = StateSpace { d: DMatrix::from_row_slice(2, 2, &[0.3, 0.0, 0.0, -0.7]), ..plant() };
    let data = experiment(&StateSpace { k: DMatrix::zeros(3, 2), ..truth.clone() }, 400, 0.0);
    let with = SubspaceOrders { feedthrough: true, ..orders(Weighting::Moesp) };
    let distance = step_distance(&subspace::fit(&data, &with).unwrap().model, &truth);
    assert!(distance < 1e-6, "{distance}");
    let distance = step_distance(&subspace::fit(&data, &orders(Weighting::Moesp)).unwrap().model, &truth);
    assert!(distance > 0.1, "{distance}");
}

#[test]
fn every_weighting_comes_near_a_noisy_system() {
    let (data, fresh) = experiment(&plant(), 6000, 0.2).split(4000);
    let gain = plant().dc_gain().unwrap();
    for weighting in WEIGHTINGS {
        let found = subspace::fit(&data, &orders(weighting)).unwrap();
        assert!(!found.stabilised && found.model.spectral_radius() < 1.0);
        let error = (found.model.dc_gain().unwrap() - &gain).amax() / gain.amax();
        assert!(error < 0.02, "{weighting:?}: gain off by {error}");
        // One step ahead, all that is left is the innovation, whose standard deviation is 0.2.
        let x0 = found.model.initial_state(&fresh);
        let rms = (&fresh.y - found.model.predict(&fresh, &x0, 1)).norm() / (2.0 * 2000f64).sqrt();
        assert!((rms - 0.2).abs() < 0.01, "{weighting:?}: {rms}");
        let blind = (&fresh.y - found.model.simulate(&fresh.u, &x0)).norm() / (2.0 * 2000f64).sqrt();
        assert!(blind > 1.1 * rms, "the Kalman gain earns its keep: {blind} without, {rms} with it");
    }
}

#[test]
fn the_gain_of_the_covariances_is_near_that_of_the_least_error() {
    let (data, fresh) = experiment(&plant(), 6000, 0.2).split(4000);
    for weighting in WEIGHTINGS {
        let one_step = |gain: Gain| {
            let model = subspace::fit(&data, &SubspaceOrders { gain, ..orders(weighting) }).unwrap().model;
            score(&model, &fresh, Horizon::Steps(1)).fit_pct
        };
        let (covariance, polished) = (one_step(Gain::Covariance), one_step(Gain::PredictionError));
        for (a, b) in covariance.iter().zip(&polished) {
            assert!((a - b).abs() < 0.3, "{weighting:?}: {covariance:?} {polished:?}");
        }
    }
    // From no gain at all the search finds it too.
    let mut blind = StateSpace { k: DMatrix::zeros(3, 2), ..plant() };
    gain::polish(&mut blind, &data);
    assert!((&blind.k - plant().k).amax() < 0.06, "{}", blind.k);
}

#[test]
fn predictions_far_ahead_turn_into_the_simulation() {
    let data = experiment(&plant(), 300, 0.2);
    let model = plant();
    let x0 = model.initial_state(&data);
    let simulated = model.simulate(&data.u, &x0);
    assert_eq!(model.predict(&data, &x0, 300), simulated);
    let near = model.predict(&data, &x0, 1);
    assert!((near - simulated).amax() > 0.1);
}

#[test]
fn an_unstable_estimate_is_made_stable_and_told() {
    // A few samples of a random walk beside its input: the shift structure alone gives poles at 1 and beyond.
    let walk = StateSpace {
        a: DMatrix::from_row_slice(1, 1, &[1.02]),
        b: DMatrix::from_row_slice(1, 1, &[1.0]),
        c: DMatrix::from_row_slice(1, 1, &[1.0]),
        d: DMatrix::zeros(1, 1),
        k: DMatrix::zeros(1, 1),
        period: 1.0,
    };
    let data = experiment(&walk, 120, 0.0);
    let wish = SubspaceOrders { order: Order::Fixed(1), block_rows: 4, ..orders(Weighting::N4sid) };
    let found = subspace::fit(&data, &wish).unwrap();
    assert!(found.stabilised && found.model.spectral_radius() < 1.0, "{}", found.model.spectral_radius());
}

#[test]
fn a_scaled_fit_comes_back_in_the_units_of_the_data() {
    let mut data = experiment(&StateSpace { k: DMatrix::zeros(3, 2), ..plant() }, 400, 0.0);
    for (j, (scale, level)) in [(250.0, 40.0), (0.01, -3.0)].into_iter().enumerate() {
        data.u.column_mut(j).apply(|u| *u = *u * scale + level);
        data.y.column_mut(j).apply(|y| *y = *y * 7.0 + 300.0);
    }
    // The levels differ from the means of the data, so the fit is of the mean-free data, near but not exact.
    let scaling = Scaling::of(&data, Trend::Mean);
    let scaled = scaling.apply(&data);
    assert!((scaled.y.column(0).norm_squared() / 400.0 - 1.0).abs() < 1e-12 && scaled.u.column(0).mean().abs() < 1e-12);
    let model = subspace::fit(&scaled, &orders(Weighting::Moesp)).unwrap().model.in_units(&scaling);
    let gain = model.dc_gain().unwrap();
    let truth = plant().dc_gain().unwrap();
    for (i, j, scale) in [(0, 0, 7.0 / 250.0), (1, 0, 7.0 / 250.0), (0, 1, 7.0 / 0.01), (1, 1, 7.0 / 0.01)] {
        let (got, expected) = (gain[(i, j)], truth[(i, j)] * scale);
        assert!((got - expected).abs() < 0.03 * truth.amax() * scale, "{i} {j}: {got} for {expected}");
    }
}

#[test]
fn a_line_is_taken_off_a_later_part_where_it_continues() {
    let samples = 100;
    let line = DMatrix::from_fn(samples, 1, |t, _| 2.0 + 0.5 * t as f64);
    let wave = DMatrix::from_fn(samples, 1, |t, _| (t as f64 * 0.3).sin());
    let data =
        DataSet { period: 1.0, first: 0, input_names: vec![], output_names: vec![], u: wave.clone(), y: line + &wave };
    let (early, late) = data.split(63);
    let scaling = Scaling::of(&early, Trend::Line);
    let left = scaling.apply(&late);
    let direct = scaling.y[0];
    assert!((direct.slope - 0.5).abs() < 0.02 && left.y.column(0).amax() * direct.scale < 2.0, "{direct:?}");
    assert_eq!(late.first, 63);
}

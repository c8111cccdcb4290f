//! The monitor on innovations whose law is known, and the bank on plants of which one is the right one.

use plant_models::{Cstr2, Method};

use super::scenario::{P, SEED, X_HAT_0, input, system};
use super::*;
use crate::estimation::model_bank::CANDIDATES_MAX;
use crate::estimation::monitor::{chi_square_quantile, normal_quantile};
use crate::estimation::{
    Correction, Extended, Filter, ModelBank, Monitor, MonitorConfig, Outcome, Period, SystemConfig, Verdict,
};

const CONFIG: MonitorConfig = MonitorConfig { window: 100, lags: 10, significance: 0.01 };

/// The share of each verdict over 2000 windows of two rows of `scale · a`, with `a_k = memory · a_{k-1} + white` of
/// variance 1.
fn shares(scale: f64, memory: f64) -> impl Fn(Verdict) -> f64 {
    let mut noise = Random::new(SEED);
    let mut monitor = Monitor::new(2, CONFIG).unwrap();
    let (mut a, mut verdicts) = ([0.0; 2], vec![]);
    for k in 0..200_000 {
        for a in &mut a {
            *a = memory * *a + (1.0 - memory * memory).sqrt() * noise.normal();
        }
        let whitened = a.map(|a| scale * a);
        let nis = whitened.iter().map(|a| a * a).sum();
        let correction = Correction { outcome: Outcome::Corrected, measured: 2, nis, log_likelihood: 0.0 };
        monitor.push(&correction, &whitened);
        if k % 100 == 99 {
            verdicts.push(monitor.verdict());
        } else if k < 99 {
            assert_eq!(monitor.verdict(), Verdict::Waiting);
        }
    }
    move |wanted| verdicts.iter().filter(|v| **v == wanted).count() as f64 / verdicts.len() as f64
}

#[test]
fn white_innovations_of_the_right_size_are_rarely_called_otherwise() {
    let share = shares(1.0, 0.0);
    let (size, colour) = (share(Verdict::Overconfident) + share(Verdict::Underconfident), share(Verdict::Coloured));
    // Each test errs with 1 %; a share over 2000 windows has a standard deviation of 0.2 %. Ljung and Box's statistic
    // has a heavier tail than χ² at 100 samples.
    assert!((0.004..0.018).contains(&size), "{size}");
    assert!((0.004..0.03).contains(&colour), "{colour}");
}

#[test]
fn innovations_of_another_size_or_colour_are_told_apart() {
    assert!(shares(1.4, 0.0)(Verdict::Overconfident) > 0.99);
    assert!(shares(0.7, 0.0)(Verdict::Underconfident) > 0.99);
    let coloured = shares(1.0, 0.6);
    assert!(
        coloured(Verdict::Coloured) > 0.8 && coloured(Verdict::Consistent) < 0.01,
        "{}",
        coloured(Verdict::Coloured)
    );
}

#[test]
fn a_lost_belief_empties_the_window_and_a_nan_counts_as_nothing() {
    let mut monitor = Monitor::new(1, CONFIG).unwrap();
    let found = |outcome, nis| Correction { outcome, measured: 1, nis, log_likelihood: 0.0 };
    for k in 0..100 {
        monitor.push(&found(Outcome::Corrected, 1.0), &[if k % 2 == 0 { 1.0 } else { -1.0 }]);
    }
    assert_ne!(monitor.verdict(), Verdict::Waiting);
    monitor.push(&found(Outcome::Corrected, f64::NAN), &[f64::NAN]);
    let evidence = monitor.evidence().unwrap();
    assert!(evidence.measured == 99 && evidence.nis.is_finite() && evidence.whiteness.is_finite(), "{evidence:?}");
    monitor.push(&found(Outcome::Lost, 0.0), &[0.0]);
    assert_eq!(monitor.verdict(), Verdict::Waiting);
}

#[test]
fn a_window_that_cannot_judge_is_refused() {
    let refused = |config| Monitor::new(1, config).unwrap_err().to_string();
    assert!(refused(MonitorConfig { window: 19, ..CONFIG }).starts_with("window less 19"));
    assert!(refused(MonitorConfig { lags: 50, ..CONFIG }).starts_with("half the window less lags"));
    assert!(refused(MonitorConfig { lags: 0, ..CONFIG }).starts_with("lags"));
    assert!(refused(MonitorConfig { significance: 0.5, ..CONFIG }).starts_with("0.5 less significance"));
    assert!(refused(MonitorConfig { significance: f64::NAN, ..CONFIG }).starts_with("significance"));
}

/// Tables of the χ² and normal distributions (Abramowitz and Stegun, tables 26.1 and 26.8).
#[test]
fn the_quantiles_are_those_of_the_tables() {
    for (p, z) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.995, 2.575_829_304), (0.001, -3.090_232_306)] {
        assert!((normal_quantile(p) - z).abs() < 1e-7, "{p}");
    }
    for (k, p, q) in [(10.0, 0.99, 23.209_3), (10.0, 0.01, 2.558_21), (100.0, 0.95, 124.342), (3.0, 0.95, 7.814_73)] {
        let got = chi_square_quantile(k, normal_quantile(p));
        assert!((got / q - 1.0).abs() < 0.02, "{k} {p}: {got} against {q}");
    }
}

static DULL: Cstr2 = Cstr2 { heat_transfer: 0.9 * Cstr2::NOMINAL.heat_transfer, ..Cstr2::NOMINAL };
static KEEN: Cstr2 = Cstr2 { heat_transfer: 1.1 * Cstr2::NOMINAL.heat_transfer, ..Cstr2::NOMINAL };

fn candidates() -> Vec<Extended> {
    let config = SystemConfig { measured: vec![cv(CA, 0.01, 0.0), cv(T, 0.3, 0.0)], ..system(4) };
    let models: [&'static dyn PlantModel; 3] = [&DULL, &Cstr2::NOMINAL, &KEEN];
    models.iter().map(|model| Extended::new(*model, &config, &[0.87, 324.0]).unwrap()).collect()
}

#[test]
fn a_filter_of_the_wrong_model_is_found_out() {
    let verdict = |filter: &mut Extended| {
        let mut monitor = Monitor::new(2, CONFIG).unwrap();
        let mut noise = Random::new(8);
        let (mut plant, p) = ([0.877, 324.5], P);
        for k in 0..300 {
            let u = [298.0 + 2.0 * (0.15 * f64::from(k)).sin()];
            Integrator::rk4(&KEEN).step(&mut plant, &Held { u: &u, p: &p, dt_s: PERIOD_S, substeps: 4 });
            let y = [plant[0] + 0.01 * noise.normal(), plant[1] + 0.3 * noise.normal()];
            let correction = filter.step(&u, &P, &y);
            assert_eq!(correction.outcome, Outcome::Corrected);
            monitor.push(&correction, filter.whitened());
        }
        monitor.verdict()
    };
    let [_, mut nominal, mut keen]: [Extended; 3] = candidates().try_into().unwrap();
    assert!(matches!(verdict(&mut nominal), Verdict::Overconfident | Verdict::Coloured));
    // Without process noise in this plant, the right filter is if anything not sure enough.
    assert!(matches!(verdict(&mut keen), Verdict::Consistent | Verdict::Underconfident));
}

/// The bank beside a plant that is the nominal one, and from period 100 on has the keen heat transfer. Gives the
/// probabilities at the end of each period.
fn bank_beside_a_change(floor: f64) -> Vec<[f64; 3]> {
    let mut bank = ModelBank::new(candidates(), floor).unwrap();
    let mut noise = Random::new(5);
    let mut x = [0.877, 324.5];
    (0..200)
        .map(|k| {
            let model: &'static dyn PlantModel = if k < 100 { &Cstr2::NOMINAL } else { &KEEN };
            let u = input(k);
            let held = Held { u: &u, p: &P, dt_s: PERIOD_S, substeps: 4 };
            Integrator::new(model, Method::Rk4).step(&mut x, &held);
            let y = [x[0] + 0.01 * noise.normal(), if k % 7 == 3 { f64::NAN } else { x[1] + 0.3 * noise.normal() }];
            assert_eq!(bank.advance(&Period { u: &u, acting: &P, now: &P, y: &y }), 0);
            let p = bank.probability();
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12 && p.iter().all(|p| *p >= floor), "{p:?}");
            let ends = |i: usize| bank.filters().iter().map(move |f| f.mean()[i]);
            let (least, most) = (ends(1).fold(f64::MAX, f64::min), ends(1).fold(f64::MIN, f64::max));
            assert!((least - 1e-9..=most + 1e-9).contains(&bank.mean()[1]));
            assert!(bank.variance(1) > 0.0);
            [p[0], p[1], p[2]]
        })
        .collect()
}

#[test]
fn the_bank_finds_the_right_model_and_follows_a_change() {
    let p = bank_beside_a_change(1e-3);
    assert!(p[99][1] > 0.95, "{:?}", p[99]);
    assert!(p[199][2] > 0.95, "{:?}", p[199]);
    let found = |p: &[[f64; 3]]| p.iter().skip(100).position(|p| p[2] > 0.5).unwrap_or(usize::MAX);
    // Negative control: without a floor the right model has become so improbable that it needs longer, if ever.
    let without = bank_beside_a_change(0.0);
    assert!(found(&p) < 30 && found(&without) > found(&p), "{} {}", found(&p), found(&without));
}

#[test]
fn a_candidate_that_is_lost_falls_to_the_floor() {
    let mut filters = candidates();
    assert!(filters[0].begin_at(&[1e300, 1e300]));
    let mut bank = ModelBank::new(filters, 0.01).unwrap();
    let period = Period { u: &[300.0], acting: &P, now: &P, y: &[0.87, 324.0] };
    assert_eq!(bank.advance(&period), 1);
    assert!((bank.probability()[0] - 0.01).abs() < 1e-12 && bank.best() != 0, "{:?}", bank.probability());
    // Nothing measured: nothing learnt.
    let before = bank.probability().to_vec();
    let nothing = Period { y: &[f64::NAN; 2], ..period };
    let mut healthy = ModelBank::new(candidates(), 0.01).unwrap();
    healthy.advance(&nothing);
    assert!(healthy.probability().iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
    // Refused: nothing changes.
    bank.advance(&Period { y: &[0.87], ..period });
    assert!(bank.probability().iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-12), "{:?}", bank.probability());
}

#[test]
fn a_bank_that_cannot_be_is_refused() {
    let refused = |filters, floor| ModelBank::<Extended>::new(filters, floor).unwrap_err().to_string();
    assert!(refused(vec![], 0.0).starts_with("0 candidates"));
    assert!(refused(candidates(), 0.5).starts_with("1/n less floor"));
    assert!(refused(candidates(), f64::NAN).starts_with("floor"));
    let other = Extended::new(cstr2(), &system(4), &X_HAT_0).unwrap();
    assert!(refused(vec![candidates().remove(0), other], 0.0).starts_with("candidate has"));
    const { assert!(CANDIDATES_MAX >= 16) };
}

#[test]
fn a_bank_and_a_monitor_do_not_allocate() {
    let mut bank = ModelBank::new(candidates(), 1e-3).unwrap();
    let mut monitor = Monitor::new(2, CONFIG).unwrap();
    let counted = allocation_counter::measure(|| {
        for _ in 0..150 {
            bank.advance(&Period { u: &[300.0], acting: &P, now: &P, y: &[0.87, 324.0] });
            let found = Correction { outcome: Outcome::Corrected, measured: 2, nis: 2.0, log_likelihood: 0.0 };
            monitor.push(&found, bank.filters()[1].whitened());
            let _ = monitor.verdict();
        }
    });
    assert_eq!(counted.count_total, 0);
}

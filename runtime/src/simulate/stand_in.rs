//! A rig for a plant file that has none: the file's own model, at its nominal start, behind slave loops of the usual kind.
//!
//! Place in the loop: before it. What the plant file says is taken from there: limits, rates, noise. What it cannot say
//! (how the DCS scans, how fast its slave loops are) is what a loop of this period would be given: fast against the
//! period. A rig file says it better; then the plant may also be one that the controller does not know.

use std::time::Duration;

use plant_models::steady_state;
use rig::config::{CvConfig, DvConfig, MvConfig, Prefix, SlaveTuning, Span};
use rig::{PlantSource, RigConfig};
use signals::dcs::ShedOption;

use super::SimulateError;
use crate::config::{Cv, Mv, PlantFile};

/// The DCS scans at least twice in a control period, and at least as often as this.
const SCAN_MAX: Duration = Duration::from_secs(1);
/// Integration steps in a scan.
const SUBSTEPS: usize = 4;
/// The operator's limits of a CV leave this part of the instrument's range free at each end.
const LIMITS_INSIDE: f64 = 0.1;

/// The rig of a plant file.
///
/// | of the rig | from |
/// |---|---|
/// | model, start | the file's model, steady at the nominal inputs and disturbances of its card |
/// | scan | the longest whole fraction of the period that is at most 1 s and half the period |
/// | slave loops | gain 0.8, reset 2 T / 9, actuator of first order with T / 6, neither faster than the scan allows |
/// | clamp, operator's limits, rate of an MV | `low`, `high`, `rate_max_per_s` |
/// | set-point of a CV | its value at the start, where it has a weight |
/// | operator's limits of a CV | `low` and `high`, a tenth of the range inside, and around the start |
/// | noise | `measurement_sd` of a CV, `resolution` of a DV |
/// | three transmitters | of what has a `spares_tolerance` |
///
/// # Errors
/// [`SimulateError::NoStart`] when the model has no steady state at its nominal inputs.
pub fn stand_in(plant: &PlantFile) -> Result<RigConfig, SimulateError> {
    let card = plant.model.card();
    let scan = scan_of(plant.period());
    let mvs: Vec<MvConfig> = plant.mvs.iter().map(|mv| mv_config(mv, plant.period(), scan)).collect();
    let u: Vec<f64> = mvs.iter().map(|mv| mv.start).collect();
    let p: Vec<f64> = card.disturbances.iter().map(|d| d.nominal).collect();
    let guess: Vec<f64> = card.states.iter().map(|state| state.nominal).collect();
    let x = steady_state(plant.model, &u, &p, &guess)?;
    let mut y = vec![0.0; card.outputs.len()];
    plant.model.outputs(&x, &p, &mut y);
    let dvs = plant.dvs.iter().map(|dv| DvConfig {
        variable: dv.variable,
        index: dv.disturbance,
        start: dv.variable.nominal,
        noise_sd: dv.limits.resolution,
        spared: dv.limits.spares_tolerance.is_some(),
    });
    Ok(RigConfig {
        title: format!("{} of its own model", plant.name),
        prefix: Prefix { area: "Simulated".to_owned(), unit: plant.name.clone(), app: card.name.to_owned() },
        plant: PlantSource::Model(plant.model),
        period: plant.period(),
        scan,
        substeps: SUBSTEPS,
        mvs,
        cvs: plant.cvs.iter().map(|cv| cv_config(cv, y.get(cv.output).copied().unwrap_or(f64::NAN))).collect(),
        dvs: dvs.collect(),
        degradation: Vec::new(),
        timeline: Vec::new(),
    })
}

/// `period / n` for the least n from 2 that gives whole nanoseconds and at most [`SCAN_MAX`].
fn scan_of(period: Duration) -> Duration {
    let period_ns = period.as_nanos();
    let least = period_ns.div_ceil(SCAN_MAX.as_nanos()).max(2);
    let n = (least..=period_ns.max(least)).find(|n| period_ns.is_multiple_of(*n)).unwrap_or(least);
    Duration::from_nanos(u64::try_from(period_ns / n).unwrap_or(u64::MAX))
}

fn mv_config(mv: &Mv, period: Duration, scan: Duration) -> MvConfig {
    let (period_s, scan_s) = (period.as_secs_f64(), scan.as_secs_f64());
    let clamp = Span { low: mv.low, high: mv.high };
    let start = clamp.clamp(mv.variable.nominal);
    MvConfig {
        variable: mv.variable,
        range: Span { low: mv.low.min(mv.variable.low), high: mv.high.max(mv.variable.high) },
        start,
        clamp,
        limits: clamp,
        max_rate_per_s: mv.rate_max_per_s,
        shed: ShedOption::HoldAuto,
        backup_sp: start,
        slave: SlaveTuning {
            gain: 0.8,
            reset_s: (period_s * 2.0 / 9.0).max(4.0 * scan_s),
            rate_s: 0.0,
            actuator_tau_s: (period_s / 6.0).max(2.0 * scan_s),
        },
        dead_time_s: 0.0,
    }
}

fn cv_config(cv: &Cv, start: f64) -> CvConfig {
    let range = Span { low: cv.limits.low, high: cv.limits.high };
    let free = LIMITS_INSIDE * range.width();
    CvConfig {
        variable: cv.variable,
        output: cv.output,
        range,
        setpoint: (cv.weight > 0.0).then_some(start),
        limits: Span { low: (range.low + free).min(start - free), high: (range.high - free).max(start + free) },
        weight: f64::from(u8::from(cv.weight > 0.0)),
        noise_sd: cv.measurement_sd,
        spared: cv.limits.spares_tolerance.is_some(),
        lag_s: 0.0,
        dead_time_s: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load;

    #[test]
    fn every_shipped_plant_file_has_a_stand_in_that_starts_inside_its_limits() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plants");
        for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
            let config = stand_in(&load(&file).unwrap().plant).unwrap();
            let rig = rig::Rig::new(config.clone(), 1).unwrap();
            for cv in &config.cvs {
                let y = rig.truth()[cv.output];
                assert!(cv.limits.contains(y), "{}: {} at {y}, {:?}", file.display(), cv.variable.name, cv.limits);
            }
            assert!(config.mvs.iter().all(|mv| mv.range.contains(mv.clamp.low) && mv.range.contains(mv.clamp.high)));
        }
    }

    #[test]
    fn the_scan_is_a_whole_fraction_of_the_period() {
        for (period_s, scan_s) in [(18.0, 1.0), (6.0, 1.0), (1.0, 0.5), (0.1, 0.05), (2.5, 0.625), (86_400.0, 1.0)] {
            let scan = scan_of(Duration::from_secs_f64(period_s));
            assert!((scan.as_secs_f64() - scan_s).abs() < 1e-12, "{period_s} s: {scan:?}");
        }
    }
}

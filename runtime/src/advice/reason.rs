//! The words of a recommendation (`REC.REASON`): which CVs are off and by how much, what is to be expected, and which
//! set-points would bring it about. Made off the control thread.

use std::cmp::Ordering;

use control::advice::{Advice, CvEffect};

use crate::config::{Cv, PlantFile};

/// CVs that are spoken of at most.
const CVS_MAX: usize = 3;
/// A limit is near when it is closer than this part of the room between the limits.
const NEAR: f64 = 0.05;

/// The words for `advice`, in the units of the tags.
pub(crate) fn reason(advice: &Advice, plant: &PlantFile) -> String {
    let mut cvs: Vec<_> =
        plant.cvs.iter().zip(&advice.effects).filter_map(|(cv, effect)| Said::of(cv, effect)).collect();
    cvs.sort_by(|a, b| b.weight.partial_cmp(&a.weight).unwrap_or(Ordering::Equal));
    let horizon_s = number(plant.period_s * plant.mpc.horizon as f64);
    let mut parts: Vec<String> = cvs.into_iter().take(CVS_MAX).map(|said| said.sentence(&horizon_s)).collect();
    let mvs = plant.mvs.iter().zip(advice.from.iter().zip(&advice.u)).zip(&advice.concerns);
    let moves = mvs.filter(|(_, concerned)| **concerned).map(|((mv, (from, to)), _)| {
        let by = mv.tag.to_model;
        format!("{} {} to {} {}", mv.tag.name, number(by.to_tag(*from)), number(by.to_tag(*to)), mv.tag.unit.symbol())
    });
    parts.push(moves.collect::<Vec<_>>().join(", "));
    parts.join("; ")
}

/// What is said of one CV.
struct Said {
    /// How far off it is, in its span; 0 where it is near a limit.
    weight: f64,
    text: String,
    hold: String,
    pred: String,
}

impl Said {
    /// `None` where there is nothing to say: no measurement, or neither a set-point nor a limit that is near.
    fn of(cv: &Cv, effect: &CvEffect) -> Option<Self> {
        let by = cv.tag.to_model;
        let pv = effect.pv?;
        let distance = |to: f64| number((by.to_tag(pv) - by.to_tag(to)).abs());
        let told = |value: f64| number(by.to_tag(value));
        let off = |to: f64| (pv - to).abs() / cv.span;
        let (weight, where_it_is) = match (effect.limits, effect.setpoint) {
            (Some((low, _)), _) if pv < low => {
                (1.0 + off(low), format!("{} below its limit {}", distance(low), told(low)))
            }
            (Some((_, high)), _) if pv > high => {
                (1.0 + off(high), format!("{} above its limit {}", distance(high), told(high)))
            }
            (_, Some(sp)) => {
                let side = if by.to_tag(pv) < by.to_tag(sp) { "below" } else { "above" };
                (off(sp), format!("{} {side} its set-point {}", distance(sp), told(sp)))
            }
            (Some((low, high)), None) => {
                let near = NEAR * (high - low);
                let limit = [low, high].into_iter().find(|limit| (pv - limit).abs() < near)?;
                (0.0, format!("{} from its limit {}", distance(limit), told(limit)))
            }
            (None, None) => return None,
        };
        let text = format!("{} {} {}: {where_it_is}", cv.tag.name, told(pv), cv.tag.unit.symbol());
        Some(Self { weight, text, hold: told(effect.hold), pred: told(effect.pred) })
    }

    fn sentence(self, horizon_s: &str) -> String {
        let Self { text, hold, pred, .. } = self;
        format!("{text}, in {horizon_s} s {pred} if taken, {hold} if not")
    }
}

/// A number with four digits that count.
fn number(value: f64) -> String {
    let magnitude = if value == 0.0 { 0.0 } else { value.abs().log10().floor() };
    let decimals = (3.0 - magnitude).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use signals::{Fixed, Proposer, Stamp, Values};

    use super::*;

    fn plant() -> PlantFile {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/plants/cstr.toml");
        crate::config::load(std::path::Path::new(file)).unwrap().plant
    }

    #[test]
    fn the_worst_cv_is_named_first_in_the_units_of_its_tag_with_what_is_to_be_expected() {
        let effect = |pv, setpoint, limits, hold, pred| CvEffect { pv: Some(pv), setpoint, limits, hold, pred };
        let advice = Advice {
            id: 1,
            cycle: 1,
            proposer: Proposer::Mpc,
            offered_at: Stamp::ZERO,
            expires_at: Stamp::ZERO,
            from: Values::collect([14.0, -4000.0]),
            u: Values::collect([18.25, -3800.0]),
            concerns: Fixed::collect([true, false]),
            effects: Fixed::collect([
                effect(0.82, Some(0.9), Some((0.0, 2.0)), 0.821, 0.899),
                effect(138.0, None, Some((100.0, 137.0)), 139.0, 136.0),
                effect(120.0, None, Some((100.0, 137.0)), 120.0, 120.0),
            ]),
        };
        let said = reason(&advice, &plant());
        assert_eq!(
            said,
            "TI101 138 degC: 1 above its limit 137, in 360 s 136 if taken, 139 if not; \
             AI101 0.82 mol/L: 0.08 below its set-point 0.9, in 360 s 0.899 if taken, 0.821 if not; \
             FC101 14 to 18.25 1/h"
        );
    }

    #[test]
    fn four_digits_count() {
        let told = [0.0, 0.000_123_45, 0.0787, -4000.0, 123_456.0, 18.254].map(number);
        assert_eq!(told, ["0", "0.000123", "0.0787", "-4000", "123456", "18.25"]);
    }
}

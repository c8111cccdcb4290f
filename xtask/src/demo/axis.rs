//! The range of an axis, the same for the live view and the plot.

/// A range that holds every finite value, and a limit where that does not squeeze the values to less than a third of
/// it, with a margin of 8 %. Never empty.
pub(crate) fn range(values: impl Iterator<Item = f64>, limits: &[f64]) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let (mut lo, mut hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo > hi {
        return (0.0, 1.0);
    }
    // A flat line gets a range too: a thousandth of its value, or of one.
    let width = (hi - lo).max(1e-3 * lo.abs().max(1.0));
    let (seen_lo, seen_hi) = (lo, hi);
    for limit in limits.iter().copied().filter(|limit| limit.is_finite()) {
        if limit > seen_lo - width && limit < seen_hi + width {
            lo = lo.min(limit);
            hi = hi.max(limit);
        }
    }
    let margin = 0.08 * (hi - lo).max(width);
    (lo - margin, hi + margin)
}

/// A number with as many decimals as a step of `width` needs.
pub(crate) fn label(value: f64, width: f64) -> String {
    let decimals = if width <= 0.0 { 3.0 } else { (1.0 - width.log10().floor()).clamp(0.0, 6.0) };
    format!("{value:.0$}", decimals as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_limit_is_shown_and_a_far_one_is_not() {
        assert!(range([0.0, 1.0].into_iter(), &[1.9]).1 > 1.9);
        assert!(range([0.0, 1.0].into_iter(), &[2.1]).1 < 1.2);
    }

    #[test]
    fn no_value_and_a_flat_value_still_give_a_range() {
        for values in [vec![], vec![f64::NAN], vec![3.0, 3.0]] {
            let (lo, hi) = range(values.into_iter(), &[]);
            assert!(hi > lo);
        }
    }

    #[test]
    fn labels_have_the_decimals_that_tell_them_apart() {
        assert_eq!(label(0.8512, 0.1), "0.85");
        assert_eq!(label(-2412.3, 900.0), "-2412");
    }
}

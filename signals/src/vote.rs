//! What three transmitters of one variable say together.
//!
//! Three that agree: the median decides, so that no single one can move the value beyond its neighbours (2oo3). One that
//! is lost or deviates from the median by more than the tolerance has no vote; of the two left the worse decides (1oo2).
//! Two that disagree are told as such, for nobody can say which of them is right. The last one stands alone.
//!
//! There is no memory here: equal values give equal votes, and a transmitter that comes back votes again at once.
//!
//! # Source
//! The median of three is the input selector of Foundation Fieldbus (ISEL with SELECT_TYPE = Middle).

/// How many transmitters a voted variable has.
pub const TRANSMITTERS: usize = 3;

/// How many transmitters are left, and whether they can be believed together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Three within the tolerance of their median.
    Three,
    /// Two within the tolerance of one another.
    Two,
    /// Two or three are left, and no two of them agree.
    Disagree,
    /// One.
    One,
    /// None.
    #[default]
    None,
}

/// What a vote came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Voted {
    /// The value to use: the median of three, the mean of two, the one that is left; 0 when there is none. Where they
    /// disagree, the median or mean all the same.
    pub value: f64,
    /// The lowest value that a limit must be held against: the value itself when three agree, else the lowest left.
    pub low: f64,
    /// The highest value that a limit must be held against.
    pub high: f64,
    /// How many are left.
    pub standing: Standing,
    /// Which transmitters had a vote.
    pub votes: [bool; TRANSMITTERS],
}

/// The vote of three transmitters.
///
/// | argument | meaning |
/// |---|---|
/// | `values` | what each says; `None`, NaN or an infinity: it is lost |
/// | `tolerance` | the most by which a transmitter may differ from the median; infinite: none ever deviates |
#[must_use]
pub fn vote(values: [Option<f64>; TRANSMITTERS], tolerance: f64) -> Voted {
    let values = values.map(|value| value.filter(|v| v.is_finite()));
    match values {
        [Some(a), Some(b), Some(c)] => of_three([a, b, c], tolerance),
        [Some(a), Some(b), None] => of_two(a, b, tolerance, [true, true, false]),
        [Some(a), None, Some(c)] => of_two(a, c, tolerance, [true, false, true]),
        [None, Some(b), Some(c)] => of_two(b, c, tolerance, [false, true, true]),
        [Some(a), None, None] => of_one(a, [true, false, false]),
        [None, Some(b), None] => of_one(b, [false, true, false]),
        [None, None, Some(c)] => of_one(c, [false, false, true]),
        [None, None, None] => Voted::default(),
    }
}

fn of_three(values: [f64; TRANSMITTERS], tolerance: f64) -> Voted {
    let [a, b, c] = values;
    let (low, high) = (a.min(b).min(c), a.max(b).max(c));
    let median = a.min(b).max(a.max(b).min(c));
    let [va, vb, vc] = values.map(|v| agree(v, median, tolerance));
    match (va, vb, vc) {
        (true, true, true) => {
            Voted { value: median, low: median, high: median, standing: Standing::Three, votes: [true; TRANSMITTERS] }
        }
        (true, true, false) => of_two(a, b, tolerance, [true, true, false]),
        (true, false, true) => of_two(a, c, tolerance, [true, false, true]),
        (false, true, true) => of_two(b, c, tolerance, [false, true, true]),
        // The median agrees with itself alone.
        _ => Voted { value: median, low, high, standing: Standing::Disagree, votes: [true; TRANSMITTERS] },
    }
}

fn of_two(a: f64, b: f64, tolerance: f64, votes: [bool; TRANSMITTERS]) -> Voted {
    let standing = if agree(a, b, tolerance) { Standing::Two } else { Standing::Disagree };
    Voted { value: (0.5 * a + 0.5 * b).max(a.min(b)).min(a.max(b)), low: a.min(b), high: a.max(b), standing, votes }
}

fn of_one(value: f64, votes: [bool; TRANSMITTERS]) -> Voted {
    Voted { value, low: value, high: value, standing: Standing::One, votes }
}

fn agree(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: [f64; 3], tolerance: f64) -> Voted {
        vote(values.map(Some), tolerance)
    }

    #[test]
    fn three_that_agree_give_the_median() {
        let voted = of([10.0, 11.0, 10.4], 1.0);
        assert_eq!((voted.value, voted.low, voted.high, voted.standing), (10.4, 10.4, 10.4, Standing::Three));
    }

    #[test]
    fn one_that_deviates_loses_its_vote_and_the_worse_of_the_two_left_decides() {
        for (values, votes) in [
            ([90.0, 10.0, 11.0], [false, true, true]),
            ([10.0, 90.0, 11.0], [true, false, true]),
            ([10.0, 11.0, 90.0], [true, true, false]),
        ] {
            let voted = of(values, 2.0);
            assert_eq!((voted.votes, voted.standing), (votes, Standing::Two));
            assert_eq!((voted.value, voted.low, voted.high), (10.5, 10.0, 11.0));
        }
        let tolerant = of([90.0, 10.0, 11.0], f64::INFINITY);
        assert_eq!((tolerant.standing, tolerant.value), (Standing::Three, 11.0), "no tolerance, no deviation");
    }

    #[test]
    fn where_no_two_agree_there_is_no_majority() {
        assert_eq!(of([10.0, 20.0, 30.0], 2.0).standing, Standing::Disagree);
        let two = vote([Some(10.0), None, Some(30.0)], 2.0);
        assert_eq!((two.standing, two.low, two.high, two.votes), (Standing::Disagree, 10.0, 30.0, [true, false, true]));
    }

    #[test]
    fn the_last_one_stands_alone_and_what_is_no_number_is_lost() {
        assert_eq!(vote([None, Some(7.0), Some(f64::NAN)], 1.0), of_one(7.0, [false, true, false]));
        assert_eq!(vote([Some(f64::INFINITY), None, None], 1.0).standing, Standing::None);
    }

    proptest! {
        #[test]
        fn any_floats_vote_for_a_finite_value_between_the_least_and_the_greatest(
            a in any::<Option<f64>>(), b in any::<Option<f64>>(), c in any::<Option<f64>>(), tolerance in 0.0..1e9,
        ) {
            let voted = vote([a, b, c], tolerance);
            let left = || [a, b, c].into_iter().flatten().filter(|v| v.is_finite());
            prop_assert_eq!(voted.standing == Standing::None, left().count() == 0);
            if voted.standing != Standing::None {
                let (least, most) = (left().fold(f64::MAX, f64::min), left().fold(f64::MIN, f64::max));
                prop_assert!(least <= voted.low && voted.low <= voted.value && voted.value <= voted.high);
                prop_assert!(voted.high <= most && voted.value.is_finite());
            }
        }
    }
}

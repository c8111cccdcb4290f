//! The decision alone: text tables, in which each thing that is missing refuses by itself, and a property.

use proptest::prelude::*;

use super::fit;
use crate::commission::evidence::Shown;
use crate::commission::ladder::{Case, Missing, Requirements, judge};
use crate::config::{Accuracy, Mode};

fn required() -> Requirements {
    let accuracy = Accuracy { rmse_max: 0.1, bias_max: 0.05, r2_min: 0.5 };
    Requirements {
        shadow_hours: 72.0,
        advisory_hours: 168.0,
        cvs: vec![("AI101".into(), accuracy), ("TI101".into(), accuracy)],
        mvs: vec!["FC101".into(), "QC101".into()],
    }
}

/// RMSE 0.05, no bias, R2 0.9975.
fn good(hours: f64) -> Shown {
    Shown { seconds: 3600.0 * hours, seconds_beyond: 0.0, fits: vec![fit(1.0, 0.05, 0.0); 2] }
}

fn full() -> Case {
    Case {
        certificate: Ok(()),
        shadow: good(72.0),
        advisory: good(168.0),
        advisory_approvals: 2,
        mv_approvals: vec![2, 2],
    }
}

fn nothing() -> Case {
    Case {
        certificate: Err("none".into()),
        shadow: Shown::default(),
        advisory: Shown::default(),
        advisory_approvals: 0,
        mv_approvals: vec![0, 0],
    }
}

/// Changes a case by a word such as `shadow.rmse`, `advisory.h=3`, `mv1=1`.
fn change(case: &mut Case, word: &str) {
    let (what, value) = word.split_once('=').unwrap_or((word, ""));
    let count = || value.parse::<usize>().unwrap();
    match what {
        "certificate" => case.certificate = Err("none".into()),
        "approvals" => case.advisory_approvals = count(),
        "mv1" => case.mv_approvals[0] = count(),
        "mv2" => case.mv_approvals[1] = count(),
        _ => {
            let (mode, what) = what.split_once('.').unwrap();
            let shown = if mode == "shadow" { &mut case.shadow } else { &mut case.advisory };
            match what {
                "h" => shown.seconds = 3600.0 * value.parse::<f64>().unwrap(),
                "rmse" => shown.fits[1] = fit(1.0, 0.2, 0.0),
                "bias" => shown.fits[1] = fit(1.0, 0.0, -0.08),
                "r2" => shown.fits[1] = fit(0.06, 0.05, 0.0),
                "still" => shown.fits[1] = fit(0.0, 0.05, 0.0),
                "unmeasured" => shown.fits.truncate(1),
                other => panic!("{other}"),
            }
        }
    }
}

/// What is changed | the step | the MVs that may be manipulated | all that is missing.
const TABLE: &str = "
                    | closed-loop | FC101 QC101 |
certificate         | shadow      |             | advisory: a HIL certificate: none
shadow.h=71.9       | shadow      |             | advisory: 72 h in shadow within the accuracy limits; there are 71.90 h
shadow.rmse         | shadow      |             | advisory: RMSE of TI101 in shadow at most 0.1000; it is 0.2000 (model's unit)
shadow.bias         | shadow      |             | advisory: bias of TI101 in shadow at most 0.0500; it is 0.0800 (model's unit)
shadow.r2           | shadow      |             | advisory: R2 of TI101 in shadow at least 0.5000; it is 0.3056 (model's unit)
shadow.still        | shadow      |             | advisory: R2 of TI101 in shadow at least 0.5000; it is 0.0000 (model's unit)
shadow.unmeasured   | shadow      |             | advisory: errors of TI101 in shadow; there are none
approvals=1         | shadow      |             | advisory: approvals by 2 different persons; there are 1
advisory.h=167      | advisory    |             | closed-loop: 168 h in advisory within the accuracy limits; there are 167.00 h
advisory.rmse       | advisory    |             | closed-loop: RMSE of TI101 in advisory at most 0.1000; it is 0.2000 (model's unit)
advisory.bias       | advisory    |             | closed-loop: bias of TI101 in advisory at most 0.0500; it is 0.0800 (model's unit)
advisory.r2         | advisory    |             | closed-loop: R2 of TI101 in advisory at least 0.5000; it is 0.3056 (model's unit)
advisory.unmeasured | advisory    |             | closed-loop: errors of TI101 in advisory; there are none
mv1=1               | closed-loop | QC101       | closed-loop of FC101: approvals by 2 different persons; there are 1
mv2=0               | closed-loop | FC101       | closed-loop of QC101: approvals by 2 different persons; there are 0
mv1=0 mv2=1         | advisory    |             | closed-loop of FC101: approvals by 2 different persons; there are 0 ; closed-loop of QC101: approvals by 2 different persons; there are 1
certificate mv1=0   | shadow      |             | advisory: a HIL certificate: none ; closed-loop of FC101: approvals by 2 different persons; there are 0
";

#[test]
fn each_thing_that_is_missing_refuses_its_step_by_itself_and_is_told() {
    for row in TABLE.lines().filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let mut case = full();
        cells[0].split_whitespace().for_each(|word| change(&mut case, word));
        let standing = judge(&required(), &case);
        assert_eq!(standing.step.to_string(), cells[1], "{row}");
        let may = required().mvs.into_iter().zip(&standing.mvs).filter(|(_, may)| **may).map(|(mv, _)| mv);
        assert_eq!(may.collect::<Vec<_>>().join(" "), cells[2], "{row}");
        let said = standing.missing.iter().map(Missing::to_string).collect::<Vec<_>>().join(" ; ");
        assert_eq!(said, cells[3], "{row}");
    }
}

#[test]
fn without_anything_everything_is_told_at_once() {
    let standing = judge(&required(), &nothing());
    assert_eq!((standing.step, standing.mvs), (Mode::Shadow, vec![false, false]));
    // Per mode: hours and two CVs; a certificate; three pairs of approvals.
    assert_eq!(standing.missing.len(), 2 * 3 + 1 + 3, "{:#?}", standing.missing);
}

fn any_case() -> impl Strategy<Value = Case> {
    let shown = || {
        (0.0..300.0, 0.0..0.2_f64, -0.1..0.1_f64)
            .prop_map(|(hours, e, bias)| Shown { fits: vec![fit(0.2, e, bias); 2], ..good(hours) })
    };
    (any::<bool>(), shown(), shown(), 0..4_usize, [0..4_usize, 0..4_usize]).prop_map(
        |(cert, shadow, advisory, ok, mvs)| Case {
            certificate: if cert { Ok(()) } else { Err("none".into()) },
            shadow,
            advisory,
            advisory_approvals: ok,
            mv_approvals: mvs.to_vec(),
        },
    )
}

/// The case with one piece of evidence more, or better.
fn more(case: &Case, which: usize) -> Case {
    let mut more = case.clone();
    match which {
        0 => more.certificate = Ok(()),
        1 => more.shadow.seconds += 360_000.0,
        2 => more.advisory.seconds += 360_000.0,
        3 => more.shadow.fits = good(0.0).fits,
        4 => more.advisory.fits = good(0.0).fits,
        5 => more.advisory_approvals += 1,
        n => more.mv_approvals[n - 6] += 1,
    }
    more
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// More evidence never permits less, and lacks nothing that was not lacking.
    #[test]
    fn the_permitted_step_is_monotone_in_the_evidence(case in any_case(), which in 0..8_usize) {
        let (before, after) = (judge(&required(), &case), judge(&required(), &more(&case, which)));
        prop_assert!(after.step >= before.step);
        prop_assert!(after.mvs.iter().zip(&before.mvs).all(|(after, before)| after >= before));
        prop_assert!(after.missing.len() <= before.missing.len());
        // A step is permitted just where nothing is missing for it and below it.
        let lacks = |step: Mode| before.missing.iter().any(|m| m.mv.is_none() && m.step <= step);
        prop_assert_eq!(before.step >= Mode::Advisory, !lacks(Mode::Advisory));
        prop_assert!(before.step < Mode::ClosedLoop || !lacks(Mode::ClosedLoop));
    }
}

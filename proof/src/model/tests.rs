//! The checker checked: small searches are clean, and a bug of each kind is found.

use safety::Reach;

use super::{Bounds, Bug, Grain, Setup, check_clean, find};

const SMALL: Bounds = Bounds { scans: 7, oddities: 1, threads: 1 };

#[test]
fn a_model_without_a_bug_is_clean_in_every_grain_and_reach() {
    for (grain, reach) in
        [(Grain::Period, Reach::ClosedLoop), (Grain::Half, Reach::ClosedLoop), (Grain::Period, Reach::Advisory)]
    {
        let clean = check_clean(grain, reach, SMALL).unwrap();
        assert!(clean.counterexamples.is_empty(), "{clean:#?}");
        assert!(clean.states > 500, "{clean:?}");
    }
}

#[test]
fn a_bug_of_each_kind_is_found_and_its_way_is_told() {
    for bug in [Bug::PermitIgnored, Bug::ApprovalSpentTwice, Bug::LateForEver, Bug::AdvisoryWrites] {
        let seeded = find(bug, Bounds { oddities: 2, ..SMALL }).unwrap();
        let found = seeded.counterexample.unwrap_or_else(|| panic!("{bug:?} is not found"));
        assert!(found.path[0].starts_with("start: "), "{found:?}");
    }
}

#[test]
fn every_setup_can_be_made() {
    for bug in Bug::ALL {
        Setup::new(Grain::Period, bug.reach(), Some(*bug)).unwrap();
    }
}

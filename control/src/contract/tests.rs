//! The contract against plants that keep it and plants that do not.

use plant_models::{Cstr2, by_name};

use super::*;

const PERIOD_S: f64 = 6.0;
/// A plant whose jacket takes 10 % less heat away than the model believes.
static DULL: Cstr2 = Cstr2 { heat_transfer: 0.9 * Cstr2::NOMINAL.heat_transfer, ..Cstr2::NOMINAL };
/// One whose jacket is off by a thousandth.
static NEARLY: Cstr2 = Cstr2 { heat_transfer: 0.999 * Cstr2::NOMINAL.heat_transfer, ..Cstr2::NOMINAL };

fn config() -> ContractConfig {
    ContractConfig {
        period_s: PERIOD_S,
        method: Method::Rk4,
        substeps: 4,
        outputs: vec![1],
        state_residual_max: vec![0.002, 0.2],
        cv_residual_max: vec![0.2],
        void_after: 3,
        holds_after: 5,
    }
}

fn contract(config: ContractConfig) -> Contract {
    Contract::new(by_name("cstr2").unwrap(), config).unwrap()
}

/// The statuses of so many periods, the plant's state read without error and `spoil` able to change what is told.
fn watch(plant: &'static dyn PlantModel, cycles: u64, spoil: impl Fn(u64, &mut [f64; 2])) -> Vec<ContractStatus> {
    let (mut contract, rk4) = (contract(config()), Integrator::rk4(plant));
    let (mut x, p) = ([0.877, 324.5], [1.0, 350.0]);
    let step = |cycle: u64| {
        let u = [300.0 + 2.0 * (0.3 * cycle as f64).sin()];
        rk4.step(&mut x, &Held { u: &u, p: &p, dt_s: PERIOD_S, substeps: 20 });
        let mut told = x;
        spoil(cycle, &mut told);
        contract.step(&ContractInput { cycle, x: &told, d: &[0.0], p: &p, u: &u })
    };
    (1..=cycles).map(step).collect()
}

fn breach_of(status: &ContractStatus) -> Option<Clause> {
    match status {
        ContractStatus::Holding => None,
        ContractStatus::Suspect { breach, .. } | ContractStatus::Void { breach } => Some(breach.clause),
    }
}

#[test]
fn a_model_error_beyond_the_box_voids_the_contract_after_its_periods() {
    let statuses = watch(&DULL, 5, |_, _| {});
    // The first period has no period before it.
    assert_eq!(statuses[0], ContractStatus::Holding);
    assert!(matches!(statuses[1], ContractStatus::Suspect { periods: 1, .. }), "{:?}", statuses[1]);
    assert!(matches!(statuses[2], ContractStatus::Suspect { periods: 2, .. }), "{:?}", statuses[2]);
    for void in &statuses[3..] {
        let ContractStatus::Void { breach } = void else { panic!("{void:?}") };
        assert_eq!(breach.clause, Clause::StateResidual(1));
        assert!(breach.by > 0.0 && breach.by < 5.0, "{breach:?}");
        assert!(!void.admits_untrusted());
    }
}

/// The negative control: the same watch on plants that differ from the model by less than the box.
#[test]
fn a_model_error_within_the_box_keeps_the_contract() {
    for plant in [by_name("cstr2").unwrap(), &NEARLY as &'static dyn PlantModel] {
        let statuses = watch(plant, 200, |_, _| {});
        assert!(statuses.iter().all(|status| *status == ContractStatus::Holding), "{plant:?}");
    }
}

#[test]
fn one_outlier_makes_it_suspect_and_not_void() {
    let statuses = watch(by_name("cstr2").unwrap(), 12, |cycle, x| x[1] += if cycle == 5 { 3.0 } else { 0.0 });
    // The outlier is seen twice: as the end of one period and as the start of the next.
    let suspect = statuses.iter().filter(|s| matches!(s, ContractStatus::Suspect { .. })).count();
    assert_eq!((suspect, statuses.iter().filter(|s| !s.admits_untrusted()).count()), (2, 0));
    assert_eq!(statuses.last(), Some(&ContractStatus::Holding));
}

#[test]
fn a_void_contract_holds_again_only_after_so_many_good_periods_in_a_row() {
    let off = |cycle: u64, x: &mut [f64; 2]| x[1] += if (3..=8).contains(&cycle) { cycle as f64 } else { 0.0 };
    let statuses = watch(by_name("cstr2").unwrap(), 20, off);
    let void: Vec<u64> = (1..).zip(&statuses).filter(|(_, s)| !s.admits_untrusted()).map(|(cycle, _)| cycle).collect();
    // Cycles 3 to 9 breach, the last as the way back; 10 to 13 are the first four good ones.
    assert_eq!(void, (5..=13).collect::<Vec<_>>());
}

#[test]
fn what_leaves_the_card_is_named_with_its_distance() {
    let table: [([f64; 2], [f64; 2], [f64; 1], Clause, f64); 4] = [
        ([0.877, 470.0], [1.0, 350.0], [300.0], Clause::StateEnvelope(1), 10.0),
        ([0.877, 324.5], [1.0, 320.0], [300.0], Clause::DisturbanceEnvelope(1), 10.0),
        ([0.877, 324.5], [1.0, 350.0], [335.0], Clause::InputEnvelope(0), 5.0),
        ([f64::NAN, 324.5], [1.0, 350.0], [300.0], Clause::StateEnvelope(0), f64::INFINITY),
    ];
    for (x, p, u, clause, by) in table {
        let status = contract(config()).step(&ContractInput { cycle: 1, x: &x, d: &[0.0], p: &p, u: &u });
        let ContractStatus::Suspect { breach, periods: 1 } = status else { panic!("{clause:?}: {status:?}") };
        assert_eq!(breach.clause, clause);
        assert!(breach.by.to_bits() == by.to_bits(), "{breach:?}");
    }
    let at_the_edge = ContractInput { cycle: 1, x: &[1.2, 460.0], d: &[0.0], p: &[0.8, 370.0], u: &[330.0] };
    assert_eq!(contract(config()).step(&at_the_edge), ContractStatus::Holding);
}

#[test]
fn a_jump_of_the_output_disturbance_is_a_residual_of_its_cv() {
    let mut contract = contract(ContractConfig { state_residual_max: vec![f64::INFINITY; 2], ..config() });
    let (mut x, p, u) = ([0.877, 324.5], [1.0, 350.0], [300.0]);
    let rk4 = Integrator::rk4(by_name("cstr2").unwrap());
    let mut step = |cycle, d: f64| {
        rk4.step(&mut x, &Held { u: &u, p: &p, dt_s: PERIOD_S, substeps: 4 });
        contract.step(&ContractInput { cycle, x: &x, d: &[d], p: &p, u: &u })
    };
    assert_eq!((step(1, 1.0), step(2, 1.1)), (ContractStatus::Holding, ContractStatus::Holding));
    assert_eq!(breach_of(&step(3, 1.5)), Some(Clause::CvResidual(0)));
}

#[test]
fn a_gap_between_cycles_says_nothing_of_the_residual() {
    let mut contract = contract(config());
    let (x, p, u) = ([0.877, 324.5], [1.0, 350.0], [300.0]);
    let elsewhere = [0.7, 340.0];
    let mut step = |cycle, x: &[f64]| contract.step(&ContractInput { cycle, x, d: &[0.0], p: &p, u: &u });
    assert_eq!(step(1, &x), ContractStatus::Holding);
    assert_eq!(step(3, &elsewhere), ContractStatus::Holding, "two periods later it may be anywhere");
    assert_eq!(step(4, &[1.0]), ContractStatus::Holding, "a state of another length");
    assert_eq!(step(5, &x), ContractStatus::Holding);
    assert!(breach_of(&step(6, &elsewhere)).is_some(), "the negative control: one period later it may not");
}

#[test]
fn what_fits_not_the_model_makes_no_contract() {
    type Spoil = fn(&mut ContractConfig);
    let table: [(&str, Spoil); 8] = [
        ("state_residual_max", |c| c.state_residual_max = vec![1.0]),
        ("state_residual_max", |c| c.state_residual_max[0] = f64::NAN),
        ("cv_residual_max", |c| c.cv_residual_max.push(1.0)),
        ("cv_residual_max", |c| c.cv_residual_max[0] = 0.0),
        ("outputs", |c| c.outputs = vec![2]),
        ("period_s", |c| c.period_s = -1.0),
        ("void_after", |c| c.void_after = 0),
        ("holds_after", |c| c.holds_after = 0),
    ];
    for (key, spoil) in table {
        let mut config = config();
        spoil(&mut config);
        let error = Contract::new(by_name("cstr2").unwrap(), config).unwrap_err();
        assert!(error.to_string().starts_with(key), "{key}: {error}");
    }
}

#[test]
fn a_step_does_not_allocate() {
    let mut contract = contract(config());
    let counted = allocation_counter::measure(|| {
        for cycle in 0..20 {
            let x = [0.877, 324.5 + cycle as f64];
            contract.step(&ContractInput { cycle, x: &x, d: &[0.0], p: &[1.0, 350.0], u: &[300.0] });
        }
    });
    assert_eq!((counted.count_total, contract.status().admits_untrusted()), (0, false));
}

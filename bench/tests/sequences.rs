//! The sequences that are made here are those of the peers' generator: the objective of a programme late in a closed loop
//! is the same only if everything before it was.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test: what fails here fails it"
)]

use std::collections::BTreeMap;

use bench::problems::{self, MASSES};
use bench::qp::OBJECTIVE_TOLERANCE;
use serde::Deserialize;

/// Objectives that PIQP reached at 1e-9 in the peers' closed loop, by name and step.
const OBJECTIVES: &str = include_str!("data/objectives.json");

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    objective: BTreeMap<usize, f64>,
}

fn golden(name: &str) -> Golden {
    serde_json::from_str::<BTreeMap<String, Golden>>(OBJECTIVES).unwrap().remove(name).unwrap()
}

fn agree(name: &str, objectives: &[f64], tolerance: f64) {
    let golden = golden(name);
    assert_eq!(objectives.len(), golden.steps, "{name}");
    for (step, expected) in golden.objective {
        let error = (objectives[step] - expected).abs() / (1.0 + expected.abs());
        println!("{name}, step {step}: {:.9}, {error:.1e} from {expected:.9}", objectives[step]);
        assert!(error < tolerance, "{name}, step {step}: {} is not {expected}", objectives[step]);
    }
}

#[test]
fn the_quadruple_tanks_sequence_is_that_of_the_peers() {
    agree("quad_4_2_40", &problems::quadruple_tank(problems::spec().unwrap()).unwrap().objectives, OBJECTIVE_TOLERANCE);
}

#[test]
fn the_chains_sequences_are_those_of_the_peers() {
    for size in MASSES {
        let sequence = problems::masses(&problems::spec().unwrap().masses, size).unwrap();
        agree(&sequence.name, &sequence.objectives, OBJECTIVE_TOLERANCE);
    }
}

#[test]
fn the_real_time_iteration_on_the_igniting_reactor_meets_the_peers_programmes() {
    let spec = problems::spec().unwrap();
    let model = plant_models::by_name("cstr2").unwrap();
    let sequence = problems::real_time_iteration(&spec.cstr2, model, 20).unwrap();
    agree(&sequence.name, &sequence.objectives, OBJECTIVE_TOLERANCE);
}

/// The least curvature is 0.2, so a gap of 1e-9 in the peers' objective leaves their moves free by 1e-4, and where they
/// move the plant to enters the next programmes.
#[test]
fn the_step_response_sequences_are_those_of_the_peers() {
    for (name, problem) in &problems::spec().unwrap().dmc {
        agree(name, &problems::dynamic_matrix_control(name, problem).unwrap().objectives, 1e-4);
    }
}

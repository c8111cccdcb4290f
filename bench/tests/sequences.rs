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
    /// First moves of their solutions, of step-response problems.
    #[serde(default)]
    moves: Vec<Vec<f64>>,
}

fn golden(name: &str) -> Golden {
    serde_json::from_str::<BTreeMap<String, Golden>>(OBJECTIVES).unwrap().remove(name).unwrap()
}

fn agree(name: &str, objectives: &[f64]) {
    let golden = golden(name);
    assert_eq!(objectives.len(), golden.steps, "{name}");
    for (step, expected) in golden.objective {
        let error = (objectives[step] - expected).abs() / (1.0 + expected.abs());
        println!("{name}, step {step}: {:.9}, {error:.1e} from {expected:.9}", objectives[step]);
        assert!(error < OBJECTIVE_TOLERANCE, "{name}, step {step}: {} is not {expected}", objectives[step]);
    }
}

#[test]
fn the_quadruple_tanks_sequence_is_that_of_the_peers() {
    agree("quad_4_2_40", &problems::quadruple_tank(problems::spec().unwrap()).unwrap().objectives);
}

#[test]
fn the_chains_sequences_are_those_of_the_peers() {
    for size in MASSES {
        let sequence = problems::masses(&problems::spec().unwrap().masses, size).unwrap();
        agree(&sequence.name, &sequence.objectives);
    }
}

#[test]
fn the_real_time_iteration_on_the_igniting_reactor_meets_the_peers_programmes() {
    let spec = problems::spec().unwrap();
    let model = plant_models::by_name("cstr2").unwrap();
    let sequence = problems::real_time_iteration(&spec.cstr2, model, 20).unwrap();
    agree(&sequence.name, &sequence.objectives);
}

/// A gap of 1e-9 in the peers' objective leaves their moves free by 1e-4, the least curvature being 0.2, and where they
/// move the plant to enters the next programmes. So the plant is moved as theirs was.
#[test]
fn the_step_response_sequences_along_the_peers_moves_are_those_of_the_peers() {
    for (name, problem) in &problems::spec().unwrap().dmc {
        let sequence = problems::dynamic_matrix_control_along(name, problem, &golden(name).moves).unwrap();
        agree(name, &sequence.objectives);
    }
}

/// Closed by our own solver, the loop ends where theirs does.
#[test]
fn the_step_response_loops_stay_near_those_of_the_peers() {
    for (name, problem) in &problems::spec().unwrap().dmc {
        let sequence = problems::dynamic_matrix_control(name, problem).unwrap();
        for (step, expected) in golden(name).objective {
            let error = (sequence.objectives[step] - expected).abs() / (1.0 + expected.abs());
            assert!(error < 1e-3, "{name}, step {step}: {} is not near {expected}", sequence.objectives[step]);
        }
    }
}

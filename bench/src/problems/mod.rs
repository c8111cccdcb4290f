//! The benchmark problems as data: what `problems/bench_spec.json` says, and the sequences of quadratic programmes that
//! closed loops on it give.

mod dmc;
mod linear;
mod matrix;
mod rti;
mod spec;

pub use dmc::{DmcError, along as dynamic_matrix_control_along, dynamic_matrix_control};
pub use linear::{MASSES, masses, quadruple_tank};
pub use matrix::{c2d, oscillating_masses};
pub use rti::real_time_iteration;
pub(crate) use rti::seconds_in;
pub use spec::{
    Dmc, EstimationSpec, Masses, QuadTankSpec, Reactor, Row as ScenarioRow, SoftUpper, Spec, SpecError, spec,
};

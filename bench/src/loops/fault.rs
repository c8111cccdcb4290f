//! What goes wrong in one loop, without a change to the loop: an observer that panics or does not return is a stage that
//! does, and a model that does not return to the solver's thread is a solver that does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::kernel::Observer;
use nalgebra::DMatrix;
use plant_models::{Held, Method, ModelCard, PlantModel, Sensitivities};

/// What is measured of a loop, and what its stages are made to do.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The next step of the estimator panics.
    pub(super) crash: AtomicBool,
    /// The estimator's step does not return while this is set.
    pub(super) hang: AtomicBool,
    /// From the opening of a cycle to the hand-over of its move, ns.
    cycles_ns: Mutex<Vec<u64>>,
}

impl Meter {
    /// With room for so many cycles, so that measuring does not allocate; what comes beyond is not measured.
    pub(super) fn for_cycles(n: usize) -> Arc<Self> {
        Arc::new(Self { cycles_ns: Mutex::new(Vec::with_capacity(n)), ..Self::default() })
    }

    /// Takes the times measured so far.
    pub(super) fn take(&self) -> Vec<u64> {
        let mut cycles = self.cycles_ns.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = cycles.clone();
        cycles.clear();
        taken
    }
}

/// A loop's observer.
#[derive(Debug)]
pub(super) struct Observed(pub(super) Arc<Meter>);

impl Observer for Observed {
    #[allow(clippy::panic, reason = "the crash is what is measured")]
    fn stage(&self, name: &'static str, latency_ns: u64) {
        match name {
            "cycle" => {
                let mut cycles = self.0.cycles_ns.lock().unwrap_or_else(PoisonError::into_inner);
                if cycles.len() < cycles.capacity() {
                    cycles.push(latency_ns);
                }
            }
            "estimator" => {
                stand_still_while(&self.0.hang);
                if self.0.crash.swap(false, Ordering::Relaxed) {
                    panic!("injected crash of the estimator");
                }
            }
            _ => {}
        }
    }
}

fn stand_still_while(hang: &AtomicBool) {
    while hang.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A model that does not return on the solver's thread while it is told so.
#[derive(Debug)]
pub(super) struct Sticky {
    model: &'static dyn PlantModel,
    sticks: AtomicBool,
}

impl Sticky {
    pub(super) fn new(model: &'static dyn PlantModel) -> Self {
        Self { model, sticks: AtomicBool::new(false) }
    }

    pub(super) fn stick(&self, sticks: bool) {
        self.sticks.store(sticks, Ordering::Relaxed);
    }
}

impl PlantModel for Sticky {
    fn card(&self) -> &'static ModelCard {
        self.model.card()
    }

    fn rhs(&self, x: &[f64], u: &[f64], p: &[f64], dx: &mut [f64]) {
        self.model.rhs(x, u, p, dx);
    }

    fn rhs_jacobians(&self, x: &[f64], u: &[f64], p: &[f64], a: &mut DMatrix<f64>, b: &mut DMatrix<f64>) {
        self.model.rhs_jacobians(x, u, p, a, b);
    }

    fn integrate(&self, method: Method, x: &mut [f64], held: &Held<'_>, sensitivities: Option<Sensitivities<'_>>) {
        if std::thread::current().name() == Some("outrigger-mpc") {
            stand_still_while(&self.sticks);
        }
        self.model.integrate(method, x, held, sensitivities);
    }

    fn outputs(&self, x: &[f64], p: &[f64], y: &mut [f64]) {
        self.model.outputs(x, p, y);
    }

    fn output_jacobian(&self, x: &[f64], p: &[f64], c: &mut DMatrix<f64>) {
        self.model.output_jacobian(x, p, c);
    }
}

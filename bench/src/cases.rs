//! The table of benchmarks: their names, and how each is run.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Context, Result};

use crate::estimation::{self, Estimator};
use crate::meter::{self, Effort, Measured, Scenario};
use crate::nmpc::{self, NmpcScenario};
use crate::problems::{self, Reactor, Spec};
use crate::qp::{DenseScenario, DenseSequence, Method, OcpScenario, OcpSequence, Quality};
use crate::qp_file::{self, Sequence};
use crate::report::{Report, Row, Trace};
use crate::safety_filter::FilterScenario;

/// How a run is made.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Repetitions and the time for them, of each row.
    pub effort: Effort,
    /// Whether the report has what pictures need.
    pub traces: bool,
}

/// One row to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Name of the row.
    pub name: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nmpc { reactor: &'static str, horizon: usize, effort: nmpc::Effort },
    Ocp { problem: Ocp, method: Method },
    Dmc { problem: &'static str },
    Estimation(Estimator),
    SafetyFilter,
}

/// A generated sequence of optimal-control programmes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ocp {
    QuadTank,
    Masses([usize; 3]),
    Rti { reactor: &'static str, horizon: usize },
}

const REACTORS: [&str; 2] = ["cstr2", "cstr4"];
const HORIZONS: [usize; 2] = [20, 60];
const DMC: [&str; 3] = ["wb_2x2", "hof_7x3", "hof_7x5"];

impl Ocp {
    fn name(self) -> String {
        match self {
            Self::QuadTank => "quad_4_2_40".to_owned(),
            Self::Masses([nx, nu, n]) => format!("mass_{nx}_{nu}_{n}"),
            Self::Rti { reactor, horizon } => format!("rti_{reactor}_N{horizon}"),
        }
    }

    fn all() -> Vec<Self> {
        let rti = |reactor| HORIZONS.map(|horizon| Self::Rti { reactor, horizon });
        let linear = [Self::QuadTank].into_iter().chain(problems::MASSES.map(Self::Masses));
        linear.chain(REACTORS.into_iter().flat_map(rti)).collect()
    }

    fn sequence(self, spec: &Spec) -> Result<OcpSequence> {
        Ok(match self {
            Self::QuadTank => problems::quadruple_tank(spec)?,
            Self::Masses(size) => problems::masses(&spec.masses, size)?,
            Self::Rti { reactor, horizon } => {
                problems::real_time_iteration(reactor_of(spec, reactor), plant_models::by_name(reactor)?, horizon)?
            }
        })
    }
}

fn reactor_of<'a>(spec: &'a Spec, name: &str) -> &'a Reactor {
    if name == "cstr2" { &spec.cstr2 } else { &spec.cstr4 }
}

/// Every benchmark, in the order of the table.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for reactor in REACTORS {
        for (horizon, effort) in HORIZONS.into_iter().flat_map(|n| nmpc::Effort::ALL.map(|effort| (n, effort))) {
            let name = format!("nmpc/{reactor}_N{horizon}/{}", effort.name());
            cases.push(Case { name, kind: Kind::Nmpc { reactor, horizon, effort } });
        }
    }
    for problem in Ocp::all() {
        cases.extend(Method::ALL.map(|method| {
            let name = format!("qp/{}/{}", problem.name(), method.name());
            Case { name, kind: Kind::Ocp { problem, method } }
        }));
    }
    cases.extend(DMC.map(|problem| Case { name: format!("qp/{problem}/active_set"), kind: Kind::Dmc { problem } }));
    cases.push(Case { name: "safety_filter/cstr2".to_owned(), kind: Kind::SafetyFilter });
    cases.extend(Estimator::ALL.map(|it| Case { name: format!("est/{}", it.name()), kind: Kind::Estimation(it) }));
    cases
}

/// Runs cases, and keeps the sequences that several of them share.
#[derive(Debug)]
pub struct Bench {
    spec: &'static Spec,
    options: Options,
    sequences: BTreeMap<String, Rc<OcpSequence>>,
}

impl Bench {
    /// For one report.
    ///
    /// # Errors
    /// When the specification that was compiled in cannot be read.
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self { spec: problems::spec()?, options, sequences: BTreeMap::new() })
    }

    /// Runs one case.
    ///
    /// # Errors
    /// When a problem cannot be made or a solver refuses it. Steps that fail are counted in the row.
    pub fn run(&mut self, case: &Case) -> Result<(Row, Option<Trace>)> {
        match case.kind {
            Kind::Nmpc { reactor, horizon, effort } => self.nmpc(&case.name, (reactor, horizon, effort)),
            Kind::Ocp { problem, method } => {
                let sequence = self.sequence(problem)?;
                let mut scenario = OcpScenario::new(&sequence, method);
                let measured = meter::measure(&mut scenario, self.options.effort);
                let row = qp_row((&case.name, method.solver()), &measured, &scenario.quality);
                Ok((row, self.trace(&case.name, &measured)))
            }
            Kind::Dmc { problem } => {
                let spec = self.spec.dmc.get(problem).with_context(|| format!("dmc.{problem} is not specified"))?;
                let sequence = problems::dynamic_matrix_control(problem, spec)?;
                let (row, measured) = dense_row(&case.name, &sequence, self.options.effort)?;
                Ok((row, self.trace(&case.name, &measured)))
            }
            Kind::SafetyFilter => {
                let mut scenario = FilterScenario::new()?;
                let measured = meter::measure(&mut scenario, self.options.effort);
                let mut row = Row::new(&case.name, "outrigger", &measured);
                row.iterations = Quality { iterations: scenario.iterations, ..Quality::default() }.iterations();
                Ok((row, self.trace(&case.name, &measured)))
            }
            Kind::Estimation(estimator) => {
                let mut scenario = estimation::scenario(estimator, self.spec)?;
                let measured = meter::measure(scenario.as_mut(), self.options.effort);
                let mut row = Row::new(&case.name, "outrigger", &measured);
                row.cost = scenario.error();
                let mut trace = self.trace(&case.name, &measured);
                if let Some(trace) = &mut trace {
                    trace.panels = scenario.panels();
                    (trace.time_unit, trace.period) = ("min".to_owned(), self.spec.est_cstr.period_min);
                    trace.title = estimator.title().to_owned();
                }
                Ok((row, trace))
            }
        }
    }

    /// Lends the scenario of a case, for a harness of its own.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn with_scenario(&mut self, case: &Case, lend: &mut dyn FnMut(&mut dyn Scenario)) -> Result<()> {
        match case.kind {
            Kind::Nmpc { reactor, horizon, effort } => {
                let (spec, model) = (reactor_of(self.spec, reactor), plant_models::by_name(reactor)?);
                lend(&mut NmpcScenario::new(spec, model, (horizon, effort))?);
            }
            Kind::Ocp { problem, method } => lend(&mut OcpScenario::new(self.sequence(problem)?.as_ref(), method)),
            Kind::Dmc { problem } => {
                let spec = self.spec.dmc.get(problem).with_context(|| format!("dmc.{problem} is not specified"))?;
                lend(&mut DenseScenario::new(&problems::dynamic_matrix_control(problem, spec)?)?);
            }
            Kind::SafetyFilter => lend(&mut FilterScenario::new()?),
            Kind::Estimation(estimator) => lend(estimation::scenario(estimator, self.spec)?.as_mut()),
        }
        Ok(())
    }

    fn nmpc(
        &mut self,
        name: &str,
        (reactor, horizon, effort): (&str, usize, nmpc::Effort),
    ) -> Result<(Row, Option<Trace>)> {
        let (spec, model) = (reactor_of(self.spec, reactor), plant_models::by_name(reactor)?);
        let mut scenario = NmpcScenario::new(spec, model, (horizon, effort))?;
        let measured = meter::measure(&mut scenario, self.options.effort);
        let mut row = Row::new(name, "outrigger", &measured);
        row.cost = Some(scenario.cost);
        row.iterations = Quality { iterations: scenario.iterations.clone(), ..Quality::default() }.iterations();
        let mut trace = self.trace(name, &measured);
        if let Some(trace) = &mut trace {
            trace.title = format!("{}, horizon {horizon}, {}", model.card().title, effort.title());
            (trace.time_unit, trace.period) = (spec.time_unit.clone(), spec.period);
            trace.panels = scenario.panels();
        }
        Ok((row, trace))
    }

    fn sequence(&mut self, problem: Ocp) -> Result<Rc<OcpSequence>> {
        let name = problem.name();
        if let Some(sequence) = self.sequences.get(&name) {
            return Ok(Rc::clone(sequence));
        }
        let sequence = Rc::new(problem.sequence(self.spec)?);
        self.sequences.insert(name, Rc::clone(&sequence));
        Ok(sequence)
    }

    fn trace(&self, name: &str, measured: &Measured) -> Option<Trace> {
        self.options.traces.then(|| Trace {
            name: name.to_owned(),
            us: measured.us.clone(),
            feedback_us: measured.feedback_us.clone().unwrap_or_default(),
            ..Trace::default()
        })
    }
}

fn qp_row((name, solver): (&str, &str), measured: &Measured, quality: &Quality) -> Row {
    let mut row = Row::new(name, solver, measured);
    (row.error, row.iterations) = (Some(quality.error), quality.iterations());
    row
}

fn dense_row(name: &str, sequence: &DenseSequence, effort: Effort) -> Result<(Row, Measured)> {
    let mut scenario = DenseScenario::new(sequence).with_context(|| sequence.name.clone())?;
    let measured = meter::measure(&mut scenario, effort);
    Ok((qp_row((name, "outrigger"), &measured, &scenario.quality), measured))
}

/// The sequence of a file under every solver that fits.
///
/// # Errors
/// When the file is not what it should be, or a solver refuses the problem.
pub fn run_file(path: &Path, effort: Effort) -> Result<Report> {
    let mut report = Report::default();
    match qp_file::read(path)? {
        Sequence::Ocp(sequence) => {
            for method in Method::ALL {
                let mut scenario = OcpScenario::new(&sequence, method);
                let measured = meter::measure(&mut scenario, effort);
                let name = format!("qp/{}/{}", sequence.name, method.name());
                report.rows.push(qp_row((&name, method.solver()), &measured, &scenario.quality));
            }
        }
        Sequence::Dense(sequence) => {
            let name = format!("qp/{}/active_set", sequence.name);
            report.rows.push(dense_row(&name, &sequence, effort)?.0);
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_issue_and_each_stands_once() {
        let mut names: Vec<String> = all().into_iter().map(|case| case.name).collect();
        for name in [
            "nmpc/cstr4_N20/rti",
            "nmpc/cstr4_N20/sqp",
            "nmpc/cstr2_N60/rti",
            "qp/quad_4_2_40/ipm",
            "qp/mass_20_5_20/active_set",
            "qp/mass_10_2_50/clarabel",
            "qp/hof_7x5/active_set",
            "safety_filter/cstr2",
            "est/kf_20",
            "est/mhe_cstr_N20",
        ] {
            assert!(names.iter().any(|n| n == name), "{name} is missing");
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

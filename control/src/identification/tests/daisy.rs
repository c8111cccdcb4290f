//! Scores on two data sets of DaISy, the identification database of KU Leuven (De Moor): `cstr`, a simulated stirred
//! tank with strong nonlinearity, and `exchanger`, a real steam heat exchanger. They lie beside the repository; without
//! them the tests say so and pass.

use std::fs;
use std::path::Path;

use super::subspace::{Order, SubspaceOrders, Weighting};
use super::*;

fn table(file: &str) -> Option<Table> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/daisy").join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Some(Table::parse(file, &text).unwrap()),
        Err(fault) => {
            println!("skipped: {file} of DaISy is not beside the repository ({fault})");
            None
        }
    }
}

/// Means removed and scaled with the first `at` samples; the rest is for judging.
fn halves(data: &DataSet, at: usize) -> (DataSet, DataSet) {
    let (train, fresh) = data.split(at);
    let scaling = Scaling::of(&train, Trend::Mean);
    (scaling.apply(&train), scaling.apply(&fresh))
}

fn told(name: &str, model: &StateSpace, fresh: &DataSet) -> [Vec<f64>; 2] {
    let [simulation, ahead] = [Horizon::Simulation, Horizon::Steps(10)].map(|h| score(model, fresh, h).fit_pct);
    println!("{name}: order {}, simulation {simulation:.2?} %, 10 steps {ahead:.2?} %", model.order());
    [simulation, ahead]
}

#[test]
fn the_stirred_tank_is_foretold() {
    let Some(table) = table("cstr.dat") else { return };
    let data = DataSet::from_table(&table, &["2"], &["3", "4"], 0.1).unwrap();
    let (train, fresh) = halves(&data, 5000);
    for weighting in [Weighting::N4sid, Weighting::Moesp, Weighting::Cva] {
        for order in 2..=6 {
            for block_rows in [10, 20] {
            let orders = SubspaceOrders { order: Order::Fixed(order), block_rows, weighting, feedthrough: false };
            let found = subspace::fit(&train, &orders).unwrap();
            println!("{} {:.3?}", found.stabilised, &found.singular_values[..8]);
            told(&format!("cstr {weighting:?} {block_rows}"), &found.model, &fresh);
            }
        }
    }
    for output in 0..2 {
        for na in [2, 4, 8] {
            let orders = ArxOrders { na, inputs: vec![ArxInput { nb: na, delay: 1 }] };
            let model = Arx::fit(&train, output, &orders).unwrap().to_state_space();
            let one = DataSet { y: fresh.y.columns(output, 1).into_owned(), ..fresh.clone() };
            told(&format!("cstr arx {output}"), &model, &one);
        }
    }
}

#[test]
fn the_heat_exchanger_is_foretold() {
    let Some(table) = table("exchanger.csv") else { return };
    let data = DataSet::from_table(&table, &["q"], &["th"], 1.0).unwrap();
    let (train, fresh) = halves(&data, 3000);
    for weighting in [Weighting::N4sid, Weighting::Moesp, Weighting::Cva] {
        for order in 2..=6 {
            for block_rows in [20, 40] {
            let orders = SubspaceOrders { order: Order::Fixed(order), block_rows, weighting, feedthrough: false };
            let found = subspace::fit(&train, &orders).unwrap();
            println!("{} {:.3?}", found.stabilised, &found.singular_values[..8]);
            told(&format!("exchanger {weighting:?} {block_rows}"), &found.model, &fresh);
            }
        }
    }
    for na in [2, 4, 8, 20] {
        let orders = ArxOrders { na, inputs: vec![ArxInput { nb: na, delay: 1 }] };
        let model = Arx::fit(&train, 0, &orders).unwrap().to_state_space();
        told("exchanger arx", &model, &fresh);
    }
}

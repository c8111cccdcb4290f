//! Models as text, and every fault of one told.

use super::*;

const HEADER: &str = "cv,input,role,form,gain,tau_s,zeta,lead_s,delay_s,coefficients";

fn read(rows: &str) -> Result<StepResponseModel, TableError> {
    StepResponseModel::from_table("column.csv", &format!("period_s,10\nsamples,4\n{HEADER}\n{rows}"))
}

#[test]
fn every_form_is_read() {
    let rows = "\
        top,reflux,mv,fopdt,12.8,100,,,10,\n\
        # a remark\n\
        top,feed,dv,sopdt,3.8,40,0.7,-20,0,\n\
        \n\
        level,reflux,mv,integrator,0.02,0,,,10,\n\
        bottom,steam,mv,steps,,,,,,-1 -1.5 -1.75 -2\n\
        level,feed,dv,ramp,,,,,,0 0.1 0.2 0.3\n\
        bottom,reflux,mv,impulse,,,,,,0.5 0.25 0 -0.25\n";
    let model = read(rows).unwrap();
    assert_eq!(model.names().cvs, ["top", "level", "bottom"]);
    assert_eq!(
        (&model.names().mvs[..], &model.names().dvs[..]),
        (&["reflux".into(), "steam".into()][..], &["feed".into()][..])
    );
    let close = |got: &[f64], expected: [f64; 4]| got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
    let fopdt = [0.0, 1.0, 2.0, 3.0].map(|t: f64| 12.8 * (1.0 - (-t / 10.0).exp()));
    assert!(close(model.response(0, 0), fopdt), "{:?}", model.response(0, 0));
    assert!(close(model.response(1, 0), [0.0, 0.2, 0.4, 0.6]));
    assert!(close(model.response(2, 1), [-1.0, -1.5, -1.75, -2.0]));
    assert!(close(model.response(1, 2), [0.0, 0.1, 0.2, 0.3]));
    assert!(close(model.response(2, 0), [0.5, 0.75, 0.75, 0.5]));
    assert!(close(model.response(2, 2), [0.0; 4]), "a pair without a row");
    assert!(model.response(0, 2)[0] < 0.0, "the zero makes an inverse response: {:?}", model.response(0, 2));
    assert_eq!([0, 1, 2].map(|cv| model.is_integrating(cv)), [false, true, false]);
    assert!((model.final_gain(1, 0) - 0.2).abs() < 1e-12 && (model.final_gain(2, 1) + 2.0).abs() < 1e-12);
}

#[test]
fn a_model_survives_its_table_bit_for_bit() {
    for model in [wood_berry(), shell(), read("level,u,mv,integrator,0.3,7,,,3,\nlevel,d,dv,fopdt,1,2,,,3,\n").unwrap()]
    {
        assert_eq!(StepResponseModel::from_table("again.csv", &model.to_table()).unwrap(), model);
    }
}

#[test]
fn all_faults_are_told_with_their_lines() {
    let rows = "\
        top,reflux,mv,fopdt,12.8,fast,,,10,\n\
        top,steam,mw,fopdt,1,2,,,3,\n\
        top,steam,mv,second,1,2,,,3,\n\
        top,steam,mv,fopdt,1,2,0.7,,3,\n\
        top,steam,mv,steps,,,,,,1 2 x\n\
        top,steam,mv,fopdt,1,-2,,,3,\n\
        top,steam,mv,fopdt,1,2,,,3,\n\
        top,steam,mv,fopdt\n";
    let told = read(rows).unwrap_err().to_string();
    let expected = [
        "column.csv, line 4, tau_s: `fast`, expected a finite number",
        "column.csv, line 5, role: `mw`, expected `mv` or `dv`",
        "column.csv, line 6, form: `second`, expected `fopdt`, `sopdt`, `integrator`, `steps`, `ramp` or `impulse`",
        "column.csv, line 7, zeta: `0.7`, expected nothing: `fopdt` has no such number",
        "column.csv, line 8, coefficients: `x`, expected a finite number",
        "column.csv, line 8, coefficients: `2 of them`, expected 4 coefficients, as `samples` says",
        "column.csv, line 10, input: `top,steam,mv,fopdt,1,2,,,3,`, expected a pair that has no row yet",
        "column.csv, line 11, row: `top,steam,mv,fopdt`, expected 10 cells",
        "column.csv, line 9, tau_s: `-2`, expected a finite number in its range",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn a_table_without_its_head_is_told() {
    let told = |text: &str| StepResponseModel::from_table("m.csv", text).unwrap_err().to_string();
    assert_eq!(
        told(&format!("samples,4\n{HEADER}\na,b,mv,fopdt,1,2,,,3,")),
        "m.csv, line 3, period_s: ``, expected a line `period_s,SECONDS` before the header"
    );
    assert_eq!(
        told(&format!("period_s,0\nsamples,4\n{HEADER}")),
        "m.csv, line 1, period_s: `0`, expected a positive number of seconds"
    );
    assert_eq!(
        told(&format!("period_s,1\nsamples,1\n{HEADER}")),
        "m.csv, line 2, samples: `1`, expected a whole number from 2 to 10000"
    );
    assert_eq!(
        told(&format!("period_s,1\nsamples,4\n{HEADER}\n")),
        "m.csv, line 3, row: ``, expected at least one pair"
    );
    assert!(
        told("period_s,1\nsamples,4\na,b,mv,fopdt,1,2,,,3,")
            .contains("line 3, header: `a,b,mv,fopdt,1,2,,,3,`, expected cv,input")
    );
    assert!(told("").contains("period_s"));
}

#[test]
fn an_identified_model_becomes_a_table() {
    // First order, gain 2, pole 0.8, one sample of dead time more than sample and hold.
    let a = nalgebra::DMatrix::from_row_slice(2, 2, &[0.8, 0.4, 0.0, 0.0]);
    let b = nalgebra::DMatrix::from_row_slice(2, 1, &[0.0, 1.0]);
    let c = nalgebra::DMatrix::from_row_slice(1, 2, &[1.0, 0.0]);
    let (d, k) = (nalgebra::DMatrix::zeros(1, 1), nalgebra::DMatrix::zeros(2, 1));
    let model = crate::identification::StateSpace { a, b, c, d, k, period: 10.0 };
    let names = Names { cvs: vec!["y".into()], mvs: vec!["u".into()], dvs: vec![] };
    let of = |samples: usize, delay: &[usize], integrating: &[bool]| {
        StepResponseModel::from_state_space(&model, names.clone(), &Sampling { samples, delay, integrating })
    };
    for delay in [0, 3] {
        let steps = of(80, &[delay], &[false]).unwrap();
        let expected = |t: usize| 2.0 * (1.0 - 0.8f64.powi((t as i32 - 1 - delay as i32).max(0)));
        for t in 1..=80 {
            assert!((steps.response(0, 0)[t - 1] - expected(t)).abs() < 1e-12, "{delay} {t}");
        }
        assert!(steps.unsettled(0, 0) < 1e-6);
    }
    assert!(of(5, &[0], &[false]).unwrap().unsettled(0, 0) > 0.1);
    assert!(of(5, &[9], &[false]).unwrap().response(0, 0).iter().all(|s| s.abs() < 1e-15), "all dead time");
    assert_eq!(of(80, &[0], &[]).unwrap_err().to_string(), "integrating: 0, expected 1");
    assert_eq!(of(80, &[], &[false]).unwrap_err().to_string(), "delay: 0, expected 1");
}

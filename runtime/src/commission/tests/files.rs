//! Evidence and audit log on disk: what they keep over a restart, and that a change is told.

use control::accuracy::ModelError;
use signals::{Fixed, Values};

use super::{Papers, binding, person};
use crate::commission::approvals::{Act, approvals, once_reached};
use crate::commission::certificate::tests::NOW;
use crate::commission::evidence::{Evidence, Tally};
use crate::config::Mode;

const ROUND: u64 = 21;
/// The reactor's period, times the cycles of a round.
const ROUND_S: f64 = 18.0 * 21.0;

/// The errors of the cycles `from..to`, of `sizes` times each CV's limit; a round begins at every multiple of [`ROUND`].
fn errors(papers: &Papers, from: u64, to: u64, size: f64) -> Vec<ModelError> {
    let of = |cycle: u64| {
        let ahead = u32::try_from(cycle % ROUND).unwrap();
        let sign = if cycle.is_multiple_of(2) { size } else { -size };
        let error = Fixed::collect(papers.loaded.plant.cvs.iter().map(|cv| Some(sign * cv.accuracy.rmse_max)));
        let measured = Fixed::collect(papers.loaded.plant.cvs.iter().map(|_| Some(cycle as f64)));
        let (expected, rmse, bias) = (Fixed::new(), Values::new(), Values::new());
        ModelError { cycle, ahead, expected, error, measured, rmse, bias, in_envelope: true }
    };
    // At its anchor the model makes no error.
    (from..to).filter(|cycle| cycle % ROUND != 0).map(of).collect()
}

fn tally(papers: &Papers) -> Tally {
    Tally::new(&papers.loaded.plant, papers.dossier().evidence().unwrap())
}

fn observe(tally: &mut Tally, errors: &[ModelError], mode: Mode) {
    for error in errors {
        tally.observe(error, mode);
        assert!(!tally.observe(error, mode), "seen before");
    }
}

#[test]
fn hours_and_accuracy_survive_a_restart() {
    let papers = Papers::none();
    let file = papers.dossier().evidence_file();
    let mut first = tally(&papers);
    observe(&mut first, &errors(&papers, 0, 5 * ROUND, 0.5), Mode::Shadow);
    observe(&mut first, &errors(&papers, 5 * ROUND, 8 * ROUND, 0.5), Mode::Advisory);
    first.evidence().save(&file).unwrap();
    // A crash in the middle of the next saving leaves a file beside it.
    std::fs::write(file.with_extension("new"), "half").unwrap();
    let mut second = tally(&papers);
    assert_eq!(second.evidence(), first.evidence());
    observe(&mut second, &errors(&papers, 0, ROUND, 0.5), Mode::Shadow);
    second.evidence().save(&file).unwrap();
    let Evidence { shadow, advisory, closed_loop, .. } = papers.dossier().evidence().unwrap();
    assert!((shadow.seconds - 6.0 * ROUND_S).abs() < 1e-6 && (advisory.seconds - 3.0 * ROUND_S).abs() < 1e-6);
    assert_eq!((shadow.fits[0].n(), advisory.fits[2].n(), closed_loop.fits.len()), (120, 60, 0));
    let limit = papers.loaded.plant.cvs[1].accuracy.rmse_max;
    assert!((shadow.fits[1].rmse() - 0.5 * limit).abs() < 1e-9 && shadow.fits[1].r2().unwrap() > 0.9);
}

#[test]
fn a_gap_missing_measurements_and_a_change_of_mode_leave_nothing_of_their_round() {
    let papers = Papers::none();
    let whole = errors(&papers, 0, ROUND, 0.5);
    let mut gap = whole.clone();
    gap.remove(10);
    let seldom = |times: usize| {
        let mut seldom = whole.clone();
        for error in seldom.iter_mut().skip(3).take(times) {
            (error.error[1], error.measured[1]) = (None, None);
        }
        seldom
    };
    let late = whole[1..].to_vec();
    for (spoiled, n) in [(gap, 0), (seldom(6), 0), (late, 0), (seldom(5), 20), (whole.clone(), 20)] {
        let mut tally = tally(&papers);
        observe(&mut tally, &spoiled, Mode::Shadow);
        let shadow = &tally.evidence().shadow;
        assert_eq!(shadow.fits.first().map_or(0, |fit| fit.n()), n);
        assert_eq!(shadow.seconds > 0.0, n > 0);
    }
    let mut tally = tally(&papers);
    observe(&mut tally, &whole[..8], Mode::Shadow);
    observe(&mut tally, &whole[8..], Mode::Advisory);
    assert_eq!(tally.evidence(), &Evidence::none(binding()));
}

#[test]
fn time_with_a_bad_model_does_not_count_and_its_errors_do() {
    let papers = Papers::none();
    let mut tally = tally(&papers);
    observe(&mut tally, &errors(&papers, 0, 3 * ROUND, 1.1), Mode::Shadow);
    observe(&mut tally, &errors(&papers, 3 * ROUND, 4 * ROUND, 0.9), Mode::Shadow);
    let shadow = &tally.evidence().shadow;
    assert!((shadow.seconds - ROUND_S).abs() < 1e-6 && (shadow.seconds_beyond - 3.0 * ROUND_S).abs() < 1e-6);
    assert_eq!(shadow.fits[0].n(), 80);
}

#[test]
fn evidence_that_was_changed_is_told_and_not_believed() {
    let papers = Papers::complete();
    let (dossier, text) = (papers.dossier(), std::fs::read_to_string(papers.dossier().evidence_file()).unwrap());
    let read = |text: &str| {
        std::fs::write(dossier.evidence_file(), text).unwrap();
        dossier.standing(NOW).map(|standing| standing.step).map_err(|e| e.to_string())
    };
    assert_eq!(read(&text), Ok(Mode::ClosedLoop), "the control");
    for (from, to, told) in [
        ("\"seconds\": 259200.0", "\"seconds\": 959200.0", "its checksum is false"),
        ("sha256 ", "sha256 0", "its checksum is false"),
        ("outrigger evidence 1", "outrigger evidence 2", "the first line is not"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let said = read(&changed).unwrap_err();
        assert!(said.contains(told) && said.contains("evidence-"), "{said}");
    }
    assert!(read("").is_err() && read(&text[..text.len() - 2]).is_err());
}

#[test]
fn an_audit_log_with_a_line_changed_or_taken_out_is_told() {
    let papers = Papers::complete();
    let (dossier, file) = (papers.dossier(), papers.loaded.plant.commission.evidence.join("audit.jsonl"));
    let text = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 6);
    let without: String = [&lines[..2], &lines[3..]].concat().concat();
    let swapped: String = [lines[1], lines[0]].concat();
    for (changed, told) in [
        (text.replacen("Bo Ek", "Di Oh", 1), "line 2"),
        (text.replacen("\"role\":\"engineer\"", "\"role\":\"manager\"", 1), "line 1"),
        (without, "line 3"),
        (swapped, "line 1"),
        (text[..text.len() - 1].to_owned(), "was not written to its end"),
    ] {
        std::fs::write(&file, &changed).unwrap();
        let said = dossier.standing(NOW).unwrap_err().to_string();
        assert!(said.contains(told), "{told}: {said}");
        let act = Act::Run { mode: Mode::Shadow, mvs: vec![] };
        assert!(dossier.audit().append("x", act, NOW).is_err(), "nothing is appended to it");
    }
    std::fs::write(&file, &text).unwrap();
    assert!(dossier.standing(NOW).is_ok(), "the control");
}

#[test]
fn the_same_person_twice_is_one_and_a_revocation_takes_all() {
    let papers = Papers::none();
    let (dossier, step) = (papers.dossier(), (Mode::Advisory, None));
    let id = dossier.binding().id();
    let names = || -> Vec<String> {
        let entries = dossier.audit().entries().unwrap();
        approvals(&entries, &id, Mode::Advisory, None).iter().map(|p| p.name.clone()).collect()
    };
    for same in ["Ann Lee", "ann  LEE", " Ann Lee "] {
        papers.approve(&dossier, step, same);
    }
    assert_eq!(names(), ["Ann Lee"]);
    papers.approve(&dossier, step, "Bo Ek");
    assert_eq!(names(), ["Ann Lee", "Bo Ek"], "the control");
    papers.revoke(&dossier, (Mode::ClosedLoop, None));
    assert_eq!(names().len(), 2, "of another step");
    papers.revoke(&dossier, step);
    papers.approve(&dossier, step, "Bo Ek");
    assert_eq!(names(), ["Bo Ek"], "given anew");
}

#[test]
fn approvals_are_of_one_loop_one_step_and_one_mv() {
    let papers = Papers::complete();
    let entries = papers.dossier().audit().entries().unwrap();
    let id = binding().id();
    let n = |id: &str, step, mv| approvals(&entries, id, step, mv).len();
    assert_eq!(n(&id, Mode::ClosedLoop, Some("FC101")), 2, "the control");
    assert_eq!(n("another", Mode::ClosedLoop, Some("FC101")), 0);
    assert_eq!(n(&id, Mode::ClosedLoop, Some("XC101")), 0);
    assert_eq!(n(&id, Mode::ClosedLoop, None), 0);
    papers.revoke(&papers.dossier(), (Mode::ClosedLoop, Some("FC101")));
    let entries = papers.dossier().audit().entries().unwrap();
    let n = |mv| approvals(&entries, &id, Mode::ClosedLoop, Some(mv)).len();
    assert_eq!((n("FC101"), n("QC101")), (0, 2));
    assert!(!once_reached(&entries, "another", Mode::Advisory), "approved and never run");
    assert_eq!(person("Ann").role, "engineer");
}

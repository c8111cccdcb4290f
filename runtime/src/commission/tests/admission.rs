//! What a run is allowed: by evidence, below it, at a rig without it, or not at all.

use super::{Papers, binding};
use crate::commission::admission::{Admission, Override, RIG_URI, Refused, admit, stand_down};
use crate::commission::approvals::Act;
use crate::commission::certificate::tests::NOW;
use crate::commission::hashes::{Binding, Hashes};
use crate::config::{Mode, PlantFile};

fn wish() -> Override {
    Override { reason: "a trial".into(), hours: 2.0 }
}

/// The mode that a run is wired for, and which MVs it may manipulate.
fn wired(papers: &Papers, admission: &Admission) -> (Mode, Vec<bool>) {
    let mut plant: PlantFile = papers.loaded.plant.clone();
    admission.apply(&mut plant);
    (plant.mode, plant.mvs.iter().map(|mv| mv.commissioned).collect())
}

fn acts(papers: &Papers) -> Vec<Act> {
    let entries = papers.dossier().audit().entries().unwrap();
    entries.into_iter().map(|entry| entry.act).filter(|act| !matches!(act, Act::Approve { .. })).collect()
}

/// Each way in which the loop may have become another one.
fn others() -> [(&'static str, Binding); 4] {
    let Binding { hashes, site } = binding();
    let with = |hashes| Binding { hashes, site: site.clone() };
    [
        ("configuration", with(Hashes { configuration: "x".into(), ..hashes.clone() })),
        ("model", with(Hashes { model: "x".into(), ..hashes.clone() })),
        ("binary", with(Hashes { binary: "x".into(), ..hashes.clone() })),
        ("site", Binding { site: "x".into(), ..binding() }),
    ]
}

#[test]
fn with_everything_the_file_gets_what_it_asks_for() {
    let mut papers = Papers::complete();
    for (mode, mvs) in
        [(Mode::ClosedLoop, vec![true, true]), (Mode::Advisory, vec![true, true]), (Mode::Shadow, vec![true, true])]
    {
        papers.loaded.plant.mode = mode;
        let admission = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
        assert_eq!(wired(&papers, &admission), (mode, mvs));
        assert_eq!(admission.proof(), None);
    }
    assert_eq!(acts(&papers).len(), 3, "each is in the audit log");
}

#[test]
fn closed_loop_without_evidence_is_refused_with_all_that_is_missing() {
    let mut papers = Papers::none();
    for mode in [Mode::ClosedLoop, Mode::Advisory] {
        papers.loaded.plant.mode = mode;
        let refused = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap_err();
        let Refused::Evidence { wanted, permitted, missing } = &refused else { panic!("{refused}") };
        assert_eq!((*wanted, *permitted, missing.len()), (mode, Mode::Shadow, 2 * 4 + 1 + 3));
        let said = refused.to_string();
        for word in
            ["a HIL certificate", "72 h in shadow", "168 h in advisory", "errors of TI102", "closed-loop of QC101"]
        {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
    assert_eq!(acts(&papers), [], "nothing began");
    papers.loaded.plant.mode = Mode::Shadow;
    assert!(admit(&papers.dossier(), &papers.loaded.plant, None, NOW).is_ok(), "shadow needs nothing");
}

#[test]
fn one_mv_at_a_time() {
    let papers = Papers::complete();
    papers.revoke(&papers.dossier(), (Mode::ClosedLoop, Some("FC101")));
    let admission = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
    assert_eq!(wired(&papers, &admission), (Mode::ClosedLoop, vec![false, true]));
    let status = serde_json::to_value(admission.status(&papers.loaded.plant)).unwrap();
    assert_eq!(status["grounds"], "evidence");
    assert!(status["missing"][0].as_str().unwrap().contains("FC101"), "{status}");
}

#[test]
fn each_changed_hash_voids_the_evidence_and_the_loop_falls_back() {
    for (part, other) in others() {
        let papers = Papers::complete();
        let changed = papers.bound(other);
        assert_eq!(changed.standing(NOW).unwrap().step, Mode::Shadow, "{part}");
        let refused = admit(&changed, &papers.loaded.plant, None, NOW);
        assert!(matches!(refused, Err(Refused::Evidence { .. })), "{part}: it never ran in closed loop");
        admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
        let fallen = admit(&changed, &papers.loaded.plant, None, NOW).unwrap();
        assert_eq!(wired(&papers, &fallen).0, Mode::Shadow, "{part}");
        let status = serde_json::to_value(fallen.status(&papers.loaded.plant)).unwrap();
        assert_eq!((&status["grounds"], &status["mode"]), (&"fell-back".into(), &"shadow".into()), "{part}");
        assert!(matches!(acts(&papers).last(), Some(Act::FellBack { from: Mode::ClosedLoop, to: Mode::Shadow, .. })));
        let back = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
        assert_eq!(wired(&papers, &back).0, Mode::ClosedLoop, "{part}: the loop as it was has its evidence still");
    }
}

/// The site's evidence is void; the certificate is not, for it was made at the rig.
#[test]
fn a_certificate_holds_wherever_the_loop_runs() {
    let papers = Papers::complete();
    let lacks = |dossier: &crate::commission::Dossier| {
        let missing = dossier.standing(NOW).unwrap().missing;
        missing.iter().any(|missing| missing.to_string().contains("certificate"))
    };
    let [(_, configuration), .., (_, site)] = others();
    assert!(!lacks(&papers.bound(site)) && lacks(&papers.bound(configuration)));
}

#[test]
fn an_expired_certificate_is_no_changed_hash_and_refuses() {
    let papers = Papers::complete();
    admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
    let refused = admit(&papers.dossier(), &papers.loaded.plant, None, NOW + 11).unwrap_err().to_string();
    assert!(refused.contains("a HIL certificate: it holds from"), "{refused}");
}

#[test]
fn a_revoked_step_is_no_changed_hash_and_refuses() {
    let papers = Papers::complete();
    admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
    papers.revoke(&papers.dossier(), (Mode::Advisory, None));
    let refused = admit(&papers.dossier(), &papers.loaded.plant, None, NOW);
    assert!(matches!(refused, Err(Refused::Evidence { permitted: Mode::Shadow, .. })), "{refused:?}");
}

#[test]
fn an_override_is_for_a_rig_and_is_written_down_before_the_run() {
    let mut papers = Papers::none();
    let admission = admit(&papers.dossier(), &papers.loaded.plant, Some(&wish()), NOW).unwrap();
    assert_eq!(admission.proof(), Some(RIG_URI), "the server must prove to be the rig");
    assert_eq!(wired(&papers, &admission), (Mode::ClosedLoop, vec![true, true]));
    let acts_1 = acts(&papers);
    let [Act::Override { mode, endpoint, until, reason, .. }] = acts_1.as_slice() else { panic!("{acts_1:?}") };
    assert_eq!((*mode, endpoint.as_str(), reason.as_str()), (Mode::ClosedLoop, "opc.tcp://127.0.0.1:4855/", "a trial"));
    assert_eq!(*until, crate::commission::certificate::rfc3339(NOW + 7200));
    papers.loaded.plant.dcs.endpoint = "opc.tcp://dcs:4840/".into();
    let refused = admit(&papers.dossier(), &papers.loaded.plant, Some(&wish()), NOW);
    assert_eq!(refused, Err(Refused::NotTheRig { endpoint: "opc.tcp://dcs:4840/".into() }));
    assert_eq!(acts(&papers).len(), 1, "nothing began");
}

#[test]
fn who_has_evidence_needs_no_override() {
    let papers = Papers::complete();
    let admission = admit(&papers.dossier(), &papers.loaded.plant, Some(&wish()), NOW).unwrap();
    assert_eq!(admission.proof(), None);
}

/// An override does not make the loop one that had evidence: afterwards it is refused, not fallen back.
#[test]
fn an_override_leaves_nothing_behind() {
    let papers = Papers::none();
    admit(&papers.dossier(), &papers.loaded.plant, Some(&wish()), NOW).unwrap();
    let [(_, other), ..] = others();
    for dossier in [papers.dossier(), papers.bound(other)] {
        let refused = admit(&dossier, &papers.loaded.plant, None, NOW);
        assert!(matches!(refused, Err(Refused::Evidence { .. })), "{refused:?}");
    }
}

#[test]
fn an_override_that_expires_stands_down_to_what_is_permitted() {
    let papers = Papers::none();
    let down = stand_down(&papers.dossier(), &papers.loaded.plant, "expired".into(), NOW);
    assert_eq!(wired(&papers, &down).0, Mode::Shadow);
    let papers = Papers::complete();
    papers.revoke(&papers.dossier(), (Mode::ClosedLoop, None));
    let down = stand_down(&papers.dossier(), &papers.loaded.plant, "expired".into(), NOW);
    assert_eq!(wired(&papers, &down).0, Mode::Advisory);
    assert!(matches!(acts(&papers).last(), Some(Act::FellBack { to: Mode::Advisory, .. })));
}

#[tokio::test(start_paused = true)]
async fn an_override_lapses_after_its_hours_and_a_run_by_evidence_when_that_is_gone() {
    let papers = Papers::none();
    let overridden = admit(&papers.dossier(), &papers.loaded.plant, Some(&wish()), NOW).unwrap();
    let before = tokio::time::Instant::now();
    assert_eq!(overridden.lapsed(&papers.dossier()).await, "the override has expired");
    assert_eq!(before.elapsed(), std::time::Duration::from_secs(7200));
    let papers = Papers::complete();
    let by_evidence = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap();
    // By the calendar of today the test's certificate does not hold.
    let why = by_evidence.lapsed(&papers.dossier()).await;
    assert!(why.contains("a HIL certificate: it holds from"), "{why}");
}

#[test]
fn a_damaged_record_stops_even_shadow_and_says_which() {
    let mut papers = Papers::complete();
    papers.loaded.plant.mode = Mode::Shadow;
    std::fs::write(papers.dossier().evidence_file(), "nonsense").unwrap();
    let refused = admit(&papers.dossier(), &papers.loaded.plant, None, NOW).unwrap_err();
    assert!(matches!(&refused, Refused::Broken(_)) && refused.to_string().contains("evidence-"), "{refused}");
}

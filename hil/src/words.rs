//! What the rig shows, in words.

use rig::report::Snapshot;

/// One line for a control period, and one for a recommendation that waits.
#[must_use]
pub fn cycle(s: &Snapshot) -> String {
    let cvs = s.cv.iter().map(|cv| match cv.sp {
        Some(sp) => format!("{} {:.4} ({sp:.4}) {}", cv.name, cv.pv, cv.unit),
        None => format!("{} {:.2} {}", cv.name, cv.pv, cv.unit),
    });
    let mvs = s.mv.iter().map(|mv| format!("{} {:.2} {} {}", mv.name, mv.sp_act, mv.unit, mv.mode));
    let values: Vec<String> = cvs.chain(mvs).collect();
    let watchdog = if s.wd_ok { "" } else { " WATCHDOG" };
    let open = s.rec.as_ref().and_then(|rec| Some((rec, rec.left_s?)));
    let advice =
        open.map(|(rec, left_s)| format!("{:>9} recommendation {}, {left_s:.0} s left: {}\n", "", rec.id, rec.reason));
    let values = values.join(" | ");
    format!("{:>9.1} s {}>{}{watchdog} | {values}\n{}", s.t_s, s.mode_req, s.mode_act, advice.unwrap_or_default())
}

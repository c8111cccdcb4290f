//! The DCS's side of a recommendation: a person answers it here, and what he takes the DCS applies.
//!
//! ```text
//! REC.ID, STATUS OPEN ─▶ accept ID USER ─▶ REC.USER, REC.ACCEPT ─▶ application ─▶ STATUS ACCEPTED ─▶ slaves in AUTO
//! ```
//!
//! Both sides refuse what is stale, each by its own clock and its own memory: the DCS before the number goes out, the
//! application before it says ACCEPTED. Without that word nothing moves. The slaves ramp at the DCS's own rate.

use std::time::Duration;

use signals::dcs::{ModeActual, MvMode, Reading, RecRead, RecStatus, Text};
use signals::{MAX_MVS, Stamp, Values};

use super::{Dcs, mv};
use crate::command::{Answer, CommandError};

/// The answers so far, and the recommendation that is shown.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    accept: u32,
    reject: u32,
    user: Text,
    /// The number that is shown, and since when.
    shown: Option<(u32, Stamp)>,
    /// An acceptance that the application has not confirmed: number, set-points, when.
    due: Option<(u32, Values<MAX_MVS>, Stamp)>,
    /// Whether an answer is looked at before it goes out.
    checked: bool,
}

impl Default for Answers {
    fn default() -> Self {
        Self { accept: 0, reject: 0, user: Text::default(), shown: None, due: None, checked: true }
    }
}

impl Answers {
    pub(super) fn image(&self, now: Stamp, out: &mut RecRead) {
        out.accept = Reading::of(self.accept, now);
        out.reject = Reading::of(self.reject, now);
        out.user = Reading::of(self.user, now);
    }

    pub(super) fn sign(&mut self, user: Text) {
        self.user = user;
    }

    pub(super) fn signed_by(&self) -> Text {
        self.user
    }
}

impl Dcs {
    /// A person answers the recommendation `id`; with the number 0 the tag is cleared.
    ///
    /// # Errors
    /// [`CommandError::StaleRecommendation`] when it is not the one that waits for an answer, is too old, or the application
    /// is not in ADVISORY; [`CommandError::Unsigned`] without a name. Nothing has changed.
    pub fn answer(&mut self, now: Stamp, answer: Answer, id: u32, user: &str) -> Result<(), CommandError> {
        if id != 0 && self.answers.checked {
            if let Some(why) = self.stale(now, id) {
                return Err(CommandError::StaleRecommendation { id, why });
            }
            if user.trim().is_empty() {
                return Err(CommandError::Unsigned);
            }
        }
        self.answers.user = Text::new(user);
        match answer {
            Answer::Accept => {
                self.answers.accept = id;
                let wanted = self.apc.rec.sp.iter().map(|sp| mv::usable(sp).unwrap_or(f64::NAN));
                self.answers.due = (id != 0).then(|| (id, Values::collect(wanted), now));
            }
            Answer::Reject => self.answers.reject = id,
        }
        Ok(())
    }

    /// Whether answers are looked at before they go out; without that the application alone refuses what is stale.
    pub fn check_answers(&mut self, checked: bool) {
        self.answers.checked = checked;
    }

    /// How long the recommendation that is shown still holds, by the DCS's clock; `None` where none is open.
    #[must_use]
    pub fn recommendation_left(&self, now: Stamp) -> Option<Duration> {
        let rec = &self.apc.rec;
        let (id, since) = self.answers.shown.filter(|(id, _)| rec.id.good() == Some(*id))?;
        let open = rec.status.good() == Some(RecStatus::Open) && id != 0;
        let expiry = Duration::try_from_secs_f64(mv::usable(&rec.expiry_s).filter(|_| open)?).ok()?;
        expiry.checked_sub(now.since(since))
    }

    fn stale(&self, now: Stamp, id: u32) -> Option<&'static str> {
        let obstacles = [
            (self.apc.mode_act.good() != Some(ModeActual::Advisory), "the application is not in ADVISORY"),
            (self.apc.rec.id.good() != Some(id), "another one is shown"),
            (self.apc.rec.status.good() != Some(RecStatus::Open), "it does not wait for an answer any more"),
            (self.recommendation_left(now).is_none(), "its time is over"),
        ];
        obstacles.into_iter().find(|(stands, _)| *stands).map(|(_, why)| why)
    }

    /// Notes which recommendation is shown, and applies an acceptance that the application has taken.
    pub(super) fn follow_the_answers(&mut self, now: Stamp) {
        let id = self.apc.rec.id.good();
        if id != self.answers.shown.map(|(id, _)| id) {
            self.answers.shown = id.map(|id| (id, now));
        }
        let Some((accepted, wanted, since)) = self.answers.due else { return };
        let confirmed = id == Some(accepted) && self.apc.rec.status.good() == Some(RecStatus::Accepted);
        if confirmed {
            for (mv, sp) in self.mvs.iter_mut().zip(&wanted) {
                if mv.opr_on && mv.slave.mode() == MvMode::Auto && sp.is_finite() {
                    mv.slave.set_target(sp.max(mv.config.clamp.low).min(mv.config.clamp.high));
                }
            }
        }
        if confirmed || now.since(since) > 2 * self.period {
            self.answers.due = None;
        }
    }
}

//! The book of bypasses: who asked for what, who approved it, and what of it is in force. Pure: the calendar is told.
//!
//! A bypass is asked for by one person and approved by another, each in a role of its own ([`Act::Request`],
//! [`Act::Approve`]); anyone may revoke it. Whatever is tried is an [`Entry`], refused or not, so that the entries are the
//! audit trail, and the book is what they come to. A book that is read again judges every entry again: one that says
//! "accepted" against the rules is [`BookError`].
//!
//! # Calendar
//! A bypass ends at a moment of the calendar, which a restart does not move. So nothing is stored that could count anew.
//! What is left of it is told to the loop in plant time ([`BypassBook::in_force`]), once: later looks may bring the end nearer and
//! never put it off. A calendar that cannot be read, or lies before what the book or `mark` knows to be past by more than
//! [`CLOCK_SLACK`], ends every bypass; one that lies before it by less counts as what is known. `mark` is the moment up to
//! which an earlier run has spent the lives; whoever keeps it writes it ahead.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use signals::{Fixed, Stamp};

use super::{Bypass, BypassSet, MAX_BYPASSES, MAX_LIFE, Person, Subject};
use crate::check::CheckId;

/// How far a clock may run back before it is not believed.
pub const CLOCK_SLACK: Duration = Duration::from_secs(60);

/// A moment of the calendar: milliseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Calendar(pub i64);

impl Calendar {
    /// So much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier`; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Who acts: the name that was given, and the account under which the command ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The user of the operating system. Recorded, not judged: a control room may share one.
    pub os_user: String,
}

/// What a bypass is asked for, by the plant's own names: numbers change with the plant file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The loop.
    Loop,
    /// A measured tag.
    Tag(String),
    /// An MV.
    Mv(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Loop => f.write_str("the loop"),
            Self::Tag(name) | Self::Mv(name) => f.write_str(name),
        }
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// The first role asks.
    Request {
        /// The number of the bypass.
        id: u32,
        /// The check.
        check: CheckId,
        /// On what.
        target: Target,
        /// Why.
        reason: String,
        /// For how long, from the approval on.
        life_s: u64,
    },
    /// The second role approves: the bypass begins.
    Approve {
        /// Which.
        id: u32,
    },
    /// It ends, or is not wanted any more.
    Revoke {
        /// Which.
        id: u32,
        /// Why.
        reason: String,
    },
}

/// What came of an act.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Accepted,
    /// It does not, for this reason.
    Refused(String),
}

/// A line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When.
    pub at: Calendar,
    /// Who.
    pub by: Account,
    /// What.
    pub act: Act,
    /// To what end.
    pub outcome: Outcome,
}

/// Why an act is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refused {
    #[error("check {} is never bypassed", .0.number())]
    AlwaysOn(CheckId),
    #[error("check {} does not look at that: checks 1 to 10 and 20 are of a tag, 13, 14 and 23 of an MV, the others of the loop", .0.number())]
    OtherSubject(CheckId),
    #[error("a name is needed")]
    NoName,
    #[error("a reason is needed")]
    NoReason,
    #[error("a life of {0} s; at least 1 s and at most {max} s are possible", max = MAX_LIFE.as_secs())]
    Life(u64),
    #[error("a bypass has the number {0}")]
    Number(u32),
    #[error("there is no bypass of number {0}")]
    Unknown(u32),
    #[error("bypass {0} is {1}")]
    Standing(u32, Standing),
    #[error("{0:?} asked for bypass {1} and cannot approve it: another person must")]
    OnePerson(String, u32),
    #[error("check {check} on {1} is bypassed already, by number {2}", check = .0.number())]
    Twice(CheckId, Target, u32),
    #[error("{max} bypasses are in force, and there are never more", max = MAX_BYPASSES)]
    Full,
    #[error("the clock of this machine says a moment before the newest entry")]
    ClockBack,
}

/// An entry that says "accepted" and must not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an entry is marked as accepted against the rules: {0}")]
pub struct BookError(pub Refused);

/// How a bypass stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Asked for.
    Waiting,
    /// Asked for, and not approved within [`MAX_LIFE`].
    Lapsed,
    /// In force until then.
    InForce(Calendar),
    /// Its time is over.
    Expired,
    /// Revoked.
    Revoked,
}

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting for an approval",
            Self::Lapsed => "lapsed without an approval",
            Self::InForce(_) => "in force",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

/// One bypass of the book.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Shown {
    pub id: u32,
    pub check: CheckId,
    pub target: Target,
    pub reason: String,
    pub life_s: u64,
    pub requested_by: Account,
    pub requested_at: Calendar,
    pub approved: Option<(Account, Calendar)>,
    pub revoked: bool,
}

impl Shown {
    /// How it stands at a moment.
    #[must_use]
    pub fn standing(&self, at: Calendar) -> Standing {
        match &self.approved {
            _ if self.revoked => Standing::Revoked,
            None if at >= self.requested_at.after(MAX_LIFE) => Standing::Lapsed,
            None => Standing::Waiting,
            Some((_, since)) => {
                let end = since.after(Duration::from_secs(self.life_s));
                if at < end { Standing::InForce(end) } else { Standing::Expired }
            }
        }
    }
}

/// The names of a loop's tags and MVs, by number.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Measured tags: the CVs, then the DVs.
    pub tags: Vec<String>,
    /// MVs.
    pub mvs: Vec<String>,
}

impl Names {
    /// What a target is in this loop; `None` where it has no such name.
    #[must_use]
    pub fn subject(&self, target: &Target) -> Option<Subject> {
        let find =
            |names: &[String], name: &String| names.iter().position(|n| n == name).and_then(|n| u16::try_from(n).ok());
        match target {
            Target::Loop => Some(Subject::Loop),
            Target::Tag(name) => find(&self.tags, name).map(Subject::Tag),
            Target::Mv(name) => find(&self.mvs, name).map(Subject::Mv),
        }
    }
}

/// The book.
#[derive(Clone, Debug, Default)]
pub struct BypassBook {
    bypasses: Vec<Shown>,
    newest: Calendar,
}

impl BypassBook {
    /// The number of the next request.
    #[must_use]
    pub fn next_id(&self) -> u32 {
        self.bypasses.last().map_or(1, |last| last.id.saturating_add(1))
    }

    /// Every bypass that was ever asked for, oldest first.
    #[must_use]
    pub fn all(&self) -> &[Shown] {
        &self.bypasses
    }

    /// Judges an act, does it if it holds, and gives the line that says so.
    ///
    /// # Errors
    /// [`Refused`], beside the line that says that: it belongs into the trail too.
    pub fn write(&mut self, by: Account, act: Act, at: Calendar) -> (Entry, Result<(), Refused>) {
        let judged = self.judge(&by, &act, at);
        let outcome = match &judged {
            Ok(()) => Outcome::Accepted,
            Err(why) => Outcome::Refused(why.to_string()),
        };
        let entry = Entry { at, by, act, outcome };
        if judged.is_ok() {
            self.apply(&entry);
        }
        (entry, judged)
    }

    /// Takes a line that was written before.
    ///
    /// # Errors
    /// [`BookError`] for one that is marked as accepted and must not be; then the book is as before.
    pub fn take(&mut self, entry: &Entry) -> Result<(), BookError> {
        if entry.outcome == Outcome::Accepted {
            self.judge(&entry.by, &entry.act, entry.at).map_err(BookError)?;
            self.apply(entry);
        }
        Ok(())
    }

    /// What is in force at the plant time `now`, when the calendar says `at` and an earlier run has spent the lives up to
    /// `mark`. `before` is what was in force at the look before: its ends are not put off.
    #[must_use]
    pub fn in_force(
        &self,
        names: &Names,
        (at, mark): (Option<Calendar>, Calendar),
        now: Stamp,
        before: &BypassSet,
    ) -> BypassSet {
        let Some(at) = self.believed(at, mark) else { return BypassSet::new() };
        let standing = self.bypasses.iter().filter_map(|shown| {
            let Standing::InForce(end) = shown.standing(at) else { return None };
            let (approver, since) = shown.approved.as_ref()?;
            let until = now + end.since(at);
            let bypass = Bypass {
                id: shown.id,
                check: shown.check,
                subject: names.subject(&shown.target)?,
                requested_by: Person::named(&shown.requested_by.name),
                approved_by: Person::named(&approver.name),
                from: earlier(now, at.since(*since)),
                until,
            };
            let Some(known) = before.iter().find(|known| known.id == shown.id) else { return Some(bypass) };
            // The calendar and the loop's clock differ by a little at every look: only a leap of the calendar counts.
            let leapt = known.until.since(until) > Duration::from_secs(1);
            Some(Bypass { from: known.from, until: if leapt { until } else { known.until }, ..bypass })
        });
        Fixed::collect(standing)
    }

    /// The moment that counts: what the calendar says, but not before what is known to be past; none if it lies so far before
    /// that it cannot be believed.
    fn believed(&self, at: Option<Calendar>, mark: Calendar) -> Option<Calendar> {
        let known = self.newest.max(mark);
        at.filter(|at| at.after(CLOCK_SLACK) >= known).map(|at| at.max(known))
    }

    fn judge(&self, by: &Account, act: &Act, at: Calendar) -> Result<(), Refused> {
        if by.name.trim().is_empty() {
            return Err(Refused::NoName);
        }
        if at < self.newest {
            return Err(Refused::ClockBack);
        }
        match act {
            Act::Request { id, check, target, reason, life_s } => {
                judge_check(*check, target)?;
                if reason.trim().is_empty() {
                    return Err(Refused::NoReason);
                }
                if !(1..=MAX_LIFE.as_secs()).contains(life_s) {
                    return Err(Refused::Life(*life_s));
                }
                if *id != self.next_id() {
                    return Err(Refused::Number(*id));
                }
                self.judge_place(*check, target, at)
            }
            Act::Approve { id } => {
                let shown = self.find(*id)?;
                if shown.standing(at) != Standing::Waiting {
                    return Err(Refused::Standing(*id, shown.standing(at)));
                }
                if Person::named(&shown.requested_by.name) == Person::named(&by.name) {
                    return Err(Refused::OnePerson(by.name.clone(), *id));
                }
                self.judge_place(shown.check, &shown.target, at)
            }
            Act::Revoke { reason, .. } if reason.trim().is_empty() => Err(Refused::NoReason),
            Act::Revoke { id, .. } => match self.find(*id)?.standing(at) {
                Standing::Waiting | Standing::InForce(_) => Ok(()),
                standing => Err(Refused::Standing(*id, standing)),
            },
        }
    }

    /// Whether there is a place for one more that is in force.
    fn judge_place(&self, check: CheckId, target: &Target, at: Calendar) -> Result<(), Refused> {
        let mut in_force = self.bypasses.iter().filter(|shown| matches!(shown.standing(at), Standing::InForce(_)));
        if in_force.clone().count() >= MAX_BYPASSES {
            return Err(Refused::Full);
        }
        match in_force.find(|shown| shown.check == check && shown.target == *target) {
            Some(there) => Err(Refused::Twice(check, target.clone(), there.id)),
            None => Ok(()),
        }
    }

    fn find(&self, id: u32) -> Result<&Shown, Refused> {
        self.bypasses.iter().find(|shown| shown.id == id).ok_or(Refused::Unknown(id))
    }

    /// Does what was judged.
    fn apply(&mut self, entry: &Entry) {
        self.newest = entry.at;
        let by = entry.by.clone();
        match entry.act.clone() {
            Act::Request { id, check, target, reason, life_s } => self.bypasses.push(Shown {
                id,
                check,
                target,
                reason,
                life_s,
                requested_by: by,
                requested_at: entry.at,
                approved: None,
                revoked: false,
            }),
            Act::Approve { id } => self.change(id, |shown| shown.approved = Some((by, entry.at))),
            Act::Revoke { id, .. } => self.change(id, |shown| shown.revoked = true),
        }
    }

    fn change(&mut self, id: u32, change: impl FnOnce(&mut Shown)) {
        if let Some(shown) = self.bypasses.iter_mut().find(|shown| shown.id == id) {
            change(shown);
        }
    }
}

/// Whether the check may be bypassed at all, and on such a target.
fn judge_check(check: CheckId, target: &Target) -> Result<(), Refused> {
    if CheckId::ALWAYS_ON.contains(&check) {
        return Err(Refused::AlwaysOn(check));
    }
    let fits = match target {
        Target::Tag(_) => matches!(check.number(), 1..=10 | 20),
        Target::Mv(_) => matches!(check.number(), 13 | 14 | 23),
        Target::Loop => matches!(check.number(), 15..=19 | 21 | 22 | 24),
    };
    if fits { Ok(()) } else { Err(Refused::OtherSubject(check)) }
}

fn earlier(now: Stamp, span: Duration) -> Stamp {
    Stamp::from_nanos(now.nanos().saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
}

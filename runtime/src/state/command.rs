//! `outrigger bypass`: where people ask for bypasses, approve them, and end them.
//!
//! This is where a site's practice meets the loop. The name is what the person says; the account is what the operating system
//! says; both are written down, and the rights of the folder decide who may act at all. A running loop reads the trail by itself.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use safety::CheckId;
use safety::bypass::{Account, Act, Calendar, Shown, Standing, Target};

use super::{Trail, account, calendar, date, names, usual_folder};
use crate::config::{PlantFile, load};

/// Ask for a bypass, approve it, end it, or see what there is.
#[derive(Debug, Args)]
pub struct BypassArgs {
    #[command(subcommand)]
    task: Task,
}

/// The loop, and where its state is.
#[derive(Debug, Args)]
struct Of {
    /// The plant file.
    #[arg(long, value_name = "FILE")]
    plant: PathBuf,
    /// The folder of the loop's state, as `outrigger run` has it [default: state/ and the loop's name].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Ask for a bypass of one check on one tag, MV, or the loop. It bypasses nothing until another person approves it.
    Request {
        #[command(flatten)]
        of: Of,
        /// The check, by its name or number, such as `age` or 2.
        #[arg(long, value_parser = check)]
        check: CheckId,
        /// The measured tag, by the plant's name; without it and --mv, the loop.
        #[arg(long, conflicts_with = "mv")]
        tag: Option<String>,
        /// The MV, by the plant's name.
        #[arg(long)]
        mv: Option<String>,
        /// Why.
        #[arg(long)]
        reason: String,
        /// For how long from the approval on; at most 8.
        #[arg(long, value_name = "H", value_parser = hours)]
        hours: f64,
        /// Your name.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Approve what another person has asked for: it is in force from now on.
    Approve {
        #[command(flatten)]
        of: Of,
        /// The number of the bypass.
        #[arg(long)]
        id: u32,
        /// Your name.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// End a bypass, or take a request back.
    Revoke {
        #[command(flatten)]
        of: Of,
        /// The number of the bypass.
        #[arg(long)]
        id: u32,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Your name.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Every bypass that was ever asked for, and how it stands.
    List {
        #[command(flatten)]
        of: Of,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

fn check(text: &str) -> Result<CheckId, String> {
    let named = || serde_json::from_value(text.to_lowercase().into()).ok();
    let check = text.parse().map_or_else(|_| named(), CheckId::numbered);
    check.ok_or_else(|| {
        let names = CheckId::ALL.map(|check| serde_json::to_string(&check).unwrap_or_default());
        format!("no such check; there are {}", names.join(", ").replace('"', ""))
    })
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if hours > 0.0 && hours.is_finite() { Ok(hours) } else { Err("expected more than 0".to_owned()) }
}

/// Does what was asked; gives what is to be said.
///
/// # Errors
/// A plant file that is faulty, a name that it does not have, a state that cannot be read or written, an act that the rules
/// refuse.
pub fn perform(args: BypassArgs) -> anyhow::Result<String> {
    match args.task {
        Task::Request { of, check, tag, mv, reason, hours, by } => {
            let (plant, trail) = of.open()?;
            let target = target(&plant, tag, mv)?;
            let request = Request { check, target, reason, life_s: whole_seconds(hours) };
            let id = act(&trail, by, |next| request.numbered(next))?;
            Ok(format!("bypass {id} waits for an approval by another person: outrigger bypass approve --id {id}"))
        }
        Task::Approve { of, id, by } => {
            let trail = of.open()?.1;
            act(&trail, by, |_| Act::Approve { id })?;
            let book = trail.read()?;
            let shown = book.all().iter().find(|shown| shown.id == id);
            let one_account = shown.filter(|shown| {
                shown.approved.as_ref().is_some_and(|(approver, _)| approver.os_user == shown.requested_by.os_user)
            });
            let note =
                if one_account.is_some() { "\nnote: both acts came from one account; the trail says so" } else { "" };
            let until = shown.map(|shown| standing(shown, now()?)).transpose()?.unwrap_or_default();
            Ok(format!("bypass {id} is {until}{note}"))
        }
        Task::Revoke { of, id, reason, by } => {
            act(&of.open()?.1, by, |_| Act::Revoke { id, reason })?;
            Ok(format!("bypass {id} is revoked"))
        }
        Task::List { of, json } => list(&of.open()?.1, json),
    }
}

impl Of {
    fn open(self) -> anyhow::Result<(PlantFile, Trail)> {
        let plant = load(&self.plant)?.plant;
        let folder = self.state.unwrap_or_else(|| usual_folder(&plant.name));
        Ok((plant, Trail::of(&folder)))
    }
}

struct Request {
    check: CheckId,
    target: Target,
    reason: String,
    life_s: u64,
}

impl Request {
    fn numbered(self, id: u32) -> Act {
        let Self { check, target, reason, life_s } = self;
        Act::Request { id, check, target, reason, life_s }
    }
}

fn target(plant: &PlantFile, tag: Option<String>, mv: Option<String>) -> anyhow::Result<Target> {
    let names = names(plant);
    let (target, there) = match (tag, mv) {
        (Some(tag), _) => (Target::Tag(tag), &names.tags),
        (None, Some(mv)) => (Target::Mv(mv), &names.mvs),
        (None, None) => return Ok(Target::Loop),
    };
    if names.subject(&target).is_none() {
        anyhow::bail!("{target} is not in the plant file; there are {}", there.join(", "));
    }
    Ok(target)
}

/// Writes an act down; gives the number of the bypass. What the rules refuse is an error, and written down too.
fn act(trail: &Trail, name: String, act: impl FnOnce(u32) -> Act) -> anyhow::Result<u32> {
    let by = Account { name: name.trim().to_owned(), os_user: account::os_user() };
    let (act, acted) = trail.act((by, now()?), |book| act(book.next_id()))?;
    acted?;
    let (Act::Request { id, .. } | Act::Approve { id } | Act::Revoke { id, .. }) = act;
    Ok(id)
}

fn now() -> anyhow::Result<Calendar> {
    calendar().ok_or_else(|| anyhow::anyhow!("the clock of this machine says a time before 1970"))
}

fn standing(shown: &Shown, at: Calendar) -> anyhow::Result<String> {
    let standing = shown.standing(at);
    Ok(match standing {
        Standing::InForce(until) => format!("in force until {}", date(until)),
        other => other.to_string(),
    })
}

fn list(trail: &Trail, json: bool) -> anyhow::Result<String> {
    let (book, now) = (trail.read()?, now()?);
    if json {
        let with_standing = book.all().iter().map(|shown| {
            let mut value = serde_json::to_value(shown)?;
            if let Some(object) = value.as_object_mut() {
                object.insert("standing".to_owned(), shown.standing(now).to_string().into());
            }
            Ok(value)
        });
        return Ok(serde_json::to_string(&with_standing.collect::<serde_json::Result<Vec<_>>>()?)?);
    }
    let lines = book.all().iter().map(|shown| {
        let Shown { id, check, target, reason, requested_by, .. } = shown;
        let approver = shown.approved.as_ref().map_or_else(String::new, |(by, _)| format!(", approved by {}", by.name));
        let standing = standing(shown, now)?;
        let (number, asked) = (check.number(), &requested_by.name);
        Ok(format!("{id}: check {number} ({check:?}) on {target}: {standing}; {reason} (asked by {asked}{approver})"))
    });
    let lines = lines.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(if lines.is_empty() { "none".to_owned() } else { lines.join("\n") })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hours are above 0, and the cast saturates")]
fn whole_seconds(hours: f64) -> u64 {
    (hours * 3600.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_known_by_name_and_number() {
        for (text, found) in [("age", CheckId::Age), ("2", CheckId::Age), ("Solver_Status", CheckId::SolverStatus)] {
            assert_eq!(check(text), Ok(found), "{text}");
        }
        for text in ["0", "25", "old", ""] {
            assert!(check(text).unwrap_err().contains("age"), "{text}");
        }
    }

    #[test]
    fn hours_are_a_number_above_0() {
        assert_eq!(hours("1.5").map(whole_seconds), Ok(5400));
        for bad in ["0", "-1", "nan", "inf", "two"] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }
}

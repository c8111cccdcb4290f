//! `outrigger commission`: what the papers of a loop say, and what persons add to them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use actors::kernel::Clock;
use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::Dossier;
use super::admission::List;
use super::approvals::{Act, Person, approvals, os_user};
use super::evidence::{Shown, replace};
use super::hashes::Hashes;
use super::ladder::{Lack, Missing, Standing};
use crate::config::{Loaded, Mode, PlantFile};

/// What to do with the papers of a loop.
#[derive(Debug, Args)]
pub struct CommissionArgs {
    /// The task.
    #[command(subcommand)]
    pub task: Task,
}

/// A task.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Say how far the loop may go, on what evidence, and what is missing.
    Status {
        /// The loop.
        #[command(flatten)]
        of: Of,
        /// Answer in JSON.
        #[arg(long)]
        json: bool,
    },
    /// Approve a step. Refused while anything but approvals is missing for it.
    Approve(Signed),
    /// Take every earlier approval of a step back, for whatever hashes it was given.
    Revoke(Signed),
    /// Accept a HIL certificate, if it is valid for this loop now.
    AcceptCertificate {
        /// The loop.
        #[command(flatten)]
        of: Of,
        /// The certificate.
        file: PathBuf,
    },
}

/// Which loop.
#[derive(Debug, Args)]
pub struct Of {
    /// The plant file.
    pub plant: PathBuf,
    /// Another server than the file's, as for `outrigger run`: evidence of one server is none for another.
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
}

/// What a person puts a name to.
#[derive(Debug, Args)]
pub struct Signed {
    /// The loop.
    #[command(flatten)]
    pub of: Of,
    /// The step.
    #[arg(long, value_enum)]
    pub step: Step,
    /// The MV, by the plant's name; for closed loop.
    #[arg(long, value_name = "TAG")]
    pub mv: Option<String>,
    /// The person's name.
    #[arg(long, value_name = "NAME", value_parser = word)]
    pub by: String,
    /// The role in which the person acts.
    #[arg(long, value_parser = word)]
    pub role: String,
    /// Why.
    #[arg(long, value_parser = word)]
    pub reason: String,
}

/// A step that needs approval.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Step {
    /// Recommendations.
    Advisory,
    /// Control.
    ClosedLoop,
}

impl From<Step> for Mode {
    fn from(step: Step) -> Self {
        match step {
            Step::Advisory => Self::Advisory,
            Step::ClosedLoop => Self::ClosedLoop,
        }
    }
}

fn word(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("expected some words".to_owned()) } else { Ok(text.to_owned()) }
}

impl Task {
    /// The plant file, and another endpoint than its own.
    #[must_use]
    pub fn plant(&self) -> (&Path, &Option<String>) {
        let (Self::Status { of, .. }
        | Self::AcceptCertificate { of, .. }
        | Self::Approve(Signed { of, .. })
        | Self::Revoke(Signed { of, .. })) = self;
        (&of.plant, &of.endpoint)
    }
}

/// Does a task.
///
/// # Errors
/// A record that cannot be used, a certificate that does not count, an approval that comes too early.
#[allow(clippy::print_stdout, reason = "what a person asked for")]
pub fn perform(task: &Task, loaded: &Loaded) -> anyhow::Result<()> {
    let (dossier, now_s) = (Dossier::of(loaded)?, Clock::calendar_s());
    match task {
        Task::Status { json, .. } => {
            let status = Status::read(&dossier, loaded, now_s)?;
            if *json {
                println!("{}", serde_json::to_string(&status)?);
            } else {
                print!("{}", status.table()?);
            }
        }
        Task::Approve(signed) => println!("{}", approve(&dossier, signed, now_s)?),
        Task::Revoke(signed) => println!("{}", revoke(&dossier, signed, now_s)?),
        Task::AcceptCertificate { file, .. } => {
            let certificate = dossier.certificate(file, now_s).context("the certificate is refused")?;
            let (campaign, key) = (certificate.claims.campaign.clone(), certificate.claims.key.clone());
            replace(&dossier.certificate_file(), &(serde_json::to_string_pretty(&certificate)? + "\n"))?;
            let act = Act::Certificate { campaign, key, os_user: os_user() };
            dossier.audit().append(&dossier.binding.id(), act, now_s)?;
            println!("accepted, until {}", certificate.claims.expires);
        }
    }
    Ok(())
}

fn approve(dossier: &Dossier, signed: &Signed, now_s: u64) -> anyhow::Result<String> {
    let (step, mv) = subject(dossier, signed)?;
    if step == Mode::ClosedLoop && mv.is_none() {
        bail!("closed loop is approved one MV at a time: say which with --mv");
    }
    let concerns = |missing: &Missing| {
        missing.step < step || (missing.step == step && !matches!(missing.what, Lack::Approvals { .. }))
    };
    let early: Vec<Missing> = dossier.standing(now_s)?.missing.into_iter().filter(concerns).collect();
    if !early.is_empty() {
        bail!("there is nothing yet to approve; missing before:{}", List(&early));
    }
    let act = Act::Approve { step, mv: mv.clone(), by: person(signed), reason: signed.reason.clone() };
    dossier.audit().append(&dossier.binding.id(), act, now_s)?;
    let entries = dossier.audit().entries()?;
    let persons = approvals(&entries, &dossier.binding.id(), step, mv.as_deref());
    let names: Vec<&str> = persons.iter().map(|person| person.name.as_str()).collect();
    Ok(format!("{step}{} is approved by: {}", of_mv(mv.as_deref()), names.join(", ")))
}

fn revoke(dossier: &Dossier, signed: &Signed, now_s: u64) -> anyhow::Result<String> {
    let (step, mv) = subject(dossier, signed)?;
    let act = Act::Revoke { step, mv: mv.clone(), by: person(signed), reason: signed.reason.clone() };
    dossier.audit().append(&dossier.binding.id(), act, now_s)?;
    Ok(format!("{step}{} is approved by nobody; a run stands down within seconds", of_mv(mv.as_deref())))
}

fn subject(dossier: &Dossier, signed: &Signed) -> anyhow::Result<(Mode, Option<String>)> {
    let (step, mvs) = (Mode::from(signed.step), &dossier.requirements.mvs);
    match &signed.mv {
        Some(_) if step == Mode::Advisory => bail!("advisory is approved for the whole loop, without --mv"),
        Some(mv) if !mvs.contains(mv) => bail!("the loop has no MV \"{mv}\"; it has {}", mvs.join(", ")),
        mv => Ok((step, mv.clone())),
    }
}

fn person(signed: &Signed) -> Person {
    Person { name: signed.by.clone(), role: signed.role.clone(), os_user: os_user() }
}

fn of_mv(mv: Option<&str>) -> String {
    mv.map_or_else(String::new, |mv| format!(" of {mv}"))
}

/// The papers of a loop, for people and as JSON. Numbers of a CV are in its tag's unit.
#[derive(Debug, Serialize)]
struct Status {
    name: String,
    asked: Mode,
    permitted: Mode,
    mvs: Vec<MvStatus>,
    binding: String,
    hashes: Hashes,
    site: String,
    certificate: String,
    modes: Vec<ModeStatus>,
    advisory_approvals: Vec<Person>,
    missing: Vec<Missing>,
    missing_text: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MvStatus {
    tag: String,
    permitted: bool,
    approvals: Vec<Person>,
}

#[derive(Debug, Serialize)]
struct ModeStatus {
    mode: Mode,
    hours: f64,
    hours_beyond: f64,
    hours_needed: Option<f64>,
    cvs: Vec<CvStatus>,
}

#[derive(Debug, Serialize)]
struct CvStatus {
    tag: String,
    unit: &'static str,
    n: u32,
    rmse: f64,
    rmse_max: f64,
    bias: f64,
    bias_max: f64,
    r2: Option<f64>,
    r2_min: f64,
}

impl Status {
    fn read(dossier: &Dossier, loaded: &Loaded, now_s: u64) -> anyhow::Result<Self> {
        let (plant, id, evidence) = (&loaded.plant, dossier.binding.id(), dossier.evidence()?);
        let Standing { step, mvs, missing } = dossier.standing(now_s)?;
        let entries = dossier.audit().entries()?;
        let persons = |step, mv: Option<&str>| -> Vec<Person> {
            approvals(&entries, &id, step, mv).into_iter().cloned().collect()
        };
        let certificate = match dossier.certificate(&dossier.certificate_file(), now_s) {
            Ok(valid) => format!("{}, valid until {}", valid.claims.campaign, valid.claims.expires),
            Err(why) => why.to_string(),
        };
        let of = |mode, shown: &Shown, needed| ModeStatus {
            mode,
            hours: shown.hours(),
            hours_beyond: shown.seconds_beyond / 3600.0,
            hours_needed: needed,
            cvs: cvs(plant, shown),
        };
        let required = &dossier.requirements;
        let tags = required.mvs.iter().zip(&mvs);
        Ok(Self {
            name: plant.name.clone(),
            asked: plant.mode,
            permitted: step,
            mvs: tags
                .map(|(tag, permitted)| MvStatus {
                    tag: tag.clone(),
                    permitted: *permitted,
                    approvals: persons(Mode::ClosedLoop, Some(tag)),
                })
                .collect(),
            binding: id.clone(),
            hashes: dossier.binding.hashes.clone(),
            site: dossier.binding.site.clone(),
            certificate,
            modes: vec![
                of(Mode::Shadow, &evidence.shadow, Some(required.shadow_hours)),
                of(Mode::Advisory, &evidence.advisory, Some(required.advisory_hours)),
                of(Mode::ClosedLoop, &evidence.closed_loop, None),
            ],
            advisory_approvals: persons(Mode::Advisory, None),
            missing_text: missing.iter().map(ToString::to_string).collect(),
            missing,
        })
    }

    fn table(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        let Hashes { configuration, model, binary } = &self.hashes;
        writeln!(out, "loop {}: {} permitted; the file asks for {}", self.name, self.permitted, self.asked)?;
        writeln!(out, "bound to {}", self.binding)?;
        for (what, hash) in
            [("configuration", configuration), ("model", model), ("binary", binary), ("site", &self.site)]
        {
            writeln!(out, "  {what:<14}{hash}")?;
        }
        writeln!(out, "HIL certificate: {}", self.certificate)?;
        for mode in &self.modes {
            mode.tell(&mut out)?;
        }
        writeln!(out, "approvals")?;
        let names = |persons: &[Person]| match persons {
            [] => "nobody".to_owned(),
            some => some.iter().map(|p| format!("{} ({})", p.name, p.role)).collect::<Vec<_>>().join(", "),
        };
        writeln!(out, "  advisory: {}", names(&self.advisory_approvals))?;
        for mv in &self.mvs {
            let may = if mv.permitted { "permitted" } else { "not permitted" };
            writeln!(out, "  closed-loop of {}: {}; {may}", mv.tag, names(&mv.approvals))?;
        }
        let missing = if self.missing.is_empty() { " nothing".to_owned() } else { List(&self.missing).to_string() };
        writeln!(out, "missing:{missing}")?;
        Ok(out)
    }
}

impl ModeStatus {
    fn tell(&self, out: &mut String) -> std::fmt::Result {
        let needed = self.hours_needed.map_or_else(String::new, |hours| format!(" of {hours} h"));
        let ModeStatus { mode, hours, hours_beyond, cvs, .. } = self;
        writeln!(out, "{mode}: {hours:.2} h{needed}; beyond the limits {hours_beyond:.2} h")?;
        for cv in cvs.iter().filter(|cv| cv.n > 0) {
            let CvStatus { tag, unit, n, rmse, rmse_max, bias, bias_max, r2, r2_min } = cv;
            let r2 = r2.map_or_else(|| "-".to_owned(), |r2| format!("{r2:.3}"));
            writeln!(
                out,
                "  {tag:<10} n {n:<7} RMSE {rmse:.4} (max {rmse_max:.4})  bias {bias:+.4} (max {bias_max:.4}) {unit}  R2 {r2} (min {r2_min})"
            )?;
        }
        Ok(())
    }
}

fn cvs(plant: &PlantFile, shown: &Shown) -> Vec<CvStatus> {
    let status = |(i, cv): (usize, &crate::config::Cv)| {
        let fit = shown.fits.get(i).copied().unwrap_or_default();
        let span = |model: f64| model / cv.tag.to_model.span(1.0);
        CvStatus {
            tag: cv.tag.name.clone(),
            unit: cv.tag.unit.symbol(),
            n: fit.n(),
            rmse: span(fit.rmse()),
            rmse_max: span(cv.accuracy.rmse_max),
            bias: span(fit.bias()),
            bias_max: span(cv.accuracy.bias_max),
            r2: fit.r2(),
            r2_min: cv.accuracy.r2_min,
        }
    };
    plant.cvs.iter().enumerate().map(status).collect()
}

//! What the operator, or the campaign that plays the operator, can tell the rig: one line, one command.
//!
//! Place in the loop: standard input of `outrigger-hil`, the `[[operator]]` timeline of a plant file, and tests.

use std::fmt;
use std::str::FromStr;

use signals::dcs::{ModeRequest, MvMode};
use signals::vote::TRANSMITTERS;

use crate::fault::{ActuatorFault, BadQuality, FaultError, NotANumber, SensorFault, Status, Stuck};

/// A measured variable, numbered from 0; written `CV1`, `DV1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// A controlled variable.
    Cv(usize),
    /// A measured disturbance.
    Dv(usize),
}

/// A transmitter: written `CV1` for the variable's own, `CV1.B` and `CV1.C` for its spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// What it measures.
    pub of: Measured,
    /// Which of its transmitters: 0 is its own.
    pub number: usize,
}

/// What stands behind a variable's name for each of its transmitters.
const SPARES: [&str; TRANSMITTERS] = ["", ".B", ".C"];

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cv(n) => write!(f, "CV{}", n + 1),
            Self::Dv(n) => write!(f, "DV{}", n + 1),
        }
    }
}

impl From<Measured> for Instrument {
    /// The variable's own transmitter.
    fn from(of: Measured) -> Self {
        Self { of, number: 0 }
    }
}

impl FromStr for Instrument {
    type Err = CommandError;

    fn from_str(word: &str) -> Result<Self, CommandError> {
        let spare = |(number, letter): (usize, &&str)| word.strip_suffix(*letter).map(|of| (of, number));
        let (of, number) = SPARES.iter().enumerate().skip(1).find_map(spare).unwrap_or((word, 0));
        Ok(Self { of: measured(of)?, number })
    }
}

impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.of, SPARES.get(self.number).unwrap_or(&".?"))
    }
}

/// What a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// He takes it.
    Accept,
    /// He declines it.
    Reject,
}

/// What an operator does at a slave loop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SlaveAction {
    /// Changes the mode; not to RCAS, which only the hand-shake reaches.
    Mode(MvMode),
    /// Sets the set-point, in AUTO.
    Setpoint(f64),
    /// Sets the output in percent, in MAN.
    Output(f64),
}

/// A command, understood. The line that gives each is in its description.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// `mode off|warm|advisory|on`: the operator's request.
    Mode(ModeRequest),
    /// `engage`: a lease, and the hand-shake for every MV that is switched on.
    Engage,
    /// `permit on|off`: the DCS's permissives.
    Permit(bool),
    /// `sp CV1 0.85`.
    Setpoint(usize, f64),
    /// `limits CV2 100 140`.
    CvLimits(usize, f64, f64),
    /// `limits MV1 5 100`.
    MvLimits(usize, f64, f64),
    /// `mv MV1 on|off`.
    MvSwitch(usize, bool),
    /// `cv CV1 on|off`.
    CvSwitch(usize, bool),
    /// `dv DV1 on|off`.
    DvSwitch(usize, bool),
    /// `slave MV1 man|auto|cas`, `slave MV1 sp 20`, `slave MV1 out 35`.
    Slave(usize, SlaveAction),
    /// `disturb CA0 4.8`: any disturbance of the model, measured or not.
    Disturb(String, f64),
    /// `accept 7 Meyer`, `reject 7 Meyer`: the answer of that person to that recommendation.
    Answer(Answer, u32, String),
    /// `answers checked|unchecked`: whether the DCS itself refuses stale answers, or leaves that to the application.
    CheckAnswers(bool),
    /// `rearm`: the watchdog's latch.
    Rearm,
    /// `server stop|start`.
    Server(bool),
    /// `fault CV1 drift per_s=0.01`, `fault CV1.B off`; short for some: `quality CV1 bad|uncertain|good`,
    /// `pv CV1 nan|frozen|<number>|off`.
    SensorFault(Instrument, Option<SensorFault>),
    /// `fault MV1 slow stroke_s=300`, `fault MV1 off`.
    ActuatorFault(usize, Option<ActuatorFault>),
    /// `writes MV1 lost|taken`: set-points are confirmed and dropped, as by a gateway whose far side is down.
    Writes(usize, bool),
    /// `quit`.
    Quit,
}

/// A command that was not carried out; nothing has changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CommandError {
    /// The line is no command.
    #[error("`{line}` is no command; the forms are: {FORMS}")]
    Unknown {
        /// The line.
        line: String,
    },
    /// A number cannot be used.
    #[error("`{word}` is not a finite number")]
    NotANumber {
        /// What was written.
        word: String,
    },
    /// The variable does not exist here.
    #[error("there is no {what}")]
    NoSuchVariable {
        /// What was named.
        what: String,
    },
    /// The CV has limits only.
    #[error("CV{number} has no set-point")]
    NoSetpoint {
        /// Its number, from 1.
        number: usize,
    },
    /// The hand-over cannot begin.
    #[error("cannot engage: {why}")]
    CannotEngage {
        /// What stands against it.
        why: &'static str,
    },
    /// The recommendation does not wait for an answer.
    #[error("recommendation {id} cannot be answered: {why}")]
    StaleRecommendation {
        /// Its number.
        id: u32,
        /// Why not.
        why: &'static str,
    },
    /// An answer without a name.
    #[error("an answer needs the name of who gives it")]
    Unsigned,
    /// The slave loop is in another mode than the action needs.
    #[error("MV{number} is in {mode:?}, which does not take this")]
    WrongMode {
        /// Its number, from 1.
        number: usize,
        /// The mode.
        mode: MvMode,
    },
    /// The fault cannot be injected.
    #[error("no such fault: {why}")]
    BadFault {
        /// Why not, in words.
        why: String,
    },
    /// The value lies outside what the DCS lets pass.
    #[error("{value} is outside {low} to {high}")]
    OutOfRange {
        /// The value.
        value: f64,
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
    },
}

const FORMS: &str = "mode off|warm|advisory|on, engage, permit on|off, sp CVn X, limits CVn|MVn LO HI, mv MVn on|off, \
    cv CVn on|off, dv DVn on|off, slave MVn man|auto|cas, slave MVn sp X, slave MVn out PCT, disturb NAME X, \
    accept ID USER, reject ID USER, answers checked|unchecked, rearm, \
    server stop|start, fault CVn|DVn[.B|.C]|MVn KIND key=value ..., fault CVn|DVn[.B|.C]|MVn off, \
    quality CVn|DVn[.B|.C] good|uncertain|bad, pv CVn|DVn[.B|.C] nan|frozen|X|off, writes MVn lost|taken, \
    quit";

impl From<FaultError> for CommandError {
    fn from(error: FaultError) -> Self {
        Self::BadFault { why: error.to_string() }
    }
}

/// What the shell around the rig has to do; the rig itself has done its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// Nothing.
    Done,
    /// Take the OPC UA server and its connections down.
    ServerStop,
    /// Bring the OPC UA server up again on its port.
    ServerStart,
    /// End the run.
    Quit,
}

fn number(word: &str) -> Result<f64, CommandError> {
    let parsed = word.parse::<f64>().ok().filter(|v| v.is_finite());
    parsed.ok_or_else(|| CommandError::NotANumber { word: word.to_owned() })
}

/// `kind` followed by a number from 1, such as `CV1`; gives it counted from 0.
fn index(word: &str, kind: &str) -> Result<usize, CommandError> {
    let no_such = || CommandError::NoSuchVariable { what: word.to_owned() };
    let digits = word.strip_prefix(kind).ok_or_else(no_such)?;
    digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1)).ok_or_else(no_such)
}

fn measured(word: &str) -> Result<Measured, CommandError> {
    if word.starts_with("DV") { index(word, "DV").map(Measured::Dv) } else { index(word, "CV").map(Measured::Cv) }
}

fn instrument(word: &str) -> Result<Instrument, CommandError> {
    word.parse()
}

fn switch(word: &str) -> Option<bool> {
    match word {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

fn limits(word: &str, low: &str, high: &str) -> Result<Command, CommandError> {
    let (low, high) = (number(low)?, number(high)?);
    if word.starts_with("MV") {
        Ok(Command::MvLimits(index(word, "MV")?, low, high))
    } else {
        Ok(Command::CvLimits(index(word, "CV")?, low, high))
    }
}

fn slave_mode(word: &str) -> Option<MvMode> {
    match word {
        "man" => Some(MvMode::Man),
        "auto" => Some(MvMode::Auto),
        "cas" => Some(MvMode::Cas),
        _ => None,
    }
}

fn mode_request(word: &str) -> Option<ModeRequest> {
    ModeRequest::ALL.iter().copied().find(|m| m.label().to_lowercase() == word)
}

/// The words behind `quality CV1`.
fn quality(word: &str) -> Option<Option<SensorFault>> {
    let status = match word {
        "good" => return Some(None),
        "uncertain" => Status::Uncertain,
        "bad" => Status::Bad,
        _ => return None,
    };
    Some(Some(SensorFault::BadQuality(BadQuality { status })))
}

/// The words behind `pv CV1`.
fn forced(word: &str) -> Result<Option<SensorFault>, CommandError> {
    Ok(Some(match word {
        "off" => return Ok(None),
        "nan" => SensorFault::NotANumber(NotANumber {}),
        "frozen" => SensorFault::Stuck(Stuck { at: None }),
        value => SensorFault::Stuck(Stuck { at: Some(number(value)?) }),
    }))
}

/// The words behind `fault`: a variable, and `off` or a fault.
fn fault(tag: &str, words: &[&str]) -> Result<Command, CommandError> {
    let bad = |why| CommandError::BadFault { why };
    let mends = words == ["off"];
    if tag.starts_with("MV") {
        let fault = if mends { None } else { Some(ActuatorFault::from_words(words).map_err(bad)?) };
        return Ok(Command::ActuatorFault(index(tag, "MV")?, fault));
    }
    let fault = if mends { None } else { Some(SensorFault::from_words(words).map_err(bad)?) };
    Ok(Command::SensorFault(instrument(tag)?, fault))
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(line: &str) -> Result<Self, CommandError> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let unknown = || CommandError::Unknown { line: line.trim().to_owned() };
        Ok(match words.as_slice() {
            ["mode", mode] => Self::Mode(mode_request(mode).ok_or_else(unknown)?),
            ["engage"] => Self::Engage,
            ["permit", word] => Self::Permit(switch(word).ok_or_else(unknown)?),
            ["sp", cv, value] => Self::Setpoint(index(cv, "CV")?, number(value)?),
            ["limits", tag, low, high] => limits(tag, low, high)?,
            ["mv", mv, word] => Self::MvSwitch(index(mv, "MV")?, switch(word).ok_or_else(unknown)?),
            ["cv", cv, word] => Self::CvSwitch(index(cv, "CV")?, switch(word).ok_or_else(unknown)?),
            ["dv", dv, word] => Self::DvSwitch(index(dv, "DV")?, switch(word).ok_or_else(unknown)?),
            ["slave", mv, "sp", value] => Self::Slave(index(mv, "MV")?, SlaveAction::Setpoint(number(value)?)),
            ["slave", mv, "out", value] => Self::Slave(index(mv, "MV")?, SlaveAction::Output(number(value)?)),
            ["slave", mv, mode] => {
                Self::Slave(index(mv, "MV")?, SlaveAction::Mode(slave_mode(mode).ok_or_else(unknown)?))
            }
            ["disturb", name, value] => Self::Disturb((*name).to_owned(), number(value)?),
            ["accept", id, user] => {
                Self::Answer(Answer::Accept, id.parse().map_err(|_| unknown())?, (*user).to_owned())
            }
            ["reject", id, user] => {
                Self::Answer(Answer::Reject, id.parse().map_err(|_| unknown())?, (*user).to_owned())
            }
            ["answers", "checked"] => Self::CheckAnswers(true),
            ["answers", "unchecked"] => Self::CheckAnswers(false),
            ["rearm"] => Self::Rearm,
            ["server", "stop"] => Self::Server(false),
            ["server", "start"] => Self::Server(true),
            ["fault", tag, words @ ..] => fault(tag, words)?,
            ["quality", tag, word] => Self::SensorFault(instrument(tag)?, quality(word).ok_or_else(unknown)?),
            ["pv", tag, word] => Self::SensorFault(instrument(tag)?, forced(word)?),
            ["writes", mv, "lost"] => Self::Writes(index(mv, "MV")?, false),
            ["writes", mv, "taken"] => Self::Writes(index(mv, "MV")?, true),
            ["quit"] => Self::Quit,
            _ => return Err(unknown()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sick(of: Instrument, words: &str) -> Command {
        let words: Vec<&str> = words.split(' ').collect();
        Command::SensorFault(of, Some(SensorFault::from_words(&words).unwrap()))
    }

    #[test]
    fn every_form_is_understood() {
        let cv1 = |number| Instrument { of: Measured::Cv(0), number };
        let dv1 = Instrument::from(Measured::Dv(0));
        for (line, command) in [
            ("mode on", Command::Mode(ModeRequest::On)),
            ("  mode   advisory ", Command::Mode(ModeRequest::Advisory)),
            ("engage", Command::Engage),
            ("permit off", Command::Permit(false)),
            ("sp CV1 0.85", Command::Setpoint(0, 0.85)),
            ("limits CV2 100 140", Command::CvLimits(1, 100.0, 140.0)),
            ("limits MV1 5 100", Command::MvLimits(0, 5.0, 100.0)),
            ("mv MV2 off", Command::MvSwitch(1, false)),
            ("cv CV3 on", Command::CvSwitch(2, true)),
            ("dv DV1 off", Command::DvSwitch(0, false)),
            ("slave MV1 man", Command::Slave(0, SlaveAction::Mode(MvMode::Man))),
            ("slave MV1 sp 20", Command::Slave(0, SlaveAction::Setpoint(20.0))),
            ("slave MV1 out 35", Command::Slave(0, SlaveAction::Output(35.0))),
            ("disturb CA0 4.8", Command::Disturb("CA0".to_owned(), 4.8)),
            ("accept 7 Meyer", Command::Answer(Answer::Accept, 7, "Meyer".to_owned())),
            ("reject 8 Meyer", Command::Answer(Answer::Reject, 8, "Meyer".to_owned())),
            ("answers unchecked", Command::CheckAnswers(false)),
            ("answers checked", Command::CheckAnswers(true)),
            ("rearm", Command::Rearm),
            ("server stop", Command::Server(false)),
            ("server start", Command::Server(true)),
            ("quality DV1 uncertain", sick(dv1, "bad_quality status=uncertain")),
            ("quality DV1 good", Command::SensorFault(dv1, None)),
            ("pv CV1 frozen", sick(cv1(0), "stuck")),
            ("pv CV1 nan", sick(cv1(0), "not_a_number")),
            ("pv CV1 1e9", sick(cv1(0), "stuck at=1e9")),
            ("pv CV1 off", Command::SensorFault(cv1(0), None)),
            ("pv CV1.B 7", sick(cv1(1), "stuck at=7")),
            ("quality CV1.C bad", sick(cv1(2), "bad_quality status=bad")),
            ("fault CV2 drift per_s=0.01", sick(Measured::Cv(1).into(), "drift per_s=0.01")),
            ("fault CV1.B off", Command::SensorFault(cv1(1), None)),
            ("fault MV2 off", Command::ActuatorFault(1, None)),
            (
                "fault MV1 slow stroke_s=300",
                Command::ActuatorFault(0, Some(ActuatorFault::from_words(&["slow", "stroke_s=300"]).unwrap())),
            ),
            ("writes MV2 lost", Command::Writes(1, false)),
            ("writes MV1 taken", Command::Writes(0, true)),
            ("quit", Command::Quit),
        ] {
            assert_eq!(line.parse::<Command>(), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_no_command_says_why() {
        for line in [
            "",
            "engage now",
            "mode rcas",
            "slave MV1 rcas",
            "sp CV0 1",
            "sp MV1 1",
            "sp CV1 inf",
            "mv MV1",
            "accept 7",
            "pv CV1.A 7",
            "pv CV1.D 7",
            "sp CV1.B 7",
            "accept x Meyer",
            "fault",
            "fault CV1",
            "fault CV1 slow stroke_s=3",
            "fault MV1 drift per_s=3",
            "fault MV0 off",
        ] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
        assert!("sp CV1 x".parse::<Command>().unwrap_err().to_string().contains("`x` is not a finite number"));
    }
}

//! A table `[[fault]]`.

use std::time::Duration;

use runtime::config::reader::Section;

use super::controller::ControllerFault;
use super::host::HostFault;
use super::network::{LinkFault, Way};
use super::{Fault, Timed};

/// The longest time in a scenario, in seconds: a thousand hours.
pub const TIME_MAX_S: f64 = 3.6e6;

/// Every kind, by family.
pub const KINDS: [(&str, &[&str]); 5] = [
    (
        "sensor",
        &[
            "stuck",
            "drift",
            "bias",
            "noise",
            "spike",
            "dropout",
            "not_a_number",
            "out_of_range",
            "bad_quality",
            "sign_flip",
            "wrong_unit",
            "quantised",
            "slow_sampling",
        ],
    ),
    (
        "actuator",
        &[
            "stiction",
            "saturation",
            "fail_in_place",
            "fail_open",
            "fail_closed",
            "slow",
            "wrong_readback",
            "hysteresis",
        ],
    ),
    (
        "network",
        &[
            "drop",
            "one_way",
            "loss",
            "delay",
            "reorder",
            "duplicate",
            "flap",
            "narrow_band",
            "reset_storm",
            "half_open",
        ],
    ),
    (
        "server and host",
        &[
            "device_restart",
            "session_loss",
            "certificate_expiry",
            "clock_jump",
            "disk_full",
            "io_error",
            "kill",
            "cpu_hog",
            "dcs_watchdog_off",
        ],
    ),
    (
        "controller",
        &[
            "infeasible",
            "time_out",
            "wrong_model",
            "out_of_distribution",
            "panic",
            "nan_weights",
            "corrupt_checkpoint",
            "frozen_output",
        ],
    ),
];

/// The stages that can be crashed, by the names of the loop.
const STAGES: [(&str, &str); 8] = [
    ("sensor", "sensor"),
    ("estimator", "estimator"),
    ("model", "model"),
    ("mpc", "mpc"),
    ("selector", "selector"),
    ("interlock", "interlock"),
    ("recommender", "recommender"),
    ("actuator", "actuator"),
];

fn seconds(s: &Section<'_, '_>, key: &'static str) -> Option<f64> {
    s.between(key, "seconds", 0.001, TIME_MAX_S)
}

/// Reads one table. A fault of the file is noted in the document, and the answer is `None`.
#[must_use]
pub fn read(s: &Section<'_, '_>) -> Option<Timed> {
    let at = s.between("at_s", "seconds from the start of the run", 0.0, TIME_MAX_S);
    let until = s.optional("until_s", "seconds from the start of the run, after `at_s`", |v| {
        let until = runtime::config::reader::number(v)?;
        (until <= TIME_MAX_S && at.is_none_or(|at| until > at)).then_some(until)
    });
    let kinds: Vec<(&str, &str)> = KINDS.iter().flat_map(|(_, kinds)| kinds.iter().map(|k| (*k, *k))).collect();
    let kind = s.choice("kind", &kinds)?;
    let on = s.optional("on", "a text", |v| v.as_str().map(str::to_owned))?.unwrap_or_default();
    let fault = at_the_rig(s, kind, &on)
        .or_else(|| link(s, kind))
        .or_else(|| host(s, kind))
        .or_else(|| controller(s, kind, &on));
    let span = |s: f64| Duration::from_secs_f64(s);
    Some(Timed { at: span(at?), until: until?.map(span), kind: kind.to_owned(), on, fault: fault? })
}

/// The parameters of the rig's faults.
const PARAMETERS: [&str; 18] = [
    "at",
    "per_s",
    "by",
    "sd",
    "size",
    "probability",
    "side",
    "by_pct",
    "status",
    "factor",
    "offset",
    "step",
    "every_s",
    "static_pct",
    "kinetic_pct",
    "low_pct",
    "high_pct",
    "band_pct",
];

/// A fault of an instrument or a valve; the rig judges its parameters.
fn at_the_rig(s: &Section<'_, '_>, kind: &str, on: &str) -> Option<Fault> {
    let families = KINDS.iter().take(2).flat_map(|(_, kinds)| kinds.iter());
    families.into_iter().find(|name| **name == kind)?;
    let mut words = kind.to_owned();
    for key in PARAMETERS.iter().copied().chain(["stroke_s"]) {
        let value = s.optional(key, "a number or a word", |v| {
            let number = runtime::config::reader::number(v).map(|number| number.to_string());
            number.or_else(|| v.as_str().map(str::to_owned))
        })?;
        if let Some(value) = value {
            words = format!("{words} {key}={value}");
        }
    }
    if let Err(error) = format!("fault {on} {words}").parse::<rig::Command>() {
        s.fault("kind", format!("a fault that the rig can have on {on:?}: {error}"));
    }
    Some(Fault::AtTheRig(words))
}

fn link(s: &Section<'_, '_>, kind: &str) -> Option<Fault> {
    let share = |usual: f64| {
        s.optional("share", "a share, from 0 to 1", |v| {
            runtime::config::reader::number(v).filter(|x| (0.0..=1.0).contains(x))
        })
        .map(|share| share.unwrap_or(usual))
    };
    Some(Fault::Link(match kind {
        "drop" => LinkFault::Drop,
        "one_way" => LinkFault::OneWay { way: s.choice("way", &[("in", Way::In), ("out", Way::Out)])? },
        "loss" => LinkFault::Loss { share: share(0.2)? },
        "delay" => LinkFault::Delay { delay_s: seconds(s, "delay_s")? },
        "reorder" => LinkFault::Reorder { share: share(0.2)?, back: s.count("back", 1, 15)? as usize },
        "duplicate" => LinkFault::Duplicate { share: share(0.2)? },
        "flap" => LinkFault::Flap { up_s: seconds(s, "up_s")?, down_s: seconds(s, "down_s")? },
        "narrow_band" => LinkFault::NarrowBand { every_s: seconds(s, "every_s")? },
        "reset_storm" => LinkFault::ResetStorm { every_s: seconds(s, "every_s")?, down_s: seconds(s, "down_s")? },
        "half_open" => {
            LinkFault::HalfOpen { silent_s: seconds(s, "silent_s")?, reconnect_s: seconds(s, "reconnect_s")? }
        }
        _ => return None,
    }))
}

fn host(s: &Section<'_, '_>, kind: &str) -> Option<Fault> {
    Some(Fault::Host(match kind {
        "device_restart" => HostFault::DeviceRestart,
        "session_loss" => HostFault::SessionLoss,
        "certificate_expiry" => HostFault::CertificateExpiry,
        "clock_jump" => HostFault::ClockJump { by_s: s.between("by_s", "seconds", -TIME_MAX_S, TIME_MAX_S)? },
        "disk_full" => HostFault::DiskFull,
        "io_error" => HostFault::IoError,
        "kill" => HostFault::Kill,
        "cpu_hog" => HostFault::CpuHog { stall_s: seconds(s, "stall_s")?, every_s: seconds(s, "every_s")? },
        "dcs_watchdog_off" => HostFault::DcsWatchdogOff,
        _ => return None,
    }))
}

fn controller(s: &Section<'_, '_>, kind: &str, on: &str) -> Option<Fault> {
    let stage = || s.choice("on", &STAGES).map(str::to_owned);
    Some(Fault::Controller(match kind {
        "infeasible" => ControllerFault::Infeasible,
        "time_out" => ControllerFault::TimeOut { late_s: seconds(s, "late_s")? },
        "wrong_model" => {
            let number = on.strip_prefix("MV").and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
            let Some(input) = number else {
                s.fault("on", "an MV such as \"MV1\"");
                return None;
            };
            ControllerFault::WrongModel { input, gain: s.number("gain", "a factor on the input's gain")? }
        }
        "out_of_distribution" => ControllerFault::OutOfDistribution,
        "panic" => ControllerFault::Panic { stage: stage()?, times: s.count("times", 1, 1000)? },
        "nan_weights" => ControllerFault::NanWeights,
        "corrupt_checkpoint" => ControllerFault::CorruptCheckpoint { stage: stage()? },
        "frozen_output" => ControllerFault::FrozenOutput,
        _ => return None,
    }))
}

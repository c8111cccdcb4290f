//! How late a beat is let go: our pacer, `cyclictest`, and tokio's interval, in turns of a second or two.

use std::process::{Command, Stdio};
use std::time::Duration;

use actors::kernel::{Clock, Pacer};
use anyhow::{Context, Result, bail};

use super::control::on_control_thread;
use super::load::Running;
use super::{Load, Options, Run, Samples};

pub(super) const NAMES: [&str; 6] = [
    "release/pacer",
    "release/cyclictest",
    "release/tokio_interval",
    "release/pacer_100hz",
    "release/cyclictest_100hz",
    "release/tokio_interval_100hz",
];

/// `(suffix of the names, period)`.
const RATES: [(&str, Duration); 2] = [("", Duration::from_millis(1)), ("_100hz", Duration::from_millis(10))];
/// Length of a turn, s: `cyclictest` knows whole seconds.
const TURN_S: u64 = 1;

pub(super) fn measure(run: &mut Run<'_>, load: Load) -> Result<()> {
    let options = run.options;
    let _running = Running::start(load)?;
    for (suffix, period) in RATES {
        (run.say)(&format!("release{suffix}, {}", load.name()));
        let [mut pacer, mut cyclictest, mut interval] = [(); 3].map(|()| Samples::default());
        let mut absent = None;
        for _ in 0..options.seconds.div_ceil(TURN_S) {
            let beats = TURN_S as usize * 1_000 / period.as_millis() as usize;
            pacer.extend(of_pacer(options, period, beats)?);
            interval.extend(of_interval(options, period, beats)?);
            if absent.is_none() {
                match of_cyclictest(options, period) {
                    Ok(samples) => cyclictest.extend(samples),
                    Err(why) => absent = Some(why),
                }
            }
        }
        if let Some(why) = absent {
            (run.say)(&format!("no release/cyclictest{suffix}: {why:#} (Debian: apt-get install rt-tests)"));
        }
        for (what, samples) in [("pacer", pacer), ("cyclictest", cyclictest), ("tokio_interval", interval)] {
            run.report.rows.extend(samples.row(&format!("release/{what}{suffix}"), load.name(), None));
        }
    }
    Ok(())
}

fn of_pacer(options: &Options, period: Duration, beats: usize) -> Result<Samples> {
    on_control_thread(options.rt, |runtime| {
        runtime.block_on(async {
            let mut samples = Samples::with_capacity(beats);
            let mut pacer = Pacer::new(&Clock::wall(1.0), period)?;
            for _ in 0..beats {
                let tick = pacer.next().await?;
                samples.push(i64::try_from(tick.lateness.as_nanos())?);
            }
            Ok(samples)
        })
    })
}

#[allow(clippy::disallowed_methods, reason = "tokio's interval is what is measured here")]
fn of_interval(options: &Options, period: Duration, beats: usize) -> Result<Samples> {
    on_control_thread(options.rt, |runtime| {
        runtime.block_on(async {
            let mut samples = Samples::with_capacity(beats);
            let mut interval = tokio::time::interval(period);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            interval.tick().await;
            for _ in 0..beats {
                let due = interval.tick().await;
                samples.push(i64::try_from(due.elapsed().as_nanos())?);
            }
            Ok(samples)
        })
    })
}

/// One thread of `cyclictest`, of the class and priority of our control threads.
fn of_cyclictest(options: &Options, period: Duration) -> Result<Samples> {
    let mut command = Command::new("cyclictest");
    command.args(["--threads=1", "--quiet", "--verbose", "--nsecs"]);
    command.args([format!("--interval={}", period.as_micros()), format!("--duration={TURN_S}")]);
    match options.rt {
        Some(rt) => {
            command.args(["--mlockall".to_owned(), format!("--priority={}", rt.priority)]);
            if let Some(cpu) = rt.cpu {
                command.arg(format!("--affinity={cpu}"));
            }
        }
        None => drop(command.arg("--default-system")),
    }
    let out = command.stdin(Stdio::null()).output().context("cyclictest cannot be started")?;
    if !out.status.success() {
        bail!("cyclictest: {}: {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    let samples = parse(&String::from_utf8_lossy(&out.stdout));
    if samples.is_empty() {
        bail!("cyclictest printed no samples");
    }
    Ok(samples)
}

/// The samples of `--verbose`: lines `thread: count: ns`.
fn parse(text: &str) -> Samples {
    let mut samples = Samples::default();
    for line in text.lines() {
        let mut fields = line.split(':').map(|field| field.trim().parse::<i64>());
        if let (Some(Ok(_thread)), Some(Ok(_count)), Some(Ok(ns)), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        {
            samples.push(ns);
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_cyclictest_are_read_and_its_summary_is_not_a_sample() {
        let text = "Max CPUs = 2\nOnline CPUs = 2\n# /dev/cpu_dma_latency set to 0us\nThread 0 Interval: 1500\n       \
                    0:       0: 3069663\n       0:       1:   80454\n\
                    T: 0 (21516) P:80 I:1000 C:   1000 Min:  16015 Act:   27840 Avg:   31753 Max:   88318\n";
        let row = parse(text).row("release/cyclictest", "idle", None).unwrap();
        assert_eq!((row.n, row.p50_us, row.max_us), (2, 80.454, 3069.663));
    }

    #[test]
    fn both_of_ours_give_a_sample_per_beat() {
        let options = Options { seconds: 1, filter: None, rt: None };
        for of in [of_pacer, of_interval] {
            let samples = of(&options, Duration::from_millis(1), 20).unwrap();
            assert_eq!(samples.len(), 20);
        }
    }
}

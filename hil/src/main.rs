//! `outrigger-hil`: the rig on the command line.
//!
//! `plant` emulates a plant file behind an OPC UA server and obeys commands on standard input; with `--exec` or
//! `--connect` the plant is one outside, and without a plant file it is only looked at. `list`, `check`, `run`, `key` and `soak` are
//! for campaigns ([`hil::cli`]). With `--json` every event is one line of JSON on standard output.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};
use hil::external::{self, ExternalPlant, Place};
use hil::live::{Event, LiveOptions};
use hil::modbus::outside::Outside;
use hil::server::ServerOptions;
use rig::report::Summary;
use rig::{Rig, RigConfig};
use tokio::sync::mpsc;

/// The most commands that wait to be carried out.
const COMMANDS_MAX: usize = 64;

/// An emulated plant and a fake DCS behind an OPC UA server.
#[derive(Debug, Parser)]
#[command(
    name = "outrigger-hil",
    version,
    after_help = "Passwords are read from OUTRIGGER_DCS_PASSWORD (user \
    outrigger) and OUTRIGGER_OPERATOR_PASSWORD (user operator). User certificates are read from \
    PKI/users/outrigger/ and PKI/users/operator/."
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Emulate a plant and serve it; commands are read from standard input, one a line. Without a plant file: look at the
    /// plant outside, print what it offers and a short step response.
    Plant(Plant),
    /// Let a client in: trust its certificate.
    Trust {
        /// The client's certificate, a DER file.
        certificate: PathBuf,
        /// Folder of the certificates; made if missing.
        #[arg(long, default_value = "pki-rig")]
        pki: PathBuf,
    },
    /// Print where each tag lies in the Modbus registers: reference, table, address, registers and quality, type, tag.
    Registers {
        /// The plant file.
        file: PathBuf,
    },
    #[command(flatten)]
    Campaign(hil::cli::Task),
}

#[derive(Debug, clap::Args)]
struct Plant {
    /// The plant file.
    #[arg(required_unless_present_any = ["exec", "connect"])]
    file: Option<PathBuf>,
    /// A program that is the plant, with its arguments behind blanks; the plant file's model is `external`.
    #[arg(long, value_name = "PROGRAM", conflicts_with = "connect")]
    exec: Option<String>,
    /// A TCP peer that is the plant.
    #[arg(long, value_name = "HOST:PORT")]
    connect: Option<String>,
    /// How long the plant outside may take to answer, in wall seconds.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    plant_time_out: f64,
    /// Plant seconds per step of the step response that is printed without a plant file.
    #[arg(long, default_value_t = 1.0, value_parser = seconds)]
    look_step: f64,
    /// Plant seconds per wall second.
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:4855")]
    listen: SocketAddr,
    /// Serve Modbus masters here as well, without any account: whoever reaches it is the application. `registers` has the map.
    #[arg(long, value_name = "ADDRESS")]
    modbus: Option<SocketAddr>,
    /// The slave loop of an MV is in a PLC that serves Modbus: MV1=HOST:PORT, with /REGISTER behind it for its first
    /// register. May be given for each MV.
    #[arg(long, value_name = "MV=PLC")]
    slave: Vec<Outside>,
    /// Folder of the certificates; made if missing.
    #[arg(long, default_value = "pki-rig")]
    pki: PathBuf,
    /// Take client certificates that are not in PKI/trusted. For the laboratory.
    #[arg(long)]
    trust_clients: bool,
    /// Seed of the measurement noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One line of JSON per event.
    #[arg(long)]
    json: bool,
    /// End after this many seconds of wall time.
    #[arg(long, value_name = "WALL_SECONDS")]
    seconds: Option<f64>,
}

fn speed(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (0.001..=10_000.0).contains(&value) { Ok(value) } else { Err(format!("{value} is outside 0.001 to 10000")) }
}

fn seconds(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|e| e.to_string())?;
    if (0.001..=86_400.0).contains(&value) { Ok(value) } else { Err(format!("{value} is outside 0.001 to 86400")) }
}

impl Plant {
    /// The plant outside, if there is one.
    fn outside(&self) -> Option<Place> {
        let program = |words: &String| Place::Program(words.split_whitespace().map(str::to_owned).collect());
        self.exec.as_ref().map(program).or_else(|| self.connect.clone().map(Place::Address))
    }

    fn rig(&self, file: &Path) -> anyhow::Result<Rig> {
        Ok(match self.outside() {
            Some(place) => external::rig_around(file, self.seed, &place, Duration::from_secs_f64(self.plant_time_out))?,
            None => Rig::new(RigConfig::load(file)?, self.seed)?,
        })
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let task = Cli::parse().task;
    // A loop that is broken on purpose has much to say that is no news.
    let usual = if matches!(task, Task::Campaign(_)) { "off" } else { "warn" };
    let level = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| usual.into());
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).init();
    match task {
        Task::Plant(plant) if plant.file.is_none() => look(&plant).map(|()| ExitCode::SUCCESS),
        Task::Plant(plant) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start the runtime")?
            .block_on(serve(plant))
            .map(|()| ExitCode::SUCCESS),
        Task::Trust { certificate, pki } => {
            let trusted = hil::server::trust(&pki, &certificate)?;
            writeln!(std::io::stdout(), "trusted: {}", trusted.display())?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Registers { file } => registers(&file).map(|()| ExitCode::SUCCESS),
        Task::Campaign(task) => hil::cli::perform(task),
    }
}

/// What the plant outside offers, and a short step response.
fn look(plant: &Plant) -> anyhow::Result<()> {
    let place = plant.outside().context("neither a plant file nor a plant outside")?;
    let mut outside = ExternalPlant::greet(&place, Duration::from_secs_f64(plant.plant_time_out))?;
    let mut out = std::io::stdout().lock();
    write!(out, "{}", external::describe(outside.offer()))?;
    let names: Vec<_> = outside.offer().outputs.iter().map(|v| v.name.clone()).collect();
    let responses = external::step_responses(&mut outside, plant.look_step).with_context(|| place.to_string())?;
    for response in responses {
        let (from, to) = response.from_to;
        writeln!(out, "{} from {from} to {to}: t in s, {}", response.input, names.join(", "))?;
        for (k, y) in (0_u32..).zip(&response.y) {
            let values: Vec<String> = y.iter().map(|v| format!("{v:>12.6}")).collect();
            writeln!(out, "{:>10.3} {}", f64::from(k) * plant.look_step, values.join(" "))?;
        }
    }
    Ok(())
}

fn registers(file: &Path) -> anyhow::Result<()> {
    let rig = Rig::new(RigConfig::load(file)?, 0)?;
    write!(std::io::stdout().lock(), "{}", hil::modbus::registers(&rig)).context("standard output")
}

async fn serve(plant: Plant) -> anyhow::Result<()> {
    let rig = plant.rig(plant.file.as_deref().context("no plant file")?)?;
    let wall_limit = plant.seconds.map(Duration::try_from_secs_f64).transpose().context("--seconds")?;
    let options = LiveOptions {
        speed: plant.speed,
        wall_limit,
        modbus: plant.modbus,
        outside: plant.slave.clone(),
        server: ServerOptions {
            listen: plant.listen,
            advertised: None,
            pki: plant.pki,
            trust_clients: plant.trust_clients,
            outrigger_password: std::env::var("OUTRIGGER_DCS_PASSWORD").ok(),
            operator_password: std::env::var("OUTRIGGER_OPERATOR_PASSWORD").ok(),
        },
    };
    let json = plant.json;
    let tell = move |event| print(&event, json).is_ok();
    Box::pin(hil::live::run(rig, options, standard_input(), told_to_stop(), tell)).await?;
    Ok(())
}

/// The lines of standard input. Its end is not the end of the run: the channel just falls silent.
fn standard_input() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(COMMANDS_MAX);
    // A thread of its own, left behind at the end: a read from a terminal cannot be cancelled.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Resolves on SIGINT or SIGTERM.
async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupted = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = interrupted => {}
            _ = terminated.recv() => {}
        },
        Err(_) => drop(interrupted.await),
    }
}

fn print(event: &Event, json: bool) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, event)?;
        out.write_all(b"\n")?;
    } else {
        out.write_all(text(event).as_bytes())?;
    }
    out.flush()
}

fn text(event: &Event) -> String {
    match event {
        Event::Ready { endpoint, certificate, modbus } => {
            let modbus = modbus.map(|address| format!("modbus: {address}, without accounts\n")).unwrap_or_default();
            format!("serving {endpoint}, certificate {certificate}\n{modbus}")
        }
        Event::Cycle { snapshot, server_up, .. } => {
            let link = if *server_up { "" } else { " SERVER DOWN" };
            format!("{}{link}\n", hil::words::cycle(snapshot).trim_end())
        }
        Event::Ack { command, ok: true, .. } => format!("ok: {command}\n"),
        Event::Ack { command, error, .. } => format!("refused: {command}: {}\n", error.as_deref().unwrap_or("")),
        Event::Plant { ok: true, .. } => "the plant gives numbers again\n".to_owned(),
        Event::Plant { error, .. } => {
            format!("PLANT SILENT, every measurement is bad: {}\n", error.as_deref().unwrap_or(""))
        }
        Event::Summary { summary, late_s, .. } => summary_text(summary, *late_s),
    }
}

fn summary_text(s: &Summary, late_s: f64) -> String {
    let mut lines = vec![
        format!("{:.1} s of plant time, {} control periods, {late_s:.1} s late", s.t_s, s.cycles),
        format!("cost {:.6}, open loop {:.6}", s.totals.cost, s.totals.cost_open_loop),
        format!("greatest limit violation {:.3} % of range", s.totals.max_limit_violation),
        format!("greatest bump {:.3} % of range, {} sheds", s.bump_pct, s.sheds),
        format!("writes while not on: {}, refused: {:?}", s.writes_while_not_on, s.refused_writes),
        format!("states: {}", s.mode_acts.join(" ")),
    ];
    lines.extend(s.alarms.iter().map(|alarm| format!("{:>9.1} s ALARM {}", alarm.t_s, alarm.cause)));
    lines.join("\n") + "\n"
}

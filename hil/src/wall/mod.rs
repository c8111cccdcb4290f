//! The test bed on the wall's clock: a device under test as a black box, through the rig's proxy. The device is the program
//! `outrigger` over Basic256Sha256, or a foreign one over OPC UA or Modbus TCP.
//!
//! ```text
//! device ◀─ OPC UA or Modbus ─▶ proxy ◀─▶ server ◀─▶ rig ◀─ operator, faults
//! ```
//!
//! The scenario's time begins when the device has said its first word. Of the program nothing is known but the tags; what it
//! is killed, stopped and limited by is the operating system's.

mod device;
mod netns;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use rig::{Random, Rig};
use signals::Stamp;
use tokio::sync::watch;

use crate::bed::{self, Fitted};
use crate::clock::WallClock;
use crate::faults::network::{Passing, STREAM};
use crate::faults::{Fault, HostFault};
use crate::keyboard::Keyboard;
use crate::modbus::{ModbusServer, registers};
use crate::proxy::Proxy;
use crate::record::{Observer, Record};
use crate::scenario::{Guard, Off, Scenario, Wire};
use crate::server::{RigServer, ServerOptions, SharedRig, certificate_path, lock, trust};
use device::{Device, REGISTERS, Told};
use netns::{Lost, Namespace};

/// Where the program finds the DCS, which is the proxy, and where the server is: at the same port, for that is what the
/// server tells its clients.
const FRONT: Ipv4Addr = Ipv4Addr::LOCALHOST;
const BEHIND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// How often the rig is stepped.
const TICK: Duration = Duration::from_millis(10);
/// How long a program may take to say its first word, and a person to start a device.
const FIRST_WORD: Duration = Duration::from_secs(30);
const BY_HAND: Duration = Duration::from_secs(600);

/// The program under test.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `outrigger`; a scenario with a device of its own needs none.
    pub outrigger: Option<PathBuf>,
    /// A folder in which each run gets one of its own.
    pub folder: PathBuf,
    /// Whether a device runs in a network namespace of its own.
    pub namespace: bool,
}

/// Runs a scenario against the device, so many times as fast as the wall, with that guard switched off.
///
/// # Errors
/// A program that cannot be started or says nothing; a fault that cannot befall the device from outside.
pub fn run(scenario: &Scenario, off: Option<&Guard>, speed: f64, programs: &Programs) -> anyhow::Result<Record> {
    if let Some(fault) = scenario.faults.iter().find(|timed| !device::can(&timed.fault, scenario.device.as_ref())) {
        bail!("the fault `{}` cannot befall this device from outside", fault.kind);
    }
    if let Some(
        Guard::Check(_)
        | Guard::Cell(_)
        | Guard::Other(Off::Interlock | Off::LastLook | Off::Supervision | Off::Controller | Off::DiskThread),
    ) = off
    {
        bail!(
            "the guard `{}` cannot be switched off from outside the device",
            off.map(Guard::name).unwrap_or_default()
        );
    }
    let fitted = bed::fit(scenario, off)?;
    let folder = programs.folder.join(format!("{}{}", scenario.id, if off.is_some() { "-negative" } else { "" }));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let wall = Wall::start(scenario, off, (fitted, speed), (programs, &folder));
    runtime.block_on(Box::pin(async { Box::pin(wall.await?.watch()).await }))
}

/// A scenario under way.
struct Wall<'a> {
    scenario: &'a Scenario,
    keyboard: Keyboard<'a>,
    rig: SharedRig,
    clock: WallClock,
    server: Option<RigServer>,
    /// Held while it serves; of its restart a master sees no more than of a lost connection.
    modbus: Option<ModbusServer>,
    options: ServerOptions,
    target: watch::Sender<SocketAddr>,
    proxy: Proxy,
    namespace: Option<Namespace>,
    device: Device,
    chance: Random,
    speed: f64,
    scan: Duration,
}

impl<'a> Wall<'a> {
    async fn start(
        scenario: &'a Scenario,
        off: Option<&'a Guard>,
        (fitted, speed): (Fitted, f64),
        (programs, folder): (&Programs, &Path),
    ) -> anyhow::Result<Self> {
        let (period, scan) = (fitted.rig.period, fitted.rig.scan);
        let rig: SharedRig = Arc::new(std::sync::Mutex::new(Rig::new(fitted.rig, scenario.seed)?));
        let clock = WallClock::start(speed);
        let password = format!("rig-{}", std::process::id());
        let foreign = scenario.device.as_ref();
        let namespace = programs.namespace.then(Namespace::make).transpose()?;
        let mut front = foreign.map_or(SocketAddr::new(IpAddr::V4(FRONT), 0), |device| device.listen);
        if let Some(namespace) = &namespace {
            front.set_ip(namespace.host().into());
        }
        let over_modbus = foreign.is_some_and(|device| device.wire == Wire::Modbus);
        let options = ServerOptions {
            listen: (BEHIND, if over_modbus { 0 } else { front.port() }).into(),
            advertised: Some(front.ip()),
            pki: folder.join("rig-pki"),
            // A foreign device has made no certificate that the rig could know beforehand.
            trust_clients: foreign.is_some(),
            outrigger_password: Some(password.clone()),
            operator_password: None,
        };
        let server = RigServer::start(&rig, &clock, &options)?;
        let modbus = match over_modbus {
            true => Some(ModbusServer::start(Arc::clone(&rig), (BEHIND, 0).into()).await?),
            false => None,
        };
        let (behind, front) = match &modbus {
            Some(modbus) => (modbus.address(), front),
            None => (server.address(), SocketAddr::new(front.ip(), server.address().port())),
        };
        let (target, watched) = watch::channel(behind);
        let proxy = Proxy::start(front, watched).await?;
        let options = ServerOptions { listen: server.address(), ..options };
        let told = Told { rig: proxy.address(), speed, password: &password };
        let mut device = match (foreign, &programs.outrigger) {
            (Some(foreign), _) => {
                std::fs::write(folder.join(REGISTERS), registers(&lock(&rig)))?;
                Device::foreign(foreign, folder, scenario, &told)
            }
            (None, Some(program)) => {
                // An override is for rigs that the plant file names; seen from a namespace this one has another address.
                let text = fitted.loaded.text.replace(&FRONT.to_string(), &told.rig.ip().to_string());
                let device = Device::outrigger(program, folder, &text, scenario, &told)?;
                trust(&options.pki, &device.certificate()?)?;
                device.trust(&certificate_path(&options.pki))?;
                device
            }
            (None, None) => bail!("no program for the wall's clock: --program FILE"),
        };
        if let Some(namespace) = &namespace {
            device.put_into(namespace);
        }
        let chance = Random::stream(scenario.seed, STREAM);
        let keyboard = Keyboard::new(scenario, off, period);
        Ok(Self {
            scenario,
            keyboard,
            rig,
            clock,
            server: Some(server),
            modbus,
            options,
            target,
            proxy,
            namespace,
            device,
            chance,
            speed,
            scan,
        })
    }

    async fn watch(mut self) -> anyhow::Result<Record> {
        self.device.spawn()?;
        self.first_word().await?;
        let began = lock(&self.rig).now();
        let mut observer = Observer::new(&lock(&self.rig), self.scenario.onset());
        let (mut scanned, mut was_down) = (Duration::ZERO, false);
        loop {
            tokio::time::sleep(TICK).await;
            self.step();
            let passed = lock(&self.rig).now().since(began);
            if passed >= self.scenario.duration {
                break;
            }
            while scanned + self.scan <= passed {
                scanned += self.scan;
                self.keyboard.at_the_rig(scanned, &mut lock(&self.rig), observer.record_mut());
                self.befall(scanned)?;
            }
            let down = self.host(scanned, |host| *host == HostFault::DeviceRestart);
            if down != was_down {
                self.restart(down).await?;
                was_down = down;
            }
            self.device.befall(self.scenario, scanned)?;
            observer.look(&lock(&self.rig));
        }
        observer.record_mut().ended = self.device.end();
        let late = self.clock.dropped();
        if !late.is_zero() {
            observer
                .record_mut()
                .notes
                .push(format!("the rig was {:.1} s late: the machine could not keep up", late.as_secs_f64()));
        }
        observer.record_mut().late_scans = u64::from(lock(&self.rig).apc().overruns.value);
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        let record = observer.finish(&lock(&self.rig));
        Ok(record)
    }

    /// Steps the rig to the present and serves what it says.
    fn step(&mut self) {
        let due = self.clock.due();
        lock(&self.rig).step(due);
        if let Some(server) = &mut self.server
            && let Err(error) = server.publish(&self.rig, &self.clock)
        {
            tracing::error!(%error, "publishing failed");
        }
    }

    async fn first_word(&mut self) -> anyhow::Result<()> {
        let by_hand = self.scenario.device.as_ref().is_some_and(|device| device.exec.is_empty());
        let (from, patience) = (self.clock.elapsed(), if by_hand { BY_HAND } else { FIRST_WORD });
        if by_hand {
            let told =
                writeln!(std::io::stderr(), "{}: start the device at {}", self.scenario.id, self.proxy.address());
            told.context("standard error")?;
        }
        while lock(&self.rig).apc().mode_act.source_time == Stamp::NEVER {
            if let Some(how) = self.device.ended() {
                bail!("{how}");
            }
            if self.clock.elapsed() > from + patience {
                bail!("the device has said nothing for {patience:?}: {}", self.device.last_words());
            }
            tokio::time::sleep(TICK).await;
            self.step();
        }
        Ok(())
    }

    fn host(&self, now: Duration, is: impl Fn(&HostFault) -> bool) -> bool {
        let acting = self.scenario.faults.iter().filter(|timed| timed.acts(now));
        acting.into_iter().any(|timed| matches!(&timed.fault, Fault::Host(host) if is(host)))
    }

    /// Tells the kernel what it loses, where there is a namespace, and the proxy what passes.
    fn befall(&mut self, now: Duration) -> anyhow::Result<()> {
        let (mut passing, mut lost) = (Passing::default(), Lost::default());
        for timed in self.scenario.faults.iter().filter(|timed| timed.acts(now)) {
            if let (Fault::Link(link), Some(_)) = (&timed.fault, &self.namespace)
                && let Some(more) = Lost::by(link, now - timed.at)
            {
                lost = lost.and(more);
                continue;
            }
            let one = match &timed.fault {
                Fault::Link(link) => link.at(now - timed.at, self.scan, &mut self.chance),
                Fault::Host(HostFault::SessionLoss | HostFault::DeviceRestart) => {
                    Passing { down: true, ..Passing::default() }
                }
                _ => continue,
            };
            passing = passing.and(one);
        }
        self.proxy.set(Passing { late: passing.late.div_f64(self.speed), ..passing });
        self.namespace.as_mut().map_or(Ok(()), |namespace| namespace.lose(lost))
    }

    /// Takes the DCS's server away, or brings it back.
    async fn restart(&mut self, away: bool) -> anyhow::Result<()> {
        match (away, self.server.take()) {
            // Behind the proxy, which is down then, a Modbus server may stand.
            (_, server) if self.modbus.is_some() => self.server = server,
            (true, Some(server)) => server.stop().await,
            (false, None) => {
                let server = RigServer::start(&self.rig, &self.clock, &self.options)?;
                self.target.send_replace(server.address());
                self.server = Some(server);
            }
            (_, server) => self.server = server,
        }
        Ok(())
    }
}

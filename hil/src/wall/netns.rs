//! A network namespace for the device under test: what is lost there is lost by the kernel, packet by packet, and TCP does with
//! it what TCP does. Root, and the programs `ip` (iproute2) and `nft` (nftables).
//!
//! ```text
//! device ─ rigNd ◀═ veth ═▶ rigNh ─ proxy ─ server ─ rig
//!        └──── namespace ────┘
//! ```
//!
//! The rules stand inside the namespace, so that nothing of the machine's own network changes.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

use crate::faults::network::{LinkFault, Way};

/// What the kernel drops, each way, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lost {
    /// Of what goes to the device.
    pub(super) to: f64,
    /// Of what comes from it.
    pub(super) from: f64,
}

impl Lost {
    const ALL: Self = Self { to: 1.0, from: 1.0 };

    /// What a fault loses `since` after it came; `None` for one that is the proxy's. A link that flaps is a cable here that is
    /// pulled and put in.
    pub(super) fn by(fault: &LinkFault, since: Duration) -> Option<Self> {
        let now_s = since.as_secs_f64();
        match *fault {
            LinkFault::Drop => Some(Self::ALL),
            LinkFault::OneWay { way: Way::In } => Some(Self { to: 1.0, from: 0.0 }),
            LinkFault::OneWay { way: Way::Out } => Some(Self { to: 0.0, from: 1.0 }),
            LinkFault::Loss { share } => Some(Self { to: share, from: share }),
            LinkFault::Flap { up_s, down_s } if now_s % (up_s + down_s) < down_s => Some(Self::ALL),
            LinkFault::Flap { .. } => Some(Self::default()),
            _ => None,
        }
    }

    /// What is lost under both.
    pub(super) fn and(self, other: Self) -> Self {
        let both = |a: f64, b: f64| 1.0 - (1.0 - a) * (1.0 - b);
        Self { to: both(self.to, other.to), from: both(self.from, other.from) }
    }

    /// The rules of a namespace that loses so much.
    fn rules(self) -> String {
        let rule = |share: f64| match share {
            share if share >= 1.0 => "drop".to_owned(),
            share if share <= 0.0 => String::new(),
            share => format!("numgen random mod 10000 < {} drop", (share * 10_000.0).round()),
        };
        let chain = |name: &str, hook: &str, share: f64| {
            format!(" chain {name} {{\n  type filter hook {hook} priority 0;\n  {}\n }}\n", rule(share))
        };
        let (to, from) = (chain("to", "input", self.to), chain("from", "output", self.from));
        format!("flush ruleset\ntable inet rig {{\n{to}{from}}}\n")
    }
}

/// A namespace, until it is dropped.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
    host: Ipv4Addr,
    lost: Lost,
}

impl Namespace {
    /// Makes one with a link to this machine.
    pub(super) fn make() -> anyhow::Result<Self> {
        let pid = std::process::id();
        let name = format!("rig{pid}");
        let [.., high, low] = pid.to_be_bytes();
        let host = Ipv4Addr::new(10, 192 | (high & 63), low, 1);
        let [a, b, c, _] = host.octets();
        let device = Ipv4Addr::new(a, b, c, 2);
        run(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name, host, lost: Lost::default() };
        let (near, far) = (format!("{}h", namespace.name), format!("{}d", namespace.name));
        let ip = |line: &str| run(Command::new("ip").args(line.split_whitespace()));
        ip(&format!("link add {near} type veth peer name {far} netns {}", namespace.name))?;
        ip(&format!("address add {host}/30 dev {near}"))?;
        ip(&format!("link set {near} up"))?;
        ip(&format!("-n {} address add {device}/30 dev {far}", namespace.name))?;
        ip(&format!("-n {} link set {far} up", namespace.name))?;
        ip(&format!("-n {} link set lo up", namespace.name))?;
        namespace.rule(Lost::default())?;
        Ok(namespace)
    }

    /// This machine, as it is seen from within.
    pub(super) fn host(&self) -> Ipv4Addr {
        self.host
    }

    /// What starts a program within: the words before its own.
    pub(super) fn words(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// A program within.
    fn command(&self, program: &Path) -> Command {
        let [ip, words @ ..] = self.words();
        let mut command = Command::new(ip);
        command.args(words).arg(program);
        command
    }

    /// Loses so much from now on.
    pub(super) fn lose(&mut self, lost: Lost) -> anyhow::Result<()> {
        if lost != self.lost {
            self.rule(lost)?;
            self.lost = lost;
        }
        Ok(())
    }

    fn rule(&self, lost: Lost) -> anyhow::Result<()> {
        let mut command = self.command(Path::new("nft"));
        let mut child = command.args(["-f", "-"]).stdin(Stdio::piped()).spawn().context("no program `ip`")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(lost.rules().as_bytes())?;
        }
        if child.wait()?.success() {
            Ok(())
        } else {
            bail!("the rules of the namespace cannot be set: is `nft` there?")
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link goes with it.
        let _ = run(Command::new("ip").args(["netns", "delete", &self.name]));
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let out = command.stdin(Stdio::null()).output().context("a namespace wants the program `ip` (iproute2)")?;
    if !out.status.success() {
        bail!("a namespace wants root, and: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_is_lost_is_lost_each_way_by_itself() {
        assert_eq!(Lost::by(&LinkFault::OneWay { way: Way::In }, Duration::ZERO), Some(Lost { to: 1.0, from: 0.0 }));
        assert_eq!(Lost::by(&LinkFault::Delay { delay_s: 1.0 }, Duration::ZERO), None, "that is the proxy's");
        let flap = LinkFault::Flap { up_s: 1.0, down_s: 0.5 };
        let at = |s| Lost::by(&flap, Duration::from_secs_f64(s));
        assert_eq!((at(0.2), at(0.7), at(1.6)), (Some(Lost::ALL), Some(Lost::default()), Some(Lost::ALL)));
        let half = Lost { to: 0.5, from: 0.0 };
        assert_eq!(half.and(half), Lost { to: 0.75, from: 0.0 });
        assert!(half.rules().contains("mod 10000 < 5000 drop") && Lost::ALL.rules().matches("\n  drop").count() == 2);
    }

    /// Whether a program within reaches a port of ours inside a second.
    fn reaches(namespace: &Namespace, port: u16) -> bool {
        let line = format!("exec 3<>/dev/tcp/{}/{port}", namespace.host());
        let mut command = namespace.command(Path::new("timeout"));
        command.args(["1", "bash", "-c", &line]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    #[test]
    fn wall_the_kernel_loses_what_it_is_told_to() {
        // Only what the machine lacks is a reason to skip; a namespace that cannot be made for another is a failure.
        let probe = format!("rigprobe{}", std::process::id());
        let may = |action| run(Command::new("ip").args(["netns", action, &probe])).is_ok();
        let has_nft = run(Command::new("nft").arg("--version")).is_ok();
        if !(has_nft && may("add") && may("delete")) {
            println!("skipped: a namespace wants root, `ip` and `nft`");
            return;
        }
        let mut namespace = Namespace::make().unwrap();
        let listener = TcpListener::bind((namespace.host(), 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(reaches(&namespace, port));
        for lost in [Lost::ALL, Lost { to: 1.0, from: 0.0 }, Lost { to: 0.0, from: 1.0 }] {
            namespace.lose(lost).unwrap();
            assert!(!reaches(&namespace, port), "{lost:?}");
        }
        namespace.lose(Lost::default()).unwrap();
        assert!(reaches(&namespace, port), "it mends");
    }
}

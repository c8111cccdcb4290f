//! A device under test that is not `outrigger`: a PLC or any other controller, over Modbus TCP or OPC UA.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use runtime::config::reader::Section;

/// By what the device speaks with the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// It is a Modbus TCP master.
    Modbus,
    /// It is an OPC UA client.
    OpcUa,
}

/// The device: the table `[device]` of a scenario or of its campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is called in the report.
    pub name: String,
    /// How it speaks.
    pub wire: Wire,
    /// Where it finds the rig.
    pub listen: SocketAddr,
    /// The program to start and its arguments, with places to fill in ([`Foreign::words`]); nothing where a person starts it.
    pub exec: Vec<String>,
}

impl Foreign {
    /// The table; words of `exec` that begin with `./` or `../` are files beside the scenario.
    pub(super) fn read(s: &Section<'_, '_>, folder: &Path) -> Option<Self> {
        let name = s.text("name", "what the device is called");
        let wire = s.choice("wire", &[("modbus", Wire::Modbus), ("opcua", Wire::OpcUa)]);
        let listen = s.optional("listen", "an address of this machine and a port, such as \"192.168.7.2:502\"", |v| {
            v.as_str()?.parse::<SocketAddr>().ok().filter(|address| !address.ip().is_unspecified())
        });
        let exec = if s.has("exec") {
            s.texts("exec", "a program and its arguments, such as [\"python3\", \"./plc.py\", \"{host}\", \"{port}\"]")
        } else {
            Some(Vec::new())
        };
        let beside = |word: String| match word.starts_with("./") || word.starts_with("../") {
            true => std::path::absolute(folder.join(&word)).map_or(word, |file| file.display().to_string()),
            false => word,
        };
        let listen = listen?.unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        Some(Self { name: name?, wire: wire?, listen, exec: exec?.into_iter().map(beside).collect() })
    }

    /// The words of `exec`, with each `{key}` filled in.
    #[must_use]
    pub fn words(&self, places: &[(&str, String)]) -> Vec<String> {
        let fill = |word: &String| places.iter().fold(word.clone(), |word, (key, value)| word.replace(key, value));
        self.exec.iter().map(fill).collect()
    }
}

//! The rig behind Modbus TCP: a PLC, or any other Modbus master, as the device under test.
//!
//! Place in the loop: beside the OPC UA server, in front of the same rig. The master reads what the DCS says and writes what an
//! application says; [`map`] has the registers. What the DCS refuses is refused here, with a Modbus exception.
//!
//! | what is asked | answer |
//! |---|---|
//! | input or holding registers that exist, any number of them | their values |
//! | registers that do not exist | exception 2, illegal data address |
//! | a write that cuts a tag in two | exception 3, illegal data value |
//! | a value that the DCS does not take: not finite, outside the clamp, no such code | exception 3; the tags before it in the write are taken |
//! | any other function | exception 1, illegal function |
//!
//! # Invariants
//! - Modbus has no accounts: whoever reaches the port is the application. Listen where nobody else does.
//! - A register is never half of a value: reads and writes of one request see one state of the rig.

pub mod map;
pub mod outside;

use std::future::{Ready, ready};
use std::net::SocketAddr;

use signals::Quality;
use signals::dcs::DcsTag;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_modbus::server::Service;
use tokio_modbus::server::tcp::{Server, accept_tcp_connection};
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};

use crate::server::{SharedRig, lock};
use map::{Map, Table, decode, encode, quality_word};
use rig::Rig;

/// A Modbus server that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for modbus on {address}: {source}")]
pub struct ModbusError {
    /// The address.
    address: SocketAddr,
    /// Why.
    source: std::io::Error,
}

/// The tags of a rig, in the order of its map.
#[must_use]
pub fn tags(rig: &Rig) -> Vec<DcsTag> {
    let config = rig.config();
    let (mvs, cvs, dvs) = (config.mvs.len(), config.cvs.len(), config.dvs.len());
    DcsTag::all(mvs, cvs, dvs).into_iter().chain(DcsTag::spares(cvs, dvs, config.spared())).collect()
}

/// The lines that tell where each tag of a rig lies.
#[must_use]
pub fn registers(rig: &Rig) -> String {
    Map::of(&tags(rig)).places().iter().map(|place| format!("{place}\n")).collect()
}

/// A rig served to Modbus masters, until it is dropped.
#[derive(Debug)]
pub struct ModbusServer {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ModbusServer {
    /// Listens at `address`; port 0 takes a free one. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// [`ModbusError`]: the address cannot be listened on.
    pub async fn start(rig: SharedRig, address: SocketAddr) -> Result<Self, ModbusError> {
        let fault = |source| ModbusError { address, source };
        let listener = TcpListener::bind(address).await.map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        let map = Map::of(&tags(&lock(&rig)));
        let task = tokio::spawn(async move {
            let device = Device { rig, map };
            let connect = |stream, from| {
                let device = device.clone();
                async move { accept_tcp_connection(stream, from, |_| Ok(Some(device.clone()))) }
            };
            let told = |error: std::io::Error| tracing::warn!(%error, "modbus connection ended");
            if let Err(error) = Server::new(listener).serve(&connect, told).await {
                tracing::error!(%error, "the modbus server ended");
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ModbusServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Debug)]
struct Device {
    rig: SharedRig,
    map: Map,
}

impl Device {
    fn answer(&self, request: &Request<'_>) -> Result<Response, ExceptionCode> {
        match request {
            Request::ReadInputRegisters(address, count) => {
                self.read(Table::Input, *address, *count).map(Response::ReadInputRegisters)
            }
            Request::ReadHoldingRegisters(address, count) => {
                self.read(Table::Holding, *address, *count).map(Response::ReadHoldingRegisters)
            }
            Request::WriteSingleRegister(address, word) => {
                self.write(*address, &[*word])?;
                Ok(Response::WriteSingleRegister(*address, *word))
            }
            Request::WriteMultipleRegisters(address, words) => {
                self.write(*address, words)?;
                // A request has at most 123 registers.
                Ok(Response::WriteMultipleRegisters(*address, u16::try_from(words.len()).unwrap_or(u16::MAX)))
            }
            _ => Err(ExceptionCode::IllegalFunction),
        }
    }

    fn read(&self, table: Table, address: u16, count: u16) -> Result<Vec<u16>, ExceptionCode> {
        let end = address.checked_add(count).filter(|end| count > 0 && *end <= self.map.len(table));
        let end = end.ok_or(ExceptionCode::IllegalDataAddress)?;
        let (mut view, mut apc) = {
            let rig = lock(&self.rig);
            (*rig.view(), *rig.apc())
        };
        let asked = self.map.places().iter().filter(|p| p.table == table && p.address < end && p.end() > address);
        let mut words = Vec::with_capacity(usize::from(count));
        for place in asked {
            let field = match table {
                Table::Input => view.field_mut(place.tag),
                Table::Holding => apc.field_mut(place.tag),
            };
            let reading = field.ok_or(ExceptionCode::IllegalDataAddress)?.get();
            let quality = (table == Table::Input).then(|| quality_word(reading.quality));
            let registers = encode(reading.value).into_iter().chain(quality);
            words
                .extend((place.address..).zip(registers).filter(|(at, _)| (address..end).contains(at)).map(|(_, w)| w));
        }
        Ok(words)
    }

    fn write(&self, address: u16, words: &[u16]) -> Result<(), ExceptionCode> {
        let count = u16::try_from(words.len()).map_err(|_| ExceptionCode::IllegalDataValue)?;
        let end = address.checked_add(count).filter(|end| *end <= self.map.len(Table::Holding));
        end.ok_or(ExceptionCode::IllegalDataAddress)?;
        let places = self.map.whole_tags(Table::Holding, address, count).ok_or(ExceptionCode::IllegalDataValue)?;
        let mut rig = lock(&self.rig);
        for place in places.iter().filter(|place| place.table == Table::Holding) {
            let from = usize::from(place.address - address);
            let registers = words.get(from..from + usize::from(place.words)).ok_or(ExceptionCode::IllegalDataValue)?;
            let value = decode(place.tag.wire_type(), registers).ok_or(ExceptionCode::IllegalDataValue)?;
            if let Err(refusal) = rig.write(place.tag, value, Quality::Good) {
                tracing::warn!(%refusal, "modbus write refused");
                return Err(ExceptionCode::IllegalDataValue);
            }
        }
        Ok(())
    }
}

impl Service for Device {
    type Request = SlaveRequest<'static>;
    type Response = Response;
    type Exception = ExceptionCode;
    type Future = Ready<Result<Response, ExceptionCode>>;

    fn call(&self, request: Self::Request) -> Self::Future {
        ready(self.answer(&request.request))
    }
}

#[cfg(test)]
mod tests;

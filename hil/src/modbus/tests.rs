//! A Modbus master before the rig: what it reads, what it may write, and what is refused.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rig::RigConfig;
use signals::dcs::{MvTag, WireValue};
use tokio_modbus::client::{Context, Reader, Writer, tcp};

use super::*;

struct Bench {
    rig: SharedRig,
    map: Map,
    master: Context,
    _server: ModbusServer,
}

impl Bench {
    async fn start() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/plants/cstr.toml");
        let rig = Rig::new(RigConfig::load(Path::new(file)).unwrap(), 1).unwrap();
        let map = Map::of(&tags(&rig));
        let rig: SharedRig = Arc::new(Mutex::new(rig));
        let server = ModbusServer::start(Arc::clone(&rig), "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let master = tcp::connect(server.address()).await.unwrap();
        Self { rig, map, master, _server: server }
    }

    fn place(&self, name: &str) -> map::Place {
        *self.map.places().iter().find(|place| place.tag.to_string() == name).unwrap()
    }

    async fn read(&mut self, name: &str) -> (WireValue, Option<u16>) {
        let place = self.place(name);
        let count = place.end() - place.address;
        let words = match place.table {
            Table::Input => self.master.read_input_registers(place.address, count).await,
            Table::Holding => self.master.read_holding_registers(place.address, count).await,
        };
        let words = words.unwrap().unwrap();
        let (value, quality) = words.split_at(usize::from(place.words));
        (decode(place.tag.wire_type(), value).unwrap(), quality.first().copied())
    }

    async fn write(&mut self, name: &str, value: WireValue) -> Result<(), ExceptionCode> {
        let address = self.place(name).address;
        self.master.write_multiple_registers(address, &encode(value)).await.unwrap()
    }
}

fn is_near(value: WireValue, expected: f64) -> bool {
    matches!(value, WireValue::Double(x) if (x - expected).abs() <= 1e-6 * expected.abs())
}

#[tokio::test]
async fn a_master_reads_what_the_dcs_says_with_its_quality() {
    let mut bench = Bench::start().await;
    lock(&bench.rig).step(std::time::Duration::from_secs(2));
    let pv = lock(&bench.rig).view().cvs[1].pv.value;
    let (value, quality) = bench.read("CV2.PV").await;
    assert!(is_near(value, pv) && quality == Some(0), "{value:?} {quality:?}");
    lock(&bench.rig).command("quality CV2 bad").unwrap();
    lock(&bench.rig).step(std::time::Duration::from_secs(2));
    assert_eq!(bench.read("CV2.PV").await.1, Some(2));
    let (mode, _) = bench.read("MV1.MODE").await;
    assert_eq!(mode, WireValue::Int32(1));
}

#[tokio::test]
async fn what_a_master_writes_is_what_the_application_says_and_the_dcs_refuses_what_it_must() {
    let mut bench = Bench::start().await;
    bench.write("HB_APC", WireValue::UInt32(70_001)).await.unwrap();
    bench.write("MV1.SP_REQ", WireValue::Double(14.0)).await.unwrap();
    assert_eq!(lock(&bench.rig).apc().hb_apc.value, 70_001);
    assert_eq!(bench.read("MV1.SP_REQ").await.0, WireValue::Double(14.0));
    for wrong in [f64::NAN, f64::INFINITY, 1e6] {
        let refused = bench.write("MV1.SP_REQ", WireValue::Double(wrong)).await;
        assert_eq!(refused, Err(ExceptionCode::IllegalDataValue), "{wrong}");
        assert_eq!(lock(&bench.rig).apc().mvs[0].sp_req.value.to_bits(), 14.0_f64.to_bits());
    }
    assert_eq!(bench.write("MODE_ACT", WireValue::Int32(9)).await, Err(ExceptionCode::IllegalDataValue));
}

#[tokio::test]
async fn half_a_value_is_neither_written_nor_believed() {
    let mut bench = Bench::start().await;
    let sp = bench.place("MV1.SP_REQ").address;
    let before = lock(&bench.rig).apc().mvs[0].sp_req;
    let half = bench.master.write_single_register(sp, 0x4160).await.unwrap();
    assert_eq!(half, Err(ExceptionCode::IllegalDataValue));
    assert_eq!(lock(&bench.rig).apc().mvs[0].sp_req, before);
    let beyond = bench.map.len(Table::Holding);
    let outside = bench.master.write_single_register(beyond, 1).await.unwrap();
    assert_eq!(outside, Err(ExceptionCode::IllegalDataAddress));
    let coils = bench.master.read_coils(0, 1).await.unwrap();
    assert_eq!(coils, Err(ExceptionCode::IllegalFunction));
    let none = bench.master.read_input_registers(bench.map.len(Table::Input), 1).await.unwrap();
    assert_eq!(none, Err(ExceptionCode::IllegalDataAddress));
}

#[test]
fn the_map_has_every_tag_of_the_application_that_a_decision_hangs_on() {
    let map = Map::of(&DcsTag::all(2, 3, 1));
    assert!(map.places().iter().any(|place| place.tag == DcsTag::Mv(1, MvTag::SpReq)));
    assert!(map.places().iter().any(|place| place.tag == DcsTag::Lease));
}

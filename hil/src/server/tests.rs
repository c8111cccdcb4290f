//! The server over a real socket, as far as that goes without a client: foreign clients are the affair of the
//! `tests` crate.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::*;
use crate::test_plant;

fn options(pki: &Path) -> ServerOptions {
    ServerOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        advertised: None,
        pki: pki.to_owned(),
        trust_clients: false,
        outrigger_password: Some("secret".to_owned()),
        operator_password: None,
    }
}

fn shared() -> SharedRig {
    Arc::new(Mutex::new(Rig::new(test_plant(), 1).unwrap()))
}

/// An OPC UA `HEL` (OPC 10000-6, 7.1.2.3) and the type of the answer.
fn hello(address: SocketAddr) -> std::io::Result<(TcpStream, [u8; 3])> {
    let url = format!("opc.tcp://{address}/");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let size = u32::try_from(32 + url.len()).unwrap();
    let mut message = b"HELF".to_vec();
    for word in [size, 0, 65_535, 65_535, 0, 0, u32::try_from(url.len()).unwrap()] {
        message.extend(word.to_le_bytes());
    }
    message.extend(url.as_bytes());
    stream.write_all(&message)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    Ok((stream, [answer[0], answer[1], answer[2]]))
}

#[tokio::test]
async fn a_stopped_server_drops_its_sockets_and_comes_back_on_its_port() {
    let pki = tempfile::tempdir().unwrap();
    let (rig, clock, mut options) = (shared(), WallClock::start(1.0), options(pki.path()));
    let server = RigServer::start(&rig, &clock, &options).unwrap();
    let address = server.address();
    let (mut open, answer) = tokio::task::spawn_blocking(move || hello(address)).await.unwrap().unwrap();
    assert_eq!(&answer, b"ACK");
    server.stop().await;
    let end = open.read_to_end(&mut Vec::new());
    let reset = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionReset;
    assert!(end.as_ref().map_or_else(reset, |_| true), "the connection is gone: {end:?}");
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    lock(&rig).step(Duration::from_secs(60));
    options.listen = address;
    let server = RigServer::start(&rig, &clock, &options).unwrap();
    assert_eq!(server.address(), address);
    let (_, answer) = tokio::task::spawn_blocking(move || hello(address)).await.unwrap().unwrap();
    assert_eq!(&answer, b"ACK");
    server.stop().await;
}

#[tokio::test]
async fn the_nodes_show_the_images_with_status_and_time() {
    let pki = tempfile::tempdir().unwrap();
    let (rig, clock) = (shared(), WallClock::start(1.0));
    let mut server = RigServer::start(&rig, &clock, &options(pki.path())).unwrap();
    lock(&rig).step(Duration::from_secs(3));
    lock(&rig).command("quality CV2 bad").unwrap();
    lock(&rig).step(Duration::from_secs(2));
    server.publish(&rig, &clock).unwrap();
    let ns = server.handle.get_namespace_index(NAMESPACE_URI).unwrap();
    let read = |tag: &str| {
        let id = opcua::types::NodeId::new(ns, format!("Area1.R101.APC_cstr.{tag}"));
        let space = server.manager.address_space().read();
        let Some(opcua::nodes::NodeType::Variable(v)) = space.find_node(&id) else { panic!("{tag}") };
        use opcua::types::{DataEncoding, NumericRange, TimestampsToReturn};
        v.value(TimestampsToReturn::Both, &NumericRange::None, &DataEncoding::Binary, 0.0)
    };
    let pv = lock(&rig).view().cvs[0].pv.value;
    assert_eq!(read("CV1.PV").value, Some(opcua::types::Variant::Double(pv)));
    assert!(read("CV1.PV").source_timestamp.is_some() && read("CV1.PV").status().is_good());
    assert_eq!(read("HB_DCS").value, Some(opcua::types::Variant::UInt32(5)));
    assert!(read("CV2.PV").status().is_bad());
    assert_eq!(read("HB_APC").status(), StatusCode::BadWaitingForInitialData);
    assert_eq!(read("MV1.MODE").value, Some(opcua::types::Variant::Int32(1)));
    server.stop().await;
}

/// The library's own node manager claims the namespace of the application URI, and then answers for nodes that it does
/// not have.
#[tokio::test]
async fn the_nodes_belong_to_the_rig_and_to_no_other_node_manager() {
    let pki = tempfile::tempdir().unwrap();
    let server = RigServer::start(&shared(), &WallClock::start(1.0), &options(pki.path())).unwrap();
    let ns = server.handle.get_namespace_index(NAMESPACE_URI).unwrap();
    let id = opcua::types::NodeId::new(ns, "Area1.R101.APC_cstr.CV1.PV");
    let owners: Vec<_> =
        server.handle.node_managers().iter().filter(|m| m.owns_node(&id)).map(|m| m.name().to_owned()).collect();
    assert_eq!(owners, ["rig"]);
    server.stop().await;
}

#[tokio::test]
async fn a_server_without_credentials_or_on_a_taken_port_does_not_start() {
    let pki = tempfile::tempdir().unwrap();
    let (rig, clock, good) = (shared(), WallClock::start(1.0), options(pki.path()));
    let bare = ServerOptions { outrigger_password: None, ..good.clone() };
    assert!(matches!(RigServer::start(&rig, &clock, &bare), Err(ServerError::NoCredentials)));
    let server = RigServer::start(&rig, &clock, &good).unwrap();
    let taken = ServerOptions { listen: server.address(), ..good };
    assert!(matches!(RigServer::start(&rig, &clock, &taken), Err(ServerError::Bind { .. })));
    server.stop().await;
}

//! The proxy before a server that answers each chunk with itself.
#![allow(clippy::disallowed_methods, reason = "how long a chunk takes is wall time")]

use std::time::Instant;

use tokio::time::timeout;

use super::*;

async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut chunk = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut chunk).await {
                    stream.write_all(&chunk[..read]).await.unwrap();
                }
            });
        }
    });
    address
}

async fn started() -> (Proxy, TcpStream) {
    let (target, watched) = watch::channel(echo().await);
    let proxy = Proxy::start(SocketAddr::from(([127, 0, 0, 1], 0)), watched).await.unwrap();
    std::mem::forget(target);
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, stream)
}

const SOON: Duration = Duration::from_millis(300);

/// Whether a chunk comes back soon.
async fn answers(stream: &mut TcpStream) -> bool {
    let mut chunk = [0; 4];
    let there = stream.write_all(b"ping").await.is_ok();
    there && matches!(timeout(SOON, stream.read_exact(&mut chunk)).await, Ok(Ok(_)))
}

#[tokio::test]
async fn without_a_fault_everything_passes() {
    let (_proxy, mut stream) = started().await;
    assert!(answers(&mut stream).await && answers(&mut stream).await);
}

#[tokio::test]
async fn a_stalled_direction_holds_the_bytes_and_gives_them_when_it_goes() {
    for passing in [Passing { deaf: true, ..Passing::default() }, Passing { mute: true, ..Passing::default() }] {
        let (proxy, mut stream) = started().await;
        assert!(answers(&mut stream).await);
        proxy.set(passing);
        assert!(!answers(&mut stream).await, "{passing:?}");
        proxy.set(Passing::default());
        let mut chunk = [0; 4];
        timeout(SOON, stream.read_exact(&mut chunk)).await.unwrap().unwrap();
        assert_eq!(&chunk, b"ping", "what was held comes");
    }
}

#[tokio::test]
async fn a_delay_is_kept() {
    let (proxy, mut stream) = started().await;
    assert!(answers(&mut stream).await);
    proxy.set(Passing { late: Duration::from_millis(50), ..Passing::default() });
    let from = Instant::now();
    assert!(answers(&mut stream).await);
    assert!(from.elapsed() >= Duration::from_millis(100), "both ways");
}

#[tokio::test]
async fn a_link_that_goes_down_resets_and_refuses_until_it_is_up() {
    let (proxy, mut stream) = started().await;
    assert!(answers(&mut stream).await);
    proxy.set(Passing { down: true, ..Passing::default() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!answers(&mut stream).await);
    let mut refused = TcpStream::connect(proxy.address()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!answers(&mut refused).await);
    proxy.set(Passing::default());
    let mut anew = TcpStream::connect(proxy.address()).await.unwrap();
    assert!(answers(&mut anew).await);
}

//! The listener with real sockets: loopback rule, keep-alive, clean stop.

use super::super::testing::{block_on, node};
use super::super::{ListenError, bind, router};
use crate::home::ChainRpc;
use engine::Reply;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

#[test]
fn a_plain_api_listens_on_loopback_alone() {
    for (address, good) in [("127.0.0.1:0", true), ("[::1]:0", true), ("0.0.0.0:0", false)] {
        let bound = block_on(bind(address.parse().unwrap(), None));
        match (bound, good) {
            (Ok(_), true) | (Err(ListenError::PlainOutside(_)), false) => {}
            // A machine may have no IPv6.
            (Err(ListenError::Bind(..)), true) if address.starts_with('[') => {}
            (other, _) => panic!("{address}: {other:?}"),
        }
    }
}

async fn get(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut bytes = vec![0u8; 4096];
    let n = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..n]).into_owned()
}

#[test]
fn a_connection_serves_many_requests_and_a_stop_ends_idle_ones_at_once() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let server = bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let address = server.address();
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::clone(&fixture.state.metrics);
        let grace = Duration::from_secs(5);
        let served = tokio::spawn(server.run(router(&fixture.state), metrics, stopped, grace));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200"));
        }
        assert!(get(&mut stream, "/v1/node").await.starts_with("HTTP/1.1 401"));
        stop.send(true).unwrap();
        tokio::time::timeout(Duration::from_secs(2), served).await.unwrap().unwrap();
        assert_eq!(stream.read(&mut [0u8; 16]).await.unwrap(), 0, "closed");
        assert!(TcpStream::connect(address).await.is_err());
    });
}

#[test]
fn a_head_over_its_bound_is_refused() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let server = bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let address = server.address();
        let (_stop, stopped) = watch::channel(false);
        let metrics = Arc::clone(&fixture.state.metrics);
        tokio::spawn(server.run(router(&fixture.state), metrics, stopped, Duration::ZERO));
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(400_000));
        // The node may close before it took all of it.
        let _cut_off = stream.write_all(head.as_bytes()).await;
        let mut answer = vec![0u8; 64];
        let n = stream.read(&mut answer).await.unwrap_or(0);
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    });
}

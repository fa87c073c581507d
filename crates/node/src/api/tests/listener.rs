//! The listener with real sockets: loopback rule, keep-alive, clean stop, slow callers.

use super::super::serve::Bounds;
use super::super::testing::{Fixture, OPERATOR_TOKEN, block_on, node};
use super::super::{ApiTls, ListenError, bind, router};
use crate::home::ChainRpc;
use engine::Reply;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
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
        let grace = PATIENCE;
        let served = tokio::spawn(server.run(router(&fixture.state), metrics, stopped, grace));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for _ in 0..3 {
            assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200"));
        }
        assert!(get(&mut stream, "/v1/node").await.starts_with("HTTP/1.1 401"));
        stop.send(true).unwrap();
        tokio::time::timeout(PATIENCE / 2, served).await.unwrap().unwrap();
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

/// Long enough for an honest caller on a slow and busy machine, short enough for a test.
const SOON: Duration = Duration::from_secs(2);
/// A bound against hanging; half of it is the time that the default bounds give a head.
const PATIENCE: Duration = Duration::from_secs(60);

fn short(connections: u32) -> Bounds {
    Bounds { connections, head: SOON, handshake: SOON, answer: SOON, idle: SOON }
}

/// A server that runs until the returned sender is dropped.
async fn serving(
    fixture: &Fixture,
    bounds: Bounds,
    tls: Option<ApiTls>,
) -> (SocketAddr, watch::Sender<bool>) {
    let server = bind("127.0.0.1:0".parse().unwrap(), tls).await.unwrap().bounded(bounds);
    let address = server.address();
    let (stop, stopped) = watch::channel(false);
    let metrics = Arc::clone(&fixture.state.metrics);
    tokio::spawn(server.run(router(&fixture.state), metrics, stopped, Duration::ZERO));
    (address, stop)
}

/// Waits until the metrics have this line.
async fn counted(fixture: &Fixture, line: &str) {
    let wait = async {
        while !fixture.state.metrics.render(None, 0).lines().any(|found| found == line) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let page = || fixture.state.metrics.render(None, 0);
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{line}: {}", page()));
}

fn slow(code: &str) -> String {
    format!("outlast_http_connections_slow_total{{code=\"{code}\"}} 1")
}

/// Sends a byte at a time until the other end closes, and returns what it said.
async fn dribble(stream: &mut TcpStream, every: Duration) -> String {
    let mut answer = Vec::new();
    let mut bytes = [0u8; 4096];
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        match tokio::time::timeout(every, stream.read(&mut bytes)).await {
            Ok(Ok(0) | Err(_)) => return String::from_utf8_lossy(&answer).into_owned(),
            Ok(Ok(n)) => answer.extend_from_slice(&bytes[..n]),
            // The other end may close between the read and the write.
            Err(_) => drop(stream.write_all(b"x").await),
        }
    }
    panic!("never cut: {}", String::from_utf8_lossy(&answer));
}

/// Goal: a caller that sends a byte now and then is cut after a bounded time and by name, whatever it sent before.
#[test]
fn a_dribbled_head_is_cut_by_name_and_an_idle_connection_is_not_blamed() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let (address, _stop) = serving(&fixture, short(8), None).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        // An honest request first: the clock starts anew after its answer.
        assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200"));
        let since = Instant::now();
        stream.write_all(b"POST /v1/decode HTTP/1.1\r\nx: ").await.unwrap();
        dribble(&mut stream, Duration::from_millis(50)).await;
        assert!(since.elapsed() >= SOON / 2, "cut too early: {:?}", since.elapsed());
        counted(&fixture, &slow("slow_head")).await;

        let mut idle = TcpStream::connect(address).await.unwrap();
        assert!(get(&mut idle, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert_eq!(idle.read(&mut [0u8; 16]).await.unwrap(), 0, "closed");
        counted(&fixture, &slow("idle")).await;
        counted(&fixture, &slow("slow_head")).await;
    });
}

#[test]
fn a_dribbled_body_is_refused_by_name_and_its_connection_closed() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let (address, _stop) = serving(&fixture, Bounds::default(), None).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /v1/clients HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {OPERATOR_TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: 100000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let since = Instant::now();
        let answer = dribble(&mut stream, Duration::from_millis(250)).await;
        assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
        assert!(answer.contains("slow_body"), "{answer}");
        counted(&fixture, "outlast_http_refusals_total{code=\"slow_body\"} 1").await;
    });
}

#[test]
fn a_handshake_that_does_not_go_on_is_cut_by_name() {
    block_on(async {
        let file =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name);
        let tls = ApiTls::load(&file("server.pem"), &file("server.key"), None).unwrap();
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let (address, _stop) = serving(&fixture, short(8), Some(tls)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A record of 0x4000 bytes is announced, and dribbled.
        stream.write_all(b"\x16\x03\x01\x40\x00").await.unwrap();
        dribble(&mut stream, Duration::from_millis(50)).await;
        counted(&fixture, &slow("slow_handshake")).await;
    });
}

#[test]
fn a_caller_that_does_not_take_its_answers_is_cut_by_name() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let (address, _stop) = serving(&fixture, short(8), None).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";
        let ask = async { while stream.write_all(request).await.is_ok() {} };
        let line = slow("slow_answer");
        tokio::select! {
            () = ask => {}
            () = counted(&fixture, &line) => {}
        }
        counted(&fixture, &line).await;
    });
}

/// Goal: callers that are at work keep their places, one more is closed at the door, and places come back.
#[test]
fn connections_over_the_bound_are_closed_at_the_door_and_places_come_back() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        // The first four stay until the others came and went.
        let bounds = Bounds { idle: PATIENCE, head: 3 * SOON, ..short(4) };
        let (address, _stop) = serving(&fixture, bounds, None).await;
        let mut held = Vec::new();
        for _ in 0..4 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200"));
            held.push(stream);
        }
        for number in 1..=3 {
            let mut shed = TcpStream::connect(address).await.unwrap();
            assert_eq!(shed.read(&mut [0u8; 16]).await.unwrap_or(0), 0, "closed at once");
            let line = format!("outlast_http_connections_shed_total {number}");
            counted(&fixture, &line).await;
        }
        // These are put out by their time; then an honest caller is served.
        counted(&fixture, "outlast_http_connections_slow_total{code=\"idle\"} 4").await;
        let mut honest = TcpStream::connect(address).await.unwrap();
        assert!(get(&mut honest, "/healthz").await.starts_with("HTTP/1.1 200"));
    });
}

/// Goal: strangers who hold every place in silence do not keep the operator out. Method: more of them than there are
/// places, with 30 s for their heads; some begin a head, some were answered once.
#[test]
fn silent_callers_on_every_place_make_room_for_one_that_asks() {
    block_on(async {
        let fixture = node(&ChainRpc::default(), |_, _| Ok(Reply::Done));
        let bounds = Bounds { connections: 8, idle: SOON / 4, ..Bounds::default() };
        let (address, _stop) = serving(&fixture, bounds, None).await;
        let mut held = Vec::new();
        for number in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            match number % 3 {
                0 => stream.write_all(b"GET /healthz HTTP/1.1\r\nx: ").await.unwrap(),
                1 => assert!(get(&mut stream, "/healthz").await.starts_with("HTTP/1.1 200")),
                _ => {}
            }
            held.push(stream);
        }
        tokio::time::sleep(SOON / 2).await;
        let since = Instant::now();
        for _ in 0..20 {
            let mut operator = TcpStream::connect(address).await.unwrap();
            assert!(get(&mut operator, "/healthz").await.starts_with("HTTP/1.1 200"));
        }
        assert!(since.elapsed() < PATIENCE / 2, "{:?}", since.elapsed());
        assert_eq!(held[0].read(&mut [0u8; 16]).await.unwrap_or(0), 0, "the oldest made room");
        let page = fixture.state.metrics.render(None, 0);
        assert!(page.contains("outlast_http_connections_slow_total{code=\"made_room\"}"), "{page}");
    });
}

use super::frame::{self, Frame};
use super::tls::Identity;
use super::*;
use model::secret::Secret;
use rustls::pki_types::ServerName;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A bound against hanging.
const PATIENCE: Duration = Duration::from_secs(120);

/// Short times. An honest peer is late on none of them though the machine be slow and stall for a second.
fn timing() -> Timing {
    Timing {
        ping_every: Duration::from_millis(100),
        dead_after: Duration::from_secs(4),
        handshake: Duration::from_secs(4),
        clone_answer: Duration::from_secs(2),
        backoff_min: Duration::from_millis(20),
        backoff_max: Duration::from_millis(200),
        dial_grace: Duration::from_millis(100),
    }
}

fn key(seed: u8) -> NodeKey {
    NodeKey::new(Secret::new([seed; 32]))
}

fn hello(incarnation: u8) -> Vec<u8> {
    [[incarnation; INCARNATION_BYTES].as_slice(), b"engine"].concat()
}

struct Node {
    id: NodeId,
    links: PeerManager,
    events: mpsc::Receiver<PeerEvent>,
}

async fn start_with(seed: u8, incarnation: u8, listen: &str, timing: Timing) -> Node {
    let key = key(seed);
    let listen = Some(listen.parse().unwrap());
    let starting = async {
        loop {
            let hello = hello(incarnation);
            match PeerManager::start(PeerConfig { key: &key, listen, hello, timing }).await {
                // Another test's connection may hold the port of a node that comes back.
                Err(StartError::Listen { .. }) => sleep(Duration::from_millis(50)).await,
                started => break started.unwrap(),
            }
        }
    };
    let (links, events) = timeout(PATIENCE, starting).await.expect("the port in time");
    Node { id: key.id(), links, events }
}

async fn start(seed: u8) -> Node {
    start_with(seed, seed, "127.0.0.1:0", timing()).await
}

impl Node {
    fn endpoint(&self) -> String {
        self.links.local_addr().unwrap().to_string()
    }

    async fn next(&mut self) -> PeerEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").unwrap()
    }

    /// Waits for the peer's link, skipping everything else; returns its greeting.
    async fn up(&mut self, wanted: NodeId) -> Vec<u8> {
        loop {
            match self.next().await {
                PeerEvent::Up { peer, hello, .. } if peer == wanted => return hello,
                _ => {}
            }
        }
    }

    async fn down(&mut self, wanted: NodeId) -> LinkEnd {
        loop {
            match self.next().await {
                PeerEvent::Down { peer, reason, .. } if peer == wanted => return reason,
                _ => {}
            }
        }
    }

    async fn frame(&mut self) -> (NodeId, Vec<u8>) {
        loop {
            if let PeerEvent::Frame { peer, bytes, .. } = self.next().await {
                return (peer, bytes);
            }
        }
    }

    async fn until(&self, what: &str, mut reached: impl FnMut(&PeerManager) -> bool) {
        let wait = async {
            while !reached(&self.links) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| {
            panic!("{what}: {:?} {:?}", self.links.counters(), self.links.status())
        });
    }

    async fn until_counted(&self, code: &'static str) {
        self.until(code, |links| links.counters().contains_key(code)).await;
    }

    async fn until_last_end(&self, peer: NodeId, end: LinkEnd) {
        self.until(end.code(), |links| links.status()[&peer].last_end.as_ref() == Some(&end)).await;
    }

    fn is_up(&self, peer: NodeId) -> bool {
        self.links.status()[&peer].connection.is_some()
    }
}

/// A trusted key in the hands of somebody who does not keep to the protocol.
struct Rogue {
    stream: TlsStream<TcpStream>,
}

impl Rogue {
    async fn connect(identity: Identity, node: &Node) -> std::io::Result<Self> {
        let config = identity.client(node.id).unwrap();
        Self::connect_with(Arc::unwrap_or_clone(config), node).await
    }

    async fn connect_with(config: rustls::ClientConfig, node: &Node) -> std::io::Result<Self> {
        let stream = TcpStream::connect(node.endpoint()).await?;
        let name = ServerName::try_from("outlast-peer").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await.map(|stream| Self { stream })
    }

    /// Up to the point where the link is up at `node`.
    async fn admitted(seed: u8, incarnation: u8, node: &Node) -> Self {
        let mut rogue = Self::connect(Identity::new(&key(seed)).unwrap(), node).await.unwrap();
        assert!(matches!(rogue.read().await, Ok(Frame::Hello(_))));
        rogue.write(&Frame::Hello(hello(incarnation))).await;
        assert_eq!(rogue.read().await, Ok(Frame::Admit));
        rogue.write(&Frame::Admit).await;
        rogue
    }

    async fn read(&mut self) -> Result<Frame, LinkEnd> {
        timeout(PATIENCE, frame::read(&mut self.stream)).await.expect("a frame in time")
    }

    async fn write(&mut self, frame: &Frame) {
        frame::write(&mut self.stream, frame).await.unwrap();
    }

    async fn write_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_link_whoever_dials_and_exchange_frames() {
    for (first_dials, second_dials) in [(true, false), (false, true), (true, true)] {
        let (mut a, mut b) = (start(1).await, start(2).await);
        let endpoint =
            |dials: bool, node: &Node| if dials { node.endpoint() } else { String::new() };
        a.links.trust(b.id, &endpoint(first_dials, &b)).unwrap();
        b.links.trust(a.id, &endpoint(second_dials, &a)).unwrap();
        assert_eq!(a.up(b.id).await, hello(2));
        assert_eq!(b.up(a.id).await, hello(1));
        a.until("settled", |links| links.send(b.id, b"to b".to_vec()).is_ok()).await;
        b.until("settled", |links| links.send(a.id, vec![7; FRAME_BYTES_MAX]).is_ok()).await;
        assert_eq!(b.frame().await, (a.id, b"to b".to_vec()));
        assert_eq!(a.frame().await, (b.id, vec![7; FRAME_BYTES_MAX]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_frames_arrive_whole_and_in_order() {
    let (mut a, mut b) = (start(1).await, start(2).await);
    a.links.trust(b.id, "").unwrap();
    b.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(b.id).await;
    b.up(a.id).await;
    let sender = a.links.clone();
    let to = b.id;
    tokio::spawn(async move {
        for number in 0..5000u32 {
            let length = usize::try_from(number % 300).unwrap();
            let bytes = [number.to_be_bytes().as_slice(), &vec![9; length]].concat();
            while sender.send(to, bytes.clone()).is_err() {
                sleep(Duration::from_millis(1)).await;
            }
            if number % 500 == 0 {
                sleep(Duration::from_millis(5)).await;
            }
        }
    });
    for number in 0..5000u32 {
        let (_, bytes) = b.frame().await;
        assert_eq!(bytes[..4], number.to_be_bytes());
        assert_eq!(bytes.len() - 4, usize::try_from(number % 300).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_refused_by_name_on_both_sides() {
    let (a, b) = (start(1).await, start(2).await);
    // The dialled node does not trust the dialler.
    b.links.trust(a.id, &a.endpoint()).unwrap();
    a.until_counted("unknown_key").await;
    b.until_last_end(a.id, LinkEnd::NotTrustedThere).await;

    // The dialler finds another key than the one it was told.
    let (c, d) = (start(3).await, start(4).await);
    let stranger = key(9).id();
    c.links.trust(d.id, "").unwrap();
    d.links.trust(stranger, &c.endpoint()).unwrap();
    d.until_last_end(stranger, LinkEnd::UnknownKey).await;
    c.until_counted("not_trusted_there").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classical_key_exchange_is_refused_by_name() {
    let a = start(1).await;
    a.links.trust(key(2).id(), "").unwrap();
    let outcome = Rogue::connect(Identity::classical_for_tests(&key(2)), &a).await;
    assert!(outcome.is_err());
    a.until_counted("no_common_key_exchange").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_hybrid_tls_1_3_and_speaks_no_other_protocol() {
    let a = start(1).await;
    a.links.trust(key(2).id(), "").unwrap();
    let rogue = Rogue::admitted(2, 2, &a).await;
    let session = rogue.stream.get_ref().1;
    let group = session.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    for protocols in [vec![], vec![b"outlast-peer/0".to_vec()]] {
        let config = Identity::new(&key(2)).unwrap().client(a.id).unwrap();
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = protocols;
        // Without a name the handshake passes; then the link must be ended before any greeting.
        if let Ok(mut rogue) = Rogue::connect_with(config, &a).await {
            assert!(rogue.read().await.is_err());
        }
    }
    a.until("both", |links| links.counters().get("other_protocol") == Some(&2)).await;
}

/// Goal: each kind of misbehaviour is named and costs its own link only. Method: a trusted key misbehaves beside an
/// honest peer, whose link must carry a frame afterwards without having gone down.
#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_peer_loses_its_own_link_only() {
    let (mut a, mut honest) = (start(1).await, start(2).await);
    let rogue_id = key(3).id();
    a.links.trust(honest.id, "").unwrap();
    a.links.trust(rogue_id, "").unwrap();
    honest.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(honest.id).await;
    honest.up(a.id).await;

    let oversized = u32::try_from(FRAME_BYTES_MAX + 2).unwrap().to_be_bytes();
    let truncated = [0, 0, 0, 9, 6, 1, 2];
    let mut greeting = Vec::new();
    Frame::Hello(hello(3)).write_to(&mut greeting);
    let mut false_pong = Vec::new();
    Frame::Pong(u64::MAX).write_to(&mut false_pong);
    let cases: [(&[u8], &str); 9] = [
        (&oversized, "oversized_frame"),
        (&[0xff; 5], "oversized_frame"),
        // Cut inside the length, and inside what it announces.
        (&[0, 0], "truncated_frame"),
        (&truncated, "truncated_frame"),
        (b"\0\0\0\x05GET / HTTP/1.1\r\n\r\n", "malformed_frame"),
        (&[0, 0, 0, 0], "malformed_frame"),
        (&greeting, "malformed_frame"),
        (&false_pong, "malformed_frame"),
        (&[], "closed"),
    ];
    for (bytes, expected) in cases {
        let mut rogue = Rogue::admitted(3, 3, &a).await;
        a.up(rogue_id).await;
        rogue.write_bytes(bytes).await;
        if ["truncated_frame", "closed"].contains(&expected) {
            rogue.stream.shutdown().await.unwrap();
        }
        assert_eq!(a.down(rogue_id).await.code(), expected);
    }
    let silent = Rogue::admitted(3, 3, &a).await;
    a.up(rogue_id).await;
    assert_eq!(a.down(rogue_id).await.code(), "silent");
    drop(silent);

    assert!(a.is_up(honest.id) && honest.is_up(a.id));
    honest.links.send(a.id, b"still here".to_vec()).unwrap();
    assert_eq!(a.frame().await, (honest.id, b"still here".to_vec()));
    let counters = honest.links.counters();
    assert!(counters.is_empty(), "the honest link never ended: {counters:?}");
}

/// Goal: a byte now and then keeps no link alive: neither in a frame nor in a greeting. Method: real bytes, each in a TLS
/// record of its own, far faster than the time that silence is granted.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_dribbles_loses_its_link_by_name() {
    let (mut a, mut honest) = (start(1).await, start(2).await);
    let rogue_id = key(3).id();
    a.links.trust(honest.id, "").unwrap();
    a.links.trust(rogue_id, "").unwrap();
    honest.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(honest.id).await;
    honest.up(a.id).await;

    let dribble = |mut rogue: Rogue, bytes: Vec<u8>| async move {
        for byte in bytes {
            // The node ends the link meanwhile: that is the point.
            if rogue.stream.write_all(&[byte]).await.is_err() || rogue.stream.flush().await.is_err()
            {
                break;
            }
            sleep(timing().dead_after / 15).await;
        }
    };
    let mut frame = Vec::new();
    Frame::Data(vec![7; 4096]).write_to(&mut frame);
    let rogue = Rogue::admitted(3, 3, &a).await;
    a.up(rogue_id).await;
    let slow = tokio::spawn(dribble(rogue, frame));
    assert_eq!(a.down(rogue_id).await, LinkEnd::SlowFrame(timing().dead_after));
    slow.abort();

    let mut greeting = Vec::new();
    Frame::Hello(vec![3; 4096]).write_to(&mut greeting);
    let rogue = Rogue::connect(Identity::new(&key(3)).unwrap(), &a).await.unwrap();
    let slow = tokio::spawn(dribble(rogue, greeting));
    a.until_last_end(rogue_id, LinkEnd::HandshakeTimeout(timing().handshake)).await;
    slow.abort();

    assert_eq!(a.links.counters()["slow_frame"], 1);
    honest.links.send(a.id, b"on time".to_vec()).unwrap();
    assert_eq!(a.frame().await, (honest.id, b"on time".to_vec()));
    assert!(honest.links.counters().is_empty(), "{:?}", honest.links.counters());
}

/// Goal: a peer that connects and greets again and again is turned away before its greeting is read, and is let in again
/// later; the engine hears of a bounded number of links.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_greets_too_often_is_turned_away_by_name() {
    let (mut a, mut honest) = (start(1).await, start(2).await);
    let rogue_id = key(3).id();
    a.links.trust(honest.id, "").unwrap();
    a.links.trust(rogue_id, "").unwrap();
    honest.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(honest.id).await;
    honest.up(a.id).await;

    let (since, mut tries, mut refused) = (Instant::now(), 0, 0);
    while refused < 10 {
        tries += 1;
        assert!(tries < 20 * GREETINGS_MAX, "{refused} turned away of {tries}");
        let Ok(mut rogue) = Rogue::connect(Identity::new(&key(3)).unwrap(), &a).await else {
            continue;
        };
        // Before its own greeting, so that no work of the engine's is spent.
        match rogue.read().await {
            Ok(Frame::Hello(_)) => rogue.write(&Frame::Hello(hello(3))).await,
            _ => refused += 1,
        }
    }
    a.until_counted("too_often").await;
    let ups = std::iter::from_fn(|| a.events.try_recv().ok())
        .filter(|event| matches!(event, PeerEvent::Up { .. }))
        .count();
    // Every period has its share; on a slow machine the tries take more than one.
    let periods = since.elapsed().as_secs() / GREETINGS_PERIOD.as_secs() + 1;
    let most = u64::from(GREETINGS_MAX) * periods;
    assert!(u64::try_from(ups).unwrap() <= most, "{ups} links in {periods} periods");
    honest.links.send(a.id, b"on time".to_vec()).unwrap();
    assert_eq!(a.frame().await, (honest.id, b"on time".to_vec()));
    assert!(honest.links.counters().is_empty(), "{:?}", honest.links.counters());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_the_admission_is_named() {
    let mut a = start(1).await;
    a.links.trust(key(2).id(), "").unwrap();
    let mut raw = TcpStream::connect(a.endpoint()).await.unwrap();
    raw.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    a.until_counted("tls").await;
    for first in [Frame::Data(vec![1]), Frame::Admit, Frame::Ping(1)] {
        let mut rogue = Rogue::connect(Identity::new(&key(2)).unwrap(), &a).await.unwrap();
        rogue.write(&first).await;
        a.until_counted("malformed_frame").await;
    }
    assert!(a.events.try_recv().is_err(), "no link ever came up");
}

/// Goal: connections that never speak neither pile up nor keep an honest node out.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_bounded_and_do_not_keep_honest_nodes_out() {
    let (mut a, b) = (start(1).await, start(2).await);
    a.links.trust(b.id, "").unwrap();
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES_MAX + 10 {
        silent.push(TcpStream::connect(a.endpoint()).await.unwrap());
    }
    b.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(b.id).await;
    a.until_counted("pushed_out").await;
    a.until_counted("handshake_timeout").await;
    assert!(a.is_up(b.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_read_fills_its_own_queue_only() {
    let (mut a, mut honest) = (start(1).await, start(2).await);
    let rogue_id = key(3).id();
    a.links.trust(honest.id, "").unwrap();
    a.links.trust(rogue_id, "").unwrap();
    honest.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(honest.id).await;
    honest.up(a.id).await;
    let _rogue = Rogue::admitted(3, 3, &a).await;
    a.up(rogue_id).await;

    let mut queued = 0usize;
    let overflow = loop {
        match a.links.send(rogue_id, vec![0; FRAME_BYTES_MAX]) {
            Ok(()) => queued += FRAME_BYTES_MAX,
            Err(error) => break error,
        }
        assert!(queued <= 4 * PEER_QUEUE_BYTES_MAX, "the queue must be bounded");
    };
    assert_eq!(overflow, SendError::QueueFull);
    assert_eq!(a.down(rogue_id).await, LinkEnd::QueueFull);
    assert_eq!(a.links.send(rogue_id, vec![1]), Err(SendError::NotConnected));
    a.links.send(honest.id, b"on time".to_vec()).unwrap();
    assert_eq!(honest.frame().await, (a.id, b"on time".to_vec()));
}

/// Goal: a flood stops at the network, not in memory, and lets others through.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_waits_outside_while_the_engine_is_behind() {
    let (mut a, mut honest) = (start(1).await, start(2).await);
    let rogue_id = key(3).id();
    a.links.trust(honest.id, "").unwrap();
    a.links.trust(rogue_id, "").unwrap();
    honest.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(honest.id).await;
    honest.up(a.id).await;
    let mut rogue = Rogue::admitted(3, 3, &a).await;
    a.up(rogue_id).await;
    let flood = tokio::spawn(async move {
        let mut sent = 0u32;
        while frame::write(&mut rogue.stream, &Frame::Data(vec![0; 60_000])).await.is_ok() {
            sent += 1;
            if sent == 100_000 {
                break;
            }
        }
        sent
    });
    let full = async {
        while a.events.len() < EVENTS_MAX {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, full).await.expect("the flood fills the queue");
    // The engine reads nothing for longer than a silent peer would be granted.
    sleep(timing().dead_after + Duration::from_millis(500)).await;
    assert_eq!(a.events.len(), EVENTS_MAX);
    assert!(!flood.is_finished(), "the network pushes back");
    assert!(a.is_up(rogue_id) && a.is_up(honest.id), "being behind blames nobody");
    honest.links.send(a.id, b"through".to_vec()).unwrap();
    let found = async { while a.frame().await != (honest.id, b"through".to_vec()) {} };
    timeout(PATIENCE, found).await.unwrap();
    flood.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_is_back_by_itself() {
    let (mut a, mut b) = (start(1).await, start(2).await);
    let port = b.endpoint();
    a.links.trust(b.id, &port).unwrap();
    b.links.trust(a.id, "").unwrap();
    a.up(b.id).await;
    b.up(a.id).await;
    b.links.shutdown().await;
    assert!(b.links.status()[&a.id].connection.is_none());
    drop(b);
    a.down(key(2).id()).await;
    let mut again = start_with(2, 22, &port, timing()).await;
    again.links.trust(a.id, "").unwrap();
    assert_eq!(a.up(again.id).await, hello(22));
    again.up(a.id).await;
}

/// Goal: two nodes that dial each other at the same moment end with one connection, the same one. Method: without
/// the grace that normally avoids the race, many times.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_dial_settles_to_one_connection() {
    let eager = Timing { dial_grace: Duration::ZERO, ..timing() };
    for _ in 0..10 {
        let mut a = start_with(1, 1, "127.0.0.1:0", eager).await;
        let mut b = start_with(2, 2, "127.0.0.1:0", eager).await;
        a.links.trust(b.id, &b.endpoint()).unwrap();
        b.links.trust(a.id, &a.endpoint()).unwrap();
        a.up(b.id).await;
        b.up(a.id).await;
        // Whatever crosses has crossed once a frame went each way and nothing moved for a while.
        let mut before = None;
        for _ in 0..100 {
            let now = (a.links.status(), b.links.status());
            if before.as_ref() == Some(&now) && a.is_up(b.id) && b.is_up(a.id) {
                break;
            }
            before = Some(now);
            sleep(Duration::from_millis(300)).await;
        }
        for (from, to) in [(&a, &b), (&b, &a)] {
            let code = from.links.status()[&to.id].last_end.as_ref().map(LinkEnd::code);
            assert!(
                [None, Some("duplicate"), Some("replaced"), Some("closed")].contains(&code),
                "{code:?}"
            );
        }
        a.links.send(b.id, b"ab".to_vec()).unwrap();
        b.links.send(a.id, b"ba".to_vec()).unwrap();
        assert_eq!(b.frame().await.1, b"ab");
        assert_eq!(a.frame().await.1, b"ba");
        assert!(a.is_up(b.id) && b.is_up(a.id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_turned_away_while_the_original_answers_and_let_in_when_it_is_gone() {
    let (mut a, mut original) = (start(1).await, start(2).await);
    a.links.trust(original.id, "").unwrap();
    original.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(original.id).await;
    original.up(a.id).await;

    let mut clone = start_with(2, 99, "127.0.0.1:0", timing()).await;
    clone.links.trust(a.id, &a.endpoint()).unwrap();
    let PeerEvent::Second { peer, hello: second } = a.next().await else { panic!("a clone") };
    assert_eq!((peer, second), (original.id, hello(99)));
    assert!(matches!(clone.next().await, PeerEvent::TurnedAway { peer } if peer == a.id));
    clone.until_last_end(a.id, LinkEnd::AnotherInstanceOfUs).await;
    original.links.send(a.id, b"me".to_vec()).unwrap();
    assert_eq!(a.frame().await, (original.id, b"me".to_vec()));

    original.links.shutdown().await;
    assert_eq!(a.up(original.id).await, hello(99));
}

/// A restart after a power cut: the old link looks alive to the kernel, but nobody answers on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_peer_replaces_a_link_that_no_longer_answers() {
    let patient = Timing { dead_after: Duration::from_secs(60), ..timing() };
    let mut a = start_with(1, 1, "127.0.0.1:0", patient).await;
    let peer = key(2).id();
    a.links.trust(peer, "").unwrap();
    let _mute = Rogue::admitted(2, 2, &a).await;
    a.up(peer).await;
    let mut again = start_with(2, 22, "127.0.0.1:0", timing()).await;
    again.links.trust(a.id, &a.endpoint()).unwrap();
    assert_eq!(a.down(peer).await.code(), "silent");
    assert_eq!(a.up(peer).await, hello(22));
    again.up(a.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_peer_cannot_pile_up_unjudged_connections() {
    let a = start(1).await;
    a.links.trust(key(2).id(), "").unwrap();
    let mut mute = Vec::new();
    for _ in 0..=UNSETTLED_PER_PEER_MAX {
        mute.push(Rogue::connect(Identity::new(&key(2)).unwrap(), &a).await.unwrap());
    }
    a.until_counted("too_many_connections").await;
    a.until_counted("handshake_timeout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distrusted_peer_loses_its_link_and_does_not_come_back() {
    let (mut a, mut b) = (start(1).await, start(2).await);
    a.links.trust(b.id, &b.endpoint()).unwrap();
    b.links.trust(a.id, &a.endpoint()).unwrap();
    a.up(b.id).await;
    b.up(a.id).await;
    a.until("link", |_| a.is_up(b.id) && b.is_up(a.id)).await;
    a.links.distrust(b.id);
    a.until_counted("distrusted").await;
    a.until_counted("unknown_key").await;
    assert!(a.links.status().is_empty());
    b.until_last_end(a.id, LinkEnd::NotTrustedThere).await;
    assert_eq!(a.links.send(b.id, vec![1]), Err(SendError::NotConnected));
}

#[tokio::test]
async fn what_cannot_be_sent_or_trusted_is_named() {
    let a = start(1).await;
    let long = FRAME_BYTES_MAX + 1;
    let expected = SendError::TooLong { found: long, bound: FRAME_BYTES_MAX };
    assert_eq!(a.links.send(key(2).id(), vec![0; long]), Err(expected));
    assert_eq!(a.links.send(key(2).id(), vec![0]), Err(SendError::NotConnected));
    assert_eq!(a.links.trust(a.id, ""), Err(TrustError::Own));
    for number in 0..PEERS_MAX {
        let mut id = [0xee; 32];
        id[0] = u8::try_from(number).unwrap();
        a.links.trust(NodeId(id), "").unwrap();
    }
    assert_eq!(a.links.trust(key(2).id(), ""), Err(TrustError::Full));
    let config = PeerConfig { key: &key(2), listen: None, hello: vec![0; 15], timing: timing() };
    assert!(matches!(PeerManager::start(config).await, Err(StartError::Hello(15))));
    let taken = a.links.local_addr();
    let config = PeerConfig { key: &key(2), listen: taken, hello: hello(2), timing: timing() };
    assert!(matches!(PeerManager::start(config).await, Err(StartError::Listen { .. })));
}

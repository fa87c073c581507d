//! One authenticated connection, from the greeting to its end.

use super::core::Core;
use super::frame::{self, Frame, INCARNATION_BYTES, Refusal};
use super::table::{Claim, Live, Registered};
use super::{LinkEnd, PEER_QUEUE_FRAMES_MAX, PeerEvent, tls};
use model::ids::NodeId;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsStream;

/// Bytes that are gathered before one write to the network.
const WRITE_BYTES: usize = 64 * 1024;
/// How long a side that closes waits for the other to read its last word.
const PARTING: Duration = Duration::from_millis(300);
/// Bytes of the other side that are thrown away meanwhile.
const PARTING_BYTES_MAX: u64 = 1024 * 1024;

type Reader = BufReader<ReadHalf<TlsStream<TcpStream>>>;
type Writer = WriteHalf<TlsStream<TcpStream>>;

/// How a link ended.
pub(super) struct Ended {
    /// How long it was up, if ever.
    pub lived: Option<Duration>,
}

struct Link<'a> {
    core: &'a Arc<Core>,
    peer: NodeId,
    reader: Reader,
    writer: Writer,
}

/// A place in the table. Given back even when the task is torn down, or others would wait for its end for ever.
struct Place<'a> {
    core: &'a Core,
    peer: NodeId,
    live: Arc<Live>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.table.remove(&self.peer, self.live.id);
        self.live.done.send_replace(true);
    }
}

struct Settled<'a> {
    place: Place<'a>,
    outgoing: mpsc::Receiver<Vec<u8>>,
    hello: Vec<u8>,
}

/// Runs the link to its end and reports everything about it.
pub(super) async fn run(
    core: &Arc<Core>,
    stream: TlsStream<TcpStream>,
    peer: NodeId,
    dialled_by_us: bool,
) -> Ended {
    let (reader, writer) = tokio::io::split(stream);
    let reader = BufReader::with_capacity(WRITE_BYTES, reader);
    let mut link = Link { core, peer, reader, writer };
    let settled = tokio::select! {
        settled = link.settle(dialled_by_us) => settled,
        () = core.closed() => Err(LinkEnd::Shutdown),
    };
    let settled = match settled {
        Ok(settled) => settled,
        Err(end) => {
            core.note(Some(peer), &end);
            link.part(&end).await;
            return Ended { lived: None };
        }
    };
    let start = Instant::now();
    let Settled { place, outgoing, hello } = settled;
    let connection = place.live.id;
    core.tell(PeerEvent::Up { peer, connection, hello }).await;
    let end = link.pump(&place.live, outgoing).await;
    core.table.remove(&peer, connection);
    core.note(Some(peer), &end);
    core.tell(PeerEvent::Down { peer, connection, reason: end.clone() }).await;
    drop(place);
    link.part(&end).await;
    Ended { lived: Some(start.elapsed()) }
}

impl<'a> Link<'a> {
    /// Greets, judges, admits and takes the peer's place in the table.
    async fn settle(&mut self, dialled_by_us: bool) -> Result<Settled<'a>, LinkEnd> {
        let _place = self.core.unsettled(self.peer)?;
        if !dialled_by_us {
            self.core.may_greet(self.peer)?;
        }
        let limit = self.core.timing.handshake;
        let late = |_| LinkEnd::HandshakeTimeout(limit);
        let hello = timeout(limit, self.greet(dialled_by_us)).await.map_err(late)??;
        let incarnation = hello
            .first_chunk::<INCARNATION_BYTES>()
            .copied()
            .ok_or_else(|| LinkEnd::Malformed("short greeting".into()))?;
        let claim = Claim { dialled_by_us, incarnation };
        while let Some((standing, reason)) = self.core.table.contest(self.peer, claim) {
            self.outlive(&standing, reason, &hello).await?;
        }
        frame::write(&mut self.writer, &Frame::Admit).await?;
        match timeout(limit, frame::read(&mut self.reader)).await.map_err(late)?? {
            Frame::Admit => {}
            Frame::Refuse(refusal) => return Err(self.refused(refusal).await),
            _ => return Err(LinkEnd::Malformed("another frame before the admission".into())),
        }
        self.register(claim, hello).await
    }

    /// The dialled side speaks first: when it refuses the dialler's key, the dialler has sent nothing that the close
    /// would turn into a reset, and reads the reason.
    async fn greet(&mut self, dialled_by_us: bool) -> Result<Vec<u8>, LinkEnd> {
        let own = Frame::Hello(self.core.hello().to_vec());
        if !dialled_by_us {
            frame::write(&mut self.writer, &own).await?;
        }
        let Frame::Hello(hello) = frame::read(&mut self.reader).await? else {
            return Err(LinkEnd::Malformed("another frame before the greeting".into()));
        };
        if dialled_by_us {
            frame::write(&mut self.writer, &own).await?;
        }
        Ok(hello)
    }

    /// Goes on once the standing connection is gone; fails with `reason` when it answers.
    async fn outlive(&self, standing: &Live, reason: LinkEnd, hello: &[u8]) -> Result<(), LinkEnd> {
        let within = self.core.timing.clone_answer;
        if standing.answers(within).await {
            if reason == LinkEnd::AnotherInstance {
                let hello = hello.to_vec();
                self.core.tell(PeerEvent::Second { peer: self.peer, hello }).await;
            }
            return Err(reason);
        }
        standing.end(LinkEnd::Silent(within));
        standing.finished().await;
        Ok(())
    }

    async fn register(&self, claim: Claim, hello: Vec<u8>) -> Result<Settled<'a>, LinkEnd> {
        let (sender, outgoing) = mpsc::channel(PEER_QUEUE_FRAMES_MAX);
        let live = Arc::new(Live::new(self.core.next_connection(), claim, sender));
        loop {
            match self.core.table.register(self.peer, &live) {
                Registered::Yes(old) => {
                    let place = Place { core: self.core, peer: self.peer, live };
                    // The engine hears of the old link's end before it hears of the new link.
                    if let Some(old) = old {
                        old.finished().await;
                    }
                    return Ok(Settled { place, outgoing, hello });
                }
                Registered::Contested(standing, reason) => {
                    self.outlive(&standing, reason, &hello).await?;
                }
                Registered::Distrusted => return Err(LinkEnd::Distrusted),
            }
        }
    }

    async fn refused(&self, refusal: Refusal) -> LinkEnd {
        match refusal {
            Refusal::Duplicate => LinkEnd::Duplicate,
            Refusal::AnotherInstance => {
                self.core.tell(PeerEvent::TurnedAway { peer: self.peer }).await;
                LinkEnd::AnotherInstanceOfUs
            }
        }
    }

    /// Moves frames until something ends the link.
    async fn pump(&mut self, live: &Live, outgoing: mpsc::Receiver<Vec<u8>>) -> LinkEnd {
        let pong_due = watch::Sender::new(0u64);
        let (core, peer) = (self.core, self.peer);
        let mut close = live.close.subscribe();
        tokio::select! {
            biased;
            end = close.wait_for(Option::is_some) => {
                end.ok().and_then(|end| end.clone()).unwrap_or(LinkEnd::Shutdown)
            }
            () = core.closed() => LinkEnd::Shutdown,
            end = receive(core, peer, live, &pong_due, &mut self.reader) => end,
            end = transmit(core, live, outgoing, &pong_due, &mut self.writer) => end,
        }
    }

    /// Says why, closes, and reads on a moment, so that the last word is not lost in a reset.
    async fn part(&mut self, end: &LinkEnd) {
        let last_word = match end {
            LinkEnd::Duplicate => Some(Frame::Refuse(Refusal::Duplicate)),
            LinkEnd::AnotherInstance => Some(Frame::Refuse(Refusal::AnotherInstance)),
            _ => None,
        };
        let parting = async {
            if let Some(frame) = last_word {
                frame::write(&mut self.writer, &frame).await?;
            }
            self.writer.shutdown().await.map_err(|error| tls::name(&error))?;
            let mut rest = (&mut self.reader).take(PARTING_BYTES_MAX);
            let copied = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
            copied.map_err(|error| tls::name(&error))
        };
        // Best effort by design: the link is over whether or not the other side still listens.
        let _ = timeout(PARTING, parting).await;
    }
}

async fn receive(
    core: &Core,
    peer: NodeId,
    live: &Live,
    pong_due: &watch::Sender<u64>,
    reader: &mut Reader,
) -> LinkEnd {
    let limit = core.timing.dead_after;
    loop {
        // The clock runs only while we read: an engine that is behind does not make the peer look dead.
        let first = match timeout(limit, frame::begin(reader)).await {
            Err(_) => return LinkEnd::Silent(limit),
            Ok(Err(end)) => return end,
            Ok(Ok(first)) => first,
        };
        let frame = match timeout(limit, frame::finish(first, reader)).await {
            Err(_) => return LinkEnd::SlowFrame(limit),
            Ok(Err(end)) => return end,
            Ok(Ok(frame)) => frame,
        };
        match frame {
            Frame::Data(bytes) => {
                live.held_up.store(true, Ordering::Release);
                core.tell(PeerEvent::Frame { peer, connection: live.id, bytes }).await;
                live.held_up.store(false, Ordering::Release);
            }
            Frame::Ping(number) => {
                pong_due.send_replace(number);
            }
            Frame::Pong(number) if number > *live.ping.borrow() => {
                return LinkEnd::Malformed("an answer to no ping".into());
            }
            Frame::Pong(number) => {
                live.pong.send_modify(|last| *last = number.max(*last));
            }
            Frame::Refuse(Refusal::Duplicate) => return LinkEnd::Duplicate,
            Frame::Refuse(Refusal::AnotherInstance) => {
                core.tell(PeerEvent::TurnedAway { peer }).await;
                return LinkEnd::AnotherInstanceOfUs;
            }
            Frame::Hello(_) | Frame::Admit => {
                return LinkEnd::Malformed("a greeting on a link that is up".into());
            }
        }
    }
}

async fn transmit(
    core: &Core,
    live: &Live,
    mut outgoing: mpsc::Receiver<Vec<u8>>,
    pong_due: &watch::Sender<u64>,
    writer: &mut Writer,
) -> LinkEnd {
    let mut ping = live.ping.subscribe();
    let mut pong = pong_due.subscribe();
    let mut tick = interval(core.timing.ping_every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bytes = Vec::with_capacity(WRITE_BYTES);
    loop {
        bytes.clear();
        tokio::select! {
            _ = tick.tick() => {
                live.ping.send_modify(|number| *number = number.saturating_add(1));
                continue;
            }
            Ok(()) = ping.changed() => Frame::Ping(*ping.borrow_and_update()).write_to(&mut bytes),
            Ok(()) = pong.changed() => Frame::Pong(*pong.borrow_and_update()).write_to(&mut bytes),
            first = outgoing.recv() => match first {
                Some(first) => gather(live, first, &mut outgoing, &mut bytes),
                None => return LinkEnd::Shutdown,
            },
        }
        let limit = core.timing.dead_after;
        let write = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        match timeout(limit, write).await {
            Err(_) => return LinkEnd::Stalled(limit),
            Ok(Err(error)) => return tls::name(&error),
            Ok(Ok(())) => core.sent(bytes.len()),
        }
    }
}

/// Puts waiting frames into one write: many small messages then cost one system call and one TLS record.
fn gather(
    live: &Live,
    first: Vec<u8>,
    outgoing: &mut mpsc::Receiver<Vec<u8>>,
    bytes: &mut Vec<u8>,
) {
    let mut next = Some(first);
    while let Some(payload) = next {
        live.take_queued(payload.len());
        Frame::Data(payload).write_to(bytes);
        next = if bytes.len() < WRITE_BYTES { outgoing.try_recv().ok() } else { None };
    }
}

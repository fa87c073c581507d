//! The listening side: strangers get a handshake slot, never more than that.
//!
//! When every slot is taken the oldest handshake is pushed out: an honest one takes milliseconds, so only a flood
//! faster than that keeps honest nodes out, and they can still be dialled from here.

use super::core::{Core, lock};
use super::{HANDSHAKES_MAX, LinkEnd, dial, link, tls};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// How long the listener rests when the system has no descriptor for a connection.
const ACCEPT_REST: Duration = Duration::from_millis(50);

type Slots = Arc<Mutex<BTreeMap<u64, AbortHandle>>>;

struct Slot {
    slots: Slots,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        lock(&self.slots).remove(&self.number);
    }
}

pub(super) fn start(core: &Arc<Core>, listener: TcpListener) -> Result<(), rustls::Error> {
    let acceptor = TlsAcceptor::from(core.identity.server(core.trusted.clone())?);
    let shared = core.clone();
    core.run_listener(async move {
        tokio::select! {
            () = listen(&shared, &listener, &acceptor) => {}
            () = shared.closed() => {}
        }
    });
    Ok(())
}

async fn listen(core: &Arc<Core>, listener: &TcpListener, acceptor: &TlsAcceptor) {
    let slots = Slots::default();
    let mut number = 0u64;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_REST).await;
                continue;
            }
        };
        number = number.wrapping_add(1);
        let mut taken = lock(&slots);
        if taken.len() >= HANDSHAKES_MAX
            && let Some((_, oldest)) = taken.pop_first()
        {
            oldest.abort();
            core.note(None, &LinkEnd::PushedOut);
        }
        let slot = Slot { slots: slots.clone(), number };
        let task = receive(core.clone(), acceptor.clone(), stream, slot);
        // Under the lock: the task cannot give its slot back before it stands in the map.
        let task = core.runtime.spawn(task).abort_handle();
        taken.insert(number, task);
    }
}

async fn receive(core: Arc<Core>, acceptor: TlsAcceptor, stream: TcpStream, slot: Slot) {
    let limit = core.timing.handshake;
    let handshake = async {
        dial::prepare(&stream, core.timing.dead_after).map_err(|error| tls::name(&error))?;
        let stream = acceptor.accept(stream).await.map_err(|error| tls::name(&error))?;
        let peer = tls::peer_of(stream.get_ref().1)?;
        Ok((stream, peer))
    };
    let outcome = timeout(limit, handshake).await;
    drop(slot);
    match outcome.unwrap_or(Err(LinkEnd::HandshakeTimeout(limit))) {
        Err(end) => core.note(None, &end),
        Ok((stream, peer)) => {
            // A task of its own: from here on no newer handshake may push it out.
            let link = core.clone();
            core.runtime.spawn(async move { link::run(&link, stream.into(), peer, false).await });
        }
    }
}

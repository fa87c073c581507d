//! The engine's effects on links and chain nodes, and the links' events on their way to the engine.

use super::record::Recorder;
use super::tamper::Tamper;
use crate::chain::ChainPool;
use crate::peers::{LinkEnd, PeerEvent, PeerManager, SendError};
use crate::runner::{Handle, Input, Outside};
use engine::{Event, FactsQuery};
use model::ids::{NodeId, RequestId};
use model::intent::Network;
use tokio::sync::mpsc;

/// Links and chain nodes.
pub(super) struct World {
    pub peers: PeerManager,
    pub chains: ChainPool,
    pub handle: Handle,
    /// Tests of test homes only.
    pub recorder: Option<Recorder>,
    /// Tests of test homes only.
    pub tamper: Option<Tamper>,
}

impl Outside for World {
    fn send(&mut self, peer: NodeId, bytes: Vec<u8>) {
        let bytes = match &mut self.tamper {
            Some(tamper) => tamper.pass(peer, bytes),
            None => bytes,
        };
        // Before the frame leaves: a recording that lacks a frame that left would prove nothing.
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.note(peer, &bytes)
        {
            return tracing::error!(%error, "a frame could not be recorded and is not sent");
        }
        match self.peers.send(peer, bytes) {
            // The session times out; the link's end was or will be told as an event.
            Ok(()) | Err(SendError::NotConnected) => {}
            Err(error) => tracing::warn!(peer = %peer.short(), %error, "a frame was not sent"),
        }
    }

    fn disconnect(&mut self, peer: NodeId) {
        // The engine asks for this after too much that does not read.
        self.peers.disconnect(peer, LinkEnd::Garbage);
    }

    fn connect(&mut self, peer: NodeId, endpoint: String) {
        if let Err(error) = self.peers.trust(peer, &endpoint) {
            tracing::error!(peer = %peer.short(), %error, "a trusted peer is not linked");
        }
    }

    fn restarted(&mut self, hello: Vec<u8>) {
        if let Err(error) = self.peers.set_hello(hello) {
            tracing::error!(%error, "the greeting is out of bounds");
        }
        // Links that were greeted by an engine that is gone: both ends must begin anew.
        for peer in self.peers.status().into_keys() {
            self.peers.disconnect(peer, LinkEnd::Renewed);
        }
    }

    fn ask_chain(&mut self, request: RequestId, query: FactsQuery) {
        self.chains.ask(request, query, &self.handle);
    }

    fn broadcast(&mut self, request: RequestId, network: Network, text: String) {
        self.chains.send_out(request, network, text, &self.handle);
    }
}

/// Brings the links' events to the engine. While the engine's queue is full this waits, then the links stop reading.
pub(super) async fn pump(mut events: mpsc::Receiver<PeerEvent>, handle: Handle) {
    while let Some(event) = events.recv().await {
        let event = match event {
            PeerEvent::Up { peer, hello, .. } => {
                tracing::info!(peer = %peer.short(), "link up");
                Event::Up { peer, hello }
            }
            PeerEvent::Down { peer, reason, .. } => {
                tracing::info!(peer = %peer.short(), reason = reason.code(), "link down");
                Event::Down { peer }
            }
            PeerEvent::Frame { peer, bytes, .. } => Event::Frame { peer, bytes },
            PeerEvent::Second { peer, .. } => Event::CloneSeen { peer },
            PeerEvent::TurnedAway { peer } => Event::TurnedAway { peer },
        };
        if !handle.bring_async(Input::Event(event)).await {
            return;
        }
    }
}

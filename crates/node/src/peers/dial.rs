//! The dialling side: one task per peer that dials whenever no link is up.

use super::core::Core;
use super::link::{self, Ended};
use super::{LinkEnd, tls};
use crate::entropy::OsEntropy;
use crate::sys;
use model::entropy::Entropy;
use model::ids::NodeId;
use rustls::pki_types::ServerName;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsConnector, TlsStream};

/// Raw keys have no names; TLS wants one all the same, and it is never sent.
const SERVER_NAME: &str = "outlast-peer";

/// Small frames leave at once, and the kernel gives up a dead path when we do.
pub(super) fn prepare(stream: &TcpStream, dead_after: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sys::set_tcp_user_timeout(stream.as_fd(), dead_after)
}

pub(super) async fn keep_dialling(core: Arc<Core>, peer: NodeId, endpoint: String) {
    tokio::select! {
        () = dial_for_ever(&core, peer, &endpoint) => {}
        () = core.closed() => {}
    }
}

async fn dial_for_ever(core: &Arc<Core>, peer: NodeId, endpoint: &str) {
    let mut failures = 0u32;
    loop {
        wait_until_absent(core, &peer).await;
        sleep(wait(core, peer, failures)).await;
        if core.table.get(&peer).is_some() {
            continue;
        }
        let lived = match dial(core, peer, endpoint).await {
            Ok(stream) => hold(core, stream, peer).await,
            Err(end) => {
                core.note(Some(peer), &end);
                None
            }
        };
        // A link that dies young is a failure too, or two nodes would hammer each other.
        let lasted = lived.is_some_and(|lived| lived >= core.timing.backoff_max);
        failures = if lasted { 0 } else { failures.saturating_add(1) };
    }
}

async fn wait_until_absent(core: &Core, peer: &NodeId) {
    let mut changes = core.table.changes.subscribe();
    while core.table.get(peer).is_some() {
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Doubles from `backoff_min` to `backoff_max`, of which a random half is taken away.
fn wait(core: &Core, peer: NodeId, failures: u32) -> Duration {
    let timing = &core.timing;
    let doubled = timing.backoff_min.saturating_mul(1u32 << failures.saturating_sub(1).min(16));
    let full = if failures == 0 { Duration::ZERO } else { doubled.min(timing.backoff_max) };
    let [random] = OsEntropy.bytes::<1>();
    let less = full.saturating_mul(u32::from(random)) / 512;
    let grace = if core.me < peer { timing.dial_grace } else { Duration::ZERO };
    full.saturating_sub(less).saturating_add(grace)
}

async fn dial(core: &Core, peer: NodeId, endpoint: &str) -> Result<TlsStream<TcpStream>, LinkEnd> {
    let limit = core.timing.handshake;
    let connector = TlsConnector::from(
        core.identity.client(peer).map_err(|error| LinkEnd::Tls(error.to_string()))?,
    );
    let name =
        ServerName::try_from(SERVER_NAME).map_err(|error| LinkEnd::Tls(error.to_string()))?;
    let handshake = async {
        let stream = TcpStream::connect(endpoint).await?;
        prepare(&stream, core.timing.dead_after)?;
        connector.connect(name, stream).await
    };
    let stream = timeout(limit, handshake)
        .await
        .map_err(|_| LinkEnd::HandshakeTimeout(limit))?
        .map_err(|error| tls::name(&error))?;
    if tls::peer_of(stream.get_ref().1)? != peer {
        return Err(LinkEnd::UnknownKey);
    }
    Ok(stream.into())
}

/// Runs the link in a task of its own: when this dialler is aborted, the link still reports its end.
async fn hold(core: &Arc<Core>, stream: TlsStream<TcpStream>, peer: NodeId) -> Option<Duration> {
    let link = {
        let core = core.clone();
        core.runtime.clone().spawn(async move { link::run(&core, stream, peer, true).await })
    };
    match link.await {
        Ok(Ended { lived }) => lived,
        Err(error) => {
            tracing::error!(%error, "a link task failed");
            None
        }
    }
}

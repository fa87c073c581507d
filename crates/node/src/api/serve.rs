//! The listener: bounded connections, bounded headers, slow callers cut off, a clean end.
//!
//! Plain HTTP on loopback only; anything else needs TLS, or the node does not start.

use super::extract::TlsCaller;
use super::house::{House, Place};
use super::tls::ApiTls;
use super::watched::{SlowEnd, Watched};
use crate::metrics::Metrics;
use crate::sys;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Bytes of a request head at most.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Header lines at most.
const HEADERS_MAX: usize = 64;
/// API-LISTEN-3: what strangers may take up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at one time.
    pub connections: u32,
    /// A caller's request head must be there within this time (slowloris); also how long an idle connection is kept.
    pub head: Duration,
    /// A TLS handshake takes at most this long.
    pub handshake: Duration,
    /// An answer that its caller does not take ends the connection after this time.
    pub answer: Duration,
    /// In a full house, whoever was answered this long ago and asks nothing makes room.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(30),
            handshake: Duration::from_secs(5),
            answer: Duration::from_secs(30),
            idle: Duration::from_secs(1),
        }
    }
}

/// Pause after the operating system gave no connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the API does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Tokens would cross a network in clear.
    #[error(
        "[api] listen = \"{0}\" is not loopback; set [api] tls_cert and tls_key, or listen on 127.0.0.1"
    )]
    PlainOutside(SocketAddr),
    /// The operating system refuses.
    #[error("the API cannot listen on {0}")]
    Bind(SocketAddr, #[source] std::io::Error),
}

impl ListenError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PlainOutside(_) => "api_plain_outside",
            Self::Bind(..) => "api_listen",
        }
    }
}

/// A bound listener, ready to serve.
pub struct Server {
    listener: TcpListener,
    tls: Option<ApiTls>,
    address: SocketAddr,
    bounds: Bounds,
}

impl core::fmt::Debug for Server {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Server({}, tls: {})", self.address, self.tls.is_some())
    }
}

/// Binds the API's address.
pub async fn bind(address: SocketAddr, tls: Option<ApiTls>) -> Result<Server, ListenError> {
    // API-LISTEN-1: a token must not cross a network in clear.
    if tls.is_none() && !address.ip().is_loopback() {
        return Err(ListenError::PlainOutside(address));
    }
    let failed = |error| ListenError::Bind(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Server { listener, tls, address, bounds: Bounds::default() })
}

impl Server {
    /// Where it listens; the port is real also where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Other bounds, so that tests need not wait.
    #[cfg(test)]
    pub(super) fn bounded(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Serves until `stop` turns true, then lets answers under way finish for at most `grace`.
    pub async fn run(
        self,
        router: Router,
        metrics: Arc<Metrics>,
        mut stop: watch::Receiver<bool>,
        grace: Duration,
    ) {
        let mut house = House::new(self.bounds.connections, self.bounds.idle);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stopped(&mut stop) => break,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            // API-LISTEN-5: silent callers make room. A house full of work closes the door at once instead of letting
            // callers wait for their own time-out.
            let Some((place, out)) = house.enter() else {
                metrics.connection_shed();
                continue;
            };
            let (router, tls, stop) = (router.clone(), self.tls.clone(), stop.clone());
            let (metrics, bounds) = (Arc::clone(&metrics), self.bounds);
            tokio::spawn(async move {
                // API-LISTEN-4: whoever was slow is counted by what it did not do.
                let slow = tokio::select! {
                    slow = serve(stream, tls, router, stop, bounds, &place) => slow,
                    Ok(()) = out => Some(SlowEnd::MadeRoom),
                };
                if let Some(slow) = slow {
                    metrics.connection_slow(slow.code());
                }
            });
        }
        drop(self.listener);
        let _out_of_time = tokio::time::timeout(grace, house.empty()).await;
    }
}

/// Resolves once the node stops (or whoever would say so is gone).
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _nobody_to_say = stop.wait_for(|stop| *stop).await;
}

/// Serves one connection to its end; what its caller did not do in time.
async fn serve(
    stream: TcpStream,
    tls: Option<ApiTls>,
    router: Router,
    stop: watch::Receiver<bool>,
    bounds: Bounds,
    place: &Place,
) -> Option<SlowEnd> {
    let _best_effort = stream.set_nodelay(true);
    // A caller that does not take its answer loses its connection.
    let _best_effort = sys::set_tcp_user_timeout(stream.as_fd(), bounds.answer);
    let Some(tls) = tls else {
        return speak(stream, router, stop, bounds, place).await;
    };
    match tokio::time::timeout(bounds.handshake, tls.accept(stream)).await {
        Err(_) => Some(SlowEnd::Handshake),
        Ok(Err(_)) => None,
        Ok(Ok((stream, caller))) => {
            let router = match caller {
                Some(key) => router.layer(Extension(TlsCaller(key))),
                None => router,
            };
            speak(stream, router, stop, bounds, place).await
        }
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    mut stop: watch::Receiver<bool>,
    bounds: Bounds,
    place: &Place,
) -> Option<SlowEnd> {
    let (stream, begun) = Watched::new(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), place.noting(TowerToHyperService::new(router)));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            // Finishes the answer under way, takes no further request on this connection.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let error = ended.err()?;
    SlowEnd::of(&error, begun.load(Ordering::Relaxed))
}

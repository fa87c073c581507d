//! Ports both ways, and what a cloud exposes to every process on the machine.

use super::{Check, Surroundings};
use crate::entropy::OsEntropy;
use crate::home::Settings;
use model::entropy::Entropy;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

const DIAL_WAIT: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// Listens where the node would and dials the endpoint that stands on its card.
pub(super) fn ports(settings: &Settings) -> Check {
    let listener = match TcpListener::bind(settings.listen) {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            return Check::warn(
                "ports",
                format!("{} is in use", settings.listen),
                "stop the node before a preflight, or choose another `listen`",
            );
        }
        Err(error) => {
            return Check::fail(
                "ports",
                format!("cannot listen on {}: {error}", settings.listen),
                "choose a `listen` address of this machine",
            );
        }
    };
    if settings.advertise.is_empty() {
        return Check::ok("ports", "listens; advertises no endpoint, so peers must be dialled");
    }
    match reach(&listener, &settings.advertise) {
        Ok(()) => Check::ok("ports", format!("{} leads back here", settings.advertise)),
        Err(error) => Check::warn(
            "ports",
            format!("{} does not lead back here: {error}", settings.advertise),
            "open the port to the peers; some routers only refuse this test from inside: \
             then let a peer try",
        ),
    }
}

/// Proves that the endpoint leads to this listener and not to somebody else's: random bytes must arrive.
fn reach(listener: &TcpListener, endpoint: &str) -> io::Result<()> {
    let wanted = OsEntropy.bytes::<16>();
    listener.set_nonblocking(true)?;
    let mut stream = connect(endpoint)?;
    stream.set_write_timeout(Some(DIAL_WAIT))?;
    stream.write_all(&wanted)?;
    let start = Instant::now();
    while start.elapsed() < DIAL_WAIT {
        match listener.accept() {
            // A stranger may come first; ours may still be behind.
            Ok((guest, _)) => {
                if hears(guest, &wanted) {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(POLL),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(ErrorKind::TimedOut, "somebody else answered there"))
}

fn hears(mut guest: TcpStream, wanted: &[u8; 16]) -> bool {
    let mut found = [0u8; 16];
    let ready =
        guest.set_nonblocking(false).and_then(|()| guest.set_read_timeout(Some(DIAL_WAIT / 3)));
    ready.and_then(|()| guest.read_exact(&mut found)).is_ok() && found == *wanted
}

fn connect(endpoint: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in endpoint.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, DIAL_WAIT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The way out: dials every peer. That the one who answers is the peer, only a link shows.
pub(super) fn peers(endpoints: &BTreeMap<String, String>) -> Check {
    if endpoints.is_empty() {
        let detail = "no peer with an endpoint is trusted yet; --peer HOST:PORT tries one";
        return Check::ok("peers", detail);
    }
    let silent: Vec<String> = std::thread::scope(|scope| {
        let dial = |(endpoint, operator): (&String, &String)| {
            let (endpoint, operator) = (endpoint.clone(), operator.clone());
            scope.spawn(move || match connect(&endpoint) {
                Ok(_) => None,
                Err(error) => Some(format!("{endpoint} ({operator}): {error}")),
            })
        };
        let calls: Vec<_> = endpoints.iter().map(dial).collect();
        calls.into_iter().filter_map(|call| call.join().ok().flatten()).collect()
    });
    let reached = endpoints.len().saturating_sub(silent.len());
    let detail = format!("{reached} of {} answer", endpoints.len());
    match silent.is_empty() {
        true => Check::ok("peers", detail),
        false => Check::warn(
            "peers",
            format!("{detail}; not {}", silent.join(", ")),
            "open the way out to these, or ask their operators whether they are up",
        ),
    }
}

/// A machine whose processes reach the metadata service hands the cloud's credentials to whoever gets into one.
pub(super) fn metadata(surroundings: &Surroundings) -> Check {
    let wait = surroundings.metadata_wait;
    let answers = |address: &&SocketAddr| TcpStream::connect_timeout(address, wait).is_ok();
    let list = |found: Vec<&SocketAddr>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let open: Vec<&SocketAddr> = surroundings.metadata.iter().filter(answers).collect();
    if open.is_empty() {
        let all = list(surroundings.metadata.iter().collect());
        return Check::ok("metadata_service", format!("out of reach: {all}"));
    }
    Check::warn(
        "metadata_service",
        format!("{} answers: this process can ask the cloud for credentials", list(open)),
        "block it for the node's user: nft add rule inet filter output meta skuid USER \
         ip daddr 169.254.169.254 drop; the same with ip6 daddr for its IPv6 address",
    )
}

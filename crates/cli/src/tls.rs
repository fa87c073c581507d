//! HTTPS to a node: the certificate is pinned by its fingerprint or signed by a named CA, or there is no connection.
//!
//! Invariants: the machine's and the browsers' certificate authorities are never asked; a token leaves only after the
//! certificate was checked; every failure has a name and a next step. Absent on purpose: a way to skip the check, and
//! trust on first use.

use crate::error::{CommandError, chain};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, OtherError,
    RootCertStore, SignatureScheme, StreamOwned,
};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// What tells that the node is the right one, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trust {
    /// The node's certificate.
    pub(crate) server: Server,
    /// Certificate and key to show, PEM files.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

/// Which certificate is the node's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Server {
    /// The one with this SHA-256.
    Pin([u8; 32]),
    /// One for the address' host, signed by a certificate of this file.
    Ca(PathBuf),
}

/// Reads a fingerprint: 64 hex digits, with colons or without.
pub(crate) fn fingerprint(text: &str) -> Result<[u8; 32], CommandError> {
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let bytes = hex::decode(digits).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        CommandError::usage(format!("`{text}` is no SHA-256 fingerprint of 64 hex digits"))
            .hint("`openssl x509 -in CERT -noout -fingerprint -sha256` prints a certificate's")
    })
}

/// Fingerprint of the first certificate of a PEM file.
pub(crate) fn fingerprint_of_file(path: &Path) -> Result<[u8; 32], CommandError> {
    let all = certificates(path)?;
    let first = all.first().ok_or_else(|| bad_file(path, "no certificate"))?;
    Ok(model::hash::sha256(first))
}

fn bad_file(path: &Path, what: &str) -> CommandError {
    CommandError::refused("tls_file", format!("{} holds {what} as PEM", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CommandError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let all: Vec<_> = read.map_err(|error| bad_file(path, &format!("no certificate ({error})")))?;
    if all.is_empty() { Err(bad_file(path, "no certificate")) } else { Ok(all) }
}

#[derive(Debug)]
struct WrongPin {
    expected: [u8; 32],
    found: [u8; 32],
}

impl std::fmt::Display for WrongPin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (found, expected) = (hex::encode(self.found), hex::encode(self.expected));
        write!(f, "its certificate has the fingerprint {found}, not {expected}")
    }
}

impl std::error::Error for WrongPin {}

/// Takes one certificate, whoever signed it and whatever it names; its key must still sign the handshake.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (expected, found) = (self.pin, model::hash::sha256(certificate));
        if found == expected {
            return Ok(ServerCertVerified::assertion());
        }
        let wrong = OtherError(Arc::new(WrongPin { expected, found }));
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(wrong)))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Puts TLS on a connection.
#[derive(Debug)]
pub(crate) struct TlsConnector(Arc<ClientConfig>);

impl TlsConnector {
    pub(crate) fn new(trust: &Trust) -> Result<Self, CommandError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match &trust.server {
            Server::Pin(pin) => Arc::new(Pinned { pin: *pin, provider: Arc::clone(&provider) }),
            Server::Ca(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| bad_file(path, &format!("no CA ({e})")))?;
                }
                let roots = Arc::new(roots);
                WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                    .build()
                    .map_err(|e| bad_file(path, &format!("no CA ({e})")))?
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|e| CommandError::bug(format!("no TLS 1.3: {e}")))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let config = match &trust.identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let read = PrivateKeyDer::from_pem_file(key);
                let private = read.map_err(|e| bad_file(key, &format!("no private key ({e})")))?;
                config.with_client_auth_cert(chain, private).map_err(|e| {
                    let pair = format!("{} and {}", certificate.display(), key.display());
                    CommandError::refused("tls_file", format!("{pair} do not belong together: {e}"))
                })?
            }
        };
        Ok(Self(Arc::new(config)))
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = TlsTransport;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<TlsTransport>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host);
        let name = name.map_err(|_| ureq::Error::BadUri("no host name for TLS".to_owned()))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name)?;
        let clock = Arc::clone(&details.current_time);
        let mut socket = TransportAdapter::new(transport.boxed(), clock);
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let sizes = (details.config.input_buffer_size(), details.config.output_buffer_size());
        let buffers = LazyBuffers::new(sizes.0, sizes.1);
        let stream = StreamOwned { conn: connection, sock: socket };
        Ok(Some(TlsTransport { buffers, stream }))
    }
}

/// A connection under TLS.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl std::fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsTransport(..)")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// The failure of TLS behind an error, if it is one.
fn cause(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Names a failure of TLS and what to do about it.
pub(crate) fn explain(base: &str, error: &ureq::Error) -> Option<CommandError> {
    let cause = cause(error)?;
    Some(match cause {
        rustls::Error::InvalidCertificate(CertificateError::Other(wrong)) => {
            let text = format!("{base} is not the pinned node: {}", wrong.0);
            CommandError::refused("tls_wrong_certificate", text).hint(
                "nothing was sent. Ask its operator for the fingerprint by another way, and give a new \
                 certificate's to --tls-pin; if it has none, somebody is between you and the node",
            )
        }
        rustls::Error::InvalidCertificate(_) => {
            let text = format!("the certificate of {base} does not hold: {}", chain(cause));
            CommandError::refused("tls_untrusted", text).hint(
                "nothing was sent. --tls-ca names the CA that signed it, and the host must be one that it \
                 names; --tls-pin takes one certificate whatever it names",
            )
        }
        rustls::Error::InvalidMessage(_) => {
            let text = format!("{base} does not speak TLS: {}", chain(cause));
            CommandError::unavailable("tls_not_spoken", text)
                .hint("without [api_tls] in its node.toml the address begins with http://")
        }
        rustls::Error::AlertReceived(_) => {
            let text = format!("{base} refused the TLS connection: {}", chain(cause));
            CommandError::refused("tls_refused", text).hint(
                "--tls-cert must be signed by the CA that the node's [api_tls] names as client_ca",
            )
        }
        other => {
            let text = format!("no TLS connection to {base}: {}", chain(other));
            CommandError::unavailable("tls_failed", text).hint("the node speaks TLS 1.3 only")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_read_with_colons_and_without() {
        let check = |text: &str, good: bool| assert_eq!(fingerprint(text).is_ok(), good, "{text}");
        check(&"ab".repeat(32), true);
        check(&"AB:".repeat(32), true);
        check(&"ab".repeat(31), false);
        check("", false);
        check(&"zz".repeat(32), false);
    }
}

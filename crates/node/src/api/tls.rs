//! TLS for an API that leaves loopback: TLS 1.3, the operator's certificate, optionally client certificates.
//!
//! A verified client certificate acts as a service key: its caller is a hash of its subject public key info, so a
//! renewed certificate over the same key stays the same client.

use super::extract::tls_credential;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Why TLS cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file.
    #[error("{0} cannot be read as PEM")]
    File(PathBuf, #[source] std::io::Error),
    /// A file without what it should hold.
    #[error("{0} holds no {1}")]
    Empty(PathBuf, &'static str),
    /// rustls refuses the pair.
    #[error("the certificate and key of [api] do not make a TLS server")]
    Config(#[from] rustls::Error),
    /// rustls refuses the client CA.
    #[error("[api] client_ca does not make a verifier: {0}")]
    ClientCa(String),
}

/// A TLS server for the API; cheap to clone.
#[derive(Clone)]
pub struct ApiTls(TlsAcceptor);

impl core::fmt::Debug for ApiTls {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ApiTls(..)")
    }
}

impl ApiTls {
    /// From PEM files; with `client_ca`, callers may show a certificate of it.
    pub fn load(cert: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Self, TlsError> {
        let chain = certificates(cert)?;
        let key = private_key(key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match client_ca {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate)?;
                }
                // API-LISTEN-2: a caller without a certificate may still show a token.
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| TlsError::ClientCa(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Handshakes; answers the stream and the caller's credential, if it showed a certificate.
    pub async fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<(TlsStream<TcpStream>, Option<[u8; 32]>)> {
        let stream = self.0.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let caller = shown.map(key_hash).transpose()?;
        Ok((stream, caller))
    }
}

fn key_hash(certificate: &CertificateDer<'_>) -> std::io::Result<[u8; 32]> {
    let parsed = ParsedCertificate::try_from(certificate).map_err(std::io::Error::other)?;
    Ok(tls_credential(model::hash::sha256(parsed.subject_public_key_info().as_ref())))
}

fn open(path: &Path) -> Result<File, TlsError> {
    File::open(path).map_err(|error| TlsError::File(path.into(), error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all = CertificateDer::pem_reader_iter(open(path)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unreadable(path, error))?;
    if all.is_empty() { Err(TlsError::Empty(path.into(), "certificate")) } else { Ok(all) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    match PrivateKeyDer::from_pem_reader(open(path)?) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => Err(TlsError::Empty(path.into(), "private key")),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn unreadable(path: &Path, error: pem::Error) -> TlsError {
    let error = match error {
        pem::Error::Io(error) => error,
        other => std::io::Error::other(other),
    };
    TlsError::File(path.into(), error)
}

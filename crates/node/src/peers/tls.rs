//! TLS 1.3 (RFC 8446) with raw Ed25519 keys on both sides (RFC 7250) and X25519MLKEM768 as the only key exchange.
//!
//! A key is a name: the set of trusted keys decides, no certificate and no authority does. Tickets and resumption are
//! off, so that every link proves both keys anew.

use super::LinkEnd;
use model::card::NodeKey;
use model::ids::NodeId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group, sign::any_eddsa_type};
use rustls::crypto::{CryptoProvider, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    Error, PeerIncompatible, ServerConfig, SignatureScheme,
};
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use zeroize::Zeroize;

/// Protocol name of the links; another version is another name.
pub(super) const ALPN: &[u8] = b"outlast-peer/1";

/// RFC 8410: what stands before the 32 bytes of an Ed25519 public key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];
/// RFC 8410: what stands before the 32 bytes of an Ed25519 seed.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// The keys that this node's operator imported; shared with the verifier, so a removal works at once.
#[derive(Debug, Clone, Default)]
pub(super) struct Trusted(Arc<RwLock<BTreeSet<NodeId>>>);

impl Trusted {
    pub(super) fn contains(&self, node: &NodeId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(node)
    }
    pub(super) fn insert(&self, node: NodeId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(node);
    }
    pub(super) fn remove(&self, node: &NodeId) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

/// This node's side of every handshake.
pub(super) struct Identity {
    provider: Arc<CryptoProvider>,
    key: Arc<CertifiedKey>,
}

impl Identity {
    pub(super) fn new(key: &NodeKey) -> Result<Self, Error> {
        let mut pkcs8 = [0u8; 48];
        let (head, tail) = pkcs8.split_at_mut(PKCS8_PREFIX.len());
        head.copy_from_slice(&PKCS8_PREFIX);
        tail.copy_from_slice(key.seed().expose());
        let mut der = PrivatePkcs8KeyDer::from(pkcs8.to_vec());
        pkcs8.zeroize();
        let signer = any_eddsa_type(&der);
        der.zeroize();
        let spki = [SPKI_PREFIX.as_slice(), key.id().as_bytes()].concat();
        let key = Arc::new(CertifiedKey::new(vec![CertificateDer::from(spki)], signer?));
        Ok(Self { provider: Arc::new(hybrid_only()), key })
    }

    /// What a build without the post-quantum half would offer.
    #[cfg(test)]
    pub(super) fn classical_for_tests(key: &NodeKey) -> Self {
        let own = Self::new(key).expect("a sound key");
        let kx_groups = vec![kx_group::X25519];
        Self { provider: Arc::new(CryptoProvider { kx_groups, ..hybrid_only() }), key: own.key }
    }

    /// Accepts every trusted key.
    pub(super) fn server(&self, trusted: Trusted) -> Result<Arc<ServerConfig>, Error> {
        let pins = Arc::new(Pins { who: Who::Trusted(trusted), provider: self.provider.clone() });
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(pins)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(self.key.clone())));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Arc::new(config))
    }

    /// Accepts `peer`'s key alone.
    pub(super) fn client(&self, peer: NodeId) -> Result<Arc<ClientConfig>, Error> {
        let pins = Arc::new(Pins { who: Who::Only(peer), provider: self.provider.clone() });
        let resolver = AlwaysResolvesClientRawPublicKeys::new(self.key.clone());
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(pins)
            .with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(Arc::new(config))
    }
}

/// Recorded traffic carries sub-shares, so a key exchange that a later quantum computer opens is not offered at all.
fn hybrid_only() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    }
}

/// The node behind a raw public key; `None` when it is no Ed25519 key.
pub(super) fn node_of(spki: &[u8]) -> Option<NodeId> {
    spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(NodeId)
}

/// Who authenticated at the other end, once the handshake is done and speaks our protocol.
pub(super) fn peer_of(connection: &rustls::CommonState) -> Result<NodeId, LinkEnd> {
    if connection.alpn_protocol() != Some(ALPN) {
        return Err(LinkEnd::OtherProtocol);
    }
    let key = connection.peer_certificates().and_then(|keys| keys.first());
    key.and_then(|key| node_of(key)).ok_or(LinkEnd::UnknownKey)
}

/// Names what ended a handshake or a link.
pub(super) fn name(error: &io::Error) -> LinkEnd {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) => {
            LinkEnd::UnknownKey
        }
        Some(Error::AlertReceived(AlertDescription::AccessDenied)) => LinkEnd::NotTrustedThere,
        Some(Error::PeerIncompatible(PeerIncompatible::NoKxGroupsInCommon)) => {
            LinkEnd::NoCommonKeyExchange
        }
        Some(Error::NoApplicationProtocol) => LinkEnd::OtherProtocol,
        Some(other) => LinkEnd::Tls(other.to_string()),
        None if error.kind() == io::ErrorKind::UnexpectedEof => LinkEnd::Closed,
        None if error.kind() == io::ErrorKind::ConnectionReset => LinkEnd::Closed,
        None => LinkEnd::Io(error.to_string()),
    }
}

#[derive(Debug)]
enum Who {
    Trusted(Trusted),
    Only(NodeId),
}

#[derive(Debug)]
struct Pins {
    who: Who,
    provider: Arc<CryptoProvider>,
}

impl Pins {
    fn check(&self, key: &CertificateDer<'_>) -> Result<(), Error> {
        let node = node_of(key);
        let known = node.as_ref().is_some_and(|node| match &self.who {
            Who::Trusted(trusted) => trusted.contains(node),
            Who::Only(peer) => peer == node,
        });
        if known {
            return Ok(());
        }
        tracing::info!(?node, "a link from or to an unknown key was refused");
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = SubjectPublicKeyInfoDer::from(key.as_ref());
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &key, signed, algorithms)
    }
}

fn no_tls12() -> Result<HandshakeSignatureValid, Error> {
    Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
}

impl ServerCertVerifier for Pins {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, key, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Pins {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        no_tls12()
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        key: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify_signature(message, key, signed)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

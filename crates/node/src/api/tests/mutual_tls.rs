//! The API over TLS: a verified client certificate is a credential, another one is none.

use super::super::testing::{Fixture, block_on, node};
use super::super::{ApiTls, bind, router, tls_credential, token_credential};
use crate::home::ChainRpc;
use engine::{Caller, Reply};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// SHA-256 of the client certificate's subject public key info, by another tool:
/// `openssl x509 -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum`.
const CLIENT_KEY: &str = "680ef9aab61b7fb6575e4bd054a07db06a2b6f088a924b2881e3b23049c90a27";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/tls").join(name)
}

fn chain(name: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(file(name)).unwrap().map(Result::unwrap).collect()
}

fn client(with_certificate: bool) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(chain("ca.pem").remove(0)).unwrap();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(if with_certificate {
        let key = PrivateKeyDer::from_pem_file(file("client.key")).unwrap();
        builder.with_client_auth_cert(chain("client.pem"), key).unwrap()
    } else {
        builder.with_no_client_auth()
    })
}

/// First line of the answer to one request.
async fn ask(address: std::net::SocketAddr, config: Arc<ClientConfig>, token: &str) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = tokio_rustls::TlsConnector::from(config);
    let mut stream = connector.connect(name, stream).await.unwrap();
    let authorization = match token {
        "" => String::new(),
        token => format!("authorization: Bearer {token}\r\n"),
    };
    let head = format!("GET /v1/vaults HTTP/1.1\r\nhost: localhost\r\n{authorization}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = vec![0u8; 4096];
    let n = stream.read(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes[..n]).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_client_certificate_acts_as_the_hash_of_its_key() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seen_by_engine = Arc::clone(&seen);
    let fixture: Fixture = node(&ChainRpc::default(), move |caller, _| {
        seen_by_engine.lock().unwrap().push(caller);
        Ok(Reply::Vaults(vec![]))
    });
    block_on(async {
        let ca = file("ca.pem");
        let tls = ApiTls::load(&file("server.pem"), &file("server.key"), Some(&ca)).unwrap();
        // With TLS an address off loopback is allowed; the test itself stays on this machine.
        let server = bind("0.0.0.0:0".parse().unwrap(), Some(tls)).await.unwrap();
        let address = ([127, 0, 0, 1], server.address().port()).into();
        let (_stop, stopped) = watch::channel(false);
        let metrics = Arc::clone(&fixture.state.metrics);
        tokio::spawn(server.run(router(&fixture.state), metrics, stopped, Duration::ZERO));
        assert_eq!(ask(address, client(true), "").await, "HTTP/1.1 200 OK");
        assert_eq!(ask(address, client(false), "").await, "HTTP/1.1 401 Unauthorized");
        assert_eq!(ask(address, client(true), "operator-token").await, "HTTP/1.1 200 OK");
    });
    let key: [u8; 32] = hex::decode(CLIENT_KEY).unwrap().try_into().unwrap();
    assert_eq!(*seen.lock().unwrap(), [Caller::Client(tls_credential(key)), Caller::Operator]);
}

#[test]
fn files_that_are_no_certificate_or_no_key_are_named() {
    let load = |cert: &str, key: &str| {
        let error = ApiTls::load(&file(cert), &file(key), None).err();
        error.map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(load("server.pem", "server.key"), "");
    assert!(load("none.pem", "server.key").ends_with("none.pem cannot be read as PEM"));
    assert!(load("server.key", "server.key").ends_with("server.key holds no certificate"));
    assert!(load("server.pem", "ca.pem").ends_with("ca.pem holds no private key"));
    assert!(load("client.pem", "server.key").contains("do not make a TLS server"));
}

/// Harm: a program that knows another's certificate, which is public, would be it with a token made of it.
#[test]
fn a_token_never_stands_for_a_certificate() {
    let key: [u8; 32] = hex::decode(CLIENT_KEY).unwrap().try_into().unwrap();
    assert_ne!(token_credential(CLIENT_KEY), tls_credential(key));
    // Bytes that are the same under both tags still differ.
    let text = "k".repeat(32);
    let bytes: [u8; 32] = text.as_bytes().try_into().unwrap();
    assert_ne!(token_credential(&text), tls_credential(bytes));
}

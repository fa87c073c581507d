//! Speaks to one node's HTTP API; the JSON is [`model::api`].
//!
//! An `https` address needs the node's certificate ([`crate::tls`]); plain `http` is for this machine and for tunnels.

use crate::error::CommandError;
use crate::tls::{self, TlsConnector, Trust};
use model::api;
use model::ids::{CeremonyId, NodeId, RequestId, VaultId};
use model::intent::Network;
use model::secret::Secret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Longer than any wait that a node grants.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A connection pool to one node.
pub(crate) struct Client {
    agent: ureq::Agent,
    base: String,
    authorization: Option<Secret<String>>,
}

impl Client {
    /// `base` is `http://host:port`.
    pub(crate) fn new(base: &str, token: Option<Secret<String>>) -> Result<Self, CommandError> {
        Self::with_trust(base, token, None)
    }

    /// `base` is `http://host:port`, or with `trust` `https://host:port`.
    pub(crate) fn with_trust(
        base: &str,
        token: Option<Secret<String>>,
        trust: Option<&Trust>,
    ) -> Result<Self, CommandError> {
        let base = base.trim_end_matches('/').to_owned();
        let connector = match (base.starts_with("http://"), base.starts_with("https://"), trust) {
            (true, _, None) => None,
            (_, true, Some(trust)) => Some(TlsConnector::new(trust)?),
            (true, _, Some(_)) => {
                let text = format!("a certificate means nothing for `{base}`");
                return Err(CommandError::usage(text).hint("write https:// or leave --tls-… out"));
            }
            (_, true, None) => {
                let text = format!("which certificate is that of `{base}`?");
                return Err(CommandError::usage(text).hint(
                    "--tls-pin FINGERPRINT takes exactly one (`openssl x509 -in CERT -noout -fingerprint \
                     -sha256` at its operator's), --tls-ca FILE those of a CA",
                ));
            }
            (false, false, _) => {
                let text = format!("`{base}` is neither an http:// nor an https:// address");
                return Err(CommandError::usage(text));
            }
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .max_idle_connections(256)
            .max_idle_connections_per_host(256)
            .max_idle_age(Duration::from_secs(4))
            .no_delay(true)
            .proxy(None)
            .build();
        let authorization = token.map(|t| Secret::new(format!("Bearer {}", t.expose())));
        let agent = match connector {
            None => config.into(),
            Some(tls) => {
                let connector = ().chain(TcpConnector::default()).chain(tls);
                ureq::Agent::with_parts(config, connector, DefaultResolver::default())
            }
        };
        Ok(Self { agent, base, authorization })
    }

    /// The node's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Path of one vault, request…
    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn authorized<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.authorization {
            Some(value) => request.header("authorization", value.expose()),
            None => request,
        }
    }

    /// `GET`, any text (metrics, health).
    pub(crate) fn get_text(&self, path: &str) -> Result<(u16, String), CommandError> {
        let sent = self.authorized(self.agent.get(self.url(path))).call();
        let (status, body) = self.receive(sent)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// `GET`, JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CommandError> {
        let sent = self.authorized(self.agent.get(self.url(path))).call();
        read(path, self.receive(sent)?)
    }

    /// `POST`, JSON both ways.
    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, CommandError> {
        read(path, self.post_bytes(path, body)?)
    }

    /// `POST` whose answer's body does not matter.
    pub(crate) fn post_unit<B: Serialize>(&self, path: &str, body: &B) -> Result<(), CommandError> {
        check(path, &self.post_bytes(path, body)?)
    }

    /// `DELETE`.
    pub(crate) fn delete(&self, path: &str) -> Result<(), CommandError> {
        let sent = self.authorized(self.agent.delete(self.url(path))).call();
        check(path, &self.receive(sent)?)
    }

    fn post_bytes<B: Serialize>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<(u16, Vec<u8>), CommandError> {
        let bytes = serde_json::to_vec(body)
            .map_err(|e| CommandError::bug(format!("the question is no JSON: {e}")))?;
        self.send(path, &bytes)
    }

    fn send(&self, path: &str, json: &[u8]) -> Result<(u16, Vec<u8>), CommandError> {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        self.receive(self.authorized(request).send(json))
    }

    fn receive(
        &self,
        sent: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, Vec<u8>), CommandError> {
        let mut response = sent.map_err(|e| self.unreachable(&e))?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        Ok((status, body.map_err(|e| self.unreachable(&e))?))
    }

    fn unreachable(&self, error: &ureq::Error) -> CommandError {
        if let Some(explained) = tls::explain(&self.base, error) {
            return explained;
        }
        // What a TLS port says to plain HTTP is no HTTP.
        if let ureq::Error::Protocol(_) = error {
            let text = format!("{} does not answer in HTTP: {error}", self.base);
            return CommandError::unavailable("no_http", text).hint(
                "with [api_tls] in its node.toml the address begins with https://, and needs --tls-pin or \
                 --tls-ca",
            );
        }
        let code = if matches!(error, ureq::Error::Timeout(_)) { "timed_out" } else { "no_node" };
        CommandError::unavailable(code, format!("no answer from {}: {error}", self.base))
            .hint("is the node running? `outlast node run --dir DIR` starts it")
    }
}

/// [`api::Unseal`] without a copy of the passphrase that nobody wipes.
fn unseal_body(passphrase: &Secret<String>) -> Result<Secret<Vec<u8>>, CommandError> {
    #[derive(Serialize)]
    struct Unseal<'a> {
        passphrase: &'a str,
    }
    let passphrase = passphrase.expose();
    // JSON escapes one byte by six at most: the buffer never grows, so it leaves no part of itself behind.
    let mut json = Vec::with_capacity(passphrase.len().saturating_mul(6).saturating_add(64));
    let written = serde_json::to_writer(&mut json, &Unseal { passphrase });
    let json = Secret::new(json);
    written.map_err(|e| CommandError::bug(format!("the question is no JSON: {e}")))?;
    Ok(json)
}

fn check(path: &str, (status, body): &(u16, Vec<u8>)) -> Result<(), CommandError> {
    if (200..300).contains(status) {
        return Ok(());
    }
    Err(match serde_json::from_slice::<api::Problem>(body) {
        Ok(problem) => CommandError::from_problem(*status, problem),
        Err(_) => {
            let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
            let message = format!("{path} answered {status} without a reason: {text}");
            let problem = api::Problem { code: "no_reason".into(), message, hint: None };
            CommandError::from_problem(*status, problem)
        }
    })
}

fn read<T: DeserializeOwned>(path: &str, answer: (u16, Vec<u8>)) -> Result<T, CommandError> {
    check(path, &answer)?;
    serde_json::from_slice(&answer.1)
        .map_err(|e| CommandError::bug(format!("the answer of {path} does not read: {e}")))
}

/// The calls, one per line of the API document.
impl Client {
    pub(crate) fn node(&self) -> Result<api::NodeView, CommandError> {
        self.get("/v1/node")
    }
    pub(crate) fn unseal(&self, passphrase: &Secret<String>) -> Result<(), CommandError> {
        let path = "/v1/unseal";
        check(path, &self.send(path, unseal_body(passphrase)?.expose())?)
    }
    pub(crate) fn trust(&self, peer: &api::TrustPeer) -> Result<(), CommandError> {
        self.post_unit("/v1/peers", peer)
    }
    pub(crate) fn resume_pair(&self, peer: NodeId) -> Result<(), CommandError> {
        self.post_unit(&format!("/v1/peers/{peer}/resume-pair"), &serde_json::json!({}))
    }
    pub(crate) fn release(&self, peer: NodeId) -> Result<(), CommandError> {
        self.post_unit(&format!("/v1/peers/{peer}/release"), &serde_json::json!({}))
    }
    pub(crate) fn new_ceremony(
        &self,
        new: &api::NewCeremony,
    ) -> Result<api::CeremonyView, CommandError> {
        self.post("/v1/ceremonies", new)
    }
    pub(crate) fn join(&self, id: CeremonyId) -> Result<api::CeremonyView, CommandError> {
        self.post(&format!("/v1/ceremonies/{id}/join"), &serde_json::json!({}))
    }
    pub(crate) fn ceremony(&self, id: CeremonyId) -> Result<api::CeremonyView, CommandError> {
        self.get(&format!("/v1/ceremonies/{id}"))
    }
    pub(crate) fn ceremonies(&self) -> Result<Vec<api::CeremonyView>, CommandError> {
        self.get("/v1/ceremonies")
    }
    pub(crate) fn evidence(&self, id: CeremonyId) -> Result<api::RecordView, CommandError> {
        self.get(&format!("/v1/ceremonies/{id}/evidence"))
    }
    pub(crate) fn vault_ceremony(&self, id: VaultId) -> Result<api::RecordView, CommandError> {
        self.get(&format!("/v1/vaults/{id}/ceremony"))
    }
    pub(crate) fn vaults(&self) -> Result<Vec<api::VaultView>, CommandError> {
        self.get("/v1/vaults")
    }
    pub(crate) fn vault(&self, id: VaultId) -> Result<api::VaultView, CommandError> {
        self.get(&format!("/v1/vaults/{id}"))
    }
    pub(crate) fn address(
        &self,
        vault: VaultId,
        network: Network,
        path: &str,
    ) -> Result<api::AddressView, CommandError> {
        self.get(&format!("/v1/vaults/{vault}/address?network={network}&path={path}"))
    }
    pub(crate) fn account(
        &self,
        vault: VaultId,
        network: Network,
        path: &str,
    ) -> Result<api::AccountView, CommandError> {
        self.get(&format!("/v1/vaults/{vault}/account?network={network}&path={path}"))
    }
    pub(crate) fn submit(
        &self,
        vault: VaultId,
        new: &api::NewRequest,
    ) -> Result<api::RequestView, CommandError> {
        self.post(&format!("/v1/vaults/{vault}/requests"), new)
    }
    pub(crate) fn request(&self, id: RequestId) -> Result<api::RequestView, CommandError> {
        self.get(&format!("/v1/requests/{id}"))
    }
    pub(crate) fn requests(
        &self,
        vault: VaultId,
        limit: u32,
    ) -> Result<Vec<api::RequestView>, CommandError> {
        self.get(&format!("/v1/vaults/{vault}/requests?limit={limit}"))
    }
    pub(crate) fn replace(
        &self,
        id: RequestId,
        verb: &str,
        replace: &api::Replace,
    ) -> Result<api::RequestView, CommandError> {
        self.post(&format!("/v1/requests/{id}/{verb}"), replace)
    }
    pub(crate) fn new_client(
        &self,
        new: &api::NewClient,
    ) -> Result<api::ClientToken, CommandError> {
        self.post("/v1/clients", new)
    }
    pub(crate) fn clients(&self) -> Result<Vec<api::ClientView>, CommandError> {
        self.get("/v1/clients")
    }
    pub(crate) fn remove_client(&self, id: &str) -> Result<(), CommandError> {
        self.delete(&format!("/v1/clients/{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_port_is_unavailable_and_says_what_to_do() {
        let client = Client::new("http://127.0.0.1:1", None).unwrap();
        let error = client.node().unwrap_err();
        assert_eq!(error.kind.exit_code(), 3);
        assert!(error.hint.unwrap().contains("outlast node run"));
    }

    #[test]
    fn an_https_address_needs_a_certificate_and_an_http_address_takes_none() {
        let trust = Trust { server: crate::tls::Server::Pin([1; 32]), identity: None };
        for (base, trust, good) in [
            ("https://x", None, false),
            ("https://x", Some(&trust), true),
            ("http://x", Some(&trust), false),
            ("http://x", None, true),
            ("ftp://x", None, false),
            ("ftp://x", Some(&trust), false),
        ] {
            let made = Client::with_trust(base, None, trust);
            let code = made.err().map(|error| error.kind.exit_code());
            assert_eq!(code, (!good).then_some(2), "{base}");
        }
    }

    #[test]
    fn a_passphrase_is_put_into_a_body_that_never_grows() {
        for text in ["plain", "a \"quote\" \\ and a tab\t", "\u{1}\u{2}\u{3}\u{4}\u{5}", "Söhne 🔑"]
        {
            let body = unseal_body(&Secret::new(text.to_owned())).unwrap();
            let read: api::Unseal = serde_json::from_slice(body.expose()).unwrap();
            assert_eq!(read.passphrase, text);
            assert_eq!(body.expose().capacity(), text.len() * 6 + 64, "{text}: it grew");
        }
    }

    #[test]
    fn a_nodes_refusal_keeps_its_code() {
        let body = br#"{"code":"unknown_vault","message":"no vault 00"}"#.to_vec();
        let error = read::<api::VaultView>("/v1/vaults/00", (404, body)).unwrap_err();
        assert_eq!((error.code.as_str(), error.kind.exit_code()), ("unknown_vault", 1));
        let odd = read::<api::VaultView>("/x", (502, b"<html>".to_vec())).unwrap_err();
        assert_eq!((odd.code.as_str(), odd.kind.exit_code()), ("no_reason", 3));
    }
}

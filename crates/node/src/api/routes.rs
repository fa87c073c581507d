//! The routes: from a path and a body to one command, and from its reply to JSON.

use super::extract::{
    Asker, Id, Operator, Params, Strict, StrictSecret, tls_credential, token_credential,
};
use super::health;
use super::nonce;
use super::problem::ApiError;
use super::state::ApiState;
use crate::entropy::OsEntropy;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post};
use engine::{Caller, Class, Command, Reply, refuse};
use model::api;
use model::entropy::Entropy as _;
use model::hd::DerivationPath;
use model::ids::{CeremonyId, ClientId, NodeId, RequestId, VaultId};
use model::intent::{Intent, Network};
use model::keys::Purpose;
use model::secret::Secret;
use serde::Deserialize;
use std::sync::Arc;

pub(super) type Shared = State<Arc<ApiState>>;
pub(super) type Answer = Result<Response, ApiError>;

/// Requests that one listing shows by default and at most.
const LISTED: (usize, usize) = (50, 500);

/// Path patterns with their handlers.
pub fn all() -> Vec<(&'static str, MethodRouter<Arc<ApiState>>)> {
    let mut routes = vec![
        // API-AUTH-2: these four take no credential.
        ("/healthz", get(health::healthz)),
        ("/readyz", get(health::readyz)),
        ("/metrics", get(health::metrics)),
        ("/openapi.json", get(openapi)),
        ("/v1/node", get(node)),
        ("/v1/unseal", post(unseal)),
        ("/v1/peers", post(trust)),
        ("/v1/peers/{id}/resume-pair", post(resume_pair)),
        ("/v1/peers/{id}/release", post(release)),
        ("/v1/ceremonies", get(ceremonies).post(new_ceremony)),
        ("/v1/ceremonies/{id}", get(ceremony)),
        ("/v1/ceremonies/{id}/evidence", get(evidence)),
        ("/v1/ceremonies/{id}/join", post(join_ceremony)),
        ("/v1/vaults", get(vaults)),
        ("/v1/vaults/{id}", get(vault)),
        ("/v1/vaults/{id}/address", get(address)),
        ("/v1/vaults/{id}/ceremony", get(vault_ceremony)),
        ("/v1/vaults/{id}/account", get(account)),
        ("/v1/vaults/{id}/requests", get(requests).post(submit)),
        ("/v1/requests/{id}", get(request)),
        ("/v1/requests/{id}/speed-up", post(speed_up)),
        ("/v1/requests/{id}/cancel", post(cancel)),
        ("/v1/decode", post(decode)),
        ("/v1/clients", get(clients).post(new_client)),
        ("/v1/clients/{id}", delete(remove_client)),
    ];
    routes.extend(super::govern::all());
    routes
}

/// No such path.
pub async fn unknown_route() -> ApiError {
    let text = "no such path; GET /openapi.json lists them";
    ApiError(refuse(Class::NotFound, "unknown_path", text))
}

/// The path is there, the method is not.
pub async fn wrong_method() -> ApiError {
    let text = "this path does not take this method; GET /openapi.json lists them";
    ApiError(refuse(Class::Refused, "wrong_method", text))
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], super::OPENAPI).into_response()
}

pub(super) fn respond(reply: Reply) -> Response {
    match reply {
        Reply::Node(view) => Json(view).into_response(),
        Reply::Ceremony(view) => Json(view).into_response(),
        Reply::Ceremonies(views) => Json(views).into_response(),
        Reply::Record(view) => Json(*view).into_response(),
        Reply::Vaults(views) => Json(views).into_response(),
        Reply::Vault(view) => Json(view).into_response(),
        Reply::Address(view) => Json(view).into_response(),
        Reply::Account(view) => Json(view).into_response(),
        Reply::Request(view) => Json(*view).into_response(),
        Reply::Requests(views) => Json(views).into_response(),
        Reply::Clients(views) => Json(views).into_response(),
        Reply::Governance(view) => Json(*view).into_response(),
        Reply::Acts(views) => Json(views).into_response(),
        Reply::Charter(charter) => Json(api::CharterText { charter }).into_response(),
        // These are composed by their own handlers.
        Reply::Client(_) | Reply::EvmAccounts(_) | Reply::Act(_) => {
            let text = "the engine answered another question";
            ApiError(refuse(Class::Bug, "wrong_reply", text)).into_response()
        }
        Reply::Done => StatusCode::NO_CONTENT.into_response(),
    }
}

pub(super) async fn operator(state: &ApiState, command: Command) -> Answer {
    state.ask(Caller::Operator, command, 0).await.map(respond)
}

async fn node(State(state): Shared, _: Operator) -> Answer {
    operator(&state, Command::Node).await
}

/// As [`api::Unseal`], wiped when dropped.
#[derive(Deserialize, zeroize::ZeroizeOnDrop)]
#[serde(deny_unknown_fields)]
struct Passphrase {
    passphrase: String,
}

async fn unseal(
    State(state): Shared,
    _: Operator,
    StrictSecret(mut body): StrictSecret<Passphrase>,
) -> Answer {
    state.unseal(Secret::new(std::mem::take(&mut body.passphrase))).await?;
    // The connection's buffer held the passphrase: it ends with the connection, and is wiped then.
    Ok((StatusCode::NO_CONTENT, [(header::CONNECTION, "close")]).into_response())
}

/// As [`api::TrustPeer`], unknown fields refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustBody {
    card: String,
    words: String,
}

async fn trust(State(state): Shared, _: Operator, Strict(body): Strict<TrustBody>) -> Answer {
    let TrustBody { card, words } = body;
    operator(&state, Command::Trust(api::TrustPeer { card, words })).await
}

async fn resume_pair(State(state): Shared, _: Operator, Id(id): Id<NodeId>) -> Answer {
    operator(&state, Command::ResumePair(id)).await
}

async fn release(State(state): Shared, _: Operator, Id(id): Id<NodeId>) -> Answer {
    operator(&state, Command::ReleasePeer(id)).await
}

async fn ceremonies(State(state): Shared, _: Operator) -> Answer {
    operator(&state, Command::Ceremonies).await
}

/// As [`api::NewCeremony`], unknown fields refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CeremonyBody {
    purpose: Purpose,
    name: String,
    members: Vec<NodeId>,
    threshold: u16,
}

async fn new_ceremony(
    State(state): Shared,
    _: Operator,
    Strict(body): Strict<CeremonyBody>,
) -> Answer {
    let CeremonyBody { purpose, name, members, threshold } = body;
    let new = api::NewCeremony { purpose, name, members, threshold };
    operator(&state, Command::NewCeremony(new)).await
}

async fn ceremony(State(state): Shared, _: Operator, Id(id): Id<CeremonyId>) -> Answer {
    operator(&state, Command::Ceremony(id)).await
}

async fn evidence(State(state): Shared, _: Operator, Id(id): Id<CeremonyId>) -> Answer {
    operator(&state, Command::Evidence(id)).await
}

async fn vault_ceremony(State(state): Shared, Asker(caller): Asker, Id(id): Id<VaultId>) -> Answer {
    state.ask(caller, Command::VaultCeremony(id), 0).await.map(respond)
}

async fn join_ceremony(State(state): Shared, _: Operator, Id(id): Id<CeremonyId>) -> Answer {
    operator(&state, Command::JoinCeremony(id)).await
}

// API-AUTH-3: what a program may see is the engine's decision.
async fn vaults(State(state): Shared, Asker(caller): Asker) -> Answer {
    state.ask(caller, Command::Vaults, 0).await.map(respond)
}

async fn vault(State(state): Shared, Asker(caller): Asker, Id(id): Id<VaultId>) -> Answer {
    state.ask(caller, Command::Vault(id), 0).await.map(respond)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    network: Network,
    path: String,
}

impl Place {
    fn path(&self) -> Result<DerivationPath, ApiError> {
        self.path.parse().map_err(|error| chains::Refusal::Path(error).into())
    }
}

async fn address(
    State(state): Shared,
    Asker(caller): Asker,
    Id(vault): Id<VaultId>,
    Params(place): Params<Place>,
) -> Answer {
    let command = Command::Address { vault, network: place.network, path: place.path()? };
    state.ask(caller, command, 0).await.map(respond)
}

async fn account(
    State(state): Shared,
    Asker(caller): Asker,
    Id(vault): Id<VaultId>,
    Params(place): Params<Place>,
) -> Answer {
    let command = Command::Account { vault, network: place.network, path: place.path()? };
    state.ask(caller, command, 0).await.map(respond)
}

async fn submit(
    State(state): Shared,
    Asker(caller): Asker,
    Id(vault): Id<VaultId>,
    Strict(mut new): Strict<api::NewRequest>,
) -> Answer {
    nonce::complete(&state, caller, vault, &mut new).await?;
    let wait_ms = new.wait_ms;
    state.ask(caller, Command::Submit { vault, new }, wait_ms).await.map(respond)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    limit: Option<usize>,
}

async fn requests(
    State(state): Shared,
    Asker(caller): Asker,
    Id(vault): Id<VaultId>,
    Params(listing): Params<Listing>,
) -> Answer {
    let (default, max) = LISTED;
    let limit = listing.limit.unwrap_or(default);
    if limit > max {
        let text = format!("limit is {limit}, at most {max}");
        return Err(ApiError(refuse(Class::Refused, "malformed_query", text)));
    }
    state.ask(caller, Command::Requests { vault, limit }, 0).await.map(respond)
}

async fn request(State(state): Shared, Asker(caller): Asker, Id(id): Id<RequestId>) -> Answer {
    state.ask(caller, Command::Request(id), 0).await.map(respond)
}

async fn speed_up(
    State(state): Shared,
    Asker(caller): Asker,
    Id(id): Id<RequestId>,
    Strict(body): Strict<api::Replace>,
) -> Answer {
    let wait_ms = body.wait_ms;
    state.ask(caller, Command::SpeedUp(id, body), wait_ms).await.map(respond)
}

async fn cancel(
    State(state): Shared,
    Asker(caller): Asker,
    Id(id): Id<RequestId>,
    Strict(body): Strict<api::Replace>,
) -> Answer {
    let wait_ms = body.wait_ms;
    state.ask(caller, Command::Cancel(id, body), wait_ms).await.map(respond)
}

async fn decode(
    State(state): Shared,
    Asker(caller): Asker,
    Strict(body): Strict<api::DecodeRequest>,
) -> Result<Json<Intent>, ApiError> {
    // Decoding needs no vault; asking the engine tells a program's token from an invented one.
    state.admit(caller).await?;
    let kind = chains::raw_kind(&body.format)?;
    let bytes = chains::parse_raw(kind, &body.bytes)?;
    Ok(Json(chains::decode(kind, body.network, &bytes)?))
}

/// As [`api::NewClient`], or with the key of a TLS client certificate instead of a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewClient {
    name: String,
    vaults: Vec<VaultId>,
    /// SHA-256 of the certificate's subject public key info, hex: no token is made.
    #[serde(default)]
    tls_key: Option<String>,
}

async fn new_client(
    State(state): Shared,
    _: Operator,
    Strict(body): Strict<NewClient>,
) -> Result<Json<api::ClientToken>, ApiError> {
    let (token, token_hash) = match &body.tls_key {
        Some(text) => (String::new(), tls_credential(tls_key(text)?)),
        None => {
            let token = format!("ol_{}", hex::encode(OsEntropy.bytes::<32>()));
            let hash = token_credential(&token);
            (token, hash)
        }
    };
    let new = api::NewClient { name: body.name, vaults: body.vaults };
    match state.ask(Caller::Operator, Command::NewClient { new, token_hash }, 0).await? {
        Reply::Client(id) => Ok(Json(api::ClientToken { id: id.to_string(), token })),
        _ => Err(ApiError(refuse(Class::Bug, "wrong_reply", "the engine answered otherwise"))),
    }
}

fn tls_key(text: &str) -> Result<[u8; 32], ApiError> {
    let bytes = hex::decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| {
        let text = "tls_key is not the 64 hex digits of a SHA-256";
        ApiError(refuse(Class::Refused, "invalid_field", text))
    })
}

// API-CLIENT-1: the tokens themselves are nowhere; what is listed is what a request names.
async fn clients(State(state): Shared, _: Operator) -> Answer {
    operator(&state, Command::Clients).await
}

async fn remove_client(State(state): Shared, _: Operator, Id(id): Id<ClientId>) -> Answer {
    operator(&state, Command::RemoveClient(id)).await
}

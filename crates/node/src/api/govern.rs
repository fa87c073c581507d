//! Routes of charters, acts and approvals. An act needs a credential to come in, like every call; whether it counts, its own
//! signature says.

use super::extract::{Asker, Id, Operator, Strict};
use super::problem::ApiError;
use super::routes::{Answer, Shared, operator, respond};
use crate::api::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use engine::{Class, Command, Reply, refuse};
use model::act::{ACT_BYTES_MAX, SignedAct};
use model::api;
use model::ids::VaultId;
use model::wire::Wire;
use std::sync::Arc;

/// Path patterns with their handlers.
pub(super) fn all() -> Vec<(&'static str, MethodRouter<Arc<ApiState>>)> {
    vec![
        ("/v1/ceremonies/under", post(new_ceremony_under)),
        ("/v1/charters/agree", post(agree)),
        ("/v1/vaults/{id}/charter", get(charter)),
        ("/v1/vaults/{id}/acts", get(acts).post(post_act)),
    ]
}

async fn new_ceremony_under(
    State(state): Shared,
    _: Operator,
    Strict(body): Strict<api::CharterText>,
) -> Answer {
    operator(&state, Command::NewCeremonyUnder(body.charter)).await
}

async fn agree(
    State(state): Shared,
    _: Operator,
    Strict(body): Strict<api::CharterText>,
) -> Answer {
    operator(&state, Command::AgreeToCharter(body.charter)).await
}

async fn charter(State(state): Shared, Asker(caller): Asker, Id(id): Id<VaultId>) -> Answer {
    state.ask(caller, Command::Charter(id), 0).await.map(respond)
}

async fn acts(State(state): Shared, Asker(caller): Asker, Id(id): Id<VaultId>) -> Answer {
    state.ask(caller, Command::Acts(id), 0).await.map(respond)
}

async fn post_act(
    State(state): Shared,
    Asker(caller): Asker,
    Id(id): Id<VaultId>,
    Strict(body): Strict<api::NewAct>,
) -> Answer {
    let act = read_act(&body.act)?;
    match state.ask(caller, Command::PostAct(id, Box::new(act)), 0).await? {
        Reply::Act(act) => Ok(Json(api::ActAccepted { act }).into_response()),
        _ => Err(ApiError(refuse(Class::Bug, "wrong_reply", "the engine answered otherwise"))),
    }
}

fn read_act(text: &str) -> Result<SignedAct, ApiError> {
    let malformed =
        |why: String| ApiError(refuse(Class::Refused, "malformed_act", format!("act: {why}")));
    if text.len() > ACT_BYTES_MAX.saturating_mul(2) {
        return Err(malformed(format!("{} digits, too long", text.len())));
    }
    let bytes = hex::decode(text).map_err(|error| malformed(error.to_string()))?;
    SignedAct::from_bytes(&bytes).map_err(|error| malformed(error.to_string()))
}

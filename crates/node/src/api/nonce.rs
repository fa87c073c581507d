//! API-NONCE-1: a request that names a durable nonce account and no value gets the account's value from the chain node.
//!
//! The value is asked for where a request enters, once: it is the caller's choice from then on, as if the caller had read
//! it. Signers trust nothing of it: a wrong value makes a transaction that no chain takes, never another transaction.

use super::problem::ApiError;
use super::state::ApiState;
use crate::chain::NonceError;
use chains::Refusal;
use engine::{Caller, Class, Command, Reply, refuse};
use model::api::{FillView, NewRequest};
use model::ids::VaultId;
use model::intent::Network;

/// Fills the value in, where one is missing.
pub(super) async fn complete(
    state: &ApiState,
    caller: Caller,
    vault: VaultId,
    new: &mut NewRequest,
) -> Result<(), ApiError> {
    let Some(FillView::Solana { blockhash, nonce_account: Some(account) }) = &mut new.fill else {
        return Ok(());
    };
    let (Network::Solana(_), true) = (new.network, blockhash.is_empty()) else { return Ok(()) };
    let bytes = bs58::decode(account.as_str()).into_vec().ok();
    let bytes: [u8; 32] = bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        let reason = "not 32 bytes in base58".to_owned();
        ApiError::from(Refusal::Invalid { field: "nonce_account", reason })
    })?;
    let path = new.path.parse().map_err(|error| ApiError::from(Refusal::Path(error)))?;
    let command = Command::Address { vault, network: new.network, path };
    let Reply::Address(payer) = state.ask(caller, command, 0).await? else {
        return Err(ApiError(refuse(Class::Bug, "wrong_reply", "the engine answered otherwise")));
    };
    let value = state.chains.nonce(new.network, bytes, payer.address).await.map_err(problem)?;
    *blockhash = bs58::encode(value).into_string();
    Ok(())
}

fn problem(error: NonceError) -> ApiError {
    let class = match &error {
        NonceError::Chain(_) => Class::Unavailable,
        NonceError::Missing(_) | NonceError::NoNonceAccount(_) | NonceError::Authority { .. } => {
            Class::Refused
        }
    };
    ApiError(refuse(class, error.code(), error.to_string()))
}

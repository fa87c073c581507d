//! `systemd-creds`: the machine's own key (`/var/lib/systemd/credential.secret`, its TPM, or both) wraps.
//!
//! The credential's name holds the node id, so the credential of one node does not open as another's.

use super::{SealError, command, key_from};
use model::ids::NodeId;
use model::secret::Secret;
use serde::{Deserialize, Serialize};

const TOOL: &str = "systemd-creds";
const PACKAGE: &str = "systemd";

/// The credential in the file, as the command printed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    credential: String,
}

fn name(node: NodeId) -> String {
    format!("--name=outlast-data-key-{node}")
}

pub(super) fn wrap(
    with_key: &str,
    node: NodeId,
    data_key: &Secret<[u8; 32]>,
) -> Result<Wrap, SealError> {
    let input = Secret::new(data_key.expose().to_vec());
    let key = format!("--with-key={with_key}");
    let output = run(&["encrypt", &key, &name(node), "-", "-"], &input)?;
    let credential = core::str::from_utf8(output.expose())
        .map_err(|_| SealError::Malformed("systemd-creds printed no text".into()))?;
    Ok(Wrap { credential: credential.split_whitespace().collect() })
}

pub(super) fn unwrap(wrap: &Wrap, node: NodeId) -> Result<Secret<[u8; 32]>, SealError> {
    let input = Secret::new(wrap.credential.as_bytes().to_vec());
    key_from(&run(&["decrypt", &name(node), "-", "-"], &input)?)
}

fn run(args: &[&str], input: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>, SealError> {
    let ended = command::run(TOOL, PACKAGE, args, input)?;
    match ended.failure {
        None => Ok(ended.stdout),
        Some(words) => Err(SealError::SystemdRefused(words)),
    }
}

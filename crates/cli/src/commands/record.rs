//! Records of ceremonies, as the commands that write and check them share them.

use crate::context::Context;
use crate::error::{CommandError, chain, io};
use model::api::RecordView;
use model::hash::sha256;
use model::ids::{NodeId, VaultId};
use node::ceremony_record::{Finding, VerifiedRecord, verify_record};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A record that holds.
pub(crate) struct Checked {
    verified: VerifiedRecord,
    sha256: String,
}

/// Checks a record as a stranger would.
pub(crate) fn verify(bytes: &[u8]) -> Result<Checked, CommandError> {
    let verified = verify_record(bytes)
        .map_err(|error| CommandError::refused(error.code(), chain(&error)))
        .map_err(|error| {
            error.hint("the file proves nothing; ask for it again, or another member")
        })?;
    Ok(Checked { verified, sha256: hex::encode(sha256(bytes)) })
}

/// Checks what a node answered and writes it to a new file.
pub(crate) fn export(view: &RecordView, out: &Path, ctx: &Context) -> Result<(), CommandError> {
    let bytes = hex::decode(&view.record)
        .map_err(|error| CommandError::bug(format!("the record is no hex: {error}")))?;
    let checked = verify(&bytes)?;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o644).open(out);
    let mut file = file.map_err(io("make", out))?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io("write", out))?;
    ctx.note(&format!("written to {}; `outlast verify` checks it anywhere", out.display()));
    ctx.say(&checked.json(), &checked.words())
}

impl Checked {
    /// The vault that was made, if one was.
    pub(crate) fn vault(&self) -> Option<VaultId> {
        match self.verified.finding {
            Finding::Made { vault, .. } => Some(vault),
            Finding::Broken { .. } => None,
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let plan = &self.verified.plan;
        let finding = match &self.verified.finding {
            Finding::Made { vault, keys, commitments } => {
                let hex_of = |(kind, bytes): &(model::keys::KeyKind, Vec<u8>)| {
                    (kind.name().to_owned(), hex::encode(bytes).into())
                };
                let keys: serde_json::Map<_, _> = keys.iter().map(hex_of).collect();
                let commitments: serde_json::Map<_, _> = commitments.iter().map(hex_of).collect();
                serde_json::json!({ "vault": vault, "keys": keys, "commitments": commitments })
            }
            Finding::Broken { seat, culprit, breach } => {
                serde_json::json!({ "culprit": culprit, "seat": seat.0, "breach": breach })
            }
        };
        let kind = if self.vault().is_some() { "made" } else { "broken" };
        serde_json::json!({
            "kind": kind, kind: finding, "sha256": self.sha256,
            "ceremony": plan.id(), "words": model::words::six_words(&plan.id().0),
            "name": plan.name, "purpose": plan.purpose, "threshold": plan.threshold,
            "members": plan.members, "proposer": plan.proposer, "proposed_at_ms": plan.at.0,
        })
    }

    /// For people.
    pub(crate) fn words(&self) -> String {
        let plan = &self.verified.plan;
        let ceremony = plan.id();
        let mut lines = match &self.verified.finding {
            Finding::Made { vault, keys, .. } => {
                let mut lines = vec![
                    format!("holds: {} vault \"{}\" was made", plan.purpose, plan.name),
                    format!("  vault {vault}"),
                ];
                lines.extend(keys.iter().map(|(kind, key)| {
                    format!("  {:<8} root public key {}", kind.name(), hex::encode(key))
                }));
                lines
            }
            Finding::Broken { seat, culprit, breach } => vec![
                format!("holds: node {culprit} broke the protocol of key generation: {breach}"),
                format!("  it sat on seat {} of \"{}\"; no vault came of it", seat.0, plan.name),
            ],
        };
        lines.push(format!("  ceremony {ceremony}"));
        lines.push(format!("  six words of the plan: {}", model::words::six_words(&ceremony.0)));
        lines.push(format!("  {} of {} sign together:", plan.threshold, plan.members.len()));
        let signed = if self.vault().is_some() { ", signed the outcome" } else { "" };
        let member = |node: &NodeId| format!("    node {node}{signed}");
        lines.extend(plan.members.iter().map(member));
        lines.join("\n")
    }
}

//! A recording of what leaves of one-time scalars, for the tests that kill nodes: across all restarts no scalar may
//! serve two messages (invariant K2).
//!
//! Only in test homes, and only public halves, which peers see anyway: nonce commitments, instance points
//! and which commitment list a nonce answered, with the
//! session they belong to and a hash of the whole message. One JSON object a line, one write a line, before the frame
//! leaves; a killed process loses no line that it wrote.

use engine::Message;
use model::ids::NodeId;
use model::wire::Wire as _;
use std::fs::{File, OpenOptions};
use std::io::{Result, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use threshold::sign;

/// Appends to one file.
#[derive(Debug)]
pub(super) struct Recorder(File);

impl Recorder {
    /// Goes on where an earlier process stopped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        tracing::warn!(code = "recording", "one-time commitments are recorded: a test runs");
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        // A process that was killed may have left half a line, whose frame never left.
        file.write_all(b"\n")?;
        Ok(Self(file))
    }

    /// Writes a line for a signing message; other frames leave no line.
    pub(super) fn note(&mut self, to: NodeId, frame: &[u8]) -> Result<()> {
        let Ok(Message::Round { bytes, .. }) = Message::from_bytes(frame) else {
            return Ok(());
        };
        let Some(sign::Shown { head, points, package }) = sign::shown(&bytes) else {
            return Ok(());
        };
        let points: Vec<String> = points.iter().map(hex::encode).collect();
        let line = serde_json::json!({
            "session": head.session.to_string(),
            "context": hex::encode(head.context),
            "key": format!("{:?}", head.kind),
            "round": head.round,
            "from": head.from.0,
            "to": to.to_string(),
            "points": points,
            "package": package.map(hex::encode),
            "message": hex::encode(model::hash::sha256(&bytes)),
        });
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

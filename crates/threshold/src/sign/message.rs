//! The envelope of every signing message: what it belongs to stands before what it says.
//!
//! The head is compared with our own before an engine sees the body, so a message of another session, epoch, round
//! or purpose ends in its own named error and cannot reach pair state.

use super::error::Reason;
use model::ids::{Epoch, Seat, SessionId};
use model::keys::KeyKind;
use model::limits::MESSAGE_BYTES_MAX;
use model::wire::{Reader, Wire, WireError, Writer, tags};

const VERSION: u8 = 1;

/// What a message belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The session; the one field a router needs.
    pub session: SessionId,
    /// Hash of everything the session is about: committee, quorum, key, path, tweak and message.
    pub context: [u8; 32],
    /// Epoch of the committee.
    pub epoch: Epoch,
    /// Which key, and with it which protocol.
    pub kind: KeyKind,
    /// Round of the protocol, from 1.
    pub round: u8,
    /// The sender.
    pub from: Seat,
}

impl Head {
    /// Reads the head and leaves the body, for routing; proves nothing about the body.
    pub fn peek(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(WireError::TooLong { found: bytes.len(), bound: MESSAGE_BYTES_MAX });
        }
        Self::read(&mut Reader::new(bytes))
    }

    /// This head with `body`.
    pub(crate) fn seal(&self, body: &[u8]) -> Vec<u8> {
        let mut w = Writer::default();
        self.write(&mut w);
        w.bytes(body);
        w.into_bytes()
    }

    /// SIGN-3: `self` is what we expect; returns the body of a message that has exactly this head.
    pub(crate) fn open(&self, bytes: &[u8]) -> Result<Vec<u8>, Reason> {
        self.compare(Self::peek(bytes).map_err(Reason::Malformed)?)?;
        let mut r = Reader::new(bytes);
        let body = Self::read(&mut r).and_then(|_| r.bytes(MESSAGE_BYTES_MAX));
        let body = body.map_err(Reason::Malformed)?;
        r.finish().map_err(Reason::Malformed)?;
        Ok(body)
    }

    pub(crate) fn compare(&self, found: Self) -> Result<(), Reason> {
        if found.session != self.session {
            return Err(Reason::Session { found: found.session, wanted: self.session });
        }
        if found.epoch != self.epoch {
            return Err(Reason::Epoch { found: found.epoch, wanted: self.epoch });
        }
        if found.from != self.from {
            return Err(Reason::Sender { found: found.from, wanted: self.from });
        }
        if found.context != self.context || found.kind != self.kind {
            return Err(Reason::Context);
        }
        if found.round != self.round {
            return Err(Reason::Round { found: found.round, wanted: self.round });
        }
        Ok(())
    }
}

impl Wire for Head {
    fn write(&self, w: &mut Writer) {
        w.header(tags::SIGNING_MESSAGE, VERSION);
        w.fixed(&self.session.0);
        w.fixed(&self.context);
        w.u32(self.epoch.0);
        self.kind.write(w);
        w.u8(self.round);
        w.u16(self.from.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::SIGNING_MESSAGE, VERSION)?;
        Ok(Self {
            session: SessionId(r.fixed()?),
            context: r.fixed()?,
            epoch: Epoch(r.u32()?),
            kind: KeyKind::read(r)?,
            round: r.u8()?,
            from: Seat(r.u16()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            session: SessionId([1; 32]),
            context: [2; 32],
            epoch: Epoch(3),
            kind: KeyKind::Ed25519,
            round: 1,
            from: Seat(4),
        }
    }

    #[test]
    fn each_difference_of_a_head_has_its_own_name() {
        let check = |edit: fn(&mut Head), code: &str| {
            let mut other = head();
            edit(&mut other);
            let found = head().open(&other.seal(b"body")).map_err(|reason| reason.code());
            assert_eq!(found, Err(code).map_err(|c: &str| c), "{code}");
        };
        check(|h| h.session = SessionId([9; 32]), "sign_other_session");
        check(|h| h.context = [9; 32], "sign_other_context");
        check(|h| h.epoch = Epoch(9), "sign_other_epoch");
        check(|h| h.kind = KeyKind::Bip340, "sign_other_context");
        check(|h| h.round = 2, "sign_other_round");
        check(|h| h.from = Seat(9), "sign_other_sender");
        assert_eq!(head().open(&head().seal(b"body")), Ok(b"body".to_vec()));
    }

    #[test]
    fn what_is_short_long_or_trailing_is_malformed() {
        let good = head().seal(b"body");
        for at in 0..good.len() {
            assert!(matches!(head().open(&good[..at]), Err(Reason::Malformed(_))), "{at}");
        }
        let mut long = good.clone();
        long.push(0);
        assert_eq!(head().open(&long), Err(Reason::Malformed(WireError::Trailing(1))));
        let over = vec![0; MESSAGE_BYTES_MAX + 1];
        assert!(matches!(head().open(&over), Err(Reason::Malformed(WireError::TooLong { .. }))));
    }
}

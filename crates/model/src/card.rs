//! Node keys and node cards: how operators learn of one another without a shared configuration file.
//!
//! `outlast node init` prints a card and six words; the other operator imports the card and checks the words over
//! another channel. A node trusts only cards that its own operator imported.

use crate::ids::NodeId;
use crate::limits;
use crate::secret::Secret;
use crate::wire::{Reader, Wire, WireError, Writer, tags};
use crate::words;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey, Verifier, VerifyingKey};

/// Separates node signatures by use: the tag stands in front of every signed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningUse {
    /// A node card.
    Card,
    /// A broadcast of a key ceremony.
    Ceremony,
    /// A request that the node took from a client.
    Request,
    /// Length and head of the node's journal.
    Journal,
    /// An act that the node itself is the author of.
    Act,
}

impl SigningUse {
    fn tag(self) -> &'static [u8] {
        match self {
            Self::Card => b"outlast/node-card/v1\0",
            Self::Ceremony => b"outlast/ceremony/v1\0",
            Self::Request => b"outlast/entry-request/v1\0",
            Self::Journal => b"outlast/journal-head/v1\0",
            Self::Act => b"outlast/act/node/v1\0",
        }
    }
}

/// A node's Ed25519 key: names it to its peers and signs what it broadcasts.
pub struct NodeKey {
    seed: Secret<[u8; 32]>,
}

impl core::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "NodeKey({:?})", self.id())
    }
}

impl NodeKey {
    /// From 32 random bytes (the seed of RFC 8032).
    pub fn new(seed: Secret<[u8; 32]>) -> Self {
        Self { seed }
    }
    /// The seed, to be sealed and for the TLS stack.
    pub fn seed(&self) -> &Secret<[u8; 32]> {
        &self.seed
    }
    /// The public half.
    pub fn id(&self) -> NodeId {
        NodeId(SigningKey::from_bytes(self.seed.expose()).verifying_key().to_bytes())
    }
    /// Signs `message` for one use.
    pub fn sign(&self, r#use: SigningUse, message: &[u8]) -> [u8; 64] {
        let key = SigningKey::from_bytes(self.seed.expose());
        key.sign(&[r#use.tag(), message].concat()).to_bytes()
    }
    /// Signs a note of the node's log ([C2SP signed-note](https://c2sp.org/signed-note)), whose format has no place for a
    /// tag. Notes hold no NUL and every tag ends with one, so neither can stand for the other; a text that holds one gets
    /// zeros, which are nobody's signature.
    pub fn sign_note(&self, text: &[u8]) -> [u8; 64] {
        if text.contains(&0) {
            return [0; 64];
        }
        SigningKey::from_bytes(self.seed.expose()).sign(text).to_bytes()
    }
}

/// True when `signature` is `node`'s over `message` for this use.
pub fn verify_node_signature(
    node: NodeId,
    r#use: SigningUse,
    message: &[u8],
    signature: &[u8; 64],
) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    VerifyingKey::from_bytes(&node.0)
        .is_ok_and(|key| key.verify(&[r#use.tag(), message].concat(), &signature).is_ok())
}

/// What a node says of itself, signed by its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCard {
    /// The node.
    pub node: NodeId,
    /// The legal entity that runs it, in its own words.
    pub operator: String,
    /// Where peers may dial it, `host:port`; empty for a node that only dials.
    pub endpoint: String,
    signature: [u8; 64],
}

/// Why a text is no valid card.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardError {
    /// Not `outlast-card-v1` and base64.
    #[error("not a node card (one line that begins with `outlast-card-v1 `)")]
    Syntax,
    /// The bytes inside do not read.
    #[error("the card's bytes do not read")]
    Wire(#[from] WireError),
    /// The signature is not the named node's.
    #[error("the card is not signed by the node it names; ask for the card again")]
    Signature,
}

const PREFIX: &str = "outlast-card-v1 ";

impl NodeCard {
    /// Makes and signs a card.
    pub fn sign(key: &NodeKey, operator: &str, endpoint: &str) -> Self {
        let mut card = Self {
            node: key.id(),
            operator: operator.to_owned(),
            endpoint: endpoint.to_owned(),
            signature: [0; 64],
        };
        card.signature = key.sign(SigningUse::Card, &card.signed_bytes());
        card
    }
    fn signed_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.header(tags::NODE_CARD, 1);
        w.fixed(&self.node.0);
        w.text(&self.operator);
        w.text(&self.endpoint);
        w.into_bytes()
    }
    /// One line of text.
    pub fn to_text(&self) -> String {
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.to_bytes()))
    }
    /// Reads and verifies one line of text.
    pub fn from_text(text: &str) -> Result<Self, CardError> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(CardError::Syntax)?;
        if body.len() > limits::TEXT_BYTES_MAX.saturating_mul(8) {
            return Err(CardError::Syntax);
        }
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| CardError::Syntax)?;
        Self::verify(&bytes)
    }
    /// Reads and verifies a card's bytes.
    pub fn verify(bytes: &[u8]) -> Result<Self, CardError> {
        let card = Self::from_bytes(bytes)?;
        let good = verify_node_signature(
            card.node,
            SigningUse::Card,
            &card.signed_bytes(),
            &card.signature,
        );
        if good { Ok(card) } else { Err(CardError::Signature) }
    }
    /// Six words over the whole card, read aloud to the other operator.
    pub fn words(&self) -> String {
        words::six_words(&self.signed_bytes())
    }
}

impl Wire for NodeCard {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.signed_bytes());
        w.fixed(&self.signature);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::NODE_CARD, 1)?;
        Ok(Self {
            node: NodeId(r.fixed()?),
            operator: r.text()?,
            endpoint: r.text()?,
            signature: r.fixed()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_back_and_a_changed_card_is_refused() {
        let key = NodeKey::new(Secret::new([9; 32]));
        let card = NodeCard::sign(&key, "operator A", "127.0.0.1:7101");
        assert_eq!(NodeCard::from_text(&card.to_text()), Ok(card.clone()));
        let forged = NodeCard { endpoint: "127.0.0.1:9999".into(), ..card.clone() };
        assert_eq!(NodeCard::from_text(&forged.to_text()), Err(CardError::Signature));
        assert_ne!(forged.words(), card.words());
        assert_eq!(NodeCard::from_text("hello"), Err(CardError::Syntax));
    }

    #[test]
    fn a_signature_for_one_use_is_none_for_another() {
        let key = NodeKey::new(Secret::new([9; 32]));
        let signature = key.sign(SigningUse::Request, b"m");
        assert!(verify_node_signature(key.id(), SigningUse::Request, b"m", &signature));
        assert!(!verify_node_signature(key.id(), SigningUse::Ceremony, b"m", &signature));
    }
}

//! Differential oracle: Cait-Sith 0.8 behind the same [`Backend`], on the same additive shares. Tests only.
//!
//! Another protocol, another implementation, another generation of the curve crate: where both sign under one key for
//! every vector, a mistake would have to be made twice. Its triples are dealt, which no production backend may do.

use super::backend::{Backend, Progress};
use super::ecdsa::recovery_id;
use super::error::{Reason, SignError};
use super::hedge::Hedged;
use super::quorum::QuorumKey;
use cait_sith::protocol::{Action, Participant, Protocol, ProtocolError};
use cait_sith::triples::{TriplePub, TripleShare, deal};
use cait_sith::{FullSignature, KeygenOutput, PresignArguments, PresignOutput, presign, sign};
use k256_13::elliptic_curve::PrimeField;
use k256_13::elliptic_curve::ops::Reduce;
use k256_13::elliptic_curve::point::AffineCoordinates;
use k256_13::elliptic_curve::sec1::FromEncodedPoint;
use k256_13::{AffinePoint, EncodedPoint, Scalar, Secp256k1 as K256, U256};
use model::curve::{Curve, Secp256k1};
use model::entropy::Entropy;
use model::ids::Seat;
use model::signing::Signature;
use model::wire::{Reader, WireError, Writer};
use std::collections::BTreeMap;

type Bodies = BTreeMap<Seat, Vec<u8>>;
type Triple = (TripleShare<K256>, TriplePub<K256>);

/// One run: its two protocols follow each other, and messages that arrive for the second wait for it.
struct CaitSith {
    key: QuorumKey<Secp256k1>,
    digest: [u8; 32],
    stage: Stage,
    early: Vec<(Participant, Vec<u8>)>,
}

enum Stage {
    Presign(Box<dyn Protocol<Output = PresignOutput<K256>> + Send>),
    Sign(Box<dyn Protocol<Output = FullSignature<K256>> + Send>),
    Signed(FullSignature<K256>),
}

/// What one party sends in one round: to whom (`None`: everybody), which protocol, and what.
type Sent = Vec<(Option<Participant>, u8, Vec<u8>)>;

/// Two triples for every member, dealt.
fn deal_triples(size: u8, entropy: &mut dyn Entropy) -> Vec<(Triple, Triple)> {
    let mut rng = Hedged::new(&[0; 32], &[0; 32], entropy);
    let everybody: Vec<_> = (0..u32::from(size)).map(Participant::from).collect();
    let (public0, shares0) = deal::<K256>(&mut rng, &everybody, everybody.len());
    let (public1, shares1) = deal::<K256>(&mut rng, &everybody, everybody.len());
    let both = shares0.into_iter().zip(shares1);
    both.map(|(a, b)| ((a, public0.clone()), (b, public1.clone()))).collect()
}

impl CaitSith {
    fn start(
        key: QuorumKey<Secp256k1>,
        digest: [u8; 32],
        (triple0, triple1): (Triple, Triple),
    ) -> Result<(Self, Bodies), SignError> {
        let share = key.polynomial_share().unwrap();
        let bytes = Secp256k1::scalar_to_bytes(share.expose());
        let private_share = Scalar::from_repr(bytes.into()).unwrap();
        let keygen_out = KeygenOutput { private_share, public_key: public_key(&key) };
        let threshold = usize::from(key.size());
        let args = PresignArguments { triple0, triple1, keygen_out, threshold };
        let protocol = presign(&everybody(&key), participant(&key, key.me), args).unwrap();
        let stage = Stage::Presign(Box::new(protocol));
        let mut run = Self { key, digest, stage, early: Vec::new() };
        let sent = run.poke()?;
        let bodies = run.bundle(&sent);
        Ok((run, bodies))
    }

    /// Pokes until the protocol waits; the end of the first starts the second.
    fn poke(&mut self) -> Result<Sent, SignError> {
        let mut sent = Sent::new();
        loop {
            let next = match &mut self.stage {
                Stage::Presign(protocol) => {
                    let output = step(protocol.poke(), 1, &mut sent)?;
                    output.map(|output| self.signing(output))
                }
                Stage::Sign(protocol) => step(protocol.poke(), 2, &mut sent)?.map(Stage::Signed),
                Stage::Signed(_) => None,
            };
            match next {
                Some(stage) => self.stage = stage,
                None => return Ok(sent),
            }
        }
    }

    fn signing(&mut self, output: PresignOutput<K256>) -> Stage {
        let digest = <Scalar as Reduce<U256>>::reduce(U256::from_be_slice(&self.digest));
        let (everybody, me) = (everybody(&self.key), participant(&self.key, self.key.me));
        let mut protocol = sign(&everybody, me, public_key(&self.key), output, digest).unwrap();
        for (from, data) in self.early.drain(..) {
            protocol.message(from, data);
        }
        Stage::Sign(Box::new(protocol))
    }

    fn deliver(&mut self, from: Participant, protocol: u8, data: Vec<u8>) {
        match (&mut self.stage, protocol) {
            (Stage::Presign(running), 1) => running.message(from, data),
            (Stage::Sign(running), 2) => running.message(from, data),
            (Stage::Presign(_), _) => self.early.push((from, data)),
            (Stage::Sign(_) | Stage::Signed(_), _) => {}
        }
    }

    fn bundle(&self, sent: &Sent) -> Bodies {
        let others = self.key.others().into_iter();
        let body = |seat: Seat| {
            let to = participant(&self.key, seat);
            let mine: Vec<_> =
                sent.iter().filter(|(whom, ..)| whom.is_none_or(|whom| whom == to)).collect();
            let mut w = Writer::default();
            w.list(&mine, |w, (_, protocol, data)| {
                w.u8(*protocol);
                w.bytes(data);
            });
            (seat, w.into_bytes())
        };
        others.map(body).collect()
    }
}

/// One answer of a protocol: `Some` at its end.
fn step<T>(
    action: Result<Action<T>, ProtocolError>,
    protocol: u8,
    sent: &mut Sent,
) -> Result<Option<T>, SignError> {
    match action {
        Ok(Action::Return(output)) => return Ok(Some(output)),
        Ok(Action::Wait) => {}
        Ok(Action::SendMany(data)) => sent.push((None, protocol, data)),
        Ok(Action::SendPrivate(to, data)) => sent.push((Some(to), protocol, data)),
        Err(error) => return Err(SignError::by_somebody(Reason::Check(error.to_string()))),
    }
    Ok(None)
}

impl Backend for CaitSith {
    fn advance(
        mut self: Box<Self>,
        inbox: Bodies,
        _: &mut dyn Entropy,
    ) -> Result<Progress<Box<Self>>, SignError> {
        for (seat, body) in inbox {
            let mut r = Reader::new(&body);
            let bundle = r.list(64, |r| Ok::<_, WireError>((r.u8()?, r.bytes(1 << 16)?)));
            let bundle = bundle.map_err(|error| SignError::by(seat, Reason::Malformed(error)))?;
            for (protocol, data) in bundle {
                self.deliver(participant(&self.key, seat), protocol, data);
            }
        }
        let sent = self.poke()?;
        match &self.stage {
            Stage::Signed(signature) => Ok(Progress::Done(self.finished(signature))),
            _ => {
                let bodies = self.bundle(&sent);
                Ok(Progress::Continue(self, bodies))
            }
        }
    }
}

impl CaitSith {
    fn finished(&self, signature: &FullSignature<K256>) -> Signature {
        let x = U256::from_be_slice(&signature.big_r.x());
        let r = <Scalar as Reduce<U256>>::reduce(x);
        let mut rs = [0u8; 64];
        rs[..32].copy_from_slice(&r.to_repr());
        rs[32..].copy_from_slice(&signature.s.to_repr());
        let key = Secp256k1::point_to_bytes(&self.key.point);
        let recovery_id = recovery_id(&rs, self.digest, &key).unwrap();
        Signature::Ecdsa { rs, recovery_id }
    }
}

/// Cait-Sith evaluates at id + 1, so ids from 0 give the numbers from 1 that our shares stand at.
fn participant(key: &QuorumKey<Secp256k1>, seat: Seat) -> Participant {
    Participant::from(u32::from(key.number(seat).unwrap()) - 1)
}

fn everybody(key: &QuorumKey<Secp256k1>) -> Vec<Participant> {
    key.seats().map(|seat| participant(key, seat)).collect()
}

fn public_key(key: &QuorumKey<Secp256k1>) -> AffinePoint {
    let bytes = Secp256k1::point_to_bytes(&key.point);
    let encoded = EncodedPoint::from_bytes(bytes).unwrap();
    AffinePoint::from_encoded_point(&encoded).unwrap()
}

mod tests {
    use super::*;
    use crate::pair::PairState;
    use crate::shares::{VaultPublic, VaultShare};
    use crate::sign::ecdsa::Ecdsa;
    use crate::sign::probe::{deal_vault, make_pair};
    use crate::sign::{context, ecdsa_key, verify};
    use crate::testing::{SeededEntropy, seats};
    use model::access::AccessTree;
    use model::commitment::Commitments;
    use model::hd::ChainCode;
    use model::ids::{PairEpoch, SessionId};
    use model::keys::KeyKind;
    use model::secret::Secret;
    use model::signing::{KeyTweak, SignItem};
    use model::wire::Wire;
    use serde_json::Value;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// Delivers bodies until every run is done; all must hold the same signature.
    fn drive<B: Backend>(runs: Vec<(Seat, Box<B>, Bodies)>) -> Signature {
        let mut entropy = SeededEntropy::new(5);
        let mut runs = runs;
        for _ in 0..8 {
            let mut inboxes: BTreeMap<Seat, Bodies> = BTreeMap::new();
            for (from, _, bodies) in &runs {
                for (to, body) in bodies {
                    inboxes.entry(*to).or_default().insert(*from, body.clone());
                }
            }
            let mut done = Vec::new();
            let mut next = Vec::new();
            for (seat, run, _) in runs {
                let inbox = inboxes.remove(&seat).unwrap();
                match run.advance(inbox, &mut entropy).unwrap() {
                    Progress::Continue(run, bodies) => next.push((seat, run, bodies)),
                    Progress::Done(signature) => done.push(signature),
                }
            }
            if let Some(first) = done.first() {
                assert!(next.is_empty() && done.iter().all(|other| other == first));
                return first.clone();
            }
            runs = next;
        }
        panic!("no signature after eight rounds")
    }

    type Pairs = BTreeMap<(Seat, Seat), Arc<PairState>>;

    fn add_pairs(pairs: &mut Pairs, public: &VaultPublic, quorum: &BTreeSet<Seat>) {
        let mut entropy = SeededEntropy::new(6);
        for a in quorum {
            for b in quorum.iter().filter(|b| *b > a) {
                if !pairs.contains_key(&(*a, *b)) {
                    let ends = (public.members[a], public.members[b]);
                    let made = make_pair(ends.0, ends.1, PairEpoch(1), &mut entropy).unwrap();
                    pairs.insert((*a, *b), Arc::new(made.0));
                    pairs.insert((*b, *a), Arc::new(made.1));
                }
            }
        }
    }

    fn by_dkls(
        public: &Arc<VaultPublic>,
        shares: &[&VaultShare],
        quorum: &BTreeSet<Seat>,
        item: &SignItem,
        pairs: &Pairs,
    ) -> Signature {
        let session = SessionId([3; 32]);
        let context = context(session, public, quorum, item);
        let start = |share: &&VaultShare| {
            let key = ecdsa_key(public, share, quorum, item).unwrap();
            let mine = pairs.iter().filter(|((me, _), _)| *me == share.seat);
            let mine = mine.map(|((_, peer), pair)| (*peer, Arc::clone(pair))).collect();
            let entropy = &mut SeededEntropy::new(0);
            let (run, bodies) = Ecdsa::start(key, session, context, item, mine, entropy).unwrap();
            (share.seat, Box::new(run), bodies)
        };
        drive(shares.iter().map(start).collect())
    }

    fn by_cait_sith(
        public: &Arc<VaultPublic>,
        shares: &[&VaultShare],
        quorum: &BTreeSet<Seat>,
        item: &SignItem,
    ) -> Signature {
        let size = u8::try_from(quorum.len()).unwrap();
        let triples = deal_triples(size, &mut SeededEntropy::new(u64::from(item.message[0])));
        let digest = <[u8; 32]>::try_from(item.message.as_slice()).unwrap();
        let start = |(share, triples): (&&VaultShare, _)| {
            let key = ecdsa_key(public, share, quorum, item).unwrap();
            let (run, bodies) = CaitSith::start(key, digest, triples).unwrap();
            (share.seat, Box::new(run), bodies)
        };
        drive(shares.iter().zip(triples).map(start).collect())
    }

    #[test]
    fn two_protocols_sign_under_one_key_and_both_signatures_verify() {
        let half = |list: [u16; 3]| AccessTree::Threshold {
            threshold: 2,
            children: list.map(|seat| AccessTree::Leaf(Seat(seat))).to_vec(),
        };
        let committee = |threshold, n: u16| {
            AccessTree::committee(threshold, &(1..=n).map(Seat).collect::<Vec<_>>()).unwrap()
        };
        let halves = AccessTree::All(vec![half([1, 2, 3]), half([4, 5, 6])]);
        let vectors: [(AccessTree, &[u16], &str); 6] = [
            (committee(2, 3), &[1, 2], "m"),
            (committee(2, 3), &[1, 3], "m/44/60/0/0/0"),
            (committee(2, 3), &[2, 3], "m/84/0/0/1/5"),
            (committee(3, 3), &[1, 2, 3], "m"),
            (committee(3, 3), &[1, 2, 3], "m/44/60/7/0/2147483647"),
            (halves, &[1, 3, 4, 6], "m/44/60/0/0/1"),
        ];
        let mut pairs = Pairs::new();
        // Digests at the edges: zero, above the group order (reduced by both), and ordinary ones.
        let digests = [[0u8; 32], [0xff; 32], [0x5a; 32]];
        for (number, (tree, list, path)) in (0u64..).zip(vectors) {
            let (public, shares) = deal_vault(tree, &mut SeededEntropy::new(number));
            let (public, quorum) = (Arc::new(public), seats(list));
            add_pairs(&mut pairs, &public, &quorum);
            let members: Vec<_> =
                shares.iter().filter(|share| quorum.contains(&share.seat)).collect();
            for digest in digests {
                both_sign(&public, &members, &quorum, path, digest, &pairs);
            }
        }
    }

    /// Both protocols sign `digest` at `path`, and libsecp256k1 accepts both.
    fn both_sign(
        public: &Arc<VaultPublic>,
        members: &[&VaultShare],
        quorum: &BTreeSet<Seat>,
        path: &str,
        digest: [u8; 32],
        pairs: &Pairs,
    ) {
        let item = SignItem {
            key: KeyKind::Ecdsa,
            path: path.parse().unwrap(),
            tweak: KeyTweak::None,
            message: digest.to_vec(),
        };
        let one = by_dkls(public, members, quorum, &item, pairs);
        let two = by_cait_sith(public, members, quorum, &item);
        assert_eq!(verify(public, &item, &one), Ok(()), "dkls23, {path}, {quorum:?}");
        assert_eq!(verify(public, &item, &two), Ok(()), "cait-sith, {path}, {quorum:?}");
        assert_ne!(one, two, "two runs share a nonce");
    }

    fn file(path: &str) -> Vec<Value> {
        let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
        serde_json::from_str(&std::fs::read_to_string(root.join(path)).unwrap()).unwrap()
    }

    fn bytes(value: &Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    fn bytes32(value: &Value) -> [u8; 32] {
        bytes(value).try_into().unwrap()
    }

    /// A vault whose ECDSA key is shared as a sharing vector says.
    fn vault_of(vector: &Value) -> (VaultPublic, Vec<VaultShare>) {
        let tree = AccessTree::from_bytes(&bytes(&vector["tree"])).unwrap();
        let (mut public, mut shares) = deal_vault(tree, &mut SeededEntropy::new(9));
        let commitments = bytes(&vector["commitments"]);
        public.ecdsa = Commitments::from_bytes(&public.tree, &commitments).unwrap();
        public.keys.ecdsa.point = public.ecdsa.root();
        for share in &mut shares {
            share.ecdsa = Secret::new(bytes32(&vector["shares"][share.seat.0.to_string()]));
            assert_eq!(public.check_share(share), Ok(()));
        }
        (public, shares)
    }

    /// Everything of the vector files that ECDSA can sign: each sharing under its own quorum, each derivation at its own path
    /// and chain code, each Ethereum sighash.
    #[test]
    fn two_protocols_sign_the_vector_files() {
        let mut pairs = Pairs::new();
        let sharings = file("sharing/1/secp256k1.json");
        assert_eq!(sharings.len(), 4);
        for vector in &sharings {
            let (public, shares) = vault_of(vector);
            let public = Arc::new(public);
            let list = vector["quorum"].as_array().unwrap().iter();
            let quorum: BTreeSet<Seat> =
                list.map(|seat| Seat(seat.as_u64().unwrap().try_into().unwrap())).collect();
            add_pairs(&mut pairs, &public, &quorum);
            let members: Vec<_> = shares.iter().filter(|s| quorum.contains(&s.seat)).collect();
            let digest = model::hash::sha256(&bytes(&vector["commitments"]));
            both_sign(&public, &members, &quorum, "m", digest, &pairs);
            both_sign(&public, &members, &quorum, "m/44/60/0/0/0", digest, &pairs);
        }
        // One vault of 2-of-3 for what is about messages and paths.
        let (mut public, shares) = vault_of(&sharings[1]);
        let quorum = seats(&[1, 3]);
        let members: Vec<_> = shares.iter().filter(|s| quorum.contains(&s.seat)).collect();
        let derivations = file("derivation/1/secp256k1.json");
        assert!(derivations.len() >= 2);
        for vector in &derivations {
            public.keys.ecdsa.chain_code = ChainCode(bytes32(&vector["chain_code"]));
            let path = vector["path"].as_str().unwrap();
            let public = Arc::new(public.clone());
            both_sign(&public, &members, &quorum, path, bytes32(&vector["tweak"]), &pairs);
        }
        let public = Arc::new(public);
        let decoded = file("chains-evm/1/decode.json");
        let typed = file("chains-evm/1/typed-data.json");
        let sighashes: BTreeSet<[u8; 32]> = decoded
            .iter()
            .map(|vector| &vector["result"]["sighash"])
            .chain(typed.iter().map(|vector| &vector["sighash"]))
            .filter(|sighash| sighash.is_string())
            .map(bytes32)
            .collect();
        assert!(sighashes.len() > typed.len(), "{} sighashes", sighashes.len());
        for sighash in sighashes {
            both_sign(&public, &members, &quorum, "m/44/60/0/0/0", sighash, &pairs);
        }
    }
}

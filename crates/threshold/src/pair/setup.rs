//! Making a pair state: two messages each way, both ends may start at once.
//!
//! First message: our half of the base oblivious transfers of both directions and a commitment to our half of the
//! zero-share seed. Second: the seed, opened, and the transcript both ends must have seen.
//! Absent on purpose: a retry. A setup that failed is thrown away and a new one takes a new nonce as context.

use super::{PairError, PairState, guarded};
use dkls23_core::utilities::multiplication::{MulReceiver, MulSender};
use dkls23_core::utilities::ot::base::{OTReceiver, OTSender};
use dkls23_core::utilities::proofs::{DLogProof, EncProof};
use dkls23_core::utilities::zero_shares::ZeroShare;
use k256::{Scalar, Secp256k1 as K256};
use model::hash::tagged;
use model::ids::{NodeId, PairEpoch};
use model::limits::MESSAGE_BYTES_MAX;
use model::secret::Secret;
use model::wire::{Reader, Wire, WireError, Writer, tags};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

const VERSION: u8 = 1;
/// Bytes of the salt that hides the committed seed (DKLs23 asks for twice the security parameter).
const SALT_BYTES: usize = 64;

/// The engine's part of a first message; its fields are fixed by the engine.
type EngineMessage = (DLogProof<K256>, Scalar, [u8; 32], Vec<EncProof<K256>>);

/// What a setup is about; both ends derive the same session ids from it.
#[derive(Debug, Clone)]
struct Context {
    me: NodeId,
    peer: NodeId,
    epoch: PairEpoch,
    nonce: [u8; 32],
}

impl Context {
    fn parts(&self, tag: &str, from: NodeId, to: NodeId, rest: &[&[u8]]) -> [u8; 32] {
        let epoch = self.epoch.0.to_be_bytes();
        let mut parts: Vec<&[u8]> = vec![&self.nonce, &epoch, &from.0, &to.0];
        parts.extend_from_slice(rest);
        tagged(tag, &parts)
    }

    /// PAIR-1: bound to direction, so that a peer cannot reflect our own proofs.
    fn direction(&self, receiver: NodeId, sender: NodeId) -> [u8; 32] {
        self.parts("outlast/pair/direction/v1", receiver, sender, &[])
    }

    fn lower_higher(&self) -> (NodeId, NodeId) {
        if self.me < self.peer { (self.me, self.peer) } else { (self.peer, self.me) }
    }

    /// Names the setup in its messages.
    fn hash(&self) -> [u8; 32] {
        let (lower, higher) = self.lower_higher();
        self.parts("outlast/pair/context/v1", lower, higher, &[])
    }

    fn seed_commitment(&self, from: NodeId, to: NodeId, seed: &[u8], salt: &[u8]) -> [u8; 32] {
        self.parts("outlast/pair/seed/v1", from, to, &[seed, salt])
    }

    /// The public id: both first messages, the lower node's first.
    fn id(&self, mine: &[u8; 32], theirs: &[u8; 32]) -> [u8; 32] {
        let (lower, higher) = self.lower_higher();
        let (first, second) = if lower == self.me { (mine, theirs) } else { (theirs, mine) };
        self.parts("outlast/pair/id/v1", lower, higher, &[first, second])
    }
}

/// Our secrets of the base oblivious transfers; wiped on drop because the engine's types are not.
struct BaseSecrets {
    ot_sender: OTSender<K256>,
    ot_receiver: OTReceiver,
    gadget_nonce: Scalar,
    correlation: Vec<bool>,
    exponents: Vec<Scalar>,
}

impl Drop for BaseSecrets {
    fn drop(&mut self) {
        self.ot_sender.s.zeroize();
        self.ot_receiver.seed.zeroize();
        self.correlation.zeroize();
        self.exponents.zeroize();
    }
}

struct SeedHalf {
    seed: Secret<[u8; 32]>,
    salt: Secret<[u8; SALT_BYTES]>,
}

enum Stage {
    /// Our first message is out.
    First { base: Box<BaseSecrets>, seed: SeedHalf, mine: [u8; 32] },
    /// The correlations stand; the peer's seed is committed.
    Second { state: Box<PairState>, commitment: [u8; 32], seed: SeedHalf },
}

/// A pair setup in progress, seen from one end.
pub struct PairSetup {
    context: Context,
    stage: Stage,
}

/// What a received message leads to.
#[derive(Debug)]
pub enum PairStep {
    /// Send this and wait for the next message.
    Continue(PairSetup, Vec<u8>),
    /// The pair state stands; send what is left, if anything.
    Done(PairState, Option<Vec<u8>>),
}

/// Shows the step, nothing secret.
impl core::fmt::Debug for PairSetup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let waits_for = match self.stage {
            Stage::First { .. } => "first message",
            Stage::Second { .. } => "second message",
        };
        f.debug_struct("PairSetup").field("waits_for", &waits_for).finish_non_exhaustive()
    }
}

impl PairSetup {
    /// Starts a setup; `nonce` is fresh, agreed by both ends, and never used for a pair twice.
    pub fn start(
        me: NodeId,
        peer: NodeId,
        epoch: PairEpoch,
        nonce: [u8; 32],
    ) -> Result<(Self, Vec<u8>), PairError> {
        if me == peer {
            return Err(PairError::SameNode);
        }
        let context = Context { me, peer, epoch, nonce };
        // PAIR-1: both directions start at once, and with them the zero-share seed is committed.
        let (base, engine) =
            guarded("pair start", || start_engine(&context)).map_err(PairError::Panicked)?;
        let (seed, commitment) = draw_seed(&context)?;
        let encoded =
            postcard::to_allocvec(&engine).map_err(|error| PairError::Engine(error.to_string()))?;
        let message = First { context: context.hash(), commitment, engine: encoded }.to_bytes();
        let mine = tagged("outlast/pair/first/v1", &[&message]);
        let stage = Stage::First { base: Box::new(base), seed, mine };
        Ok((Self { context, stage }, message))
    }

    /// Takes the peer's next message.
    pub fn receive(self, bytes: &[u8]) -> Result<PairStep, PairError> {
        match self.stage {
            Stage::First { base, seed, mine } => {
                receive_first(self.context, *base, seed, mine, bytes)
            }
            Stage::Second { state, commitment, seed } => {
                receive_second(&self.context, *state, &commitment, &seed, bytes)
            }
        }
    }
}

fn start_engine(context: &Context) -> (BaseSecrets, EngineMessage) {
    let receiving = context.direction(context.me, context.peer);
    let sending = context.direction(context.peer, context.me);
    let (ot_sender, proof, gadget_nonce) = MulReceiver::<K256>::init_phase1(&receiving);
    let (ot_receiver, correlation, exponents, enc_proofs) =
        MulSender::<K256>::init_phase1(&sending);
    let seed = ot_receiver.seed;
    let base = BaseSecrets { ot_sender, ot_receiver, gadget_nonce, correlation, exponents };
    (base, (proof, gadget_nonce, seed, enc_proofs))
}

/// The engine's own generator draws seed and salt; the commitment is ours, bound to the context.
fn draw_seed(context: &Context) -> Result<(SeedHalf, [u8; 32]), PairError> {
    let (mut seed, _, mut salt_bytes) =
        guarded("pair seed", ZeroShare::generate_seed_with_commitment)
            .map_err(PairError::Panicked)?;
    let salt =
        <[u8; SALT_BYTES]>::try_from(salt_bytes.as_slice()).map_err(|_| PairError::Dimensions)?;
    salt_bytes.zeroize();
    let commitment = context.seed_commitment(context.me, context.peer, &seed, &salt);
    let half = SeedHalf { seed: Secret::new(seed), salt: Secret::new(salt) };
    seed.zeroize();
    Ok((half, commitment))
}

fn receive_first(
    context: Context,
    base: BaseSecrets,
    seed: SeedHalf,
    mine: [u8; 32],
    bytes: &[u8],
) -> Result<PairStep, PairError> {
    let message = First::from_bytes(bytes).map_err(PairError::Malformed)?;
    if message.context != context.hash() {
        return Err(PairError::Context);
    }
    let engine = read_engine(&message.engine).map_err(PairError::Malformed)?;
    // PAIR-2: the engine verifies the peer's proofs of both directions.
    let finished = guarded("pair finish", || finish_engine(&context, &base, &engine));
    let (sender, receiver) = finished.map_err(PairError::Panicked)??;
    let theirs = tagged("outlast/pair/first/v1", &[bytes]);
    let id = context.id(&mine, &theirs);
    let second = Second { context: context.hash(), id, seed: &seed }.to_bytes();
    let state = PairState {
        me: context.me,
        peer: context.peer,
        epoch: context.epoch,
        id,
        sender,
        receiver,
        zero_seed: Secret::new([0; 32]),
    };
    let stage = Stage::Second { state: Box::new(state), commitment: message.commitment, seed };
    Ok(PairStep::Continue(PairSetup { context, stage }, second))
}

/// Postcard has second spellings of lengths; writing again and comparing leaves one.
fn read_engine(bytes: &[u8]) -> Result<EngineMessage, WireError> {
    let engine: EngineMessage =
        postcard::from_bytes(bytes).map_err(|_| WireError::Range("engine message"))?;
    let again = postcard::to_allocvec(&engine).map_err(|_| WireError::Range("engine message"))?;
    if again == bytes { Ok(engine) } else { Err(WireError::Range("engine message")) }
}

/// Both messages of a peer, up to the proofs.
pub(crate) fn fuzz_setup(data: &[u8]) {
    if let Ok(first) = First::from_bytes(data) {
        assert_eq!(first.to_bytes(), data, "a second spelling of a first message");
        drop(read_engine(&first.engine));
    }
    drop(read_engine(data));
    drop(read_second(data));
}

fn finish_engine(
    context: &Context,
    base: &BaseSecrets,
    (proof, gadget_nonce, seed, enc_proofs): &EngineMessage,
) -> Result<(MulSender<K256>, MulReceiver<K256>), PairError> {
    let failed = |error: dkls23_core::utilities::ot::ErrorOT| PairError::Engine(error.description);
    let receiving = context.direction(context.me, context.peer);
    let sending = context.direction(context.peer, context.me);
    let sender = MulSender::init_phase2(
        &base.ot_receiver,
        &sending,
        base.correlation.clone(),
        &base.exponents,
        proof,
        gadget_nonce,
    )
    .map_err(failed)?;
    let receiver =
        MulReceiver::init_phase2(&base.ot_sender, &receiving, seed, enc_proofs, &base.gadget_nonce)
            .map_err(failed)?;
    let dimensions = sender.check_state().and(receiver.check_state(None));
    dimensions.map_err(|error| PairError::Engine(error.description))?;
    Ok((sender, receiver))
}

fn receive_second(
    context: &Context,
    mut state: PairState,
    commitment: &[u8; 32],
    mine: &SeedHalf,
    bytes: &[u8],
) -> Result<PairStep, PairError> {
    let (their_context, their_id, seed, salt) = read_second(bytes).map_err(PairError::Malformed)?;
    if their_context != context.hash() {
        return Err(PairError::Context);
    }
    // PAIR-3: an end that saw another first message has another id; stop before the state is used.
    if their_id != state.id {
        return Err(PairError::Transcript);
    }
    let opened = context.seed_commitment(context.peer, context.me, seed.expose(), salt.expose());
    if !bool::from(opened.ct_eq(commitment)) {
        return Err(PairError::Commitment);
    }
    let mut both = [0u8; 32];
    for ((out, a), b) in both.iter_mut().zip(mine.seed.expose()).zip(seed.expose()) {
        *out = a ^ b;
    }
    state.zero_seed = Secret::new(both);
    both.zeroize();
    Ok(PairStep::Done(state, None))
}

struct First {
    context: [u8; 32],
    commitment: [u8; 32],
    engine: Vec<u8>,
}

impl Wire for First {
    fn write(&self, w: &mut Writer) {
        w.header(tags::PAIR_SETUP_FIRST, VERSION);
        w.fixed(&self.context);
        w.fixed(&self.commitment);
        w.bytes(&self.engine);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.header(tags::PAIR_SETUP_FIRST, VERSION)?;
        let (context, commitment) = (r.fixed()?, r.fixed()?);
        Ok(Self { context, commitment, engine: r.bytes(MESSAGE_BYTES_MAX)? })
    }
}

struct Second<'a> {
    context: [u8; 32],
    id: [u8; 32],
    seed: &'a SeedHalf,
}

impl Second<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.header(tags::PAIR_SETUP_SECOND, VERSION);
        w.fixed(&self.context);
        w.fixed(&self.id);
        w.fixed(self.seed.seed.expose());
        w.fixed(self.seed.salt.expose());
        w.into_bytes()
    }
}

type SecondParts = ([u8; 32], [u8; 32], Secret<[u8; 32]>, Secret<[u8; SALT_BYTES]>);

fn read_second(bytes: &[u8]) -> Result<SecondParts, WireError> {
    let mut r = Reader::new(bytes);
    r.header(tags::PAIR_SETUP_SECOND, VERSION)?;
    let parts = (r.fixed()?, r.fixed()?, Secret::new(r.fixed()?), Secret::new(r.fixed()?));
    r.finish()?;
    Ok(parts)
}

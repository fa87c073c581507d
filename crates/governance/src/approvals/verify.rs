//! From a signed act to a verified one: the vault is this one, the author is listed, the signature is his.
//!
//! The verdict is a function of the act and of what is [`Known`], never of the time or of the order in which acts came, so
//! that nodes which know the same hold the same set. Knowing more never turns a yes into a no. Whether a verified act
//! counts now (revoked, expired, without the role) is [`crate::standing`]'s to say.

use super::signature::{SignatureError, kind_of, verify_signature};
use model::act::{ActSignature, Author, Body, Force, SignedAct};
use model::card::{SigningUse, verify_node_signature};
use model::charter::{Charter, Credential, SignedCharter};
use model::ids::{ActId, CharterId, NodeId, VaultId};
use model::limits;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Why an act does not enter the set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActRefusal {
    /// Another vault's.
    #[error("the act is for the vault {found}, this is {wanted}")]
    WrongVault {
        /// Vault found.
        found: VaultId,
        /// Vault wanted.
        wanted: VaultId,
    },
    /// Names a version that this verifier does not hold, so far at least.
    #[error("the version {0} of the charter is not known here")]
    UnknownVersion(CharterId),
    /// Not listed in that version.
    #[error("`{0}` is not a person of that version of the charter")]
    UnknownPerson(String),
    /// Not listed in that version.
    #[error("the node {0} is not of that version of the charter")]
    UnknownNode(NodeId),
    /// The key is nobody's, another person's, or was listed for him elsewhere.
    #[error("`{person}` has no such credential")]
    UnknownCredential {
        /// The author.
        person: String,
    },
    /// A person's act with a node's signature or the reverse.
    #[error("a {signature} under an act of a {author}")]
    SignatureKind {
        /// Signature found.
        signature: &'static str,
        /// `person` or `node`.
        author: &'static str,
    },
    /// The signature does not count.
    #[error("the act's signature does not count")]
    Signature(#[source] SignatureError),
    /// Persons and nodes each say their own kinds of acts.
    #[error("a {author} cannot say `{word}`")]
    NotTheirs {
        /// `person` or `node`.
        author: &'static str,
        /// The act's word.
        word: &'static str,
    },
    /// Lifts more freezes than one act may.
    #[error("{found} freezes in one act, at most {}", limits::LIFTS_MAX)]
    TooMany {
        /// Freezes found.
        found: usize,
    },
    /// Ends before it begins, or lives longer than its kind may.
    #[error("a life of {found_ms} ms; at most {bound_ms} ms for `{word}`, and more than none")]
    Life {
        /// Life found.
        found_ms: u64,
        /// The bound.
        bound_ms: u64,
        /// The act's word.
        word: &'static str,
    },
}

impl ActRefusal {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::WrongVault { .. } => "wrong_vault",
            Self::UnknownVersion(_) => "unknown_version",
            Self::UnknownPerson(_) => "unknown_person",
            Self::UnknownNode(_) => "unknown_node",
            Self::UnknownCredential { .. } => "unknown_credential",
            Self::SignatureKind { .. } => "signature_kind",
            Self::Signature(error) => error.code(),
            Self::NotTheirs { .. } => "not_theirs",
            Self::TooMany { .. } => "too_many",
            Self::Life { .. } => "life",
        }
    }
}

/// Whose key signed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signer {
    /// A person, with one of his credentials.
    Person {
        /// The person.
        person: String,
        /// The credential.
        credential: Credential,
    },
    /// A node.
    Node(NodeId),
}

/// Something whose signature was checked. Only this room's verifiers make it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    inner: T,
    id: ActId,
    signer: Signer,
}

impl Verified<SignedAct> {
    /// The act with its signature.
    pub fn signed(&self) -> &SignedAct {
        &self.inner
    }
    /// The act's id.
    pub fn id(&self) -> ActId {
        self.id
    }
    /// Whose key signed.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }
}

/// What a verifier holds of one vault. It only grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    vault: VaultId,
    birth: CharterId,
    born_under: Arc<Charter>,
    versions: BTreeMap<CharterId, Arc<Charter>>,
    /// Credentials that acts of governors would put in the place of lost ones.
    offered: BTreeMap<String, BTreeSet<Credential>>,
}

impl Known {
    /// A vault with the version it was born under, which a ceremony settled.
    pub fn new(vault: VaultId, birth: Charter) -> Self {
        let id = birth.id();
        let birth = Arc::new(birth);
        let versions = BTreeMap::from([(id, birth.clone())]);
        Self { vault, birth: id, born_under: birth, versions, offered: BTreeMap::new() }
    }
    /// Another version. Being known gives it no force.
    pub fn add_version(&mut self, charter: Charter) {
        self.versions.insert(charter.id(), Arc::new(charter));
    }
    /// Takes note of a credential that a verified act offers, so that acts which it signs can be verified.
    pub fn add_act(&mut self, act: &Verified<SignedAct>) {
        if let Body::Replace { person, new, .. } = &act.signed().act.body {
            self.offered.entry(person.clone()).or_default().insert(new.clone());
        }
    }
    /// The vault.
    pub fn vault(&self) -> VaultId {
        self.vault
    }
    /// The version it was born under.
    pub fn birth(&self) -> CharterId {
        self.birth
    }
    /// That version itself.
    pub fn born_under(&self) -> &Charter {
        &self.born_under
    }
    /// A version by its id.
    pub fn version(&self, id: &CharterId) -> Option<&Charter> {
        self.versions.get(id).map(Arc::as_ref)
    }

    /// Credentials that may sign this act for its author. A restraint counts whichever version its author knew.
    fn credentials(
        &self,
        signed: &SignedAct,
        person: &str,
    ) -> Result<Vec<&Credential>, ActRefusal> {
        let act = &signed.act;
        let versions: Vec<&Charter> = match (self.version(&act.charter), act.body.force()) {
            (_, Force::Restraining) => self.versions.values().map(Arc::as_ref).collect(),
            (Some(version), _) => vec![version],
            (None, _) => return Err(ActRefusal::UnknownVersion(act.charter)),
        };
        let listed: Vec<_> = versions.iter().filter_map(|version| version.person(person)).collect();
        if listed.is_empty() {
            return Err(ActRefusal::UnknownPerson(person.to_owned()));
        }
        let listed = listed.into_iter().flat_map(|person| &person.credentials);
        Ok(listed.chain(self.offered.get(person).into_iter().flatten()).collect())
    }
}

/// How long an act of this kind may live.
fn life_ms_max(body: &Body) -> u64 {
    match (body, body.force()) {
        (Body::Approve(_) | Body::Ask(_), _) => limits::REQUEST_LIFE_MS_MAX,
        (_, Force::Restraining) => u64::MAX,
        _ => limits::ACT_LIFE_MS_MAX,
    }
}

fn check_bounds(signed: &SignedAct) -> Result<(), ActRefusal> {
    let (act, bound_ms) = (&signed.act, life_ms_max(&signed.act.body));
    let found_ms = act.expires_at.ms_since(act.created_at);
    if found_ms == 0 || found_ms > bound_ms {
        return Err(ActRefusal::Life { found_ms, bound_ms, word: act.body.word() });
    }
    match &act.body {
        Body::Unfreeze { lifts, .. } if lifts.len() > limits::LIFTS_MAX => {
            Err(ActRefusal::TooMany { found: lifts.len() })
        }
        _ => Ok(()),
    }
}

/// Checks an act of a living vault.
pub fn verify_act(signed: &SignedAct, known: &Known) -> Result<Verified<SignedAct>, ActRefusal> {
    let act = &signed.act;
    if act.vault != known.vault {
        return Err(ActRefusal::WrongVault { found: act.vault, wanted: known.vault });
    }
    check_bounds(signed)?;
    let of_nodes = matches!(act.body, Body::Reserve { .. } | Body::Acknowledge { .. });
    let word = act.body.word();
    match &act.author {
        Author::Person(_) if of_nodes => Err(ActRefusal::NotTheirs { author: "person", word }),
        Author::Person(person) => person_signed(signed, person, known.credentials(signed, person)?),
        Author::Node(_) if !of_nodes => Err(ActRefusal::NotTheirs { author: "node", word }),
        Author::Node(node) => {
            let version = known.version(&act.charter);
            let version = version.ok_or(ActRefusal::UnknownVersion(act.charter))?;
            node_signed(signed, *node, version)
        }
    }
}

/// Checks every signature under a charter that no vault has yet: governors' and nodes' yes to exactly this version.
pub fn verify_birth(charter: &SignedCharter) -> Result<Vec<Verified<SignedAct>>, ActRefusal> {
    let (version, id) = (&charter.charter, charter.charter.id());
    let check = |signed: &SignedAct| {
        let act = &signed.act;
        if act.vault != VaultId([0; 32]) {
            return Err(ActRefusal::WrongVault { found: act.vault, wanted: VaultId([0; 32]) });
        }
        if act.charter != id || act.body != (Body::Amend { next: id }) {
            return Err(ActRefusal::UnknownVersion(act.charter));
        }
        check_bounds(signed)?;
        match &act.author {
            Author::Person(person) => {
                let listed = version.person(person);
                let listed = listed.ok_or_else(|| ActRefusal::UnknownPerson(person.clone()))?;
                person_signed(signed, person, listed.credentials.iter().collect())
            }
            Author::Node(node) => node_signed(signed, *node, version),
        }
    };
    charter.signatures.iter().map(check).collect()
}

fn person_signed(
    signed: &SignedAct,
    person: &str,
    credentials: Vec<&Credential>,
) -> Result<Verified<SignedAct>, ActRefusal> {
    if matches!(signed.signature, ActSignature::Node(_)) {
        let signature = kind_of(&signed.signature);
        return Err(ActRefusal::SignatureKind { signature, author: "person" });
    }
    let id = signed.act.id();
    let mut refusal = None;
    for credential in credentials {
        match verify_signature(&id, &signed.signature, credential) {
            Ok(()) => {
                let (person, credential) = (person.to_owned(), credential.clone());
                let signer = Signer::Person { person, credential };
                return Ok(Verified { inner: signed.clone(), id, signer });
            }
            // Another key of his: the next one may be the right one.
            Err(error) if is_of_other_key(&error) => {}
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    let unknown = || ActRefusal::UnknownCredential { person: person.to_owned() };
    Err(refusal.map_or_else(unknown, ActRefusal::Signature))
}

fn is_of_other_key(error: &SignatureError) -> bool {
    use super::sshsig::SshError;
    matches!(
        error,
        SignatureError::Kind { .. }
            | SignatureError::OtherKey
            | SignatureError::Ssh(SshError::OtherKey)
    )
}

fn node_signed(
    signed: &SignedAct,
    node: NodeId,
    version: &Charter,
) -> Result<Verified<SignedAct>, ActRefusal> {
    let ActSignature::Node(signature) = &signed.signature else {
        let signature = kind_of(&signed.signature);
        return Err(ActRefusal::SignatureKind { signature, author: "node" });
    };
    let mut places = version.operators.iter().flat_map(|operator| &operator.nodes);
    if !places.any(|place| place.node == node) {
        return Err(ActRefusal::UnknownNode(node));
    }
    let id = signed.act.id();
    if !verify_node_signature(node, SigningUse::Act, id.as_bytes(), signature) {
        return Err(ActRefusal::Signature(SignatureError::Forged));
    }
    Ok(Verified { inner: signed.clone(), id, signer: Signer::Node(node) })
}

#[cfg(test)]
mod tests;

//! A vault's constitution as this node holds it: charter versions, the set of acts, what they amount to now, and what was
//! used of rolling limits.
//!
//! Like [`crate::state`] it is a fold over the journal. Acts enter verified only; at a start those of the journal are
//! verified again, since a journal is a file that somebody may have written to.

use crate::journal::{Entry, Judged};
use governance::approvals::{Known, Verified, verify_act};
use governance::charter;
use governance::policy::{Groups, Ledger, Policies};
use governance::standing::{ActSet, Place, Standing};
use model::act::SignedAct;
use model::charter::{Charter, Level, SignedCharter};
use model::ids::{CharterId, RequestId, VaultId};
use model::intent::Network;
use model::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One vault under a charter.
#[derive(Debug)]
pub(crate) struct Governed {
    /// The version at birth with everybody's agreement.
    pub birth: SignedCharter,
    pub known: Known,
    pub acts: ActSet,
    pub ledger: Ledger,
    /// When this node first held all approvals that a row demands, by request and row.
    pub complete: BTreeMap<RequestId, BTreeMap<String, Timestamp>>,
    standing: Arc<Standing>,
    /// Members of groups and address books, as the standing has them.
    groups: Groups,
    books: BTreeMap<String, BTreeSet<Place>>,
    /// Policies of the version in force; `None` when they do not compile, and then nothing is allowed.
    policies: Option<Arc<Policies>>,
    compiled: CharterId,
    /// Acts came in since the standing was folded.
    stale: bool,
}

impl Governed {
    fn born(vault: VaultId, birth: &SignedCharter) -> Self {
        let known = Known::new(vault, birth.charter.clone());
        let acts = ActSet::default();
        let standing = Arc::new(Standing::fold(&known, &acts, Timestamp(0)));
        Self {
            policies: Policies::compile(&birth.charter).ok().map(Arc::new),
            compiled: birth.charter.id(),
            birth: birth.clone(),
            known,
            acts,
            ledger: Ledger::default(),
            complete: BTreeMap::new(),
            groups: Groups::new(),
            books: BTreeMap::new(),
            standing,
            stale: true,
        }
    }

    /// What the acts amount to; as of the last [`Governed::refresh`].
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// Policies of the version in force.
    pub fn policies(&self) -> Option<&Arc<Policies>> {
        self.policies.as_ref()
    }

    /// Adds an act; true when it was not there.
    pub fn insert(&mut self, act: Verified<SignedAct>, at: Timestamp) -> bool {
        self.known.add_act(&act);
        let is_new = self.acts.insert(act, at);
        self.stale |= is_new;
        is_new
    }

    /// Folds anew where acts or time may have changed something. True when it did fold.
    pub fn refresh(&mut self, now: Timestamp) -> bool {
        let due = self.standing.next_change_at().is_some_and(|at| at <= now);
        if !self.stale && !due && self.standing.now() > Timestamp(0) {
            return false;
        }
        self.standing = Arc::new(Standing::fold(&self.known, &self.acts, now));
        self.stale = false;
        self.spread_out();
        let in_force = self.standing.in_force_id();
        if in_force != self.compiled {
            self.policies = Policies::compile(self.standing.in_force()).ok().map(Arc::new);
            self.compiled = in_force;
        }
        true
    }

    /// Groups and books of the standing, so that no decision computes them.
    fn spread_out(&mut self) {
        let (standing, charter) = (&self.standing, self.standing.in_force());
        let members = |group: &str| {
            let people = charter.people.iter().map(|person| person.id.clone());
            people.filter(|person| standing.is_member(group, person)).collect()
        };
        self.groups =
            charter.groups.iter().map(|group| (group.id.clone(), members(&group.id))).collect();
        let book = |level: &Level| standing.book(&level.id).into_keys().collect();
        self.books = charter.levels.iter().map(|level| (level.id.clone(), book(level))).collect();
    }

    /// Members of each group now.
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Is the address in the level's own book now?
    pub fn is_in_book(&self, level: &str, network: Network, address: &str) -> bool {
        let book = self.books.get(level);
        book.is_some_and(|book| book.contains(&(network, address.to_owned())))
    }

    fn judged(&mut self, at: Timestamp, judged: &Judged) {
        for charge in &judged.charges {
            self.ledger.charge(judged.request, at, charge);
        }
    }

    /// The longest window that any limit of the version in force looks back.
    fn longest_window_ms(&self) -> u64 {
        let rules = self.standing.in_force().levels.iter().flat_map(|level| &level.rules);
        rules.flat_map(|rule| &rule.limits).map(|limit| limit.window_ms).max().unwrap_or(0)
    }
}

/// All vaults under charters.
#[derive(Debug, Default)]
pub(crate) struct Governance {
    vaults: BTreeMap<VaultId, Governed>,
    /// Charters in the journal, until their vault stands there.
    charters: BTreeMap<CharterId, SignedCharter>,
    /// Vaults whose acts grew since their standing was folded.
    grown: BTreeSet<VaultId>,
}

impl Governance {
    /// A vault under a charter.
    pub fn vault(&self, vault: &VaultId) -> Option<&Governed> {
        self.vaults.get(vault)
    }
    /// Takes one record in. Total: a record that speaks of something unknown changes nothing.
    pub fn fold(&mut self, at: Timestamp, entry: &Entry) {
        match entry {
            Entry::Charter(signed) => {
                self.charters.insert(signed.charter.id(), (**signed).clone());
            }
            Entry::VaultStored { plan, vault, .. } => {
                let birth = plan.charter.and_then(|id| self.charters.remove(&id));
                if let Some(birth) = birth {
                    self.vaults.insert(*vault, Governed::born(*vault, &birth));
                    self.grown.insert(*vault);
                }
            }
            Entry::Judged(judged) => {
                if let Some(governed) = self.vaults.get_mut(&judged.vault) {
                    governed.judged(at, judged);
                }
            }
            Entry::Complete(vault, request, rule) => {
                if let Some(governed) = self.vaults.get_mut(vault) {
                    let rows = governed.complete.entry(*request).or_default();
                    rows.entry(rule.clone()).or_insert(at);
                }
            }
            _ => {}
        }
    }

    /// An act of the journal at a start: verified like any other.
    pub fn readmit(&mut self, at: Timestamp, signed: &SignedAct) -> bool {
        let Some(governed) = self.vaults.get(&signed.act.vault) else { return false };
        let verified = verify_act(signed, &governed.known);
        verified.is_ok_and(|act| {
            self.insert(act, at);
            true
        })
    }

    /// Adds a verified act to its vault's set.
    pub fn insert(&mut self, act: Verified<SignedAct>, at: Timestamp) {
        let vault = act.signed().act.vault;
        if let Some(governed) = self.vaults.get_mut(&vault)
            && governed.insert(act, at)
        {
            self.grown.insert(vault);
        }
    }

    /// Folds anew the vaults whose acts grew; the vaults in which something may have changed.
    pub fn refresh_grown(&mut self, now: Timestamp) -> BTreeSet<VaultId> {
        let grown = core::mem::take(&mut self.grown);
        grown.into_iter().filter(|vault| self.refresh(vault, now)).collect()
    }

    /// Folds anew where time alone may have changed something.
    pub fn refresh_all(&mut self, now: Timestamp) -> BTreeSet<VaultId> {
        self.grown.clear();
        let changed = self.vaults.iter_mut();
        changed.filter_map(|(id, governed)| governed.refresh(now).then_some(*id)).collect()
    }

    /// Folds one vault anew where needed.
    pub fn refresh(&mut self, vault: &VaultId, now: Timestamp) -> bool {
        self.vaults.get_mut(vault).is_some_and(|governed| governed.refresh(now))
    }

    /// Forgets what was said about a request that can never be signed any more, and charges that no window sees.
    pub fn forget(&mut self, vault: &VaultId, request: &RequestId, now: Timestamp) {
        if let Some(governed) = self.vaults.get_mut(vault) {
            governed.acts.forget_request(request);
            governed.complete.remove(request);
            let window_ms = governed.longest_window_ms();
            governed.ledger.forget(now, window_ms);
        }
    }
}

/// Why a charter cannot be the birth of a vault: its first fault.
pub(crate) fn faults(charter: &Charter) -> Option<String> {
    let faults = charter::check(charter);
    let first = faults.iter().find(|fault| fault.refuses()).map(ToString::to_string);
    first.or_else(|| Policies::compile(charter).err().map(|fault| fault.to_string()))
}

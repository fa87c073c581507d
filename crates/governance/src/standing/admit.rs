//! Would this act count if it came in now? What a node asks at its door, so that people hear at once what is wrong.
//!
//! An act that is refused here may still be verified, and a node takes it from its peers, which may have seen it in time:
//! the fold gives it no effect that it must not have.

use super::Standing;
use super::powers::weight;
use super::state::{Voice, person_of};
use crate::approvals::{ActRefusal, Verified, verify_act};
use model::act::{Body, Change, Force, SignedAct};
use model::ids::CharterId;
use model::limits;
use model::time::Timestamp;

/// Why an act would have no effect now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Standstill {
    /// It is not the author's, or not of this vault.
    #[error("the act does not hold")]
    Refused(#[source] ActRefusal),
    /// Its time is over.
    #[error("the act expired at {expired_at:?}; it is {now:?}")]
    Expired {
        /// End of the act.
        expired_at: Timestamp,
        /// Time now.
        now: Timestamp,
    },
    /// Its time has not come.
    #[error("the act was made at {made_at:?}, which is ahead of {now:?} by more than a minute")]
    FromFuture {
        /// Time of the act.
        made_at: Timestamp,
        /// Time now.
        now: Timestamp,
    },
    /// The version that it names was never in force, or not yet.
    #[error("the version {named} of the charter is not in force, nor was it")]
    NotInForce {
        /// Version named.
        named: CharterId,
    },
    /// Not of the version in force any more.
    #[error("`{0}` is no person of the charter in force")]
    Removed(String),
    /// The delegation is over.
    #[error("the delegation of `{0}` is over")]
    PersonExpired(String),
    /// The credential was revoked, replaced or taken from the charter, or is not his yet.
    #[error("the credential of `{0}` signs nothing now")]
    Revoked(String),
    /// Not among the people who may say this there.
    #[error("`{person}` may not say `{word}` there")]
    NoRole {
        /// The person.
        person: String,
        /// The act's word.
        word: &'static str,
    },
}

impl Standstill {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Expired { .. } => "expired",
            Self::FromFuture { .. } => "from_future",
            Self::NotInForce { .. } => "not_in_force",
            Self::Removed(_) => "removed",
            Self::PersonExpired(_) => "person_expired",
            Self::Revoked(_) => "revoked",
            Self::NoRole { .. } => "no_role",
        }
    }
}

impl Standing {
    /// Verifies an act and tells whether it would count now.
    pub fn receive(&self, signed: &SignedAct) -> Result<Verified<SignedAct>, Standstill> {
        let verified = verify_act(signed, &self.known).map_err(Standstill::Refused)?;
        self.admit(&verified)?;
        Ok(verified)
    }

    /// Tells whether a verified act would count now.
    pub fn admit(&self, verified: &Verified<SignedAct>) -> Result<(), Standstill> {
        let (act, now) = (&verified.signed().act, self.now);
        if act.expires_at <= now {
            return Err(Standstill::Expired { expired_at: act.expires_at, now });
        }
        if act.created_at > now.saturating_add_ms(limits::ACT_AHEAD_MS_MAX) {
            return Err(Standstill::FromFuture { made_at: act.created_at, now });
        }
        let Some((person, credential)) = person_of(verified.signer()) else { return Ok(()) };
        let Some(listed) = self.in_force().person(person) else {
            return Err(Standstill::Removed(person.to_owned()));
        };
        if listed.expires_at <= now {
            return Err(Standstill::PersonExpired(person.to_owned()));
        }
        let restrains = act.body.force() == Force::Restraining;
        if !restrains && !self.path().contains(&act.charter) {
            return Err(Standstill::NotInForce { named: act.charter });
        }
        if !restrains && !self.state.is_good(self.in_force(), person, credential, now) {
            return Err(Standstill::Revoked(person.to_owned()));
        }
        if restrains && !self.state.is_his(&self.known, person, credential) {
            return Err(Standstill::Revoked(person.to_owned()));
        }
        if self.has_role(person, act.charter, &act.body) {
            return Ok(());
        }
        Err(Standstill::NoRole { person: person.to_owned(), word: act.body.word() })
    }

    /// True when a word of this person may count there: alone for restraints, as one of several for the rest.
    fn has_role(&self, person: &str, named: CharterId, body: &Body) -> bool {
        let version = self.in_force();
        let governs = weight(version, person) > 0;
        let restrains = |level: &str| self.state.may_restrain(version, level, person, self.now);
        let of_level = |level: &str| {
            let Some(level) = version.level(level) else { return false };
            let groups = super::groups_of(level).into_iter().map(str::to_owned).collect();
            let voice = Voice { person, named, spoken: self.now };
            let counting = self.state.counting_groups(&self.known, &groups, voice, self.now);
            !counting.is_empty() || (level.quorum.all.is_empty() && governs)
        };
        match body {
            Body::Approve(opinion) => of_level(&opinion.level),
            Body::Reject(opinion) => restrains(&opinion.level),
            Body::Freeze { level } => restrains(level),
            Body::Unfreeze { level, .. } => of_level(level),
            Body::Register { level, change } => match change {
                Change::AddAddress(_) | Change::AddMember { .. } => of_level(level),
                Change::RemoveAddress(_) | Change::RemoveMember { .. } => restrains(level),
            },
            Body::Revoke { person: whose, .. } => governs || whose == person,
            Body::Amend { .. } | Body::Replace { .. } => governs,
            Body::CheckIn | Body::Ask(_) => true,
            Body::Reserve { .. } | Body::Acknowledge { .. } => false,
        }
    }
}

//! Rolling limits that hold without agreement (DESIGN 3.4, P4).
//!
//! With n nodes and threshold t every signature has an honest signer, and there are n-t+1 honest nodes. If each lets pass
//! at most L/(n-t+1) by its own count, the sum stays within L against t-1 traitors and across any partition. A node that
//! holds the signed reservations of r regular nodes for a request charges only v/(r-t+1): at least r-t+1 honest nodes
//! charge it then. Allowance is never ceded. Rounding is always against the spender.

use model::amount::Amount;
use model::ids::RequestId;
use model::time::Timestamp;
use std::collections::BTreeMap;

/// What one node lets pass of a limit: `floor(limit / (n - t + 1))`. Zero when the numbers are no signing set.
pub fn share_of(limit: Amount, nodes: u16, threshold: u16) -> Amount {
    let honest = nodes.checked_sub(threshold).and_then(|rest| rest.checked_add(1));
    honest.and_then(|honest| limit.checked_div_u64(u64::from(honest))).unwrap_or(Amount::ZERO)
}

/// What a node charges for `amount` when it holds the reservations of `reserved` regular nodes, its own counted:
/// `ceil(amount / (r - t + 1))`, and the whole amount below t reservations.
pub fn charge_of(amount: Amount, reserved: u16, threshold: u16) -> Amount {
    let sharers = reserved.checked_sub(threshold).and_then(|rest| rest.checked_add(1));
    let Some(sharers) = sharers.map(u64::from) else { return amount };
    let rounded_up = || {
        let floor = amount.checked_div_u64(sharers)?;
        if floor.checked_mul_u64(sharers)? == amount {
            return Some(floor);
        }
        floor.checked_add(Amount::from_u64(1))
    };
    rounded_up().unwrap_or(amount)
}

/// For what a limit counts: the rule, which of its limits, and for a person or for the whole level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LedgerKey {
    /// Name of the rule.
    pub rule: String,
    /// Which limit of the rule.
    pub limit: usize,
    /// The initiator, for limits by person.
    pub person: Option<String>,
}

/// What one request used of a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// Where it counts.
    pub key: LedgerKey,
    /// How much, after [`charge_of`].
    pub amount: Amount,
}

/// All charges of one node in one vault. A charge stays when its session fails: others may have finished it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    charges: BTreeMap<LedgerKey, BTreeMap<RequestId, (Timestamp, Amount)>>,
}

impl Ledger {
    /// Charges a request. The same request counts once, however often it is tried or sped up: at the later time, and
    /// with the larger amount.
    pub fn charge(&mut self, request: RequestId, at: Timestamp, charge: &Charge) {
        let held = self.charges.entry(charge.key.clone()).or_default();
        let entry = held.entry(request).or_insert((at, charge.amount));
        *entry = (entry.0.max(at), entry.1.max(charge.amount));
    }

    /// Lowers a charge: more nodes reserved it since. Never raises, and never makes one.
    pub fn lower(&mut self, request: RequestId, charge: &Charge) {
        let held = self.charges.get_mut(&charge.key).and_then(|held| held.get_mut(&request));
        if let Some((_, amount)) = held {
            *amount = (*amount).min(charge.amount);
        }
    }

    /// Forgets the charges of a request that can never be signed any more.
    pub fn release(&mut self, request: RequestId) {
        for held in self.charges.values_mut() {
            held.remove(&request);
        }
    }

    /// Sum of the charges of other requests within the window before `now`; `None` when it overflows.
    pub fn spent(
        &self,
        key: &LedgerKey,
        now: Timestamp,
        window_ms: u64,
        except: RequestId,
    ) -> Option<Amount> {
        let Some(held) = self.charges.get(key) else { return Some(Amount::ZERO) };
        let counted = held
            .iter()
            .filter(|(request, (at, _))| **request != except && now.ms_since(*at) < window_ms);
        counted.map(|(_, (_, amount))| *amount).try_fold(Amount::ZERO, Amount::checked_add)
    }

    /// Drops what no window of `longest_ms` can count any more.
    pub fn forget(&mut self, now: Timestamp, longest_ms: u64) {
        for held in self.charges.values_mut() {
            held.retain(|_, (at, _)| now.ms_since(*at) < longest_ms);
        }
        self.charges.retain(|_, held| !held.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn units(n: u64) -> Amount {
        Amount::from_u64(n)
    }

    #[test]
    fn shares_round_down_and_charges_round_up() {
        let share = |l, n, t| share_of(units(l), n, t);
        assert_eq!(
            (share(10, 3, 3), share(10, 3, 2), share(11, 3, 2)),
            (units(10), units(5), units(5))
        );
        assert_eq!(share(10, 2, 3), Amount::ZERO, "no signing set");
        let charge = |v, r, t| charge_of(units(v), r, t);
        assert_eq!((charge(10, 1, 2), charge(10, 2, 2)), (units(10), units(10)));
        assert_eq!((charge(10, 3, 2), charge(11, 3, 2)), (units(5), units(6)));
        assert_eq!(charge_of(Amount::MAX, 3, 2).checked_mul_u64(2), None, "rounded up");
    }

    #[test]
    fn a_request_counts_once_until_it_leaves_the_window() {
        let key = LedgerKey { rule: "r".into(), limit: 0, person: None };
        let (one, two) = (RequestId([1; 32]), RequestId([2; 32]));
        let mut ledger = Ledger::default();
        let charge = |n| Charge { key: key.clone(), amount: units(n) };
        ledger.charge(one, Timestamp(100), &charge(5));
        ledger.charge(one, Timestamp(110), &charge(4));
        let spent = |ledger: &Ledger, now, except| ledger.spent(&key, Timestamp(now), 50, except);
        assert_eq!(spent(&ledger, 120, two), Some(units(5)), "sped up, counted once");
        assert_eq!(spent(&ledger, 120, one), Some(Amount::ZERO), "itself is not in its own way");
        assert_eq!(spent(&ledger, 159, two), Some(units(5)));
        assert_eq!(spent(&ledger, 160, two), Some(Amount::ZERO));
        ledger.lower(one, &charge(3));
        ledger.lower(two, &charge(1));
        assert_eq!(spent(&ledger, 120, two), Some(units(3)));
        ledger.charge(two, Timestamp(120), &Charge { key: key.clone(), amount: Amount::MAX });
        assert_eq!(spent(&ledger, 120, RequestId([3; 32])), None, "an overflow is no small sum");
        ledger.forget(Timestamp(165), 50);
        assert_eq!(spent(&ledger, 165, one), Some(Amount::MAX));
    }

    proptest! {
        /// P4 by force: whatever pairs a traitor picks and whatever it hides, honest nodes' counts keep the sum within L.
        #[test]
        fn invariant_p4_no_choice_of_signers_spends_more_than_the_limit(
            limit in 1u64..1_000,
            nodes in 2u16..6,
            threshold_seed in 0u16..5,
            tries in prop::collection::vec((1u64..400, any::<u32>(), any::<bool>()), 1..60),
        ) {
            let threshold = 2 + threshold_seed % (nodes - 1);
            // The first t-1 nodes are traitors: they sign everything and hide it.
            let traitors = threshold - 1;
            let mut spent = vec![0u64; usize::from(nodes)];
            let share = share_of(units(limit), nodes, threshold).to_u64().unwrap();
            let mut total = 0u64;
            for (amount, pick, reserve_all) in tries {
                let reserved = if reserve_all { nodes } else { threshold };
                let charge = charge_of(units(amount), reserved, threshold).to_u64().unwrap();
                let honest: Vec<usize> = (usize::from(traitors)..usize::from(nodes)).collect();
                let signer = honest[usize::try_from(pick).unwrap() % honest.len()];
                // With all reserving, every honest node must find room before anybody signs.
                let who: Vec<usize> = if reserve_all { honest } else { vec![signer] };
                if who.iter().all(|node| spent[*node] + charge <= share) {
                    for node in who {
                        spent[node] += charge;
                    }
                    total += amount;
                }
            }
            prop_assert!(total <= limit, "{total} of {limit}");
        }
    }
}

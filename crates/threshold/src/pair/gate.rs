//! The pair discipline (invariant K6): when an answer to a peer's oblivious-transfer message may leave.
//!
//! The check of an OT-extension message tells a traitor one bit of our long-lived correlation: whether it failed.
//! Many sessions at once would tell him all of it, then our share. So the answers of one pair leave in the order in
//! which their sessions were admitted, each only while every earlier check of the pair passed, and the first failure
//! closes the gate for ever. What he can learn is then one run of luck, as in a single session, not a bit per session.
//!
//! Spec: `docs/spec/signing.md`, steps `PAIR-n`. Pure state, no clock. Absent on purpose: a way to open a closed gate;
//! a new gate comes with a new pair state. Making the failure durable before anything else leaves is the engine's part.

use std::collections::VecDeque;

/// Sessions of one pair that may be admitted and not settled at once.
pub const IN_FLIGHT_MAX: usize = model::limits::GATE_ANSWERS_MAX;

/// The right to have one session's check judged; settled exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an unsettled ticket holds back every later answer of the pair"]
pub struct Ticket(u64);

/// Why a session has no answer for the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The peer's message failed a check that touches pair state.
    Check,
    /// The session ended before any check of this pair ran, so its end tells the peer nothing.
    Abandoned,
}

/// What a settled ticket sets free.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled<T> {
    /// These answers leave now, in this order; empty while an earlier session is open.
    Released(Vec<T>),
    /// The first failure: nothing ever leaves again, the pair state must be destroyed.
    Failed,
    /// The gate was closed before, or the ticket is not of this gate.
    Dropped,
}

enum Slot<T> {
    Open,
    Passed(T),
    Abandoned,
}

/// Holds back the answers to one peer until their turn.
pub struct PairGate<T> {
    /// Number of the first slot.
    head: u64,
    slots: VecDeque<Slot<T>>,
    closed: bool,
}

impl<T> Default for PairGate<T> {
    fn default() -> Self {
        Self { head: 0, slots: VecDeque::new(), closed: false }
    }
}

impl<T> PairGate<T> {
    /// An open gate for a fresh pair state.
    pub fn new() -> Self {
        Self::default()
    }

    /// The gate of a pair whose failure is on record, for the start after a crash.
    pub fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// True once a check failed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Sessions admitted and not released so far.
    pub fn in_flight(&self) -> usize {
        self.slots.len()
    }

    /// Admits one session; `None` when the gate is closed or full.
    pub fn admit(&mut self) -> Option<Ticket> {
        // PAIR-4: bounded, so that a silent peer cannot make us hold answers without end.
        if self.closed || self.slots.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let ahead = u64::try_from(self.slots.len()).ok()?;
        let number = self.head.checked_add(ahead)?;
        self.slots.push_back(Slot::Open);
        Some(Ticket(number))
    }

    /// Closes the gate for a check that failed after its session's answer left: a later round condemned the pair.
    pub fn close(&mut self) {
        self.closed = true;
        self.slots.clear();
    }

    /// Settles one session: its answer, or why there is none.
    pub fn settle(&mut self, ticket: Ticket, outcome: Result<T, Failure>) -> Settled<T> {
        if self.closed {
            return Settled::Dropped;
        }
        let at = ticket.0.checked_sub(self.head).and_then(|at| usize::try_from(at).ok());
        let Some(slot) = at.and_then(|at| self.slots.get_mut(at)) else { return Settled::Dropped };
        match outcome {
            // PAIR-6: also answers that wait for an earlier session are dropped; late is safe, early is not.
            Err(Failure::Check) => {
                self.close();
                Settled::Failed
            }
            Err(Failure::Abandoned) => {
                *slot = Slot::Abandoned;
                Settled::Released(self.release())
            }
            Ok(answer) => {
                *slot = Slot::Passed(answer);
                Settled::Released(self.release())
            }
        }
    }

    /// PAIR-5: the settled prefix leaves, nothing behind an open session does.
    fn release(&mut self) -> Vec<T> {
        let mut out = Vec::new();
        while let Some(slot) = self.slots.pop_front() {
            match slot {
                Slot::Open => {
                    self.slots.push_front(Slot::Open);
                    break;
                }
                Slot::Passed(answer) => out.push(answer),
                Slot::Abandoned => {}
            }
            self.head = self.head.saturating_add(1);
        }
        out
    }
}

/// Shows counts, never an answer.
impl<T> core::fmt::Debug for PairGate<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { head, slots, closed } = self;
        f.debug_struct("PairGate")
            .field("head", head)
            .field("in_flight", &slots.len())
            .field("closed", closed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fate {
        Pass,
        Abandon,
        Fail,
    }

    fn outcome(at: usize, fate: Fate) -> Result<usize, Failure> {
        match fate {
            Fate::Pass => Ok(at),
            Fate::Abandon => Err(Failure::Abandoned),
            Fate::Fail => Err(Failure::Check),
        }
    }

    /// Settles all sessions in `order`; returns what left and how many settlements were `Failed`.
    fn run(fates: &[Fate], order: &[usize]) -> (Vec<usize>, usize, PairGate<usize>) {
        let mut gate = PairGate::new();
        let mut tickets: Vec<_> = fates.iter().map(|_| gate.admit()).collect();
        let (mut left, mut failed) = (Vec::new(), 0);
        for at in order {
            let ticket = tickets[*at].take().unwrap();
            match gate.settle(ticket, outcome(*at, fates[*at])) {
                Settled::Released(answers) => left.extend(answers),
                Settled::Failed => failed += 1,
                Settled::Dropped => {}
            }
        }
        (left, failed, gate)
    }

    /// What leaves must be a prefix of the passing sessions that stand before the first failure in admission order.
    fn check_prefix(fates: &[Fate], order: &[usize]) {
        let (left, failed, gate) = run(fates, order);
        let first_failure = fates.iter().position(|f| *f == Fate::Fail).unwrap_or(fates.len());
        let allowed: Vec<_> = (0..first_failure).filter(|at| fates[*at] == Fate::Pass).collect();
        assert!(allowed.starts_with(&left), "{left:?} left, {allowed:?} were allowed");
        let any_failed = fates.contains(&Fate::Fail);
        assert_eq!(failed, usize::from(any_failed));
        assert_eq!(gate.is_closed(), any_failed);
        assert_eq!(gate.in_flight(), 0);
        if !any_failed {
            assert_eq!(left, allowed, "without a failure every answer leaves");
        }
    }

    #[test]
    fn invariant_k6_every_order_of_up_to_five_sessions_releases_only_a_prefix() {
        for count in 1..=5usize {
            for code in 0..3usize.pow(u32::try_from(count).unwrap()) {
                let fates: Vec<_> = (0..count)
                    .map(|at| match code / 3usize.pow(u32::try_from(at).unwrap()) % 3 {
                        0 => Fate::Pass,
                        1 => Fate::Abandon,
                        _ => Fate::Fail,
                    })
                    .collect();
                permutations(count, &mut |order| check_prefix(&fates, order));
            }
        }
    }

    fn permutations(count: usize, visit: &mut impl FnMut(&[usize])) {
        fn extend(prefix: &mut Vec<usize>, count: usize, visit: &mut impl FnMut(&[usize])) {
            if prefix.len() == count {
                return visit(prefix);
            }
            for at in 0..count {
                if !prefix.contains(&at) {
                    prefix.push(at);
                    extend(prefix, count, visit);
                    prefix.pop();
                }
            }
        }
        extend(&mut Vec::new(), count, visit);
    }

    proptest! {
        #[test]
        fn invariant_k6_any_order_of_many_sessions_releases_only_a_prefix(
            (fates, order) in prop::collection::vec(0u8..16, 1..200).prop_flat_map(|codes| {
                let order: Vec<usize> = (0..codes.len()).collect();
                (Just(codes), Just(order).prop_shuffle())
            })
        ) {
            let fates: Vec<_> = fates
                .into_iter()
                .map(|code| match code { 0 => Fate::Fail, 1..=3 => Fate::Abandon, _ => Fate::Pass })
                .collect();
            check_prefix(&fates, &order);
        }

        #[test]
        fn invariant_k6_admissions_between_settlements_change_nothing(
            steps in prop::collection::vec(
                (any::<bool>(), any::<prop::sample::Index>(), 0u8..20),
                1..300,
            )
        ) {
            let mut gate = PairGate::new();
            let (mut open, mut next) = (Vec::new(), 0usize);
            let (mut left, mut first_failed) = (Vec::new(), None);
            for (admit, which, code) in steps {
                if admit || open.is_empty() {
                    if let Some(ticket) = gate.admit() {
                        open.push((next, ticket));
                        next += 1;
                    } else {
                        prop_assert!(gate.is_closed() || gate.in_flight() == IN_FLIGHT_MAX);
                    }
                } else {
                    let (at, ticket) = open.swap_remove(which.index(open.len()));
                    let fate = if code == 0 { Err(Failure::Check) } else { Ok(at) };
                    match gate.settle(ticket, fate) {
                        Settled::Released(answers) => left.extend(answers),
                        Settled::Failed => {
                            prop_assert!(first_failed.is_none());
                            first_failed = Some(left.len());
                        }
                        Settled::Dropped => prop_assert!(first_failed.is_some()),
                    }
                }
            }
            let prefix: Vec<_> = (0..left.len()).collect();
            prop_assert_eq!(&left, &prefix);
            prop_assert!(first_failed.is_none_or(|count| count == left.len()));
        }
    }

    #[test]
    fn a_full_gate_admits_nobody_and_a_closed_one_never_again() {
        let mut gate = PairGate::new();
        let mut tickets: Vec<_> = (0..IN_FLIGHT_MAX).map(|_| gate.admit().unwrap()).collect();
        assert_eq!(gate.admit(), None);
        let last = tickets.pop().unwrap();
        assert_eq!(gate.settle(last, Ok(1)), Settled::Released(vec![]));
        assert_eq!(gate.admit(), None, "a passed answer behind an open session still counts");
        assert_eq!(gate.settle(tickets.remove(0), Err(Failure::Check)), Settled::Failed);
        assert_eq!(gate.admit(), None);
        assert_eq!(gate.settle(tickets.remove(0), Ok(2)), Settled::Dropped);
        assert_eq!(PairGate::<u8>::closed().admit(), None);
    }

    #[test]
    fn invariant_k6_a_failure_in_a_later_round_holds_back_what_waits() {
        let mut gate = PairGate::new();
        let (first, second) = (gate.admit().unwrap(), gate.admit().unwrap());
        assert_eq!(gate.settle(second, Ok(2)), Settled::Released(vec![]));
        gate.close();
        assert_eq!(gate.settle(first, Ok(1)), Settled::Dropped);
        assert_eq!((gate.admit(), gate.in_flight()), (None, 0));
    }
}

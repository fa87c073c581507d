//! How far the clocks of peers are from this node's: an estimate with its uncertainty, for people to look at.
//!
//! Spec: `docs/spec/peer-messages.md`, "Clocks". Invariants: nothing is decided by it; a peer may tell any time it likes, and
//! each node judges requests by its own clock alone. An answer counts once, and only for the question that is open.
//! Absent on purpose: setting a clock, an average over peers, a word on which of two clocks is the wrong one.

use crate::budgets::Costly;
use crate::engine::Engine;
use crate::message::Message;
use core::fmt;
use model::ids::NodeId;
use model::limits;
use model::time::Timestamp;
use model::wire::{Reader, Wire, WireError, Writer};

/// A peer's clock is asked for this often, milliseconds.
const ASK_MS: u64 = 30_000;
/// A question without an answer is asked anew after this, milliseconds: the peer may not have accepted the link yet.
const RETRY_MS: u64 = 5_000;
/// An estimate that is this old gives way to any newer one, milliseconds.
const KEPT_MS: u64 = 5 * 60 * 1000;

/// What two nodes say about their clocks; each speaks of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockWord {
    /// "What time is it?"
    Ask {
        /// The asking node's clock.
        sent: Timestamp,
    },
    /// The answer.
    Tell {
        /// As it was asked.
        sent: Timestamp,
        /// The answering node's clock.
        told: Timestamp,
    },
}

impl ClockWord {
    /// Number of the message that asks.
    pub(crate) const ASK: u8 = 27;
    /// Number of the message that answers.
    pub(crate) const TELL: u8 = 28;

    pub(crate) fn write(self, w: &mut Writer) {
        match self {
            Self::Ask { sent } => {
                w.u8(Self::ASK);
                sent.write(w);
            }
            Self::Tell { sent, told } => {
                w.u8(Self::TELL);
                sent.write(w);
                told.write(w);
            }
        }
    }

    /// After the number that stands in front.
    pub(crate) fn read(number: u8, r: &mut Reader<'_>) -> Result<Self, WireError> {
        match number {
            Self::ASK => Ok(Self::Ask { sent: Timestamp::read(r)? }),
            _ => Ok(Self::Tell { sent: Timestamp::read(r)?, told: Timestamp::read(r)? }),
        }
    }
}

/// How far another clock is from this node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Milliseconds; positive where the other clock is ahead.
    pub offset_ms: i64,
    /// The true offset is at most this far from `offset_ms`, if the other node told the time on its clock.
    pub uncertainty_ms: u64,
}

impl ClockOffset {
    /// `sent` and `back` are readings of this node's clock around the reading `told` of the other; none when this node's
    /// clock went back between them.
    pub fn estimate(sent: Timestamp, told: Timestamp, back: Timestamp) -> Option<Self> {
        let trip = back.0.checked_sub(sent.0)?;
        let middle = sent.0.saturating_add(trip / 2);
        let far = if told.0 > middle { i64::MAX } else { i64::MIN };
        Some(Self {
            offset_ms: told.0.checked_signed_diff(middle).unwrap_or(far),
            // The reading was made somewhere on the way; the clocks are read in whole milliseconds.
            uncertainty_ms: trip.div_ceil(2).saturating_add(1),
        })
    }

    /// The clocks differ by this much at the least, milliseconds.
    pub fn at_least_ms(self) -> u64 {
        self.offset_ms.unsigned_abs().saturating_sub(self.uncertainty_ms)
    }

    /// True when the clocks differ by more than [`limits::CLOCK_OFFSET_MS_WARN`] beyond doubt.
    pub fn is_far(self) -> bool {
        self.at_least_ms() > limits::CLOCK_OFFSET_MS_WARN
    }

    /// True when both can be right.
    fn agrees_with(self, other: Self) -> bool {
        let apart = self.offset_ms.abs_diff(other.offset_ms);
        apart <= self.uncertainty_ms.saturating_add(other.uncertainty_ms)
    }
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+} ms (± {} ms)", self.offset_ms, self.uncertainty_ms)
    }
}

/// What a link knows of its peer's clock.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    /// When the clock was last asked for, by the engine's time.
    asked: Option<Timestamp>,
    /// The question that is open, by this node's clock.
    open: Option<Timestamp>,
    /// The estimate, and when it was made.
    known: Option<(ClockOffset, Timestamp)>,
    /// The operator was told that the clocks are far apart.
    warned: bool,
}

impl Comparison {
    fn is_due(&self, now: Timestamp) -> bool {
        let pause = if self.open.is_some() { RETRY_MS } else { ASK_MS };
        self.asked.is_none_or(|asked| now.ms_since(asked) >= pause)
    }

    /// A slow round trip tells less than a quick one before it, unless the two contradict one another.
    fn learn(&mut self, new: ClockOffset, now: Timestamp) {
        let keeps = |(known, at): (ClockOffset, Timestamp)| {
            let tighter = known.uncertainty_ms < new.uncertainty_ms;
            tighter && known.agrees_with(new) && now.ms_since(at) < KEPT_MS
        };
        if !self.known.is_some_and(keeps) {
            self.known = Some((new, now));
        }
    }
}

impl Engine {
    /// Asks every accepted peer for its clock, now and then.
    pub(crate) fn ask_clocks(&mut self) {
        let (now, clock) = (self.now, self.clock);
        let peers: Vec<NodeId> =
            self.links.keys().copied().filter(|peer| self.is_accepted(*peer)).collect();
        for peer in peers {
            let Some(link) = self.links.get_mut(&peer) else { continue };
            if !link.clock.is_due(now) {
                continue;
            }
            link.clock.asked = Some(now);
            link.clock.open = Some(clock);
            self.send(peer, &Message::Clock(ClockWord::Ask { sent: clock }));
        }
    }

    /// A peer asks for this node's clock, or tells its own.
    pub(crate) fn handle_clock(&mut self, peer: NodeId, word: ClockWord) {
        match word {
            ClockWord::Ask { sent } => {
                if self.within_budget(peer, Costly::Clock) {
                    let told = self.clock;
                    self.send(peer, &Message::Clock(ClockWord::Tell { sent, told }));
                }
            }
            ClockWord::Tell { sent, told } => self.compare_clock(peer, sent, told),
        }
    }

    fn compare_clock(&mut self, peer: NodeId, sent: Timestamp, told: Timestamp) {
        let (now, clock) = (self.now, self.clock);
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.clock.open.take_if(|open| *open == sent).is_none() {
            return;
        }
        let Some(new) = ClockOffset::estimate(sent, told, clock) else { return };
        link.clock.learn(new, now);
        let known = link.clock.known.map(|(known, _)| known);
        let far = known.filter(|known| known.is_far());
        let news = !link.clock.warned;
        link.clock.warned = far.is_some();
        if let Some(far) = far.filter(|_| news) {
            let text = self.clock_text(peer, far);
            self.warn_of(peer, "clock_offset", text);
        }
    }

    /// The estimate for a peer whose link is up.
    pub(crate) fn clock_offset(&self, peer: NodeId) -> Option<ClockOffset> {
        let known = self.links.get(&peer).filter(|_| self.is_accepted(peer))?.clock.known?;
        Some(known.0)
    }

    /// Every peer with an estimate.
    pub(crate) fn clock_offsets(&self) -> impl Iterator<Item = (NodeId, ClockOffset)> {
        self.links.keys().filter_map(|peer| Some((*peer, self.clock_offset(*peer)?)))
    }

    /// That the clocks are far apart, in words.
    pub(crate) fn clock_text(&self, peer: NodeId, offset: ClockOffset) -> String {
        format!(
            "the clock of {} differs from this node's by {offset}; one of the two is wrong, and beyond {} s \
             one node refuses requests of the other",
            self.name_of(peer),
            limits::CLOCK_SKEW_MS_MAX / 1000,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(offset_ms: i64, uncertainty_ms: u64) -> ClockOffset {
        ClockOffset { offset_ms, uncertainty_ms }
    }

    #[test]
    fn the_offset_is_against_the_middle_of_the_round_trip_and_half_of_it_in_doubt() {
        let check = |(sent, told, back), expected| {
            let found = ClockOffset::estimate(Timestamp(sent), Timestamp(told), Timestamp(back));
            assert_eq!(found, expected, "{sent} {told} {back}");
        };
        check((1_000, 1_010, 1_020), Some(offset(0, 11)));
        check((1_000, 91_010, 1_020), Some(offset(90_000, 11)));
        check((1_000, 500, 1_001), Some(offset(-500, 2)));
        check((1_000, 1_000, 1_000), Some(offset(0, 1)));
        // This node's clock went back on the way: nothing is known.
        check((1_000, 1_000, 999), None);
        // What a traitor may tell.
        check((0, u64::MAX, 0), Some(offset(i64::MAX, 1)));
        check((u64::MAX, 0, u64::MAX), Some(offset(i64::MIN, 1)));
    }

    /// Whatever way the time of the round trip divides into way out and way back, the true offset is in the interval.
    #[test]
    fn the_true_offset_is_within_the_uncertainty_whatever_the_ways_took() {
        for (out, home) in [(0, 0), (1, 0), (0, 1), (300, 2), (2, 300), (999, 1_000)] {
            for truth in [-70_000_i64, -1, 0, 1, 5_000] {
                let sent = 1_000_000_u64;
                let told = (sent + out).saturating_add_signed(truth);
                let stamps = [sent, told, sent + out + home].map(Timestamp);
                let found = ClockOffset::estimate(stamps[0], stamps[1], stamps[2]).unwrap();
                let apart = found.offset_ms.abs_diff(truth);
                assert!(apart <= found.uncertainty_ms, "{out} {home} {truth}: {found}");
            }
        }
    }

    #[test]
    fn a_doubtful_offset_is_not_far() {
        let bound = i64::try_from(limits::CLOCK_OFFSET_MS_WARN).unwrap();
        for (found, far) in [
            (offset(bound, 1), false),
            (offset(bound + 2, 1), true),
            (offset(-bound - 2, 1), true),
            (offset(bound + 2, 500), false),
            (offset(i64::MIN, 1), true),
        ] {
            assert_eq!(found.is_far(), far, "{found}");
        }
    }

    #[test]
    fn a_slow_answer_gives_way_to_a_quick_one_before_it_unless_they_contradict() {
        let check = |known: ClockOffset, age, new: ClockOffset, expected| {
            let mut one = Comparison { known: Some((known, Timestamp(0))), ..Default::default() };
            one.learn(new, Timestamp(age));
            assert_eq!(one.known.map(|(known, _)| known), Some(expected));
        };
        let (quick, slow) = (offset(3, 2), offset(150, 200));
        check(slow, 0, quick, quick);
        check(quick, 0, slow, quick);
        check(quick, KEPT_MS, slow, slow);
        let moved = offset(5_000, 200);
        check(quick, 0, moved, moved);
    }
}

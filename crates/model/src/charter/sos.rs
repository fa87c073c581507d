//! The rescue as a charter words it: triggers, vetoes, and where assets rest until their owners take them back.
//!
//! Nothing here acts by itself; the state machine that reads these rules stands in `governance`.

use crate::ids::NodeId;
use crate::{wire_enum, wire_struct};

wire_struct! {
    /// Rules of the rescue.
    pub struct SosRules {
        /// SOS nodes that must sign together.
        pub sos_threshold: u16,
        /// Guardians that must sign with them.
        pub guardian_threshold: u16,
        /// Guardians whose share is cold: started for an emergency only, no log.
        pub cold: Vec<NodeId>,
        /// Signatories: people who may pause and veto, and whose check-ins show life.
        pub signatories: Vec<String>,
        /// People who may start the countdown by hand.
        pub contacts: Vec<String>,
        /// People and services that raise alarms.
        pub monitors: Vec<String>,
        /// The alarm by hand.
        pub manual: Option<ManualTrigger>,
        /// Long silence.
        pub silence: Option<SilenceTrigger>,
        /// Alarms of monitors.
        pub alarm: Option<AlarmTrigger>,
        /// A vote of the governors.
        pub vote: Option<VoteTrigger>,
        /// Signatories that veto together.
        pub veto_quorum: u16,
        /// Vetoes of one episode at most.
        pub vetoes_max: u16,
        /// How long one signatory's pause lasts, milliseconds.
        pub pause_ms: u64,
        /// Pauses of one episode at most.
        pub pauses_max: u16,
        /// Rest after a veto, milliseconds; doubles with each vetoed trigger of a kind.
        pub cool_down_ms: u64,
        /// How long an activation lasts at most, milliseconds.
        pub active_ms_max: u64,
        /// What an activation may do.
        pub remedies: Vec<Remedy>,
        /// Where swept assets rest.
        pub lock_up: LockUp,
    }
}

wire_enum! {
    /// What an activation may do.
    pub enum Remedy {
        /// Move the assets into the lock-up.
        Sweep = 1 "sweep",
        /// Hand the same keys to a successor set.
        Reseat = 2 "reseat",
    }
}

wire_struct! {
    /// Emergency contacts start the countdown.
    pub struct ManualTrigger {
        /// Contacts that must agree.
        pub quorum: u16,
        /// Public countdown, milliseconds.
        pub delay_ms: u64,
        /// Triggers of this kind in a year at most.
        pub per_year_max: u16,
    }
}

wire_struct! {
    /// Nodes or people are silent for long.
    pub struct SilenceTrigger {
        /// Regular nodes that are silent; 0 leaves nodes out.
        pub nodes: u16,
        /// For how long, milliseconds.
        pub nodes_ms: u64,
        /// Signatories that are silent; 0 leaves people out.
        pub people: u16,
        /// For how long, milliseconds.
        pub people_ms: u64,
        /// Public countdown, milliseconds.
        pub delay_ms: u64,
        /// Triggers of this kind in a year at most.
        pub per_year_max: u16,
    }
}

wire_struct! {
    /// Monitors raise the same alarm.
    pub struct AlarmTrigger {
        /// Monitors that must agree.
        pub quorum: u16,
        /// Alarms that count.
        pub classes: Vec<AlarmClass>,
        /// Public countdown, milliseconds.
        pub delay_ms: u64,
        /// Triggers of this kind in a year at most.
        pub per_year_max: u16,
    }
}

wire_enum! {
    /// What an alarm is about.
    pub enum AlarmClass {
        /// A decentralization requirement is broken.
        RequirementBroken = 1 "requirement_broken",
        /// Evidence of where a node runs is gone.
        EvidenceLost = 2 "evidence_lost",
        /// Assets left and no log explains it.
        UnexplainedOutflow = 3 "unexplained_outflow",
        /// Somebody acts under threat.
        Duress = 4 "duress",
    }
}

wire_struct! {
    /// Governors vote.
    pub struct VoteTrigger {
        /// Sum of weights that must vote.
        pub quorum: u32,
        /// Sum of weights that must say yes.
        pub majority: u32,
        /// How long a vote is open, milliseconds.
        pub period_ms: u64,
        /// Public countdown, milliseconds.
        pub delay_ms: u64,
        /// Triggers of this kind in a year at most.
        pub per_year_max: u16,
    }
}

wire_struct! {
    /// Where swept assets rest.
    pub struct LockUp {
        /// When the release key may move them, milliseconds after they came.
        pub unlock_after_ms: u64,
        /// Hardware-wallet keys of governors.
        pub governor_keys: Vec<GovernorKey>,
        /// How many of these keys take back together.
        pub governor_quorum: u16,
    }
}

wire_struct! {
    /// A governor's own hardware-wallet key.
    pub struct GovernorKey {
        /// The governor.
        pub person: String,
        /// Compressed secp256k1 key.
        pub key: [u8; 33],
    }
}

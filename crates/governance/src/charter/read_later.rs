//! TOML to the rules of the rescue and of backups.

use super::document::{Table, one_of};
use super::forms;
use super::read::plain;
use model::charter::{
    AlarmClass, AlarmTrigger, Backups, GovernorKey, LockUp, ManualTrigger, RecoveryKey, Remedy,
    SilenceTrigger, SosRules, Store, VoteTrigger,
};
use model::ids::NodeId;

pub(super) fn sos(mut table: Table<'_>) -> SosRules {
    let node = |text: &str| forms::fixed_hex(text).map(NodeId);
    let rules = SosRules {
        sos_threshold: table.number("sos_threshold"),
        guardian_threshold: table.number("guardian_threshold"),
        cold: table.list("cold", node),
        signatories: table.list("signatories", plain),
        contacts: table.list("contacts", plain),
        monitors: table.list("monitors", plain),
        manual: table.section("manual").map(manual),
        silence: table.section("silence").map(silence),
        alarm: table.section("alarm").map(alarm),
        vote: table.section("vote").map(vote),
        veto_quorum: table.number("veto_quorum"),
        vetoes_max: table.number("vetoes_max"),
        pause_ms: table.duration("pause"),
        pauses_max: table.number("pauses_max"),
        cool_down_ms: table.duration("cool_down"),
        active_ms_max: table.duration("active_max"),
        remedies: table.list("remedies", one_of(Remedy::from_word)),
        lock_up: table.need_section("lock_up").map_or_else(no_lock_up, lock_up),
    };
    table.finish();
    rules
}

fn manual(mut table: Table<'_>) -> ManualTrigger {
    let trigger = ManualTrigger {
        quorum: table.number("quorum"),
        delay_ms: table.duration("delay"),
        per_year_max: table.number("per_year_max"),
    };
    table.finish();
    trigger
}

fn silence(mut table: Table<'_>) -> SilenceTrigger {
    let trigger = SilenceTrigger {
        nodes: table.number("nodes"),
        nodes_ms: table.duration("nodes_silent"),
        people: table.number("people"),
        people_ms: table.duration("people_silent"),
        delay_ms: table.duration("delay"),
        per_year_max: table.number("per_year_max"),
    };
    table.finish();
    trigger
}

fn alarm(mut table: Table<'_>) -> AlarmTrigger {
    let trigger = AlarmTrigger {
        quorum: table.number("quorum"),
        classes: table.list("classes", one_of(AlarmClass::from_word)),
        delay_ms: table.duration("delay"),
        per_year_max: table.number("per_year_max"),
    };
    table.finish();
    trigger
}

fn vote(mut table: Table<'_>) -> VoteTrigger {
    let trigger = VoteTrigger {
        quorum: table.number("quorum"),
        majority: table.number("majority"),
        period_ms: table.duration("period"),
        delay_ms: table.duration("delay"),
        per_year_max: table.number("per_year_max"),
    };
    table.finish();
    trigger
}

fn no_lock_up() -> LockUp {
    LockUp { unlock_after_ms: 0, governor_keys: Vec::new(), governor_quorum: 0 }
}

fn lock_up(mut table: Table<'_>) -> LockUp {
    let key = |mut table: Table<'_>| {
        let key = table.parsed("key", forms::fixed_hex).unwrap_or([0; 33]);
        let holder = GovernorKey { person: table.text("person"), key };
        table.finish();
        holder
    };
    let lock_up = LockUp {
        unlock_after_ms: table.duration("unlock_after"),
        governor_keys: table.tables("governor_keys").into_iter().map(key).collect(),
        governor_quorum: table.number("governor_quorum"),
    };
    table.finish();
    lock_up
}

pub(super) fn backups(mut table: Table<'_>) -> Backups {
    let backups = Backups {
        stores: table.tables("store").into_iter().map(store).collect(),
        acks: table.number("acks"),
        recovery_keys: table.tables("recovery_key").into_iter().map(recovery_key).collect(),
        read_back_ms: table.duration("read_back"),
        media_check_ms: table.duration("media_check"),
    };
    table.finish();
    backups
}

fn store(mut table: Table<'_>) -> Store {
    let store = Store {
        id: table.text("id"),
        owner: table.text("owner"),
        provider: table.text("provider"),
        region: table.text("region"),
    };
    table.finish();
    store
}

fn recovery_key(mut table: Table<'_>) -> RecoveryKey {
    let key = RecoveryKey {
        operator: table.text("operator"),
        recipient: table.text("recipient"),
        medium: table.text("medium"),
    };
    table.finish();
    key
}

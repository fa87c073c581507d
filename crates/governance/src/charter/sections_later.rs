//! Sections of the rescue and of backups.

use super::sections::{Section, quoted, quoted_all};
use model::charter::{Backups, GovernorKey, SosRules};

pub(super) fn sos(sos: &SosRules) -> Vec<Section> {
    let mut top = Section::new("[sos]", "sos")
        .raw("sos_threshold", sos.sos_threshold)
        .raw("guardian_threshold", sos.guardian_threshold);
    let cold: Vec<String> = sos.cold.iter().map(|node| format!("\"{node}\"")).collect();
    for (key, items) in [
        ("cold", cold),
        ("signatories", quoted_all(&sos.signatories)),
        ("contacts", quoted_all(&sos.contacts)),
        ("monitors", quoted_all(&sos.monitors)),
    ] {
        if !items.is_empty() {
            top = top.many(key, items);
        }
    }
    let remedies = sos.remedies.iter().map(|one| format!("\"{}\"", one.word())).collect();
    let top = top
        .raw("veto_quorum", sos.veto_quorum)
        .raw("vetoes_max", sos.vetoes_max)
        .duration("pause", sos.pause_ms)
        .raw("pauses_max", sos.pauses_max)
        .duration("cool_down", sos.cool_down_ms)
        .duration("active_max", sos.active_ms_max)
        .many("remedies", remedies);
    let mut all = vec![top];
    all.extend(triggers(sos));
    let key = |one: &GovernorKey| {
        format!("{{ person = {}, key = \"{}\" }}", quoted(&one.person), hex::encode(one.key))
    };
    all.push(
        Section::new("[sos.lock_up]", "sos lock-up")
            .duration("unlock_after", sos.lock_up.unlock_after_ms)
            .many("governor_keys", sos.lock_up.governor_keys.iter().map(key).collect())
            .raw("governor_quorum", sos.lock_up.governor_quorum),
    );
    all
}

fn triggers(sos: &SosRules) -> Vec<Section> {
    let mut all = Vec::new();
    if let Some(one) = &sos.manual {
        let section = Section::new("[sos.manual]", "sos by hand").raw("quorum", one.quorum);
        all.push(ending(section, one.delay_ms, one.per_year_max));
    }
    if let Some(one) = &sos.silence {
        let section = Section::new("[sos.silence]", "sos by silence")
            .raw("nodes", one.nodes)
            .duration("nodes_silent", one.nodes_ms)
            .raw("people", one.people)
            .duration("people_silent", one.people_ms);
        all.push(ending(section, one.delay_ms, one.per_year_max));
    }
    if let Some(one) = &sos.alarm {
        let classes = one.classes.iter().map(|one| format!("\"{}\"", one.word())).collect();
        let section = Section::new("[sos.alarm]", "sos by alarms")
            .raw("quorum", one.quorum)
            .many("classes", classes);
        all.push(ending(section, one.delay_ms, one.per_year_max));
    }
    if let Some(one) = &sos.vote {
        let section = Section::new("[sos.vote]", "sos by vote")
            .raw("quorum", one.quorum)
            .raw("majority", one.majority)
            .duration("period", one.period_ms);
        all.push(ending(section, one.delay_ms, one.per_year_max));
    }
    all
}

fn ending(section: Section, delay_ms: u64, per_year_max: u16) -> Section {
    section.duration("delay", delay_ms).raw("per_year_max", per_year_max)
}

pub(super) fn backups(backups: &Backups) -> Vec<Section> {
    let top = Section::new("[backups]", "backups")
        .raw("acks", backups.acks)
        .duration("read_back", backups.read_back_ms)
        .duration("media_check", backups.media_check_ms);
    let mut all = vec![top];
    all.extend(backups.stores.iter().map(|one| {
        Section::new("[[backups.store]]", format!("store {}", one.id))
            .text("id", &one.id)
            .text("owner", &one.owner)
            .text("provider", &one.provider)
            .text("region", &one.region)
    }));
    all.extend(backups.recovery_keys.iter().map(|one| {
        let label = format!("recovery key {} of {}", one.recipient, one.operator);
        Section::new("[[backups.recovery_key]]", label)
            .text("operator", &one.operator)
            .text("recipient", &one.recipient)
            .text("medium", &one.medium)
    }));
    all
}

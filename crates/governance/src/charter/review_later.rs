//! The rescue and backups in words. They work from later parts on, and that is said.

use super::forms::duration_text;
use super::review::name;
use model::charter::{Charter, NodeRole, SosRules};

pub(super) fn lines(charter: &Charter) -> Vec<String> {
    let mut lines = Vec::new();
    match &charter.sos {
        None => lines.push("SOS: none. If too many operators vanish, the assets are lost.".into()),
        Some(sos) => lines.extend(rescue(charter, sos)),
    }
    match &charter.backups {
        None => lines.push("Backups: none are described.".to_owned()),
        Some(backups) => {
            lines.push(format!(
                "Backups (NOT WORKING YET in this version): {} stores, {} must acknowledge; {} \
                 keys outside the nodes.",
                backups.stores.len(),
                backups.acks,
                backups.recovery_keys.len()
            ));
        }
    }
    lines
}

fn rescue(charter: &Charter, sos: &SosRules) -> Vec<String> {
    let people = |ids: &[String]| {
        let names: Vec<&str> = ids.iter().map(|id| name(charter, id)).collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let mut lines = vec![
        "SOS (NOT WORKING YET in this version; the rules are recorded and checked):".to_owned(),
        format!(
            "  {} of {} SOS nodes together with {} of {} guardians could move the assets.",
            sos.sos_threshold,
            charter.nodes(NodeRole::Sos).count(),
            sos.guardian_threshold,
            charter.nodes(NodeRole::Guardian).count()
        ),
        format!(
            "  {} of these signatories veto: {}. One alone may pause for {}, {} times.",
            sos.veto_quorum,
            people(&sos.signatories),
            duration_text(sos.pause_ms),
            sos.pauses_max
        ),
    ];
    if let Some(one) = &sos.manual {
        lines.push(format!(
            "  By hand: {} of these contacts start it, it takes {}: {}.",
            one.quorum,
            duration_text(one.delay_ms),
            people(&sos.contacts)
        ));
    }
    if let Some(one) = &sos.silence {
        lines.push(format!(
            "  By silence: {} nodes silent for {}, or {} signatories for {}; then {}.",
            one.nodes,
            duration_text(one.nodes_ms),
            one.people,
            duration_text(one.people_ms),
            duration_text(one.delay_ms)
        ));
    }
    if let Some(one) = &sos.alarm {
        let classes: Vec<&str> = one.classes.iter().map(|class| class.word()).collect();
        lines.push(format!(
            "  By alarm: {} of these monitors raise the same one of {}; then {}: {}.",
            one.quorum,
            classes.join(", "),
            duration_text(one.delay_ms),
            people(&sos.monitors)
        ));
    }
    if let Some(one) = &sos.vote {
        lines.push(format!(
            "  By vote: weight {} takes part and {} says yes within {}; then {}.",
            one.quorum,
            one.majority,
            duration_text(one.period_ms),
            duration_text(one.delay_ms)
        ));
    }
    lines.push(format!(
        "  Assets then rest in a lock-up; {} of {} governors' own keys take part in taking them \
         back, and after {} they go to the successor vault.",
        sos.lock_up.governor_quorum,
        sos.lock_up.governor_keys.len(),
        duration_text(sos.lock_up.unlock_after_ms)
    ));
    lines
}

//! Versions: waits, logs, and people or logs that say two things.

use super::*;

pub(super) fn amend(person: &str, base: &Charter, next: &Charter, at: u64) -> (u64, SignedAct) {
    said(person, base.id(), at, Body::Amend { next: next.id() })
}

fn ack(n: u8, base: &Charter, next: &Charter, at: u64) -> (u64, SignedAct) {
    let previous = next.previous.unwrap();
    (at, by_node(n, base.id(), at, Body::Acknowledge { previous, next: next.id() }))
}

fn acks(nodes: &[u8], base: &Charter, next: &Charter, at: u64) -> Vec<(u64, SignedAct)> {
    nodes.iter().map(|n| ack(*n, base, next, at)).collect()
}

/// Two governors and three of four logs.
pub(super) fn settled(base: &Charter, next: &Charter, at: u64) -> Vec<(u64, SignedAct)> {
    let votes = ["gil", "gus"].map(|person| amend(person, base, next, at));
    [votes.to_vec(), acks(&[1, 2, 3], base, next, at)].concat()
}

fn looser(before: &Charter, n: usize) -> Charter {
    amended(before, |charter| charter.groups[n].members.push("cid".into()))
}

fn tighter(before: &Charter, wait_ms: u64) -> Charter {
    amended(before, |charter| charter.levels[1].rules[0].wait_ms = wait_ms)
}

fn version_at(known: &Known, acts: &[(u64, SignedAct)], now: u64) -> CharterId {
    fold_at(known, acts, now).in_force_id()
}

#[test]
fn a_loosening_waits_from_its_quorum_on_and_needs_the_logs() {
    let first = charter();
    let second = looser(&first, 0);
    let known = known(&[&second]);
    let acts = settled(&first, &second, 100);
    assert_eq!(version_at(&known, &acts, 99 + LOOSENING_MS), first.id());
    assert_eq!(version_at(&known, &acts, 100 + LOOSENING_MS), second.id());
    let standing = fold_at(&known, &acts, 200);
    assert_eq!(standing.next_change_at(), Some(Timestamp(100 + LOOSENING_MS)));
    let pending = &standing.pending()[0];
    assert_eq!((pending.weight, pending.quorum), (2, 2));
    assert_eq!((pending.logs, pending.log_quorum), (3, 3));
    assert_eq!(pending.loosens, [Loosened { power: Power::Approve, part: "group desk".into() }]);

    assert_eq!(version_at(&known, &acts[1..], 9_000), first.id(), "one governor");
    assert_eq!(version_at(&known, &acts[..4], 9_000), first.id(), "two logs");
    let mut late = acts[..4].to_vec();
    late.extend(acks(&[4], &first, &second, 7_000));
    assert_eq!(version_at(&known, &late, 6_999), first.id());
    assert_eq!(version_at(&known, &late, 7_000), second.id(), "the third log, after the wait");
    // A governor who comes later starts the wait.
    let mut slow = vec![acts[0].clone(), amend("gwen", &first, &second, 500)];
    slow.extend_from_slice(&acts[2..]);
    assert_eq!(version_at(&known, &slow, 499 + LOOSENING_MS), first.id());
    assert_eq!(version_at(&known, &slow, 500 + LOOSENING_MS), second.id());
}

#[test]
fn a_tightening_works_when_seen_and_a_regretted_one_waits() {
    let first = charter();
    let second = tighter(&first, 50);
    let third = tighter(&second, 40);
    let known = known(&[&second, &third]);
    let mut acts = vec![amend("gil", &first, &second, 10), amend("gus", &first, &second, 20)];
    assert_eq!(version_at(&known, &acts, 19), first.id());
    assert_eq!(version_at(&known, &acts, 20), second.id());
    acts.extend(acks(&[1, 2, 3], &first, &second, 30));
    acts.extend(settled(&second, &third, 40));
    assert_eq!(version_at(&known, &acts, 39 + LOOSENING_MS), second.id());
    assert_eq!(version_at(&known, &acts, 40 + LOOSENING_MS), third.id());
    assert_eq!(fold_at(&known, &acts, 9_000).path(), [first.id(), second.id(), third.id()]);
}

#[test]
fn a_credential_revoked_during_the_wait_ends_a_loosening_and_later_does_not() {
    let first = charter();
    let second = looser(&first, 0);
    let known = known(&[&second]);
    let revoked = |at: u64| {
        let body = Body::Revoke { person: "gil".into(), credential: credential("gil", 1) };
        let revocation = (at, by("gil", 2, first.id(), at, body));
        [settled(&first, &second, 100), vec![revocation]].concat()
    };
    assert_eq!(version_at(&known, &revoked(99 + LOOSENING_MS), 9_000), first.id());
    assert_eq!(version_at(&known, &revoked(101 + LOOSENING_MS), 9_000), second.id());
    let mut again = revoked(200);
    again.push(amend("gwen", &first, &second, 300));
    assert_eq!(version_at(&known, &again, 299 + LOOSENING_MS), first.id(), "a new wait");
    assert_eq!(version_at(&known, &again, 300 + LOOSENING_MS), second.id());
}

#[test]
fn a_credential_revoked_before_a_tightening_is_no_voice_for_it_and_one_revoked_later_was() {
    let first = charter();
    let second = tighter(&first, 50);
    let known = known(&[&second]);
    let at = |at: u64| {
        let body = Body::Revoke { person: "gil".into(), credential: credential("gil", 1) };
        let votes = ["gil", "gus"].map(|person| amend(person, &first, &second, 20));
        let acts = [votes.to_vec(), vec![(at, by("gil", 2, first.id(), at, body))]].concat();
        version_at(&known, &acts, 5_000)
    };
    assert_eq!(at(19), first.id());
    assert_eq!(at(20), first.id());
    assert_eq!(at(21), second.id());
}

#[test]
fn a_governor_who_signs_two_successors_is_proven_and_counts_for_neither() {
    let first = charter();
    let (one, two) = (tighter(&first, 50), tighter(&first, 60));
    let known = known(&[&one, &two]);
    let cheat = [amend("gil", &first, &one, 10), amend("gil", &first, &two, 11)];
    let mut acts = cheat.to_vec();
    acts.push(amend("gus", &first, &one, 12));
    let standing = fold_at(&known, &acts, 100);
    assert_eq!(standing.in_force_id(), first.id());
    let mut ids = cheat.clone().map(|(_, act)| act.act.id());
    ids.sort();
    let proof = TwoFaced { previous: first.id(), who: "gil".into(), acts: (ids[0], ids[1]) };
    assert_eq!(standing.two_faced(), &BTreeSet::from([proof]));
    // The two honest ones go on without him.
    acts.push(amend("gwen", &first, &one, 13));
    assert_eq!(version_at(&known, &acts, 100), one.id());
    // Two statements whose lives do not overlap are a change of mind.
    let later = 20 + LIFE_MS;
    let changed = [amend("gil", &first, &one, 10), amend("gil", &first, &two, later)];
    assert_eq!(fold_at(&known, &changed, later).two_faced().len(), 0);
}

#[test]
fn a_thief_of_a_revoked_credential_does_not_make_his_victim_two_faced() {
    let first = charter();
    let (one, two) = (tighter(&first, 50), tighter(&first, 60));
    let known = known(&[&one, &two]);
    let gone = Body::Revoke { person: "gil".into(), credential: credential("gil", 1) };
    let own = (20, by("gil", 2, first.id(), 20, Body::Amend { next: one.id() }));
    let acts = [
        (10, by("gil", 2, first.id(), 10, gone)),
        amend("gil", &first, &two, 15),
        own,
        amend("gus", &first, &one, 20),
    ];
    let standing = fold_at(&known, &acts, 100);
    assert_eq!(standing.two_faced(), &BTreeSet::new());
    assert_eq!(standing.in_force_id(), one.id());
}

#[test]
fn a_resolving_version_goes_past_two_that_a_cheating_governor_set_against_each_other() {
    let first = charter();
    let (one, two) = (tighter(&first, 50), tighter(&first, 60));
    let resolving = tighter(&one, 70);
    let known = known(&[&one, &two, &resolving]);
    let mut acts = vec![
        amend("gil", &first, &one, 10),
        amend("gus", &first, &one, 10),
        amend("gil", &first, &two, 11),
        amend("gwen", &first, &two, 11),
    ];
    acts.extend(acks(&[1, 2], &first, &one, 12));
    acts.extend(acks(&[3, 4], &first, &two, 12));
    assert_eq!(version_at(&known, &acts, 5_000), first.id(), "neither has weight or logs");
    acts.push(amend("gus", &first, &resolving, 20));
    acts.push(amend("gwen", &first, &resolving, 20));
    assert_eq!(version_at(&known, &acts, 5_000), first.id(), "no logs yet");
    acts.extend(acks(&[2, 3, 4], &first, &resolving, 30));
    assert_eq!(version_at(&known, &acts, 5_000), resolving.id());
    assert_eq!(fold_at(&known, &acts, 5_000).path(), [first.id(), resolving.id()]);
}

#[test]
fn a_loosening_that_was_settled_can_be_passed_over_while_it_waits() {
    let first = charter();
    let second = looser(&first, 0);
    let back = amended(&second, |charter| charter.groups[0].members.retain(|m| m != "cid"));
    let known = known(&[&second, &back]);
    let mut acts = settled(&first, &second, 100);
    acts.extend(settled(&first, &back, 500));
    assert_eq!(version_at(&known, &acts, 499), first.id());
    for now in [500, 100 + LOOSENING_MS, 9_000] {
        assert_eq!(version_at(&known, &acts, now), back.id(), "{now}");
    }
    // Once it is in force it takes an amendment of its own.
    let mut late = settled(&first, &second, 100);
    late.extend(settled(&first, &back, 101 + LOOSENING_MS));
    assert_eq!(version_at(&known, &late, 9_000), second.id());
}

#[test]
fn what_q_logs_acknowledged_is_final_whatever_is_signed_or_revoked_later() {
    let first = charter();
    let (one, two) = (tighter(&first, 50), tighter(&first, 60));
    let known = known(&[&one, &two]);
    let mut acts = settled(&first, &one, 10);
    acts.push(amend("gil", &first, &two, 20));
    acts.push(amend("gwen", &first, &two, 20));
    acts.extend(acks(&[3, 4], &first, &two, 20));
    let standing = fold_at(&known, &acts, 5_000);
    assert_eq!(standing.in_force_id(), one.id());
    let faces: Vec<&str> = standing.two_faced().iter().map(|proof| proof.who.as_str()).collect();
    assert_eq!(faces.len(), 2, "{faces:?}");
    // Logs that settle the other one take a tightening back that only governors had signed.
    let mut other = vec![amend("gus", &first, &one, 10), amend("gwen", &first, &one, 10)];
    assert_eq!(version_at(&known, &other, 50), one.id());
    other.extend(["gil", "gwen"].map(|person| amend(person, &first, &two, 60)));
    other.extend(acks(&[1, 2, 3], &first, &two, 60));
    assert_eq!(version_at(&known, &other, 60), two.id());
}

#[test]
fn an_amendment_of_another_number_or_by_others_than_governors_is_nothing() {
    let first = charter();
    let mut skipped = tighter(&first, 50);
    skipped.version = 3;
    let second = tighter(&first, 50);
    let known = known(&[&skipped, &second]);
    assert_eq!(version_at(&known, &settled(&first, &skipped, 10), 5_000), first.id());
    let people = ["ann", "bob", "tim", "gil"].map(|person| amend(person, &first, &second, 10));
    let acts = [people.to_vec(), acks(&[1, 2, 3, 4], &first, &second, 10)].concat();
    assert_eq!(version_at(&known, &acts, 5_000), first.id());
}

#[test]
fn the_class_of_an_amendment_is_judged_per_power() {
    let first = charter();
    let check = |what: &str, change: &dyn Fn(&mut Charter)| {
        let found = classify(&first, &amended(&first, change));
        let words: BTreeSet<&str> = found.iter().map(|loosened| loosened.power.word()).collect();
        assert_eq!(words.into_iter().collect::<Vec<_>>().join(" "), what);
    };
    check("", &|_| {});
    check("", &|c| c.threshold = 4);
    check("sign", &|c| c.threshold = 2);
    check("", &|c| c.governors.quorum = 3);
    check("amend", &|c| c.governors.quorum = 1);
    check("", &|c| c.governors.loosening_ms += 1);
    check("amend", &|c| c.governors.loosening_ms -= 1);
    check("amend", &|c| c.governors.replacement_quorum += 1);
    check("amend veto", &|c| drop(c.governors.members.pop()));
    check("sign", &|c| c.people[0].expires_at.0 += 1);
    check("veto", &|c| c.people[0].expires_at.0 -= 1);
    check("", &|c| c.people[5].expires_at.0 -= 1);
    check("sign", &|c| c.people[5].credentials.push(credential("cid", 3)));
    check("veto", &|c| drop(c.people[3].credentials.pop()));
    check("approve", &|c| c.groups[0].members.push("cid".into()));
    check("veto", &|c| drop(c.groups[0].members.pop()));
    check("", &|c| c.levels[1].rules[0].wait_ms += 1);
    check("sign", &|c| c.levels[1].rules[0].wait_ms -= 1);
    check("", &|c| c.levels[1].rules[0].approvals = approvals("1 desk & 2 risk"));
    check("", &|c| c.levels[1].rules[0].approvals = approvals("1 risk & 1 top & 1 desk"));
    check("sign", &|c| c.levels[1].rules[0].approvals = approvals("1 desk & 1 risk | 1 top"));
    check("sign", &|c| c.levels[1].rules[0].approvals = approvals("2 desk"));
    check("sign", &|c| c.levels[1].rules[0].own_approval_counts = true);
    check("sign", &|c| c.levels[1].rules[0].recipients = model::charter::Recipients::Any);
    check("", &|c| c.levels[1].rules[0].initiators = vec!["desk".into()]);
    check("", &|c| c.levels[1].rules[0].operations.clear());
    check("sign", &|c| c.levels[0].rules.clear());
    check("", &|c| c.levels[1].rules.clear());
    check("", &|c| c.levels[1].cool_off_ms += 1);
    check("sign", &|c| c.levels[1].cool_off_ms -= 1);
    check("approve", &|c| c.levels[1].quorum = approvals("1 desk"));
    check("approve", &|c| c.levels[1].quorum = approvals(""));
    check("", &|c| c.levels[1].quorum = approvals("2 desk & 1 risk"));
    check("take-back", &|c| c.levels[1].recall_to = Some("m/44/2".parse().unwrap()));
    check("sign veto", &|c| drop(c.levels.pop()));
    check("read-backups", &|c| c.backups = Some(some_backups()));
    check("amend", &|c| c.log.traitors = 0);
}

fn some_backups() -> model::charter::Backups {
    model::charter::Backups {
        stores: Vec::new(),
        acks: 1,
        recovery_keys: Vec::new(),
        read_back_ms: 1,
        media_check_ms: 1,
    }
}

//! Full views of charters, acts and approvals.

use model::act::{Act, ActSignature, Author, Body, SignedAct};
use model::api::{
    ApprovalView, FreezeView, GovernanceView, LevelPeople, LevelView, MissingView, PendingView,
};
use model::ids::{ActId, CharterId, VaultId};
use model::time::Timestamp;
use model::wire::Wire;

pub fn approval_view() -> ApprovalView {
    let people = || vec![LevelPeople { level: "l".into(), people: vec!["p".into()] }];
    ApprovalView {
        charter: CharterId([7; 32]),
        level: "l".into(),
        intent: "00".repeat(32),
        from: "a".into(),
        operations: super::intent().operations,
        request: "00".into(),
        initiator: Some("p".into()),
        outcome: "needs_approvals".into(),
        reason: "r".into(),
        levels: vec![LevelView { level: "l".into(), operation: 0, rows: vec!["allow r".into()] }],
        approved: people(),
        rejected: people(),
        missing: vec![MissingView {
            level: "l".into(),
            rule: "r".into(),
            people: "1 more of g".into(),
            candidates: vec!["p".into()],
        }],
        wait_until_ms: None,
    }
}

pub fn governance_view() -> GovernanceView {
    let text = || "t".to_owned();
    GovernanceView {
        vault: VaultId([6; 32]),
        charter: CharterId([7; 32]),
        version: 1,
        words: text(),
        toml: text(),
        birth: text(),
        pending: vec![PendingView { charter: CharterId([8; 32]), state: text() }],
        freezes: vec![FreezeView {
            act: ActId([9; 32]),
            level: text(),
            person: text(),
            lifted_by: text(),
            expires_at_ms: 1,
        }],
        acts: 1,
    }
}

/// Canonical bytes of an act; nobody checks its signature here.
pub fn act() -> Vec<u8> {
    let act = Act {
        vault: VaultId([6; 32]),
        charter: CharterId([7; 32]),
        author: Author::Person("p".into()),
        created_at: Timestamp(1),
        expires_at: Timestamp(2),
        salt: [0; 16],
        body: Body::CheckIn,
    };
    let signature = ActSignature::Service { key: [1; 32], signature: [2; 64] };
    SignedAct { act, signature }.to_bytes()
}

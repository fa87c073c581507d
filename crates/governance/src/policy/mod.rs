//! Policy by level: rows that people write, Cedar that is generated from them and shown, one outcome per request.
//!
//! Spec: `docs/spec/policy.md`. Cedar decides what is structure (chain, asset, recipient, who asks, which level); exact
//! amounts, rolling limits and approvals are counted here and handed to Cedar as names of rows that hold. Invariants: **any
//! evaluation error denies** (P2), a forbid wins, nothing named is denied, a level with children only forbids (P3).

mod cedar;
mod decide;
mod hours;
mod limits;
mod operation;

pub use cedar::{Policies, PolicyFault};
pub use decide::{Groups, LevelVerdict, Missing, Outcome, Question, RowVerdict, Verdict, level_of};
pub use limits::{Charge, Ledger, LedgerKey, charge_of, share_of};
pub use operation::{Operation, operations_in, operations_of};

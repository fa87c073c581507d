//! Backups as a charter names them: stores, how many must acknowledge, and keys outside the nodes.

use crate::wire_struct;

wire_struct! {
    /// Where boxes with shares are kept, and who can open them without a node.
    pub struct Backups {
        /// Object stores.
        pub stores: Vec<Store>,
        /// Stores that must hold a box durably before it counts.
        pub acks: u16,
        /// Keys outside the nodes; a box that only its node can open is no backup.
        pub recovery_keys: Vec<RecoveryKey>,
        /// How often every box is read back, milliseconds.
        pub read_back_ms: u64,
        /// How often every cold medium is opened, milliseconds.
        pub media_check_ms: u64,
    }
}

wire_struct! {
    /// An object store.
    pub struct Store {
        /// Id within the charter.
        pub id: String,
        /// Legal entity whose account it is; an operator's id where it is one.
        pub owner: String,
        /// Provider.
        pub provider: String,
        /// Region.
        pub region: String,
    }
}

wire_struct! {
    /// A long-lived key on a cold medium, of one operator.
    pub struct RecoveryKey {
        /// Operator whose shares it opens.
        pub operator: String,
        /// The key's public part, as its tool writes it.
        pub recipient: String,
        /// What it lies on: `paper`, `steel`, `hardware key`, `age file`.
        pub medium: String,
    }
}

//! What is wrong with a charter: where, what, why it matters and what to do.

use core::fmt;

/// Declares the codes with their words and reasons.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal $why:literal,)*) => {
        /// What kind of fault it is; the word never changes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
            /// The stable word.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
            /// Why a charter must not be so.
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }
        }
    };
}

codes! {
    /// No TOML.
    Syntax = "syntax" "the text is no TOML",
    /// A place that a template left open.
    Placeholder = "placeholder" "a template left this place for you to fill",
    /// A key that no section knows.
    UnknownKey = "unknown_key" "a rule that nobody reads would protect nobody",
    /// A key that must stand there.
    MissingKey = "missing_key" "nothing that loosens is assumed; it has to be written",
    /// Another type.
    WrongType = "wrong_type" "each key has one type",
    /// A value outside its form or range.
    BadValue = "bad_value" "each value has one spelling and one range",
    /// The whole charter is too long.
    TooLong = "too_long" "every node reads the charter; it has a bound",
    /// Version and predecessor do not fit.
    VersionChain = "version_chain" "versions form one chain; each names the one before it",
    /// An id stands twice.
    DoubledId = "doubled_id" "a name must mean one thing",
    /// An id names nothing.
    DanglingId = "dangling_id" "a rule about somebody who is not there cannot be met",
    /// A threshold that cannot be.
    Threshold = "threshold" "one seat must never sign alone, and no more than all can sign",
    /// The owner could sign alone.
    OwnerHoldsThreshold = "owner_holds_threshold" "owner and related operators could sign alone",
    /// The owner could stop signing.
    OwnerMayStop = "owner_may_stop_signing"
        "the owner with related operators could stop signing for good",
    /// Too few entities would sign.
    RequirementBroken = "requirement_broken" "the charter breaks its own requirement",
    /// A requirement is not there.
    RequirementMissing = "requirement_missing" "requirements are switched off by name only",
    /// A quorum that nobody can meet.
    QuorumUnreachable = "quorum_unreachable" "what nobody can meet blocks for good",
    /// A quorum that one person meets.
    QuorumTooSmall = "quorum_too_small" "one stolen credential must not be enough",
    /// Somebody cannot sign anything.
    NoCredential = "no_credential" "who has no credential cannot approve, veto or be replaced",
    /// A credential that is none.
    BadCredential = "bad_credential" "a key that does not read verifies nothing",
    /// Two people with one credential.
    SharedCredential = "shared_credential" "a person counts once; a shared key would count twice",
    /// All credentials hang on one web domain.
    OneDomain = "one_domain" "a passkey dies with its web domain",
    /// A member has no end.
    Expiry = "expiry" "every delegation ends",
    /// The tree is in disorder.
    LevelOrder = "level_order" "levels form one tree, parents first",
    /// A path outside its parent's, or in two levels.
    LevelPath = "level_path" "a path belongs to one level, and a child's lies within its parent's",
    /// An upper level that permits.
    LevelAllows = "level_allows" "upper levels only forbid: a child never loosens its parent",
    /// Two levels with one group.
    SharedGroup = "shared_group" "one quorum changes a level's group, not two",
    /// A recall elsewhere than to the parent.
    RecallTarget = "recall_target" "assets are recalled to an address of the parent, nowhere else",
    /// A rule that says nothing or too much.
    RuleShape = "rule_shape" "a rule that reads two ways is read the wrong way",
    /// An amount without its one asset.
    AmountAsset = "amount_asset" "an amount means something in one asset only",
    /// Too few logs or witnesses.
    LogQuorum = "log_quorum" "with n logs of which f lie, n must be at least 3f+1",
    /// Rescue and daily business in the same hands.
    SosNotApart = "sos_not_apart" "who vanishes with the signing set cannot rescue it",
    /// A trigger that cannot work.
    SosTrigger = "sos_trigger" "a rescue that cannot start, or starts too easily, is none",
    /// Assets would come back to those who woke the rescue.
    LockUp = "lock_up" "who wakes the rescue must not take the assets",
    /// Backups that do not hold.
    Backups = "backups" "a box that only its node opens, or that one store loses, is no backup",
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The charter is refused.
    Fault,
    /// It holds; somebody should look.
    Warning,
}

/// A place in a text, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Kind.
    pub code: Code,
    /// Whether the charter is refused for it.
    pub severity: Severity,
    /// Where in the text; `None` for a charter that came as bytes.
    pub at: Option<Position>,
    /// Where in the charter: `level[1].rule[0].amount_max`.
    pub place: String,
    /// What was found, with the values that disagree.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Fault {
    /// A fault at a place, its line not yet known.
    pub(super) fn new(code: Code, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Fault,
            at: None,
            place: place.into(),
            what: what.into(),
            hint: String::new(),
        }
    }
    /// Adds what to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
    /// Makes it a warning.
    pub(super) fn warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
    /// Makes it a warning unless `strict`.
    pub(super) fn warning_unless(self, strict: bool) -> Self {
        if strict { self } else { self.warning() }
    }
    /// True when the charter is refused for it.
    pub fn refuses(&self) -> bool {
        self.severity == Severity::Fault
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(Position { line, column }) => write!(f, "{line}:{column} {}", self.place)?,
            None => f.write_str(&self.place)?,
        }
        write!(f, ": {} [{}]", self.what, self.code.word())
    }
}

/// Line and column of a byte of a text.
pub(super) fn position(text: &str, byte: usize) -> Position {
    let mut end = byte.min(text.len());
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count().saturating_add(1);
    let start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let column = before.get(start..).unwrap_or_default().chars().count().saturating_add(1);
    Position { line, column }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_not_bytes() {
        let check = |text: &str, byte, line, column| {
            assert_eq!(position(text, byte), Position { line, column }, "{text:?} {byte}");
        };
        check("abc", 0, 1, 1);
        check("a\nbc", 3, 2, 2);
        check("é = 1", 3, 1, 3);
        check("é", 1, 1, 1);
        check("a\n", 2, 2, 1);
        check("a", 99, 1, 2);
    }

    #[test]
    fn every_code_has_one_word() {
        let words: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.word()).collect();
        assert_eq!(words.len(), Code::ALL.len());
    }
}

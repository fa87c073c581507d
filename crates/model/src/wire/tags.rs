//! The tag of every top-level type: one table, so that no two types ever begin with the same two bytes.
//!
//! The first byte is the room or the family (1 keys, 2 requests, 3 cards, 4 threshold, 5 between nodes, 6 journal,
//! 8 charters, 9 acts, A logs). A tag that was ever in use keeps its meaning. Absent on purpose: tags written as numbers
//! elsewhere (a test looks).

macro_rules! tags {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)*) => {
        $($(#[$doc])* pub const $name: u16 = $tag;)*
        /// Every tag with its name.
        pub const ALL: &[(&str, u16)] = &[$((stringify!($name), $tag)),*];
    };
}

tags! {
    /// `model::keys::VaultKeys`.
    VAULT_KEYS = 0x0101;
    /// `model::request::Request`.
    REQUEST = 0x0201;
    /// `model::card::NodeCard`.
    NODE_CARD = 0x0301;
    /// `threshold::shares::VaultPublic`.
    VAULT_PUBLIC = 0x0401;
    /// `threshold::shares::VaultShare`, stored.
    VAULT_SHARE = 0x0402;
    /// `threshold::proof::ShareProof`.
    SHARE_PROOF = 0x0403;
    /// What a node signs of its broadcast in a key ceremony.
    DKG_MARK = 0x0410;
    /// A broadcast of a key ceremony.
    DKG_BROADCAST = 0x0411;
    /// A message of a key ceremony: a broadcast and what is for one receiver.
    DKG_MESSAGE = 0x0412;
    /// The public transcript of a key ceremony.
    DKG_TRANSCRIPT = 0x0413;
    /// `threshold::dkg::Plan`.
    DKG_PLAN = 0x0414;
    /// `threshold::dkg::Evidence`.
    DKG_EVIDENCE = 0x0415;
    /// `threshold::pair::PairState`, stored.
    PAIR_STATE = 0x0420;
    /// First message of a pair setup.
    PAIR_SETUP_FIRST = 0x0421;
    /// Second message of a pair setup.
    PAIR_SETUP_SECOND = 0x0422;
    /// The head of a signing message, `threshold::sign::Head`.
    SIGNING_MESSAGE = 0x0423;
    /// The greeting of a link, `engine::hello`.
    HELLO = 0x0501;
    /// `engine::CeremonyPlan`.
    CEREMONY_PLAN = 0x0502;
    /// `engine::Message`.
    PEER_MESSAGE = 0x0503;
    /// `engine::CeremonyRecord`.
    CEREMONY_RECORD = 0x0504;
    /// `engine::Record`, one of the journal.
    JOURNAL_RECORD = 0x0601;
    /// `model::charter::Charter`.
    CHARTER = 0x0801;
    /// `model::act::Act`.
    ACT = 0x0901;
    /// `model::leaf::Leaf`, an entry of the log.
    LOG_LEAF = 0x0A01;
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};

    #[test]
    fn no_two_types_begin_with_the_same_tag() {
        let mut seen = BTreeMap::new();
        for (name, tag) in ALL {
            assert_eq!(seen.insert(tag, name), None, "{tag:#06x} is {name} and another");
        }
    }

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.push(path);
            }
        }
    }

    /// Every wire `header(` of the workspace names a row of the table; this room's own tests of the reader may invent tags.
    #[test]
    fn every_header_in_the_tree_takes_its_tag_from_the_table() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut files = Vec::new();
        sources(&crates, &mut files);
        let mut named = BTreeMap::new();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            if file.ends_with("model/src/wire.rs") || file.ends_with("wire/tags.rs") {
                continue;
            }
            for call in text.split(".header(").skip(1) {
                let tag = call.split([',', ')']).next().unwrap().trim();
                if tag.starts_with('"') {
                    continue; // a header of HTTP
                }
                let name = tag.strip_prefix("tags::").unwrap_or_else(|| {
                    panic!("{}: header({tag}, …) is not of the table", file.display())
                });
                assert!(ALL.iter().any(|(known, _)| *known == name), "{tag} is not in the table");
                *named.entry(name.to_owned()).or_insert(0) += 1;
            }
        }
        for (name, _) in ALL {
            assert!(named.contains_key(*name), "{name} is in the table and used by nothing");
        }
    }
}

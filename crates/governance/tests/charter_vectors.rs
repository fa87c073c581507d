//! Goal: another implementation reads the same charters, and refuses the same ones. Method: `vectors/charter/v1`: good texts
//! with canonical bytes and id, bad ones each named for its one defect with code, line and column. `OUTLAST_BLESS=1` writes
//! what follows from the texts anew, for review.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use governance::charter::{self, Code, Template};
use model::wire::Wire;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Good {
    file: String,
    id: String,
    words: String,
    bytes: String,
    warnings: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bad {
    file: String,
    code: String,
    line: usize,
    column: usize,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../vectors/charter/v1")
}

fn bless() -> bool {
    std::env::var_os("OUTLAST_BLESS").is_some()
}

fn compare<T>(file: &str, found: &[T])
where
    T: Serialize + for<'de> Deserialize<'de> + PartialEq + std::fmt::Debug,
{
    let path = root().join(file);
    if bless() {
        std::fs::write(&path, serde_json::to_string_pretty(found).unwrap() + "\n").unwrap();
    }
    let wanted: Vec<T> = serde_json::from_str(&read(&path)).unwrap();
    assert_eq!(found, wanted, "OUTLAST_BLESS=1 writes {file} anew");
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn base() -> String {
    read(&root().join("good/full.toml"))
}

#[test]
fn good_charters_have_their_bytes_and_ids() {
    let mut found = Vec::new();
    let mut texts = vec![("full".to_owned(), base())];
    for template in Template::ALL {
        let path = root().join(format!("good/{}.toml", template.word()));
        if bless() {
            std::fs::write(&path, support::filled(*template, "test")).unwrap();
        }
        texts.push((template.word().to_owned(), read(&path)));
    }
    for (name, text) in texts {
        let reading = charter::read(&text);
        assert!(reading.holds(), "{name}: {:#?}", reading.faults);
        let charter = reading.charter.unwrap();
        let bytes = charter.to_bytes();
        assert_eq!(model::charter::Charter::from_bytes(&bytes), Ok(charter.clone()), "{name}");
        assert_eq!(charter::parse(&charter::to_toml(&charter)), Ok(charter.clone()), "{name}");
        found.push(Good {
            file: format!("{name}.toml"),
            id: charter.id().to_string(),
            words: model::words::six_words(charter.id().as_bytes()),
            bytes: hex::encode(bytes),
            warnings: reading.faults.iter().map(ToString::to_string).collect(),
        });
    }
    compare("good.json", &found);
}

/// One edit of the base for each defect: file, what is replaced, by what, and the code that refuses it.
fn defects() -> Vec<(&'static str, &'static str, String, Code)> {
    let one = |name, from, to: &str, code| (name, from, to.to_owned(), code);
    let mut all = vec![
        one("a-bracket-is-open", "related = [\"a\"]", "related = [\"a\"", Code::Syntax),
        one(
            "a-key-stands-twice",
            "threshold = 2\n",
            "threshold = 2\nthreshold = 2\n",
            Code::Syntax,
        ),
        one("a-place-is-open", "name = \"Bert\"", "name = \"{{name}}\"", Code::Placeholder),
        one("a-key-nobody-knows", "threshold = 2", "threshold = 2\ntreshold = 2", Code::UnknownKey),
        one("a-section-nobody-knows", "[log]", "[logs]\n[log]", Code::UnknownKey),
        one("no-threshold", "threshold = 2\n", "", Code::MissingKey),
        one("no-loosening-delay", "loosening = \"7d\"\n", "", Code::MissingKey),
        one(
            "an-allow-row-without-recipients",
            "recipients = \"book\"\namount_max = \"1.5 ETH\"",
            "amount_max = \"1.5 ETH\"",
            Code::MissingKey,
        ),
        one("an-allow-row-without-maximum", "amount_max = \"any\"\n", "", Code::MissingKey),
        one(
            "an-allow-row-without-selectors",
            "selectors = [\"0xa1903eab\"]\n",
            "",
            Code::MissingKey,
        ),
        one("a-text-for-a-number", "threshold = 2", "threshold = \"2\"", Code::WrongType),
        one(
            "a-date-in-quotes",
            "expires = 2027-06-30T12:30:00Z",
            "expires = \"2027-06-30\"",
            Code::WrongType,
        ),
        one("a-local-time", "2027-06-30T12:30:00Z", "2027-06-30T12:30:00", Code::BadValue),
        one("a-negative-threshold", "threshold = 2", "threshold = -2", Code::BadValue),
        one("a-hexadecimal-threshold", "threshold = 2", "threshold = 0x2", Code::BadValue),
        one("a-purpose-of-its-own", "\"test\"", "\"staging\"", Code::BadValue),
        one("a-duration-without-unit", "cool_off = \"36h\"", "cool_off = \"36\"", Code::BadValue),
        one(
            "an-expression-with-or-outside-parentheses",
            "\"1 of treasurers and 1 of board\"",
            "\"1 of treasurers or 1 of board\"",
            Code::BadValue,
        ),
        one("hours-that-run-backwards", "08:00-18:00", "18:00-08:00", Code::BadValue),
        one("an-amount-with-an-idle-zero", "\"1.5 ETH\"", "\"1.50 ETH\"", Code::BadValue),
        one("an-amount-in-another-asset", "\"1.5 ETH\"", "\"1.5 BTC\"", Code::BadValue),
        one(
            "an-amount-finer-than-the-asset",
            "\"2 ETH\"",
            "\"0.0000000000000000001 ETH\"",
            Code::BadValue,
        ),
        one("a-hardened-path", "\"m/86/0/0\"", "\"m/86'/0/0\"", Code::BadValue),
        one("a-country-in-lower-case", "country = \"DE\"", "country = \"de\"", Code::BadValue),
        one("an-id-with-a-space", "id = \"north\"", "id = \"far north\"", Code::BadValue),
        one(
            "a-dimension-nobody-knows",
            "dimension = \"region\"",
            "dimension = \"planet\"",
            Code::BadValue,
        ),
        one(
            "a-network-with-an-idle-zero",
            "network = \"bitcoin:main\"\ntoken",
            "network = \"evm:01\"\ntoken",
            Code::BadValue,
        ),
        one("an-empty-list-for-any", "networks = \"any\"", "networks = []", Code::BadValue),
        one("a-control-character", "Owner Ltd", "Owner\\u001b Ltd", Code::BadValue),
        one("a-witness-without-key", "w1 w1.example+00000001+AQ", "w1", Code::BadValue),
        one("a-first-version-with-a-previous", "version = 2", "version = 1", Code::VersionChain),
        one("two-stores-with-one-id", "id = \"south\"", "id = \"north\"", Code::DoubledId),
        one("two-rules-with-one-name", "name = \"large\"", "name = \"small\"", Code::DoubledId),
        one(
            "an-asset-under-two-symbols",
            "symbol = \"BTC\"\nnetwork = \"bitcoin:main\"",
            "symbol = \"ETH2\"\nnetwork = \"evm:1\"",
            Code::DoubledId,
        ),
        one(
            "a-member-who-is-nobody",
            "members = [\"bot\"]",
            "members = [\"bob\"]",
            Code::DanglingId,
        ),
        one(
            "approvals-of-no-group",
            "\"2 of treasurers\"\ncool_off",
            "\"2 of nobodies\"\ncool_off",
            Code::DanglingId,
        ),
        one(
            "a-rule-about-no-asset",
            "assets = [\"ETH\", \"USDC\"]",
            "assets = [\"ETH\", \"DAI\"]",
            Code::DanglingId,
        ),
        one("one-node-signs-alone", "threshold = 2", "threshold = 1", Code::Threshold),
        one("more-sign-than-there-are", "threshold = 2", "threshold = 4", Code::Threshold),
        one(
            "related-companies-sign-alone",
            "related = [\"p\"]",
            "related = [\"b\"]",
            Code::RequirementBroken,
        ),
        one(
            "no-word-on-operators",
            "dimension = \"operator\"",
            "dimension = \"zone\"",
            Code::RequirementMissing,
        ),
        one(
            "more-governors-than-weights",
            "quorum = 3\nloosening",
            "quorum = 6\nloosening",
            Code::QuorumUnreachable,
        ),
        one(
            "a-lost-governor-stays-lost",
            "replacement_quorum = 3",
            "replacement_quorum = 4",
            Code::QuorumUnreachable,
        ),
        one(
            "three-of-a-group-of-two",
            "and 1 of board\"",
            "and 3 of board\"",
            Code::QuorumUnreachable,
        ),
        one(
            "an-asker-who-never-gets-approvals",
            "\"1 of treasurers and 1 of board\"\nown_approval_counts = true",
            "\"3 of treasurers\"",
            Code::QuorumUnreachable,
        ),
        one(
            "a-level-that-nobody-guards",
            "quorum = \"2 of treasurers\"\ncool_off",
            "quorum = \"nobody\"\ncool_off",
            Code::QuorumTooSmall,
        ),
        one("a-veto-of-one", "veto_quorum = 2", "veto_quorum = 1", Code::QuorumTooSmall),
        one("an-end-at-the-beginning", "2027-06-30T12:30:00Z", "1970-01-01", Code::Expiry),
        one(
            "a-child-before-its-parent",
            "id = \"treasury/desk\"",
            "id = \"bank/desk\"",
            Code::LevelOrder,
        ),
        one("a-second-root", "id = \"treasury/desk\"", "id = \"desk\"", Code::LevelOrder),
        one("a-path-outside-the-parents", "\"m/86/0/0\"", "\"m/84/0/0\"", Code::LevelPath),
        one("a-path-that-is-the-parents", "\"m/86/0/0\"", "\"m/86\"", Code::LevelPath),
        one(
            "an-upper-level-permits",
            "name = \"no-raw\"\neffect = \"forbid\"\noperations = [\"raw\", \
             \"token_approve_unlimited\"]",
            "name = \"no-raw\"\neffect = \"allow\"\noperations = [\"message\"]\n\
             networks = \"any\"\nassets = \"any\"\nrecipients = \"any\"\n\
             initiators = \"any\"\napprovals = \"nobody\"",
            Code::LevelAllows,
        ),
        one(
            "a-group-of-two-levels",
            "groups = [\"programs\"]",
            "groups = [\"treasurers\"]",
            Code::SharedGroup,
        ),
        one(
            "a-recall-into-the-child-itself",
            "recall_to = \"m/44/60/9\"",
            "recall_to = \"m/44/60/0/1\"",
            Code::RecallTarget,
        ),
        one(
            "a-recall-outside-the-parent",
            "recall_to = \"m/44/60/9\"",
            "recall_to = \"m/49/1\"",
            Code::RecallTarget,
        ),
        one(
            "a-forbid-row-with-approvals",
            "operations = [\"raw\", \"token_approve_unlimited\"]",
            "operations = [\"raw\", \"token_approve_unlimited\"]\napprovals = \"1 of board\"",
            Code::RuleShape,
        ),
        one(
            "an-asset-on-a-network-left-out",
            "networks = [\"evm:1\"]\nassets = [\"ETH\"]",
            "networks = [\"evm:10\"]\nassets = [\"ETH\"]",
            Code::RuleShape,
        ),
        one("somebody-may-stop-what-does-not-wait", "wait = \"12h\"\n", "", Code::RuleShape),
        one(
            "an-amount-of-two-assets",
            "amount_max = \"any\"",
            "amount_max = \"5 ETH\"",
            Code::AmountAsset,
        ),
        one(
            "too-few-logs",
            "role = \"observer\" }]\n\n[[operator]]\nid = \"w\"",
            "role = \"regular\" }]\n\n[[operator]]\nid = \"w\"",
            Code::LogQuorum,
        ),
        one("too-few-witnesses", "witness_traitors = 1", "witness_traitors = 2", Code::LogQuorum),
        one(
            "a-countdown-that-one-contact-starts",
            "quorum = 2\ndelay = \"72h\"",
            "quorum = 1\ndelay = \"72h\"",
            Code::SosTrigger,
        ),
        one("a-vote-that-cannot-pass", "majority = 3", "majority = 5", Code::SosTrigger),
        one(
            "a-lock-up-key-of-who-signs",
            "person = \"hugo\", key",
            "person = \"anna\", key",
            Code::LockUp,
        ),
        one("more-acknowledgements-than-stores", "acks = 2", "acks = 3", Code::Backups),
    ];
    all.push((
        "a-text-over-256-bytes",
        "name = \"Bert\"",
        format!("name = \"{}\"", "x".repeat(257)),
        Code::BadValue,
    ));
    all.push((
        "an-ssh-key-of-another-kind",
        "ssh = [\"sk-ssh-ed25519@openssh.com ",
        "ssh = [\"ssh-ed25519 ".to_owned(),
        Code::BadValue,
    ));
    all
}

/// Defects that need a part of the base itself.
fn more_defects(base: &str) -> Vec<(&'static str, String, Code)> {
    let line = |start: &str, nth: usize| {
        base.lines().filter(|line| line.starts_with(start)).nth(nth).unwrap().to_owned()
    };
    let (anna, carl) = (line("ssh = ", 0), line("ssh = ", 2));
    let live = base.replace("purpose = \"test\"", "purpose = \"live\"");
    let node_a = base.lines().find(|line| line.contains("role = \"regular\"")).unwrap();
    let node_b = base.lines().filter(|line| line.contains("role = \"regular\"")).nth(1).unwrap();
    vec![
        ("a-key-of-two-people", base.replace(&carl, &anna), Code::SharedCredential),
        ("a-person-without-credential", base.replace(&format!("{carl}\n"), ""), Code::NoCredential),
        ("a-node-of-two-operators", base.replace(node_b, node_a), Code::DoubledId),
        (
            "a-live-rescuer-on-web-domains-only",
            live.replace(&format!("{anna}\n"), ""),
            Code::OneDomain,
        ),
        (
            "a-live-rescue-in-the-signing-set",
            live.replace("related = [\"p\"]", "related = [\"x\"]"),
            Code::SosNotApart,
        ),
        (
            "the-owner-signs-alone",
            base.replace("related = [\"a\"]", "related = [\"a\", \"b\"]")
                .replace("may_stop_signing = false", "may_stop_signing = true")
                .replace("least_to_sign = 2", "least_to_sign = 1"),
            Code::OwnerHoldsThreshold,
        ),
        (
            "the-owner-stops-signing",
            base.replace("\nthreshold = 2", "\nthreshold = 3"),
            Code::OwnerMayStop,
        ),
        (
            "a-service-key-that-is-no-point",
            base.replace(&line("service = ", 0), &format!("service = [\"{}\"]", "ff".repeat(32))),
            Code::BadCredential,
        ),
    ]
}

#[test]
fn bad_charters_are_refused_for_their_one_defect() {
    let base = base();
    let mut texts: Vec<(&str, String, Code)> = defects()
        .into_iter()
        .map(|(name, from, to, code)| {
            assert!(base.contains(from), "{name}: `{from}` is not in the base");
            (name, base.replacen(from, &to, 1), code)
        })
        .collect();
    texts.extend(more_defects(&base));
    let (mut found, mut wrong) = (Vec::new(), Vec::new());
    for (name, text, code) in &texts {
        let path = root().join(format!("bad/{name}.toml"));
        if bless() {
            std::fs::write(&path, text).unwrap();
        }
        assert_eq!(&read(&path), text, "{name}");
        let faults = charter::parse(text).err().unwrap_or_default();
        let refusing: Vec<_> = faults.iter().filter(|fault| fault.refuses()).collect();
        let codes: BTreeSet<Code> = refusing.iter().map(|fault| fault.code).collect();
        if codes != BTreeSet::from([*code]) {
            let told: Vec<String> = refusing.iter().map(ToString::to_string).collect();
            wrong.push(format!("{name} ({}): {}", code.word(), told.join("; ")));
        }
        let Some(at) = refusing.first().and_then(|fault| fault.at) else { continue };
        let (line, column) = (at.line, at.column);
        found.push(Bad { file: format!("{name}.toml"), code: code.word().into(), line, column });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    compare("bad.json", &found);
    let files = std::fs::read_dir(root().join("bad")).unwrap().count();
    assert_eq!(files, texts.len(), "a file in bad/ that no test makes");
    let covered: BTreeSet<Code> = texts.iter().map(|(_, _, code)| *code).collect();
    let missing: Vec<_> = Code::ALL.iter().filter(|code| !covered.contains(code)).collect();
    assert_eq!(missing, [&Code::TooLong], "TooLong has a test of its own");
}

#[test]
fn a_text_or_a_charter_over_its_bound_is_refused() {
    let text = format!("{}# {}\n", base(), "x".repeat(600_000));
    assert_eq!(charter::parse(&text).unwrap_err().first().map(|f| f.code), Some(Code::TooLong));
    let people = |index: usize| {
        format!(
            "[[person]]\nid = \"p{index}\"\nname = \"{}\"\nexpires = 2027-06-30\n\
             ssh = [\"{}\"]\n\n",
            "n".repeat(250),
            support::ssh_line(&index.to_string())
        )
    };
    let many: String = (0..600).map(people).collect();
    let text = base().replacen("[[group]]", &format!("{many}[[group]]"), 1);
    let faults = charter::parse(&text).unwrap_err();
    assert!(faults.iter().any(|fault| fault.code == Code::TooLong), "{faults:#?}");
}

#[test]
fn several_faults_are_told_at_once_in_the_order_of_the_text() {
    let text = base()
        .replacen("threshold = 2", "threshold = \"two\"", 1)
        .replacen("country = \"DE\"", "county = \"DE\"", 1)
        .replacen("cool_off = \"36h\"", "cool_off = \"soon\"", 1);
    let faults = charter::parse(&text).unwrap_err();
    let codes: Vec<Code> = faults.iter().map(|fault| fault.code).collect();
    assert_eq!(
        codes,
        [Code::WrongType, Code::MissingKey, Code::UnknownKey, Code::BadValue],
        "{faults:#?}"
    );
    assert!(faults.is_sorted_by_key(|fault| fault.at));
    let near = faults.iter().find(|fault| fault.code == Code::UnknownKey).unwrap();
    assert_eq!(near.hint, "did you mean `country`?");
}

#[test]
fn a_hostile_text_is_refused_quickly() {
    let start = std::time::Instant::now();
    for text in [
        format!("a = {}", "[".repeat(200_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "x = 1\n".repeat(80_000),
        (0..60_000).map(|n| format!("k{n}=1\n")).collect::<String>(),
        "[[person]]\n".repeat(40_000),
        base().replacen("\"m/86\"", &format!("{}\"m/86\"", "\"m/1\",".repeat(60_000)), 1),
    ] {
        let faults = charter::parse(&text).unwrap_err();
        assert!(!faults.is_empty() && faults.len() <= 400, "{}", faults.len());
    }
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn the_specification_names_every_code() {
    let spec = read(&root().join("../../../docs/spec/charter.md"));
    let missing: Vec<&str> = Code::ALL
        .iter()
        .map(|code| code.word())
        .filter(|word| !spec.contains(&format!("`{word}`")))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

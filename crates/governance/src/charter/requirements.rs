//! Dimensions of decentralization that a charter may set a requirement in.

/// Word, and its meaning for people.
pub const DIMENSIONS: &[(&str, &str)] = &[
    ("operator", "legal entities, related ones counted as one"),
    ("person", "people with access to a node"),
    ("provider", "cloud or hosting providers"),
    ("account", "cloud accounts and who pays for them"),
    ("region", "regions of providers"),
    ("zone", "zones within regions"),
    ("jurisdiction", "countries whose courts reach a node"),
    ("network", "networks that carry a node's traffic"),
    ("machine", "physical machines"),
    ("tee_vendor", "makers of trusted hardware"),
    ("build", "software builds and who signs them"),
    ("store", "owners of object stores"),
    ("witness", "owners of witnesses"),
    ("domain", "owners of web domains that passkeys hang on"),
];

/// The one dimension that the charter itself can be held against; the others wait for evidence.
pub const OPERATOR: &str = "operator";

/// Meaning of a dimension.
pub fn meaning(dimension: &str) -> &'static str {
    DIMENSIONS.iter().find(|(word, _)| *word == dimension).map_or("", |(_, meaning)| meaning)
}

//! Templates of charters: TOML with open places, filled from node cards and answers. What stays open is refused by
//! [`super::parse`] at its line, so a half-filled template is a list of what is left to do.

use super::forms::date_text;
use model::card::NodeCard;
use model::time::Timestamp;
use std::collections::BTreeMap;

/// A cast of parties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Template {
    /// Two of three nodes of one company: tests and small sums.
    SoloTeam,
    /// Three companies sign; three institutions and a safe can rescue; one observer.
    ThreeCompanies,
    /// Five of seven sign; five SOS institutions and five guardians can rescue.
    Bridge,
}

/// Something that a template asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Name of the open place.
    pub key: String,
    /// The question.
    pub text: String,
    /// What stands there when nobody answers.
    pub default: Option<String>,
}

/// A template with what was known filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// TOML; a charter once nothing is open.
    pub text: String,
    /// Places that are still open, in the order of the text.
    pub open: Vec<String>,
}

/// Why a template was not filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// An answer to no question.
    #[error("`{0}` is no question of this template")]
    NoQuestion(String),
    /// An answer that no TOML text holds.
    #[error("the answer to `{0}` has control characters or opens a place itself")]
    Answer(String),
    /// More cards than seats.
    #[error("{found} cards for {wanted} nodes")]
    Cards {
        /// Cards given.
        found: usize,
        /// Nodes of the template.
        wanted: usize,
    },
}

/// Begins the line of a question.
const QUESTION: &str = "#? ";

impl Template {
    /// Every template.
    pub const ALL: &[Self] = &[Self::SoloTeam, Self::ThreeCompanies, Self::Bridge];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::SoloTeam => "solo-team",
            Self::ThreeCompanies => "three-companies",
            Self::Bridge => "bridge",
        }
    }
    fn source(self) -> &'static str {
        match self {
            Self::SoloTeam => include_str!("templates/solo-team.toml"),
            Self::ThreeCompanies => include_str!("templates/three-companies.toml"),
            Self::Bridge => include_str!("templates/bridge.toml"),
        }
    }
    /// How many nodes it seats; its head says which card goes where.
    pub fn cards(self) -> usize {
        let mut count = 0usize;
        while self.source().contains(&format!("{{{{card:{}}}}}", count.saturating_add(1))) {
            count = count.saturating_add(1);
        }
        count
    }
    /// What it asks, in the order of the text.
    pub fn questions(self) -> Vec<Question> {
        let lines = self.source().lines().filter_map(|line| line.strip_prefix(QUESTION));
        let question = |line: &str| {
            let mut parts = line.split('|').map(|part| part.trim().to_owned());
            Some(Question { key: parts.next()?, text: parts.next()?, default: parts.next() })
        };
        lines.filter_map(question).collect()
    }
    /// Fills cards in their order, answers by their keys, and the day on which every delegation ends.
    pub fn fill(
        self,
        cards: &[NodeCard],
        answers: &BTreeMap<String, String>,
        expires: Timestamp,
    ) -> Result<Filled, TemplateError> {
        let values = self.values(cards, answers, expires)?;
        let own = |line: &&str| !line.starts_with("#?") && !line.starts_with("# Questions that");
        let mut lines: Vec<&str> = self.source().lines().filter(own).collect();
        // The head ends with one empty comment where the questions stood.
        if let Some(at) = lines.windows(2).position(|pair| pair == ["#", ""]) {
            lines.remove(at);
        }
        let mut text = String::new();
        let mut open = Vec::new();
        for line in lines {
            text.push_str(&fill_line(line, &values, &mut open));
            text.push('\n');
        }
        Ok(Filled { text, open })
    }
    fn values(
        self,
        cards: &[NodeCard],
        answers: &BTreeMap<String, String>,
        expires: Timestamp,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let (found, wanted) = (cards.len(), self.cards());
        if found > wanted {
            return Err(TemplateError::Cards { found, wanted });
        }
        let questions = self.questions();
        if let Some(key) = answers.keys().find(|key| questions.iter().all(|one| one.key != **key)) {
            return Err(TemplateError::NoQuestion(key.clone()));
        }
        let mut values = BTreeMap::from([("expires".to_owned(), date_text(expires))]);
        for question in questions {
            if let Some(answer) = answers.get(&question.key).cloned().or(question.default) {
                values.insert(question.key.clone(), escaped(&question.key, &answer)?);
            }
        }
        for (index, card) in cards.iter().enumerate() {
            let seat = index.saturating_add(1);
            values.insert(format!("card:{seat}"), card.to_text());
            values.insert(format!("id:{seat}"), card.node.to_string());
            let key = format!("operator:{seat}");
            let name = escaped(&key, &card.operator)?;
            values.insert(key, name);
        }
        Ok(values)
    }
}

/// An answer as the inside of a TOML text: nothing in it can end the text or begin another key.
fn escaped(key: &str, answer: &str) -> Result<String, TemplateError> {
    if answer.chars().any(char::is_control) || answer.contains("{{") || answer.contains("}}") {
        return Err(TemplateError::Answer(key.to_owned()));
    }
    Ok(answer.replace('\\', "\\\\").replace('"', "\\\""))
}

fn fill_line(line: &str, values: &BTreeMap<String, String>, open: &mut Vec<String>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, tail)) = rest.split_once("{{") {
        let Some((key, after)) = tail.split_once("}}") else { break };
        out.push_str(before);
        match values.get(key) {
            Some(value) => out.push_str(value),
            None => {
                out.push_str(&format!("{{{{{key}}}}}"));
                if !open.iter().any(|one| one == key) {
                    open.push(key.to_owned());
                }
            }
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

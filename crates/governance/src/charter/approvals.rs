//! Who must approve, in words: `2 of treasurers and (1 of risk or 1 of board)`.
//!
//! `and` joins what must all be met, `or` within parentheses joins what may meet one of them. `or` over `and` is refused:
//! the writer multiplies it out, so that a reader never has to.

use super::document::Complaint;
use model::charter::{Approvals, Part};

/// The word for "nobody need approve".
const NOBODY: &str = "nobody";

/// Writes the words.
pub fn to_words(approvals: &Approvals) -> String {
    let part = |part: &Part| format!("{} of {}", part.least, part.group);
    let clause = |clause: &Vec<Part>| {
        let parts: Vec<String> = clause.iter().map(part).collect();
        match parts.as_slice() {
            [one] => one.clone(),
            several => format!("({})", several.join(" or ")),
        }
    };
    let clauses: Vec<String> = approvals.all.iter().map(clause).collect();
    if clauses.is_empty() { NOBODY.to_owned() } else { clauses.join(" and ") }
}

/// Reads the words.
pub(super) fn from_words(text: &str) -> Result<Approvals, Complaint> {
    if text.trim() == NOBODY {
        return Ok(Approvals { all: Vec::new() });
    }
    let mut reader = Words { tokens: tokens(text)?, next: 0, end: text.chars().count() };
    let all = reader.clauses()?;
    Ok(Approvals { all })
}

/// A word and the character at which it begins.
type Token = (usize, String);

fn tokens(text: &str) -> Result<Vec<Token>, Complaint> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = false;
    for (at, letter) in text.chars().enumerate() {
        match letter {
            ' ' => open = false,
            '(' | ')' => {
                tokens.push((at, letter.to_string()));
                open = false;
            }
            'a'..='z' | '0'..='9' | '-' | '_' => match tokens.last_mut() {
                Some((_, word)) if open => word.push(letter),
                _ => {
                    tokens.push((at, letter.to_string()));
                    open = true;
                }
            },
            odd => {
                let found = if odd.is_control() { '?' } else { odd };
                return Err(complaint(at, format!("`{found}` has no meaning here")));
            }
        }
    }
    Ok(tokens)
}

fn complaint(offset: usize, what: String) -> Complaint {
    let hint = "write it like `2 of treasurers and (1 of risk or 1 of board)`, or `nobody`";
    Complaint { offset, ..Complaint::new(what, hint) }
}

struct Words {
    tokens: Vec<Token>,
    next: usize,
    end: usize,
}

impl Words {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.next).map(|(_, word)| word.as_str())
    }
    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }
    fn take(&mut self) -> Option<String> {
        let token = self.tokens.get(self.next).map(|(_, word)| word.clone());
        self.next = self.next.saturating_add(1);
        token
    }
    fn unexpected(&self, wanted: &str) -> Complaint {
        match self.peek() {
            Some(word) => complaint(self.at(), format!("`{word}` where {wanted} is wanted")),
            None => complaint(self.at(), format!("the text ends where {wanted} is wanted")),
        }
    }
    fn expect(&mut self, word: &str) -> Result<(), Complaint> {
        if self.peek() != Some(word) {
            return Err(self.unexpected(&format!("`{word}`")));
        }
        self.next = self.next.saturating_add(1);
        Ok(())
    }
    fn clauses(&mut self) -> Result<Vec<Vec<Part>>, Complaint> {
        let mut clauses = vec![self.clause()?];
        while self.peek().is_some() {
            if self.peek() == Some("or") {
                return Err(complaint(self.at(), "`or` outside parentheses".to_owned()));
            }
            self.expect("and")?;
            clauses.push(self.clause()?);
        }
        Ok(clauses)
    }
    fn clause(&mut self) -> Result<Vec<Part>, Complaint> {
        if self.peek() != Some("(") {
            return Ok(vec![self.part()?]);
        }
        self.next = self.next.saturating_add(1);
        let mut parts = vec![self.part()?];
        while self.peek() != Some(")") {
            if self.peek() == Some("and") {
                let what = "`and` within parentheses: write it as several clauses".to_owned();
                return Err(complaint(self.at(), what));
            }
            self.expect("or")?;
            parts.push(self.part()?);
        }
        self.next = self.next.saturating_add(1);
        Ok(parts)
    }
    fn part(&mut self) -> Result<Part, Complaint> {
        let wrong = self.unexpected("a number");
        let number = self.take().filter(|word| !word.starts_with('0'));
        let least = number.and_then(|word| word.parse().ok()).ok_or(wrong)?;
        self.expect("of")?;
        let wrong = self.unexpected("the name of a group");
        let word = |word: &String| !["and", "or", "of", "(", ")"].contains(&word.as_str());
        let group = self.take().filter(word).ok_or(wrong)?;
        Ok(Part { least, group })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_as_they_were_written() {
        for text in [
            "nobody",
            "1 of board",
            "2 of treasurers and (1 of risk or 1 of board)",
            "(1 of a or 2 of b or 3 of c) and 1 of d-e",
        ] {
            assert_eq!(from_words(text).map(|a| to_words(&a)), Ok(text.to_owned()));
        }
        let loose = from_words("  1 of   a and( 1 of b or 1 of c )");
        assert_eq!(loose.map(|a| to_words(&a)), Ok("1 of a and (1 of b or 1 of c)".to_owned()));
    }

    #[test]
    fn what_reads_two_ways_is_refused_at_its_column() {
        let check = |text: &str, offset: usize| {
            assert_eq!(from_words(text).map_err(|c| c.offset), Err(offset), "{text}");
        };
        check("", 0);
        check("1 of a or 1 of b", 7);
        check("1 of a and", 10);
        check("(1 of a and 1 of b)", 8);
        check("0 of a", 0);
        check("01 of a", 0);
        check("two of a", 0);
        check("1 of", 4);
        check("1 of or", 5);
        check("1 of a, 1 of b", 6);
        check("(1 of a", 7);
        check("99999 of a", 0);
        check("1 of a )", 7);
    }
}

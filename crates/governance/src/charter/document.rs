//! A TOML document read key by key: what is not asked for is unknown, what is missing or odd is noted with its place, and
//! reading goes on, so that one pass reports everything.

use super::fault::{Code, Fault, Position, position};
use core::cell::{Cell, RefCell};
use core::ops::Range;
use model::limits::TEXT_BYTES_MAX;
use std::collections::{BTreeMap, BTreeSet};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

/// Faults that are told at once at most: each costs a walk over the text, and nobody reads more.
pub(super) const FAULTS_MAX: usize = 200;

/// What was found so far, and where every value stands.
pub(super) struct Log<'t> {
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
    /// Whether anything refuses the charter, told or not.
    refused: Cell<bool>,
    spans: RefCell<BTreeMap<String, Range<usize>>>,
}

impl<'t> Log<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            faults: RefCell::default(),
            refused: Cell::new(false),
            spans: RefCell::default(),
        }
    }
    /// Notes a fault at a byte.
    pub(super) fn add(&self, fault: Fault, byte: usize) {
        self.refused.set(self.refused.get() || fault.refuses());
        if self.faults.borrow().len() < FAULTS_MAX {
            let at = Some(position(self.text, byte));
            self.faults.borrow_mut().push(Fault { at, ..fault });
        }
    }
    fn saw(&self, place: &str, span: &Range<usize>) {
        self.spans.borrow_mut().insert(place.to_owned(), span.clone());
    }
    pub(super) fn is_clean(&self) -> bool {
        !self.refused.get()
    }
    /// The faults in the order of the text.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort_by_key(|fault| (fault.at, fault.code));
        faults
    }
    /// Takes over what another log of the same text found.
    pub(super) fn absorb(&self, other: Log<'_>) {
        self.refused.set(self.refused.get() || other.refused.get());
        self.faults.borrow_mut().extend(other.faults.into_inner());
        self.spans.borrow_mut().extend(other.spans.into_inner());
    }
    /// Gives faults of a later check their places in the text: that of the value, or of the nearest part around it.
    pub(super) fn locate(&self, mut faults: Vec<Fault>) {
        // Those that refuse come first, so that the bound never hides a refusal behind warnings.
        faults.sort_by_key(|fault| fault.severity);
        for fault in faults.into_iter().take(FAULTS_MAX) {
            self.refused.set(self.refused.get() || fault.refuses());
            let at = self.place(&fault.place);
            self.faults.borrow_mut().push(Fault { at: Some(at), ..fault });
        }
    }
    fn place(&self, place: &str) -> Position {
        let spans = self.spans.borrow();
        let mut here = place;
        loop {
            if let Some(span) = spans.get(here) {
                return position(self.text, span.start);
            }
            match here.rfind(['.', '[']) {
                Some(cut) => here = here.get(..cut).unwrap_or_default(),
                None => return Position { line: 1, column: 1 },
            }
        }
    }
}

/// A section whose keys are taken one after another.
pub(super) struct Table<'a> {
    log: &'a Log<'a>,
    place: String,
    at: usize,
    entries: BTreeMap<&'a str, (usize, &'a Spanned<DeValue<'a>>)>,
    known: BTreeSet<&'static str>,
}

/// A value with its place.
#[derive(Clone)]
pub(super) struct Value<'a> {
    log: &'a Log<'a>,
    pub(super) place: String,
    span: Range<usize>,
    inner: &'a DeValue<'a>,
}

/// Why a text is not what its key wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) code: Code,
    /// Characters into the text, where that is known.
    pub(super) offset: usize,
    pub(super) what: String,
    pub(super) hint: String,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: Code::BadValue, offset: 0, what: what.into(), hint: hint.into() }
    }
}

impl<'a> Table<'a> {
    pub(super) fn root(log: &'a Log<'a>, table: &'a Spanned<DeTable<'a>>) -> Self {
        Self::new(log, String::new(), table.span().start, table.get_ref())
    }
    fn new(log: &'a Log<'a>, place: String, at: usize, table: &'a DeTable<'a>) -> Self {
        let entries = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), (key.span().start, value)))
            .collect();
        Self { log, place, at, entries, known: BTreeSet::new() }
    }
    /// Place of a key of this section.
    pub(super) fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}.{key}", self.place) }
    }
    /// Notes a fault at the head of the section.
    pub(super) fn fault(&self, code: Code, what: impl Into<String>, hint: impl Into<String>) {
        self.log.add(Fault::new(code, self.place.clone(), what).hint(hint), self.at);
    }
    /// True when the key stands here.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
    /// A key that may be absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.known.insert(key);
        let (_, value) = self.entries.remove(key)?;
        let (place, span) = (self.place_of(key), value.span());
        self.log.saw(&place, &span);
        Some(Value { log: self.log, place, span, inner: value.get_ref() })
    }
    /// A key that must be there.
    pub(super) fn need(&mut self, key: &'static str) -> Option<Value<'a>> {
        let value = self.take(key);
        if value.is_none() {
            let fault = Fault::new(Code::MissingKey, self.place_of(key), format!("no `{key}`"));
            self.log.add(fault.hint(format!("write `{key} = …` in this section")), self.at);
        }
        value
    }
    /// A text that must be there, of at most 256 bytes.
    pub(super) fn text(&mut self, key: &'static str) -> String {
        self.need(key).map(|value| value.owned_text()).unwrap_or_default()
    }
    /// A text that may be absent.
    pub(super) fn text_or_empty(&mut self, key: &'static str) -> String {
        self.take(key).map(|value| value.owned_text()).unwrap_or_default()
    }
    /// A number that must be there.
    pub(super) fn number<T: TryFrom<u64> + Default>(&mut self, key: &'static str) -> T {
        self.need(key).and_then(|value| value.number()).unwrap_or_default()
    }
    /// A flag; absent is no.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        self.take(key).and_then(|value| value.flag()).unwrap_or_default()
    }
    /// A text in a form of its own, which must be there.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.need(key).and_then(|value| value.parsed(read))
    }
    /// Such a text, which may be absent.
    pub(super) fn parsed_if<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        self.take(key).and_then(|value| value.parsed(read))
    }
    /// A duration that must be there, milliseconds.
    pub(super) fn duration(&mut self, key: &'static str) -> u64 {
        self.parsed(key, super::forms::duration).unwrap_or_default()
    }
    /// A word of a fixed list, which must be there.
    pub(super) fn word<T>(&mut self, key: &'static str, read: fn(&str) -> Option<T>) -> Option<T> {
        self.parsed(key, one_of(read))
    }
    /// A list of texts, each in a form of its own; absent is empty.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Vec<T> {
        let items = self.take(key).map(|value| value.items()).unwrap_or_default();
        items.iter().filter_map(|item| item.parsed(&read)).collect()
    }
    /// Sections of a list, `[[key]]` or inline; absent is empty.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let items = self.take(key).map(|value| value.items()).unwrap_or_default();
        items.into_iter().filter_map(Value::table).collect()
    }
    /// A section that may be absent.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Table<'a>> {
        self.take(key).and_then(Value::table)
    }
    /// A section that must be there.
    pub(super) fn need_section(&mut self, key: &'static str) -> Option<Table<'a>> {
        self.need(key).and_then(Value::table)
    }
    /// Whatever nobody asked for is unknown.
    pub(super) fn finish(self) {
        for (key, (at, _)) in &self.entries {
            let place = self.place_of(key);
            let what = format!("no key is called `{}` here", clip(key));
            let known: Vec<&str> = self.known.iter().copied().collect();
            let hint = match closest(key, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            self.log.add(Fault::new(Code::UnknownKey, place, what).hint(hint), *at);
        }
    }
}

impl<'a> Value<'a> {
    fn fault(&self, code: Code, what: String, hint: &str) {
        let fault = Fault::new(code, self.place.clone(), what).hint(hint);
        self.log.add(fault, self.span.start);
    }
    /// Notes what is wrong with this value's text.
    pub(super) fn complain(&self, complaint: Complaint) {
        let Complaint { code, offset, what, hint } = complaint;
        let fault = Fault::new(code, self.place.clone(), what).hint(hint);
        self.log.add(fault, self.byte_of(offset));
    }
    /// Notes something that somebody should look at.
    pub(super) fn warn(&self, code: Code, what: String, hint: &str) {
        let fault = Fault::new(code, self.place.clone(), what).hint(hint).warning();
        self.log.add(fault, self.span.start);
    }
    /// Where a character of the text stands: inside the quotes, when the text is written there as it is.
    fn byte_of(&self, characters: usize) -> usize {
        let start = self.span.start;
        let (DeValue::String(text), true) = (self.inner, characters > 0) else { return start };
        let raw = self.log.text.get(self.span.clone()).unwrap_or_default();
        let plain = raw.get(1..raw.len().saturating_sub(1)) == Some(text.as_ref());
        let inside = text.char_indices().nth(characters).map_or(text.len(), |(at, _)| at);
        if plain { start.saturating_add(1).saturating_add(inside) } else { start }
    }
    fn wrong_type(&self, wanted: &str) {
        let found = match self.inner {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a point",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        self.fault(Code::WrongType, format!("{found} where {wanted} is wanted"), "");
    }
    /// True when a text stands here.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.inner, DeValue::String(_))
    }
    pub(super) fn text(&self) -> Option<&'a str> {
        match self.inner {
            DeValue::String(text) if text.contains("{{") && text.contains("}}") => {
                let what = format!("`{}` is still open", clip(text));
                self.fault(Code::Placeholder, what, "put the real value here");
                None
            }
            DeValue::String(text) => Some(text.as_ref()),
            _ => {
                self.wrong_type("a text");
                None
            }
        }
    }
    /// A short text without control characters, as canonical bytes want it.
    pub(super) fn owned_text(&self) -> String {
        self.parsed(short_text).unwrap_or_default()
    }
    pub(super) fn parsed<T>(&self, read: impl Fn(&str) -> Result<T, Complaint>) -> Option<T> {
        let text = self.text()?;
        read(text).map_err(|complaint| self.complain(complaint)).ok()
    }
    pub(super) fn number<T: TryFrom<u64>>(&self) -> Option<T> {
        let DeValue::Integer(number) = self.inner else {
            self.wrong_type("a number");
            return None;
        };
        let plain = (number.radix() == 10).then(|| number.as_str().parse::<u64>().ok()).flatten();
        let fits = plain.and_then(|number| T::try_from(number).ok());
        if fits.is_none() {
            let what = format!("{} is out of range", clip(&number.to_string()));
            self.fault(Code::BadValue, what, "write a plain number that is not negative");
        }
        fits
    }
    pub(super) fn flag(&self) -> Option<bool> {
        match self.inner {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type("true or false");
                None
            }
        }
    }
    pub(super) fn date(&self) -> Option<&'a Datetime> {
        match self.inner {
            DeValue::Datetime(date) => Some(date),
            _ => {
                self.wrong_type("a date like 2027-06-30 or 2027-06-30T12:00:00Z, without quotes,");
                None
            }
        }
    }
    pub(super) fn items(&self) -> Vec<Value<'a>> {
        let DeValue::Array(array) = self.inner else {
            self.wrong_type("a list");
            return Vec::new();
        };
        let item = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| {
            let place = format!("{}[{index}]", self.place);
            self.log.saw(&place, &value.span());
            Value { log: self.log, place, span: value.span(), inner: value.get_ref() }
        };
        array.iter().enumerate().map(item).collect()
    }
    pub(super) fn table(self) -> Option<Table<'a>> {
        match self.inner {
            DeValue::Table(table) => Some(Table::new(self.log, self.place, self.span.start, table)),
            _ => {
                self.wrong_type("a section");
                None
            }
        }
    }
}

/// A text that canonical bytes take: short, and nothing that moves a terminal's cursor.
pub(super) fn short_text(text: &str) -> Result<String, Complaint> {
    if text.len() > TEXT_BYTES_MAX {
        let what = format!("{} bytes of text, at most {TEXT_BYTES_MAX}", text.len());
        return Err(Complaint::new(what, "write it shorter"));
    }
    if let Some(at) = text.chars().position(char::is_control) {
        let complaint = Complaint::new("a control character in the text", "take it out");
        return Err(Complaint { offset: at, ..complaint });
    }
    Ok(text.to_owned())
}

/// A word of a fixed list.
pub(super) fn one_of<T>(read: fn(&str) -> Option<T>) -> impl Fn(&str) -> Result<T, Complaint> {
    move |text| {
        let what = format!("`{}` is none of the words that may stand here", clip(text));
        read(text).ok_or_else(|| Complaint::new(what, "docs/spec/charter.md lists them"))
    }
}

/// A piece of a stranger's text, safe and short enough for a message.
pub(super) fn clip(text: &str) -> String {
    let short: String = text.chars().filter(|c| !c.is_control()).take(60).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// The known word that is at most two edits away.
pub(super) fn closest<'w>(word: &str, known: &[&'w str]) -> Option<&'w str> {
    let word: String = word.chars().take(40).collect();
    let near = known.iter().map(|other| (edits(&word, other), *other)).min()?;
    (near.0 <= 2).then_some(near.1)
}

/// Edits between two short words (Levenshtein).
fn edits(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut corner = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (above, b) in row.iter().skip(1).zip(other.chars()) {
            let replaced = corner.saturating_add(usize::from(a != b));
            corner = *above;
            left = replaced.min(above.saturating_add(1)).min(left.saturating_add(1));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_offered() {
        assert_eq!(closest("treshold", &["name", "threshold"]), Some("threshold"));
        assert_eq!(closest("banana", &["name", "threshold"]), None);
        assert_eq!(edits("abc", "acb"), 2);
        assert_eq!(edits("", "abc"), 3);
    }
}

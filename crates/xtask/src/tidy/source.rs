//! Rust text with comments and literals told apart from code, without a parser.
//!
//! Enough for tidy: it knows nested block comments, escapes, raw strings, byte strings and the difference between a
//! character and a lifetime. Code and comments come back with the same line breaks as the original.

/// The two halves of a source text. Whatever belongs to the other half, or to a literal, is blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) code: String,
    pub(crate) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

/// Tells code, comments and literals apart.
pub(crate) fn split(text: &str) -> Split {
    let mut split = Split { code: String::new(), comments: String::new() };
    let mut rest = text;
    let mut previous = ' ';
    while !rest.is_empty() {
        let (kind, length) = next_piece(rest, previous);
        let (piece, tail) = rest.split_at(length);
        push(&mut split, kind, piece);
        previous = piece.chars().next_back().unwrap_or(' ');
        rest = tail;
    }
    split
}

/// The part of a file before its unit tests: everything above `#[cfg(test)]` on `mod tests {`.
pub(crate) fn without_test_tail(text: &str) -> &str {
    let mut offset = 0;
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let opens_module = lines.peek().is_some_and(|next| {
            let next = next.trim_end();
            next.starts_with("mod ") && next.ends_with('{')
        });
        if line.trim_end() == "#[cfg(test)]" && opens_module {
            return text.get(..offset).unwrap_or(text);
        }
        offset += line.len();
    }
    text
}

/// The names in `#[cfg(test)] mod name;`, which stand for other files.
pub(crate) fn test_modules(text: &str) -> Vec<&str> {
    let pairs = text.lines().zip(text.lines().skip(1));
    let modules = pairs.filter_map(|(gate, declaration)| {
        let name = declaration.trim().strip_suffix(';')?;
        let (visibility, name) = name.split_once("mod ")?;
        let plain = visibility.is_empty() || visibility.starts_with("pub");
        (gate.trim() == "#[cfg(test)]" && plain).then_some(name)
    });
    modules.collect()
}

fn push(split: &mut Split, kind: Kind, piece: &str) {
    let (seen, blank) = match kind {
        Kind::Comment => (&mut split.comments, &mut split.code),
        Kind::Code | Kind::Literal => (&mut split.code, &mut split.comments),
    };
    for letter in piece.chars() {
        let blanked = if letter == '\n' { '\n' } else { ' ' };
        seen.push(if kind == Kind::Literal { blanked } else { letter });
        blank.push(blanked);
    }
}

/// What the text starts with, and for how many bytes. `previous` is the character before it.
fn next_piece(text: &str, previous: char) -> (Kind, usize) {
    if text.starts_with("//") {
        return (Kind::Comment, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (Kind::Comment, block_comment(text));
    }
    let in_word = previous.is_alphanumeric() || previous == '_';
    if !in_word && let Some(length) = raw_string(text) {
        return (Kind::Literal, length);
    }
    if text.starts_with('"') {
        return (Kind::Literal, string(text));
    }
    if text.starts_with('\'')
        && let Some(length) = character(text)
    {
        return (Kind::Literal, length);
    }
    (Kind::Code, text.chars().next().map_or(1, char::len_utf8))
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut rest = text;
    while !rest.is_empty() {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        rest = rest.get(step..).unwrap_or("");
        if depth == 0 {
            break;
        }
    }
    text.len() - rest.len()
}

/// `r"…"`, `r#"…"#` and their byte and C forms.
fn raw_string(text: &str) -> Option<usize> {
    let after = ["br", "cr", "r"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after.trim_start_matches('#').strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let body_length = body.find(&end).map_or(body.len(), |at| at + end.len());
    Some(text.len() - body.len() + body_length)
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; `None` when the quote begins a lifetime.
fn character(text: &str) -> Option<usize> {
    let mut letters = text.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        let end = text.get(2..)?.char_indices().skip(1).find(|(_, letter)| *letter == '\'')?.0;
        return Some(end + 3);
    }
    letters.next().filter(|(_, letter)| *letter == '\'').map(|(at, _)| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, comments: &str) {
        let split = split(text);
        let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeeze(&split.code), code, "code of {text:?}");
        assert_eq!(squeeze(&split.comments), comments, "comments of {text:?}");
        assert_eq!(split.code.lines().count(), text.lines().count());
    }

    #[test]
    fn comments_and_literals_are_not_code() {
        check("a(); // b", "a();", "// b");
        check("a /* b /* c */ d */ e", "a e", "/* b /* c */ d */");
        check(r#"a("// no", b);"#, "a( , b);", "");
        check(r#"a("\"", b) // c"#, "a( , b)", "// c");
        check("r#\"x \" y\"# z", "z", "");
        check("br\"x\" z", "z", "");
        check("for\nb", "for b", "");
    }

    #[test]
    fn a_lifetime_is_code_and_a_character_is_not() {
        check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)", "");
        check("'{' b", "b", "");
        check(r"'\'' b", "b", "");
        check(r"'\u{7f}' b", "b", "");
        check("'é' b", "b", "");
    }

    #[test]
    fn the_test_tail_is_cut_only_before_a_module() {
        let check = |text, expected| assert_eq!(without_test_tail(text), expected);
        check("a\n#[cfg(test)]\nmod tests {\nb\n}\n", "a\n");
        check("a\n#[cfg(test)]\nfn helper() {}\nb\n", "a\n#[cfg(test)]\nfn helper() {}\nb\n");
        check("a\n", "a\n");
    }
}

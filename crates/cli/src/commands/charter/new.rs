//! `outlast charter new`

use crate::context::Context;
use crate::error::{CommandError, io};
use governance::charter::{Filled, Question, Template};
use model::card::NodeCard;
use model::time::Timestamp;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Write a charter from a template, node cards and answers
///
/// Cards are seated in their order; the head of the file says which seat each is. What nobody answers stays open as
/// {{place}}, and `outlast charter check` names every open place with its line. At a terminal the open questions are asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The cast of parties
    #[arg(long, value_enum)]
    template: Named,
    /// Card files of the nodes, in the order of the seats
    #[arg(long, num_args = 0.., value_name = "FILE")]
    cards: Vec<PathBuf>,
    /// An answer, KEY=VALUE; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = answer)]
    answers: Vec<(String, String)>,
    /// How long every delegation lasts, days
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// File to write; without it the charter is printed
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// List the questions of the template and their defaults, and write nothing
    #[arg(long, conflicts_with_all = ["cards", "answers", "out"])]
    questions: bool,
}

/// Templates by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Named {
    /// One company, 2 of 3 nodes: tests and small sums.
    SoloTeam,
    /// Three companies sign; three institutions and a safe can rescue; one observer.
    ThreeCompanies,
    /// Five of seven sign; five SOS institutions and five guardians can rescue.
    Bridge,
}

impl Named {
    fn template(self) -> Template {
        match self {
            Self::SoloTeam => Template::SoloTeam,
            Self::ThreeCompanies => Template::ThreeCompanies,
            Self::Bridge => Template::Bridge,
        }
    }
}

fn answer(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

pub(crate) fn run(args: Args, ctx: &Context) -> Result<(), CommandError> {
    let template = args.template.template();
    if args.questions {
        return questions(template, ctx);
    }
    let cards = args.cards.iter().map(|path| card(path)).collect::<Result<Vec<_>, _>>()?;
    let mut answers: BTreeMap<String, String> = args.answers.into_iter().collect();
    // Only where somebody can answer and the result is a file: a pipe gets its open places.
    if args.out.is_some() && !ctx.is_json() && std::io::stdin().is_terminal() {
        ask(template, &mut answers, ctx)?;
    }
    let expires = day_after(super::now(), args.days);
    let filled = template.fill(&cards, &answers, expires).map_err(|error| {
        CommandError::refused("template", error.to_string())
            .hint("`outlast charter new --template … --questions` lists the keys")
    })?;
    tell(&filled, args.out.as_deref(), ctx)
}

fn tell(filled: &Filled, out: Option<&Path>, ctx: &Context) -> Result<(), CommandError> {
    let value = serde_json::json!({"file": out, "open": filled.open, "text": filled.text});
    let Some(path) = out else {
        return ctx.say(&value, &filled.text);
    };
    // Never over a file that is there: it may hold a charter that somebody wrote by hand.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(io("make", path))?;
    file.write_all(filled.text.as_bytes()).map_err(io("write", path))?;
    let open = match filled.open.len() {
        0 => "every place is filled".to_owned(),
        count => format!("{count} places are open: {}", filled.open.join(", ")),
    };
    let text = format!(
        "{} written; {open}\nnext: outlast charter check {}",
        path.display(),
        path.display()
    );
    ctx.say(&value, &text)
}

fn questions(template: Template, ctx: &Context) -> Result<(), CommandError> {
    let all = template.questions();
    let value = serde_json::json!({
        "template": template.word(), "cards": template.cards(),
        "questions": all.iter().map(json).collect::<Vec<_>>(),
    });
    let line = |one: &Question| match &one.default {
        None => format!("{}  {}", one.key, one.text),
        Some(default) => format!("{}  {} [{default}]", one.key, one.text),
    };
    let lines: Vec<String> = all.iter().map(line).collect();
    ctx.say(&value, &format!("{} node cards, and:\n{}", template.cards(), lines.join("\n")))
}

fn json(one: &Question) -> serde_json::Value {
    serde_json::json!({"key": one.key, "question": one.text, "default": one.default})
}

fn ask(
    template: Template,
    answers: &mut BTreeMap<String, String>,
    ctx: &Context,
) -> Result<(), CommandError> {
    ctx.note("An empty answer takes the default, or leaves the place open.");
    for question in template.questions() {
        if answers.contains_key(&question.key) {
            continue;
        }
        let default = question.default.map(|text| format!(" [{text}]")).unwrap_or_default();
        let answer = ctx.ask(&format!("{}{default}:", question.text))?;
        if !answer.is_empty() {
            answers.insert(question.key, answer);
        }
    }
    Ok(())
}

fn card(path: &Path) -> Result<NodeCard, CommandError> {
    let text = std::fs::read_to_string(path).map_err(io("read", path))?;
    NodeCard::from_text(&text).map_err(|error| {
        let message = format!("{}: {}", path.display(), crate::error::chain(&error));
        CommandError::refused("card", message)
    })
}

/// The beginning of the day so many days later.
fn day_after(now: Timestamp, days: u64) -> Timestamp {
    const DAY_MS: u64 = 24 * 60 * 60 * 1000;
    let day = (now.0 / DAY_MS).saturating_add(days);
    Timestamp(day.saturating_mul(DAY_MS))
}

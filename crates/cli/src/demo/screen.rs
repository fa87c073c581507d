//! Progress on the screen: numbered steps with times. With `--output json` the words go to the standard error, so that
//! the standard output holds one document and nothing else.

use crate::context::Context;
use crate::view;
use std::cell::Cell;
use std::io::Write;
use std::time::Instant;

/// Steps of the tour that this release can show.
const STEPS: u32 = 8;

/// Where progress goes.
pub(crate) struct Screen {
    json: bool,
    terminal: bool,
    step: Cell<u32>,
}

/// A step under way.
pub(crate) struct Step<'a> {
    screen: &'a Screen,
    since: Instant,
}

impl Screen {
    /// For this command.
    pub(crate) fn start(ctx: &Context) -> Self {
        Self { json: ctx.is_json(), terminal: ctx.on_terminal(), step: Cell::new(0) }
    }
    /// True when a person looks at it.
    pub(crate) fn on_terminal(&self) -> bool {
        self.terminal
    }
    /// Begins a numbered step.
    pub(crate) fn step(&self, text: &str) -> Step<'_> {
        let number = self.step.get().saturating_add(1);
        self.step.set(number);
        self.say(&format!("[{number}/{STEPS}] {text}"));
        Step { screen: self, since: Instant::now() }
    }
    /// A line below a step.
    pub(crate) fn detail(&self, text: &str) {
        self.say(&format!("      {text}"));
    }
    /// Any text.
    pub(crate) fn say(&self, text: &str) {
        let _ = if self.json {
            writeln!(std::io::stderr(), "{text}")
        } else {
            writeln!(std::io::stdout(), "{text}")
        };
    }
}

impl Step<'_> {
    /// Ends the step, shows its time and returns it in milliseconds.
    pub(crate) fn done(self) -> u64 {
        let ms = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.screen.detail(&format!("done in {}", view::duration_ms(ms)));
        ms
    }
}

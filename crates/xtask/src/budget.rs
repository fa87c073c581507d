//! How many minutes a run has left, so that slow optional work is left out aloud rather than cut off.

use std::time::{Duration, Instant};

/// What a whole run aims at on two cores. The service that runs CI stops it at ninety.
const RUN_MINUTES: u64 = 60;

/// The minutes of a run that are left.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    started: Instant,
    minutes: u64,
}

impl Budget {
    /// `OUTLAST_MINUTES_LEFT` when it is a number, else a whole run from now.
    pub(crate) fn from_environment() -> Self {
        let said = std::env::var("OUTLAST_MINUTES_LEFT").ok();
        Self { started: Instant::now(), minutes: minutes_said(said.as_deref()) }
    }

    /// Whole minutes left, rounded down.
    pub(crate) fn minutes_left(&self) -> u64 {
        left(self.minutes, self.started.elapsed())
    }
}

fn minutes_said(said: Option<&str>) -> u64 {
    said.and_then(|text| text.trim().parse().ok()).unwrap_or(RUN_MINUTES)
}

fn left(minutes: u64, elapsed: Duration) -> u64 {
    let seconds = minutes.saturating_mul(60).saturating_sub(elapsed.as_secs());
    seconds / 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_rounded_down_and_never_below_zero() {
        let check = |minutes, seconds, expected| {
            assert_eq!(left(minutes, Duration::from_secs(seconds)), expected);
        };
        check(60, 0, 60);
        check(60, 1, 59);
        check(60, 35 * 60, 25);
        check(60, 35 * 60 + 1, 24);
        check(10, 3600, 0);
    }

    #[test]
    fn a_text_that_is_no_number_means_a_whole_run() {
        let check = |said, expected| assert_eq!(minutes_said(said), expected);
        check(None, RUN_MINUTES);
        check(Some("soon"), RUN_MINUTES);
        check(Some(" 12 "), 12);
        check(Some("0"), 0);
    }
}

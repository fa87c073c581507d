//! Hours of a week, in UTC.

use model::charter::Hours;
use model::time::Timestamp;

const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;

/// True when `now` lies within `hours`.
pub(super) fn within(hours: &Hours, now: Timestamp) -> bool {
    let minutes = now.0 / MINUTE_MS;
    // 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
    let day = (minutes / DAY_MINUTES).wrapping_add(3) % 7;
    let minute = minutes % DAY_MINUTES;
    let on_day = u32::try_from(day).is_ok_and(|day| hours.days >> day & 1 == 1);
    on_day && minute >= u64::from(hours.from_minute) && minute < u64::from(hours.to_minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_utc_and_end_before_their_last_minute() {
        let office = Hours { days: 0b001_1111, from_minute: 8 * 60, to_minute: 18 * 60 };
        let check = |seconds: u64, expected| {
            assert_eq!(within(&office, Timestamp(seconds * 1_000)), expected, "{seconds}");
        };
        // 2026-11-24 is a Tuesday; 1_795_478_400 is its midnight.
        let tuesday = 1_795_478_400;
        check(tuesday + 8 * 3_600, true);
        check(tuesday + 8 * 3_600 - 1, false);
        check(tuesday + 18 * 3_600 - 1, true);
        check(tuesday + 18 * 3_600, false);
        let day = 86_400;
        check(tuesday + 3 * day + 9 * 3_600, true);
        check(tuesday + 4 * day + 9 * 3_600, false);
        check(tuesday + 5 * day + 9 * 3_600, false);
        check(tuesday + 6 * day + 9 * 3_600, true);
    }
}

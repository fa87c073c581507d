//! How single values are written: durations, dates, hours, amounts, keys. Each form has a writer and a reader.

use super::document::Complaint;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use model::amount::Amount;
use model::charter::{Asset, Credential, Hours};
use model::hd::DerivationPath;
use model::intent::Network;
use model::time::Timestamp;
use toml::value::{Date, Datetime, Offset};

const DAY_MS: u64 = 86_400_000;
/// Units of a duration, largest first.
const UNITS: [(&str, u64); 5] =
    [("d", DAY_MS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
/// The longest duration: ten years. What is longer is a typing error.
pub(super) const DURATION_MS_MAX: u64 = 3_653 * DAY_MS;

/// `24h`.
pub(super) fn duration(text: &str) -> Result<u64, Complaint> {
    let wrong = || {
        let what = format!("`{}` is no duration", super::document::clip(text));
        Complaint::new(what, "write a number and d, h, m, s or ms, like 24h; ten years at most")
    };
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(split);
    let (_, ms) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    if number.len() > 1 && number.starts_with('0') {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number.checked_mul(*ms).filter(|ms| *ms <= DURATION_MS_MAX).ok_or_else(wrong)
}

/// The largest unit that divides it.
pub fn duration_text(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let fits = UNITS.iter().find(|(_, unit)| ms.is_multiple_of(*unit));
    fits.map(|(name, unit)| format!("{}{name}", ms / unit)).unwrap_or_default()
}

/// The last moment that a charter can name: the end of the year 9999.
pub(super) const TIME_MS_MAX: u64 = 253_402_300_799_999;

/// A date is its first moment in UTC: the earlier end is the safe one.
pub(super) fn date(date: &Datetime) -> Result<Timestamp, Complaint> {
    let hint = "write a date like 2027-06-30, or a time in UTC like 2027-06-30T12:00:00Z";
    let wrong = |what: &str| Complaint::new(what, hint);
    let day = date.date.as_ref().ok_or_else(|| wrong("a time without a date"))?;
    let days = days_since_1970(day).ok_or_else(|| wrong("a day before 1970"))?;
    let start = days.saturating_mul(DAY_MS);
    let Some(time) = &date.time else { return Ok(Timestamp(start)) };
    if date.offset != Some(Offset::Z) {
        return Err(wrong("a time that is not in UTC (with Z at its end)"));
    }
    let (second, nanosecond) = (time.second.unwrap_or(0), time.nanosecond.unwrap_or(0));
    if second > 59 || nanosecond % 1_000_000 != 0 {
        return Err(wrong("a time with a leap second, or finer than milliseconds"));
    }
    let minutes = u64::from(time.hour).saturating_mul(60).saturating_add(time.minute.into());
    let seconds = minutes.saturating_mul(60).saturating_add(second.into());
    let ms = seconds.saturating_mul(1000).saturating_add(u64::from(nanosecond / 1_000_000));
    Ok(Timestamp(start.saturating_add(ms)))
}

/// The date alone where it is a day's first moment.
pub fn date_text(time: Timestamp) -> String {
    let (year, month, day) = civil(time.0 / DAY_MS);
    let rest = time.0 % DAY_MS;
    let head = format!("{year:04}-{month:02}-{day:02}");
    if rest == 0 {
        return head;
    }
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    let clock = format!("{head}T{hour:02}:{minute:02}:{second:02}");
    match rest % 1000 {
        0 => format!("{clock}Z"),
        ms => format!("{clock}.{ms:03}Z"),
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; eras of 400 years from 0000-03-01.
fn days_since_1970(date: &Date) -> Option<u64> {
    let (month, day) = (u64::from(date.month), u64::from(date.day));
    let year = u64::from(date.year).checked_sub(u64::from(month <= 2))?;
    let (era, of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    days.checked_sub(719_468)
}

fn civil(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// `mon-fri 08:00-18:00` or `mon,wed 00:00-24:00`, in UTC.
pub(super) fn hours(text: &str) -> Result<Option<Hours>, Complaint> {
    let wrong = || {
        let what = format!("`{}` are no hours", super::document::clip(text));
        Complaint::new(what, "write days and minutes in UTC, like `mon-fri 08:00-18:00`")
    };
    let (days, clock) = text.split_once(' ').ok_or_else(wrong)?;
    let (from, to) = clock.split_once('-').ok_or_else(wrong)?;
    let mut bits = 0u8;
    for span in days.split(',') {
        let (first, last) = span.split_once('-').unwrap_or((span, span));
        let index = |name: &str| DAYS.iter().position(|day| *day == name).ok_or_else(wrong);
        let (first, last) = (index(first)?, index(last)?);
        if first > last {
            return Err(wrong());
        }
        for bit in first..=last {
            let bit = 1u8.checked_shl(u32::try_from(bit).unwrap_or(u32::MAX)).unwrap_or(0);
            if bits & bit != 0 {
                return Err(wrong());
            }
            bits |= bit;
        }
    }
    let hours = Hours {
        days: bits,
        from_minute: minute(from).ok_or_else(wrong)?,
        to_minute: minute(to).ok_or_else(wrong)?,
    };
    if hours.from_minute < hours.to_minute { Ok(Some(hours)) } else { Err(wrong()) }
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two(hour) || !two(minute) {
        return None;
    }
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= 24 * 60).then_some(total)
}

/// The days as runs, then the minutes.
pub(super) fn hours_text(hours: &Hours) -> String {
    let on = |bit: usize| hours.days >> bit & 1 == 1;
    let mut spans: Vec<String> = Vec::new();
    let mut bit = 0;
    while bit < DAYS.len() {
        let run = (bit..DAYS.len()).take_while(|bit| on(*bit)).count();
        let name = |bit: usize| DAYS.get(bit).copied().unwrap_or_default();
        match run {
            0 => {}
            1 => spans.push(name(bit).to_owned()),
            run => spans.push(format!("{}-{}", name(bit), name(bit + run - 1))),
        }
        bit += run + 1;
    }
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{} {}-{}", spans.join(","), clock(hours.from_minute), clock(hours.to_minute))
}

/// `1.5 ETH`: a number and the symbol of the one asset that the row is about.
pub(super) fn amount(text: &str, asset: &Asset) -> Result<Amount, Complaint> {
    let wrong = |why: String| {
        let hint = format!("write it like `1.5 {}`", asset.symbol);
        Complaint::new(format!("`{}`: {why}", super::document::clip(text)), hint)
    };
    let (number, symbol) =
        text.split_once(' ').ok_or_else(|| wrong("no symbol beside the number".to_owned()))?;
    if symbol != asset.symbol {
        return Err(wrong(format!("another asset than `{}`", asset.symbol)));
    }
    let amount = Amount::parse_decimal(number, asset.decimals).map_err(|e| wrong(e.to_string()))?;
    if amount.with_decimals(asset.decimals) == number {
        return Ok(amount);
    }
    // One spelling per amount: `01.50` is a number too, but nobody should have to think about it.
    Err(wrong(format!("write `{}`", amount.with_decimals(asset.decimals))))
}

/// `1.5 ETH`.
pub fn amount_text(amount: Amount, asset: &Asset) -> String {
    format!("{} {}", amount.with_decimals(asset.decimals), asset.symbol)
}

/// A line of `ssh-keygen`'s `.pub` file; the comment is not kept.
pub(super) fn ssh_line(text: &str) -> Result<Credential, Complaint> {
    let wrong = |what: &str| {
        let hint = "paste the line of the .pub file: `ssh-ed25519 AAAA… comment`";
        Complaint::new(what, hint)
    };
    let mut words = text.split(' ');
    let (kind, blob) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let blob = STANDARD.decode(blob).map_err(|_| wrong("the SSH key is no base64"))?;
    match super::credentials::ssh_kind(&blob) {
        Some(found) if found == kind => Ok(Credential::Ssh { blob }),
        Some(_) => Err(wrong("the line names another kind than the key itself")),
        None => Err(wrong("neither an ssh-ed25519 nor an sk-ssh-ed25519@openssh.com key")),
    }
}

/// The line without a comment.
pub(super) fn ssh_text(blob: &[u8]) -> String {
    let kind = super::credentials::ssh_kind(blob).unwrap_or("ssh-ed25519");
    format!("{kind} {}", STANDARD.encode(blob))
}

/// Hex of a fixed length, lower case.
pub(super) fn fixed_hex<const N: usize>(text: &str) -> Result<[u8; N], Complaint> {
    let bytes = hex::decode(text).ok().and_then(|bytes| <[u8; N]>::try_from(bytes).ok());
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    bytes.filter(|_| lower).ok_or_else(|| {
        let wanted = N.saturating_mul(2);
        let what = format!("not {wanted} hexadecimal digits in lower case");
        Complaint::new(what, "copy the whole value")
    })
}

/// Base64url without padding, as WebAuthn writes credential ids.
pub(super) fn base64url(text: &str) -> Result<Vec<u8>, Complaint> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        Complaint::new("not base64url without padding", "copy the credential id as it was given")
    })
}

/// Base64url without padding.
pub(super) fn base64url_text(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `evm:1`.
pub(super) fn network(text: &str) -> Result<Network, Complaint> {
    let network: Network = text.parse().map_err(|e: model::intent::NetworkError| {
        Complaint::new(e.to_string(), "name the chain as the other commands do")
    })?;
    if network.to_string() == text {
        return Ok(network);
    }
    Err(Complaint::new(format!("`{}`", super::document::clip(text)), format!("write {network}")))
}

/// `m/44/60`.
pub(super) fn path(text: &str) -> Result<DerivationPath, Complaint> {
    text.parse().map_err(|e: model::hd::HdError| {
        Complaint::new(e.to_string(), "write a path like m/44/60/0")
    })
}

/// Four bytes of calldata, `0xa9059cbb`.
pub(super) fn selector(text: &str) -> Result<[u8; 4], Complaint> {
    let digits = text
        .strip_prefix("0x")
        .ok_or_else(|| Complaint::new("a selector without 0x", "write it like 0xa9059cbb"))?;
    fixed_hex(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_one_reading() {
        for (text, ms) in [("24h", DAY_MS), ("0s", 0), ("1ms", 1), ("90m", 5_400_000)] {
            assert_eq!(duration(text), Ok(ms), "{text}");
            assert_eq!(duration(&duration_text(ms)), Ok(ms));
        }
        for bad in ["24", "h", "1.5h", "-1h", "01h", "1 h", "1w", "99999999999999999999h", "4000d"]
        {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn dates_read_back_over_the_whole_calendar() {
        let check = |text: &str, ms: u64| {
            let read = text.parse::<Datetime>().unwrap();
            assert_eq!(date(&read), Ok(Timestamp(ms)), "{text}");
            assert_eq!(date_text(Timestamp(ms)), text);
        };
        check("1970-01-01", 0);
        check("2000-02-29", 951_782_400_000);
        check("2027-06-30", 1_814_313_600_000);
        check("2027-06-30T12:34:56Z", 1_814_358_896_000);
        check("2027-06-30T12:34:56.789Z", 1_814_358_896_789);
        check("9999-12-31T23:59:59.999Z", TIME_MS_MAX);
        for day in (0..2_932_896).step_by(17) {
            let text = date_text(Timestamp(day * DAY_MS));
            assert_eq!(date(&text.parse().unwrap()), Ok(Timestamp(day * DAY_MS)), "{text}");
        }
        for bad in ["12:00:00", "2027-06-30T12:00:00", "2027-06-30T12:00:00+01:00", "1969-12-31"] {
            assert!(date(&bad.parse().unwrap()).is_err(), "{bad}");
        }
    }

    #[test]
    fn hours_read_back_and_odd_ones_are_refused() {
        for text in ["mon-fri 08:00-18:00", "mon,wed-thu,sun 00:00-24:00", "sat 23:59-24:00"] {
            let read = hours(text).unwrap().unwrap();
            assert_eq!(hours_text(&read), text);
        }
        for bad in [
            "mon 18:00-08:00",
            "fri-mon 08:00-18:00",
            "mon,mon 08:00-18:00",
            "mon 8:00-18:00",
            "mon 08:00-24:01",
            "mon 08:60-18:00",
            "mon",
            "",
        ] {
            assert!(hours(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_amount_names_the_asset_of_its_row() {
        let network = Network::Evm(1);
        let eth = Asset { symbol: "ETH".into(), network, token: "native".into(), decimals: 18 };
        let check = |text: &str, wanted: Option<&str>| {
            let read = amount(text, &eth).map(|amount| amount.to_string()).ok();
            assert_eq!(read.as_deref(), wanted, "{text}");
        };
        check("1.5 ETH", Some("1500000000000000000"));
        check("0.000000000000000001 ETH", Some("1"));
        for bad in ["1.5", "1.5ETH", "1.5 USDC", "01.5 ETH", "1.50 ETH", "-1 ETH", "1e3 ETH"] {
            check(bad, None);
        }
    }
}

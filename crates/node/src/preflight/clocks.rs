//! This machine's clock against those of others: the peers of a running node, or the chain nodes in `node.toml`.
//!
//! For people to look at: a peer may tell any time it likes, and whoever sits on the way to a chain node may too. Nothing
//! is decided by it.

use super::Check;
use super::machine::{CLOCK_FIX, wall};
use crate::chain::Chains;
use crate::home::ChainRpc;
use engine::ClockOffset;
use model::api::{ClockView, NodeView};
use model::time::Timestamp;

const NAME: &str = "clock_peers";
/// A `Date` is in whole seconds, cut off.
const DATE_STEP_MS: u64 = 1_000;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What the running node knows of its peers' clocks, or why it does not say.
pub(super) fn peers(running: Result<&NodeView, &str>) -> Check {
    let view = match running {
        Ok(view) => view,
        Err(why) => return Check::ok(NAME, format!("no peer to compare with: {why}")),
    };
    let offset =
        |ClockView { offset_ms, uncertainty_ms, .. }| ClockOffset { offset_ms, uncertainty_ms };
    let known = |peer: &model::api::PeerView| Some((peer.operator.clone(), offset(peer.clock?)));
    let clocks: Vec<(String, ClockOffset)> = view.peers.iter().filter_map(known).collect();
    let why = match view.peers.len() {
        0 => "none is trusted yet".to_owned(),
        _ => "no link has compared clocks yet".to_owned(),
    };
    judge(&clocks, "of peers' clocks", &why)
}

/// Before the node runs there is no peer; chain nodes that it will ask tell the time beside every answer.
pub(super) fn chain_nodes(rpc: &ChainRpc) -> Check {
    let why = "the node does not run";
    // Bad addresses stop the node itself, by name.
    let Ok(chains) = Chains::new(rpc) else { return judge(&[], "", why) };
    let clocks: Vec<(String, ClockOffset)> = std::thread::scope(|scope| {
        let ask = |(network, client): (_, &crate::chain::Client)| {
            let sent = now()?;
            let date = client.date()?;
            Some((format!("the chain node of {network}"), compare(sent, &date, now()?)?))
        };
        let calls: Vec<_> = chains
            .all()
            .map(|(network, client)| scope.spawn(move || ask((*network, client))))
            .collect();
        calls.into_iter().filter_map(|call| call.join().ok().flatten()).collect()
    });
    let why = format!("no peer to compare with: {why}");
    match clocks.is_empty() {
        true => Check::ok(NAME, format!("{why}, and no chain node told the time")),
        false => {
            let check = judge(&clocks, "of chain nodes' `Date`", "");
            Check { detail: format!("{why}; {}", check.detail), ..check }
        }
    }
}

fn now() -> Option<Timestamp> {
    u64::try_from(wall()?.as_millis()).ok().map(Timestamp)
}

fn compare(sent: Timestamp, date: &str, back: Timestamp) -> Option<ClockOffset> {
    let told = parse_date(date)?.saturating_add_ms(DATE_STEP_MS / 2);
    let offset = ClockOffset::estimate(sent, told, back)?;
    let uncertainty_ms = offset.uncertainty_ms.saturating_add(DATE_STEP_MS / 2);
    Some(ClockOffset { uncertainty_ms, ..offset })
}

/// The largest difference, and everybody's that is over the bound.
fn judge(clocks: &[(String, ClockOffset)], of: &str, why: &str) -> Check {
    let by_size = |(_, offset): &&(String, ClockOffset)| {
        (offset.at_least_ms(), offset.offset_ms.unsigned_abs())
    };
    let Some((name, offset)) = clocks.iter().max_by_key(by_size) else {
        return Check::ok(NAME, format!("no peer to compare with: {why}"));
    };
    let detail = format!("the largest difference {of}: {name} {offset}, of {} asked", clocks.len());
    let far: Vec<String> = clocks
        .iter()
        .filter(|(_, offset)| offset.is_far())
        .map(|(name, offset)| format!("{name} {offset}"))
        .collect();
    match far.is_empty() {
        true => Check::ok(NAME, detail),
        false => Check::warn(
            NAME,
            format!("{detail}; too far: {}", far.join(", ")),
            format!("find out which clock is wrong, here or there; here: {CLOCK_FIX}"),
        ),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, IMF-fixdate); the weekday is not looked at.
fn parse_date(text: &str) -> Option<Timestamp> {
    let parts: Vec<&str> = text.split_once(", ")?.1.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else { return None };
    let hms: Vec<u64> = time.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour @ 0..24, minute @ 0..60, second @ 0..=60] = hms[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let days = days_since_1970(
        year.parse().ok().filter(|year| (1970..10_000).contains(year))?,
        u64::try_from(month).ok()?.checked_add(1)?,
        day.parse().ok().filter(|day| (1..32).contains(day))?,
    )?;
    let seconds =
        [hour.checked_mul(3_600)?, minute.checked_mul(60)?, second].into_iter().sum::<u64>();
    let total = days.checked_mul(86_400)?.checked_add(seconds)?;
    total.checked_mul(1_000).map(Timestamp)
}

/// Years begin in March here, so that the leap day is the last one of its year.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = if month < 3 { year.checked_sub(1)? } else { year };
    let months = if month < 3 { month.checked_add(9)? } else { month.checked_sub(3)? };
    let in_year = months.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?;
    let leaps = (year / 4).checked_add(year / 400)?.checked_sub(year / 100)?;
    // 719,469 days from 0000-03-01, counted from one, to 1970-01-01.
    year.checked_mul(365)?.checked_add(leaps)?.checked_add(in_year)?.checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use model::api::PeerView;
    use model::ids::NodeId;

    #[test]
    fn dates_of_http_are_read() {
        for (text, secs) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(1_767_225_600)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("", None),
        ] {
            let expected = secs.map(|secs: u64| Timestamp(secs * 1000));
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn a_date_in_whole_seconds_is_in_doubt_by_half_of_one_more() {
        let at = |ms: u64| Timestamp(784_111_777_000 + ms);
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        let expected = ClockOffset { offset_ms: 480, uncertainty_ms: 521 };
        assert_eq!(compare(at(0), date, at(40)), Some(expected));
        assert_eq!(compare(at(0), "today", at(40)), None);
    }

    fn view(clocks: &[(&str, Option<(i64, u64)>)]) -> NodeView {
        let peer = |(operator, clock): &(&str, Option<(i64, u64)>)| PeerView {
            node: NodeId([1; 32]),
            operator: (*operator).to_owned(),
            endpoint: String::new(),
            connected: clock.is_some(),
            pair: "ready".to_owned(),
            pair_epoch: 1,
            held: None,
            clock: clock.map(|(offset_ms, uncertainty_ms)| ClockView {
                offset_ms,
                uncertainty_ms,
                far: false,
            }),
        };
        NodeView {
            node: NodeId([2; 32]),
            operator: "A".to_owned(),
            card: String::new(),
            words: String::new(),
            version: String::new(),
            unsealed: true,
            peers: clocks.iter().map(peer).collect(),
            vaults: 0,
            warnings: vec![],
        }
    }

    #[test]
    fn the_peer_whose_clock_differs_most_is_named_and_beyond_the_bound_warned_of() {
        let check = |clocks: &[_], verdict, detail: &str| {
            let found = peers(Ok(&view(clocks)));
            assert_eq!((found.verdict, found.detail.as_str()), (verdict, detail));
        };
        check(&[], Verdict::Ok, "no peer to compare with: none is trusted yet");
        let linkless = "no peer to compare with: no link has compared clocks yet";
        check(&[("South", None)], Verdict::Ok, linkless);
        check(
            &[("South", Some((12, 3))), ("West", Some((-40, 5))), ("East", None)],
            Verdict::Ok,
            "the largest difference of peers' clocks: West -40 ms (± 5 ms), of 2 asked",
        );
        check(
            &[("South", Some((12, 3))), ("West", Some((-90_000, 5)))],
            Verdict::Warn,
            "the largest difference of peers' clocks: West -90000 ms (± 5 ms), of 2 asked; \
             too far: West -90000 ms (± 5 ms)",
        );
        let sealed = peers(Err("the node is sealed"));
        assert_eq!(sealed.detail, "no peer to compare with: the node is sealed");
    }

    /// Goal: before the node runs, a chain node's clock is looked at. Method: servers whose `Date` is now and long ago.
    #[test]
    fn a_chain_node_tells_the_time_before_there_is_a_peer() {
        let serve = |date: String| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            std::thread::spawn(move || {
                use std::io::{Read as _, Write as _};
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1024]).unwrap();
                let head = "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n";
                write!(stream, "{head}date: {date}\r\n\r\n").unwrap();
            });
            format!("http://{address}")
        };
        let ask =
            |url: String| chain_nodes(&ChainRpc { evm: [(1, url)].into(), ..ChainRpc::default() });
        let old = ask(serve("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()));
        assert_eq!(old.verdict, Verdict::Warn);
        assert!(old.detail.contains("too far: the chain node of evm:1 -"), "{}", old.detail);
        let none = ask("http://127.0.0.1:1".to_owned());
        let words =
            "no peer to compare with: the node does not run, and no chain node told the time";
        assert_eq!((none.verdict, none.detail.as_str()), (Verdict::Ok, words));
        let dateless = ask(serve("soon".to_owned()));
        assert_eq!(dateless.detail, words);
    }
}

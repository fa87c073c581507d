//! Figures of measurements. The only place of this crate that computes with floating point: nothing here is money.
#![expect(clippy::float_arithmetic, reason = "rates and ratios of measurements, never money")]

use serde::Serialize;
use std::time::Duration;

/// Middle and tail of a set of times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub(crate) count: usize,
    /// Half are faster, milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 of 100 are faster, milliseconds.
    pub(crate) p99_ms: f64,
}

/// Middle and tail of `times`; none for no times.
pub(crate) fn latency(mut times: Vec<Duration>) -> Option<Latency> {
    times.sort();
    let at = |percent: usize| {
        let rank = times.len().saturating_mul(percent).div_ceil(100).saturating_sub(1);
        times.get(rank).map(|time| round(time.as_secs_f64() * 1000.0))
    };
    Some(Latency { count: times.len(), p50_ms: at(50)?, p99_ms: at(99)? })
}

/// Two digits after the point are more than the noise allows.
pub(crate) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// `count` in `time`, per second.
pub(crate) fn rate(count: u32, time: Duration) -> f64 {
    round(f64::from(count) / time.as_secs_f64())
}

/// Milliseconds of `time` for each of `count`.
pub(crate) fn ms_each(time: Duration, count: u32) -> f64 {
    round(time.as_secs_f64() * 1000.0 / f64::from(count.max(1)))
}

/// How many a second, when each costs `ms_each` of CPU on `cores`.
pub(crate) fn limit(cores: u16, ms_each: f64) -> f64 {
    round(f64::from(cores) * 1000.0 / ms_each)
}

/// `part` as a fraction of `whole`.
pub(crate) fn ratio(part: f64, whole: f64) -> f64 {
    round(part / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        let found = latency(times).unwrap();
        assert_eq!((found.count, found.p50_ms, found.p99_ms), (100, 50.0, 99.0));
        let one = latency(vec![Duration::from_millis(7)]).unwrap();
        assert_eq!((one.p50_ms, one.p99_ms), (7.0, 7.0));
        assert_eq!(latency(Vec::new()), None);
    }

    #[test]
    fn a_limit_is_cores_by_cost() {
        assert_eq!(limit(2, 25.0), 80.0);
        assert_eq!(rate(120, Duration::from_secs(2)), 60.0);
        assert_eq!(ratio(60.0, 80.0), 0.75);
        assert_eq!(ms_each(Duration::from_secs(3), 120), 25.0);
    }
}

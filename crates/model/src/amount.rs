//! Exact 256-bit amounts in a chain's smallest unit (wei, satoshi, lamport, token units).

use crate::wire::{Reader, Wire, WireError, Writer};
use core::fmt;
use core::str::FromStr;

/// An unsigned 256-bit number, big-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub [u8; 32]);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self([0; 32]);
    /// The largest amount: an unlimited approval.
    pub const MAX: Self = Self([0xff; 32]);

    /// From 64 bits.
    pub fn from_u64(v: u64) -> Self {
        Self::from_u128(u128::from(v))
    }
    /// From 128 bits.
    pub fn from_u128(v: u128) -> Self {
        let mut out = [0u8; 32];
        let (_, low) = out.split_at_mut(16);
        low.copy_from_slice(&v.to_be_bytes());
        Self(out)
    }
    /// Into 64 bits, if it fits.
    pub fn to_u64(self) -> Option<u64> {
        self.to_u128().and_then(|v| u64::try_from(v).ok())
    }
    /// Into 128 bits, if it fits.
    pub fn to_u128(self) -> Option<u128> {
        let (high, low) = self.0.split_at(16);
        let fits = high.iter().all(|b| *b == 0);
        <[u8; 16]>::try_from(low).ok().filter(|_| fits).map(u128::from_be_bytes)
    }
    /// Sum; `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let mut out = [0u8; 32];
        let mut carry = 0u16;
        for ((slot, a), b) in out.iter_mut().zip(self.0).zip(other.0).rev() {
            let sum = u16::from(a).saturating_add(u16::from(b)).saturating_add(carry);
            let [high, low] = sum.to_be_bytes();
            *slot = low;
            carry = u16::from(high);
        }
        (carry == 0).then_some(Self(out))
    }
    /// Quotient by a number, rounded down; `None` when that is zero.
    pub fn checked_div_u64(self, divisor: u64) -> Option<Self> {
        let divisor = u128::from(divisor);
        let mut out = [0u8; 32];
        let mut rest = 0u128;
        for (slot, digit) in out.iter_mut().zip(self.0) {
            // Below 2^72: the rest is smaller than the 64-bit divisor.
            let value = (rest << 8) | u128::from(digit);
            *slot = u8::try_from(value.checked_div(divisor)?).ok()?;
            rest = value.checked_rem(divisor)?;
        }
        Some(Self(out))
    }
    /// Product with a small number; `None` on overflow.
    pub fn checked_mul_u64(self, factor: u64) -> Option<Self> {
        let mut out = [0u8; 32];
        let mut carry = 0u128;
        for (slot, digit) in out.iter_mut().zip(self.0).rev() {
            let product =
                u128::from(digit).saturating_mul(u128::from(factor)).saturating_add(carry);
            let [.., low] = product.to_be_bytes();
            *slot = low;
            carry = product >> 8;
        }
        (carry == 0).then_some(Self(out))
    }
    /// Text with `decimals` digits after the point, zeros at the end cut: `1.5`.
    pub fn with_decimals(self, decimals: u8) -> String {
        let digits = self.to_string();
        let places = usize::from(decimals);
        let padded = format!("{digits:0>width$}", width = places.saturating_add(1));
        let (whole, part) = padded.split_at(padded.len().saturating_sub(places));
        match part.trim_end_matches('0') {
            "" => whole.to_owned(),
            part => format!("{whole}.{part}"),
        }
    }
    /// Reads a decimal text with at most `decimals` digits after the point.
    pub fn parse_decimal(text: &str, decimals: u8) -> Result<Self, AmountError> {
        let bad = || AmountError::Syntax(text.chars().take(90).collect());
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let places = usize::from(decimals);
        if whole.is_empty() || part.len() > places || (text.contains('.') && part.is_empty()) {
            return Err(bad());
        }
        format!("{whole}{part:0<places$}").parse().map_err(|e| match e {
            AmountError::Overflow => AmountError::Overflow,
            AmountError::Syntax(_) => bad(),
        })
    }
}

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number, or too many digits after the point.
    #[error("`{0}` is not an amount")]
    Syntax(String),
    /// Over 256 bits.
    #[error("the amount does not fit 256 bits")]
    Overflow,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = Vec::new();
        let mut rest = self.0;
        while rest.iter().any(|b| *b != 0) {
            let mut remainder = 0u16;
            for byte in &mut rest {
                let value = (remainder << 8) | u16::from(*byte);
                *byte = u8::try_from(value / 10).unwrap_or_default();
                remainder = value % 10;
            }
            digits.push(char::from_digit(u32::from(remainder), 10).unwrap_or('?'));
        }
        let text: String = digits.iter().rev().collect();
        f.write_str(if text.is_empty() { "0" } else { &text })
    }
}

impl FromStr for Amount {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits_only = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits_only || text.len() > 78 {
            return Err(AmountError::Syntax(text.chars().take(90).collect()));
        }
        text.bytes().try_fold(Self::ZERO, |acc, digit| {
            let digit = Self::from_u64(u64::from(digit.saturating_sub(b'0')));
            let tens = acc.checked_mul_u64(10).ok_or(AmountError::Overflow)?;
            tens.checked_add(digit).ok_or(AmountError::Overflow)
        })
    }
}

impl serde::Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Wire for Amount {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.fixed().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_at_both_ends() {
        let max = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
        assert_eq!(Amount::MAX.to_string(), max);
        assert_eq!(max.parse(), Ok(Amount::MAX));
        let over = "115792089237316195423570985008687907853269984665640564039457584007913129639936";
        assert_eq!(over.parse::<Amount>(), Err(AmountError::Overflow));
        assert_eq!(Amount::ZERO.to_string(), "0");
        assert_eq!(Amount::MAX.checked_add(Amount::from_u64(1)), None);
        assert_eq!(Amount::from_u64(7).checked_div_u64(2), Some(Amount::from_u64(3)));
        assert_eq!(Amount::MAX.checked_div_u64(1), Some(Amount::MAX));
        let product = Amount::MAX.checked_div_u64(u64::MAX).unwrap().checked_mul_u64(u64::MAX);
        assert!(product.is_some_and(|product| product <= Amount::MAX));
        assert_eq!(Amount::MAX.checked_div_u64(0), None);
    }

    #[test]
    fn decimals_are_cut_and_read_exactly() {
        let check = |text: &str, decimals, units: u64| {
            let amount = Amount::parse_decimal(text, decimals);
            assert_eq!(amount, Ok(Amount::from_u64(units)), "{text}");
            assert_eq!(Amount::from_u64(units).with_decimals(decimals), text);
        };
        check("1.5", 9, 1_500_000_000);
        check("0.00000001", 8, 1);
        check("7", 0, 7);
        for bad in ["1.", ".5.", "1,5", "-1", "0.000000001", ""] {
            assert!(Amount::parse_decimal(bad, 8).is_err(), "{bad}");
        }
    }
}

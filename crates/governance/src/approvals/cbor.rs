//! The little CBOR (RFC 8949) that a registration holds: definite lengths, bounded depth, nothing copied.

/// Maps and lists within one another at most.
const DEPTH_MAX: u8 = 8;

/// Bytes that are not the CBOR we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotCbor;

/// The head of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head<'a> {
    /// Zero or above.
    Number(u64),
    /// -1 - n.
    Negative(u64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Text, as bytes.
    Text(&'a [u8]),
    /// A list of n items.
    List(u64),
    /// A map of n pairs.
    Map(u64),
    /// A tag before one item.
    Tag,
    /// false, true, null and numbers with a point.
    Simple,
}

/// Reads items in order.
pub(super) struct Items<'a>(pub(super) &'a [u8]);

impl<'a> Items<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], NotCbor> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(NotCbor)?;
        self.0 = tail;
        Ok(head)
    }

    fn argument(&mut self, short: u8) -> Result<u64, NotCbor> {
        let width = match short {
            0..=23 => return Ok(u64::from(short)),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(NotCbor), // reserved, or of indefinite length
        };
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn slice(&mut self, length: u64) -> Result<&'a [u8], NotCbor> {
        self.take(usize::try_from(length).map_err(|_| NotCbor)?)
    }

    /// The next head; what follows a list's, map's or tag's head are items of their own.
    pub(super) fn next(&mut self) -> Result<Head<'a>, NotCbor> {
        let first = self.take(1)?.first().copied().ok_or(NotCbor)?;
        let argument = self.argument(first & 0x1f)?;
        Ok(match first >> 5 {
            0 => Head::Number(argument),
            1 => Head::Negative(argument),
            2 => Head::Bytes(self.slice(argument)?),
            3 => Head::Text(self.slice(argument)?),
            4 => Head::List(argument),
            5 => Head::Map(argument),
            6 => Head::Tag,
            _ => Head::Simple,
        })
    }

    /// Passes over one item with all that is in it.
    pub(super) fn skip(&mut self) -> Result<(), NotCbor> {
        self.skip_below(DEPTH_MAX)
    }

    fn skip_below(&mut self, depth: u8) -> Result<(), NotCbor> {
        let items = match self.next()? {
            Head::List(count) => count,
            Head::Map(count) => count.checked_mul(2).ok_or(NotCbor)?,
            Head::Tag => 1,
            _ => return Ok(()),
        };
        let depth = depth.checked_sub(1).ok_or(NotCbor)?;
        for _ in 0..items {
            self.skip_below(depth)?; // each takes a byte at least, so a lying count ends soon
        }
        Ok(())
    }
}

/// Exactly one item.
pub(super) fn skip_all(bytes: &[u8]) -> Result<(), NotCbor> {
    let mut items = Items(bytes);
    items.skip()?;
    if items.0.is_empty() { Ok(()) } else { Err(NotCbor) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_item_is_read_and_what_is_deep_lying_or_endless_is_refused() {
        let check =
            |bytes: &[u8], good: bool| assert_eq!(skip_all(bytes).is_ok(), good, "{bytes:?}");
        check(&[0x00], true);
        check(&[0xa1, 0x61, b'a', 0x82, 0x01, 0x20], true);
        check(&[0x19, 0x01, 0x00], true);
        check(&[], false);
        check(&[0x00, 0x00], false);
        check(&[0x19, 0x01], false);
        check(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false);
        check(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00], false);
        check(&[0x9f, 0xff], false);
        check(&[[0x81; 8].as_slice(), &[0x00]].concat(), true);
        check(&[[0x81; 9].as_slice(), &[0x00]].concat(), false);
    }
}

//! Canonical bytes: what is hashed, signed, stored or sent between nodes.
//!
//! A value is written in one way only: fixed-width big-endian integers, `u32` length before bytes and lists, a
//! `u16` tag ([`tags`]) and a `u8` version before each top-level type. A reader refuses what is truncated, over-long,
//! out of range or followed by more bytes, so `read(write(x)) == x` and `write(read(b)) == b`.

pub mod tags;

use crate::limits;

/// Why bytes are not the value they claim to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes end too early.
    #[error("truncated: {wanted} more bytes wanted, {left} left")]
    Truncated {
        /// Bytes wanted.
        wanted: usize,
        /// Bytes left.
        left: usize,
    },
    /// Bytes follow the value.
    #[error("{0} bytes follow the value")]
    Trailing(usize),
    /// A length is over its bound.
    #[error("length {found} is over the bound {bound}")]
    TooLong {
        /// Length found.
        found: usize,
        /// The bound.
        bound: usize,
    },
    /// Another type stands here.
    #[error("tag {found:#06x} where {wanted:#06x} is wanted")]
    Tag {
        /// Tag found.
        found: u16,
        /// Tag wanted.
        wanted: u16,
    },
    /// A version that this build does not read.
    #[error("version {0} is unknown")]
    Version(u8),
    /// A value outside its range.
    #[error("{0} is out of range")]
    Range(&'static str),
    /// A value that is written in another way than this one.
    #[error("{0} in another than its one spelling")]
    Spelling(&'static str),
}

/// A value with canonical bytes.
pub trait Wire: Sized {
    /// Appends the value.
    fn write(&self, w: &mut Writer);
    /// Reads one value.
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError>;

    /// The bytes of the value.
    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.write(&mut w);
        w.into_bytes()
    }

    /// Reads exactly one value from `bytes`.
    fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let value = Self::read(&mut r)?;
        r.finish()?;
        Ok(value)
    }
}

/// Appends canonical bytes.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
    /// Tag and version of a top-level type.
    pub fn header(&mut self, tag: u16, version: u8) {
        self.u16(tag);
        self.u8(version);
    }
    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.0.push(v);
    }
    /// Two bytes, big-endian.
    pub fn u16(&mut self, v: u16) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }
    /// Four bytes, big-endian.
    pub fn u32(&mut self, v: u32) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }
    /// Eight bytes, big-endian.
    pub fn u64(&mut self, v: u64) {
        self.0.extend_from_slice(&v.to_be_bytes());
    }
    /// Bytes of a fixed length.
    pub fn fixed(&mut self, v: &[u8]) {
        self.0.extend_from_slice(v);
    }
    /// Length, then bytes. A length beyond `u32` cannot be written and is cut by every reader's bound.
    pub fn bytes(&mut self, v: &[u8]) {
        self.u32(u32::try_from(v.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(v);
    }
    /// Length, then UTF-8.
    pub fn text(&mut self, v: &str) {
        self.bytes(v.as_bytes());
    }
    /// `0`, or `1` and the value.
    pub fn option<T>(&mut self, v: Option<&T>, f: impl FnOnce(&mut Self, &T)) {
        match v {
            None => self.u8(0),
            Some(inner) => {
                self.u8(1);
                f(self, inner);
            }
        }
    }
    /// Length, then each item.
    pub fn list<T>(&mut self, items: &[T], mut f: impl FnMut(&mut Self, &T)) {
        self.u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
        for item in items {
            f(self, item);
        }
    }
}

/// Reads canonical bytes.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
    /// Bytes not read so far.
    pub fn left(&self) -> usize {
        self.0.len()
    }
    /// Refuses bytes that follow the value.
    pub fn finish(self) -> Result<(), WireError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(WireError::Trailing(left)),
        }
    }
    /// Checks tag and version of a top-level type; returns the version.
    pub fn header(&mut self, wanted: u16, version_max: u8) -> Result<u8, WireError> {
        let found = self.u16()?;
        if found != wanted {
            return Err(WireError::Tag { found, wanted });
        }
        match self.u8()? {
            0 => Err(WireError::Version(0)),
            v if v > version_max => Err(WireError::Version(v)),
            v => Ok(v),
        }
    }
    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let left = self.0.len();
        let (head, tail) =
            self.0.split_at_checked(n).ok_or(WireError::Truncated { wanted: n, left })?;
        self.0 = tail;
        Ok(head)
    }
    /// Bytes of a fixed length.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut out = [0u8; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }
    /// One byte.
    pub fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_be_bytes(self.fixed()?))
    }
    /// Two bytes, big-endian.
    pub fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_be_bytes(self.fixed()?))
    }
    /// Four bytes, big-endian.
    pub fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_be_bytes(self.fixed()?))
    }
    /// Eight bytes, big-endian.
    pub fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_be_bytes(self.fixed()?))
    }
    /// `0` or `1`.
    pub fn flag(&mut self, what: &'static str) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Range(what)),
        }
    }
    fn length(&mut self, bound: usize) -> Result<usize, WireError> {
        let found = usize::try_from(self.u32()?).map_err(|_| WireError::Range("length"))?;
        if found > bound {
            return Err(WireError::TooLong { found, bound });
        }
        Ok(found)
    }
    /// Length, then at most `bound` bytes.
    pub fn bytes(&mut self, bound: usize) -> Result<Vec<u8>, WireError> {
        let n = self.length(bound)?;
        Ok(self.take(n)?.to_vec())
    }
    /// Length, then UTF-8 of at most [`limits::TEXT_BYTES_MAX`] bytes without control characters: texts of peers end on
    /// terminals and in logs.
    pub fn text(&mut self) -> Result<String, WireError> {
        let bytes = self.bytes(limits::TEXT_BYTES_MAX)?;
        let text = String::from_utf8(bytes).map_err(|_| WireError::Range("text"))?;
        if text.chars().any(char::is_control) {
            return Err(WireError::Range("text"));
        }
        Ok(text)
    }
    /// `0`, or `1` and the value.
    pub fn option<T>(
        &mut self,
        f: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.flag("option")? { f(self).map(Some) } else { Ok(None) }
    }
    /// Length, then at most `bound` items.
    pub fn list<T>(
        &mut self,
        bound: usize,
        mut f: impl FnMut(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let n = self.length(bound)?;
        (0..n).map(|_| f(self)).collect()
    }
}

/// Items of one list at most, where a type names no bound of its own.
pub const LIST_ITEMS_MAX: usize = 1_024;

macro_rules! wire_number {
    ($($number:ident),*) => {$(
        impl Wire for $number {
            fn write(&self, w: &mut Writer) {
                w.$number(*self);
            }
            fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
                r.$number()
            }
        }
    )*};
}
wire_number!(u8, u16, u32, u64);

impl Wire for bool {
    fn write(&self, w: &mut Writer) {
        w.u8(u8::from(*self));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.flag("flag")
    }
}

impl Wire for String {
    fn write(&self, w: &mut Writer) {
        w.text(self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.text()
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn write(&self, w: &mut Writer) {
        w.fixed(self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.fixed()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, w: &mut Writer) {
        w.option(self.as_ref(), |w, value| value.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.option(T::read)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, w: &mut Writer) {
        w.list(self, |w, item| item.write(w));
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        r.list(LIST_ITEMS_MAX, T::read)
    }
}

/// Declares a struct whose canonical bytes are its fields in their order.
///
/// Moving a field changes the bytes, so a struct that was ever hashed is changed by a new version of its container only.
#[macro_export]
macro_rules! wire_struct {
    (
        $(#[$meta:meta])*
        pub struct $name:ident { $($(#[$doc:meta])* pub $field:ident: $type:ty,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }

        impl $crate::wire::Wire for $name {
            fn write(&self, w: &mut $crate::wire::Writer) {
                $($crate::wire::Wire::write(&self.$field, w);)*
            }
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                Ok(Self { $($field: $crate::wire::Wire::read(r)?,)* })
            }
        }
    };
}

/// Declares a fieldless enum with the byte and the word of each value.
#[macro_export]
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $value:ident = $byte:literal $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$doc])* $value,)* }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$value,)*];

            /// The word for people and files.
            pub fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)* }
            }
            /// Reads the word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$value),)* _ => None }
            }
        }

        impl $crate::wire::Wire for $name {
            fn write(&self, w: &mut $crate::wire::Writer) {
                w.u8(match self { $(Self::$value => $byte,)* });
            }
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                match r.u8()? {
                    $($byte => Ok(Self::$value),)*
                    _ => Err($crate::wire::WireError::Range(stringify!($name))),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_carries_no_terminal_codes() {
        let read = |text: &str| {
            let mut w = Writer::default();
            w.text(text);
            let bytes = w.into_bytes();
            let mut r = Reader::new(&bytes);
            r.text()
        };
        assert_eq!(read("Zürich"), Ok("Zürich".to_owned()));
        for bad in ["a\u{1b}[2Jb", "line\nline", "\u{9b}31m"] {
            assert_eq!(read(bad), Err(WireError::Range("text")), "{bad:?}");
        }
    }

    #[test]
    fn a_reader_refuses_what_is_short_long_or_trailing() {
        let mut w = Writer::default();
        w.header(0x0102, 1);
        w.bytes(b"abc");
        let good = w.into_bytes();
        let read = |b: &[u8]| {
            let mut r = Reader::new(b);
            r.header(0x0102, 1)?;
            let v = r.bytes(3)?;
            r.finish()?;
            Ok::<_, WireError>(v)
        };
        assert_eq!(read(&good), Ok(b"abc".to_vec()));
        assert_eq!(
            read(good.get(..9).unwrap_or_default()),
            Err(WireError::Truncated { wanted: 3, left: 2 })
        );
        let mut long = good.clone();
        long.push(0);
        assert_eq!(read(&long), Err(WireError::Trailing(1)));
        let mut over = good;
        if let Some(byte) = over.get_mut(6) {
            *byte = 4;
        }
        assert_eq!(read(&over), Err(WireError::TooLong { found: 4, bound: 3 }));
    }
}

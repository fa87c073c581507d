//! Identifiers: newtypes over fixed bytes, printed as hex, ordered so that maps of them are deterministic.

use core::fmt;
use core::str::FromStr;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not hexadecimal.
    #[error("not hexadecimal")]
    NotHex,
    /// Another number of bytes.
    #[error("{found} bytes where {wanted} are wanted")]
    Length {
        /// Bytes found.
        found: usize,
        /// Bytes wanted.
        wanted: usize,
    },
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The bytes.
            pub fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hex digits, for people.
            pub fn short(&self) -> String {
                let mut text = hex::encode(self.0);
                text.truncate(8);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let bytes = hex::decode(text).map_err(|_| IdError::NotHex)?;
                let found = bytes.len();
                let bytes = bytes.try_into().map_err(|_| IdError::Length { found, wanted: $len })?;
                Ok(Self(bytes))
            }
        }

        impl $crate::wire::Wire for $name {
            fn write(&self, w: &mut $crate::wire::Writer) {
                w.fixed(&self.0);
            }
            fn read(r: &mut $crate::wire::Reader<'_>) -> Result<Self, $crate::wire::WireError> {
                r.fixed().map(Self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// A node: its raw Ed25519 public key.
    NodeId, 32);
id!(
    /// A vault: hash of the ceremony's public transcript.
    VaultId, 32);
id!(
    /// A request: hash of its canonical bytes.
    RequestId, 32);
id!(
    /// One run of a signing protocol.
    SessionId, 32);
id!(
    /// One key ceremony: hash of its plan.
    CeremonyId, 32);
id!(
    /// A client credential: hash of its public part or of its token.
    ClientId, 16);
id!(
    /// One version of a charter: hash of its canonical bytes.
    CharterId, 32);
id!(
    /// An act: hash of its canonical bytes, without its signature.
    ActId, 32);
id!(
    /// Drawn at each start of a node; restart, restore and clone are new incarnations.
    Incarnation, 16);

/// Version of one committee's sharing. Shares of two epochs never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// Version of one pair's state. Each renewal counts up by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairEpoch(pub u32);

/// A place in an access tree; holds one share. Distinct over all committees of a vault, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seat(pub u16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_names_what_is_wrong() {
        let id = NodeId([7; 32]);
        assert_eq!(id.to_string().parse::<NodeId>(), Ok(id));
        assert_eq!("zz".parse::<NodeId>(), Err(IdError::NotHex));
        assert_eq!("00".parse::<NodeId>(), Err(IdError::Length { found: 1, wanted: 32 }));
    }
}

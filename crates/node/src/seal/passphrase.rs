//! A passphrase: Argon2id (RFC 9106) makes the key, XChaCha20-Poly1305 wraps.
//!
//! The standard cost is 64 MiB, three passes, one lane: RFC 9106's second recommendation, with one lane because the
//! derivation runs on one thread. A file below the floor is refused: whoever can write it shall not make a person
//! type the passphrase into a cheap derivation.

use super::{Bounds, SealError, key_from};
use crate::entropy::OsEntropy;
use crate::sealed_box;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use model::entropy::Entropy;
use model::secret::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Characters of a passphrase at least, outside test homes.
const PASSPHRASE_CHARS_MIN: usize = 12;

/// What one guess costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassphraseCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
}

impl PassphraseCost {
    /// For real nodes; also the floor.
    pub const STANDARD: Self = Self { memory_kib: 64 * 1024, passes: 3 };
    /// For test homes only.
    pub const TEST: Self = Self { memory_kib: 256, passes: 1 };
    /// The most that this build spends on a file's word: one GiB, ten passes.
    const CEILING: Self = Self { memory_kib: 1024 * 1024, passes: 10 };

    fn check(self, test_home: bool) -> Result<(), SealError> {
        let floor = if test_home { Self::TEST } else { Self::STANDARD };
        let above = self.memory_kib >= floor.memory_kib && self.passes >= floor.passes;
        let ceiling = Self::CEILING;
        let below = self.memory_kib <= ceiling.memory_kib && self.passes <= ceiling.passes;
        if above && below {
            return Ok(());
        }
        Err(SealError::Cost {
            found: self.to_string(),
            floor: floor.to_string(),
            ceiling: ceiling.to_string(),
        })
    }
}

impl core::fmt::Display for PassphraseCost {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} KiB x {}", self.memory_kib, self.passes)
    }
}

/// The wrapped key in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    cost: PassphraseCost,
    salt: String,
    sealed: String,
}

impl Wrap {
    /// At most twice a test's cost.
    pub(super) fn is_cheap(&self) -> bool {
        let test = PassphraseCost::TEST;
        self.cost.memory_kib <= test.memory_kib.saturating_mul(2) && self.cost.passes <= 2
    }
}

pub(super) fn wrap(
    passphrase: &Secret<String>,
    cost: PassphraseCost,
    bounds: Bounds<'_>,
    data_key: &Secret<[u8; 32]>,
) -> Result<Wrap, SealError> {
    cost.check(bounds.test_home)?;
    let found = passphrase.expose().chars().count();
    let wanted = if bounds.test_home { 1 } else { PASSPHRASE_CHARS_MIN };
    if found < wanted {
        return Err(SealError::PassphraseShort { found, wanted });
    }
    let salt = OsEntropy.bytes::<16>();
    let key = derive(passphrase, &salt, cost)?;
    let cost_text = cost.to_string();
    let place = place(&bounds, &salt, &cost_text);
    let sealed = sealed_box::seal(key.expose(), &place, data_key.expose(), &mut OsEntropy)
        .ok_or_else(|| SealError::Malformed("the key is too long".into()))?;
    Ok(Wrap { cost, salt: hex::encode(salt), sealed: hex::encode(sealed) })
}

pub(super) fn unwrap(
    wrap: &Wrap,
    passphrase: &Secret<String>,
    bounds: Bounds<'_>,
) -> Result<Secret<[u8; 32]>, SealError> {
    wrap.cost.check(bounds.test_home)?;
    let salt = decode("salt", &wrap.salt)?;
    let sealed = decode("sealed", &wrap.sealed)?;
    let key = derive(passphrase, &salt, wrap.cost)?;
    let cost_text = wrap.cost.to_string();
    let opened = sealed_box::open(key.expose(), &place(&bounds, &salt, &cost_text), &sealed);
    key_from(&opened.ok_or(SealError::WrongPassphrase)?)
}

fn decode(field: &str, text: &str) -> Result<Vec<u8>, SealError> {
    hex::decode(text).map_err(|error| SealError::Malformed(format!("{field}: {error}")))
}

/// Where the wrapped key belongs: purpose, node, salt and cost.
fn place<'a>(bounds: &'a Bounds<'_>, salt: &'a [u8], cost: &'a str) -> [&'a [u8]; 4] {
    [b"data-key/passphrase/1", bounds.node.as_bytes(), salt, cost.as_bytes()]
}

fn derive(
    passphrase: &Secret<String>,
    salt: &[u8],
    cost: PassphraseCost,
) -> Result<Secret<[u8; 32]>, SealError> {
    let malformed = |error: argon2::Error| SealError::Malformed(error.to_string());
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(malformed)?;
    let mut memory = vec![Block::default(); params.block_count()];
    let mut key = [0u8; 32];
    let outcome = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.expose().as_bytes(),
            salt,
            &mut key,
            &mut memory,
        );
    // The matrix holds intermediate keys; the library leaves it as it is.
    memory.iter_mut().for_each(|block| block.as_mut().zeroize());
    let derived = Secret::new(key);
    key.zeroize();
    outcome.map_err(malformed)?;
    Ok(derived)
}

//! A wrapper for what must never be printed, copied or compared.

use zeroize::Zeroize;

/// Holds a secret: wiped when dropped, redacted in `Debug`, no `Clone`, no `==`, no serde.
///
/// # Security
/// [`Secret::expose`] is the only way in; a search for it finds every reader.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the secret over.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// Lends the secret.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// A second copy, made on purpose and greppable.
    pub fn duplicate(&self) -> Self
    where
        T: Clone,
    {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> core::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print_itself() {
        let secret = Secret::new([0xabu8; 32]);
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(secret.expose(), &[0xab; 32]);
    }
}

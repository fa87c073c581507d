//! Why a data key was not wrapped or unwrapped.

/// Why a data key was not wrapped or unwrapped.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The seal needs a passphrase and none was given.
    #[error("this node starts sealed and needs its passphrase")]
    PassphraseMissing,
    /// Too short to resist guessing.
    #[error("the passphrase has {found} characters, at least {wanted} are wanted")]
    PassphraseShort {
        /// Characters found.
        found: usize,
        /// Characters wanted.
        wanted: usize,
    },
    /// The key does not open. A wrong passphrase and a changed file look the same to an AEAD.
    #[error("wrong passphrase, or the file with the sealed key was changed")]
    WrongPassphrase,
    /// The cost in the file is outside what this build accepts.
    #[error("passphrase cost {found} is outside {floor} to {ceiling}")]
    Cost {
        /// Cost found.
        found: String,
        /// Least cost.
        floor: String,
        /// Greatest cost.
        ceiling: String,
    },
    /// The file does not read.
    #[error("the sealed key is malformed: {0}")]
    Malformed(String),
    /// A command is not installed.
    #[error("`{tool}` is not installed; on Debian: apt-get install {package}")]
    ToolMissing {
        /// The command.
        tool: &'static str,
        /// The Debian package that holds it.
        package: &'static str,
    },
    /// `systemd-creds` refused.
    #[error("systemd-creds refused: {0}")]
    SystemdRefused(String),
    /// The TPM refused: another machine, changed PCRs, or no TPM.
    #[error("the TPM refused at {step}: {detail}")]
    TpmRefused {
        /// The command that failed.
        step: &'static str,
        /// Its last words.
        detail: String,
    },
    /// A file or a pipe failed.
    #[error("input or output failed while a seal was used")]
    Io(#[from] std::io::Error),
}

impl SealError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PassphraseMissing => "passphrase_missing",
            Self::PassphraseShort { .. } => "passphrase_short",
            Self::WrongPassphrase => "wrong_passphrase",
            Self::Cost { .. } => "seal_cost",
            Self::Malformed(_) => "seal_malformed",
            Self::ToolMissing { .. } => "seal_tool_missing",
            Self::SystemdRefused(_) => "systemd_creds_refused",
            Self::TpmRefused { .. } => "tpm_refused",
            Self::Io(_) => "seal_io",
        }
    }
}

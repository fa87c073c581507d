//! TPM 2.0 through tpm2-tools: a sealed object below the owner hierarchy's ECC primary key.
//!
//! With PCRs the object opens only by a policy over them (`adminwithpolicy`, no password branch); without, any boot
//! state of this TPM opens it. `TPM2TOOLS_TCTI` chooses the TPM as in every tool of the suite. Secrets pass through
//! pipes only; the scratch files are contexts and blobs that are useless without the TPM. The node id is not part of
//! the object; the home checks that the key it opens belongs to its node.
//!
//! Absent on purpose: encrypted sessions against a listener on the bus of a discrete TPM. Where that matters,
//! `systemd-creds --with-key=host+tpm2` adds a second key.

use super::{Bounds, SealError, command, key_from};
use model::secret::Secret;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const PACKAGE: &str = "tpm2-tools";

/// The sealed object in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrap {
    public: String,
    private: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pcrs: Option<String>,
}

#[cfg(test)]
impl Wrap {
    pub(super) fn forget_pcrs_for_tests(&mut self) {
        self.pcrs = None;
    }
}

pub(super) fn wrap(
    pcrs: Option<&str>,
    bounds: Bounds<'_>,
    data_key: &Secret<[u8; 32]>,
) -> Result<Wrap, SealError> {
    let scratch = Scratch::new(bounds.scratch)?;
    let primary = make_primary(&scratch)?;
    let (public, private) = (scratch.file("key.pub"), scratch.file("key.priv"));
    let policy = scratch.file("policy");
    let mut args =
        vec!["-Q", "-C", &primary, "-g", "sha256", "-u", &public, "-r", &private, "-i", "-"];
    if let Some(list) = pcrs {
        tpm("tpm2_createpolicy", &["-Q", "--policy-pcr", "-l", list, "-L", &policy])?;
        args.extend(["-L", &policy, "-a", "fixedtpm|fixedparent|adminwithpolicy|noda"]);
    } else {
        args.extend(["-a", "fixedtpm|fixedparent|userwithauth|noda"]);
    }
    let input = Secret::new(data_key.expose().to_vec());
    tpm_fed("tpm2_create", &args, &input)?;
    let read = |path: &str| fs::read(path).map(hex::encode);
    Ok(Wrap { public: read(&public)?, private: read(&private)?, pcrs: pcrs.map(str::to_owned) })
}

pub(super) fn unwrap(wrap: &Wrap, bounds: Bounds<'_>) -> Result<Secret<[u8; 32]>, SealError> {
    let scratch = Scratch::new(bounds.scratch)?;
    let (public, private) = (scratch.file("key.pub"), scratch.file("key.priv"));
    for (path, text) in [(&public, &wrap.public), (&private, &wrap.private)] {
        let bytes = hex::decode(text).map_err(|e| SealError::Malformed(e.to_string()))?;
        fs::write(path, bytes)?;
    }
    let primary = make_primary(&scratch)?;
    let key = scratch.file("key.ctx");
    tpm("tpm2_load", &["-Q", "-C", &primary, "-u", &public, "-r", &private, "-c", &key])?;
    let policy = wrap.pcrs.as_ref().map(|list| format!("pcr:{list}"));
    let mut args = vec!["-c", key.as_str()];
    if let Some(policy) = &policy {
        args.extend(["-p", policy]);
    }
    key_from(&tpm("tpm2_unseal", &args)?)
}

fn make_primary(scratch: &Scratch) -> Result<String, SealError> {
    let context = scratch.file("primary.ctx");
    let args = ["-Q", "-C", "o", "-g", "sha256", "-G", "ecc", "-c", &context];
    tpm("tpm2_createprimary", &args)?;
    Ok(context)
}

fn tpm(step: &'static str, args: &[&str]) -> Result<Secret<Vec<u8>>, SealError> {
    tpm_fed(step, args, &Secret::new(Vec::new()))
}

/// One command, then a flush of transient objects and sessions: a TPM without resource manager holds three of them,
/// and the next command would fail with 0x902.
fn tpm_fed(
    step: &'static str,
    args: &[&str],
    input: &Secret<Vec<u8>>,
) -> Result<Secret<Vec<u8>>, SealError> {
    let ended = command::run(step, PACKAGE, args, input)?;
    for what in ["-t", "-l"] {
        // Behind a resource manager nothing of ours is left to flush; that failure is none.
        command::run("tpm2_flushcontext", PACKAGE, &["-Q", what], &Secret::new(Vec::new()))?;
    }
    match ended.failure {
        None => Ok(ended.stdout),
        Some(detail) => Err(SealError::TpmRefused { step, detail }),
    }
}

/// Has the TPM draw eight random bytes: the least question that it must answer itself.
pub(super) fn ask(tcti: Option<&str>) -> Result<(), SealError> {
    let step = "tpm2_getrandom";
    let way = tcti.map(|tcti| ["-T", tcti]);
    let args: Vec<&str> = way.iter().flatten().copied().chain(["--hex", "8"]).collect();
    let ended = command::run(step, PACKAGE, &args, &Secret::new(Vec::new()))?;
    let refused = |detail| Err(SealError::TpmRefused { step, detail });
    match ended.failure {
        Some(detail) => refused(detail),
        None if ended.stdout.expose().trim_ascii().len() == 16 => Ok(()),
        None => refused("no sixteen digits came".to_owned()),
    }
}

/// A directory of our own that goes away with us.
struct Scratch(PathBuf);

impl Scratch {
    fn new(below: &Path) -> Result<Self, SealError> {
        let path = below.join(format!(".tpm2-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            let path = self.0.display();
            tracing::warn!(%error, %path, "scratch files of the TPM stay behind");
        }
    }
}

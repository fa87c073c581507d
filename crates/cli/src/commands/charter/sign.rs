//! `outlast charter sign`

use super::signers::{self, Before};
use super::{file, now};
use crate::context::Context;
use crate::error::{CommandError, chain, io};
use crate::passphrase;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governance::charter;
use model::act::{Act, ActSignature, Author, Body, SSH_NAMESPACE, SignedAct};
use model::card::{NodeKey, SigningUse};
use model::charter::{Charter, SignedCharter};
use model::ids::{ActId, VaultId};
use node::home::Home;
use node::seal::SealKind;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Agree to a charter with your SSH key, or with your node's key
///
/// Read `outlast charter review` first. The signature is added to a signed charter beside the file (FILE.signed), or to the
/// signed charter that you were sent; it is checked before it is written. Governors sign with `ssh-keygen` (a hardware key
/// asks for a touch); at the birth of a vault every operator's node signs too, while it is stopped.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("key").required(true))]
pub(crate) struct Args {
    /// The charter: TOML, or a signed charter to add to
    file: PathBuf,
    /// Your SSH key: the private key's file, or the .pub file of a key in your agent
    #[arg(long, group = "key", value_name = "PATH", requires = "person")]
    ssh_key: Option<PathBuf>,
    /// Directory of your node, which must not be running
    #[arg(long, group = "key", value_name = "DIR", conflicts_with = "person")]
    node_dir: Option<PathBuf>,
    /// Who you are in the charter
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<String>,
    /// Where to write the signed charter
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The version before, for every version but the first
    #[arg(long, value_name = "FILE", requires = "vault")]
    previous: Option<PathBuf>,
    /// The vault, for every version but the first
    #[arg(long, requires = "previous")]
    vault: Option<VaultId>,
    /// How long your agreement stands, days
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=365))]
    days: u64,
}

pub(crate) fn run(args: &Args, ctx: &Context) -> Result<(), CommandError> {
    let (charter, signatures, armored) = file::load_holding(&args.file, now())?;
    let previous = previous(args, &charter)?;
    let before: Before<'_> = match (args.vault, &previous) {
        (Some(vault), Some(previous)) => Some((vault, previous)),
        _ => None,
    };
    let out = output(args, armored);
    let mut signed = SignedCharter { charter, signatures };
    if !armored {
        signed.signatures = already(&out, &signed.charter)?;
    }
    let one = match (&args.ssh_key, &args.node_dir, &args.person) {
        (Some(key), _, Some(person)) => {
            refuse_strangers(person, &signed.charter, before)?;
            let act = act(&signed.charter, before, Author::Person(person.clone()), args.days)?;
            refuse_twice(&signed, &act.author)?;
            let signature = ActSignature::Ssh(ssh_sign(key, act.id(), ctx)?);
            SignedAct { act, signature }
        }
        (_, Some(dir), _) => node_sign(dir, &signed, before, args.days)?,
        _ => return Err(CommandError::usage("--ssh-key with --as, or --node-dir")),
    };
    signers::check(&signed.charter, before, &one).map_err(|refusal| {
        CommandError::refused(refusal.code(), chain(&refusal))
            .hint("nothing was written; is this the key that the charter lists for you?")
    })?;
    let author = signers::name(&one.act.author);
    signed.signatures.push(one);
    replace(&out, &charter::to_armor(&signed))?;
    let standing = signers::count(&signed, before);
    let id = signed.charter.id();
    let words = model::words::six_words(id.as_bytes());
    let value = serde_json::json!({
        "file": out, "charter": id, "words": words, "signed_by": author,
        "signatures": standing.json(),
    });
    let lines = standing.lines().join("\n");
    let text = format!("{author} agreed to {id}\n({words})\n{lines}\nin {}", out.display());
    ctx.say(&value, &text)
}

/// The version before, which the charter must name.
fn previous(args: &Args, charter: &Charter) -> Result<Option<Charter>, CommandError> {
    match (&args.previous, charter.previous) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(CommandError::refused("version_chain", "version 1 follows nothing")
            .hint("leave --previous and --vault out")),
        (None, Some(id)) => {
            let message = format!("version {} follows {id}", charter.version);
            Err(CommandError::refused("version_chain", message)
                .hint("give that version with --previous, and the vault with --vault"))
        }
        (Some(path), Some(wanted)) => {
            let (previous, _, _) = file::load_holding(path, now())?;
            let fits = charter.version.checked_sub(1) == Some(previous.version);
            if previous.id() != wanted || !fits {
                let message = format!(
                    "{} is version {} with the id {}, and {wanted} is wanted",
                    path.display(),
                    previous.version,
                    previous.id()
                );
                return Err(CommandError::refused("version_chain", message));
            }
            Ok(Some(previous))
        }
    }
}

fn output(args: &Args, armored: bool) -> PathBuf {
    match (&args.out, armored) {
        (Some(path), _) => path.clone(),
        (None, true) => args.file.clone(),
        (None, false) => {
            let mut name = args.file.clone().into_os_string();
            name.push(".signed");
            PathBuf::from(name)
        }
    }
}

/// Signatures of an earlier run, if they are over this version.
fn already(out: &Path, charter: &Charter) -> Result<Vec<SignedAct>, CommandError> {
    if !out.exists() {
        return Ok(Vec::new());
    }
    let (other, signatures, armored) = file::load_holding(out, now())?;
    if !armored || other != *charter {
        let message = format!("{} is there and holds another version", out.display());
        return Err(CommandError::refused("other_version", message)
            .hint("move it away, or name another file with --out"));
    }
    Ok(signatures)
}

fn refuse_strangers(
    person: &str,
    charter: &Charter,
    before: Before<'_>,
) -> Result<(), CommandError> {
    let governing = before.map_or(charter, |(_, previous)| previous);
    if governing.governors.members.iter().any(|one| one.person == person) {
        return Ok(());
    }
    let names: Vec<&str> =
        governing.governors.members.iter().map(|one| one.person.as_str()).collect();
    let message = format!("`{person}` is no governor, whose agreement it takes");
    Err(CommandError::refused("not_a_governor", message)
        .hint(format!("governors: {}", names.join(", "))))
}

fn refuse_twice(signed: &SignedCharter, author: &Author) -> Result<(), CommandError> {
    if signed.signatures.iter().any(|one| one.act.author == *author) {
        let message = format!("{} has signed already", signers::name(author));
        return Err(CommandError::refused("already_signed", message));
    }
    Ok(())
}

fn act(
    charter: &Charter,
    before: Before<'_>,
    author: Author,
    days: u64,
) -> Result<Act, CommandError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|error| CommandError::unavailable("random", format!("no randomness: {error}")))?;
    let (created_at, next) = (now(), charter.id());
    let (vault, seen) =
        before.map_or((VaultId([0; 32]), next), |(vault, previous)| (vault, previous.id()));
    let life_ms = days.saturating_mul(24 * 60 * 60 * 1000);
    Ok(Act {
        vault,
        charter: seen,
        author,
        created_at,
        expires_at: created_at.saturating_add_ms(life_ms),
        salt,
        body: Body::Amend { next },
    })
}

/// `ssh-keygen` signs the id's digits; it asks for passphrase, agent or touch by itself.
fn ssh_sign(key: &Path, id: ActId, ctx: &Context) -> Result<Vec<u8>, CommandError> {
    let failed = |what: String| {
        CommandError::refused("ssh_keygen", what)
            .hint("try the key: `echo -n x | ssh-keygen -Y sign -n act@outlast -f KEY`")
    };
    // Its requests for a touch are for people; a program gets one document on the standard error.
    let stderr = if ctx.is_json() { Stdio::piped() } else { Stdio::inherit() };
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", SSH_NAMESPACE, "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|error| failed(format!("cannot start ssh-keygen: {error}")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that ended early shows in its status.
        let _ = stdin.write_all(id.to_string().as_bytes());
    }
    let output = child.wait_with_output();
    let output = output.map_err(|error| failed(format!("ssh-keygen: {error}")))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        let told: String = told.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(failed(format!("ssh-keygen ended with {} {told}", output.status)));
    }
    dearmor(&output.stdout).ok_or_else(|| failed("ssh-keygen wrote no signature".to_owned()))
}

/// The blob within `-----BEGIN SSH SIGNATURE-----`.
fn dearmor(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let body = text
        .strip_prefix("-----BEGIN SSH SIGNATURE-----")?
        .strip_suffix("-----END SSH SIGNATURE-----")?;
    let body: String = body.split_whitespace().collect();
    STANDARD.decode(body).ok()
}

fn node_sign(
    dir: &Path,
    signed: &SignedCharter,
    before: Before<'_>,
    days: u64,
) -> Result<SignedAct, CommandError> {
    if before.is_some() {
        let message = "nodes agree to the first version only; governors change it later";
        return Err(CommandError::refused("not_theirs", message));
    }
    let home = Home::open(dir).map_err(|error| {
        CommandError::refused("home", chain(&error)).hint("stop the node while it signs")
    })?;
    let author = Author::Node(home.node());
    refuse_twice(signed, &author)?;
    let act = act(&signed.charter, before, author, days)?;
    let key = unseal(&home)?;
    let signature = ActSignature::Node(key.sign(SigningUse::Act, act.id().as_bytes()));
    Ok(SignedAct { act, signature })
}

fn unseal(home: &Home) -> Result<NodeKey, CommandError> {
    let passphrase = match home.seal_kind() {
        SealKind::Passphrase => Some(passphrase::read()?),
        SealKind::SystemdCreds | SealKind::Tpm2 => None,
    };
    let unsealed = home.unseal(passphrase.as_ref());
    unsealed
        .map(|unsealed| unsealed.node_key)
        .map_err(|error| CommandError::refused("home", chain(&error)))
}

/// Writes beside the file and moves it there: a signature that others gave is never half overwritten.
fn replace(path: &Path, text: &str) -> Result<(), CommandError> {
    let mut draft = path.to_owned().into_os_string();
    draft.push(".draft");
    let draft = PathBuf::from(draft);
    std::fs::write(&draft, text).map_err(io("write", &draft))?;
    std::fs::rename(&draft, path).map_err(io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ssh_signature_is_taken_out_of_its_armor_only() {
        let text = "-----BEGIN SSH SIGNATURE-----\nU1NI\nU0lH\n-----END SSH SIGNATURE-----\n";
        assert_eq!(dearmor(text.as_bytes()), Some(b"SSHSIG".to_vec()));
        for bad in ["", "U1NIU0lH", "-----BEGIN SSH SIGNATURE-----\nU1NI"] {
            assert_eq!(dearmor(bad.as_bytes()), None, "{bad}");
        }
    }
}

//! Canonical bytes of a charter and of the parts that are no plain list of fields.

use super::{CHARTER_BYTES_MAX, Charter, Credential, PasskeyKey, PolicyText};
use crate::wire::{Reader, Wire, WireError, Writer, tags};

/// Tag of a charter's bytes, and its form.
const FORM: u8 = 1;

impl Wire for Charter {
    fn write(&self, w: &mut Writer) {
        w.header(tags::CHARTER, FORM);
        w.u32(self.version);
        self.previous.write(w);
        self.name.write(w);
        self.purpose.write(w);
        self.owner.write(w);
        self.operators.write(w);
        w.u16(self.threshold);
        self.people.write(w);
        self.groups.write(w);
        self.governors.write(w);
        self.assets.write(w);
        self.levels.write(w);
        self.log.write(w);
        self.requirements.write(w);
        self.sos.write(w);
        self.backups.write(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        if r.left() > CHARTER_BYTES_MAX {
            return Err(WireError::TooLong { found: r.left(), bound: CHARTER_BYTES_MAX });
        }
        r.header(tags::CHARTER, FORM)?;
        Ok(Self {
            version: r.u32()?,
            previous: Wire::read(r)?,
            name: Wire::read(r)?,
            purpose: Wire::read(r)?,
            owner: Wire::read(r)?,
            operators: Wire::read(r)?,
            threshold: r.u16()?,
            people: Wire::read(r)?,
            groups: Wire::read(r)?,
            governors: Wire::read(r)?,
            assets: Wire::read(r)?,
            levels: Wire::read(r)?,
            log: Wire::read(r)?,
            requirements: Wire::read(r)?,
            sos: Wire::read(r)?,
            backups: Wire::read(r)?,
        })
    }
}

/// Bytes of a credential id or key blob at most.
const CREDENTIAL_BYTES_MAX: usize = 1_024;

impl Wire for Credential {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Ssh { blob } => {
                w.u8(1);
                w.bytes(blob);
            }
            Self::Passkey { domain, id, key } => {
                w.u8(2);
                w.text(domain);
                w.bytes(id);
                match key {
                    PasskeyKey::Es256(point) => {
                        w.u8(1);
                        w.fixed(point);
                    }
                    PasskeyKey::Ed25519(point) => {
                        w.u8(2);
                        w.fixed(point);
                    }
                }
            }
            Self::Service { key } => {
                w.u8(3);
                w.fixed(key);
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        match r.u8()? {
            1 => Ok(Self::Ssh { blob: r.bytes(CREDENTIAL_BYTES_MAX)? }),
            2 => {
                let (domain, id) = (r.text()?, r.bytes(CREDENTIAL_BYTES_MAX)?);
                let key = match r.u8()? {
                    1 => PasskeyKey::Es256(r.fixed()?),
                    2 => PasskeyKey::Ed25519(r.fixed()?),
                    _ => return Err(WireError::Range("passkey algorithm")),
                };
                Ok(Self::Passkey { domain, id, key })
            }
            3 => Ok(Self::Service { key: r.fixed()? }),
            _ => Err(WireError::Range("credential")),
        }
    }
}

/// Bytes of one level's expert policies at most.
const POLICY_BYTES_MAX: usize = 16 * 1024;

impl Wire for PolicyText {
    fn write(&self, w: &mut Writer) {
        w.text(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, WireError> {
        let text = String::from_utf8(r.bytes(POLICY_BYTES_MAX)?);
        let text = text.map_err(|_| WireError::Range("policy text"))?;
        // Several lines, unlike other texts; still nothing that moves a terminal's cursor.
        let odd = |c: char| c.is_control() && c != '\n';
        if text.chars().any(odd) { Err(WireError::Range("policy text")) } else { Ok(Self(text)) }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key schedule of TLS 1.3 (RFC 8446 §7).
//!
//! ```text
//! PSK or 0 ─► early ─► derived ─┐
//! (EC)DHE ──────────────────────┴► handshake ─► derived ─┐      client/server handshake traffic secrets
//! 0 ─────────────────────────────────────────────────────┴► master ─► client/server application traffic
//!                                                                     secrets, resumption
//! ```

use crate::error::Error;
use crate::inline::Inline;
use crate::record::Protection;
use crate::suite::Suite;
use ttls_crypto::hash::{Algorithm, Digest, Hmac};
use ttls_crypto::secret::Secret;

/// HKDF-Extract (RFC 5869 §2.2).
///
/// # Errors
/// [`Error::Internal`] for a hash no suite uses, here and below.
pub fn extract(hash: Algorithm, salt: &[u8], secret: &[u8]) -> Result<Digest, Error> {
    Ok(hmac(hash, salt)?.code([secret]))
}

/// A secret with its HMAC state, from which labels are expanded.
pub struct Expander {
    hash: Algorithm,
    mac: Hmac,
}

impl Expander {
    /// Absorbs `secret`.
    pub fn new(hash: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        Ok(Self { hash, mac: hmac(hash, secret)? })
    }

    /// HKDF-Expand-Label (RFC 8446 §7.1) into `out`, which is at most one digest long.
    pub fn expand(&self, label: &str, context: &[u8], out: &mut [u8]) -> Result<(), Error> {
        if out.len() > self.hash.len() {
            return Err(Error::Internal("HKDF output is too long"));
        }
        let info = expand_info(label, context, out.len())?;
        let block = self.mac.code([info.as_bytes()]);
        out.iter_mut().zip(block.as_bytes()).for_each(|(to, from)| *to = *from);
        Ok(())
    }

    /// Derive-Secret (RFC 8446 §7.1) with the transcript's hash already taken.
    pub fn derive(&self, label: &str, transcript: &Digest) -> Result<Digest, Error> {
        let mut secret = Digest::zero(self.hash);
        self.expand(label, transcript.as_bytes(), secret.as_mut_bytes())?;
        Ok(secret)
    }
}

/// Longest HkdfLabel: the longest label of TLS 1.3 with a digest for context, and the counter of HKDF-Expand.
const MAX_INFO: usize = 2 + 1 + 18 + 1 + 64 + 1;

/// What HKDF-Expand-Label hashes (RFC 8446 §7.1), put together so that it is absorbed in one piece:
/// HkdfLabel, then the counter of HKDF-Expand's only block (RFC 5869 §2.3).
fn expand_info(label: &str, context: &[u8], out: usize) -> Result<Inline<MAX_INFO>, Error> {
    const TOO_LONG: Error = Error::Internal("HKDF label or context is too long");
    let byte = |len: usize| u8::try_from(len).map_err(|_| TOO_LONG);
    let (out, label_len, context_len) = (byte(out)?, byte(6 + label.len())?, byte(context.len())?);
    let mut info = Inline::EMPTY;
    for part in [&[0, out, label_len], &b"tls13 "[..], label.as_bytes(), &[context_len], context, &[1]] {
        info.push(part).ok_or(TOO_LONG)?;
    }
    Ok(info)
}

fn hmac(hash: Algorithm, key: &[u8]) -> Result<Hmac, Error> {
    Hmac::new(hash, key).ok_or(Error::Internal("hash without HMAC"))
}

/// Derive-Secret(Early Secret, "derived", "") without a PSK: a constant of each hash.
fn derived_without_psk(hash: Algorithm) -> &'static [u8] {
    match hash {
        Algorithm::Sha256 => &DERIVED_SHA256,
        _ => &DERIVED_SHA384,
    }
}

const DERIVED_SHA256: [u8; 32] = [
    0x6f, 0x26, 0x15, 0xa1, 0x08, 0xc7, 0x02, 0xc5, 0x67, 0x8f, 0x54, 0xfc, 0x9d, 0xba, 0xb6, 0x97, 0x16,
    0xc0, 0x76, 0x18, 0x9c, 0x48, 0x25, 0x0c, 0xeb, 0xea, 0xc3, 0x57, 0x6c, 0x36, 0x11, 0xba,
];
const DERIVED_SHA384: [u8; 48] = [
    0x15, 0x91, 0xda, 0xc5, 0xcb, 0xbf, 0x03, 0x30, 0xa4, 0xa8, 0x4d, 0xe9, 0xc7, 0x53, 0x33, 0x0e, 0x92,
    0xd0, 0x1f, 0x0a, 0x88, 0x21, 0x4b, 0x44, 0x64, 0x97, 0x2f, 0xd6, 0x68, 0x04, 0x9e, 0x93, 0xe5, 0x2f,
    0x2b, 0x16, 0xfa, 0xd9, 0x22, 0xfd, 0xc0, 0x58, 0x44, 0x78, 0x42, 0x8f, 0x28, 0x2b,
];

/// The early secret of a PSK, for its binder and for the handshake.
pub struct EarlySecret(Digest);

impl EarlySecret {
    /// HKDF-Extract(0, PSK).
    pub fn new(hash: Algorithm, psk: &[u8]) -> Result<Self, Error> {
        Ok(Self(extract(hash, Digest::zero(hash).as_bytes(), psk)?))
    }

    /// The binder of a resumption PSK over the hash of the truncated ClientHello (RFC 8446 §4.2.11.2).
    pub fn binder(&self, hash: Algorithm, transcript: &Digest) -> Result<Digest, Error> {
        let key = Expander::new(hash, self.0.as_bytes())?.derive("res binder", &hash.digest(&[]))?;
        finished(hash, &key, transcript)
    }
}

/// The handshake secret and what is derived from it.
pub struct HandshakeSecret {
    hash: Algorithm,
    expander: Expander,
}

impl HandshakeSecret {
    /// From the PSK's early secret, if there is one, and the shared secret.
    pub fn new(hash: Algorithm, early: Option<&EarlySecret>, shared: &[u8]) -> Result<Self, Error> {
        let secret = match early {
            None => extract(hash, derived_without_psk(hash), shared)?,
            Some(early) => {
                let salt = Expander::new(hash, early.0.as_bytes())?.derive("derived", &hash.digest(&[]))?;
                extract(hash, salt.as_bytes(), shared)?
            }
        };
        Ok(Self { hash, expander: Expander::new(hash, secret.as_bytes())? })
    }

    /// Client's and server's handshake traffic secrets, over ClientHello…ServerHello.
    pub fn traffic(&self, transcript: &Digest) -> Result<(Digest, Digest), Error> {
        Ok((
            self.expander.derive("c hs traffic", transcript)?,
            self.expander.derive("s hs traffic", transcript)?,
        ))
    }

    /// The master secret.
    pub fn master(&self) -> Result<MasterSecret, Error> {
        let salt = self.expander.derive("derived", &self.hash.digest(&[]))?;
        let secret = extract(self.hash, salt.as_bytes(), Digest::zero(self.hash).as_bytes())?;
        Ok(MasterSecret(Expander::new(self.hash, secret.as_bytes())?))
    }
}

/// The master secret and what is derived from it.
pub struct MasterSecret(Expander);

impl MasterSecret {
    /// Client's and server's application traffic secrets, over ClientHello…server Finished.
    pub fn traffic(&self, transcript: &Digest) -> Result<(Digest, Digest), Error> {
        Ok((self.0.derive("c ap traffic", transcript)?, self.0.derive("s ap traffic", transcript)?))
    }

    /// The exporter master secret, over ClientHello…server Finished.
    pub fn exporter(&self, transcript: &Digest) -> Result<Digest, Error> {
        self.0.derive("exp master", transcript)
    }

    /// The resumption master secret, over ClientHello…client Finished.
    pub fn resumption(&self, transcript: &Digest) -> Result<Digest, Error> {
        self.0.derive("res master", transcript)
    }
}

/// The PSK of a ticket (RFC 8446 §4.6.1).
pub fn resumption_psk(hash: Algorithm, master: &Digest, ticket_nonce: &[u8]) -> Result<Digest, Error> {
    let mut psk = Digest::zero(hash);
    Expander::new(hash, master.as_bytes())?.expand("resumption", ticket_nonce, psk.as_mut_bytes())?;
    Ok(psk)
}

/// The key of a Finished message, or of a binder (RFC 8446 §4.4.4).
pub struct FinishedKey {
    hash: Algorithm,
    key: Digest,
}

impl FinishedKey {
    fn new(expander: &Expander) -> Result<Self, Error> {
        let mut key = Digest::zero(expander.hash);
        expander.expand("finished", &[], key.as_mut_bytes())?;
        Ok(Self { hash: expander.hash, key })
    }

    /// verify_data over the hash of the transcript.
    pub fn proof(&self, transcript: &Digest) -> Result<Digest, Error> {
        Ok(hmac(self.hash, self.key.as_bytes())?.code([transcript.as_bytes()]))
    }
}

/// verify_data of Finished, and of a binder (RFC 8446 §4.4.4), from the traffic or binder secret.
pub fn finished(hash: Algorithm, secret: &Digest, transcript: &Digest) -> Result<Digest, Error> {
    FinishedKey::new(&Expander::new(hash, secret.as_bytes())?)?.proof(transcript)
}

/// Record protection under a traffic secret (RFC 8446 §7.3).
pub fn protection(suite: Suite, secret: &Digest) -> Result<Protection, Error> {
    protection_from(suite, &Expander::new(suite.hash(), secret.as_bytes())?)
}

/// Record protection under a handshake traffic secret, and the key of the Finished message of its side.
pub fn handshake_keys(suite: Suite, secret: &Digest) -> Result<(Protection, FinishedKey), Error> {
    let expander = Expander::new(suite.hash(), secret.as_bytes())?;
    Ok((protection_from(suite, &expander)?, FinishedKey::new(&expander)?))
}

fn protection_from(suite: Suite, expander: &Expander) -> Result<Protection, Error> {
    let (mut key, mut iv) = (Secret::zero(), Secret::zero());
    let used =
        key.expose_mut().get_mut(..suite.aead().key_len()).ok_or(Error::Internal("AEAD key length"))?;
    expander.expand("key", &[], used)?;
    expander.expand("iv", &[], iv.expose_mut())?;
    Ok(Protection::new(suite, key, iv))
}

/// The traffic secret after a KeyUpdate (RFC 8446 §7.2).
pub fn next_traffic_secret(suite: Suite, secret: &Digest) -> Result<Digest, Error> {
    let mut next = Digest::zero(suite.hash());
    Expander::new(suite.hash(), secret.as_bytes())?.expand("traffic upd", &[], next.as_mut_bytes())?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_without_psk() {
        for hash in [Algorithm::Sha256, Algorithm::Sha384] {
            let early = EarlySecret::new(hash, Digest::zero(hash).as_bytes()).unwrap();
            let derived = Expander::new(hash, early.0.as_bytes())
                .unwrap()
                .derive("derived", &hash.digest(&[]))
                .unwrap();
            assert_eq!(derived.as_bytes(), derived_without_psk(hash));
        }
    }
}

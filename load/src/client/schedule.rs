// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key derivation: HKDF with labels (RFC 8446 §7.1) and the PRF of TLS 1.2 (RFC 5246 §5).

use super::fault::Fault;
use super::record::Protection;
use super::suite::{Cipher, Version};
use ttls_crypto::hash::{Algorithm, Digest, Hmac};

/// HMAC under `key`. Every suite's hash has one.
fn hmac(algorithm: Algorithm, key: &[u8]) -> Result<Hmac, Fault> {
    Hmac::new(algorithm, key).ok_or(Fault::Wrong("this hash has no HMAC"))
}

fn mac(keyed: &Hmac, data: &[&[u8]]) -> Digest {
    let mut mac = keyed.clone();
    for part in data {
        mac.update(part);
    }
    mac.finish()
}

/// A secret to expand from: absorbed once, used for several labels.
#[derive(Clone)]
pub(super) struct Expander {
    pub(super) hash: Algorithm,
    keyed: Hmac,
}

impl Expander {
    pub(super) fn new(hash: Algorithm, secret: &[u8]) -> Result<Self, Fault> {
        Ok(Self { hash, keyed: hmac(hash, secret)? })
    }

    /// HKDF-Expand-Label for at most one digest of output, cut to `len` bytes by the caller.
    pub(super) fn label(&self, label: &[u8], context: &[u8], len: usize) -> Digest {
        // Labels and contexts here are at most 12 and 64 bytes long; every length fits its field.
        let byte = |len: usize| u8::try_from(len).unwrap_or(u8::MAX);
        let prefix = [0, byte(len), byte(6 + label.len())];
        mac(&self.keyed, &[&prefix, b"tls13 ", label, &[byte(context.len())], context, &[1]])
    }

    /// Derive-Secret, with the digest of the messages.
    pub(super) fn derive(&self, label: &[u8], messages: &Digest) -> Digest {
        self.label(label, messages.as_bytes(), self.hash.len())
    }

    /// The Finished message's content (RFC 8446 §4.4.4), under this traffic secret.
    pub(super) fn finished(&self, messages: &Digest) -> Result<Digest, Fault> {
        let key = self.label(b"finished", b"", self.hash.len());
        Ok(mac(&hmac(self.hash, key.as_bytes())?, &[messages.as_bytes()]))
    }

    /// The record protection of this traffic secret (RFC 8446 §7.3).
    pub(super) fn protection(&self, cipher: Cipher) -> Protection {
        let key_len = cipher.aead().key_len();
        let key = self.label(b"key", b"", key_len);
        let iv = self.label(b"iv", b"", 12);
        Protection::new(Version::Tls13, cipher, &key.as_bytes()[..key_len], &iv.as_bytes()[..12])
    }
}

/// Between two stages of TLS 1.3's key schedule: Derive-Secret(., "derived", ""), ready to extract with.
#[derive(Clone)]
pub(super) struct Salt {
    hash: Algorithm,
    keyed: Hmac,
}

impl Salt {
    /// What follows the early secret, or the handshake secret.
    pub(super) fn after(stage: &Expander) -> Result<Self, Fault> {
        let salt = stage.derive(b"derived", &stage.hash.digest(b""));
        Ok(Self { hash: stage.hash, keyed: hmac(stage.hash, salt.as_bytes())? })
    }

    /// The next stage, from `input` or from zeros.
    pub(super) fn extract(&self, input: Option<&[u8]>) -> Result<Expander, Fault> {
        let zeros = Digest::zero(self.hash);
        let extracted = mac(&self.keyed, &[input.unwrap_or_else(|| zeros.as_bytes())]);
        Expander::new(self.hash, extracted.as_bytes())
    }
}

/// The early secret, from the PSK or from zeros.
pub(super) fn early(hash: Algorithm, psk: Option<&Digest>) -> Result<Expander, Fault> {
    let zeros = Digest::zero(hash);
    let salt = Salt { hash, keyed: hmac(hash, zeros.as_bytes())? };
    salt.extract(psk.map(Digest::as_bytes))
}

/// The binder's key (RFC 8446 §4.2.11.2) of a resumption PSK's early secret.
pub(super) fn binder(early: &Expander) -> Result<Expander, Fault> {
    let key = early.derive(b"res binder", &early.hash.digest(b""));
    Expander::new(early.hash, key.as_bytes())
}

/// The PRF of TLS 1.2: fills `out`.
pub(super) fn prf(
    hash: Algorithm,
    secret: &[u8],
    label: &[u8],
    seed: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Fault> {
    let keyed = hmac(hash, secret)?;
    let with_seed = |first: &[u8]| {
        let mut mac = keyed.clone();
        mac.update(first);
        mac.update(label);
        for part in seed {
            mac.update(part);
        }
        mac.finish()
    };
    let mut a = with_seed(b"");
    for chunk in out.chunks_mut(hash.len()) {
        let block = with_seed(a.as_bytes());
        chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        a = mac(&keyed, &[a.as_bytes()]);
    }
    Ok(())
}

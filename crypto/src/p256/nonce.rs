// SPDX-License-Identifier: MIT OR Apache-2.0
//! ECDSA nonces: RFC 6979 with HMAC-SHA-256, hedged with fresh randomness (§3.6).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroize;

use super::scalar::Scalar;
use crate::secret::Secret;

/// The generator of RFC 6979 §3.2: an endless supply of nonces for one key and digest.
pub(crate) struct Nonces {
    key: Secret<32>,
    value: Secret<32>,
}

impl Nonces {
    /// Steps a–g. `key` is int2octets(x), `digest` bits2octets(h1), and `extra` k′: random to hedge, or
    /// empty for what the RFC's test vectors say. With randomness known to no one a fault in one of two
    /// signatures over the same message does not reveal the key; without any, nonces still never repeat.
    pub(crate) fn new(key: &[u8; 32], digest: &[u8; 32], extra: &[u8]) -> Self {
        let mut nonces = Self { key: Secret::zero(), value: Secret::new([1; 32]) };
        nonces.rekey(&[&[0], key, digest, extra]);
        nonces.rekey(&[&[1], key, digest, extra]);
        nonces
    }

    /// Step h: the next candidate, in 1..n.
    pub(crate) fn next(&mut self) -> Scalar {
        loop {
            self.value = self.hmac(&[]);
            // A candidate out of range tells nothing of its successor.
            if let Some(nonce) = Scalar::from_be_bytes(self.value.expose()) {
                return nonce;
            }
            self.skip();
        }
    }

    /// Step h.3 after a candidate that does not do.
    pub(crate) fn skip(&mut self) {
        self.rekey(&[&[0]]);
    }

    /// K = HMAC_K(V ‖ parts), V = HMAC_K(V)
    fn rekey(&mut self, parts: &[&[u8]]) {
        self.key = self.hmac(parts);
        self.value = self.hmac(&[]);
    }

    /// HMAC_K(V ‖ parts)
    fn hmac(&self, parts: &[&[u8]]) -> Secret<32> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.key.expose()).expect("HMAC takes keys of any length");
        mac.update(self.value.expose());
        for part in parts {
            mac.update(part);
        }
        let mut output = mac.finalize().into_bytes();
        let secret = Secret::new(output.into());
        output.as_mut_slice().zeroize();
        secret
    }
}

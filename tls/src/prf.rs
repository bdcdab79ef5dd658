// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key derivation of TLS 1.2 (RFC 5246 §5, §6.3, §8.1; RFC 7627).

use crate::error::Error;
use crate::record::Protection;
use crate::suite::Suite;
use ttls_crypto::aead::{self, NONCE};
use ttls_crypto::hash::{Algorithm, Digest, Hmac};
use ttls_crypto::secret::Secret;

/// Length of a master secret.
pub const MASTER: usize = 48;
/// Length of verify_data.
pub const VERIFY_DATA: usize = 12;

/// P_hash(secret, label + seed) into `out` (RFC 5246 §5).
///
/// # Errors
/// [`Error::Internal`] for a hash no suite uses, here and below.
pub fn prf(hash: Algorithm, secret: &[u8], label: &str, seed: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let keyed = Hmac::new(hash, secret).ok_or(Error::Internal("hash without HMAC"))?;
    let with_seed = |a: &[u8]| keyed.code([a, label.as_bytes()].into_iter().chain(seed.iter().copied()));
    let mut a = with_seed(&[]);
    let mut chunks = out.chunks_mut(hash.len()).peekable();
    while let Some(chunk) = chunks.next() {
        let block = with_seed(a.as_bytes());
        chunk.iter_mut().zip(block.as_bytes()).for_each(|(to, from)| *to = *from);
        if chunks.peek().is_some() {
            a = keyed.code([a.as_bytes()]);
        }
    }
    Ok(())
}

/// The master secret (RFC 5246 §8.1).
pub fn master_secret(
    hash: Algorithm,
    premaster: &[u8],
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> Result<Secret<MASTER>, Error> {
    let mut master = Secret::zero();
    prf(hash, premaster, "master secret", &[client_random, server_random], master.expose_mut())?;
    Ok(master)
}

/// The extended master secret over ClientHello…ClientKeyExchange (RFC 7627 §4).
pub fn extended_master_secret(
    hash: Algorithm,
    premaster: &[u8],
    session_hash: &Digest,
) -> Result<Secret<MASTER>, Error> {
    let mut master = Secret::zero();
    prf(hash, premaster, "extended master secret", &[session_hash.as_bytes()], master.expose_mut())?;
    Ok(master)
}

/// verify_data of a Finished: `label` is `client finished` or `server finished` (RFC 5246 §7.4.9).
pub fn verify_data(
    hash: Algorithm,
    master: &Secret<MASTER>,
    label: &str,
    transcript: &Digest,
) -> Result<Digest, Error> {
    let mut data = [0; VERIFY_DATA];
    prf(hash, master.expose(), label, &[transcript.as_bytes()], &mut data)?;
    Digest::new(&data).ok_or(Error::Internal("verify_data length"))
}

/// The keys of one direction. A handshake holds them in this form, a third of the size of a [`Protection`].
pub struct WriteKeys {
    suite: Suite,
    key: Secret<32>,
    iv: Secret<NONCE>,
}

impl WriteKeys {
    /// With the bytes of the key block, which fill the places of the longest key and iv or leave zeros behind them.
    fn new(suite: Suite, key: &[u8], iv: &[u8]) -> Self {
        let mut keys = Self { suite, key: Secret::zero(), iv: Secret::zero() };
        keys.key.expose_mut().iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        keys.iv.expose_mut().iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
        keys
    }

    /// Record protection with these keys.
    pub fn into_protection(self) -> Protection {
        Protection::new(self.suite, self.key, self.iv)
    }
}

/// The write keys of client and server (RFC 5246 §6.3).
pub fn write_keys(
    suite: Suite,
    master: &Secret<MASTER>,
    client_random: &[u8; 32],
    server_random: &[u8; 32],
) -> Result<(WriteKeys, WriteKeys), Error> {
    let key_len = suite.aead().key_len();
    let iv_len = match suite.aead() {
        aead::Algorithm::ChaCha20Poly1305 => NONCE,
        _ => 4,
    };
    let mut block = Secret::<{ 2 * (32 + NONCE) }>::zero();
    let used =
        block.expose_mut().get_mut(..2 * (key_len + iv_len)).ok_or(Error::Internal("key block length"))?;
    prf(suite.hash(), master.expose(), "key expansion", &[server_random, client_random], used)?;
    let (keys, ivs) = used.split_at(2 * key_len);
    let (client_key, server_key) = keys.split_at(key_len);
    let (client_iv, server_iv) = ivs.split_at(iv_len);
    Ok((WriteKeys::new(suite, client_key, client_iv), WriteKeys::new(suite, server_key, server_iv)))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Message encodings of RSA signatures (RFC 8017 §9), from a digest to the bytes that are exponentiated.

use crate::hash::{Algorithm, Hash};

/// DigestInfo up to the digest itself (RFC 8017 §9.2, note 1).
const fn digest_info(hash: Algorithm) -> &'static [u8; 19] {
    match hash {
        Algorithm::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
        Algorithm::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        Algorithm::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2) of `digest` into `encoded`, which has the length of the modulus.
pub(crate) fn pkcs1(encoded: &mut [u8], hash: Algorithm, digest: &[u8]) {
    let info = digest_info(hash);
    let (padding, tail) = encoded.split_at_mut(encoded.len() - info.len() - digest.len());
    padding.fill(0xff);
    padding[0] = 0;
    padding[1] = 1;
    padding[padding.len() - 1] = 0;
    tail[..info.len()].copy_from_slice(info);
    tail[info.len()..].copy_from_slice(digest);
}

/// EMSA-PSS (RFC 8017 §9.1.1) of `digest` with MGF1 and salt of the same hash and length, as TLS wants
/// it (RFC 8446 §4.2.3), into `encoded`, which has the length of a modulus of `modulus_bits`.
pub(crate) fn pss(encoded: &mut [u8], modulus_bits: usize, hash: Algorithm, digest: &[u8], salt: &[u8]) {
    let bits = modulus_bits - 1;
    // One byte shorter than the modulus if that has 8k + 1 bits: a zero goes in front.
    let (front, encoded) = encoded.split_at_mut(encoded.len() - bits.div_ceil(8));
    front.fill(0);
    let (db, tail) = encoded.split_at_mut(encoded.len() - hash.len() - 1);
    let (h, trailer) = tail.split_at_mut(hash.len());
    trailer[0] = 0xbc;

    let mut m_prime = Hash::new(hash);
    m_prime.update(&[0; 8]);
    m_prime.update(digest);
    m_prime.update(salt);
    h.copy_from_slice(m_prime.finish().as_bytes());

    let (padding, db_salt) = db.split_at_mut(db.len() - salt.len());
    padding.fill(0);
    padding[padding.len() - 1] = 1;
    db_salt.copy_from_slice(salt);
    for (counter, chunk) in (0u32..).zip(db.chunks_mut(hash.len())) {
        // MGF1 (RFC 8017 §B.2.1).
        let mut mask = Hash::new(hash);
        mask.update(h);
        mask.update(&counter.to_be_bytes());
        for (byte, mask) in chunk.iter_mut().zip(mask.finish().as_bytes()) {
            *byte ^= mask;
        }
    }
    db[0] &= 0xff >> (8 * db.len() + 8 * (hash.len() + 1) - bits);
}

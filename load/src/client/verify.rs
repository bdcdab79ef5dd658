// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the server holds the key of the certificate it shows: its signature, checked by a library that
//! shares nothing with the server. Nobody is trusted or distrusted here: chains are not followed.

use super::fault::Fault;
use graviola::hashing::Sha256;
use graviola::signing::{ecdsa, rsa};

/// DER tags (X.690 §8.1).
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
/// id-ecPublicKey (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// rsaEncryption (RFC 8017 §A.1).
const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// Checks `signature` of `message` under `scheme` with the public key of the certificate `leaf`.
pub(super) fn signature(leaf: &[u8], scheme: u16, message: &[u8], signature: &[u8]) -> Result<(), Fault> {
    const BAD_KEY: Fault = Fault::Wrong("the certificate's public key cannot be read");
    let (algorithm, key) = public_key(leaf).ok_or(BAD_KEY)?;
    let checked = if scheme == 0x0403 && algorithm == EC_PUBLIC_KEY {
        let key = ecdsa::VerifyingKey::<ecdsa::P256>::from_x962_uncompressed(key).map_err(|_| BAD_KEY)?;
        key.verify_asn1::<Sha256>(&[message], signature)
    } else if algorithm == RSA_ENCRYPTION {
        let key = rsa::VerifyingKey::from_pkcs1_der(key).map_err(|_| BAD_KEY)?;
        match scheme {
            0x0804 => key.verify_pss_sha256(signature, message),
            0x0805 => key.verify_pss_sha384(signature, message),
            0x0806 => key.verify_pss_sha512(signature, message),
            0x0401 => key.verify_pkcs1_sha256(signature, message),
            _ => return Err(Fault::Wrong("the server signed with a scheme that was not offered")),
        }
    } else {
        return Err(Fault::Wrong("the server signed with a scheme that does not fit its certificate"));
    };
    checked.map_err(|_| Fault::Wrong("the server's signature is wrong"))
}

/// The algorithm and the key of a certificate's SubjectPublicKeyInfo (RFC 5280 §4.1).
fn public_key(certificate: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut certificate, _) = element(certificate, SEQUENCE)?;
    let mut fields = take(&mut certificate, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        take(&mut fields, VERSION)?;
    }
    // serialNumber, signature, issuer, validity, subject
    for _ in 0..5 {
        let tag = *fields.first()?;
        take(&mut fields, tag)?;
    }
    let mut info = take(&mut fields, SEQUENCE)?;
    let mut algorithm = take(&mut info, SEQUENCE)?;
    let key = take(&mut info, BIT_STRING)?;
    // The first byte counts unused bits: none.
    Some((take(&mut algorithm, OBJECT_IDENTIFIER)?, key.strip_prefix(&[0])?))
}

fn take<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (content, rest) = element(bytes, tag)?;
    *bytes = rest;
    Some(content)
}

/// The content of the DER element with `tag` at the start of `bytes`, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (len, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (len, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (len.iter().fold(0, |len, &byte| len << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Records and their protection (RFC 8446 §5, RFC 5246 §6.2.3.3, RFC 5288, RFC 7905).

use super::content;
use super::fault::Fault;
use super::suite::{Cipher, Version};
use ttls_crypto::aead::{self, NONCE, TAG};
use ttls_crypto::secret::Secret;

/// Length of a record's header.
pub(super) const HEADER: usize = 5;
/// Longest payload of a protected record, in any version.
const MAX_PAYLOAD: usize = (1 << 14) + 2048;

/// One direction's protection.
pub(super) struct Protection {
    version: Version,
    key: aead::Key,
    iv: [u8; NONCE],
    /// TLS 1.2 with GCM sends 8 bytes of the nonce in the record; the salt is the IV's first 4.
    explicit_nonce: usize,
    sequence: u64,
}

impl Protection {
    /// `key` holds the cipher's key in its first bytes, `iv` 12 bytes, or the 4 of TLS 1.2 with GCM.
    pub(super) fn new(version: Version, cipher: Cipher, key: &[u8], iv: &[u8]) -> Self {
        let mut padded = Secret::zero();
        padded.expose_mut()[..key.len()].copy_from_slice(key);
        let mut full = [0; NONCE];
        full[..iv.len()].copy_from_slice(iv);
        Self {
            version,
            key: aead::Key::new(cipher.aead(), &padded),
            iv: full,
            explicit_nonce: NONCE - iv.len(),
            sequence: 0,
        }
    }

    /// XORs the sequence number into the IV. With an explicit nonce the IV ends in zeros, so that the
    /// sequence number itself is what is sent.
    fn next_nonce(&mut self) -> [u8; NONCE] {
        let mut nonce = self.iv;
        for (byte, number) in nonce[NONCE - 8..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= number;
        }
        self.sequence += 1;
        nonce
    }

    /// Appends one record with `data` (at most 2^14 bytes) to `out`.
    pub(super) fn seal(&mut self, kind: u8, data: &[u8], out: &mut Vec<u8>) {
        let sequence = self.sequence;
        let nonce = self.next_nonce();
        let start = out.len();
        let inner_type = usize::from(self.version == Version::Tls13);
        let payload = self.explicit_nonce + data.len() + inner_type + TAG;
        let outer = if inner_type == 1 { content::APPLICATION_DATA } else { kind };
        out.extend_from_slice(&[outer, 3, 3]);
        super::wire::u16(out, u16::try_from(payload).unwrap_or(u16::MAX));
        out.extend_from_slice(&nonce[NONCE - self.explicit_nonce..]);
        let text = out.len();
        out.extend_from_slice(data);
        if inner_type == 1 {
            out.push(kind);
        }
        let tag = if self.version == Version::Tls13 {
            let mut header = [0; HEADER];
            header.copy_from_slice(&out[start..start + HEADER]);
            self.key.seal(&nonce, &header, &mut out[text..])
        } else {
            self.key.seal(&nonce, &additional_data(sequence, kind, data.len()), &mut out[text..])
        };
        out.extend_from_slice(&tag);
    }

    /// Opens `record` in place: its content type and where its text lies.
    pub(super) fn open(&mut self, record: &mut [u8]) -> Result<(u8, core::ops::Range<usize>), Fault> {
        const FORGED: Fault = Fault::Wrong("a record does not decrypt");
        let sequence = self.sequence;
        let mut nonce = self.next_nonce();
        let (header, payload) = record.split_first_chunk_mut::<HEADER>().ok_or(FORGED)?;
        let (explicit, sealed) = payload.split_at_mut_checked(self.explicit_nonce).ok_or(FORGED)?;
        let (text, tag) = sealed.split_last_chunk_mut::<TAG>().ok_or(FORGED)?;
        let start = HEADER + self.explicit_nonce;
        if self.version == Version::Tls12 {
            nonce[NONCE - self.explicit_nonce..].copy_from_slice(explicit);
            let additional = additional_data(sequence, header[0], text.len());
            self.key.open(&nonce, &additional, text, tag).map_err(|_| FORGED)?;
            return Ok((header[0], start..start + text.len()));
        }
        if header[0] != content::APPLICATION_DATA {
            return Err(Fault::Wrong("a record is not protected"));
        }
        self.key.open(&nonce, header, text, tag).map_err(|_| FORGED)?;
        // The content type is the last byte that is not padding (RFC 8446 §5.4).
        let end = text.iter().rposition(|&byte| byte != 0).ok_or(Fault::Wrong("a record has no type"))?;
        Ok((text[end], start..start + end))
    }
}

/// RFC 5246 §6.2.3.3.
fn additional_data(sequence: u64, kind: u8, len: usize) -> [u8; 13] {
    let mut data = [0; 13];
    data[..8].copy_from_slice(&sequence.to_be_bytes());
    data[8..11].copy_from_slice(&[kind, 3, 3]);
    data[11..].copy_from_slice(&u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
    data
}

/// The whole length of the record that `bytes` begin with, or `None` while that cannot be told.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let payload = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if header[1] != 3 || !(20..=23).contains(&header[0]) {
        return Err(Fault::Wrong("the answer is not TLS"));
    }
    if payload > MAX_PAYLOAD {
        return Err(Fault::Wrong("a record is too long"));
    }
    Ok(Some(HEADER + payload))
}

/// Appends `message` in one unprotected record.
pub(super) fn plain(kind: u8, message: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&[kind, 3, 3]);
    super::wire::vector(out, 2, |out| out.extend_from_slice(message));
}

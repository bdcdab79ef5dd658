// SPDX-License-Identifier: MIT OR Apache-2.0
//! One direction's record protection (RFC 8446 §5.2–5.3, RFC 5288, RFC 7905).

use super::header::{HEADER, MAX_PLAINTEXT, header};
use crate::error::Error;
use crate::suite::{Suite, Version};
use crate::wire::codes::content_type;
use core::ops::Range;
use ttls_crypto::aead::{self, NONCE, TAG};
use ttls_crypto::secret::Secret;

/// How a version and AEAD use nonces and associated data.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// TLS 1.3: nonce = iv xor sequence, content type inside, header as associated data.
    Tls13,
    /// TLS 1.2 AES-GCM: 4-byte salt, then 8 explicit bytes (RFC 5288 §3).
    Tls12Explicit,
    /// TLS 1.2 ChaCha20-Poly1305: nonce = iv xor sequence (RFC 7905 §2).
    Tls12Implicit,
}

/// What kTLS needs to take over one direction.
pub struct DirectionKeys {
    /// The AEAD.
    pub algorithm: aead::Algorithm,
    /// The key: the first `algorithm.key_len()` bytes.
    pub key: Secret<32>,
    /// TLS 1.3 and ChaCha20-Poly1305: the 12-byte iv. TLS 1.2 AES-GCM: 4 bytes of salt, then zeros.
    pub iv: [u8; NONCE],
    /// Sequence number of the next record.
    pub sequence: u64,
}

/// Record protection of one direction: key, nonce base and sequence number.
pub struct Protection {
    key: aead::Key,
    raw: Secret<32>,
    iv: Secret<NONCE>,
    sequence: u64,
    algorithm: aead::Algorithm,
    form: Form,
}

impl Protection {
    /// Bytes a record of TLS 1.3 adds to its plaintext: header, content type, tag.
    pub(crate) const OVERHEAD_TLS13: usize = HEADER + 1 + TAG;

    /// Protection with the first `key_len` bytes of `key`, and `iv` as [`DirectionKeys::iv`] has it.
    pub fn new(suite: Suite, key: Secret<32>, iv: Secret<NONCE>) -> Self {
        let algorithm = suite.aead();
        let form = match (suite.version(), algorithm) {
            (Version::Tls13, _) => Form::Tls13,
            (Version::Tls12, aead::Algorithm::ChaCha20Poly1305) => Form::Tls12Implicit,
            (Version::Tls12, _) => Form::Tls12Explicit,
        };
        Self { key: aead::Key::new(algorithm, &key), raw: key, iv, sequence: 0, algorithm, form }
    }

    /// Bytes before the plaintext in a record: header and explicit nonce.
    pub const fn headroom(&self) -> usize {
        match self.form {
            Form::Tls12Explicit => HEADER + 8,
            _ => HEADER,
        }
    }

    /// Bytes a record adds to its plaintext, the headroom included.
    pub const fn overhead(&self) -> usize {
        match self.form {
            Form::Tls13 => Self::OVERHEAD_TLS13,
            Form::Tls12Explicit => HEADER + 8 + TAG,
            Form::Tls12Implicit => HEADER + TAG,
        }
    }

    /// Records protected so far.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = *self.iv.expose();
        for (byte, sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        nonce
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.sequence =
            self.sequence.checked_add(1).ok_or(Error::Internal("record sequence number wraps"))?;
        Ok(())
    }

    /// The additional_data of TLS 1.2 (RFC 5246 §6.2.3.3).
    fn tls12_aad(&self, kind: u8, len: usize) -> Result<[u8; 13], Error> {
        let mut aad = [0; 13];
        aad[..8].copy_from_slice(&self.sequence.to_be_bytes());
        aad[8..].copy_from_slice(&header(kind, len)?);
        Ok(aad)
    }

    /// Seals the `len` bytes of plaintext that lie in `record` after [`Protection::headroom`] bytes, and
    /// returns the length of the record: `len` + [`Protection::overhead`].
    ///
    /// # Errors
    /// [`Error::Internal`] if the record does not fit, or the sequence number is used up.
    pub fn seal(&mut self, kind: u8, record: &mut [u8], len: usize) -> Result<usize, Error> {
        const TOO_SMALL: Error = Error::Internal("record storage is too small");
        let total = len.saturating_add(self.overhead());
        let headroom = self.headroom();
        let record = record.get_mut(..total).ok_or(TOO_SMALL)?;
        let nonce = self.nonce();
        let (head, body) = record.split_at_mut(headroom);
        if self.form == Form::Tls13 {
            head.copy_from_slice(&header(content_type::APPLICATION_DATA, len + 1 + TAG)?);
            let (inner, tag) = body.split_last_chunk_mut::<TAG>().ok_or(TOO_SMALL)?;
            *inner.last_mut().ok_or(TOO_SMALL)? = kind;
            *tag = self.key.seal(&nonce, head, inner);
        } else {
            let (head, explicit) = head.split_first_chunk_mut::<HEADER>().ok_or(TOO_SMALL)?;
            *head = header(kind, total - HEADER)?;
            // The explicit nonce is the sequence number; the iv is zero there. Empty without one.
            explicit.iter_mut().zip(&nonce[4..]).for_each(|(to, from)| *to = *from);
            let aad = self.tls12_aad(kind, len)?;
            let (text, tag) = body.split_last_chunk_mut::<TAG>().ok_or(TOO_SMALL)?;
            *tag = self.key.seal(&nonce, &aad, text);
        }
        self.advance()?;
        Ok(total)
    }

    /// Opens a whole record in place, and returns its content type and where in `record` its plaintext lies.
    ///
    /// # Errors
    /// [`Error::BadRecordMac`] if it is forged or too short; [`Error::RecordOverflow`] if the plaintext is longer
    /// than `limit`, or in TLS 1.3 with its padding than 2^14 bytes; [`Error::Unexpected`] if TLS 1.3 plaintext has no
    /// content type.
    pub fn open(&mut self, record: &mut [u8], limit: usize) -> Result<(u8, Range<usize>), Error> {
        let headroom = self.headroom();
        let (head, body) = record.split_at_mut_checked(headroom).ok_or(Error::BadRecordMac)?;
        let (text, tag) = body.split_last_chunk_mut::<TAG>().ok_or(Error::BadRecordMac)?;
        let mut nonce = self.nonce();
        let kind = *head.first().ok_or(Error::BadRecordMac)?;
        if self.form == Form::Tls13 {
            self.key.open(&nonce, head, text, tag).map_err(|_| Error::BadRecordMac)?;
            self.advance()?;
            // TLSInnerPlaintext: content, type, zeros (RFC 8446 §5.4).
            if text.len() > MAX_PLAINTEXT + 1 {
                return Err(Error::RecordOverflow);
            }
            let mut backwards = text.iter().enumerate().rev();
            let inner = backwards.find(|(_, byte)| **byte != 0);
            let (len, &kind) = inner.ok_or(Error::Unexpected("a content type inside the record"))?;
            if len > limit {
                return Err(Error::RecordOverflow);
            }
            return Ok((kind, headroom..headroom + len));
        }
        if let (Form::Tls12Explicit, Some(explicit)) = (self.form, head.last_chunk::<8>()) {
            nonce[4..].copy_from_slice(explicit);
        }
        let aad = self.tls12_aad(kind, text.len())?;
        self.key.open(&nonce, &aad, text, tag).map_err(|_| Error::BadRecordMac)?;
        self.advance()?;
        if text.len() > limit {
            return Err(Error::RecordOverflow);
        }
        Ok((kind, headroom..headroom + text.len()))
    }

    /// What kTLS needs to go on from here.
    pub fn keys(&self) -> DirectionKeys {
        DirectionKeys {
            algorithm: self.algorithm,
            key: self.raw.clone(),
            iv: *self.iv.expose(),
            sequence: self.sequence,
        }
    }
}

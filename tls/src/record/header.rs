// SPDX-License-Identifier: MIT OR Apache-2.0
//! A record's header, and how long records may be.

use crate::error::Error;

/// Length of a record header.
pub const HEADER: usize = 5;
/// Most plaintext in one record (RFC 8446 §5.1).
pub const MAX_PLAINTEXT: usize = 16_384;
/// Longest record that can be received: TLS 1.2 allows 2048 bytes of expansion (RFC 5246 §6.2.3).
pub const MAX_RECORD: usize = HEADER + MAX_PLAINTEXT + 2048;
/// The smallest record_size_limit that a client may send (RFC 8449 §4).
pub(crate) const MIN_SIZE_LIMIT: u16 = 64;
/// Longest record that is sent: content type, explicit nonce and tag are the expansion.
pub const MAX_SENT_RECORD: usize = HEADER + 8 + MAX_PLAINTEXT + 1 + 16;

/// The header of a record with `len` bytes of payload.
pub(crate) fn header(kind: u8, len: usize) -> Result<[u8; HEADER], Error> {
    let len = u16::try_from(len).map_err(|_| Error::Internal("record is too long"))?;
    let [high, low] = len.to_be_bytes();
    Ok([kind, 3, 3, high, low])
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record protocol (RFC 8446 §5, RFC 5246 §6.2): records opened and sealed where they lie.

mod opener;
mod protection;

pub(crate) use opener::{Opener, Received};
pub use protection::{DirectionKeys, Protection};

use crate::buffer::Outbound;
use crate::error::Error;
use crate::wire::codes::content_type;

/// Length of a record header.
pub const HEADER: usize = 5;
/// Most plaintext in one record (RFC 8446 §5.1).
pub const MAX_PLAINTEXT: usize = 16_384;
/// Longest record that can be received: TLS 1.2 allows 2048 bytes of expansion (RFC 5246 §6.2.3).
pub const MAX_RECORD: usize = HEADER + MAX_PLAINTEXT + 2048;
/// Longest record that is sent: content type, explicit nonce and tag are the expansion.
pub const MAX_SENT_RECORD: usize = HEADER + 8 + MAX_PLAINTEXT + 1 + 16;

/// The header of a record with `len` bytes of payload.
pub(crate) fn header(kind: u8, len: usize) -> Result<[u8; HEADER], Error> {
    let len = u16::try_from(len).map_err(|_| Error::Internal("record is too long"))?;
    let [high, low] = len.to_be_bytes();
    Ok([kind, 3, 3, high, low])
}

/// Writes the plaintext that lies in `out` from `start`, after [`HEADER`] bytes of room, as unprotected
/// records of at most `limit` bytes.
pub(crate) fn seal_plain(kind: u8, start: usize, limit: usize, out: &mut Outbound<'_>) -> Result<(), Error> {
    fragment(start, HEADER, 0, limit, out, |record, len| {
        record[..HEADER].copy_from_slice(&header(kind, len)?);
        Ok(())
    })
}

/// Writes the plaintext that lies in `out` from `start`, after the protection's headroom, as protected
/// records of at most `limit` bytes of plaintext.
pub(crate) fn seal_protected(
    kind: u8,
    start: usize,
    limit: usize,
    protection: &mut Protection,
    out: &mut Outbound<'_>,
) -> Result<(), Error> {
    let headroom = protection.headroom();
    let trailer = protection.overhead() - headroom;
    fragment(start, headroom, trailer, limit, out, |record, len| {
        protection.seal(kind, record, len).map(|_| ())
    })
}

/// Cuts `headroom` + plaintext into records in place: later fragments move up by what the earlier ones add.
fn fragment(
    start: usize,
    headroom: usize,
    trailer: usize,
    limit: usize,
    out: &mut Outbound<'_>,
    mut seal: impl FnMut(&mut [u8], usize) -> Result<(), Error>,
) -> Result<(), Error> {
    let total = out.tail(start).len().checked_sub(headroom).ok_or(Error::Internal("no room for a header"))?;
    let count = total.div_ceil(limit).max(1);
    out.reserve(count * (headroom + trailer) - headroom)?;
    let records = out.tail_mut(start);
    let stride = headroom + limit + trailer;
    for i in (1..count).rev() {
        let from = headroom + i * limit;
        let len = limit.min(total - i * limit);
        records.copy_within(from..from + len, i * stride + headroom);
    }
    for i in 0..count {
        let len = limit.min(total - i * limit);
        seal(&mut records[i * stride..i * stride + headroom + len + trailer], len)?;
    }
    Ok(())
}

/// Writes the change_cipher_spec record.
pub(crate) fn change_cipher_spec(out: &mut Outbound<'_>) -> Result<(), Error> {
    out.put(&[content_type::CHANGE_CIPHER_SPEC, 3, 3, 0, 1, 1])
}

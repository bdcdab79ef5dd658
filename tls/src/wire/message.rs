// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handshake messages as wholes: where one ends in the bytes that follow each other (RFC 8446 §4).

use crate::error::Error;

/// Length of a message's header: type and length.
pub const HEADER: usize = 4;

/// Type and length, header included, of the message that `bytes` begin with; `None` if its header is not complete.
pub fn begins(bytes: &[u8]) -> Option<(u8, usize)> {
    let &[kind, a, b, c] = bytes.first_chunk()?;
    let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    Some((kind, HEADER + len))
}

/// The length, header included, of the message that `joined` begins with, once it is complete.
///
/// # Errors
/// [`Error::Malformed`] if it says it is longer than `max` bytes without its header.
pub fn complete(joined: &[u8], max: usize) -> Result<Option<usize>, Error> {
    let Some((_, len)) = begins(joined) else { return Ok(None) };
    if len - HEADER > max {
        return Err(Error::Malformed("handshake message: longer than the limit"));
    }
    Ok((joined.len() >= len).then_some(len))
}

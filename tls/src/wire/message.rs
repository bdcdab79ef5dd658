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

/// A complete handshake message.
#[derive(Clone, Copy)]
pub struct Message<'m> {
    /// Its type.
    pub kind: u8,
    /// What follows type and length.
    pub body: &'m [u8],
    /// With type and length, as the transcript wants it.
    pub raw: &'m [u8],
    /// Nothing follows in its record: the keys may change (RFC 8446 §5.1).
    pub last: bool,
}

impl<'m> Message<'m> {
    /// The message that `joined` begins with, once it is complete.
    ///
    /// # Errors
    /// [`Error::TooLong`] if it says it is longer than `max` bytes without its header.
    pub fn first(joined: &'m [u8], max: usize) -> Result<Option<Self>, Error> {
        let Some((kind, len)) = begins(joined) else { return Ok(None) };
        if len - HEADER > max {
            return Err(Error::TooLong("handshake message"));
        }
        let Some((raw, rest)) = joined.split_at_checked(len) else { return Ok(None) };
        let body = raw.get(HEADER..).unwrap_or_default();
        Ok(Some(Self { kind, body, raw, last: rest.is_empty() }))
    }

    /// The body, if the message is of this type.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it is not.
    pub fn expect(&self, kind: u8, expected: &'static str) -> Result<&'m [u8], Error> {
        if self.kind == kind { Ok(self.body) } else { Err(Error::Unexpected(expected)) }
    }

    /// The body, if the message is of this type and the last before the keys change.
    ///
    /// # Errors
    /// [`Error::Unexpected`] if it is not.
    pub fn expect_last(&self, kind: u8, expected: &'static str) -> Result<&'m [u8], Error> {
        let body = self.expect(kind, expected)?;
        if self.last { Ok(body) } else { Err(Error::Unexpected("the end of a record where keys change")) }
    }
}

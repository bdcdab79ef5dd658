// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cursor that rejects what is missing and what is left over.

use crate::error::Error;

/// Reads a structure from bytes; errors name the structure.
#[derive(Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// Reads `bytes`, calling them `what` in errors.
    pub const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The error for a structure that does not parse.
    pub const fn malformed(&self) -> Error {
        Error::Malformed(self.what)
    }

    /// Whether all bytes are read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The unread bytes.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(self.malformed())?;
        self.rest = rest;
        Ok(taken)
    }

    /// A `uint8`.
    pub fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(|&[byte]| byte)
    }

    /// A `uint16`.
    pub fn u16(&mut self) -> Result<u16, Error> {
        self.array().map(|b| u16::from_be_bytes(*b))
    }

    /// A `uint24`.
    pub fn u24(&mut self) -> Result<usize, Error> {
        let &[a, b, c] = self.array()?;
        Ok(usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c))
    }

    /// A `uint32`.
    pub fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(|b| u32::from_be_bytes(*b))
    }

    /// A vector with a one-byte length.
    pub fn vec8(&mut self) -> Result<Reader<'a>, Error> {
        let len = self.u8()?;
        self.inner(usize::from(len))
    }

    /// A vector with a two-byte length.
    pub fn vec16(&mut self) -> Result<Reader<'a>, Error> {
        let len = self.u16()?;
        self.inner(usize::from(len))
    }

    /// A vector with a three-byte length.
    pub fn vec24(&mut self) -> Result<Reader<'a>, Error> {
        let len = self.u24()?;
        self.inner(len)
    }

    fn inner(&mut self, len: usize) -> Result<Reader<'a>, Error> {
        Ok(Reader { rest: self.take(len)?, what: self.what })
    }

    /// Everything that is left, as a list of `uint16`.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is empty or of odd length.
    pub fn u16_list(&self) -> Result<U16List<'a>, Error> {
        if self.rest.is_empty() || !self.rest.len().is_multiple_of(2) {
            return Err(self.malformed());
        }
        Ok(U16List(self.rest))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`Error::Malformed`] if bytes are left over.
    pub const fn finish(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed()) }
    }
}

/// A list of `uint16` where it lies in the message.
#[derive(Clone, Copy, Default)]
pub struct U16List<'a>(&'a [u8]);

impl<'a> U16List<'a> {
    /// The values in order.
    pub fn iter(self) -> impl Iterator<Item = u16> + Clone + 'a {
        self.0.as_chunks().0.iter().map(|pair| u16::from_be_bytes(*pair))
    }

    /// Whether `value` is among them.
    pub fn contains(self, value: u16) -> bool {
        self.iter().any(|v| v == value)
    }
}

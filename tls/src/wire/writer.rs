// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing the presentation language into storage of fixed size.

use crate::error::Error;

/// Appends to storage. Lengths of vectors are filled in once their content is there.
pub struct Writer<'b> {
    storage: &'b mut [u8],
    len: usize,
}

impl<'b> Writer<'b> {
    /// Writes from the beginning of `storage`.
    pub const fn new(storage: &'b mut [u8]) -> Self {
        Self { storage, len: 0 }
    }

    /// Goes on after the first `len` bytes of `storage`, or at its end.
    pub(crate) fn after(storage: &'b mut [u8], len: usize) -> Self {
        let len = len.min(storage.len());
        Self { storage, len }
    }

    /// Number of bytes written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is written.
    pub fn written(&self) -> &[u8] {
        self.tail(0)
    }

    /// What is written from position `start`; empty if that is past the end.
    pub fn tail(&self, start: usize) -> &[u8] {
        self.storage.get(start..self.len).unwrap_or_default()
    }

    pub(crate) fn tail_mut(&mut self, start: usize) -> &mut [u8] {
        self.storage.get_mut(start..self.len).unwrap_or_default()
    }

    pub(crate) const fn truncate(&mut self, len: usize) {
        if len < self.len {
            self.len = len;
        }
    }

    /// What is written, for as long as the storage lives.
    pub fn into_written(self) -> &'b mut [u8] {
        let len = self.len;
        self.storage.get_mut(..len).unwrap_or_default()
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the storage is full, here and in all methods below.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Appends `len` bytes of unspecified content, to be written by the caller.
    pub fn reserve(&mut self, len: usize) -> Result<&mut [u8], Error> {
        let (start, end) = (self.len, self.len.saturating_add(len));
        let space = self.storage.get_mut(start..end).ok_or(Error::Internal("send storage is too small"))?;
        self.len = end;
        Ok(space)
    }

    /// Appends a `uint8`.
    pub fn u8(&mut self, value: u8) -> Result<(), Error> {
        self.put(&[value])
    }

    /// Appends a `uint16`.
    pub fn u16(&mut self, value: u16) -> Result<(), Error> {
        self.put(&value.to_be_bytes())
    }

    /// Appends a `uint32`.
    pub fn u32(&mut self, value: u32) -> Result<(), Error> {
        self.put(&value.to_be_bytes())
    }

    /// Appends what `body` writes, after its length in `N` bytes (1, 2 or 3).
    pub fn vec<const N: usize>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const TOO_LONG: Error = Error::Internal("vector is longer than its length field can say");
        let start = self.len;
        self.put(&[0; N])?;
        body(self)?;
        let field = self.tail_mut(start);
        let (length, content) = field.split_first_chunk_mut::<N>().ok_or(TOO_LONG)?;
        let len = content.len().to_be_bytes();
        let (high, low) = len.split_last_chunk::<N>().ok_or(TOO_LONG)?;
        if high.iter().any(|&byte| byte != 0) {
            return Err(TOO_LONG);
        }
        *length = *low;
        Ok(())
    }

    /// Appends an extension: its type, and what `body` writes after a two-byte length.
    pub fn extension(
        &mut self,
        kind: u16,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.u16(kind)?;
        self.vec::<2>(body)
    }

    /// Appends a handshake message: type, length, body (RFC 8446 §4).
    pub fn message(
        &mut self,
        kind: u8,
        body: impl FnOnce(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.u8(kind)?;
        self.vec::<3>(body)
    }
}

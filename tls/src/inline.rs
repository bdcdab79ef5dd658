// SPDX-License-Identifier: MIT OR Apache-2.0
//! A few bytes, kept where they are needed.

/// At most `N` bytes, kept inline; `N` is at most 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inline<const N: usize> {
    /// Zeros behind the content.
    bytes: [u8; N],
    len: u16,
}

impl<const N: usize> Inline<N> {
    /// No bytes.
    pub(crate) const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// These bytes; `None` if they are more than `N`.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let mut inline = Self::EMPTY;
        inline.push(bytes)?;
        Some(inline)
    }

    /// Appends bytes; `None` if there is no room for them.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let start = usize::from(self.len);
        let end = start.checked_add(bytes.len())?;
        self.bytes.get_mut(start..end)?.copy_from_slice(bytes);
        self.len = u16::try_from(end).ok()?;
        Some(())
    }

    /// The bytes.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The bytes, to be changed in place.
    pub(crate) fn as_mut_bytes(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..usize::from(self.len)).unwrap_or_default()
    }
}

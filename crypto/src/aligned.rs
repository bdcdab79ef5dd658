// SPDX-License-Identifier: MIT OR Apache-2.0
//! Constant tables from files, aligned to cache lines and to 512-bit vectors.

/// `T` on a 64-byte boundary.
#[repr(C, align(64))]
pub(crate) struct Aligned<T>(T);

impl<T> core::ops::Deref for Aligned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<const ENTRIES: usize, const COLUMNS: usize, const WINDOWS: usize>
    Aligned<[[[u64; ENTRIES]; COLUMNS]; WINDOWS]>
{
    /// Reads little-endian words, evaluated when compiling; a file of another length does not compile.
    pub(crate) const fn from_le_bytes(bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        assert!(rest.is_empty() && words.len() == ENTRIES * COLUMNS * WINDOWS);
        let mut table = [[[0; ENTRIES]; COLUMNS]; WINDOWS];
        let mut i = 0;
        while i < words.len() {
            table[i / (ENTRIES * COLUMNS)][i / ENTRIES % COLUMNS][i % ENTRIES] = u64::from_le_bytes(words[i]);
            i += 1;
        }
        Self(table)
    }
}

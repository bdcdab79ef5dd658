// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hands out one block of memory piece by piece.

use core::mem::{MaybeUninit, align_of, size_of};

/// What is left of a block.
pub struct Arena<'m> {
    rest: &'m mut [MaybeUninit<u8>],
}

impl<'m> Arena<'m> {
    pub fn new(memory: &'m mut [MaybeUninit<u8>]) -> Self {
        Self { rest: memory }
    }

    fn take(&mut self, len: usize) -> Option<&'m mut [MaybeUninit<u8>]> {
        let (taken, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// A copy of `bytes`.
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<&'m [u8]> {
        Some(self.take(bytes.len())?.write_copy_of_slice(bytes))
    }

    /// `count` values, each made by `make` and written in place.
    pub fn slice<T, E>(
        &mut self,
        count: usize,
        full: E,
        mut make: impl FnMut(&mut Self, usize) -> Result<T, E>,
    ) -> Result<&'m mut [T], E> {
        let padding = self.rest.as_ptr().align_offset(align_of::<T>());
        let len = size_of::<T>().checked_mul(count);
        let memory = match len {
            Some(len) if self.take(padding).is_some() => self.take(len),
            _ => None,
        };
        let Some(memory) = memory else { return Err(full) };
        let first = memory.as_mut_ptr().cast::<T>();
        for index in 0..count {
            let value = make(self, index)?;
            // SAFETY: `memory` is aligned for T and has room for `count` of them.
            unsafe { first.add(index).write(value) };
        }
        // SAFETY: all `count` values are written; the memory is borrowed for 'm from its one owner.
        Ok(unsafe { core::slice::from_raw_parts_mut(first, count) })
    }

    /// The most bytes that [`Arena::slice`] takes for `count` values.
    pub const fn slice_size<T>(count: usize) -> usize {
        size_of::<T>().saturating_mul(count).saturating_add(align_of::<T>())
    }
}

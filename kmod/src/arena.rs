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

    /// What is left.
    pub fn into_rest(self) -> &'m mut [MaybeUninit<u8>] {
        self.rest
    }

    /// Room for `count` values.
    pub fn room<T>(&mut self, count: usize) -> Option<&'m mut [MaybeUninit<T>]> {
        let padding = self.rest.as_ptr().align_offset(align_of::<T>());
        self.take(padding)?;
        let memory = self.take(size_of::<T>().checked_mul(count)?)?;
        // SAFETY: `memory` is aligned for T, has room for `count` of them, and is borrowed for 'm from its one owner.
        Some(unsafe { core::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), count) })
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
        let Some(room) = self.room(count) else { return Err(full) };
        for (index, place) in room.iter_mut().enumerate() {
            place.write(make(self, index)?);
        }
        // SAFETY: all of them are written.
        Ok(unsafe { room.assume_init_mut() })
    }

    /// The most bytes that [`Arena::slice`] takes for `count` values.
    pub const fn slice_size<T>(count: usize) -> usize {
        size_of::<T>().saturating_mul(count).saturating_add(align_of::<T>())
    }
}

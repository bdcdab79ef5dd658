// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wiping what no variable's own wiping reaches: memory that is reused, stack that was left, vector registers.

use crate::cpu;
use crate::ct;
use core::hint::black_box;
use core::mem::MaybeUninit;

/// What zeros may overwrite.
///
/// # Safety
/// Only for types that are valid when all their bytes are zero.
pub(crate) unsafe trait Plain: Copy {}

/// Overwrites secrets with zeros, which the compiler may not leave out.
#[cfg(target_arch = "x86_64")]
pub(crate) fn wipe<T: Plain>(secrets: &mut [T]) {
    let (start, count) = (secrets.as_mut_ptr(), secrets.len());
    // SAFETY: the slice is ours to write, and zeros are valid for `T`. The empty assembly may read
    // all memory as far as the compiler knows.
    unsafe {
        start.write_bytes(0, count);
        core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
    }
}

/// Drops what is at `place` and wipes every byte of it. A value that moves leaves its bytes behind, and takes along what lay where the
/// compiler had it: one that is shorter than its place, as most variants of an enum are, need not cover what was there before.
pub fn clear<T>(place: &mut Option<T>) {
    /// Leaves zeros and `None` when the value is gone, however its drop ends.
    struct Emptied<T>(*mut Option<T>);

    impl<T> Drop for Emptied<T> {
        fn drop(&mut self) {
            // SAFETY: the pointer comes from a reference that outlives this, and nothing lives there. Any bytes may lie where no
            // value is.
            unsafe {
                self.0.write_bytes(0, 1);
                black_box(self.0).write(None);
            }
        }
    }

    let emptied = Emptied(place);
    // SAFETY: the pointer comes from a reference, and what it points to is not used again before it is written.
    unsafe { emptied.0.drop_in_place() };
}

/// Wipes memory that holds no values any more, such as a vector's that was emptied.
pub fn wipe_unused<T>(memory: &mut [MaybeUninit<T>]) {
    memory.fill_with(MaybeUninit::zeroed);
    black_box(memory);
}

/// How much stack to wipe: by what ran on it. `audit/src/bin/leftovers.rs` searches for what is missed, and
/// `leftovers depths` tells how deep operations go. A caller's stack must have that much room below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// 20 KiB: X25519, P-256 and ECDSA, one by one and in lanes.
    Curves,
    /// 40 KiB: ML-KEM-768.
    Kem,
    /// 64 KiB: RSA.
    Rsa,
}

const KIB: usize = 1024 / size_of::<u64>();

/// Runs `compute`, and then overwrites the stack it ran on, as deep as is said, and the vector registers: spilled
/// registers, and copies of values that were moved. Only the result is left.
#[inline(always)]
pub fn wiping_stack<T>(depth: Depth, compute: impl FnOnce() -> T) -> T {
    #[inline(never)]
    fn call<T>(compute: impl FnOnce() -> T) -> T {
        compute()
    }
    let result = call(compute);
    wipe_stack(depth);
    result
}

/// Overwrites the stack below the caller and the vector registers.
pub fn wipe_stack(depth: Depth) {
    #[inline(never)]
    fn overwrite<const WORDS: usize>() {
        ct::barrier_all(&mut [0; WORDS]);
    }
    match depth {
        Depth::Curves => overwrite::<{ 20 * KIB }>(),
        Depth::Kem => overwrite::<{ 40 * KIB }>(),
        Depth::Rsa => overwrite::<{ 64 * KIB }>(),
    }
    cpu::wipe_vector_registers();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    #[test]
    fn a_place_that_is_cleared_holds_zeros() {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        struct Counted(#[allow(dead_code)] [u64; 4]);
        impl Drop for Counted {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Relaxed);
            }
        }
        // What a longer value leaves behind a shorter one.
        #[allow(dead_code)]
        enum State {
            Long(Counted),
            Short(u64),
        }
        const NUMBER: u64 = 0x5a5a_5a5a_5a5a_5a5a;
        let mut place = Some(State::Long(Counted([NUMBER; 4])));
        clear(&mut place);
        assert!(place.is_none());
        assert_eq!(DROPPED.load(Relaxed), 1);
        const WORDS: usize = size_of::<Option<State>>() / 8;
        // SAFETY: all of it was written, with zeros; the discriminant of None after them.
        let words = unsafe { (&raw const place).cast::<[u64; WORDS]>().read() };
        assert_eq!(words.iter().filter(|&&word| word != 0).count(), usize::from(words[0] != 0), "{words:x?}");
        place = Some(State::Short(7));
        clear(&mut place);
        clear(&mut place);
        assert!(place.is_none());
        assert_eq!(DROPPED.load(Relaxed), 1);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Curve arithmetic on eight independent items at once, in lanes of vectors.
//!
//! A vector holds one 64-bit limb of eight items. IFMA multiplies 52-bit limbs and adds the low
//! or the high 52 bits of the product to a 64-bit accumulator; AVX2 multiplies 32 bits to 64. So
//! carries can wait, and where they wait is what the types say: `Fe` is carried and may be
//! multiplied, `Loose` may only be added, subtracted and carried.
//!
//! **Instruction sets.** [`simd`] says what this code asks of one; [`avx512`] has it in registers of
//! eight lanes, [`avx`] in registers of four. How field elements are multiplied, with IFMA and
//! without, is in the folders of [`field25519`] and [`montgomery`]. RSA uses AVX-512 directly.
//!
//! **Features.** [`Simd::compiled`], and functions of RSA that are not inlined, carry
//! `#[target_feature]`. Everything they are built of is `#[inline(always)]` without the attribute
//! (Rust refuses both together) and must be a plain function or loop, never a closure handed to
//! library code: a closure's body is compiled without the features when the library does not inline
//! it. A token, or a vector that was made with one, proves that the features are there.
//!
//! **Constant time.** No branch and no address depends on a secret, in any lane; a table is read
//! in full. Lanes never exchange data except in [`invert`], which multiplies all lanes together;
//! zeros are taken out of that product first, so that no item can spoil another's result.

#![allow(clippy::needless_range_loop)] // limbs of several numbers side by side, by their index

use crate::cpu::Ifma;
use crate::limbs::Limbs;
use simd::Simd;

pub(crate) mod avx;
pub(crate) mod avx512;
pub(crate) mod ecdsa;
pub(crate) mod field25519;
pub(crate) mod invert;
pub(crate) mod montgomery;
pub(crate) mod nonce;
pub(crate) mod p256;
pub(crate) mod products;
pub(crate) mod recode;
pub(crate) mod rsa;
pub(crate) mod simd;
pub(crate) mod vector;
pub(crate) mod x25519;

/// Items in one vector.
pub(crate) const LANES: usize = 8;
/// Most vectors that share one inversion: 64 items.
pub(crate) const VECTORS: usize = 8;

/// More than the deepest frames of the curves' lanes together: 7.8 KiB, in registers of 256 bits. RSA's go deeper;
/// they wipe their own arrays.
const DEPTH: usize = 12 * 1024;

/// Puts an integer into one lane.
pub(crate) fn put(words: &mut [vector::Block; 4], lane: usize, value: &Limbs) {
    for (word, limb) in words.iter_mut().zip(value) {
        word.0[lane] = *limb;
    }
}

/// Takes an integer out of one lane.
pub(crate) fn get(words: &[vector::Block; 4], lane: usize) -> Limbs {
    core::array::from_fn(|i| words[i].0[lane])
}

/// What zeros may overwrite.
///
/// # Safety
/// Only for types that are valid when all their bytes are zero.
pub(crate) unsafe trait Plain: Copy {}

// SAFETY: integers, vectors and masks of integers.
unsafe impl Plain for vector::Block {}
// SAFETY: as above.
unsafe impl<S: Simd, M: Copy> Plain for montgomery::Fe<S, M> {}
// SAFETY: as above.
unsafe impl Plain for x25519::Generate {}
// SAFETY: as above.
unsafe impl Plain for x25519::Agree {}
// SAFETY: as above.
unsafe impl Plain for p256::Generate {}
// SAFETY: as above.
unsafe impl Plain for p256::Agree {}
// SAFETY: as above.
unsafe impl<S: montgomery::Montgomery> Plain for p256::Jacobian<S> {}
// SAFETY: as above.
unsafe impl<S: montgomery::Montgomery> Plain for p256::Multiples<S> {}
// SAFETY: as above.
unsafe impl Plain for ecdsa::Sign {}
// SAFETY: as above.
unsafe impl Plain for rsa::Group {}
// SAFETY: as above.
unsafe impl<const K: usize, const F: usize> Plain for rsa::Sign<K, F> {}

/// Overwrites secrets with zeros, which the compiler may not leave out.
pub(crate) fn wipe<T: Plain>(secrets: &mut [T]) {
    let (start, count) = (secrets.as_mut_ptr(), secrets.len());
    // SAFETY: the slice is ours to write, and zeros are valid for `T`. The empty assembly may read
    // all memory as far as the compiler knows.
    unsafe {
        start.write_bytes(0, count);
        core::arch::asm!("/* {0} */", in(reg) start, options(nostack, preserves_flags));
    }
}

/// Wipes the registers of AVX2 and as much of the stack below the caller as lane code uses.
#[inline(never)]
#[target_feature(enable = "avx2")]
pub(crate) fn wipe_avx2_registers_and_stack() {
    let mut below = core::mem::MaybeUninit::<[u8; DEPTH]>::uninit();
    // SAFETY: the array is ours to write. The assembly writes what it declares.
    unsafe {
        below.as_mut_ptr().write_bytes(0, 1);
        core::arch::asm!(
            "/* {0} */",
            "vzeroall",
            in(reg) below.as_mut_ptr(),
            out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
            out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
            out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
            out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
            options(nostack, preserves_flags),
        );
    }
}

/// Wipes the registers that AVX-512 adds.
#[target_feature(enable = "avx512f")]
fn wipe_upper_registers() {
    // SAFETY: the assembly writes what it declares.
    unsafe {
        core::arch::asm!(
            "vpxord zmm16, zmm16, zmm16",
            "vpxord zmm17, zmm17, zmm17",
            "vpxord zmm18, zmm18, zmm18",
            "vpxord zmm19, zmm19, zmm19",
            "vpxord zmm20, zmm20, zmm20",
            "vpxord zmm21, zmm21, zmm21",
            "vpxord zmm22, zmm22, zmm22",
            "vpxord zmm23, zmm23, zmm23",
            "vpxord zmm24, zmm24, zmm24",
            "vpxord zmm25, zmm25, zmm25",
            "vpxord zmm26, zmm26, zmm26",
            "vpxord zmm27, zmm27, zmm27",
            "vpxord zmm28, zmm28, zmm28",
            "vpxord zmm29, zmm29, zmm29",
            "vpxord zmm30, zmm30, zmm30",
            "vpxord zmm31, zmm31, zmm31",
            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
            out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Wipes what passes leave in vector registers and on the stack.
pub(crate) fn wipe_registers_and_stack(_t: Ifma) {
    // SAFETY: the token proves AVX-512F and AVX2. VZEROALL clears the other registers in their whole width.
    unsafe {
        wipe_upper_registers();
        wipe_avx2_registers_and_stack();
    }
}

#[cfg(test)]
mod tests;

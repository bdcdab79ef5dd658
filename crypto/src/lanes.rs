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

pub(crate) mod avx;
pub(crate) mod avx512;
#[cfg(test)]
mod bounds;
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

pub(crate) use vector::{LANES, VECTORS, get, put};

#[cfg(test)]
mod tests;

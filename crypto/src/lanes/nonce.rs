// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first ECDSA nonce of RFC 6979 §3.2 with HMAC-SHA-256 and extra randomness (§3.6), eight lanes.
//!
//! It is the scalar code's nonce ([`crate::p256::nonce`]), so that a signature does not depend on who
//! made it. Twenty SHA-256 compressions per nonce would otherwise cost half as much as the rest of a
//! signature.

use core::arch::x86_64::{
    __m256i, _mm256_add_epi32, _mm256_and_si256, _mm256_or_si256, _mm256_set1_epi32, _mm256_sllv_epi32,
    _mm256_srlv_epi32, _mm256_xor_si256,
};

use super::ecdsa::Sign;
use super::p256::Generate;
use super::simd::Simd;
use super::vector::Block;

/// Eight lanes of 32 bits; its existence proves AVX2. Where the CPU can rotate and has logic of three
/// operands, the compiler finds it in what is written here.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct W(__m256i);

impl W {
    #[inline(always)]
    #[allow(clippy::cast_possible_wrap)] // same 32 bits
    fn splat<S: Simd>(_t: S, value: u32) -> Self {
        // SAFETY: every token proves AVX2.
        Self(unsafe { _mm256_set1_epi32(value as i32) })
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_add_epi32(self.0, other.0) })
    }

    #[inline(always)]
    fn xor(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_xor_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_and_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_or_si256(self.0, other.0) })
    }

    #[inline(always)]
    fn shr<const N: i32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_srlv_epi32(self.0, _mm256_set1_epi32(N)) })
    }

    #[inline(always)]
    fn shl<const N: i32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        Self(unsafe { _mm256_sllv_epi32(self.0, _mm256_set1_epi32(N)) })
    }

    #[inline(always)]
    fn rotr<const N: i32>(self) -> Self {
        // SAFETY: this vector proves AVX2.
        self.shr::<N>().or(Self(unsafe { _mm256_sllv_epi32(self.0, _mm256_set1_epi32(32 - N)) }))
    }

    /// ROTR^A ⊕ ROTR^B ⊕ ROTR^C
    #[inline(always)]
    fn rotations<const A: i32, const B: i32, const C: i32>(self) -> Self {
        self.rotr::<A>().xor(self.rotr::<B>()).xor(self.rotr::<C>())
    }

    /// ROTR^A ⊕ ROTR^B ⊕ SHR^C
    #[inline(always)]
    fn rotations_and_shift<const A: i32, const B: i32, const C: i32>(self) -> Self {
        self.rotr::<A>().xor(self.rotr::<B>()).xor(self.shr::<C>())
    }

    /// Ch: `y` where `self` is one, `z` where it is zero.
    #[inline(always)]
    fn choose(self, y: Self, z: Self) -> Self {
        z.xor(self.and(y.xor(z)))
    }

    /// Maj
    #[inline(always)]
    fn majority(self, y: Self, z: Self) -> Self {
        self.and(y).or(z.and(self.or(y)))
    }

    /// The last byte of `self`, then the first three of `next`.
    #[inline(always)]
    fn last_byte_then(self, next: Self) -> Self {
        self.shl::<24>().or(next.shr::<8>())
    }
}

/// 32 bytes, big-endian.
type Words = [W; 8];

/// Eight big-endian words of each lane's integer.
#[inline(always)]
fn words<S: Simd>(t: S, integer: &[Block; 4]) -> Words {
    let mut words = [W::splat(t, 0); 8];
    for i in 0..4 {
        let (upper, lower) = t.load_halves(&integer[3 - i]);
        (words[2 * i], words[2 * i + 1]) = (W(upper), W(lower));
    }
    words
}

/// SHA-256 constants (FIPS 180-4 §4.2.2, §5.3.3).
const K: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// One round; the caller renames the variables instead of moving them.
#[inline(always)]
#[allow(clippy::too_many_arguments)] // the eight working variables of FIPS 180-4 §6.2.2
fn round(a: W, b: W, c: W, d: &mut W, e: W, f: W, g: W, h: &mut W, kw: W) {
    let t1 = h.plus(e.rotations::<6, 11, 25>()).plus(e.choose(f, g).plus(kw));
    let t2 = a.rotations::<2, 13, 22>().plus(a.majority(b, c));
    *d = d.plus(t1);
    *h = t1.plus(t2);
}

/// The compression function (FIPS 180-4 §6.2.2), a function of its own: a nonce takes twenty.
#[inline(always)]
fn compress<S: Simd>(t: S, state: &Words, block: &[W; 16]) -> Words {
    t.compiled(
        #[inline(always)]
        || compress_inlined(t, state, block),
    )
}

#[inline(always)]
fn compress_inlined<S: Simd>(t: S, state: &Words, block: &[W; 16]) -> Words {
    let mut w = *block;
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for chunk in 0..4 {
        macro_rules! eight_rounds {
            ($i:literal) => {
                let kw = |i: usize| w[i].plus(W::splat(t, K[16 * chunk + i]));
                round(a, b, c, &mut d, e, f, g, &mut h, kw($i));
                round(h, a, b, &mut c, d, e, f, &mut g, kw($i + 1));
                round(g, h, a, &mut b, c, d, e, &mut f, kw($i + 2));
                round(f, g, h, &mut a, b, c, d, &mut e, kw($i + 3));
                round(e, f, g, &mut h, a, b, c, &mut d, kw($i + 4));
                round(d, e, f, &mut g, h, a, b, &mut c, kw($i + 5));
                round(c, d, e, &mut f, g, h, a, &mut b, kw($i + 6));
                round(b, c, d, &mut e, f, g, h, &mut a, kw($i + 7));
            };
        }
        eight_rounds!(0);
        eight_rounds!(8);
        if chunk < 3 {
            for i in 0..16 {
                let (s0, s1) = (w[(i + 1) % 16], w[(i + 14) % 16]);
                w[i] = w[i]
                    .plus(s0.rotations_and_shift::<7, 18, 3>())
                    .plus(w[(i + 9) % 16].plus(s1.rotations_and_shift::<17, 19, 10>()));
            }
        }
    }
    let mut sum = [a, b, c, d, e, f, g, h];
    for i in 0..8 {
        sum[i] = sum[i].plus(state[i]);
    }
    sum
}

/// An HMAC key absorbed: the states after the inner and the outer pad (RFC 2104 §4).
#[derive(Clone, Copy)]
struct Hmac {
    inner: Words,
    outer: Words,
}

impl Hmac {
    #[inline(always)]
    fn new<S: Simd>(t: S, key: &Words) -> Self {
        let mut initial = [W::splat(t, 0); 8];
        for i in 0..8 {
            initial[i] = W::splat(t, INITIAL[i]);
        }
        let (mut inner, mut outer) = ([W::splat(t, 0x3636_3636); 16], [W::splat(t, 0x5c5c_5c5c); 16]);
        for i in 0..8 {
            inner[i] = inner[i].xor(key[i]);
            outer[i] = outer[i].xor(key[i]);
        }
        Self { inner: compress(t, &initial, &inner), outer: compress(t, &initial, &outer) }
    }

    /// Finishes with a last message block of 32 bytes.
    #[inline(always)]
    fn of_words<S: Simd>(&self, t: S, message: &Words) -> Words {
        let inner = compress(t, &self.inner, &last_block(t, message));
        compress(t, &self.outer, &last_block(t, &inner))
    }

    /// HMAC(V ‖ `tag` ‖ x ‖ h ‖ extra), whose 129 bytes fill three blocks.
    #[inline(always)]
    fn of_seed<S: Simd>(&self, t: S, value: &Words, tag: u32, seed: &[Words; 3]) -> Words {
        let zero = W::splat(t, 0);
        let mut message = [[zero; 16]; 3];
        let flat = message.as_flattened_mut();
        flat[..8].copy_from_slice(value);
        // The tag's byte shifts all that follows by one; the padding's first byte comes last.
        let mut before = W::splat(t, tag);
        for (i, word) in seed.as_flattened().iter().enumerate() {
            flat[8 + i] = before.last_byte_then(*word);
            before = *word;
        }
        flat[32] = before.last_byte_then(W::splat(t, 0x8000_0000));
        flat[47] = W::splat(t, 8 * (64 + 129));
        let mut state = self.inner;
        for block in &message {
            state = compress(t, &state, block);
        }
        compress(t, &self.outer, &last_block(t, &state))
    }
}

/// 32 bytes that follow a block of 64, padded.
#[inline(always)]
fn last_block<S: Simd>(t: S, message: &Words) -> [W; 16] {
    let mut block = [W::splat(t, 0); 16];
    block[..8].copy_from_slice(message);
    block[8] = W::splat(t, 0x8000_0000);
    block[15] = W::splat(t, 8 * (64 + 32));
    block
}

/// Derives the nonces from key, digest and entropy. A nonce out of range is no nonce: the lane that
/// gets it goes to scalar code.
#[inline(always)]
pub(crate) fn derive<S: Simd>(t: S, sign: &[Sign], nonces: &mut [Generate]) {
    for (item, generate) in sign.iter().zip(nonces) {
        let seed = [words(t, &item.key), words(t, &item.digest), words(t, &item.entropy)];
        // Steps b to g.
        let value = [W::splat(t, 0x0101_0101); 8];
        let key = Hmac::new(t, &[W::splat(t, 0); 8]).of_seed(t, &value, 0, &seed);
        let hmac = Hmac::new(t, &key);
        let value = hmac.of_words(t, &value);
        let key = hmac.of_seed(t, &value, 1, &seed);
        let hmac = Hmac::new(t, &key);
        let value = hmac.of_words(t, &value);
        // Step h.
        let nonce = hmac.of_words(t, &value);
        for i in 0..4 {
            t.store_halves(nonce[2 * i].0, nonce[2 * i + 1].0, &mut generate.scalar[3 - i]);
        }
    }
}

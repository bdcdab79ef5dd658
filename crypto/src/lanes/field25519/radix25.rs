// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ten limbs of 26 and 25 bits in turn, for multiplications of 32 bits (AVX2).
//!
//! Limb 2 i has weight 2^(51 i), limb 2 i + 1 weight 2^(51 i + 26): a pair is a limb of 51 bits. Bounds, by type, so that
//! no sum overflows 64 bits and no factor, nor 19 times it, exceeds the 32 bits that are multiplied:
//! - [`Fe`], carried: even limbs < 2^26 + 2^13, odd limbs < 2^25 + 2^17.
//! - [`Product`]: even columns < 2^59.1, odd ones < 2^58.4. The largest is column 0 of a multiplication: a product of
//!   even limbs < 2^52.1, and 19 times four such and five doubled products of odd limbs < 2^50.1.
//! - [`Loose`], a sum or difference of few products: columns < 2^62.
//!
//! Products are written in assembly. Ten columns and what is multiplied just fit sixteen registers, but the compiler
//! orders the products so that columns go to memory and back.

use core::arch::asm;
use core::arch::x86_64::__m256i;
use core::mem::MaybeUninit;

use crate::lanes::avx::{Half, Mask, V, Without};
use crate::lanes::products::{factor, first, terms};
use crate::lanes::simd::{Simd as _, Vector as _};
use crate::wipe::Plain;

type Token = Half<Without>;
type Limbs = [V<Without>; 10];

/// Carried limbs: a factor.
#[derive(Clone, Copy)]
pub(crate) struct Fe(Limbs);

// SAFETY: integers.
unsafe impl Plain for Fe {}

/// The uncarried outcome of one multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Product(Limbs);

/// An uncarried sum or difference.
#[derive(Clone, Copy)]
pub(crate) struct Loose(Limbs);

const MASK26: u64 = (1 << 26) - 1;
const MASK25: u64 = (1 << 25) - 1;

/// Two chains of carries, half a turn apart.
#[inline(always)]
fn carry(t: Token, mut a: Limbs) -> Fe {
    let (even, odd) = (t.splat(MASK26), t.splat(MASK25));
    // Not a loop: the compiler would keep it, and the limbs in memory.
    macro_rules! step {
        (even $i:literal) => {
            a[$i + 1] = a[$i + 1] + a[$i].shr::<26>();
            a[$i] = a[$i] & even;
        };
        (odd $i:literal) => {
            a[$i + 1] = a[$i + 1] + a[$i].shr::<25>();
            a[$i] = a[$i] & odd;
        };
    }
    step!(even 0);
    step!(odd 5);
    step!(odd 1);
    step!(even 6);
    step!(even 2);
    step!(odd 7);
    step!(odd 3);
    step!(even 8);
    step!(even 4);
    // 2^255 = 19: what leaves the top limb comes back 19-fold.
    a[0] = a[0] + t.times19(a[9].shr::<25>());
    a[9] = a[9] & odd;
    step!(odd 5);
    step!(even 0);
    Fe(a)
}

#[inline(always)]
fn add(mut a: Limbs, b: Limbs) -> Limbs {
    for i in 0..10 {
        a[i] = a[i] + b[i];
    }
    a
}

/// `a − b` plus 2^35·p, whose limbs (about 2^61 and 2^60) exceed every column of a product.
#[inline(always)]
fn sub(t: Token, mut a: Limbs, b: Limbs) -> Limbs {
    for i in 0..10 {
        let limb = if i == 0 { MASK26 - 18 } else { MASK26 >> (i % 2) };
        a[i] = a[i] + t.splat(limb << 35) - b[i];
    }
    a
}

#[inline(always)]
fn select(mut a: Limbs, mask: Mask, other: Limbs) -> Limbs {
    for i in 0..10 {
        a[i] = a[i].select(mask, other[i]);
    }
    a
}

/// The columns of f·g, of `factors` f and a `table` of 19 g, then g.
///
/// Column k of row i is f_i times g_(k − i), or 19 times g_(k − i + 10), and either lies i limbs before where row 0
/// finds its own. Where i and k − i are odd, weights multiply to twice the column's.
#[inline]
#[target_feature(enable = "avx2")]
fn columns(factors: &Limbs, table: &[V<Without>; 20]) -> Limbs {
    let mut c = [const { MaybeUninit::<__m256i>::uninit() }; 10];
    // SAFETY: compiled for AVX2. Rows read f_0 to f_9, and ten limbs of the table from its tenth to its first.
    unsafe {
        asm!(
            "vmovdqa ymm10, [{f}]",
            first!("ymm10" by "g": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            "2:",
            "sub {g}, 32",
            factor!("f": 1),
            terms!("ymm11" by "g": 0 => 0, 2 => 2, 4 => 4, 6 => 6, 8 => 8),
            terms!("ymm10" by "g": 1 => 1, 3 => 3, 5 => 5, 7 => 7, 9 => 9),
            "cmp {g}, {last}",
            "je 3f",
            "vmovdqa ymm10, [{f} + 64]",
            "add {f}, 64",
            "sub {g}, 32",
            terms!("ymm10" by "g": 0 => 0, 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            "jmp 2b",
            "3:",
            f = inout(reg) factors.as_ptr() => _,
            g = inout(reg) table[10..].as_ptr() => _,
            last = in(reg) table[1..].as_ptr(),
            out("ymm0") c[0], out("ymm1") c[1], out("ymm2") c[2], out("ymm3") c[3], out("ymm4") c[4],
            out("ymm5") c[5], out("ymm6") c[6], out("ymm7") c[7], out("ymm8") c[8], out("ymm9") c[9],
            out("ymm10") _, out("ymm11") _, out("ymm12") _,
            options(readonly, nostack),
        );
        core::mem::transmute(c)
    }
}

/// The columns of f²: products of different limbs count twice, of odd ones once more. `wrapped` are 19 f_5 to 19 f_9.
#[inline]
#[target_feature(enable = "avx2")]
fn columns_of_square(factors: &Limbs, wrapped: &[V<Without>; 5]) -> Limbs {
    /// Four times the limb into `ymm11`, after [`factor`].
    macro_rules! four {
        () => {
            "vpaddq ymm11, ymm11, ymm11\n"
        };
    }
    let mut c = [const { MaybeUninit::<__m256i>::uninit() }; 10];
    // SAFETY: compiled for AVX2. What is read are the ten and the five limbs.
    unsafe {
        asm!(
            factor!("f": 0),
            first!("ymm10" by "f": 0 => 0),
            first!("ymm11" by "f": 1 => 1, 2 => 2, 3 => 3, 4 => 4, 5 => 5, 6 => 6, 7 => 7, 8 => 8, 9 => 9),
            factor!("f": 1),
            terms!("ymm11" by "f": 1 => 2, 2 => 3, 4 => 5, 6 => 7, 8 => 9),
            four!(),
            terms!("ymm11" by "f": 3 => 4, 5 => 6, 7 => 8),
            terms!("ymm11" by "w": 9 => 0),
            factor!("f": 2),
            terms!("ymm10" by "f": 2 => 4),
            terms!("ymm11" by "f": 3 => 5, 4 => 6, 5 => 7, 6 => 8, 7 => 9),
            terms!("ymm11" by "w": 8 => 0, 9 => 1),
            factor!("f": 3),
            terms!("ymm11" by "f": 3 => 6, 4 => 7, 6 => 9),
            terms!("ymm11" by "w": 8 => 1),
            four!(),
            terms!("ymm11" by "f": 5 => 8),
            terms!("ymm11" by "w": 7 => 0, 9 => 2),
            factor!("f": 4),
            terms!("ymm10" by "f": 4 => 8),
            terms!("ymm11" by "f": 5 => 9),
            terms!("ymm11" by "w": 6 => 0, 7 => 1, 8 => 2, 9 => 3),
            factor!("f": 5),
            terms!("ymm11" by "w": 5 => 0, 6 => 1, 8 => 3),
            four!(),
            terms!("ymm11" by "w": 7 => 2, 9 => 4),
            factor!("f": 6),
            terms!("ymm10" by "w": 6 => 2),
            terms!("ymm11" by "w": 7 => 3, 8 => 4, 9 => 5),
            factor!("f": 7),
            terms!("ymm11" by "w": 7 => 4, 8 => 5),
            four!(),
            terms!("ymm11" by "w": 9 => 6),
            factor!("f": 8),
            terms!("ymm10" by "w": 8 => 6),
            terms!("ymm11" by "w": 9 => 7),
            factor!("f": 9),
            terms!("ymm11" by "w": 9 => 8),
            f = in(reg) factors.as_ptr(),
            // Where 19 f_0 would lie.
            w = in(reg) wrapped.as_ptr().wrapping_sub(5),
            out("ymm0") c[0], out("ymm1") c[1], out("ymm2") c[2], out("ymm3") c[3], out("ymm4") c[4],
            out("ymm5") c[5], out("ymm6") c[6], out("ymm7") c[7], out("ymm8") c[8], out("ymm9") c[9],
            out("ymm10") _, out("ymm11") _, out("ymm12") _,
            options(pure, readonly, nostack, preserves_flags),
        );
        core::mem::transmute(c)
    }
}

impl super::Field<Token> for Fe {
    type Product = Product;

    #[inline(always)]
    fn small(t: Token, value: u64) -> Self {
        let mut limbs = [t.zero(); 10];
        limbs[0] = t.splat(value);
        Self(limbs)
    }

    #[inline(always)]
    fn from_limbs(t: Token, limbs: [V<Without>; 5]) -> Self {
        let mut result = [t.zero(); 10];
        for i in 0..5 {
            result[2 * i] = limbs[i] & t.splat(MASK26);
            result[2 * i + 1] = limbs[i].shr::<26>();
        }
        Self(result)
    }

    #[inline(always)]
    fn to_limbs(self, t: Token) -> [V<Without>; 5] {
        let mut result = [t.zero(); 5];
        for i in 0..5 {
            result[i] = self.0[2 * i] + self.0[2 * i + 1].shl::<26>();
        }
        result
    }

    #[inline(always)]
    fn times(self, t: Token, other: Self) -> Product {
        let mut table = [t.zero(); 20];
        for i in 0..10 {
            table[i] = other.0[i].mul32(t.splat(19));
            table[10 + i] = other.0[i];
        }
        // SAFETY: the token proves AVX2.
        Product(unsafe { columns(&self.0, &table) })
    }

    #[inline(always)]
    fn squared(self, t: Token) -> Product {
        let mut wrapped = [t.zero(); 5];
        for i in 0..5 {
            wrapped[i] = self.0[5 + i].mul32(t.splat(19));
        }
        // SAFETY: the token proves AVX2.
        Product(unsafe { columns_of_square(&self.0, &wrapped) })
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        Self(select(self.0, mask, other.0))
    }

    #[inline(always)]
    fn rotate<const N: i32>(mut self) -> Self {
        for limb in &mut self.0 {
            *limb = limb.rotate::<N>();
        }
        self
    }
}

impl From<Fe> for Product {
    #[inline(always)]
    fn from(carried: Fe) -> Self {
        Self(carried.0)
    }
}

impl super::Product<Token> for Product {
    type Carried = Fe;
    type Loose = Loose;

    #[inline(always)]
    fn carry(self, t: Token) -> Fe {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Loose {
        Loose(add(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: Token, other: Self) -> Loose {
        Loose(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn plus_small_multiple(mut self, t: Token, factor: u64, other: Fe) -> Loose {
        for i in 0..10 {
            self.0[i] = self.0[i] + other.0[i].mul32(t.splat(factor));
        }
        Loose(self.0)
    }
}

impl super::Loose<Token> for Loose {
    type Carried = Fe;
    type Product = Product;

    #[inline(always)]
    fn carry(self, t: Token) -> Fe {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Product) -> Self {
        Self(add(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: Token, other: Product) -> Self {
        Self(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn select(self, mask: Mask, other: Self) -> Self {
        Self(select(self.0, mask, other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Field as _, Loose as _, Product as _, to_words};
    use super::*;
    use crate::cpu::Avx2;
    use crate::lanes::vector::Block;
    use num_bigint::BigUint;

    fn p() -> BigUint {
        (BigUint::from(1_u8) << 255) - 19_u8
    }

    /// The integer that limbs stand for.
    fn integer(limbs: [u64; 10]) -> BigUint {
        let weighted = limbs.iter().enumerate().map(|(i, limb)| BigUint::from(*limb) << (i * 51).div_ceil(2));
        weighted.sum()
    }

    fn element(t: Token, limbs: [u64; 10]) -> Fe {
        Fe(limbs.map(|limb| t.splat(limb)))
    }

    /// The first lane, below p.
    fn value(t: Token, element: Fe) -> BigUint {
        let mut words = [Block::ZERO; 4];
        t.compiled(
            #[inline(always)]
            || to_words(t, element, &mut words),
        );
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.0[0].to_le_bytes()).collect();
        BigUint::from_bytes_le(&bytes)
    }

    /// Limbs at the ends of their bounds, where a column would overflow first.
    #[test]
    fn arithmetic_at_the_bounds() {
        let Some(t) = Avx2::detect().map(Avx2::lanes) else {
            eprintln!("skipped: this CPU has no AVX2");
            return;
        };
        let largest =
            std::array::from_fn(|i| if i % 2 == 0 { (1 << 26) + (1 << 13) } else { (1 << 25) + (1 << 17) });
        let mut cases: Vec<[u64; 10]> =
            vec![[0; 10], largest, integer_limbs(&(p() - 1_u8)), integer_limbs(&p())];
        for i in 0..10 {
            let mut alone = [0; 10];
            alone[i] = largest[i];
            let mut without = largest;
            without[i] = 0;
            cases.extend([alone, without]);
        }
        for a in &cases {
            for b in &cases {
                let (x, y) = (integer(*a), integer(*b));
                let (product, square, d, q) = t.compiled(
                    #[inline(always)]
                    || {
                        let (a, b) = (element(t, *a), element(t, *b));
                        let (product, square) = (a.times(t, b), a.squared(t));
                        let d = product.plus(product).minus(t, square).carry(t);
                        let q = square.plus_small_multiple(t, (1 << 17) - 1, b).carry(t);
                        (product.carry(t), square.carry(t), d, q)
                    },
                );
                assert_eq!(value(t, product), &x * &y % p());
                assert_eq!(value(t, square), &x * &x % p());
                // Twice the product, less the square.
                assert_eq!((value(t, d) + &x * &x) % p(), &x * &y * 2_u8 % p());
                assert_eq!(value(t, q), (&x * &x + &y * ((1_u32 << 17) - 1)) % p());
                for limbs in [product, square, d, q] {
                    for (i, limb) in limbs.0.into_iter().enumerate() {
                        let mut block = Block::ZERO;
                        t.store(limb, &mut block);
                        assert!(block.0[0] <= largest[i], "limb {i}");
                    }
                }
            }
        }
    }

    /// Limbs of an integer of 255 bits.
    fn integer_limbs(integer: &BigUint) -> [u64; 10] {
        std::array::from_fn(|i| {
            let rest = integer >> (i * 51).div_ceil(2);
            (rest & BigUint::from(MASK26 >> (i % 2))).try_into().expect("a limb")
        })
    }
}

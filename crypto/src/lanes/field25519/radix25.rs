// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ten limbs of 26 and 25 bits in turn, for multiplications of 32 bits (AVX2).
//!
//! Limb 2 i has weight 2^(51 i), limb 2 i + 1 weight 2^(51 i + 26): a pair is a limb of 51 bits. Bounds, by type, so that
//! no sum overflows 64 bits and no factor, nor 19 times it, exceeds the 32 bits that are multiplied:
//! - [`Fe`], carried: even limbs < 2^26 + 2^13, odd limbs < 2^25 + 2^17.
//! - [`Product`]: even columns < 2^59.1, odd ones < 2^58.4. The largest is column 0 of a multiplication: a product of
//!   even limbs < 2^52.1, and 19 times four such and five doubled products of odd limbs < 2^50.1.
//! - [`Loose`], a sum or difference of few products: columns < 2^62.

use super::invertible;
use crate::lanes::avx::{Half, Without};
use crate::lanes::simd::{Simd, Simd32, Vector as _, Vector32 as _};
use crate::wipe::Plain;

type Limbs<S> = [<S as Simd>::Vector; 10];

/// Carried limbs: a factor.
#[derive(Clone, Copy)]
pub(crate) struct Fe<S: Simd32>(Limbs<S>);

// SAFETY: integers.
unsafe impl<S: Simd32> Plain for Fe<S> {}

/// The uncarried outcome of one multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Product<S: Simd32>(Limbs<S>);

/// An uncarried sum or difference.
#[derive(Clone, Copy)]
pub(crate) struct Loose<S: Simd32>(Limbs<S>);

const MASK26: u64 = (1 << 26) - 1;
const MASK25: u64 = (1 << 25) - 1;

/// Two chains of carries, half a turn apart.
#[inline(always)]
fn carry<S: Simd32>(t: S, mut a: Limbs<S>) -> Fe<S> {
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
fn add<S: Simd32>(mut a: Limbs<S>, b: Limbs<S>) -> Limbs<S> {
    for i in 0..10 {
        a[i] = a[i] + b[i];
    }
    a
}

/// `a − b` plus 2^35·p, whose limbs (about 2^61 and 2^60) exceed every column of a product.
#[inline(always)]
fn sub<S: Simd32>(t: S, mut a: Limbs<S>, b: Limbs<S>) -> Limbs<S> {
    for i in 0..10 {
        let limb = if i == 0 { MASK26 - 18 } else { MASK26 >> (i % 2) };
        a[i] = a[i] + t.splat(limb << 35) - b[i];
    }
    a
}

#[inline(always)]
fn select<S: Simd32>(mut a: Limbs<S>, mask: S::Mask, other: Limbs<S>) -> Limbs<S> {
    for i in 0..10 {
        a[i] = a[i].select(mask, other[i]);
    }
    a
}

impl<S: Simd32> super::Field<S> for Fe<S> {
    type Product = Product<S>;

    #[inline(always)]
    fn small(t: S, value: u64) -> Self {
        let mut limbs = [t.zero(); 10];
        limbs[0] = t.splat(value);
        Self(limbs)
    }

    #[inline(always)]
    fn from_limbs(t: S, limbs: [S::Vector; 5]) -> Self {
        let mut result = [t.zero(); 10];
        for i in 0..5 {
            result[2 * i] = limbs[i] & t.splat(MASK26);
            result[2 * i + 1] = limbs[i].shr::<26>();
        }
        Self(result)
    }

    #[inline(always)]
    fn to_limbs(self, t: S) -> [S::Vector; 5] {
        let mut result = [t.zero(); 5];
        for i in 0..5 {
            result[i] = self.0[2 * i] + self.0[2 * i + 1].shl::<26>();
        }
        result
    }

    #[inline(always)]
    fn times(self, t: S, other: Self) -> Product<S> {
        let mut table = [t.zero(); 20];
        for i in 0..10 {
            table[i] = other.0[i].mul32(t.splat(19));
            table[10 + i] = other.0[i];
        }
        Product(t.product25(&self.0, &table))
    }

    #[inline(always)]
    fn squared(self, t: S) -> Product<S> {
        let mut wrapped = [t.zero(); 5];
        for i in 0..5 {
            wrapped[i] = self.0[5 + i].mul32(t.splat(19));
        }
        Product(t.square25(&self.0, &wrapped))
    }

    #[inline(always)]
    fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(select::<S>(self.0, mask, other.0))
    }

    #[inline(always)]
    fn rotate<const N: i32>(mut self) -> Self {
        for limb in &mut self.0 {
            *limb = limb.rotate::<N>();
        }
        self
    }
}

impl<S: Simd32> From<Fe<S>> for Product<S> {
    #[inline(always)]
    fn from(carried: Fe<S>) -> Self {
        Self(carried.0)
    }
}

impl<S: Simd32> super::Product<S> for Product<S> {
    type Carried = Fe<S>;
    type Loose = Loose<S>;

    #[inline(always)]
    fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Loose<S> {
        Loose(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: S, other: Self) -> Loose<S> {
        Loose(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn plus_small_multiple(mut self, t: S, factor: u64, other: Fe<S>) -> Loose<S> {
        for i in 0..10 {
            self.0[i] = self.0[i] + other.0[i].mul32(t.splat(factor));
        }
        Loose(self.0)
    }
}

impl<S: Simd32> super::Loose<S> for Loose<S> {
    type Carried = Fe<S>;
    type Product = Product<S>;

    #[inline(always)]
    fn carry(self, t: S) -> Fe<S> {
        carry(t, self.0)
    }

    #[inline(always)]
    fn plus(self, other: Product<S>) -> Self {
        Self(add::<S>(self.0, other.0))
    }

    #[inline(always)]
    fn minus(self, t: S, other: Product<S>) -> Self {
        Self(sub(t, self.0, other.0))
    }

    #[inline(always)]
    fn select(self, mask: S::Mask, other: Self) -> Self {
        Self(select::<S>(self.0, mask, other.0))
    }
}

impl super::Curve25519 for Half<Without> {
    type Field = Fe<Self>;
}

invertible!(Fe, Simd32);

#[cfg(test)]
mod tests {
    use super::super::{Field as _, Loose as _, Product as _, to_words};
    use super::*;
    use crate::cpu::Avx2;
    use crate::lanes::avx::{Half, Without};
    use crate::lanes::vector::Block;
    use num_bigint::BigUint;

    type Token = Half<Without>;

    fn p() -> BigUint {
        (BigUint::from(1_u8) << 255) - 19_u8
    }

    /// The integer that limbs stand for.
    fn integer(limbs: [u64; 10]) -> BigUint {
        let weighted = limbs.iter().enumerate().map(|(i, limb)| BigUint::from(*limb) << (i * 51).div_ceil(2));
        weighted.sum()
    }

    fn element(t: Token, limbs: [u64; 10]) -> Fe<Token> {
        Fe(limbs.map(|limb| t.splat(limb)))
    }

    /// The first lane, below p.
    fn value(t: Token, element: Fe<Token>) -> BigUint {
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

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products as nineteen columns of 26 bits, for multiplications of 32 bits (AVX2).
//!
//! A limb of 52 bits is two of 26: the form for R = 2^260, and all that is not a multiplication, stay as they are.
//! Columns are sums of at most ten products below 2^52; eight times that, less as much, is below 2^59.

use super::{Montgomery, Prime};
use crate::lanes::avx::{Half, Without};
use crate::lanes::simd::{Simd, Simd32, Vector as _};

/// Five limbs of 52 bits.
pub(crate) type Limbs<S> = [<S as Simd>::Vector; 5];
pub(crate) type Columns<S> = [<S as Simd>::Vector; 19];

pub(crate) const MASK: u64 = (1 << 26) - 1;

#[inline(always)]
fn halves<S: Simd32>(t: S, a: Limbs<S>) -> [S::Vector; 10] {
    let mask = t.splat(MASK);
    let mut halves = [t.zero(); 10];
    for i in 0..5 {
        halves[2 * i] = a[i] & mask;
        halves[2 * i + 1] = a[i].shr::<26>() & mask;
    }
    halves
}

/// The columns from 2^260 on, as limbs of 52 bits that are not carried.
#[inline(always)]
pub(crate) fn upper_half<S: Simd32>(t: S, c: Columns<S>) -> Limbs<S> {
    let mask = t.splat(MASK);
    let mut limbs = [c[10], c[12], c[14], c[16], c[18]];
    for i in 0..4 {
        let odd = c[11 + 2 * i];
        limbs[i] = limbs[i] + (odd & mask).shl::<26>();
        limbs[i + 1] = limbs[i + 1] + odd.sar::<26>();
    }
    limbs
}

#[inline(always)]
pub(crate) fn product<S: Simd32>(t: S, a: Limbs<S>, b: Limbs<S>) -> Columns<S> {
    t.product26(&halves(t, a), &halves(t, b))
}

#[inline(always)]
pub(crate) fn square<S: Simd32>(t: S, a: Limbs<S>) -> Columns<S> {
    t.square26(&halves(t, a))
}

#[inline(always)]
pub(crate) fn difference<S: Simd32>(mut a: Columns<S>, b: Columns<S>) -> Columns<S> {
    for i in 0..19 {
        a[i] = a[i] - b[i];
    }
    a
}

#[inline(always)]
pub(crate) fn times8<S: Simd32>(mut a: Columns<S>) -> Columns<S> {
    for column in &mut a {
        *column = column.shl::<3>();
    }
    a
}

impl Montgomery for Half<Without> {
    type Wide = Columns<Self>;
    type Value = ();

    #[inline(always)]
    fn product(self, a: Limbs<Self>, b: Limbs<Self>) -> Columns<Self> {
        product(self, a, b)
    }

    #[inline(always)]
    fn square(self, a: Limbs<Self>) -> Columns<Self> {
        square(self, a)
    }

    #[inline(always)]
    fn difference(a: Columns<Self>, b: Columns<Self>) -> Columns<Self> {
        difference::<Self>(a, b)
    }

    #[inline(always)]
    fn times8(a: Columns<Self>) -> Columns<Self> {
        times8::<Self>(a)
    }

    #[inline(always)]
    fn reduce<M: Prime>(self, wide: Columns<Self>) -> Limbs<Self> {
        M::reduce26(self, wide)
    }
}

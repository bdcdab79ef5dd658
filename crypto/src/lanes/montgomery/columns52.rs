// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products as ten columns of 52 bits, for IFMA.

use super::{Montgomery, Prime};
use crate::cpu::Ifma;
#[cfg(feature = "std")]
use crate::lanes::avx::{Evex, Half, Vex};
use crate::lanes::simd::{Simd, Simd52, Vector as _, Vector52 as _};

pub(crate) type Columns<S> = [<S as Simd>::Vector; 10];

#[inline(always)]
pub(crate) fn product<S: Simd52>(t: S, a: [S::Vector; 5], b: [S::Vector; 5]) -> Columns<S> {
    let mut c = [t.zero(); 10];
    for i in 0..5 {
        for j in 0..5 {
            c[i + j] = c[i + j].madd_lo(a[i], b[j]);
            c[i + j + 1] = c[i + j + 1].madd_hi(a[i], b[j]);
        }
    }
    c
}

#[inline(always)]
pub(crate) fn square<S: Simd52>(t: S, a: [S::Vector; 5]) -> Columns<S> {
    let mut c = [t.zero(); 10];
    for i in 0..5 {
        for j in i + 1..5 {
            c[i + j] = c[i + j].madd_lo(a[i], a[j]);
            c[i + j + 1] = c[i + j + 1].madd_hi(a[i], a[j]);
        }
    }
    for column in &mut c[1..9] {
        *column = *column + *column;
    }
    for i in 0..5 {
        c[2 * i] = c[2 * i].madd_lo(a[i], a[i]);
        c[2 * i + 1] = c[2 * i + 1].madd_hi(a[i], a[i]);
    }
    c
}

#[inline(always)]
pub(crate) fn difference<S: Simd52>(mut a: Columns<S>, b: Columns<S>) -> Columns<S> {
    for i in 0..10 {
        a[i] = a[i] - b[i];
    }
    a
}

#[inline(always)]
pub(crate) fn times8<S: Simd52>(mut a: Columns<S>) -> Columns<S> {
    for column in &mut a {
        *column = column.shl::<3>();
    }
    a
}

macro_rules! montgomery {
    ($set:ty) => {
        impl Montgomery for $set {
            type Wide = Columns<Self>;
            type Value = ();

            #[inline(always)]
            fn product(self, a: [Self::Vector; 5], b: [Self::Vector; 5]) -> Columns<Self> {
                product(self, a, b)
            }

            #[inline(always)]
            fn square(self, a: [Self::Vector; 5]) -> Columns<Self> {
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
            fn reduce<M: Prime>(self, wide: Columns<Self>) -> [Self::Vector; 5] {
                M::reduce52(self, wide)
            }
        }
    };
}

montgomery!(Ifma);
#[cfg(feature = "std")]
montgomery!(Half<Vex>);
#[cfg(feature = "std")]
montgomery!(Half<Evex>);

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products and reductions of numbers in groups of five limbs, tile by tile: what RSA's lanes do most of their time.
//!
//! To be inlined into functions that are compiled for IFMA. Any IFMA will do, so that [`crate::lanes::bounds`] can run it too.

use crate::lanes::simd::{Simd52, Vector as _, Vector52};
use crate::lanes::vector::{Block, MASK52};

/// Five limbs.
pub(crate) type Group = [Block; 5];

/// An odd modulus and what its Montgomery form needs.
#[derive(Clone, Copy)]
pub(crate) struct Modulus<const K: usize> {
    pub(crate) m: [Group; K],
    /// −m⁻¹ mod 2^52; further bits are ignored.
    pub(crate) m0: Block,
    /// R² mod m.
    pub(crate) r2: [Group; K],
}

#[inline(always)]
pub(crate) fn load<S: Simd52>(t: S, group: &Group) -> [S::Vector; 5] {
    let [a, b, c, d, e] = group;
    [t.load(&a.0), t.load(&b.0), t.load(&c.0), t.load(&d.0), t.load(&e.0)]
}

#[inline(always)]
pub(crate) fn store<S: Simd52>(t: S, values: [S::Vector; 5], group: &mut Group) {
    for j in 0..5 {
        t.store(values[j], &mut group[j]);
    }
}

/// Carries from limb to limb, signs included; the number itself is not negative.
#[inline(always)]
pub(crate) fn carry<S: Simd52, const K: usize>(t: S, number: &mut [Group; K]) {
    let mask = t.splat(MASK52);
    let mut carry = t.zero();
    for limb in number.as_flattened_mut() {
        let sum = t.load(&limb.0) + carry;
        carry = sum.sar::<52>();
        t.store(sum & mask, limb);
    }
}

/// A tile: the ten columns of `low` and `high` plus `a`·`b`.
#[inline(always)]
fn multiply_tile<V: Vector52>(low: &mut [V; 5], high: &mut [V; 5], a: &[V; 5], b: &[V; 5]) {
    let mut c = [low[0], low[1], low[2], low[3], low[4], high[0], high[1], high[2], high[3], high[4]];
    // Five low products, then five high ones: each waits for the one five before, whose four cycles
    // of latency are over.
    for i in 0..5 {
        for j in 0..5 {
            c[i + j] = c[i + j].madd_lo(a[i], b[j]);
        }
        for j in 0..5 {
            c[i + j + 1] = c[i + j + 1].madd_hi(a[i], b[j]);
        }
    }
    *low = [c[0], c[1], c[2], c[3], c[4]];
    *high = [c[5], c[6], c[7], c[8], c[9]];
}

/// wide ← a·b, not carried.
#[inline(always)]
pub(crate) fn product<S: Simd52, const K: usize>(t: S, wide: &mut [Group], a: &[Group; K], b: &[Group; K]) {
    for i in 0..K {
        let a = load(t, &a[i]);
        let mut low = if i == 0 { [t.zero(); 5] } else { load(t, &wide[i]) };
        for j in 0..K {
            // What no row has reached yet is zero.
            let fresh = i == 0 || j == K - 1;
            let mut high = if fresh { [t.zero(); 5] } else { load(t, &wide[i + j + 1]) };
            multiply_tile(&mut low, &mut high, &a, &load(t, &b[j]));
            store(t, low, &mut wide[i + j]);
            low = high;
        }
        store(t, low, &mut wide[i + K]);
    }
}

/// wide ← a², not carried: tiles off the diagonal once, doubled, then those on it.
#[inline(always)]
pub(crate) fn product_with_itself<S: Simd52, const K: usize>(t: S, wide: &mut [Group], a: &[Group; K]) {
    for i in 0..K - 1 {
        let first = load(t, &a[i]);
        let mut low = if i == 0 { [t.zero(); 5] } else { load(t, &wide[2 * i + 1]) };
        for j in i + 1..K {
            // What no row has reached yet is zero.
            let fresh = i == 0 || j == K - 1;
            let mut high = if fresh { [t.zero(); 5] } else { load(t, &wide[i + j + 1]) };
            multiply_tile(&mut low, &mut high, &first, &load(t, &a[j]));
            store(t, low, &mut wide[i + j]);
            low = high;
        }
        store(t, low, &mut wide[i + K]);
    }
    for i in 0..K {
        let a = load(t, &a[i]);
        // No row reached the first group and the last.
        let low = if i == 0 { [t.zero(); 5] } else { load(t, &wide[2 * i]) };
        let high = if i == K - 1 { [t.zero(); 5] } else { load(t, &wide[2 * i + 1]) };
        let mut c = [low[0], low[1], low[2], low[3], low[4], high[0], high[1], high[2], high[3], high[4]];
        for i in 0..5 {
            for j in i + 1..5 {
                c[i + j] = c[i + j].madd_lo(a[i], a[j]);
                c[i + j + 1] = c[i + j + 1].madd_hi(a[i], a[j]);
            }
        }
        for column in &mut c {
            *column = *column + *column;
        }
        for i in 0..5 {
            c[2 * i] = c[2 * i].madd_lo(a[i], a[i]);
            c[2 * i + 1] = c[2 * i + 1].madd_hi(a[i], a[i]);
        }
        store(t, [c[0], c[1], c[2], c[3], c[4]], &mut wide[2 * i]);
        store(t, [c[5], c[6], c[7], c[8], c[9]], &mut wide[2 * i + 1]);
    }
}

/// out ← wide/R, carried, destroying `wide`.
#[inline(always)]
pub(crate) fn reduce<S: Simd52, const K: usize>(
    t: S,
    modulus: &Modulus<K>,
    out: &mut [Group; K],
    wide: &mut [Group],
) {
    let m0 = t.load(&modulus.m0.0).low52();
    let lowest = load(t, &modulus.m[0]);
    let mut low = load(t, &wide[0]);
    for i in 0..K {
        let high = load(t, &wide[i + 1]);
        let mut c = [low[0], low[1], low[2], low[3], low[4], high[0], high[1], high[2], high[3], high[4]];
        let mut q = [t.zero(); 5];
        for k in 0..5 {
            // This multiple of m clears column k.
            q[k] = t.zero().madd_lo(c[k].low52(), m0);
            // The next column is on the critical path: its three parts are made side by side.
            let carry = c[k].madd_lo(q[k], lowest[0]).shr::<52>();
            let part = t.zero().madd_lo(q[k], lowest[1]);
            c[k + 1] = c[k + 1].madd_hi(q[k], lowest[0]) + part + carry;
            for j in 2..5 {
                c[k + j] = c[k + j].madd_lo(q[k], lowest[j]);
            }
            for j in 1..5 {
                c[k + j + 1] = c[k + j + 1].madd_hi(q[k], lowest[j]);
            }
        }
        low = [c[5], c[6], c[7], c[8], c[9]];
        let mut next = None;
        for j in 1..K {
            let mut high = load(t, &wide[i + j + 1]);
            multiply_tile(&mut low, &mut high, &q, &load(t, &modulus.m[j]));
            if j == 1 {
                next = Some(low);
            } else {
                store(t, low, &mut wide[i + j]);
            }
            low = high;
        }
        store(t, low, &mut wide[i + K]);
        low = next.unwrap_or(low);
    }
    let mask = t.splat(MASK52);
    let mut carry = t.zero();
    for i in 0..K {
        let group = if i == 0 { low } else { load(t, &wide[K + i]) };
        for j in 0..5 {
            let sum = group[j] + carry;
            carry = sum.shr::<52>();
            t.store(sum & mask, &mut out[i][j]);
        }
    }
}

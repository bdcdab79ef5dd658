// SPDX-License-Identifier: MIT OR Apache-2.0
//! X25519 (RFC 7748), eight lanes: key generation on the Edwards comb, agreement on the Montgomery ladder.

use super::field25519::{Curve25519, Field, Loose as _, Product as _, from_words, to_words};
use super::invert::invert_all;
use super::recode::{Digit, odd};
use super::simd::Vector as _;
use super::vector::{Block, Mask};
use super::{LANES, VECTORS};
use crate::wipe::{Plain, wipe};
use crate::x25519::table::{ENTRIES, TABLE, WINDOW, WINDOWS};

type Fe<S> = <S as Curve25519>::Field;
type Product<S> = <Fe<S> as Field<S>>::Product;

/// Eight key pairs to make. Integers are little-endian words, one lane per item.
#[derive(Clone, Copy)]
pub(crate) struct Generate {
    /// In: 32 uniform bytes; clamped inside.
    pub(crate) private: [Block; 4],
    /// Out: the u-coordinate.
    pub(crate) public: [Block; 4],
}

// SAFETY: integers.
unsafe impl Plain for Generate {}

/// Eight shared secrets to compute.
#[derive(Clone, Copy)]
pub(crate) struct Agree {
    /// In: 32 uniform bytes; clamped inside.
    pub(crate) private: [Block; 4],
    /// In: the peer's u-coordinate, any 32 bytes.
    pub(crate) peer: [Block; 4],
    /// Out: the shared u-coordinate.
    pub(crate) shared: [Block; 4],
    /// Out: lanes whose peer point has low order; their `shared` means nothing.
    pub(crate) low_order: Mask,
}

// SAFETY: integers, and a mask of lanes.
unsafe impl Plain for Agree {}

/// Fractions of one pass, first those of [`Generate`], then those of [`Agree`].
pub(crate) struct Scratch<S: Curve25519, const PARTS: usize> {
    numerators: [[Fe<S>; PARTS]; 2 * VECTORS],
    denominators: [[Fe<S>; PARTS]; 2 * VECTORS],
    products: [[Fe<S>; PARTS]; 2 * VECTORS],
}

/// Computes up to [`VECTORS`] vectors of each kind with one inversion for all. Of the last vectors, parts that
/// begin after the last item are left out.
#[inline(always)]
pub(crate) fn run<S: Curve25519, const PARTS: usize>(
    t: S,
    (generate, to_generate): (&mut [Generate], usize),
    (agree, to_agree): (&mut [Agree], usize),
    scratch: &mut Scratch<S, PARTS>,
) {
    const { assert!(PARTS == S::PARTS) };
    let used = |vector: usize, part: usize, items: usize| (vector * PARTS + part) * (LANES / PARTS) < items;
    let one = Fe::<S>::small(t, 1);
    let generated = generate.len().min(VECTORS);
    let count = generated + agree.len().min(VECTORS);
    if count == 0 {
        return;
    }
    let Scratch { numerators, denominators, products } = scratch;
    for (i, item) in generate.iter().enumerate().take(VECTORS) {
        for part in 0..PARTS {
            (numerators[i][part], denominators[i][part]) = if used(i, part, to_generate) {
                multiply_base(t.part(part), &item.private)
            } else {
                (one, one)
            };
        }
    }
    for (i, item) in agree.iter().enumerate().take(VECTORS) {
        let place = generated + i;
        for part in 0..PARTS {
            (numerators[place][part], denominators[place][part]) = if used(i, part, to_agree) {
                multiply(t.part(part), &item.private, &item.peer)
            } else {
                (one, one)
            };
        }
    }
    let zeros: [Mask; 2 * VECTORS] = invert_all(t, &mut denominators[..count], &mut products[..count]);
    for (i, item) in generate.iter_mut().enumerate().take(VECTORS) {
        for part in 0..PARTS {
            let t = t.part(part);
            to_words(t, numerators[i][part].times(t, denominators[i][part]).carry(t), &mut item.public);
        }
    }
    for (i, item) in agree.iter_mut().enumerate().take(VECTORS) {
        let i = generated + i;
        item.low_order = zeros[i];
        for part in 0..PARTS {
            let t = t.part(part);
            to_words(t, numerators[i][part].times(t, denominators[i][part]).carry(t), &mut item.shared);
            let [a, b, c, d] = &item.shared;
            let all_zero = (t.load(&a.0) | t.load(&b.0) | t.load(&c.0) | t.load(&d.0)).is_zero();
            item.low_order = item.low_order | t.bits(all_zero);
        }
    }
    wipe(numerators[..count].as_flattened_mut());
    wipe(denominators[..count].as_flattened_mut());
    wipe(products[..count].as_flattened_mut());
}

/// decodeScalar25519 (RFC 7748 §5).
#[inline(always)]
fn clamped<S: Curve25519>(t: S, private: &[Block; 4]) -> [S::Vector; 4] {
    let [a, b, c, d] = private;
    [
        t.load(&a.0) & t.splat(!7),
        t.load(&b.0),
        t.load(&c.0),
        t.load(&d.0) & t.splat(u64::MAX >> 1) | t.splat(1 << 62),
    ]
}

/// A u-coordinate X/Z.
#[derive(Clone, Copy)]
struct Point<S: Curve25519> {
    x: Product<S>,
    z: Product<S>,
}

/// The u-coordinate of scalar·(point of coordinate `peer`) as a fraction.
#[inline(always)]
fn multiply<S: Curve25519>(t: S, private: &[Block; 4], peer: &[Block; 4]) -> (Fe<S>, Fe<S>) {
    let scalar = clamped(t, private);
    let u = from_words::<S, Fe<S>>(t, peer);
    let start = Point { x: u.into(), z: Fe::<S>::small(t, 1).into() };
    // Bit 254 is always set: q is twice the point, r once; so far q is the higher of the two.
    let (mut q, mut r) = (double(t, sum(t, start), difference(t, start)), start);
    let mut before = t.all();
    for position in (3..254).rev() {
        let bit = scalar[position / 64].test(t.splat(1 << (position % 64)));
        let swap = bit ^ before;
        before = bit;
        let (a, b, c, d) = (sum(t, q), difference(t, q), sum(t, r), difference(t, r));
        let (da, cb) = (d.times(t, a), c.times(t, b));
        // The sum is the same for either order, so only the doubled point is selected.
        q = double(t, a.select(swap, c), b.select(swap, d));
        let (g, h) = (da.plus(cb).carry(t), da.minus(t, cb).carry(t));
        r = Point { x: g.squared(t), z: u.times(t, h.squared(t).carry(t)) };
    }
    // The last three bits are zero.
    let (a, b, c, d) = (sum(t, q), difference(t, q), sum(t, r), difference(t, r));
    let mut point = double(t, a.select(before, c), b.select(before, d));
    for _ in 0..2 {
        point = double(t, sum(t, point), difference(t, point));
    }
    (point.x.carry(t), point.z.carry(t))
}

#[inline(always)]
fn sum<S: Curve25519>(t: S, point: Point<S>) -> Fe<S> {
    point.x.plus(point.z).carry(t)
}

#[inline(always)]
fn difference<S: Curve25519>(t: S, point: Point<S>) -> Fe<S> {
    point.x.minus(t, point.z).carry(t)
}

/// 2·(X : Z) from X + Z and X − Z.
#[inline(always)]
fn double<S: Curve25519>(t: S, sum: Fe<S>, difference: Fe<S>) -> Point<S> {
    /// (a + 2)/4 for the curve's a = 486662.
    const A24: u64 = 121_666;
    let (aa, bb) = (sum.squared(t), difference.squared(t));
    let e = aa.minus(t, bb).carry(t);
    let f = bb.plus_small_multiple(t, A24, e).carry(t);
    Point { x: aa.carry(t).times(t, bb.carry(t)), z: e.times(t, f) }
}

/// The order of the prime subgroup, L = 2^252 + 27742317777372353535851937790883648493.
const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// The u-coordinate of scalar·B as a fraction.
///
/// Extended twisted Edwards coordinates (Hisil, Wong, Carter, Dawson, ASIACRYPT 2008); the addition
/// is complete.
#[inline(always)]
fn multiply_base<S: Curve25519>(t: S, private: &[Block; 4]) -> (Fe<S>, Fe<S>) {
    let scalar = odd_eighth(t, clamped(t, private));

    let first = base_multiple(t, 0, scalar);
    // Scaled by 2: X = 2x·2, Y = 2y·2, Z = 4, T = 2x·2y.
    let (x, y) = (
        Product::<S>::from(first.sum).minus(t, first.difference.into()).carry(t),
        Product::<S>::from(first.sum).plus(first.difference.into()).carry(t),
    );
    let two = Fe::<S>::small(t, 2);
    let (mut px, mut py, mut pz) =
        (x.times(t, two), y.times(t, two), Product::<S>::from(Fe::<S>::small(t, 4)));
    let mut pt = x.times(t, y).carry(t);

    for window in 1..WINDOWS {
        let entry = base_multiple(t, window, scalar);
        let a = py.minus(t, px).carry(t).times(t, entry.difference);
        let b = py.plus(px).carry(t).times(t, entry.sum);
        let c = pt.times(t, entry.product);
        let (e, h) = (b.minus(t, a).carry(t), b.plus(a).carry(t));
        let d = pz.plus(pz);
        let (minus, plus) = (d.minus(t, c), d.plus(c));
        // The entry's product has its sign here: F = D ∓ C, G = D ± C.
        let f = minus.select(entry.negative, plus).carry(t);
        let g = plus.select(entry.negative, minus).carry(t);
        (px, py, pz) = (e.times(t, f), g.times(t, h), f.times(t, g));
        pt = e.times(t, h).carry(t);
    }
    // u = (1 + y)/(1 − y)
    (pz.plus(py).carry(t), pz.minus(t, py).carry(t))
}

/// A clamped scalar divided by 8, m, or L − m where m is even: the negative point has the same u.
/// A fifth word of zeros follows.
#[inline(always)]
fn odd_eighth<S: Curve25519>(t: S, scalar: [S::Vector; 4]) -> [S::Vector; 5] {
    let m = [
        scalar[0].shr::<3>() | scalar[1].shl::<61>(),
        scalar[1].shr::<3>() | scalar[2].shl::<61>(),
        scalar[2].shr::<3>() | scalar[3].shl::<61>(),
        scalar[3].shr::<3>(),
    ];
    odd(t, m, &ORDER).0
}

/// An entry of the table, with the signs of x applied but to the product.
struct Entry<S: Curve25519> {
    /// y + x
    sum: Fe<S>,
    /// y − x
    difference: Fe<S>,
    /// 2·d·|x|·y
    product: Fe<S>,
    /// Lanes in which x, and so the product, is negative.
    negative: S::Mask,
}

/// digit·2^(6·window)·8·B
#[inline(always)]
fn base_multiple<S: Curve25519>(t: S, window: usize, scalar: [S::Vector; 5]) -> Entry<S> {
    let digit = Digit::new::<WINDOW>(t, scalar, window, window == WINDOWS - 1);
    let table = &TABLE[window];
    let zero = t.zero();
    let (mut sum, mut difference, mut product) = ([zero; 5], [zero; 5], [zero; 5]);
    for i in 0..5 {
        let (a, b) = (digit.lookup::<ENTRIES>(t, &table[i]), digit.lookup::<ENTRIES>(t, &table[5 + i]));
        // −(x, y) = (−x, y): sum and difference change places.
        sum[i] = a.select(digit.negative, b);
        difference[i] = b.select(digit.negative, a);
        product[i] = digit.lookup::<ENTRIES>(t, &table[10 + i]);
    }
    Entry {
        sum: Fe::<S>::from_limbs(t, sum),
        difference: Fe::<S>::from_limbs(t, difference),
        product: Fe::<S>::from_limbs(t, product),
        negative: digit.negative,
    }
}

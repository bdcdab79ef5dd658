// SPDX-License-Identifier: MIT OR Apache-2.0
//! P-256, eight lanes: multiples of the base point on a comb, multiples of other points by windows.
//!
//! One incomplete addition (Jacobian plus affine) serves both. Partial sums never meet the next
//! addend but for a handful of scalars, about 2^-250 of all: those end with Z = 0, as do scalars
//! out of range, and their lanes are reported as not done; scalar code computes them instead.
//!
//! Bounds are multiples of p, see [`super::montgomery`]. Every point keeps X < 1.01p, Y < 3.3p, Z < 2.7p.

use super::VECTORS;
use super::invert::invert_all;
use super::montgomery::{Fe as Residue, Loose, Montgomery, N, P, Prime as _};
use super::recode::{Digit, odd};
use super::vector::{Block, Mask};
use crate::p256::scalar;
use crate::p256::table::{ENTRIES, TABLE, WINDOW, WINDOWS};
use crate::wipe::{Plain, wipe};

type Fe<S> = Residue<S, P>;

/// Eight scalars to multiply the base point by. Integers are little-endian words, one lane per item.
#[derive(Clone, Copy)]
pub(crate) struct Generate {
    /// In: the scalars, in 1..n.
    pub(crate) scalar: [Block; 4],
    /// Out: the point, both coordinates below p.
    pub(crate) x: [Block; 4],
    pub(crate) y: [Block; 4],
    /// Out: lanes with a result. The others go to scalar code.
    pub(crate) done: Mask,
}

// SAFETY: integers, and a mask of lanes.
unsafe impl Plain for Generate {}

/// Eight shared secrets to compute.
#[derive(Clone, Copy)]
pub(crate) struct Agree {
    /// In: the scalars, in 1..n.
    pub(crate) scalar: [Block; 4],
    /// In: what claims to be the peer's point.
    pub(crate) peer_x: [Block; 4],
    pub(crate) peer_y: [Block; 4],
    /// Out: the product's x-coordinate.
    pub(crate) x: [Block; 4],
    /// Out: lanes whose peer is not a point of the curve.
    pub(crate) off_curve: Mask,
    /// Out: lanes with a result. The others, if on the curve, go to scalar code.
    pub(crate) done: Mask,
}

// SAFETY: integers, and masks of lanes.
unsafe impl Plain for Agree {}

/// Most vectors of [`Agree`] in one pass: a table of 10 KiB each.
pub(crate) const AGREE_VECTORS: usize = 4;
/// Window for points not known in advance, and its odd multiples.
const POINT_WINDOW: usize = 5;
const MULTIPLES: usize = 1 << (POINT_WINDOW - 1);

/// Most vectors of one pass.
const MOST: usize = 2 * VECTORS + AGREE_VECTORS;

/// Points and tables of one pass.
pub(crate) struct Scratch<S: Montgomery, const PARTS: usize> {
    points: [[Jacobian<S>; PARTS]; MOST],
    inverses: [[Fe<S>; PARTS]; MOST],
    products: [[Fe<S>; PARTS]; MOST],
    tables: [[Multiples<S>; PARTS]; AGREE_VECTORS],
}

/// Computes up to [`VECTORS`] vectors of signatures' nonces, as many of key pairs, and
/// [`AGREE_VECTORS`] of [`Agree`], with one inversion for all results and one for all tables.
#[inline(always)]
pub(crate) fn run<S: Montgomery, const PARTS: usize>(
    t: S,
    nonces: &mut [Generate],
    generate: &mut [Generate],
    agree: &mut [Agree],
    scratch: &mut Scratch<S, PARTS>,
) {
    const { assert!(PARTS == S::PARTS) };
    if nonces.is_empty() && generate.is_empty() && agree.is_empty() {
        return;
    }
    let Scratch { points, inverses, products, tables } = scratch;
    let agreed = agree.len().min(AGREE_VECTORS);
    for ((item, table), inverse) in agree.iter_mut().zip(tables.iter_mut()).zip(inverses.iter_mut()) {
        item.off_curve = Mask::NONE;
        for part in 0..PARTS {
            let t = t.part(part);
            let (peer, off_curve) = read_point(t, &item.peer_x, &item.peer_y);
            item.off_curve = item.off_curve | t.bits(off_curve);
            inverse[part] = table[part].fill(t, peer);
        }
    }
    if agreed > 0 {
        let _: [Mask; AGREE_VECTORS] = invert_all(t, &mut inverses[..agreed], &mut products[..agreed]);
    }
    for (table, inverse) in tables.iter_mut().zip(inverses.iter()).take(agreed) {
        for part in 0..PARTS {
            table[part].normalize(t, inverse[part]);
        }
    }

    let mut count = 0;
    for (item, table) in agree.iter().zip(tables.iter()) {
        for part in 0..PARTS {
            points[count][part] = multiply(t.part(part), &item.scalar, &table[part]);
        }
        count += 1;
    }
    for (item, point) in base_multiples(nonces, generate).zip(&mut points[count..]) {
        for part in 0..PARTS {
            point[part] = multiply_base(t.part(part), &item.scalar);
        }
        count += 1;
    }

    for (point, inverse) in points.iter().zip(inverses.iter_mut()).take(count) {
        for part in 0..PARTS {
            inverse[part] = point[part].z;
        }
    }
    let zeros: [Mask; MOST] = invert_all(t, &mut inverses[..count], &mut products[..count]);
    let mut results = points.iter().zip(inverses.iter()).zip(zeros);
    for (item, ((point, inverse), zero)) in agree.iter_mut().zip(&mut results) {
        item.done = Mask::NONE;
        for part in 0..PARTS {
            let t = t.part(part);
            let square = inverse[part].square(t).carry(t);
            write_coordinate(t, point[part].x.mul(t, square).carry(t), &mut item.x);
            item.done = item.done | t.bits(in_range(t, &item.scalar));
        }
        item.done = item.done & !zero;
    }
    for (item, ((point, inverse), zero)) in base_multiples(nonces, generate).zip(results) {
        item.done = Mask::NONE;
        for part in 0..PARTS {
            let t = t.part(part);
            let square = inverse[part].square(t).carry(t);
            let cube = square.mul(t, inverse[part]).carry(t);
            write_coordinate(t, point[part].x.mul(t, square).carry(t), &mut item.x);
            write_coordinate(t, point[part].y.mul(t, cube).carry(t), &mut item.y);
            item.done = item.done | t.bits(in_range(t, &item.scalar));
        }
        item.done = item.done & !zero;
    }
    wipe(points[..count].as_flattened_mut());
    wipe(inverses[..count].as_flattened_mut());
    wipe(products[..count].as_flattened_mut());
    wipe(tables[..agreed].as_flattened_mut());
}

fn base_multiples<'a>(
    nonces: &'a mut [Generate],
    generate: &'a mut [Generate],
) -> impl Iterator<Item = &'a mut Generate> {
    nonces.iter_mut().chain(generate)
}

/// Lanes whose scalar lies in 1..n.
#[inline(always)]
fn in_range<S: Montgomery>(t: S, scalar: &[Block; 4]) -> S::Mask {
    let value = Residue::<S, N>::from_words(t, scalar);
    let (below, _) = value.reduce_once(t);
    below & !value.limbs_zero()
}

/// Writes the integer below p.
#[inline(always)]
fn write_coordinate<S: Montgomery>(t: S, value: Fe<S>, words: &mut [Block; 4]) {
    value.leave_montgomery(t).reduce_once(t).1.to_words(t, words);
}

/// Peers' points; where the curve equation or a coordinate's range fails, the base point and a mark.
#[inline(always)]
fn read_point<S: Montgomery>(t: S, x: &[Block; 4], y: &[Block; 4]) -> (Affine<S>, S::Mask) {
    /// The curve's b and the base point (SP 800-186 §3.2.1.3), times 2^260.
    const B: [u64; 5] =
        [0xd_f622_9c4b_ddfd, 0xc_a884_3090_d89c, 0x2_12ed_6acf_005c, 0x8_3415_a220_abf7, 0xc300_61dd_4874];
    const BASE_X: [u64; 5] =
        [0x3_0d41_8a91_43c1, 0xc_4fed_b601_79e7, 0x6_2251_075b_a95f, 0x5_c669_fb73_2b77, 0x8905_f76b_5375];
    const BASE_Y: [u64; 5] =
        [0x5_357c_e955_60a8, 0x4_3a19_e45c_ddf2, 0x2_1f32_58b4_ab8e, 0xd_8552_e886_88dd, 0x571f_f18a_5885];
    let (x, y) = (Fe::from_words(t, x), Fe::from_words(t, y));
    let (x_below, _) = x.reduce_once(t);
    let (y_below, _) = y.reduce_once(t);
    let (x, y) = (x.to_montgomery(t), y.to_montgomery(t));
    // x³ − 3x + b − y² + 5p < 8p
    let xxx = x.square(t).carry(t).mul(t, x);
    let three_x = x.loose().plus(x.loose()).plus(x.loose());
    let right = xxx.minus(three_x).plus(Fe::constant(t, B).loose());
    let difference = right.minus(y.square(t)).plus_modulus(t, 5).fold(t);
    let (_, difference) = difference.reduce_once(t);
    let off_curve = !(x_below & y_below & difference.limbs_zero());
    let base = Affine { x: Fe::constant(t, BASE_X), y: Fe::constant(t, BASE_Y) };
    (Affine { x: x.select(off_curve, base.x), y: y.select(off_curve, base.y) }, off_curve)
}

#[derive(Clone, Copy)]
struct Affine<S: Montgomery> {
    x: Fe<S>,
    y: Fe<S>,
}

/// (X/Z², Y/Z³)
#[derive(Clone, Copy)]
pub(crate) struct Jacobian<S: Montgomery> {
    x: Fe<S>,
    y: Fe<S>,
    z: Fe<S>,
}

// SAFETY: integers.
unsafe impl<S: Montgomery> Plain for Jacobian<S> {}

impl<S: Montgomery> Jacobian<S> {
    /// 2·self (dbl-2001-b of the Explicit-Formulas Database with Z = 2YZ).
    #[inline(always)]
    fn double(self, t: S) -> Self {
        let delta = self.z.square(t).carry(t); // < 1.5
        let gamma = self.y.square(t).carry(t); // < 1.7
        let minus = self.x.loose().minus(delta.loose()).plus_modulus(t, 2).carry(t); // < 3.1
        let plus = self.x.loose().plus(delta.loose()).carry(t); // < 2.6
        let product = minus.mul(t, plus); // < 1.6
        let alpha = product.plus(product.shl::<1>()).carry(t); // < 4.6
        let beta4 = self.x.mul(t, gamma).shl::<2>(); // < 4.5
        let x = alpha.square(t).minus(beta4.shl::<1>()).plus_modulus(t, 9).fold(t); // 0 to 11.4 before
        // Y < 3.3 comes with Z < 1.6 (addition), Z < 2.7 with Y < 1.01 (doubling): 2YZ < 2.7.
        let z = self.y.mul(t, self.z).shl::<1>().carry(t);
        let difference = beta4.minus(x.loose()).plus_modulus(t, 2).carry(t); // < 6.5
        // −8·1.7²/16 > −1.5 and 4.6·6.5/16 + 1 < 2.9
        let y = alpha.mul_wide(t, difference).minus(gamma.square_wide(t).times8()).reduce(t);
        Self { x, y: y.plus_modulus(t, 2).fold(t), z }
    }

    /// self + other, or self − other in the lanes of `negative`; the two must differ
    /// (madd: 8 M + 3 S). `other` may have X < 4.1p and Y < 2.1p.
    #[inline(always)]
    fn add(self, t: S, other: Affine<S>, negative: S::Mask) -> Self {
        let zz = self.z.square(t).carry(t); // < 1.5
        let zzz = self.z.mul(t, zz).carry(t); // < 1.3
        let u2 = other.x.mul(t, zz); // < 1.4
        let s2 = other.y.mul(t, zzz); // < 1.2
        let h = u2.minus(self.x.loose()).plus_modulus(t, 2).carry(t); // < 3.4
        let base = Loose::zero(t).minus(self.y.loose()).plus_modulus(t, 5);
        let r = base.plus_or_minus(negative, s2).carry(t); // 0.5 to 6.2
        let z = self.z.mul(t, h).carry(t); // < 1.6
        let hh = h.square(t).carry(t); // < 1.8
        let hhh = h.mul(t, hh).carry(t); // < 1.4
        let v = self.x.mul(t, hh); // < 1.2
        let x = r.square(t).minus(hhh.loose()).minus(v.shl::<1>()).plus_modulus(t, 4).fold(t); // 0 to 7.5 before
        let difference = v.minus(x.loose()).plus_modulus(t, 2).carry(t); // < 3.2
        // −3.3·1.4/16 > −0.3 and 6.2·3.2/16 + 1 < 2.3
        let y = r.mul_wide(t, difference).minus(self.y.mul_wide(t, hhh)).reduce(t);
        Self { x, y: y.plus_modulus(t, 1).carry(t), z }
    }
}

/// scalar·G: one addition per window and no doubling.
#[inline(always)]
fn multiply_base<S: Montgomery>(t: S, scalar: &[Block; 4]) -> Jacobian<S> {
    let (scalar, even) = odd(t, load(t, scalar), &scalar::N.limbs);
    let (first, negative) = base_multiple(t, 0, scalar);
    let mut sum = Jacobian {
        x: first.x.masked(t).loose().fold(t),
        y: first.y.masked(t).loose().fold(t),
        z: Fe::constant(t, P::R),
    };
    sum.y = negated_if(t, sum.y, negative);
    for window in 1..WINDOWS {
        let (point, negative) = base_multiple(t, window, scalar);
        sum = sum.add(t, point, negative);
    }
    /// 1/2
    const HALF: [u64; 5] = [0x8, 0xf_8000_0000_0000, 0xf_ffff_ffff_ffff, 0xf_ff7f_ffff_ffff, 0x7_ffff];
    sum.y = negated_if(t, sum.y, even);
    // The table's points belong to Z = 1/2.
    sum.z = sum.z.mul(t, Fe::constant(t, HALF)).carry(t);
    sum
}

/// −value in the lanes of `mask`; below 4p where negated.
#[inline(always)]
fn negated_if<S: Montgomery>(t: S, value: Fe<S>, mask: S::Mask) -> Fe<S> {
    let negative = Loose::zero(t).minus(value.loose()).plus_modulus(t, 4).fold(t);
    value.select(mask, negative)
}

#[inline(always)]
fn load<S: Montgomery>(t: S, words: &[Block; 4]) -> [S::Vector; 4] {
    [t.load(&words[0].0), t.load(&words[1].0), t.load(&words[2].0), t.load(&words[3].0)]
}

/// |digit|·2^(7·window)·G, and the lanes whose digit is negative.
///
/// The table is the scalar code's, whose words belong to R = 2^256. Read with a shift by 2 and 1 they
/// are 2^260·x/4 and 2^260·y/8: the point in coordinates for Z = 1/2, which the addition, blind to
/// the curve's coefficients, takes as they are. X < 4p, Y < 2p.
#[inline(always)]
fn base_multiple<S: Montgomery>(t: S, window: usize, scalar: [S::Vector; 5]) -> (Affine<S>, S::Mask) {
    let digit = Digit::new::<WINDOW>(t, scalar, window, window == WINDOWS - 1);
    let table = &TABLE[window];
    let (mut x, mut y) = ([t.zero(); 4], [t.zero(); 4]);
    for i in 0..4 {
        x[i] = digit.lookup::<ENTRIES>(t, &table[i]);
        y[i] = digit.lookup::<ENTRIES>(t, &table[4 + i]);
    }
    (Affine { x: Fe::factor_from_words::<2>(x), y: Fe::factor_from_words::<1>(y) }, digit.negative)
}

/// The odd multiples 1, 3, …, 31 of eight points.
#[derive(Clone, Copy)]
pub(crate) struct Multiples<S: Montgomery> {
    points: [Affine<S>; MULTIPLES],
    /// Z of entry i over Z of entry i − 1, until [`Multiples::normalize`].
    steps: [Fe<S>; MULTIPLES],
}

// SAFETY: integers.
unsafe impl<S: Montgomery> Plain for Multiples<S> {}

impl<S: Montgomery> Multiples<S> {
    /// Computes the multiples with co-Z additions (N. Meloni, WAIFI 2007; formulas of R. Goundar,
    /// M. Joye, A. Miyaji, CHES 2010) and gives Z of the last. `point` < 1.1p.
    #[inline(always)]
    fn fill(&mut self, t: S, point: Affine<S>) -> Fe<S> {
        /// −3, the curve's a.
        const MINUS_THREE: [u64; 5] =
            [0xf_ffff_ffff_ffcf, 0x3_0fff_ffff_ffff, 0, 0x310_0000_0000, 0xffff_ffcf_0000];
        // 2·point and point with the same Z = 2y.
        let b = point.x.square(t); // < 1.1
        let e = point.y.square(t).carry(t); // < 1.1
        let s = point.x.mul(t, e).shl::<2>().fold(t);
        let m = b.plus(b.shl::<1>()).plus(Fe::constant(t, MINUS_THREE).loose()).carry(t); // < 4.3
        let x = m.square(t).minus(s.loose().shl::<1>()).plus_modulus(t, 3).fold(t);
        let difference = s.loose().minus(x.loose()).plus_modulus(t, 2).carry(t); // < 3.1
        let y = m.mul_wide(t, difference).minus(e.square_wide(t).times8()).reduce(t);
        let mut twice = Affine { x, y: y.plus_modulus(t, 1).carry(t) }; // Y < 2.9
        let mut last = Affine { x: s, y: e.square(t).shl::<3>().fold(t) };
        let mut z = point.y.loose().shl::<1>().carry(t); // < 2.2

        self.points[0] = point;
        for i in 1..MULTIPLES {
            // last += twice; twice moves to the sum's Z. Y of either stays < 3.6.
            let step = twice.x.loose().minus(last.x.loose()).plus_modulus(t, 2).carry(t); // < 3.1
            let c = step.square(t).carry(t); // < 1.7
            let (w1, w2) = (twice.x.mul(t, c).carry(t), last.x.mul(t, c).carry(t)); // < 1.2
            let d = twice.y.loose().minus(last.y.loose()).plus_modulus(t, 4).carry(t); // < 7.6
            let difference = w1.loose().minus(w2.loose()).plus_modulus(t, 2).carry(t); // < 3.2
            let a1 = twice.y.mul_wide(t, difference);
            let x = d.square(t).minus(w1.loose()).minus(w2.loose()).plus_modulus(t, 3).fold(t); // < 7.7 before
            let rest = w1.loose().minus(x.loose()).plus_modulus(t, 2).carry(t); // < 3.2
            // −3.6·3.2/16 > −0.8 and 7.6·3.2/16 + 1 < 2.6
            let y = d.mul_wide(t, rest).minus(a1).reduce(t).plus_modulus(t, 1).carry(t);
            twice = Affine { x: w1.loose().fold(t), y: a1.reduce(t).carry(t) };
            last = Affine { x, y };
            z = z.mul(t, step).carry(t);
            self.points[i] = last;
            self.steps[i] = step;
        }
        z
    }

    /// Makes all entries affine (X and Y < 1.2p), from the inverse of the last Z.
    #[inline(always)]
    fn normalize(&mut self, t: S, mut inverse: Fe<S>) {
        for i in (1..MULTIPLES).rev() {
            let square = inverse.square(t).carry(t);
            let cube = square.mul(t, inverse).carry(t);
            let point = &mut self.points[i];
            *point = Affine { x: point.x.mul(t, square).carry(t), y: point.y.mul(t, cube).carry(t) };
            inverse = inverse.mul(t, self.steps[i]).carry(t);
        }
    }

    /// The entry that `digit` names, in each lane, reading all of them.
    #[inline(always)]
    fn select(&self, t: S, digit: Digit<S>) -> Affine<S> {
        let Affine { mut x, mut y } = self.points[0];
        for (entry, point) in (0_u64..).zip(&self.points).skip(1) {
            let here = digit.is(t, entry);
            x = x.select(here, point.x.read_whole());
            y = y.select(here, point.y.read_whole());
        }
        Affine { x, y }
    }
}

/// scalar·(the point whose multiples these are), up to its sign.
#[inline(always)]
fn multiply<S: Montgomery>(t: S, scalar: &[Block; 4], multiples: &Multiples<S>) -> Jacobian<S> {
    /// Windows below the top one, whose digit is always 1 because it starts at bit 256.
    const LOWER: usize = 256_usize.div_ceil(POINT_WINDOW) - 1;
    let (scalar, _) = odd(t, load(t, scalar), &scalar::N.limbs);
    let Affine { x, y } = multiples.points[0];
    let mut sum = Jacobian { x: x.loose().fold(t), y, z: Fe::constant(t, P::R) };
    for window in (0..LOWER).rev() {
        for _ in 0..POINT_WINDOW {
            sum = sum.double(t);
        }
        let digit = Digit::new::<POINT_WINDOW>(t, scalar, window, false);
        sum = sum.add(t, multiples.select(t, digit), digit.negative);
    }
    sum
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Proof of the lanes' bounds: no sum overflows, and no multiplication leaves bits of a factor out.
//!
//! Whole passes of X25519, P-256 and ECDSA run on intervals instead of vectors ([`interval`]): the source that serves,
//! all windows and all steps of the ladder, for any scalars, shares and digests at once. The products' assembly is run
//! from its text ([`assembly`]). docs/bounds.md says what follows from that, and what is assumed.

mod assembly;
mod interval;

use num_bigint::{BigInt, Sign};
use std::mem::MaybeUninit;

use super::field25519::{Curve25519, radix25, radix51};
use super::montgomery::{Montgomery, Prime, Value, columns26, columns52};
use super::rsa::{Group, Modulus, tiles};
use super::simd::Simd;
use super::vector::{Block, Mask};
use super::{LANES, ecdsa, p256, x25519};
use assembly::{Machine, Multiplies};
use interval::{Interval, Lane, remembering};

impl Curve25519 for Interval<52> {
    type Field = radix51::Fe<Self>;
}

impl Curve25519 for Interval<32> {
    type Field = radix25::Fe<Self>;
}

/// The lowest and the highest value of a number of several limbs. Nothing where memory was wiped.
#[derive(Clone, Copy)]
struct Whole(Option<&'static (BigInt, BigInt)>);

impl Whole {
    fn new(lowest: BigInt, highest: BigInt) -> Self {
        assert!(lowest <= highest);
        // Copies of it stay: some megabytes in all.
        Self(Some(Box::leak(Box::new((lowest, highest)))))
    }

    fn bounds(self) -> &'static (BigInt, BigInt) {
        self.0.expect("a number that was wiped")
    }
}

fn prime<M: Prime>() -> BigInt {
    let bytes: Vec<u8> = M::MODULUS.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect();
    BigInt::from_bytes_le(Sign::Plus, &bytes)
}

fn power(exponent: usize) -> BigInt {
    BigInt::from(1) << exponent
}

impl Value for Whole {
    fn constant(limbs: [u64; 5]) -> Self {
        let value: BigInt = limbs.iter().enumerate().map(|(i, limb)| BigInt::from(*limb) << (52 * i)).sum();
        Self::new(value.clone(), value)
    }

    fn words(shift: usize) -> Self {
        Self::new(BigInt::ZERO, (power(256) - 1) << shift)
    }

    fn plus(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Self::new(a + c, b + d)
    }

    fn minus(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Self::new(a - d, b - c)
    }

    fn plus_modulus<M: Prime>(self, count: u64) -> Self {
        let (a, b) = self.bounds();
        Self::new(a + prime::<M>() * count, b + prime::<M>() * count)
    }

    fn shl(self, shift: u32) -> Self {
        let (a, b) = self.bounds();
        Self::new(a << shift, b << shift)
    }

    fn times(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        assert!(a.sign() != Sign::Minus && c.sign() != Sign::Minus);
        Self::new(a * c, b * d)
    }

    fn reduced<M: Prime>(self) -> Self {
        // The multiple of the prime that is added is below 2^260; shifts round down, and what is divided is a multiple.
        let (a, b) = self.bounds();
        Self::new((a + power(260) - 1) >> 260, (b + prime::<M>() * (power(260) - 1)) >> 260)
    }

    fn reduced_once<M: Prime>(self) -> Self {
        let (a, b) = self.bounds();
        assert!(a.sign() != Sign::Minus && *b < prime::<M>() * 2);
        Self::new(BigInt::ZERO, prime::<M>() - 1)
    }

    fn folded<M: Prime>(self) -> Self {
        let (a, b) = self.bounds();
        assert!(a.sign() != Sign::Minus);
        let times = u32::try_from(b >> 256_usize).expect("few");
        let parts = (0..=times).map(|k| {
            let (low, high) = (power(256) * k, power(256) * (k + 1) - 1_u8);
            (a.max(&low) - prime::<M>() * k, b.min(&high) - prime::<M>() * k)
        });
        let (lows, highs): (Vec<_>, Vec<_>) = parts.filter(|(low, high)| low <= high).unzip();
        Self::new(lows.into_iter().min().expect("one"), highs.into_iter().max().expect("one"))
    }

    fn either(self, other: Self) -> Self {
        let ((a, b), (c, d)) = (self.bounds(), other.bounds());
        Self::new(a.min(c).clone(), b.max(d).clone())
    }
}

/// A number below 2^260 whose lower limbs are carried has the rest in the top one.
#[track_caller]
fn carried(value: Whole, limbs: [Lane; 5]) -> [Lane; 5] {
    let (lowest, highest) = value.bounds();
    assert!(lowest.sign() != Sign::Minus && *highest < power(260), "{lowest:x} to {highest:x} is no factor");
    for limb in &limbs[..4] {
        let (low, high) = limb.bounds();
        assert!(low >= 0 && high < 1 << 52, "{limb:?} is not carried");
    }
    let (low, high) = limbs[4].bounds();
    // What is below the top limb is less than 2^208.
    let (from, to) = (i128::try_from(lowest >> 208_usize), i128::try_from(highest >> 208_usize));
    let (from, to) = (from.expect("a limb"), to.expect("a limb"));
    let top = Lane::Number { lowest: low.max(from), highest: high.min(to) };
    let (low, high) = top.bounds();
    assert!(low <= high, "limbs and number contradict each other");
    [limbs[0], limbs[1], limbs[2], limbs[3], top]
}

macro_rules! montgomery {
    ($bits:literal, $columns:ident, $reduce:ident) => {
        impl Montgomery for Interval<$bits> {
            type Wide = $columns::Columns<Self>;
            type Value = Whole;

            fn product(self, a: [Lane; 5], b: [Lane; 5]) -> Self::Wide {
                for limb in a.into_iter().chain(b) {
                    limb.factor(52);
                }
                $columns::product(self, a, b)
            }
            fn square(self, a: [Lane; 5]) -> Self::Wide {
                for limb in a {
                    limb.factor(52);
                }
                $columns::square(self, a)
            }
            fn difference(a: Self::Wide, b: Self::Wide) -> Self::Wide {
                $columns::difference::<Self>(a, b)
            }
            fn times8(a: Self::Wide) -> Self::Wide {
                $columns::times8::<Self>(a)
            }
            fn reduce<M: Prime>(self, wide: Self::Wide) -> [Lane; 5] {
                M::$reduce(self, wide)
            }
            #[track_caller]
            fn carried(value: Whole, limbs: [Lane; 5]) -> [Lane; 5] {
                carried(value, limbs)
            }
        }
    };
}

montgomery!(52, columns52, reduce52);
montgomery!(32, columns26, reduce26);

const WORDS: [Block; 4] = [Block::ZERO; 4];

/// Two vectors of each, so that an inversion is shared.
fn x25519_pass<S: Curve25519>(t: S) {
    let generate = x25519::Generate { private: WORDS, public: WORDS };
    let agree = x25519::Agree { private: WORDS, peer: WORDS, shared: WORDS, low_order: Mask::NONE };
    // SAFETY: lanes of intervals are valid when zero.
    let mut scratch: Box<x25519::Scratch<S, 1>> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    x25519::run(t, (&mut [generate; 2], 2 * LANES), (&mut [agree; 2], 2 * LANES), &mut scratch);
}

fn p256_pass<S: Montgomery>(t: S) {
    let generate = p256::Generate { scalar: WORDS, x: WORDS, y: WORDS, done: Mask::NONE };
    let agree = p256::Agree {
        scalar: WORDS,
        peer_x: WORDS,
        peer_y: WORDS,
        x: WORDS,
        off_curve: Mask::NONE,
        done: Mask::NONE,
    };
    let mut nonces = [generate; 2];
    let mut sign =
        [ecdsa::Sign { key: WORDS, digest: WORDS, entropy: WORDS, r: WORDS, s: WORDS, done: Mask::NONE }; 2];
    // SAFETY: lanes of intervals are valid when zero, and so is what is known of numbers.
    let mut scratch: Box<p256::Scratch<S, 1>> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    p256::run(t, &mut nonces, &mut [generate; 2], &mut [agree; 2], &mut scratch);
    // SAFETY: lanes of intervals are valid when zero, and so is what is known of numbers.
    let mut scratch: Box<ecdsa::Scratch<S, 1>> = Box::new(unsafe { MaybeUninit::zeroed().assume_init() });
    ecdsa::finish(t, &mut sign, &nonces, &mut scratch);
}

#[test]
fn x25519_in_limbs_of_51_bits() {
    x25519_pass(Interval::<52>);
}

#[test]
fn x25519_in_limbs_of_26_and_25_bits() {
    x25519_pass(Interval::<32>);
}

#[test]
fn p256_in_columns_of_52_bits() {
    p256_pass(Interval::<52>);
}

#[test]
fn p256_in_columns_of_26_bits() {
    p256_pass(Interval::<32>);
}

/// Products and reductions of numbers of `K` groups, whatever their limbs.
fn rsa_tiles<const K: usize>() {
    const ZERO: Group = [Block::ZERO; 5];
    let t = Interval::<52>;
    let fill = |groups: &mut [Group]| {
        for block in groups.as_flattened_mut() {
            t.store(Lane::up_to((1 << 52) - 1), block);
        }
    };
    remembering(|| {
        let mut modulus = Box::new(Modulus { m: [ZERO; K], m0: Block::ZERO, r2: [ZERO; K] });
        fill(&mut modulus.m);
        let (mut a, mut b, mut wide) = (Box::new([ZERO; K]), Box::new([ZERO; K]), vec![ZERO; 2 * K]);
        fill(&mut b[..]);
        for squares in [false, true] {
            fill(&mut a[..]);
            if squares {
                tiles::product_with_itself(t, &mut wide, &a);
            } else {
                tiles::product(t, &mut wide, &a, &b);
            }
            tiles::reduce(t, &modulus, &mut a, &mut wide);
            for block in a.as_flattened() {
                t.load(&block.0).factor(52);
            }
        }
    });
}

#[test]
fn rsa_primes_and_moduli() {
    rsa_tiles::<4>();
    rsa_tiles::<6>();
    rsa_tiles::<8>();
    rsa_tiles::<12>();
    rsa_tiles::<16>();
}

impl Multiplies for u64 {
    fn sum(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn product(self, other: Self) -> Self {
        (self & 0xffff_ffff) * (other & 0xffff_ffff)
    }
}

/// What the proof runs for the assembly is what the CPU runs.
#[test]
fn assembly_runs_as_on_the_cpu() {
    use super::simd::Simd32;
    use crate::cpu::Avx2;

    let Some(t) = Avx2::detect().map(Avx2::lanes) else {
        eprintln!("skipped: this CPU has no AVX2");
        return;
    };
    let mut random = 1_u64;
    let mut limbs = || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        random >> 36
    };
    let (f, table): ([u64; 10], [u64; 20]) =
        (std::array::from_fn(|_| limbs()), std::array::from_fn(|_| limbs()));
    let (vectors, tables) = (f.map(|limb| t.splat(limb)), table.map(|limb| t.splat(limb)));
    let lane = |vector| {
        let mut block = Block::ZERO;
        t.store(vector, &mut block);
        block.0[0]
    };

    let expected = t.product25(&vectors, &tables).map(lane);
    let mut machine = Machine::new([("f", &f[..], 0), ("g", &table[..], 10), ("last", &table[..], 1)]);
    machine.run(super::products::texts::PRODUCT25);
    assert_eq!(machine.columns(), expected);
    let wrapped: [u64; 5] = std::array::from_fn(|i| table[i]);
    let expected = t.square25(&vectors, &wrapped.map(|limb| t.splat(limb))).map(lane);
    let mut machine = Machine::new([("f", &f[..], 0), ("w", &wrapped[..], -5)]);
    machine.run(super::products::texts::SQUARE25);
    assert_eq!(machine.columns(), expected);

    let other: [u64; 10] = std::array::from_fn(|i| table[10 + i]);
    let expected = t.product26(&vectors, &other.map(|limb| t.splat(limb))).map(lane);
    let mut machine = Machine::new([("a", &f[..], 0), ("b", &other[..], 0)]);
    machine.run(super::products::texts::LOWER26);
    machine.run(super::products::texts::UPPER26);
    assert_eq!(machine.written(), expected);
    let expected = t.square26(&vectors).map(lane);
    let mut machine = Machine::new([("a", &f[..], 0), ("b", &f[..], 0)]);
    machine.run(super::products::texts::SQUARE_LOWER26);
    machine.run(super::products::texts::SQUARE_UPPER26);
    assert_eq!(machine.written(), expected);
}

/// The proof would see a carry that comes too late.
#[test]
#[should_panic(expected = "does not fit 64 bits")]
fn a_sum_that_overflows_is_refused() {
    let half = Lane::up_to(1 << 63);
    let _ = half + half;
}

/// And a factor of which IFMA would not read all.
#[test]
#[should_panic(expected = "no factor of 52 bits")]
fn a_factor_that_is_too_long_is_refused() {
    use super::simd::Vector52 as _;
    let _ = Lane::up_to(0).madd_lo(Lane::up_to(1), Lane::up_to(1 << 52));
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Products and reductions with MULX and two chains of carries, one in CF (ADCX) and one in OF (ADOX), of
//! which compilers have only one. RSA without vectors spends its time here.
//!
//! Numbers are read as digits of eight limbs. A digit of the running sum stays in registers while all of
//! another is multiplied by all of a third, so that the product of two limbs is two additions and nothing more.
//! The methods are those of the portable code, with larger digits. Nothing depends on values but sums.

use core::arch::asm;

use crate::cpu::Adx;
use zeroize::Zeroizing;

/// Limbs of a digit. Every width is a multiple.
const LIMBS: usize = 8;

/// A number below 2^512.
type Digit = [u64; LIMBS];

/// wide ← a·b, twice as long as each.
pub(super) fn product(token: Adx, wide: &mut [u64], a: &[u64], b: &[u64]) {
    wide.fill(0);
    let (wide, a, b) = (digits_mut(wide), digits(a), digits(b));
    for (i, b) in b.iter().enumerate() {
        let (row, rest) = wide[i..].split_at_mut(a.len());
        for (sum, a) in row.iter_mut().zip(a) {
            multiply_add(token, sum, &mut rest[0], a, b);
        }
    }
}

/// wide ← a², twice as long: products of different limbs once, doubled, then the squares of limbs.
pub(super) fn square(token: Adx, wide: &mut [u64], a: &[u64]) {
    let (wide, a) = (digits_mut(wide), digits(a));
    for (pair, a) in wide.as_chunks_mut().0.iter_mut().zip(a) {
        multiply_within(token, pair, a);
    }
    let mut over = false;
    for (i, one) in a.iter().enumerate() {
        let others = &a[i + 1..];
        let (row, rest) = wide[2 * i + 1..].split_at_mut(others.len());
        let mut carry = Zeroizing::new([0; LIMBS]);
        for (sum, other) in row.iter_mut().zip(others) {
            multiply_add(token, sum, &mut carry, other, one);
        }
        over = add(&mut rest[0], &carry, over);
    }
    let mut carry = 0;
    for (pair, a) in wide.as_chunks_mut().0.iter_mut().zip(a) {
        carry = double_add_squares(token, pair, a, carry);
    }
}

/// wide ← wide + q·m with the q that makes the lower half vanish, and returns what is carried out of the upper.
/// The lower half is destroyed. `m0` is −m⁻¹ mod 2^64.
pub(super) fn reduce(token: Adx, wide: &mut [u64], m: &[u64], m0: u64) -> bool {
    let (wide, m) = (digits_mut(wide), digits(m));
    let mut over = false;
    for i in 0..m.len() {
        let (row, rest) = wide[i..].split_at_mut(m.len());
        let [q, row @ ..] = row else { unreachable!("a modulus has a digit") };
        let mut carry = Zeroizing::new([0; LIMBS]);
        clear(token, q, &mut carry, &m[0], m0);
        for (sum, m) in row.iter_mut().zip(&m[1..]) {
            multiply_add(token, sum, &mut carry, m, q);
        }
        over = add(&mut rest[0], &carry, over);
    }
    over
}

fn digits(limbs: &[u64]) -> &[Digit] {
    limbs.as_chunks().0
}

fn digits_mut(limbs: &mut [u64]) -> &mut [Digit] {
    limbs.as_chunks_mut().0
}

/// sum ← sum + digit + over, returning the carry.
#[inline(always)]
fn add(sum: &mut Digit, digit: &Digit, mut over: bool) -> bool {
    for (sum, &limb) in sum.iter_mut().zip(digit) {
        (*sum, over) = sum.carrying_add(limb, over);
    }
    over
}

/// What chains of carries end with: there is no register left to hold a zero.
static ZERO: u64 = 0;

/// {high}:{low} = rdx·`a[$j]` into the limbs `$x` and `$y` of the sum.
#[rustfmt::skip]
macro_rules! add_product {
    ($j:literal, $x:literal, $y:literal) => {
        concat!(
            "mulx {high}, {low}, [{a} + 8*", $j, "]\n",
            "adox {", $x, "}, {low}\n",
            "adcx {", $y, "}, {high}\n",
        )
    };
}

/// The same for the last limb of a row: `$y` is new, and both chains end in it, leaving CF and OF clear.
#[rustfmt::skip]
macro_rules! add_last_product {
    ($x:literal, $y:literal) => {
        concat!(
            "mulx {", $y, "}, {low}, [{a} + 56]\n",
            "adox {", $x, "}, {low}\n",
            "adcx {", $y, "}, [rip + {zero}]\n",
            "adox {", $y, "}, [rip + {zero}]\n",
        )
    };
}

/// `b[$i]` times all of `a`, and `sum[$i]`, which is finished, is written back. The registers are named from
/// the limb at `$i` on; the register of the finished limb becomes that of the new one.
#[rustfmt::skip]
macro_rules! row {
    ($i:literal, $x0:literal, $x1:literal, $x2:literal, $x3:literal,
     $x4:literal, $x5:literal, $x6:literal, $x7:literal) => {
        concat!(
            "mov rdx, [{b} + 8*", $i, "]\n",
            "adcx {", $x0, "}, [{sum} + 8*", $i, "]\n",
            add_product!(0, $x0, $x1),
            "mov [{sum} + 8*", $i, "], {", $x0, "}\n",
            add_product!(1, $x1, $x2),
            add_product!(2, $x2, $x3),
            add_product!(3, $x3, $x4),
            add_product!(4, $x4, $x5),
            add_product!(5, $x5, $x6),
            add_product!(6, $x6, $x7),
            add_last_product!($x7, $x0),
        )
    };
}

/// The limb of q that makes the limb `$x0` zero, kept at `q[$i]`, times all of the modulus.
#[rustfmt::skip]
macro_rules! clearing_row {
    ($i:literal, $x0:literal, $x1:literal, $x2:literal, $x3:literal,
     $x4:literal, $x5:literal, $x6:literal, $x7:literal) => {
        concat!(
            "mov rdx, {", $x0, "}\n",
            "imul rdx, {m0}\n",
            "mov [{q} + 8*", $i, "], rdx\n",
            "xor {low:e}, {low:e}\n", // clears CF and OF
            add_product!(0, $x0, $x1),
            add_product!(1, $x1, $x2),
            add_product!(2, $x2, $x3),
            add_product!(3, $x3, $x4),
            add_product!(4, $x4, $x5),
            add_product!(5, $x5, $x6),
            add_product!(6, $x6, $x7),
            "mulx {high}, {low}, [{a} + 56]\n",
            "adox {", $x7, "}, {low}\n",
            "adcx {high}, {", $x0, "}\n", // a zero by now
            "adox {", $x0, "}, {high}\n",
        )
    };
}

/// (sum, carry) ← sum + carry + a·b, whose upper half is the carry. It fits: (B − 1)² + 2·(B − 1) = B² − 1.
#[inline(never)]
fn multiply_add(_: Adx, sum: &mut Digit, carry: &mut Digit, a: &Digit, b: &Digit) {
    let [x0, x1, x2, x3, x4, x5, x6, x7] = carry;
    // SAFETY: the token proves BMI2 and ADX. Reads 64 bytes each at `a` and `b`, reads and writes 64 at `sum`,
    // all borrowed, and reads a static; no stack. Flags are clobbered, which is the default.
    unsafe {
        asm!(
            "xor {low:e}, {low:e}", // clears CF and OF
            row!(0, "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"),
            row!(1, "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x0"),
            row!(2, "x2", "x3", "x4", "x5", "x6", "x7", "x0", "x1"),
            row!(3, "x3", "x4", "x5", "x6", "x7", "x0", "x1", "x2"),
            row!(4, "x4", "x5", "x6", "x7", "x0", "x1", "x2", "x3"),
            row!(5, "x5", "x6", "x7", "x0", "x1", "x2", "x3", "x4"),
            row!(6, "x6", "x7", "x0", "x1", "x2", "x3", "x4", "x5"),
            row!(7, "x7", "x0", "x1", "x2", "x3", "x4", "x5", "x6"),
            a = in(reg) a.as_ptr(),
            b = in(reg) b.as_ptr(),
            sum = in(reg) sum.as_mut_ptr(),
            zero = sym ZERO,
            out("rdx") _,
            low = out(reg) _,
            high = out(reg) _,
            x0 = inout(reg) *x0,
            x1 = inout(reg) *x1,
            x2 = inout(reg) *x2,
            x3 = inout(reg) *x3,
            x4 = inout(reg) *x4,
            x5 = inout(reg) *x5,
            x6 = inout(reg) *x6,
            x7 = inout(reg) *x7,
            options(nostack),
        );
    }
}

/// (q, carry) ← the q below B for which sum + q·m is divisible by B, and the quotient. The sum is in `q`.
#[inline(never)]
fn clear(_: Adx, q: &mut Digit, carry: &mut Digit, m: &Digit, m0: u64) {
    let [mut x0, mut x1, mut x2, mut x3, mut x4, mut x5, mut x6, mut x7] = *q;
    // SAFETY: the token proves BMI2 and ADX. Reads 64 bytes at `m`, writes 64 at `q`, both borrowed; no stack.
    // Flags are clobbered, which is the default.
    unsafe {
        asm!(
            clearing_row!(0, "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7"),
            clearing_row!(1, "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x0"),
            clearing_row!(2, "x2", "x3", "x4", "x5", "x6", "x7", "x0", "x1"),
            clearing_row!(3, "x3", "x4", "x5", "x6", "x7", "x0", "x1", "x2"),
            clearing_row!(4, "x4", "x5", "x6", "x7", "x0", "x1", "x2", "x3"),
            clearing_row!(5, "x5", "x6", "x7", "x0", "x1", "x2", "x3", "x4"),
            clearing_row!(6, "x6", "x7", "x0", "x1", "x2", "x3", "x4", "x5"),
            clearing_row!(7, "x7", "x0", "x1", "x2", "x3", "x4", "x5", "x6"),
            a = in(reg) m.as_ptr(),
            m0 = in(reg) m0,
            q = in(reg) q.as_mut_ptr(),
            out("rdx") _,
            low = out(reg) _,
            high = out(reg) _,
            x0 = inout(reg) x0,
            x1 = inout(reg) x1,
            x2 = inout(reg) x2,
            x3 = inout(reg) x3,
            x4 = inout(reg) x4,
            x5 = inout(reg) x5,
            x6 = inout(reg) x6,
            x7 = inout(reg) x7,
            options(nostack),
        );
    }
    *carry = [x0, x1, x2, x3, x4, x5, x6, x7];
}

/// pair ← the sum of a\[i\]·a\[j\] for i < j.
#[inline(never)]
fn multiply_within(_: Adx, pair: &mut [Digit; 2], a: &Digit) {
    // SAFETY: the token proves BMI2 and ADX. Reads 64 bytes at `a`, writes 128 at `pair`, both borrowed, and
    // reads a static; no stack. Flags are clobbered, which is the default.
    unsafe {
        asm!(
            // Limbs 1 to 14 of the result; those eight apart share a register.
            "mov qword ptr [{pair}], 0",
            "mov rdx, [{a}]",
            "mulx {x2}, {x1}, [{a} + 8]",
            "mov [{pair} + 8], {x1}",
            "mulx {x3}, {low}, [{a} + 16]",
            "add {x2}, {low}",
            "mov [{pair} + 16], {x2}",
            "mulx {x4}, {low}, [{a} + 24]",
            "adc {x3}, {low}",
            "mulx {x5}, {low}, [{a} + 32]",
            "adc {x4}, {low}",
            "mulx {x6}, {low}, [{a} + 40]",
            "adc {x5}, {low}",
            "mulx {x7}, {low}, [{a} + 48]",
            "adc {x6}, {low}",
            "mulx {x0}, {low}, [{a} + 56]",
            "adc {x7}, {low}",
            "adc {x0}, 0",
            "mov rdx, [{a} + 8]",
            "xor {low:e}, {low:e}", // clears CF and OF
            add_product!(2, "x3", "x4"),
            "mov [{pair} + 24], {x3}",
            add_product!(3, "x4", "x5"),
            "mov [{pair} + 32], {x4}",
            add_product!(4, "x5", "x6"),
            add_product!(5, "x6", "x7"),
            add_product!(6, "x7", "x0"),
            add_last_product!("x0", "x1"),
            "mov rdx, [{a} + 16]",
            add_product!(3, "x5", "x6"),
            "mov [{pair} + 40], {x5}",
            add_product!(4, "x6", "x7"),
            "mov [{pair} + 48], {x6}",
            add_product!(5, "x7", "x0"),
            add_product!(6, "x0", "x1"),
            add_last_product!("x1", "x2"),
            "mov rdx, [{a} + 24]",
            add_product!(4, "x7", "x0"),
            "mov [{pair} + 56], {x7}",
            add_product!(5, "x0", "x1"),
            "mov [{pair} + 64], {x0}",
            add_product!(6, "x1", "x2"),
            add_last_product!("x2", "x3"),
            "mov rdx, [{a} + 32]",
            add_product!(5, "x1", "x2"),
            "mov [{pair} + 72], {x1}",
            add_product!(6, "x2", "x3"),
            "mov [{pair} + 80], {x2}",
            add_last_product!("x3", "x4"),
            "mov rdx, [{a} + 40]",
            add_product!(6, "x3", "x4"),
            "mov [{pair} + 88], {x3}",
            add_last_product!("x4", "x5"),
            "mov [{pair} + 96], {x4}",
            "mov rdx, [{a} + 48]",
            "mulx {x6}, {low}, [{a} + 56]",
            "add {x5}, {low}",
            "adc {x6}, 0",
            "mov [{pair} + 104], {x5}",
            "mov [{pair} + 112], {x6}",
            "mov qword ptr [{pair} + 120], 0",
            a = in(reg) a.as_ptr(),
            pair = in(reg) pair.as_mut_ptr(),
            zero = sym ZERO,
            out("rdx") _,
            low = out(reg) _,
            high = out(reg) _,
            x0 = out(reg) _,
            x1 = out(reg) _,
            x2 = out(reg) _,
            x3 = out(reg) _,
            x4 = out(reg) _,
            x5 = out(reg) _,
            x6 = out(reg) _,
            x7 = out(reg) _,
            options(nostack),
        );
    }
}

/// Doubles two limbs of the sum and adds the square of a limb.
#[rustfmt::skip]
macro_rules! double_add_square {
    ($i:literal) => {
        concat!(
            "mov rdx, [{a} + 8*", $i, "]\n",
            "mulx {high}, {low}, rdx\n",
            double_add!($i),
        )
    };
}

/// Doubles two limbs of the sum and adds {high}:{low}.
#[rustfmt::skip]
macro_rules! double_add {
    ($i:literal) => {
        concat!(
            "mov {even}, [{pair} + 16*", $i, "]\n",
            "mov {odd}, [{pair} + 16*", $i, " + 8]\n",
            "adcx {even}, {even}\n",
            "adox {even}, {low}\n",
            "adcx {odd}, {odd}\n",
            "adox {odd}, {high}\n",
            "mov [{pair} + 16*", $i, "], {even}\n",
            "mov [{pair} + 16*", $i, " + 8], {odd}\n",
        )
    };
}

/// pair ← 2·pair + the squares of a's limbs in their places + carry, returning the carry; carries are 0, 1 or 2.
#[inline(never)]
fn double_add_squares(_: Adx, pair: &mut [Digit; 2], a: &Digit, mut carry: u64) -> u64 {
    // SAFETY: the token proves BMI2 and ADX. Reads 64 bytes at `a`, reads and writes 128 at `pair`, both
    // borrowed, and reads a static; no stack. Flags are clobbered, which is the default.
    unsafe {
        asm!(
            "mov rdx, [{a}]",
            "mulx {high}, {low}, rdx",
            "add {low}, {carry}", // the square of a limb is at most 2^128 − 2^65 + 1
            "adc {high}, 0",
            "xor {carry:e}, {carry:e}", // clears CF and OF
            double_add!(0),
            double_add_square!(1),
            double_add_square!(2),
            double_add_square!(3),
            double_add_square!(4),
            double_add_square!(5),
            double_add_square!(6),
            double_add_square!(7),
            "adcx {carry}, {carry}",
            "adox {carry}, [rip + {zero}]",
            a = in(reg) a.as_ptr(),
            pair = in(reg) pair.as_mut_ptr(),
            zero = sym ZERO,
            out("rdx") _,
            low = out(reg) _,
            high = out(reg) _,
            even = out(reg) _,
            odd = out(reg) _,
            carry = inout(reg) carry,
            options(nostack),
        );
    }
    carry
}

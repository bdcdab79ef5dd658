// SPDX-License-Identifier: MIT OR Apache-2.0
//! One row of a multiplication: limbs ← limbs + a·b. All of RSA's scalar time is spent here.

use crate::cpu::Adx;

/// limbs ← limbs + a·b, returning the carry. Both have the same length.
#[inline(always)]
pub(crate) fn add_product(adx: Option<Adx>, limbs: &mut [u64], a: &[u64], b: u64) -> u64 {
    match adx {
        #[cfg(target_arch = "x86_64")]
        Some(token) => {
            let (limbs, limbs_rest) = limbs.as_chunks_mut();
            let (a, a_rest) = a.as_chunks();
            let mut carry = 0;
            for (limbs, a) in limbs.iter_mut().zip(a) {
                carry = add_product_8(token, limbs, a, b, carry);
            }
            add_product_portable(limbs_rest, a_rest, b, carry)
        }
        _ => add_product_portable(limbs, a, b, 0),
    }
}

#[inline(always)]
fn add_product_portable(limbs: &mut [u64], a: &[u64], b: u64, mut carry: u64) -> u64 {
    for (limb, &a) in limbs.iter_mut().zip(a) {
        (*limb, carry) = a.carrying_mul_add(b, *limb, carry);
    }
    carry
}

/// Eight limbs with two chains of carries, one in CF and one in OF. Compilers have only one.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn add_product_8(_: Adx, limbs: &mut [u64; 8], a: &[u64; 8], b: u64, carry: u64) -> u64 {
    let mut high = carry;
    // SAFETY: the token proves BMI2 and ADX. Reads 64 bytes at `a`, reads and writes 64 at `limbs`,
    // both borrowed; no stack. Flags are clobbered, which is the default.
    unsafe {
        core::arch::asm!(
            "xor {zero:e}, {zero:e}", // clears CF and OF too
            "mulx {other}, {low}, [{a}]",
            "adcx {low}, {high}",
            "adox {low}, [{limbs}]",
            "mov [{limbs}], {low}",
            "mulx {high}, {low}, [{a} + 8]",
            "adcx {low}, {other}",
            "adox {low}, [{limbs} + 8]",
            "mov [{limbs} + 8], {low}",
            "mulx {other}, {low}, [{a} + 16]",
            "adcx {low}, {high}",
            "adox {low}, [{limbs} + 16]",
            "mov [{limbs} + 16], {low}",
            "mulx {high}, {low}, [{a} + 24]",
            "adcx {low}, {other}",
            "adox {low}, [{limbs} + 24]",
            "mov [{limbs} + 24], {low}",
            "mulx {other}, {low}, [{a} + 32]",
            "adcx {low}, {high}",
            "adox {low}, [{limbs} + 32]",
            "mov [{limbs} + 32], {low}",
            "mulx {high}, {low}, [{a} + 40]",
            "adcx {low}, {other}",
            "adox {low}, [{limbs} + 40]",
            "mov [{limbs} + 40], {low}",
            "mulx {other}, {low}, [{a} + 48]",
            "adcx {low}, {high}",
            "adox {low}, [{limbs} + 48]",
            "mov [{limbs} + 48], {low}",
            "mulx {high}, {low}, [{a} + 56]",
            "adcx {low}, {other}",
            "adox {low}, [{limbs} + 56]",
            "mov [{limbs} + 56], {low}",
            "adcx {high}, {zero}",
            "adox {high}, {zero}",
            a = in(reg) a.as_ptr(),
            limbs = in(reg) limbs.as_mut_ptr(),
            in("rdx") b,
            high = inout(reg) high,
            other = out(reg) _,
            low = out(reg) _,
            zero = out(reg) _,
            options(nostack),
        );
    }
    high
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! RSA signatures with keys of 2048 to 4096 bits and two primes (RFC 8017): by the Chinese remainder
//! theorem, on blinded bases, in constant time, and verified with the public key before release.
//!
//! A fault during one CRT half would let anyone factor the modulus (D. Boneh, R. DeMillo, R. Lipton,
//! "On the Importance of Checking Cryptographic Protocols for Faults", 1997), hence the verification.

#[cfg(target_arch = "x86_64")]
mod adx;
mod encode;
#[cfg(target_arch = "x86_64")]
pub(crate) mod ifma;
pub(crate) mod montgomery;
mod portable;
#[cfg(test)]
mod tests;

#[cfg(target_arch = "x86_64")]
use crate::cpu::Ifma;
use crate::ct;
use crate::hash::{self, Digest, Hmac};
use crate::outcome::{Failed, Signature};
use crate::secret::Secret;
use montgomery::{Modulus, Wide, wide};
use zeroize::{Zeroize, Zeroizing};

/// Smallest modulus, in bits.
pub const MIN_BITS: usize = 2048;
/// Largest modulus, in bits.
pub const MAX_BITS: usize = 4096;

/// Labels of the blinding numbers.
pub(crate) const BLINDING_P: &[u8] = b"RSA blinding p";
pub(crate) const BLINDING_Q: &[u8] = b"RSA blinding q";

/// How the digest is padded (RFC 8017 §8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// EMSA-PKCS1-v1_5.
    Pkcs1,
    /// EMSA-PSS; salt and MGF1 of the digest's hash and length.
    Pss,
}

/// What computes the two exponentiations.
pub(crate) enum Way<'s> {
    /// Scalar code.
    Scalar,
    /// Vector code, with the room it needs.
    #[cfg(target_arch = "x86_64")]
    Ifma(Ifma, &'s mut ifma::Scratch),
    /// Nothing more off x86-64; the lifetime is there all the same.
    #[cfg(not(target_arch = "x86_64"))]
    #[allow(dead_code)]
    Never(core::convert::Infallible, core::marker::PhantomData<&'s mut ()>),
}

/// What is wrong with the numbers of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKey {
    /// The modulus has this many bits, not 2048 to 4096.
    Size(usize),
    /// The public exponent is even, below 3, or 2^64 or more.
    PublicExponent,
    /// The modulus is not the product of the two primes, or one is longer than 2048 bits.
    Primes,
    /// The private exponents or the CRT coefficient do not undo the public exponent.
    PrivateExponent,
}

/// The numbers of an RSAPrivateKey (RFC 8017 §A.1.2), big-endian without leading zeros.
pub(crate) struct Components<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) e: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    pub(crate) dp: &'a [u8],
    pub(crate) dq: &'a [u8],
    pub(crate) qinv: &'a [u8],
}

/// A private key by the width of its numbers; shorter ones are padded with zero limbs.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a server has few keys, and nothing here may allocate
pub(crate) enum PrivateKey {
    /// Up to 2048 bits.
    Bits2048(Crt<16, 32>),
    /// Up to 3072 bits.
    Bits3072(Crt<24, 48>),
    /// Up to 4096 bits.
    Bits4096(Crt<32, 64>),
}

/// Runs `$body` with `$key` bound to the [`Crt`] of whatever width.
macro_rules! each_width {
    ($self:expr, $key:ident => $body:expr) => {
        match $self {
            PrivateKey::Bits2048($key) => $body,
            PrivateKey::Bits3072($key) => $body,
            PrivateKey::Bits4096($key) => $body,
        }
    };
}

impl PrivateKey {
    /// Reads and checks a key: p·q = n, and a trial signature must verify.
    pub(crate) fn new(components: &Components<'_>) -> Result<Self, InvalidKey> {
        let bits = bit_length(components.n);
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(InvalidKey::Size(bits));
        }
        // Primes of unequal length may need more room than half the modulus.
        match bits.max(2 * bit_length(components.p)).max(2 * bit_length(components.q)) {
            ..=2048 => Crt::new(components).map(Self::Bits2048),
            2049..=3072 => Crt::new(components).map(Self::Bits3072),
            3073..=4096 => Crt::new(components).map(Self::Bits4096),
            _ => Err(InvalidKey::Primes),
        }
    }

    /// Signs `digest`, made with `hash`; blinding and salt are expanded from `entropy`.
    pub(crate) fn sign(
        &self,
        padding: Padding,
        hash: hash::Algorithm,
        digest: &Digest,
        entropy: &Secret<32>,
        way: Way<'_>,
    ) -> Result<Signature, Failed> {
        each_width!(self, key => key.sign(padding, hash, digest, entropy, way))
    }

    /// Whether `n` and `e`, big-endian without leading zeros, are this key's public half.
    pub(crate) fn matches_public_key(&self, n: &[u8], e: &[u8]) -> bool {
        each_width!(self, key => limbs(n).as_ref() == Some(&key.n.m) && exponent(e) == Some(key.e))
    }
}

/// A private key with primes of at most `HALF` limbs and a modulus of at most `FULL` = 2·`HALF`;
/// wiped when dropped.
#[derive(Clone)]
pub(crate) struct Crt<const HALF: usize, const FULL: usize> {
    /// The modulus n = p·q.
    pub(crate) n: Modulus<FULL>,
    /// Its length in bits.
    pub(crate) bits: usize,
    /// The public exponent: odd and at least 3.
    pub(crate) e: u64,
    pub(crate) p: Modulus<HALF>,
    pub(crate) q: Modulus<HALF>,
    /// d mod p − 1; odd, because e is and p − 1 is even.
    pub(crate) dp: [u64; HALF],
    /// d mod q − 1; odd too.
    pub(crate) dq: [u64; HALF],
    /// q⁻¹ mod p.
    pub(crate) qinv: [u64; HALF],
}

impl<const HALF: usize, const FULL: usize> Crt<HALF, FULL> {
    fn new(components: &Components<'_>) -> Result<Self, InvalidKey> {
        const { assert!(FULL == 2 * HALF) };
        let half = |bytes| limbs::<HALF>(bytes).ok_or(InvalidKey::PrivateExponent).map(Zeroizing::new);
        let prime = |bytes| limbs(bytes).and_then(|p| Modulus::new(&Zeroizing::new(p)));
        let key = Self {
            n: limbs(components.n).and_then(|n| Modulus::new(&n)).ok_or(InvalidKey::Primes)?,
            bits: bit_length(components.n),
            e: exponent(components.e).filter(|e| e % 2 == 1 && *e >= 3).ok_or(InvalidKey::PublicExponent)?,
            p: prime(components.p).ok_or(InvalidKey::Primes)?,
            q: prime(components.q).ok_or(InvalidKey::Primes)?,
            dp: *half(components.dp)?,
            dq: *half(components.dq)?,
            qinv: *half(components.qinv)?,
        };
        let mut product = wide();
        montgomery::wide_product(key.n.adx, &mut product, &key.p.m, &key.q.m);
        if product.as_flattened() != key.n.m {
            return Err(InvalidKey::Primes);
        }
        if key.dp[0] & key.dq[0] & 1 == 0 {
            return Err(InvalidKey::PrivateExponent);
        }
        // Any padding exercises all of the key. A wrong number that survives this trial by luck or by
        // design can only make later signatures fail: each is verified.
        let digest = Digest::zero(hash::Algorithm::Sha256);
        key.sign(Padding::Pkcs1, hash::Algorithm::Sha256, &digest, &Secret::zero(), Way::Scalar)
            .map_err(|_| InvalidKey::PrivateExponent)?;
        Ok(key)
    }

    fn sign(
        &self,
        padding: Padding,
        hash: hash::Algorithm,
        digest: &Digest,
        entropy: &Secret<32>,
        way: Way<'_>,
    ) -> Result<Signature, Failed> {
        let message = self.encode(padding, hash, digest, entropy)?;
        let signature = self.exponentiate(&message, entropy, way)?;
        if !self.verifies(&signature, &message) {
            return Err(Failed::Fault);
        }
        self.encoding(&signature)
    }

    /// A verified signature as it goes on the wire.
    pub(crate) fn encoding(&self, signature: &[u64; FULL]) -> Result<Signature, Failed> {
        let mut bytes = [0; MAX_BITS / 8];
        let bytes = &mut bytes[..self.bits.div_ceil(8)];
        write_big_endian(bytes, signature);
        Signature::new(bytes).ok_or(Failed::Fault)
    }

    /// The padded digest as a number below n.
    pub(crate) fn encode(
        &self,
        padding: Padding,
        hash: hash::Algorithm,
        digest: &Digest,
        entropy: &Secret<32>,
    ) -> Result<[u64; FULL], Failed> {
        let digest = digest.as_bytes();
        if digest.len() != hash.len() {
            return Err(Failed::Unsupported);
        }
        let mut encoded = [0; MAX_BITS / 8];
        let encoded = &mut encoded[..self.bits.div_ceil(8)];
        match padding {
            Padding::Pkcs1 => encode::pkcs1(encoded, hash, digest),
            Padding::Pss => {
                let mut salt = [0; hash::MAX_DIGEST];
                let salt = &mut salt[..hash.len()];
                expand(entropy, b"RSA PSS salt", salt)?;
                encode::pss(encoded, self.bits, hash, digest, salt);
            }
        }
        limbs(encoded).ok_or(Failed::Unsupported)
    }

    /// message^d mod n, not yet verified.
    fn exponentiate(
        &self,
        message: &[u64; FULL],
        entropy: &Secret<32>,
        way: Way<'_>,
    ) -> Result<Zeroizing<[u64; FULL]>, Failed> {
        let scratch = &mut wide();
        let mut p = Blinded::new(&self.p, self.e, message, entropy, BLINDING_P, scratch)?;
        let mut q = Blinded::new(&self.q, self.e, message, entropy, BLINDING_Q, scratch)?;
        // d − 1, because d is odd.
        let dp = Zeroizing::new(core::array::from_fn(|i| if i == 0 { self.dp[0] & !1 } else { self.dp[i] }));
        let dq = Zeroizing::new(core::array::from_fn(|i| if i == 0 { self.dq[0] & !1 } else { self.dq[i] }));
        match way {
            Way::Scalar => {
                p.base = self.p.power(&p.base, &dp, scratch);
                q.base = self.q.power(&q.base, &dq, scratch);
            }
            #[cfg(target_arch = "x86_64")]
            Way::Ifma(token, tables) => {
                self.p.leave(&mut p.base, scratch);
                self.q.leave(&mut q.base, scratch);
                let primes = [&self.p, &self.q];
                let bases = [&mut *p.base, &mut *q.base];
                match HALF {
                    16 => ifma::powers::<HALF, 3, 20>(token, primes, bases, [&dp, &dq], tables),
                    24 => ifma::powers::<HALF, 4, 30>(token, primes, bases, [&dp, &dq], tables),
                    _ => ifma::powers::<HALF, 5, 40>(token, primes, bases, [&dp, &dq], tables),
                }
                self.p.enter(&mut p.base, scratch);
                self.q.enter(&mut q.base, scratch);
            }
        }
        let mut sp = p.unblind(&self.p, scratch);
        let mut sq = q.unblind(&self.q, scratch);

        // Garner: s = sq + q·(qinv·(sp − sq) mod p).
        self.p.leave(&mut sp, scratch);
        self.q.leave(&mut sq, scratch);
        let mut sq_mod_p = sq.clone();
        self.p.remainder(&mut sq_mod_p, scratch);
        montgomery::subtract(&mut sp, &sq_mod_p, &self.p.m);
        self.p.enter(&mut sp, scratch);
        self.p.multiply(&mut sp, &self.qinv, scratch);
        self.p.remainder(&mut sp, scratch);
        montgomery::wide_product(self.n.adx, scratch, &sp, &self.q.m);
        let mut s = Zeroizing::new([0; FULL]);
        let mut carry = false;
        for (i, (s, &product)) in s.iter_mut().zip(scratch.as_flattened()).enumerate() {
            (*s, carry) = product.carrying_add(sq.get(i).copied().unwrap_or(0), carry);
        }
        Ok(s)
    }

    /// Whether signature^e mod n is `message`, which is below n.
    pub(crate) fn verifies(&self, signature: &[u64; FULL], message: &[u64; FULL]) -> bool {
        let scratch = &mut wide();
        let mut base = Zeroizing::new(*signature);
        self.n.enter(&mut base, scratch);
        let mut opened = self.n.power_public(&base, self.e, scratch);
        self.n.leave(&mut opened, scratch);
        let difference = opened.iter().zip(message).fold(0, |all, (a, b)| all | (a ^ b));
        ct::mask_zero(difference) != 0
    }
}

impl<const HALF: usize, const FULL: usize> Drop for Crt<HALF, FULL> {
    fn drop(&mut self) {
        self.dp.zeroize();
        self.dq.zeroize();
        self.qinv.zeroize();
    }
}

/// A base to raise to d − 1, and what then gives message^d; no base is raised that an attacker may know.
///
/// With a random r, the base is message·r^e, and message^d = base^(d−1)·message·r^(e−1), because
/// r^(e·(d−1))·r^(e−1) = r^(e·d−1) = 1. Unlike the usual form, this needs no inverse of r.
struct Blinded<const HALF: usize> {
    /// message·r^e, in Montgomery form.
    base: Zeroizing<[u64; HALF]>,
    /// message·r^(e−1), in Montgomery form.
    rest: Zeroizing<[u64; HALF]>,
}

impl<const HALF: usize> Blinded<HALF> {
    fn new<const FULL: usize>(
        prime: &Modulus<HALF>,
        e: u64,
        message: &[u64; FULL],
        entropy: &Secret<32>,
        label: &[u8],
        scratch: &mut Wide<HALF>,
    ) -> Result<Self, Failed> {
        let r = blinding(entropy, label)?;

        // message mod prime: message/R, then twice times R.
        let mut reduced = Zeroizing::new([0; HALF]);
        scratch.as_flattened_mut().copy_from_slice(message);
        prime.reduce(&mut reduced, scratch);
        prime.enter(&mut reduced, scratch);
        prime.enter(&mut reduced, scratch);

        let mut rest = prime.power_public(&r, e - 1, scratch);
        prime.multiply(&mut rest, &reduced, scratch);
        let mut base = rest.clone();
        prime.multiply(&mut base, &r, scratch);
        Ok(Self { base, rest })
    }

    /// message^d, in Montgomery form, once the base has been raised to d − 1.
    fn unblind(mut self, prime: &Modulus<HALF>, scratch: &mut Wide<HALF>) -> Zeroizing<[u64; HALF]> {
        prime.multiply(&mut self.base, &self.rest, scratch);
        self.base
    }
}

/// A number expanded from `entropy`. Taken to be in Montgomery form, it is as random as any.
pub(crate) fn blinding<const HALF: usize>(
    entropy: &Secret<32>,
    label: &[u8],
) -> Result<Zeroizing<[u64; HALF]>, Failed> {
    let mut random = Zeroizing::new([[0; 8]; HALF]);
    expand(entropy, label, random.as_flattened_mut())?;
    let mut r = Zeroizing::new([0; HALF]);
    for (limb, bytes) in r.iter_mut().zip(&*random) {
        *limb = u64::from_le_bytes(*bytes);
    }
    Ok(r)
}

/// HKDF-Expand (RFC 5869 §2.3) with SHA-256, `entropy` as PRK and `label` as info.
///
/// # Errors
/// [`Failed::Unsupported`] for more than 255 blocks, which no key size reaches.
fn expand(entropy: &Secret<32>, label: &[u8], out: &mut [u8]) -> Result<(), Failed> {
    let keyed = Hmac::new(hash::Algorithm::Sha256, entropy.expose()).ok_or(Failed::Unsupported)?;
    let mut previous: Option<Digest> = None;
    for (i, chunk) in out.chunks_mut(32).enumerate() {
        let counter = u8::try_from(i + 1).map_err(|_| Failed::Unsupported)?;
        let mut mac = keyed.clone();
        if let Some(previous) = &previous {
            mac.update(previous.as_bytes());
        }
        mac.update(label);
        mac.update(&[counter]);
        let block = mac.finish();
        chunk.copy_from_slice(&block.as_bytes()[..chunk.len()]);
        previous = Some(block);
    }
    Ok(())
}

/// Length in bits of a big-endian number.
fn bit_length(bytes: &[u8]) -> usize {
    let significant = bytes.iter().position(|&byte| byte != 0).map_or(&[][..], |first| &bytes[first..]);
    match significant {
        [] => 0,
        [top, rest @ ..] => top.ilog2() as usize + 1 + 8 * rest.len(),
    }
}

/// A big-endian number as limbs; `None` if it does not fit.
fn limbs<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut limbs = [0; N];
    for (i, chunk) in bytes.rchunks(8).enumerate() {
        let limb = chunk.iter().fold(0, |limb, &byte| limb << 8 | u64::from(byte));
        match limbs.get_mut(i) {
            Some(place) => *place = limb,
            None if limb == 0 => {}
            None => return None,
        }
    }
    Some(limbs)
}

/// A big-endian public exponent; `None` from 2^64 on.
fn exponent(bytes: &[u8]) -> Option<u64> {
    limbs::<1>(bytes).map(|[e]| e)
}

/// Writes as many low bytes of `limbs` as fit, big-endian.
fn write_big_endian(bytes: &mut [u8], limbs: &[u64]) {
    for (chunk, limb) in bytes.rchunks_mut(8).zip(limbs) {
        chunk.copy_from_slice(&limb.to_be_bytes()[8 - chunk.len()..]);
    }
}

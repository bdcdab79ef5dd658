// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every operation that handles secrets, for the audits of docs/constant-time.md.
//!
//! - `ci/constant-time` disassembles this program and counts branches.
//! - `make audit-valgrind` runs it under valgrind, which is told which bytes are secret and reports
//!   every branch and every address that depends on them.
//!
//! Two functions here leak on purpose: an audit that does not find them is broken.

use std::hint::black_box;

use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, Output, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

/// What valgrind's memcheck is asked to believe of some bytes; nothing happens without valgrind.
#[derive(Clone, Copy)]
enum Memory {
    /// Using them in a branch or an address is an error: secret.
    Undefined = 0x4d43_0001,
    /// Public.
    Defined = 0x4d43_0002,
}

/// A client request (valgrind.h): a sequence of instructions that does nothing, which valgrind knows.
#[cfg(target_arch = "x86_64")]
fn mark<T: ?Sized>(bytes: &mut T, memory: Memory) {
    let address = (&raw mut *bytes).cast::<u8>() as u64;
    let request = [memory as u64, address, size_of_val(bytes) as u64, 0, 0, 0];
    // SAFETY: four rotations by 128 bits in all, and an exchange of a register with itself.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &request,
            inout("rdx") 0_u64 => _,
        );
    }
}
#[cfg(not(target_arch = "x86_64"))]
fn mark<T: ?Sized>(_: &mut T, _: Memory) {}

/// Secret bytes: arbitrary values that valgrind takes for undefined.
fn secret<const N: usize>() -> Secret<N> {
    let mut bytes = black_box([0x5a; N]);
    mark(&mut bytes, Memory::Undefined);
    Secret::new(bytes)
}

/// A key file whose bytes in `ranges` are secret.
fn key(file: &[u8], ranges: &[(usize, usize)]) -> SigningKey {
    let mut file = file.to_vec();
    for &(start, end) in ranges {
        mark(&mut file[start..end], Memory::Undefined);
    }
    SigningKey::from_der(Encoding::Pkcs8, &file).expect("a key")
}

fn share(group: Group) -> PeerShare {
    let private = Secret::new([3; 32]);
    match group {
        Group::X25519 => PeerShare::X25519(ttls_crypto::x25519::public_key(&private)),
        Group::Secp256r1 => {
            PeerShare::Secp256r1(ttls_crypto::p256::public_key(&private).expect("a scalar in range"))
        }
        Group::X25519MlKem768 => {
            let mut share = [0; 1216];
            share[1184..].copy_from_slice(&ttls_crypto::x25519::public_key(&private));
            PeerShare::X25519MlKem768(share)
        }
    }
}

/// The operations; RSA only where it is not too slow.
fn work<'k>(keys: &'k [SigningKey]) -> Vec<Work<'k>> {
    let mut work = Vec::new();
    for group in [Group::X25519, Group::Secp256r1, Group::X25519MlKem768] {
        work.push(Work::KeyExchange(KeyExchange::Respond { peer: share(group), seed: secret() }));
        if group != Group::X25519MlKem768 {
            work.push(Work::KeyExchange(KeyExchange::Generate { group, seed: secret() }));
            work.push(Work::KeyExchange(KeyExchange::Agree { private: secret(), peer: share(group) }));
        }
    }
    for key in keys {
        let schemes =
            [Scheme::EcdsaP256Sha256, Scheme::RsaPss(Algorithm::Sha256), Scheme::RsaPkcs1(Algorithm::Sha256)];
        for scheme in schemes.into_iter().filter(|scheme| key.supports(*scheme)) {
            let digest = Algorithm::Sha256.digest(b"what is signed");
            work.push(Work::Sign(key, SignRequest { scheme, digest, entropy: secret() }));
        }
    }
    work
}

/// Leaks by a branch.
#[inline(never)]
fn leak_by_branch(secret: &Secret<32>) -> u64 {
    let mut sum = 0;
    for byte in secret.expose() {
        if byte & 1 == 1 {
            sum = black_box(sum + 1);
        }
    }
    sum
}

/// Leaks by an address.
#[inline(never)]
fn leak_by_address(secret: &Secret<32>, table: &[u8; 256]) -> u8 {
    secret.expose().iter().fold(0, |sum, byte| sum ^ table[usize::from(*byte)])
}

fn main() {
    let leak = std::env::args().nth(1);
    match leak.as_deref() {
        Some("leak-by-branch") => {
            black_box(leak_by_branch(&secret()));
            return;
        }
        Some("leak-by-address") => {
            black_box(leak_by_address(&secret(), black_box(&[7; 256])));
            return;
        }
        _ => {}
    }
    let keys = [
        // The private scalar.
        key(include_bytes!("../../../vectors/keys/p256.pkcs8.der"), &[(36, 68)]),
        // p, q, dp, dq and qInv but for their top bytes, which say how long they are.
        key(
            include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der"),
            &[(564, 691), (696, 823), (828, 954), (959, 1085), (1090, 1216)],
        ),
    ];
    for cpu in [Choice::Scalar, Choice::Avx2, Choice::Ifma, Choice::AvxIfma]
        .into_iter()
        .filter_map(|choice| Cpu::detect(choice).ok())
    {
        let mut engine = Box::new(Engine::new(cpu));
        // Lanes full of each operation that has them; RSA takes long, and has them in AVX-512 only.
        let copies = if matches!(cpu, Cpu::Scalar) { 1 } else { 8 };
        let all = |copy| copy == 0 || matches!(cpu, Cpu::Ifma(_));
        let mut items: Vec<_> = (0..copies)
            .flat_map(|copy| work(if all(copy) { &keys } else { &keys[..1] }))
            .map(Item::new)
            .collect();
        engine.run(&mut items);
        for item in &mut items {
            let Some(Ok(output)) = &mut item.result else { panic!("an operation failed") };
            mark(output, Memory::Defined);
            black_box::<&mut Output>(output);
        }
        println!("{}: {} operations", cpu.name(), items.len());
    }
}

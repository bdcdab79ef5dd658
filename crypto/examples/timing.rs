// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times batches whose secrets are a fixed, extreme value or random, by turns, and asks whether the two
//! can be told apart (O. Reparaz, J. Balasch, I. Verbauwhede, "Dude, is my code constant time?", 2017).
//!
//! `timing [MEASUREMENTS]`, default 100000 per operation, RSA a fiftieth. |t| above 10 is a leak; above
//! 4.5 run it again, longer and on a quieter machine. The first row is a control that must leak.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

const LANES: usize = 8;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn secret(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.word().to_le_bytes()[0])
    }
}

/// Nanoseconds of both classes, fixed first.
type Times = [Vec<f64>; 2];

/// Largest |t| of Welch's test over the whole sample and its faster parts.
fn welch(times: &Times) -> f64 {
    let mut pooled: Vec<f64> = times.concat();
    pooled.sort_by(f64::total_cmp);
    let parts = [100, 99, 95, 90, 75, 50];
    let t = parts.map(|percent| {
        let limit = pooled[(pooled.len() - 1) * percent / 100];
        let [(n0, mean0, var0), (n1, mean1, var1)] = times.each_ref().map(|times| {
            let kept: Vec<f64> = times.iter().copied().filter(|time| *time <= limit).collect();
            let n = kept.len() as f64;
            let mean = kept.iter().sum::<f64>() / n;
            (n, mean, kept.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (n - 1.0))
        });
        ((mean0 - mean1) / (var0 / n0 + var1 / n1).sqrt()).abs()
    });
    t.into_iter().fold(0.0, f64::max)
}

/// Measures `run` on what `make` made of secrets of both classes, which come in random order.
fn measure<T>(
    count: usize,
    fixed: [u8; 32],
    make: impl Fn([[u8; 32]; LANES]) -> T,
    mut run: impl FnMut(&mut T),
) -> f64 {
    /// Made ahead, so that making them, which differs by class, is over before the clock starts.
    const AHEAD: usize = 8;
    let mut random = Random(count as u64);
    let mut times: Times = [Vec::new(), Vec::new()];
    for round in 0..(count + count / 20) / AHEAD {
        let mut made: [(usize, T); AHEAD] = std::array::from_fn(|_| {
            let class = usize::from(random.word() & 1 == 1);
            // Drawn for both classes, so that drawing tells nothing.
            let drawn = std::array::from_fn(|_| random.secret());
            (class, make(if class == 0 { [fixed; LANES] } else { drawn }))
        });
        for (class, work) in &mut made {
            let start = Instant::now();
            run(work);
            let time = start.elapsed().as_nanos() as f64;
            // The first twentieth warms up.
            if round >= count / 20 / AHEAD {
                times[*class].push(time);
            }
        }
        black_box(&made);
    }
    welch(&times)
}

/// Measures batches of eight by the engine.
fn batch<'k>(engine: &mut Engine, count: usize, fixed: [u8; 32], make: impl Fn([u8; 32]) -> Work<'k>) -> f64 {
    measure(count, fixed, |secrets| secrets.map(|secret| Item::new(make(secret))), |items| engine.run(items))
}

fn seed(secret: [u8; 32]) -> Secret<64> {
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&secret);
    seed[32..].copy_from_slice(&secret);
    Secret::new(seed)
}

/// A secret-dependent branch, which must be found.
fn control(count: usize) -> f64 {
    measure(
        count,
        [0; 32],
        |secrets| secrets,
        |secrets| {
            for byte in secrets.as_flattened() {
                if byte & 1 == 1 {
                    black_box(byte);
                }
            }
        },
    )
}

fn main() {
    let count = std::env::args().nth(1).map_or(100_000, |count| count.parse().expect("a number"));
    println!("{:<8} {:<24} {:>9} {:>8}", "path", "operation", "batches", "max |t|");
    let report = |path: &str, operation: &str, count: usize, t: f64| {
        println!("{path:<8} {operation:<24} {count:>9} {t:>8.2}");
        t
    };
    if report("-", "control (leaks)", count, control(count)) < 10.0 {
        println!("the control was not found: the measurement is broken");
        std::process::exit(1);
    }

    let x25519 = PeerShare::X25519(ttls_crypto::x25519::public_key(&Secret::new([3; 32])));
    let p256 = PeerShare::Secp256r1(ttls_crypto::p256::public_key(&Secret::new([3; 32])).expect("a key"));
    let ecdsa = SigningKey::from_der(Encoding::Pkcs8, include_bytes!("../../vectors/keys/p256.pkcs8.der"));
    let rsa = SigningKey::from_der(Encoding::Pkcs8, include_bytes!("../../vectors/keys/rsa-2048.pkcs8.der"));
    let (ecdsa, rsa) = (ecdsa.expect("a key"), rsa.expect("a key"));
    let mut one = [0; 32];
    one[31] = 1;
    // ECPrivateKey (RFC 5915) of the scalar 1.
    let der = [&[0x30, 0x31, 2, 1, 1, 4, 32][..], &one, b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"];
    let key_one = SigningKey::from_der(Encoding::Sec1, &der.concat()).expect("a key");
    let random = RefCell::new(Random(1));

    let mut worst: f64 = 0.0;
    for choice in [Choice::Ifma, Choice::AvxIfma, Choice::Scalar] {
        let cpu = match Cpu::detect(choice) {
            Ok(cpu) => cpu,
            Err(missing) => {
                println!("not measured: {missing}");
                continue;
            }
        };
        let mut engine = Box::new(Engine::new(cpu));
        // Scalar code computes the eight one by one.
        let count = if matches!(cpu, Cpu::Scalar) { count / 10 } else { count };
        let respond = |peer: &PeerShare, secret| {
            Work::KeyExchange(KeyExchange::Respond { peer: peer.clone(), seed: seed(secret) })
        };
        let sign = |key, scheme, secret| {
            let digest = Algorithm::Sha256.digest(b"what is signed");
            Work::Sign(key, SignRequest { scheme, digest, entropy: Secret::new(secret) })
        };
        let pss = Scheme::RsaPss(Algorithm::Sha256);
        for (operation, t, count) in [
            ("x25519 respond", batch(&mut engine, count, [0; 32], |k| respond(&x25519, k)), count),
            (
                "x25519 generate",
                batch(&mut engine, count, [0xff; 32], |k| {
                    Work::KeyExchange(KeyExchange::Generate { group: Group::X25519, seed: seed(k) })
                }),
                count,
            ),
            ("p256 respond", batch(&mut engine, count, one, |k| respond(&p256, k)), count),
            // The encoding of a signature, which is public, takes its time by the signature: so entropy
            // is random for both classes, and the key is 1 or not. Nonces are tried as P-256 scalars.
            (
                "ecdsa sign",
                batch(&mut engine, count, [0; 32], |secret| {
                    let key = if secret == [0; 32] { &key_one } else { &ecdsa };
                    sign(key, Scheme::EcdsaP256Sha256, random.borrow_mut().secret())
                }),
                count,
            ),
            ("rsa-2048 sign", batch(&mut engine, count / 50, [0; 32], |k| sign(&rsa, pss, k)), count / 50),
        ] {
            worst = worst.max(report(cpu.name(), operation, count, t));
        }
    }
    if worst > 10.0 {
        println!("time depends on a secret");
        std::process::exit(1);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times batches whose secrets are a fixed, extreme value or random, by turns, and asks whether the two
//! can be told apart (O. Reparaz, J. Balasch, I. Verbauwhede, "Dude, is my code constant time?", 2017).
//!
//! `timing [MEASUREMENTS]`, default 100000 per operation, RSA a fiftieth. |t| above 10 is a leak; above
//! 4.5 run it again, longer and on a quieter machine. The first row is a control that must leak.
//!
//! `timing ticks MEASUREMENTS` is for an emulator whose time stamp counter counts instructions. There a batch that no
//! interrupt meets takes as many ticks as any other, exactly, whatever its secrets are: one tick more is a leak. Batches
//! that an interrupt meets are left out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::LazyLock;
use std::time::Instant;

use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, Output, PeerShare, SignRequest, Work};
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

/// What is asked of the times of both classes.
#[derive(Clone, Copy)]
enum Method {
    /// Nanoseconds; the answer is |t|.
    Statistics,
    /// Ticks of batches that no interrupt met; the answer is by how many they differ, not a number if there were too few.
    Ticks,
}

impl Method {
    fn now(self) -> u64 {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        match self {
            Self::Statistics => u64::try_from(START.elapsed().as_nanos()).expect("less than centuries"),
            Self::Ticks => ticks(),
        }
    }

    /// A count that changes if something came between that falsifies a time.
    fn disturbances(self) -> u64 {
        match self {
            Self::Statistics => 0,
            Self::Ticks => interrupts(),
        }
    }

    /// What the answer is called.
    const fn answer(self) -> &'static str {
        match self {
            Self::Statistics => "max |t|",
            Self::Ticks => "ticks",
        }
    }

    /// Answers from here on are leaks.
    const fn leak(self) -> f64 {
        match self {
            Self::Statistics => 10.0,
            Self::Ticks => 1.0,
        }
    }
}

/// Nanoseconds or ticks of both classes, fixed first.
type Times = [Vec<f64>; 2];

/// Ticks of the time stamp counter.
#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: reads a counter that every x86-64 CPU has.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(target_arch = "x86_64"))]
fn ticks() -> u64 {
    unimplemented!("ticks are counted on x86-64 only")
}

/// Interrupts since the machine was started.
fn interrupts() -> u64 {
    let counts = std::fs::read_to_string("/proc/stat").expect("/proc/stat");
    let total = counts.lines().find_map(|line| line.strip_prefix("intr ")?.split(' ').next()?.parse().ok());
    total.expect("a count of interrupts")
}

/// By how many ticks the longest of all batches differs from the shortest.
fn difference(times: &Times) -> f64 {
    if times.iter().any(|times| times.len() < 3) {
        return f64::NAN;
    }
    let all = || times.iter().flatten().copied();
    all().fold(0.0, f64::max) - all().fold(f64::INFINITY, f64::min)
}

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

/// Measures `run` on what `make` made of secrets of both classes, which come in random order. Of results that are public and
/// differ in `lengths`, only those of the most common ones are compared by ticks: encoding them takes its own.
fn measure<T>(
    method: Method,
    count: usize,
    fixed: [u8; 32],
    make: impl Fn([[u8; 32]; LANES]) -> T,
    mut run: impl FnMut(&mut T),
    lengths: impl Fn(&T) -> u128,
) -> f64 {
    /// Made ahead, so that making them, which differs by class, is over before the clock starts.
    const AHEAD: usize = 8;
    let mut random = Random(count as u64);
    let mut times: Times = [Vec::new(), Vec::new()];
    let mut by_lengths: BTreeMap<u128, Times> = BTreeMap::new();
    let warm_up = (count / 20).div_ceil(AHEAD).max(1);
    for round in 0..warm_up + count / AHEAD {
        let made: [(usize, T); AHEAD] = std::array::from_fn(|_| {
            let class = usize::from(random.word() & 1 == 1);
            // Drawn for both classes, so that drawing tells nothing.
            let drawn = std::array::from_fn(|_| random.secret());
            (class, make(if class == 0 { [fixed; LANES] } else { drawn }))
        });
        // Each is moved to the same place: copies inside take their time, and instructions, by addresses.
        for (class, mut work) in made {
            let before = method.disturbances();
            let start = method.now();
            run(&mut work);
            let time = (method.now() - start) as f64;
            // What comes first warms up.
            if round < warm_up || method.disturbances() != before {
                continue;
            }
            match method {
                Method::Statistics => times[class].push(time),
                Method::Ticks => by_lengths.entry(lengths(&work)).or_default()[class].push(time),
            }
            black_box(&work);
        }
    }
    match method {
        Method::Statistics => welch(&times),
        Method::Ticks => {
            let common = by_lengths.into_values().max_by_key(|[fixed, random]| fixed.len().min(random.len()));
            common.map_or(f64::NAN, |times| difference(&times))
        }
    }
}

/// Measures batches of eight by the engine.
fn batch<'k>(
    method: Method,
    engine: &mut Engine,
    count: usize,
    fixed: [u8; 32],
    make: impl Fn([u8; 32]) -> Work<'k>,
) -> f64 {
    // How many pairs of r and s there are of each two kinds, in a byte each. A kind of INTEGER is whether there is a zero in
    // front, and whether fewer than 32 bytes follow it.
    let kind = |integer: &[u8]| {
        let zero = usize::from(integer[0] == 0);
        zero + 2 * usize::from(integer.len() - zero < 32)
    };
    let lengths = |item: &Item<'_>| match &item.result {
        Some(Ok(Output::Signed(signature))) if signature.as_bytes().len() < 80 => {
            let (r, s) = signature.as_bytes()[4..].split_at(signature.as_bytes()[3].into());
            1 << (8 * kind(r) + 32 * kind(&s[2..]))
        }
        _ => 0,
    };
    measure(
        method,
        count,
        fixed,
        |secrets| secrets.map(|secret| Item::new(make(secret))),
        |items| engine.run(items),
        |items| items.iter().map(lengths).sum(),
    )
}

fn seed(secret: [u8; 32]) -> Secret<64> {
    let mut seed = [0; 64];
    seed[..32].copy_from_slice(&secret);
    seed[32..].copy_from_slice(&secret);
    Secret::new(seed)
}

/// A secret-dependent branch, which must be found.
fn control(method: Method, count: usize) -> f64 {
    measure(
        method,
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
        |_| 0,
    )
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let ticks = arguments.next_if(|argument| argument == "ticks");
    let method = ticks.map_or(Method::Statistics, |_| Method::Ticks);
    let count = arguments.next().map_or(100_000, |count| count.parse().expect("a number"));
    println!("{:<8} {:<24} {:>9} {:>8}", "path", "operation", "batches", method.answer());
    let report = |path: &str, operation: &str, count: usize, t: f64| {
        println!("{path:<8} {operation:<24} {count:>9} {t:>8.2}");
        t
    };
    let found = report("-", "control (leaks)", count, control(method, count)) >= method.leak();
    if !found {
        println!("the control was not found: the measurement is broken");
        std::process::exit(1);
    }

    let x25519 = PeerShare::X25519(ttls_crypto::x25519::public_key(&Secret::new([3; 32])));
    let mut hybrid = [0x55; 1216];
    hybrid[1184..].copy_from_slice(&ttls_crypto::x25519::public_key(&Secret::new([3; 32])));
    let hybrid = PeerShare::X25519MlKem768(hybrid);
    let p256 = PeerShare::Secp256r1(ttls_crypto::p256::public_key(&Secret::new([3; 32])).expect("a key"));
    let ecdsa = SigningKey::from_der(Encoding::Pkcs8, include_bytes!("../../../vectors/keys/p256.pkcs8.der"));
    let rsa =
        SigningKey::from_der(Encoding::Pkcs8, include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der"));
    let (ecdsa, rsa) = (ecdsa.expect("a key"), rsa.expect("a key"));
    let mut one = [0; 32];
    one[31] = 1;
    // ECPrivateKey (RFC 5915) of the scalar 1.
    let der = [&[0x30, 0x31, 2, 1, 1, 4, 32][..], &one, b"\xa0\x0a\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"];
    let key_one = SigningKey::from_der(Encoding::Sec1, &der.concat()).expect("a key");
    let random = RefCell::new(Random(1));

    let mut worst: f64 = 0.0;
    for choice in [Choice::Ifma, Choice::AvxIfma, Choice::Avx2, Choice::Scalar] {
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
            ("x25519 respond", batch(method, &mut engine, count, [0; 32], |k| respond(&x25519, k)), count),
            (
                "x25519mlkem768 respond",
                batch(method, &mut engine, count, [0; 32], |k| respond(&hybrid, k)),
                count,
            ),
            (
                "x25519 generate",
                batch(method, &mut engine, count, [0xff; 32], |k| {
                    Work::KeyExchange(KeyExchange::Generate { group: Group::X25519, seed: seed(k) })
                }),
                count,
            ),
            ("p256 respond", batch(method, &mut engine, count, one, |k| respond(&p256, k)), count),
            // The encoding of a signature, which is public, takes its time by the signature: so entropy
            // is random for both classes, and the key is 1 or not. Nonces are tried as P-256 scalars.
            (
                "ecdsa sign",
                batch(method, &mut engine, count, [0; 32], |secret| {
                    let key = if secret == [0; 32] { &key_one } else { &ecdsa };
                    sign(key, Scheme::EcdsaP256Sha256, random.borrow_mut().secret())
                }),
                count,
            ),
            (
                "rsa-2048 sign",
                batch(method, &mut engine, count / 50, [0; 32], |k| sign(&rsa, pss, k)),
                count / 50,
            ),
        ] {
            worst = worst.max(report(cpu.name(), operation, count, t));
        }
    }
    if worst >= method.leak() {
        println!("time depends on a secret");
        std::process::exit(1);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random work, computed in lanes and by scalar code: `compare PATH ROUNDS [SEED]`, PATH being `ifma`, `avx-ifma` or `avx2`.
//!
//! A round is a batch of one kind and one of two kinds mixed, of eight to 64 items of each, so that full and partly filled
//! vectors meet. The last line counts what was compared; a difference panics and names the seed, and so does a CPU
//! without that path: nothing is passed over in silence. `crypto/tests/batch.rs` has the corner cases, and vectors of others.

use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::{Group, KeyExchange, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

#[path = "../../../crypto/tests/common/mod.rs"]
mod common;
use common::{Random, bytes};

const KINDS: [&str; 11] = [
    "x25519 respond",
    "x25519 generate",
    "x25519 agree",
    "p256 respond",
    "p256 generate",
    "p256 agree",
    "x25519mlkem768 respond",
    "ecdsa-p256 sign",
    "rsa-2048 sign",
    "rsa-3072 sign",
    "rsa-4096 sign",
];

struct Keys {
    ecdsa: SigningKey,
    rsa: [SigningKey; 3],
}

impl Keys {
    fn read() -> Self {
        let key = |file: &[u8]| SigningKey::from_der(Encoding::Pkcs8, file).expect("a key");
        Self {
            ecdsa: key(include_bytes!("../../../vectors/keys/p256.pkcs8.der")),
            rsa: [
                key(include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der")),
                key(include_bytes!("../../../vectors/keys/rsa-3072.pkcs8.der")),
                key(include_bytes!("../../../vectors/keys/rsa-4096.pkcs8.der")),
            ],
        }
    }

    /// An item of a kind, by its index in [`KINDS`].
    fn work(&self, kind: usize, random: &mut Random) -> Work<'_> {
        let respond =
            |peer, random: &mut Random| KeyExchange::Respond { peer, seed: Secret::new(random.edgy()) };
        let agree =
            |peer, random: &mut Random| KeyExchange::Agree { private: Secret::new(random.edgy()), peer };
        let generate =
            |group, random: &mut Random| KeyExchange::Generate { group, seed: Secret::new(random.edgy()) };
        Work::KeyExchange(match kind {
            0 => respond(x25519(random), random),
            1 => generate(Group::X25519, random),
            2 => agree(x25519(random), random),
            3 => {
                let (peer, is_good) = p256(random);
                let seed = if is_good { random.edgy() } else { random.bytes() };
                KeyExchange::Respond { peer, seed: Secret::new(seed) }
            }
            4 => generate(Group::Secp256r1, random),
            5 => {
                let (peer, is_good) = p256(random);
                let private = if is_good { random.edgy() } else { random.bytes() };
                KeyExchange::Agree { private: Secret::new(private), peer }
            }
            6 => respond(PeerShare::X25519MlKem768(random.mlkem768_share(16)), random),
            7 => return self.sign(&self.ecdsa, Scheme::EcdsaP256Sha256, Algorithm::Sha256, random),
            _ => {
                let hash = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512][random.below(3)];
                let scheme = [Scheme::RsaPss(hash), Scheme::RsaPkcs1(hash)][random.below(2)];
                return self.sign(&self.rsa[kind - 8], scheme, hash, random);
            }
        })
    }

    fn sign<'k>(
        &self,
        key: &'k SigningKey,
        scheme: Scheme,
        hash: Algorithm,
        random: &mut Random,
    ) -> Work<'k> {
        let digest = hash.digest(&random.edgy::<8>());
        Work::Sign(key, SignRequest { scheme, digest, entropy: Secret::new(random.edgy()) })
    }
}

fn x25519(random: &mut Random) -> PeerShare {
    PeerShare::X25519(random.edgy())
}

/// Once in a while not on the curve: `false`. Such a share must not meet a scalar out of range, for it is not said which of two
/// mistakes is told.
fn p256(random: &mut Random) -> (PeerShare, bool) {
    let mut share = ttls_crypto::p256::public_key(&Secret::new(random.bytes())).expect("a scalar in range");
    let is_good = !random.word().is_multiple_of(16);
    if !is_good {
        share[random.below(65)] ^= 1;
    }
    (PeerShare::Secp256r1(share), is_good)
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().and_then(|name| Choice::from_name(&name)).expect("ifma, avx-ifma or avx2");
    let rounds: u64 = arguments.next().and_then(|n| n.parse().ok()).expect("a number of rounds");
    let seed = arguments.next().map_or(1, |n| n.parse().expect("a number as seed"));
    let cpu = Cpu::detect(path).unwrap_or_else(|missing| {
        eprintln!("{missing}");
        std::process::exit(1)
    });
    assert!(!matches!(cpu, Cpu::Scalar), "scalar code against itself tells nothing");

    let keys = Keys::read();
    let mut engine = Box::new(Engine::new(cpu));
    let mut random = Random(seed);
    let mut counts = [0_u64; KINDS.len()];
    let mut failed = 0_u64;
    for round in 0..rounds {
        // Kinds take turns; the second of a mixture is drawn.
        let kind = usize::try_from(round).expect("64 bits") % KINDS.len();
        for other in [None, Some(random.below(KINDS.len()))] {
            let most = |kind: usize| if kind < 8 { 64 } else { 16 };
            let mut kinds = vec![kind; 8 + random.below(most(kind) - 7)];
            kinds.extend(other.into_iter().flat_map(|kind| vec![kind; 8 + random.below(most(kind) - 7)]));
            // In random order.
            for i in (1..kinds.len()).rev() {
                kinds.swap(i, random.below(i + 1));
            }
            let mut items: Vec<_> =
                kinds.iter().map(|kind| Item::new(keys.work(*kind, &mut random))).collect();
            engine.run(&mut items);
            for (item, kind) in items.iter().zip(kinds) {
                let result = item.result.as_ref().expect("every item gets a result");
                assert_eq!(
                    bytes(result),
                    bytes(&item.work.run()),
                    "{}, seed {seed}, round {round}",
                    KINDS[kind]
                );
                counts[kind] += 1;
                failed += u64::from(result.is_err());
            }
        }
    }
    for (kind, count) in KINDS.iter().zip(counts) {
        println!("{kind:<24} {count:>10}");
    }
    // AVX-IFMA's instructions have two encodings, and CPUs with the newer one run that.
    #[cfg(target_arch = "x86_64")]
    println!("this CPU has AVX-IFMA's own encoding: {}", std::is_x86_feature_detected!("avxifma"));
    println!(
        "{}: {} results are those of scalar code, {failed} of them refusals; seed {seed}",
        cpu.name(),
        counts.iter().sum::<u64>()
    );
}

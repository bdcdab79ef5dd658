// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lanes against the scalar code, lane by lane.

use super::avx::Encoded;
use super::vector::Mask;
use super::*;
use crate::cpu::{Avx2, AvxIfma, Ifma};
use crate::limbs;
use crate::secret::Secret;

/// Random bytes that are the same in every run.
struct Random(sha2::Sha256, u64);

impl Random {
    fn new(seed: &str) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::new_with_prefix(seed), 0)
    }

    fn bytes(&mut self) -> [u8; 32] {
        use sha2::Digest as _;
        self.1 += 1;
        self.0.clone().chain_update(self.1.to_le_bytes()).finalize().into()
    }
}

/// Scratch, which is plain integers.
fn zeroed<T>() -> T {
    // SAFETY: used for scratch only.
    unsafe { core::mem::MaybeUninit::zeroed().assume_init() }
}

fn token() -> Option<Ifma> {
    let token = Ifma::detect();
    if token.is_none() {
        eprintln!("skipped: this CPU has no AVX-512 IFMA");
    }
    token
}

/// Runs a check with each token this CPU has.
macro_rules! with_every_token {
    ($check:ident) => {
        if let Some(t) = token() {
            $check::<_, 1>(t);
        }
        match Avx2::detect() {
            None => eprintln!("skipped: this CPU has no AVX2"),
            Some(t) => $check::<_, 2>(t.lanes()),
        }
        match AvxIfma::detect().map(AvxIfma::lanes) {
            None => eprintln!("skipped: this CPU has no AVX-IFMA"),
            Some(Encoded::Vex(t)) => $check::<_, 2>(t),
            #[cfg(feature = "std")]
            Some(Encoded::Evex(t)) => $check::<_, 2>(t),
        }
    };
}

#[test]
fn x25519() {
    with_every_token!(check_x25519);
}

fn check_x25519<S: field25519::Curve25519, const PARTS: usize>(t: S) {
    let mut random = Random::new("x25519");
    let mut scratch = zeroed::<x25519::Scratch<S, PARTS>>();
    for round in 0..20 {
        let (g, a) = (round % (VECTORS + 1), (round * 5) % (VECTORS + 1));
        let mut generate = zeroed::<[x25519::Generate; VECTORS]>();
        let mut agree = zeroed::<[x25519::Agree; VECTORS]>();
        for lane in 0..64 {
            put(&mut generate[lane / 8].private, lane % 8, &limbs::from_le_bytes(&random.bytes()));
            put(&mut agree[lane / 8].private, lane % 8, &limbs::from_le_bytes(&random.bytes()));
            put(&mut agree[lane / 8].peer, lane % 8, &limbs::from_le_bytes(&random.bytes()));
        }
        // The last vectors may not be full.
        let (g_items, a_items) = ((8 * g).saturating_sub(round % 8), (8 * a).saturating_sub(round / 8));
        t.compiled(
            #[inline(always)]
            || x25519::run(t, (&mut generate[..g], g_items), (&mut agree[..a], a_items), &mut scratch),
        );
        for lane in 0..g_items {
            let item = &generate[lane / 8];
            let private = Secret::new(limbs::to_le_bytes(&get(&item.private, lane % 8)));
            let public = limbs::to_le_bytes(&get(&item.public, lane % 8));
            assert_eq!(public, crate::x25519::public_key(&private), "lane {lane}");
        }
        for lane in 0..a_items {
            let item = &agree[lane / 8];
            let private = Secret::new(limbs::to_le_bytes(&get(&item.private, lane % 8)));
            let peer = limbs::to_le_bytes(&get(&item.peer, lane % 8));
            let shared = Secret::new(limbs::to_le_bytes(&get(&item.shared, lane % 8)));
            assert_eq!(Ok(shared), crate::x25519::agree(&private, &peer), "lane {lane}");
            assert_eq!(item.low_order, Mask::NONE);
        }
    }
}

#[test]
fn p256() {
    with_every_token!(check_p256);
}

fn check_p256<S: montgomery::Montgomery, const PARTS: usize>(t: S) {
    let mut random = Random::new("p256");
    let mut scratch = zeroed::<p256::Scratch<S, PARTS>>();
    let mut ecdsa_scratch = zeroed::<ecdsa::Scratch<S, PARTS>>();
    for round in 1..20 {
        let (s, g, a) = (round % (VECTORS + 1), round * 5 % (VECTORS + 1), round % 5);
        let mut sign = zeroed::<[ecdsa::Sign; VECTORS]>();
        let mut nonces = zeroed::<[p256::Generate; VECTORS]>();
        let mut generate = zeroed::<[p256::Generate; VECTORS]>();
        let mut agree = zeroed::<[p256::Agree; p256::AGREE_VECTORS]>();
        for lane in 0..8 * s {
            put(&mut nonces[lane / 8].scalar, lane % 8, &limbs::from_be_bytes(&random.bytes()));
            put(&mut sign[lane / 8].key, lane % 8, &limbs::from_be_bytes(&random.bytes()));
            put(&mut sign[lane / 8].digest, lane % 8, &limbs::from_be_bytes(&random.bytes()));
        }
        for lane in 0..8 * g {
            put(&mut generate[lane / 8].scalar, lane % 8, &limbs::from_be_bytes(&random.bytes()));
        }
        for lane in 0..8 * a {
            let peer = crate::p256::public_key(&Secret::new(random.bytes())).unwrap();
            put(&mut agree[lane / 8].scalar, lane % 8, &limbs::from_be_bytes(&random.bytes()));
            put(
                &mut agree[lane / 8].peer_x,
                lane % 8,
                &limbs::from_be_bytes(peer[1..33].try_into().unwrap()),
            );
            put(&mut agree[lane / 8].peer_y, lane % 8, &limbs::from_be_bytes(peer[33..].try_into().unwrap()));
        }
        t.compiled(
            #[inline(always)]
            || {
                p256::run(t, &mut nonces[..s], &mut generate[..g], &mut agree[..a], &mut scratch);
                ecdsa::finish(t, &mut sign[..s], &nonces[..s], &mut ecdsa_scratch);
            },
        );
        for lane in 0..8 * g {
            let item = &generate[lane / 8];
            assert_eq!(item.done, Mask::ALL);
            let private = Secret::new(limbs::to_be_bytes(&get(&item.scalar, lane % 8)));
            let mut public = [4; 65];
            public[1..33].copy_from_slice(&limbs::to_be_bytes(&get(&item.x, lane % 8)));
            public[33..].copy_from_slice(&limbs::to_be_bytes(&get(&item.y, lane % 8)));
            assert_eq!(public, crate::p256::public_key(&private).unwrap(), "lane {lane}");
        }
        for lane in 0..8 * a {
            let item = &agree[lane / 8];
            assert_eq!((item.done, item.off_curve), (Mask::ALL, Mask::NONE));
            let private = Secret::new(limbs::to_be_bytes(&get(&item.scalar, lane % 8)));
            let mut peer = [4; 65];
            peer[1..33].copy_from_slice(&limbs::to_be_bytes(&get(&item.peer_x, lane % 8)));
            peer[33..].copy_from_slice(&limbs::to_be_bytes(&get(&item.peer_y, lane % 8)));
            let shared = Secret::new(limbs::to_be_bytes(&get(&item.x, lane % 8)));
            assert_eq!(Ok(shared), crate::p256::agree(&private, &peer), "lane {lane}");
        }
        for lane in 0..8 * s {
            use crate::p256::{ecdsa::PrivateKey, scalar::Scalar};
            let item = &sign[lane / 8];
            assert_eq!(item.done, Mask::ALL);
            let key =
                PrivateKey::from_bytes(&Secret::new(limbs::to_be_bytes(&get(&item.key, lane % 8)))).unwrap();
            let (r, s) = key
                .sign_with_nonce(
                    &Scalar::reduced(&get(&item.digest, lane % 8)),
                    &Scalar(get(&nonces[lane / 8].scalar, lane % 8)),
                )
                .unwrap();
            assert_eq!((get(&item.r, lane % 8), get(&item.s, lane % 8)), (r.0, s.0), "lane {lane}");
        }
    }
}

/// r = 0 and s = 0, which no one can make on purpose, put in by hand: the lane is not done, its
/// neighbours are.
#[test]
fn zero_signatures_are_not_done() {
    with_every_token!(check_zero_signatures);
}

fn check_zero_signatures<S: montgomery::Montgomery, const PARTS: usize>(t: S) {
    let mut random = Random::new("zero");
    let order = crate::p256::scalar::N.limbs;
    for lane in 0..LANES {
        let mut sign = zeroed::<[ecdsa::Sign; 1]>();
        let mut nonces = zeroed::<[p256::Generate; 1]>();
        for lane in 0..LANES {
            put(&mut nonces[0].scalar, lane, &limbs::from_be_bytes(&random.bytes()));
            put(&mut sign[0].key, lane, &limbs::from_be_bytes(&random.bytes()));
            put(&mut sign[0].digest, lane, &limbs::from_be_bytes(&random.bytes()));
            put(&mut nonces[0].x, lane, &limbs::from_be_bytes(&random.bytes()));
        }
        nonces[0].done = Mask::ALL;
        // x = n makes r = 0; the key 1 and the digest n − x make s = 0.
        let (mut r_zero, mut r_nonces) = (sign, nonces);
        put(&mut r_nonces[0].x, lane, &order);
        let (mut s_zero, mut s_nonces) = (sign, nonces);
        put(&mut s_nonces[0].x, lane, &[5, 0, 0, 0]);
        put(&mut s_zero[0].key, lane, &[1, 0, 0, 0]);
        put(&mut s_zero[0].digest, lane, &[order[0] - 5, order[1], order[2], order[3]]);
        let mut scratch = zeroed::<ecdsa::Scratch<S, PARTS>>();
        let failed = !(1 << lane);
        for (case, nonces, expected) in
            [(&mut sign, nonces, 0xff), (&mut r_zero, r_nonces, failed), (&mut s_zero, s_nonces, failed)]
        {
            t.compiled(
                #[inline(always)]
                || ecdsa::finish(t, case, &nonces, &mut scratch),
            );
            assert_eq!(case[0].done, Mask(expected), "lane {lane}");
        }
    }
}

/// A bit flipped anywhere in one lane's key, blinding or message is seen by that lane's verification
/// and by no other's.
#[test]
fn rsa_faults_do_not_verify() {
    use crate::rsa::PrivateKey;
    use crate::sign::{Encoding, Key, SigningKey};
    let Some(t) = token() else { return };
    let file = include_bytes!("../../../vectors/keys/rsa-2048.pkcs8.der");
    let key = SigningKey::from_der(Encoding::Pkcs8, file).unwrap();
    let Key::Rsa(PrivateKey::Bits2048(key)) = &key.0 else { panic!("an RSA key of 2048 bits") };
    let mut random = Random::new("faults");
    let mut good = Box::new(zeroed::<rsa::Sign<4, 8>>());
    for lane in 0..LANES {
        for (half, prime, d) in [(&mut good.p, &key.p, &key.dp), (&mut good.q, &key.q, &key.dq)] {
            rsa::put(&mut half.prime.m, lane, &prime.m);
            rsa::put(&mut half.prime.r2, lane, &prime.lanes_r2);
            half.prime.m0.0[lane] = prime.m0;
            rsa::put(&mut half.d, lane, d);
            rsa::put(&mut half.r, lane, &limbs::from_be_bytes(&random.bytes()));
        }
        rsa::put(&mut good.n.m, lane, &key.n.m);
        rsa::put(&mut good.n.r2, lane, &key.n.lanes_r2);
        good.n.m0.0[lane] = key.n.m0;
        rsa::put(&mut good.qinv, lane, &key.qinv);
        rsa::put(&mut good.message, lane, &limbs::from_be_bytes(&random.bytes()));
    }
    let mut scratch = Box::new(zeroed::<rsa::Scratch<4, 8>>());
    let mut run = |sign: &mut rsa::Sign<4, 8>| {
        // SAFETY: the token proves the features.
        unsafe { rsa::run(t, sign, &mut scratch) };
        sign.verified
    };
    assert_eq!(run(&mut { *good }), Mask::ALL);

    for round in 0..64 {
        let mut sign = *good;
        let (lane, limb, bit) = (round % LANES, random.bytes()[0] % 19, random.bytes()[0] % 52);
        let (group, place) = (usize::from(limb / 5), usize::from(limb % 5));
        let number = match round / LANES {
            0 => &mut sign.p.prime.m,
            1 => &mut sign.q.prime.m,
            2 => &mut sign.p.d,
            3 => &mut sign.q.d,
            4 => &mut sign.qinv,
            5 => &mut sign.p.prime.r2,
            6 => &mut sign.q.prime.r2,
            _ => sign.n.m.first_chunk_mut().unwrap(),
        };
        // The lowest bit of d is taken off anyway.
        number[group][place].0[lane] ^= 1 << bit.max(1);
        assert_eq!(run(&mut sign), Mask(!(1 << lane)), "round {round}");
    }
}

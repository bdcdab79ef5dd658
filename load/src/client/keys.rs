// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key pairs that are made once and shared by many connections, so that a handshake costs the client
//! one agreement and the server, which makes a fresh pair each time, two operations and a signature.

use super::fault::Fault;
use graviola::key_agreement::mlkem768;
use ttls_crypto::job::{Failed, Group, KeyExchange, Output, PeerShare, SharedSecret, Work};
use ttls_crypto::secret::Secret;
use ttls_crypto::{mlkem, p256, x25519};

/// A key pair for one group.
pub(super) struct KeyPair {
    /// X25519's or secp256r1's; the hybrid's second half.
    private: Secret<32>,
    /// The hybrid's first half.
    decapsulation: Option<mlkem768::DecapKey>,
    /// As it goes on the wire.
    pub(super) share: Vec<u8>,
}

impl KeyPair {
    pub(super) fn generate(group: Group) -> Result<Self, Fault> {
        const NO_RANDOM: Fault = Fault::Unsupported("the system gives no random bytes");
        let mut private = Secret::zero();
        graviola::random::fill(private.expose_mut()).map_err(|_| NO_RANDOM)?;
        let (decapsulation, share) = match group {
            Group::X25519 => (None, x25519::public_key(&private).to_vec()),
            Group::Secp256r1 => {
                (None, p256::public_key(&private).map_err(|_| Fault::Unsupported("drew a bad key"))?.to_vec())
            }
            Group::X25519MlKem768 => {
                let key = mlkem768::DecapKey::generate().map_err(|_| NO_RANDOM)?;
                let share = [&key.encapsulation_key().as_bytes()[..], &x25519::public_key(&private)].concat();
                (Some(key), share)
            }
        };
        Ok(Self { private, decapsulation, share })
    }

    /// Takes the server's share apart: what is left to agree on a curve, and ML-KEM's secret if there is one.
    pub(super) fn open(&self, share: &[u8]) -> Result<(Agreement, Option<[u8; mlkem::SHARED]>), Fault> {
        const BAD: Fault = Fault::Wrong("the server's key share has a wrong length");
        let (first, point) = match &self.decapsulation {
            Some(_) => share.split_at_checked(mlkem::CIPHERTEXT).ok_or(BAD)?,
            None => (&[][..], share),
        };
        let point = if point.len() == x25519::LEN {
            Point::X25519(point.try_into().map_err(|_| BAD)?)
        } else {
            Point::Secp256r1(point.try_into().map_err(|_| BAD)?)
        };
        let shared = match &self.decapsulation {
            Some(key) => {
                let ciphertext: &[u8; mlkem::CIPHERTEXT] = first.try_into().map_err(|_| BAD)?;
                let shared = key.decaps_internal(&mlkem768::Ciphertext::from(*ciphertext));
                Some(*shared.as_ref())
            }
            None => None,
        };
        Ok((Agreement { private: self.private.clone(), point }, shared))
    }
}

/// One agreement to compute, alone or together with those of other connections.
pub(crate) struct Agreement {
    private: Secret<32>,
    point: Point,
}

enum Point {
    X25519([u8; x25519::LEN]),
    Secp256r1([u8; p256::POINT]),
}

impl Agreement {
    /// The agreement as work, which is much larger: it has room for every group's share.
    pub(crate) fn work(&self) -> Work<'static> {
        let peer = match self.point {
            Point::X25519(point) => PeerShare::X25519(point),
            Point::Secp256r1(point) => PeerShare::Secp256r1(point),
        };
        Work::KeyExchange(KeyExchange::Agree { private: self.private.clone(), peer })
    }
}

/// The secret that an [`Agreement`] gave.
pub(crate) fn agreed(done: Option<Result<Output, Failed>>) -> Result<SharedSecret, Fault> {
    match done {
        Some(Ok(Output::Agreed(shared))) => Ok(shared),
        _ => Err(Fault::Wrong("the server's key share is not a point of the curve")),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work as values: what the TLS core hands out instead of computing it.
//!
//! A [`KeyExchange`] or [`SignRequest`] owns all its inputs, randomness included, so that it can be
//! queued, moved between connections' lanes and computed in any order with the same result.

use crate::key_exchange;
pub use crate::key_exchange::{Group, KeyExchange, MAX_PEER_SHARE, PeerShare, Seed};
pub use crate::outcome::{Failed, MAX_SHARE, MAX_SIGNATURE, Output, Share, SharedSecret, Signature};
use crate::rsa::Way;
pub use crate::sign::SignRequest;
use crate::sign::SigningKey;
use crate::wipe::{Depth, wiping_stack};

/// One item of public-key work, with the key it needs.
#[allow(clippy::large_enum_variant)] // fixed size by design
pub enum Work<'k> {
    /// A key exchange.
    KeyExchange(KeyExchange),
    /// A signature with the server's key.
    Sign(&'k SigningKey, SignRequest),
}

impl Work<'_> {
    /// Computes this one item with scalar code, in constant time.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn run(&self) -> Result<Output, Failed> {
        wiping_stack(self.depth(), || self.run_by(Way::Scalar))
    }

    /// How deep in the stack it goes.
    pub(crate) const fn depth(&self) -> Depth {
        match self {
            Self::KeyExchange(KeyExchange::Respond { peer: PeerShare::X25519MlKem768(_), .. }) => Depth::Kem,
            Self::KeyExchange(_) => Depth::Curves,
            Self::Sign(key, _) => key.depth(),
        }
    }

    /// [`Work::run`], an RSA signature on the given way, for callers that wipe the stack.
    pub(crate) fn run_by(&self, way: Way<'_>) -> Result<Output, Failed> {
        match self {
            Self::KeyExchange(exchange) => key_exchange::run(exchange),
            Self::Sign(key, request) => key.sign_by(request, way).map(Output::Signed),
        }
    }
}

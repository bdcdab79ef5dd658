// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the connections of a run offer.

use super::looks::Look;
use super::suite::{Cipher, Version};
use ttls_crypto::job::Group;

/// Which certificate the server shall use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signature {
    Any,
    Ecdsa,
    Rsa,
}

/// What every connection of a run offers: one version, one group, one cipher.
pub(crate) struct Profile {
    pub(crate) version: Version,
    pub(crate) group: Group,
    pub(crate) cipher: Cipher,
    pub(crate) signature: Signature,
    pub(crate) name: Option<String>,
    /// What the ClientHello looks like in TLS 1.3; `None`: as short as it can be.
    pub(crate) look: Option<Look>,
}

impl Profile {
    pub(super) fn suites(&self) -> impl Iterator<Item = u16> {
        let suites = self.cipher.suites(self.version);
        let (ecdsa, rsa) = (suites.first(), suites.last());
        let (first, second) = match (self.version, self.signature) {
            (Version::Tls12, Signature::Any) => (ecdsa, rsa),
            (Version::Tls12, Signature::Rsa) => (rsa, None),
            _ => (ecdsa, None),
        };
        first.into_iter().chain(second).copied()
    }
}

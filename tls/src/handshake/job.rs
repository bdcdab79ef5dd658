// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work that a handshake waits for.

use crate::config::CertificateId;
use ttls_crypto::job::{KeyExchange, SignRequest, Work};
use ttls_crypto::sign::SigningKey;

/// Public-key work that a handshake waits for.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // a job has one fixed size; nothing here may allocate
pub enum Job {
    /// A key exchange.
    KeyExchange(KeyExchange),
    /// A signature with this certificate's key.
    Sign {
        /// Whose key.
        certificate: CertificateId,
        /// Over what.
        request: SignRequest,
    },
}

impl Job {
    /// The certificate whose key signs; `None` for a key exchange.
    pub const fn certificate(&self) -> Option<CertificateId> {
        match self {
            Self::KeyExchange(_) => None,
            Self::Sign { certificate, .. } => Some(*certificate),
        }
    }

    /// The job with the private key that it needs, which `key` finds by its certificate. `None` if there is none: the
    /// handshake fails when it is resumed with [`Failed::Unsupported`](ttls_crypto::job::Failed::Unsupported).
    pub fn into_work<'k>(
        self,
        key: impl FnOnce(CertificateId) -> Option<&'k SigningKey>,
    ) -> Option<Work<'k>> {
        match self {
            Self::KeyExchange(exchange) => Some(Work::KeyExchange(exchange)),
            Self::Sign { certificate, request } => Some(Work::Sign(key(certificate)?, request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ttls_crypto::job::{Group, Seed};
    use ttls_crypto::secret::Secret;
    use ttls_crypto::sign::Scheme;

    #[test]
    fn only_signatures_need_a_key_and_none_is_made_up_for_it() {
        let exchange =
            || Job::KeyExchange(KeyExchange::Generate { group: Group::X25519, seed: Seed::zero() });
        assert!(exchange().certificate().is_none());
        let work = exchange().into_work(|_| unreachable!());
        assert!(matches!(work, Some(Work::KeyExchange(KeyExchange::Generate { .. }))));

        let digest = Scheme::EcdsaP256Sha256.hash().digest(b"content");
        let request = SignRequest { scheme: Scheme::EcdsaP256Sha256, digest, entropy: Secret::zero() };
        let job = Job::Sign { certificate: CertificateId(7), request };
        assert_eq!(job.certificate(), Some(CertificateId(7)));
        let work = job.into_work(|id| {
            assert_eq!(id, CertificateId(7));
            None
        });
        assert!(work.is_none());
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The demo's own identity: a fresh ECDSA P-256 key and a certificate signed with it.

use crate::certificates::{New, Store};
use crate::serve::random::kernel;
use rcgen::{CertificateParams, DnType, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use ttls_crypto::hash::Algorithm;
use ttls_crypto::job::SignRequest;
use ttls_crypto::p256;
use ttls_crypto::secret::Secret;
use ttls_crypto::sign::{Encoding, Scheme, SigningKey};

/// Where the demo listens if nothing else is said.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A key and its self-signed certificate.
pub struct Identity {
    /// ECPrivateKey (RFC 5915).
    key: Secret<51>,
    certificate: Vec<u8>,
}

/// The key as rcgen wants it.
struct Signer {
    key: SigningKey,
    public: [u8; p256::POINT],
}

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut entropy = Secret::zero();
        kernel(entropy.expose_mut());
        let digest = Algorithm::Sha256.digest(message);
        let request = SignRequest { scheme: Scheme::EcdsaP256Sha256, digest, entropy };
        let signature = self.key.sign(&request).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl Identity {
    /// Makes a key and a certificate.
    ///
    /// # Errors
    /// rcgen can not encode the certificate.
    pub fn generate() -> Result<Self, String> {
        let (private, public) = loop {
            let mut private = Secret::zero();
            kernel(private.expose_mut());
            if let Ok(public) = p256::public_key(&private) {
                break (private, public);
            }
        };
        // SEQUENCE { INTEGER 1, OCTET STRING private, [0] { OID prime256v1 } }
        let mut key = Secret::zero();
        let der: &mut [u8; 51] = key.expose_mut();
        der[..7].copy_from_slice(&[0x30, 49, 0x02, 1, 1, 0x04, 32]);
        der[7..39].copy_from_slice(private.expose());
        der[39..].copy_from_slice(&[0xa0, 10, 0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
        let signer = Signer { key: signing_key(&key)?, public };
        let mut params = CertificateParams::new(NAMES.map(String::from)).map_err(|e| e.to_string())?;
        params.distinguished_name.push(DnType::CommonName, "ttls demo");
        let mut serial = [0; 16];
        kernel(&mut serial);
        params.serial_number = Some(serial.to_vec().into());
        let certificate = params.self_signed(&signer).map_err(|e| e.to_string())?.der().to_vec();
        Ok(Self { key, certificate })
    }

    /// Adds it to a store, as the default.
    ///
    /// # Errors
    /// See [`Store::add`].
    pub fn add_to(&self, store: &mut Store) -> Result<(), String> {
        let names = [NAMES[0].to_owned()];
        let new = New {
            key: signing_key(&self.key)?,
            chain: &[&self.certificate],
            ocsp: None,
            names: &names,
            default: true,
            file: PathBuf::new(),
        };
        store.add(new).map(drop)
    }
}

fn signing_key(der: &Secret<51>) -> Result<SigningKey, String> {
    SigningKey::from_der(Encoding::Sec1, der.expose()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ttls::config::Credentials;

    #[test]
    fn certificate_and_key_belong_together() {
        use x509_cert::der::{Decode, Encode};
        let identity = Identity::generate().unwrap();
        let certificate = x509_cert::Certificate::from_der(&identity.certificate).unwrap();
        let spki = certificate.tbs_certificate().subject_public_key_info().to_der().unwrap();
        assert!(signing_key(&identity.key).unwrap().matches_public_key(&spki));
        let mut store = Store::default();
        identity.add_to(&mut store).unwrap();
        assert!(store.by_name(b"localhost").unwrap().ecdsa.is_some());
    }
}

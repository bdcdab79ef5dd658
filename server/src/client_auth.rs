// SPDX-License-Identifier: MIT OR Apache-2.0
//! Client certificates.
use crate::config::source::Written;
use crate::config::{Error, schema};
use std::sync::Arc;
use ttls::config::{Chain, ClientVerifier};
use ttls::error::CertificateError;

/// T
pub struct Trust {}
impl Trust {
    /// Load.
    /// # Errors
    /// x
    pub fn load(written: &Written) -> Result<Option<Self>, Error> {
        match written.config.client_certificates.mode {
            schema::ClientMode::None => Ok(None),
            _ => Err(written.missing("client certificates are not there yet")),
        }
    }
}
/// V
pub struct Verifier {}
/// I
pub struct Identity {
    /// c
    pub common_name: Option<String>,
    /// s
    pub subject: String,
}
impl Verifier {
    /// n
    pub fn new(_: &Arc<Trust>) -> Self {
        Self {}
    }
    /// i
    pub fn identity(&self) -> Option<&Identity> {
        None
    }
}
impl ClientVerifier for Verifier {
    fn authorities(&self) -> &[u8] {
        &[]
    }
    fn schemes(&self) -> &[u16] {
        &[]
    }
    fn verify_chain(&mut self, _: Chain<'_>, _: u64) -> Result<(), CertificateError> {
        Err(CertificateError::Bad)
    }
    fn verify_signature(&self, _: u16, _: &[u8], _: &[u8]) -> Result<(), CertificateError> {
        Err(CertificateError::Bad)
    }
}

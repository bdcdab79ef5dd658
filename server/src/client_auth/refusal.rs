// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a client's certificates are not accepted.

use ttls::error::CertificateError;

/// What the client is told, and what the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Chooses the alert.
    pub reason: CertificateError,
    /// Which rule of which certificate.
    pub text: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(reason: CertificateError, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

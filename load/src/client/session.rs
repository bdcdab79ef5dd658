// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is kept of a connection to resume it: a ticket and its secret.

use std::time::Instant;
use ttls_crypto::hash::{Algorithm, Digest};

/// A session that can be resumed, any number of times.
pub(crate) struct Session {
    pub(super) ticket: Vec<u8>,
    /// TLS 1.3: the resumption PSK. TLS 1.2: the master secret, 48 bytes.
    pub(super) secret: Digest,
    /// TLS 1.3: ticket_age_add (RFC 8446 §4.6.1).
    pub(super) age_add: u32,
    pub(super) received: Instant,
}

impl Session {
    /// A session that no server has issued, with this for its ticket.
    pub(crate) fn forged(ticket: Vec<u8>) -> Self {
        Self { ticket, secret: Digest::zero(Algorithm::Sha256), age_add: 0, received: Instant::now() }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! ServerHello (RFC 8446 §4.1.3, RFC 5246 §7.4.1.3), and the extensions in which both versions answer alike.

use super::negotiation::RecordLimit;
use super::session::Session;
use crate::error::Error;
use crate::suite::{Suite, Version};
use crate::wire::Writer;
use crate::wire::codes::{self, extension};

/// Writes the body of a ServerHello. legacy_version and legacy_session_id_echo of TLS 1.3 are what TLS 1.2 calls
/// server_version and session_id.
pub(super) fn write(
    out: &mut Writer<'_>,
    random: &[u8; 32],
    session_id: &[u8],
    suite: Suite,
    extensions: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    out.u16(codes::TLS12)?;
    out.put(random)?;
    out.vec::<1>(|out| out.put(session_id))?;
    out.u16(suite.code())?;
    // No compression.
    out.u8(0)?;
    out.vec::<2>(extensions)
}

/// Writes the limit on record sizes and the ALPN protocol that were agreed on: in TLS 1.2's ServerHello, in TLS 1.3's
/// EncryptedExtensions.
pub(super) fn write_agreed(out: &mut Writer<'_>, session: &Session, limit: RecordLimit) -> Result<(), Error> {
    match limit {
        RecordLimit::None => {}
        // In TLS 1.3 the content type counts, too (RFC 8449 §4).
        RecordLimit::Size => out.extension(extension::RECORD_SIZE_LIMIT, |out| match session.version {
            Version::Tls12 => out.u16(0x4000),
            Version::Tls13 => out.u16(0x4001),
        })?,
        RecordLimit::Fragment(code) => out.extension(extension::MAX_FRAGMENT_LENGTH, |out| out.u8(code))?,
    }
    match &session.alpn {
        None => Ok(()),
        Some(protocol) => out.extension(extension::ALPN, |out| {
            out.vec::<2>(|out| out.vec::<1>(|out| out.put(protocol.as_bytes())))
        }),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Takes records off the receive buffer.

use super::header::{HEADER, MAX_PLAINTEXT};
use super::protection::Protection;
use crate::alert::{self, Alert};
use crate::buffer::Inbound;
use crate::error::Error;
use crate::wire::codes::content_type;
use core::ops::Range;

/// Refused early data that is skipped. No ticket of this server allows any; this covers a client that comes with
/// another server's.
const MAX_SKIPPED: usize = 2 * MAX_PLAINTEXT;
/// What a record of it counts at least: short ones cost no less.
const MIN_SKIPPED: usize = 256;
/// change_cipher_spec records that TLS 1.3 drops before the peer is taken for flooding.
const MAX_COMPATIBILITY: u8 = 16;

/// What [`Opener::next`] found.
pub(crate) enum Received {
    /// The next record is not complete: it needs the storage to hold this many bytes.
    Incomplete { needed: usize },
    /// A part of a handshake message, or several: they are joined in [`Inbound::message`].
    Handshake,
    /// Application data, which lies there in the storage.
    Data(Range<usize>),
    /// The content of a change_cipher_spec lies there in the storage.
    ChangeCipherSpec(Range<usize>),
    /// The client will send nothing more.
    CloseNotify,
    /// An alert that ends nothing.
    Warning,
    /// Content of a type that there is not.
    Unknown,
}

/// A record, opened.
enum Opened {
    /// Of this content type; its plaintext lies there in the storage.
    Record(u8, Range<usize>),
    Incomplete {
        needed: usize,
    },
}

/// The receiving half of the record layer.
pub(crate) struct Opener {
    protection: Option<Protection>,
    /// Most plaintext in one record.
    limit: usize,
    /// TLS 1.3 is negotiated: protected records look like application data, with at most 256 bytes of expansion.
    tls13: bool,
    /// TLS 1.3, until the client's Finished: unprotected change_cipher_spec records are dropped (RFC 8446 §5).
    compatibility: bool,
    /// Refused early data that may still be skipped (RFC 8446 §4.2.10), in bytes of records of at least [`MIN_SKIPPED`].
    skip: usize,
    /// No record has arrived yet.
    first: bool,
    dropped: u8,
}

impl Opener {
    pub(crate) const fn new() -> Self {
        Self {
            protection: None,
            limit: MAX_PLAINTEXT,
            tls13: false,
            compatibility: false,
            skip: 0,
            first: true,
            dropped: 0,
        }
    }

    /// From now on, records are protected.
    pub(crate) fn protect(&mut self, protection: Protection) {
        self.protection = Some(protection);
    }

    /// The version is TLS 1.3 from here on.
    pub(crate) fn set_tls13(&mut self) {
        self.tls13 = true;
        self.compatibility = true;
    }

    /// The client sends early data, which is refused: what does not open is skipped from here on, up to a limit.
    pub(crate) const fn skip_early_data(&mut self) {
        self.skip = MAX_SKIPPED;
    }

    /// There is no early data, or no more.
    pub(crate) const fn skip_nothing(&mut self) {
        self.skip = 0;
    }

    /// The client's Finished has arrived: nothing unprotected may follow.
    pub(crate) fn finished(&mut self) {
        self.compatibility = false;
        self.skip = 0;
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(MAX_PLAINTEXT);
    }

    pub(crate) const fn protection(&self) -> Option<&Protection> {
        self.protection.as_ref()
    }

    /// Takes the next record off `inbound`, opens it in place, and says what it holds.
    ///
    /// # Errors
    /// The connection is lost; [`Error::PeerAlert`] if the client says so.
    pub(crate) fn next(&mut self, inbound: &mut Inbound<'_>) -> Result<Received, Error> {
        let (kind, payload) = match self.open(inbound)? {
            Opened::Incomplete { needed } => return Ok(Received::Incomplete { needed }),
            Opened::Record(kind, payload) => (kind, payload),
        };
        if kind == content_type::HANDSHAKE {
            inbound.join(payload);
            return Ok(Received::Handshake);
        }
        if !inbound.message().is_empty() {
            return Err(Error::Unexpected("the rest of a handshake message"));
        }
        match kind {
            content_type::APPLICATION_DATA => Ok(Received::Data(payload)),
            content_type::CHANGE_CIPHER_SPEC => Ok(Received::ChangeCipherSpec(payload)),
            content_type::ALERT => self.alert(inbound.bytes(payload)),
            _ => Ok(Received::Unknown),
        }
    }

    /// All alerts are fatal but user_canceled and, before TLS 1.3, warnings (RFC 8446 §6).
    const fn alert(&self, payload: &[u8]) -> Result<Received, Error> {
        let &[level, code] = payload else { return Err(Error::Malformed("alert")) };
        match Alert(code) {
            Alert::CLOSE_NOTIFY => Ok(Received::CloseNotify),
            Alert::USER_CANCELED => Ok(Received::Warning),
            _ if level == alert::WARNING && !self.tls13 => Ok(Received::Warning),
            fatal => Err(Error::PeerAlert(fatal)),
        }
    }

    fn open(&mut self, inbound: &mut Inbound<'_>) -> Result<Opened, Error> {
        loop {
            let joined = inbound.message().len();
            let bytes = inbound.record();
            let Some(header) = bytes.first_chunk::<HEADER>() else {
                if self.first {
                    check_start(bytes)?;
                }
                return Ok(Opened::Incomplete { needed: joined + HEADER });
            };
            if self.first {
                check_start(bytes)?;
            }
            let kind = header[0];
            if header[1] != 3 {
                return Err(Error::Malformed("record header"));
            }
            let len = usize::from(u16::from_be_bytes([header[3], header[4]]));
            // Room for the expansion that the version and the AEAD allow (RFC 8446 §5.2, RFC 5246 §6.2.3).
            let expansion = match &self.protection {
                None => 0,
                Some(_) if self.tls13 => 256,
                Some(_) => 2048,
            };
            let unprotected_limit = if self.skip > 0 { MAX_PLAINTEXT + 256 } else { MAX_PLAINTEXT };
            if len > unprotected_limit + expansion {
                return Err(Error::RecordOverflow);
            }
            let Some(record) = bytes.get_mut(..HEADER + len) else {
                return Ok(Opened::Incomplete { needed: joined + HEADER + len });
            };
            self.first = false;

            if self.compatibility && kind == content_type::CHANGE_CIPHER_SPEC {
                if record.get(HEADER..) != Some(&[1]) {
                    return Err(Error::Unexpected("a change_cipher_spec of one byte, 1"));
                }
                self.dropped += 1;
                if self.dropped > MAX_COMPATIBILITY {
                    return Err(Error::Flood("change_cipher_spec records"));
                }
                inbound.consume_record(HEADER + len, 0..0);
                continue;
            }

            let opened = match &mut self.protection {
                None if kind == content_type::APPLICATION_DATA && self.skip > 0 => Err(Error::BadRecordMac),
                None => {
                    if record.len() - HEADER > self.limit {
                        return Err(Error::RecordOverflow);
                    }
                    Ok((kind, HEADER..HEADER + len))
                }
                Some(protection) if self.tls13 => match kind {
                    content_type::APPLICATION_DATA => protection.open(record, self.limit),
                    // A client that can not read the server's flight says so in the clear.
                    content_type::ALERT if self.compatibility && protection.sequence() == 0 => {
                        Ok((kind, HEADER..HEADER + len))
                    }
                    _ => Err(Error::Unexpected("protected records")),
                },
                Some(protection) => protection.open(record, self.limit),
            };
            let (kind, payload) = match opened {
                Err(Error::BadRecordMac) if self.skip >= len.max(MIN_SKIPPED) => {
                    self.skip -= len.max(MIN_SKIPPED);
                    inbound.consume_record(HEADER + len, 0..0);
                    continue;
                }
                other => other?,
            };
            if self.protection.is_some() {
                self.skip = 0;
            }
            // Only application data may be empty (RFC 8446 §5.1); who receives it sees to it that there is an end to that.
            if payload.is_empty() && kind != content_type::APPLICATION_DATA {
                return Err(Error::Unexpected("a record that is not empty"));
            }
            return Ok(Opened::Record(kind, inbound.consume_record(HEADER + len, payload)));
        }
    }
}

/// Tells early what is not TLS at all, with a name for what it looks like.
fn check_start(bytes: &[u8]) -> Result<(), Error> {
    const METHODS: [&[u8]; 7] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "];
    match *bytes {
        [] => Ok(()),
        [content_type::HANDSHAKE | content_type::ALERT, 3, ..]
        | [content_type::HANDSHAKE | content_type::ALERT] => Ok(()),
        [content_type::HANDSHAKE | content_type::ALERT, ..] => {
            Err(Error::NotTls("record version is not 3.x"))
        }
        // SSLv2 CLIENT-HELLO: two bytes of length with the high bit set, then message type 1 (RFC 5246 §E.2).
        [length, _, 1, ..] if length & 0x80 != 0 => Err(Error::NoCommonVersion),
        [length, ..] if length & 0x80 != 0 && bytes.len() < 3 => Ok(()),
        _ if METHODS.iter().any(|method| bytes.len() >= 4 && bytes.starts_with(method)) => {
            Err(Error::NotTls("it looks like plain HTTP"))
        }
        _ if METHODS.iter().any(|method| bytes.len() < 4 && method.starts_with(bytes)) => Ok(()),
        [content_type::CHANGE_CIPHER_SPEC | content_type::APPLICATION_DATA, 3, ..] => {
            Err(Error::Unexpected("a ClientHello"))
        }
        [content_type::CHANGE_CIPHER_SPEC | content_type::APPLICATION_DATA] => Ok(()),
        _ => Err(Error::NotTls("unknown first bytes")),
    }
}

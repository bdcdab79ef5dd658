// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a connection failed, whose fault it was, and which alert says so.

use crate::alert::Alert;
use core::fmt;

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first bytes are not a TLS record. Names what they look like.
    NotTls(&'static str),
    /// A message does not parse. Names the message or field.
    Malformed(&'static str),
    /// A message is longer than this server takes. Names it.
    TooLong(&'static str),
    /// A message parses but breaks a rule. Names the rule.
    Illegal(&'static str),
    /// A required extension is absent. Names it.
    MissingExtension(&'static str),
    /// An extension answers nothing that was asked for. Names where.
    UnsupportedExtension(&'static str),
    /// A message or record arrived where the protocol does not allow it. Names what was expected.
    Unexpected(&'static str),
    /// A record is longer than RFC 8446 §5.1, §5.2 or the negotiated limit allows.
    RecordOverflow,
    /// A record failed authentication.
    BadRecordMac,
    /// Finished, a PSK binder or CertificateVerify did not verify. Names which.
    BadProof(&'static str),
    /// The client speaks no protocol version that is enabled.
    NoCommonVersion,
    /// Client and server share no cipher suite, group or signature scheme. Names which.
    NoCommonParameters(&'static str),
    /// The client asks for what is not done, or leaves out what is required. Names it.
    Refused(&'static str),
    /// The client retried with a lower version than both support (RFC 7507).
    InappropriateFallback,
    /// The client offered no protocol of the ALPN list (RFC 7301).
    NoCommonAlpn,
    /// No certificate for the requested name, and unknown names are refused (RFC 6066 §3).
    UnknownName,
    /// The client did not present the certificate that is required.
    CertificateRequired,
    /// The client's certificate was not accepted.
    ClientCertificate(CertificateError),
    /// Admission refused to spend CPU time on the connection now.
    NotAdmitted,
    /// The client sent this fatal alert.
    PeerAlert(Alert),
    /// The client floods the connection with records that carry nothing. Names which.
    Flood(&'static str),
    /// The shell or this library broke its own contract. Names what.
    Internal(&'static str),
    /// The signature did not verify and was not released: faulty hardware or a corrupted key.
    SigningFault,
}

/// Why a client's certificate was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// It does not parse, or its signature is wrong.
    Bad,
    /// Its key or signature algorithm is not supported.
    Unsupported,
    /// It is revoked.
    Revoked,
    /// It is not valid now.
    Expired,
    /// No path leads to a trusted authority.
    UnknownAuthority,
    /// Another reason: wrong purpose, name constraints, revocation status unknown.
    NotAcceptable,
}

/// Who is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Culprit {
    /// The client broke the protocol.
    Peer,
    /// Client and server share too little; either's configuration can change that.
    Mismatch,
    /// This side.
    Local,
}

impl Error {
    /// The alert that tells the peer. `None` where the peer speaks no TLS or ended the connection itself.
    pub const fn alert(self) -> Option<Alert> {
        Some(match self {
            Self::NotTls(_) | Self::PeerAlert(_) | Self::NotAdmitted => return None,
            Self::Malformed(_) => Alert::DECODE_ERROR,
            // As other servers say of a message that is too long; there is no alert of its own.
            Self::Illegal(_) | Self::TooLong(_) => Alert::ILLEGAL_PARAMETER,
            Self::UnsupportedExtension(_) => Alert::UNSUPPORTED_EXTENSION,
            Self::MissingExtension(_) => Alert::MISSING_EXTENSION,
            Self::Unexpected(_) | Self::Flood(_) => Alert::UNEXPECTED_MESSAGE,
            Self::RecordOverflow => Alert::RECORD_OVERFLOW,
            Self::BadRecordMac => Alert::BAD_RECORD_MAC,
            Self::BadProof(_) => Alert::DECRYPT_ERROR,
            Self::NoCommonVersion => Alert::PROTOCOL_VERSION,
            Self::NoCommonParameters(_) | Self::Refused(_) => Alert::HANDSHAKE_FAILURE,
            Self::InappropriateFallback => Alert::INAPPROPRIATE_FALLBACK,
            Self::NoCommonAlpn => Alert::NO_APPLICATION_PROTOCOL,
            Self::UnknownName => Alert::UNRECOGNIZED_NAME,
            Self::CertificateRequired => Alert::CERTIFICATE_REQUIRED,
            Self::ClientCertificate(reason) => match reason {
                CertificateError::Bad => Alert::BAD_CERTIFICATE,
                CertificateError::Unsupported => Alert::UNSUPPORTED_CERTIFICATE,
                CertificateError::Revoked => Alert::CERTIFICATE_REVOKED,
                CertificateError::Expired => Alert::CERTIFICATE_EXPIRED,
                CertificateError::UnknownAuthority => Alert::UNKNOWN_CA,
                CertificateError::NotAcceptable => Alert::CERTIFICATE_UNKNOWN,
            },
            Self::Internal(_) | Self::SigningFault => Alert::INTERNAL_ERROR,
        })
    }

    /// Who is at fault.
    pub const fn culprit(self) -> Culprit {
        match self {
            Self::NoCommonVersion
            | Self::NoCommonParameters(_)
            | Self::Refused(_)
            | Self::NoCommonAlpn
            | Self::UnknownName
            | Self::CertificateRequired
            | Self::ClientCertificate(_)
            | Self::PeerAlert(_) => Culprit::Mismatch,
            Self::NotAdmitted | Self::Internal(_) | Self::SigningFault => Culprit::Local,
            _ => Culprit::Peer,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTls(what) => write!(f, "not TLS: {what}"),
            Self::Malformed(what) => write!(f, "malformed {what}"),
            Self::TooLong(what) => write!(f, "{what} is longer than the limit"),
            Self::Illegal(rule) => write!(f, "illegal: {rule}"),
            Self::UnsupportedExtension(place) => write!(f, "an extension that was not asked for in {place}"),
            Self::MissingExtension(name) => write!(f, "missing extension {name}"),
            Self::Unexpected(expected) => write!(f, "unexpected message: expected {expected}"),
            Self::RecordOverflow => f.write_str("record longer than the limit"),
            Self::BadRecordMac => f.write_str("record failed authentication"),
            Self::BadProof(what) => write!(f, "{what} does not verify"),
            Self::NoCommonVersion => f.write_str("client supports no enabled protocol version"),
            Self::NoCommonParameters(what) => write!(f, "no {what} in common"),
            Self::Refused(what) => write!(f, "refused: {what}"),
            Self::InappropriateFallback => {
                f.write_str("client fell back to a lower version than both support")
            }
            Self::NoCommonAlpn => f.write_str("no ALPN protocol in common"),
            Self::UnknownName => f.write_str("no certificate for the requested server name"),
            Self::CertificateRequired => f.write_str("client sent no certificate, but one is required"),
            Self::ClientCertificate(reason) => f.write_str(match reason {
                CertificateError::Bad => "client certificate is malformed or badly signed",
                CertificateError::Unsupported => "client certificate uses an unsupported algorithm",
                CertificateError::Revoked => "client certificate is revoked",
                CertificateError::Expired => "client certificate is not valid now",
                CertificateError::UnknownAuthority => "client certificate leads to no trusted authority",
                CertificateError::NotAcceptable => "client certificate is not acceptable",
            }),
            Self::NotAdmitted => f.write_str("not admitted: a limit or a rule of the server"),
            Self::PeerAlert(alert) => write!(f, "client sent alert {alert}"),
            Self::Flood(what) => write!(f, "too many {what}"),
            Self::Internal(what) => write!(f, "internal error: {what}"),
            Self::SigningFault => f.write_str(
                "signature failed its own verification and was withheld: check the key file and the hardware",
            ),
        }
    }
}

impl core::error::Error for Error {}

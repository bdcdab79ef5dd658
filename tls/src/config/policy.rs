// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is allowed and preferred.

use crate::names::Protocol;
use crate::suite::{Group, Suite, Version};
use core::fmt;

/// At most `N` values in order of preference, kept inline.
#[derive(Clone, Debug)]
pub struct List<T, const N: usize> {
    values: [Option<T>; N],
}

impl<T: Copy, const N: usize> List<T, N> {
    /// A list of `values`; `None` if there are more than `N`.
    pub fn new(values: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut list = Self { values: [None; N] };
        let mut free = list.values.iter_mut();
        for value in values {
            *free.next()? = Some(value);
        }
        Some(list)
    }

    /// The values in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + Clone + '_ {
        self.values.iter().map_while(|value| *value)
    }

    /// Whether it holds nothing.
    pub const fn is_empty(&self) -> bool {
        !matches!(self.values.first(), Some(Some(_)))
    }
}

/// What to do with a client that names an unknown server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownName {
    /// Answer with the default certificate.
    UseDefault,
    /// Refuse with `unrecognized_name`; clients that name no server still get the default.
    Refuse,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate {
    /// They are not asked.
    None,
    /// They are asked, and may decline.
    Optional,
    /// They are asked, and must comply.
    Required,
}

/// What is allowed and preferred. Plain data, of fixed size.
#[derive(Clone, Debug)]
pub struct Policy {
    /// TLS 1.2 is allowed.
    pub tls12: bool,
    /// TLS 1.3 is allowed.
    pub tls13: bool,
    /// Allowed suites of both versions, most preferred first.
    pub suites: List<Suite, 9>,
    /// Allowed groups, most preferred first.
    pub groups: List<Group, 3>,
    /// Choose the suite by the client's order instead of the server's. With the server's order, a
    /// client that puts ChaCha20-Poly1305 first gets it: it has no AES instructions.
    pub client_order: bool,
    /// ALPN protocols, most preferred first; empty ignores ALPN.
    pub alpn: List<Protocol, 8>,
    /// Refuse clients that do not offer ALPN, if `alpn` is not empty.
    pub alpn_required: bool,
    /// What unknown server names get.
    pub unknown_name: UnknownName,
    /// Whether clients are asked for a certificate.
    pub client_certificate: ClientCertificate,
    /// Refuse TLS 1.2 clients without extended_master_secret (RFC 7627). When allowed, they get no ticket.
    pub extended_master_secret_required: bool,
    /// Tickets after a full TLS 1.3 handshake; a resumption gets one. 0 to 4.
    pub tickets: u8,
    /// Seconds for which a ticket is good; at most 604800 (RFC 8446 §4.6.1).
    pub ticket_lifetime: u32,
    /// Take the client's fingerprint, for admission and the session: about a microsecond.
    pub fingerprint: bool,
    /// Longest handshake message accepted, in bytes.
    pub max_message: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            tls12: true,
            tls13: true,
            suites: List { values: Suite::ALL.map(Some) },
            groups: List {
                values: [Some(Group::X25519MlKem768), Some(Group::X25519), Some(Group::Secp256r1)],
            },
            client_order: false,
            alpn: List { values: [None; 8] },
            alpn_required: false,
            unknown_name: UnknownName::UseDefault,
            client_certificate: ClientCertificate::None,
            extended_master_secret_required: false,
            tickets: 2,
            ticket_lifetime: 43_200,
            fingerprint: false,
            max_message: 16_384,
        }
    }
}

/// Why a policy can not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// Neither version is allowed.
    NoVersion,
    /// An allowed version has no suite.
    NoSuite(Version),
    /// There is no group, or TLS 1.2 alone is allowed with none but the hybrid, which it can not use.
    NoGroup,
    /// The ticket lifetime is over seven days.
    TicketLifetime,
    /// More than four tickets.
    Tickets,
}

impl Policy {
    /// Whether `version` is allowed.
    pub const fn allows(&self, version: Version) -> bool {
        match version {
            Version::Tls12 => self.tls12,
            Version::Tls13 => self.tls13,
        }
    }

    /// Checks that the policy can work.
    ///
    /// # Errors
    /// The first reason why it can not.
    pub fn check(&self) -> Result<(), PolicyError> {
        if !self.tls12 && !self.tls13 {
            return Err(PolicyError::NoVersion);
        }
        for version in [Version::Tls12, Version::Tls13] {
            if self.allows(version) && !self.suites.iter().any(|suite| suite.version() == version) {
                return Err(PolicyError::NoSuite(version));
            }
        }
        let usable = |group| self.tls13 || group != Group::X25519MlKem768;
        if !self.groups.iter().any(usable) {
            return Err(PolicyError::NoGroup);
        }
        if self.ticket_lifetime > 604_800 {
            return Err(PolicyError::TicketLifetime);
        }
        if self.tickets > 4 {
            return Err(PolicyError::Tickets);
        }
        Ok(())
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVersion => f.write_str("no protocol version is enabled: enable TLS 1.2, TLS 1.3 or both"),
            Self::NoSuite(version) => {
                write!(f, "{version} is enabled without a cipher suite: add one or disable the version")
            }
            Self::NoGroup => {
                f.write_str("no usable key-exchange group: add x25519 (X25519MLKEM768 needs TLS 1.3)")
            }
            Self::TicketLifetime => f.write_str("ticket lifetime is over 604800 seconds (seven days)"),
            Self::Tickets => f.write_str("more than four tickets per handshake"),
        }
    }
}

impl core::error::Error for PolicyError {}

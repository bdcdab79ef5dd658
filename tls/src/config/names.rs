// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of bounded length, kept inline.

use crate::error::Error;

/// A host name from server_name (RFC 6066 §3), checked and in lower case.
#[derive(Clone)]
pub struct ServerName {
    bytes: [u8; 255],
    len: u8,
}

impl ServerName {
    /// Checks a name as the client sent it.
    ///
    /// # Errors
    /// [`Error::Illegal`] if it is not made of letters, digits, hyphens and underscores in labels of
    /// 1 to 63 bytes (RFC 1123 §2.1; underscores occur in practice).
    pub fn new(name: &[u8]) -> Result<Self, Error> {
        const ILLEGAL: Error = Error::Illegal("server_name is not a DNS host name");
        let name = name.strip_suffix(b".").unwrap_or(name);
        let mut bytes = [0; 255];
        let space = bytes.get_mut(..name.len()).ok_or(ILLEGAL)?;
        for label in name.split(|&byte| byte == b'.') {
            let fits = (1..=63).contains(&label.len());
            if !fits || !label.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
                return Err(ILLEGAL);
            }
        }
        space.copy_from_slice(name);
        space.make_ascii_lowercase();
        Ok(Self { bytes, len: u8::try_from(name.len()).map_err(|_| ILLEGAL)? })
    }

    /// The name: ASCII, in lower case, without a final dot.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The wildcard that covers the name: its first label replaced by `*`. `None` for a single label.
    pub fn wildcard(&self) -> Option<Self> {
        let dot = self.as_bytes().iter().position(|&byte| byte == b'.')?;
        let rest = &self.as_bytes()[dot..];
        let mut wildcard = Self { bytes: [0; 255], len: u8::try_from(rest.len() + 1).ok()? };
        wildcard.bytes[0] = b'*';
        wildcard.bytes[1..=rest.len()].copy_from_slice(rest);
        Some(wildcard)
    }
}

/// An ALPN protocol name (RFC 7301), at most 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol {
    bytes: [u8; 32],
    len: u8,
}

impl Protocol {
    /// A name of 1 to 32 bytes; `None` for others.
    pub fn new(name: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        (!name.is_empty()).then_some(Self { bytes, len: name.len().try_into().ok()? })
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

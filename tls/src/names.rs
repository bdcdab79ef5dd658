// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names of bounded length, kept inline.

use crate::inline::Inline;

/// A host name from server_name (RFC 6066 §3), checked and in lower case.
#[derive(Clone)]
pub struct ServerName(Inline<255>);

impl ServerName {
    /// Checks a name as the client sent it. `None` if it is no DNS host name: not made of letters, digits, hyphens and
    /// underscores in labels of 1 to 63 bytes (RFC 1123 §2.1; underscores occur in practice), or over 255 bytes long.
    pub fn new(name: &[u8]) -> Option<Self> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let is_label = |label: &[u8]| {
            (1..=63).contains(&label.len())
                && label.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if !name.split(|&byte| byte == b'.').all(is_label) {
            return None;
        }
        let mut name = Inline::new(name)?;
        name.as_mut_bytes().make_ascii_lowercase();
        Some(Self(name))
    }

    /// The name: ASCII, in lower case, without a final dot.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The wildcard that covers the name: its first label replaced by `*`. `None` for a single label.
    pub fn wildcard(&self) -> Option<Self> {
        let dot = self.as_bytes().iter().position(|&byte| byte == b'.')?;
        let mut wildcard = Inline::new(b"*")?;
        wildcard.push(self.as_bytes().get(dot..)?)?;
        Some(Self(wildcard))
    }
}

/// An ALPN protocol name (RFC 7301), at most 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocol(Inline<32>);

impl Protocol {
    /// A name of 1 to 32 bytes; `None` for others.
    pub fn new(name: &[u8]) -> Option<Self> {
        if name.is_empty() { None } else { Inline::new(name).map(Self) }
    }

    /// The name.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client asked for and offered, kept for the line that says why its handshake failed.

use std::fmt;
use ttls::wire::{ClientHello, U16List};

/// Longest name that is kept, in bytes (RFC 1035 §2.3.4).
const NAME: usize = 255;
/// Code points of a kind that are kept; browsers offer fewer.
const CODES: usize = 20;
/// Bytes of protocol names that are kept, with their lengths.
const PROTOCOLS: usize = 40;

/// A ClientHello, as far as it is told. Of fixed size: it is kept of every handshake.
#[derive(Debug, Default)]
pub struct Offer {
    seen: bool,
    name: Bytes<NAME>,
    versions: Codes,
    suites: Codes,
    groups: Codes,
    protocols: Bytes<PROTOCOLS>,
}

impl Offer {
    /// Forgets everything.
    pub const fn clear(&mut self) {
        self.seen = false;
    }

    /// Takes note of a ClientHello.
    pub fn take(&mut self, hello: &ClientHello<'_>) {
        self.seen = true;
        self.name.set(hello.server_name.unwrap_or_default());
        match &hello.versions {
            Some(versions) => self.versions.set(versions),
            None => self.versions.set_one(hello.legacy_version),
        }
        self.suites.set(&hello.suites);
        self.groups.set_some(hello.groups.as_ref());
        self.protocols.set(hello.alpn.clone().map(|names| names.rest()).unwrap_or_default());
    }

    /// The name that the client asked for, if it did.
    pub fn server_name(&self) -> Option<impl fmt::Display + '_> {
        let name = self.name.get();
        (self.seen && !name.is_empty()).then(|| name.escape_ascii())
    }

    /// What it offered; `None` if no ClientHello has come.
    pub const fn told(&self) -> Option<&Self> {
        if self.seen { Some(self) } else { None }
    }
}

/// `versions 1.3 1.2, suites 1301 c02f, groups 11ec 001d, alpn h2 http/1.1`: numbers as in IANA's registries.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("versions")?;
        for code in self.versions.get() {
            match code {
                0x0301..=0x0304 => write!(f, " 1.{}", code - 0x0301)?,
                code => write!(f, " {code:04x}")?,
            }
        }
        self.versions.end(f)?;
        for (name, codes) in [("suites", &self.suites), ("groups", &self.groups)] {
            write!(f, ", {name}")?;
            codes.get().try_for_each(|code| write!(f, " {code:04x}"))?;
            codes.end(f)?;
        }
        let mut rest = self.protocols.get();
        if !rest.is_empty() {
            f.write_str(", alpn")?;
        }
        while let Some((&length, more)) = rest.split_first() {
            let length = usize::from(length);
            let Some(name) = more.get(..length) else { return f.write_str(" …") };
            write!(f, " {}", name.escape_ascii())?;
            rest = more.get(length..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Up to `N` bytes.
#[derive(Debug)]
struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> Bytes<N> {
    fn set(&mut self, bytes: &[u8]) {
        self.len = bytes.len().min(N);
        self.bytes.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Code points without GREASE (RFC 8701), which says nothing of the client.
#[derive(Debug, Default)]
struct Codes {
    codes: [u16; CODES],
    len: usize,
    /// There were more.
    cut: bool,
}

impl Codes {
    fn set(&mut self, list: &U16List<'_>) {
        (self.len, self.cut) = (0, false);
        for code in list.iter().filter(|code| code & 0x0f0f != 0x0a0a) {
            self.push(code);
            if self.cut {
                return;
            }
        }
    }

    fn set_some(&mut self, list: Option<&U16List<'_>>) {
        match list {
            Some(list) => self.set(list),
            None => (self.len, self.cut) = (0, false),
        }
    }

    fn set_one(&mut self, code: u16) {
        (self.len, self.cut) = (0, false);
        self.push(code);
    }

    fn push(&mut self, code: u16) {
        match self.codes.get_mut(self.len) {
            Some(place) => {
                *place = code;
                self.len += 1;
            }
            None => self.cut = true,
        }
    }

    fn get(&self) -> impl Iterator<Item = u16> + '_ {
        self.codes.iter().take(self.len).copied()
    }

    fn end(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cut { f.write_str(" …") } else { Ok(()) }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client asked for and offered, kept for the line that says why its handshake failed.

use std::fmt;
use ttls::wire::codes::is_grease;
use ttls::wire::{ClientHello, U16List};

/// Bytes of a name that are kept.
const NAME: usize = 64;
/// Code points that are kept; browsers offer fewer.
const VERSIONS: usize = 4;
const SUITES: usize = 16;
const GROUPS: usize = 8;
/// Bytes of protocol names that are kept, with their lengths.
const PROTOCOLS: usize = 24;

/// A ClientHello, as far as it is told. Of fixed size, and small: every handshake has one.
#[derive(Debug, Default)]
pub struct Offer {
    seen: bool,
    name: Bytes<NAME>,
    versions: Codes<VERSIONS>,
    suites: Codes<SUITES>,
    groups: Codes<GROUPS>,
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
            Some(versions) => self.versions.set(versions.iter()),
            None => self.versions.set([hello.legacy_version].into_iter()),
        }
        self.suites.set(hello.suites.iter());
        self.groups.set(hello.groups.into_iter().flat_map(U16List::iter));
        self.protocols.set(hello.alpn.clone().map(|names| names.rest()).unwrap_or_default());
    }

    /// The name that the client asked for, if it did.
    pub fn server_name(&self) -> Option<impl fmt::Display + '_> {
        (self.seen && self.name.len > 0).then_some(&self.name)
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
        f.write_str(if self.versions.cut { " …" } else { "" })?;
        write!(f, ", suites{}, groups{}", self.suites, self.groups)?;
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
    len: u8,
    /// There were more.
    cut: bool,
}

impl<const N: usize> Default for Bytes<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0, cut: false }
    }
}

impl<const N: usize> Bytes<N> {
    fn set(&mut self, bytes: &[u8]) {
        self.len = u8::try_from(bytes.len().min(N)).unwrap_or(0);
        self.cut = bytes.len() > N;
        self.bytes.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Bytes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.get().escape_ascii(), if self.cut { "…" } else { "" })
    }
}

/// Up to `N` code points, without GREASE (RFC 8701), which says nothing of the client.
#[derive(Debug)]
struct Codes<const N: usize> {
    codes: [u16; N],
    len: u8,
    /// There were more.
    cut: bool,
}

impl<const N: usize> Default for Codes<N> {
    fn default() -> Self {
        Self { codes: [0; N], len: 0, cut: false }
    }
}

impl<const N: usize> Codes<N> {
    fn set(&mut self, codes: impl Iterator<Item = u16>) {
        (self.len, self.cut) = (0, false);
        for code in codes.filter(|code| !is_grease(*code)) {
            let Some(place) = self.codes.get_mut(usize::from(self.len)) else {
                self.cut = true;
                return;
            };
            *place = code;
            self.len += 1;
        }
    }

    fn get(&self) -> impl Iterator<Item = u16> + '_ {
        self.codes.iter().take(usize::from(self.len)).copied()
    }
}

impl<const N: usize> fmt::Display for Codes<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().try_for_each(|code| write!(f, " {code:04x}"))?;
        f.write_str(if self.cut { " …" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_grease_left_out() {
        let mut codes = Codes::<2>::default();
        codes.set([0x1a1a, 1, 0x2a2a, 0x1302].into_iter());
        assert_eq!(codes.to_string(), " 0001 1302");
        codes.set([1, 2, 3].into_iter());
        assert_eq!(codes.to_string(), " 0001 0002 …");
        codes.set([].into_iter());
        assert_eq!(codes.to_string(), "");
        let mut bytes = Bytes::<3>::default();
        for (set, shown) in [(&b"a\n"[..], "a\\n"), (b"abcd", "abc…"), (b"", "")] {
            bytes.set(set);
            assert_eq!(bytes.to_string(), shown);
        }
    }
}

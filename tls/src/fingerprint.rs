// SPDX-License-Identifier: MIT OR Apache-2.0
//! JA4: a fingerprint of the client's software, from its ClientHello alone (FoxIO, JA4 technical details).

use crate::wire::codes::{TLS12, TLS13, extension, is_grease};
use crate::wire::{ClientHello, Reader};
use core::fmt;
use ttls_crypto::hash::{Algorithm, Hash};

/// Code points that are sorted; a ClientHello with more is fingerprinted by its first 128.
const MAX_SORTED: usize = 128;

/// A JA4 fingerprint: 36 ASCII bytes such as `t13d1516h2_8daaf6152771_02713d6af862`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ja4([u8; 36]);

impl Ja4 {
    /// The fingerprint of `hello`, which came by TCP.
    pub fn of(hello: &ClientHello<'_>) -> Self {
        let suites = Sorted::of(hello.suites.iter());
        let extensions = Sorted::of(extension_types(hello.extensions));
        let named = Sorted::of(
            extension_types(hello.extensions)
                .filter(|kind| ![extension::SERVER_NAME, extension::ALPN].contains(kind)),
        );
        let mut text = [0; 36];
        text[0] = b't';
        text[1..3].copy_from_slice(version(hello));
        text[3] = if hello.server_name.is_some() { b'd' } else { b'i' };
        text[4..6].copy_from_slice(&two_digits(suites.len));
        text[6..8].copy_from_slice(&two_digits(extensions.len));
        text[8..10].copy_from_slice(&alpn(hello));
        text[10] = b'_';
        let mut hash = Hash::new(Algorithm::Sha256);
        hash_list(&mut hash, suites.iter());
        text[11..23].copy_from_slice(&truncated(hash, suites.len == 0));
        text[23] = b'_';
        let mut hash = Hash::new(Algorithm::Sha256);
        hash_list(&mut hash, named.iter());
        if let Some(schemes) = hello.signature_algorithms {
            hash.update(b"_");
            hash_list(&mut hash, schemes.iter().filter(|scheme| !is_grease(*scheme)));
        }
        text[24..36].copy_from_slice(&truncated(hash, named.len == 0));
        Self(text)
    }

    /// The fingerprint as text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Ja4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Code points without GREASE, in ascending order.
struct Sorted {
    values: [u16; MAX_SORTED],
    len: usize,
}

impl Sorted {
    fn of(codes: impl Iterator<Item = u16>) -> Self {
        let mut sorted = Self { values: [0; MAX_SORTED], len: 0 };
        for (slot, code) in sorted.values.iter_mut().zip(codes.filter(|code| !is_grease(*code))) {
            *slot = code;
            sorted.len += 1;
        }
        sorted.values.get_mut(..sorted.len).unwrap_or_default().sort_unstable();
        sorted
    }

    fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.values.iter().take(self.len).copied()
    }
}

fn extension_types(extensions: &[u8]) -> impl Iterator<Item = u16> + '_ {
    let mut r = Reader::new(extensions, "extensions");
    core::iter::from_fn(move || {
        let kind = r.u16().ok()?;
        r.vec16().ok()?;
        Some(kind)
    })
}

/// The highest version offered, GREASE aside.
fn version(hello: &ClientHello<'_>) -> &'static [u8; 2] {
    let offered = hello.versions.map(|versions| versions.iter().filter(|v| !is_grease(*v)).max());
    match offered.flatten().unwrap_or(hello.legacy_version) {
        TLS13 => b"13",
        TLS12 => b"12",
        0x0302 => b"11",
        0x0301 => b"10",
        0x0300 => b"s3",
        _ => b"00",
    }
}

/// First and last character of the first ALPN value; of its hex digits, if one is not alphanumeric.
fn alpn(hello: &ClientHello<'_>) -> [u8; 2] {
    let first = hello.alpn.clone().and_then(|mut names| names.vec8().ok()).map(|name| name.rest());
    let Some((&first, &last)) = first.and_then(|name| name.first().zip(name.last())) else { return *b"00" };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        [first, last]
    } else {
        [hex_digit(first >> 4), hex_digit(last & 15)]
    }
}

fn two_digits(count: usize) -> [u8; 2] {
    let count = u8::try_from(count.min(99)).unwrap_or(99);
    [b'0' + count / 10, b'0' + count % 10]
}

const fn hex_digit(nibble: u8) -> u8 {
    match nibble & 15 {
        digit @ 0..10 => b'0' + digit,
        letter => b'a' - 10 + letter,
    }
}

/// Adds the codes as four hex digits each, with commas between.
fn hash_list(hash: &mut Hash, codes: impl Iterator<Item = u16>) {
    for (i, code) in codes.enumerate() {
        let [a, b] = code.to_be_bytes();
        let text = [b',', hex_digit(a >> 4), hex_digit(a), hex_digit(b >> 4), hex_digit(b)];
        hash.update(if i == 0 { &text[1..] } else { &text });
    }
}

/// The first twelve hex digits of the hash; zeros for an empty list.
fn truncated(hash: Hash, empty: bool) -> [u8; 12] {
    let mut text = [b'0'; 12];
    if !empty {
        let digest = hash.finish();
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest.as_bytes()) {
            pair.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(*byte)]);
        }
    }
    text
}

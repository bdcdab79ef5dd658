// SPDX-License-Identifier: MIT OR Apache-2.0
//! JA4: a fingerprint of the client's software, from its ClientHello alone (FoxIO, JA4 technical details).
//!
//! The method is FoxIO's, under the BSD licence of LICENSE-JA4; the code is not. The other methods of JA4+ have another licence.

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
        let asks = extension_types(hello.extensions).any(|kind| kind == extension::SERVER_NAME);
        text[3] = if asks { b'd' } else { b'i' };
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

    /// The fingerprint that is written as `text`; `None` if that can not be one.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes: [u8; 36] = text.as_bytes().try_into().ok()?;
        let fits = |(at, byte): (usize, &u8)| match at {
            10 | 23 => *byte == b'_',
            0..10 => byte.is_ascii_alphanumeric(),
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        };
        bytes.iter().enumerate().all(fits).then_some(Self(bytes))
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

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn hex(text: &str) -> Vec<u16> {
        text.split(',').map(|code| u16::from_str_radix(code, 16).expect("hexadecimal")).collect()
    }

    /// A vector with a length in front, of two bytes.
    fn vector(bytes: &[u8]) -> Vec<u8> {
        [&u16::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
    }

    /// A ClientHello with these suites, extensions in this order, and signature algorithms.
    fn hello(suites: &[u16], extensions: &[u16], schemes: &[u16]) -> Vec<u8> {
        let codes = |codes: &[u16]| codes.iter().flat_map(|code| code.to_be_bytes()).collect::<Vec<u8>>();
        let body = |kind: u16| match kind {
            extension::SERVER_NAME => vector(&[&[0][..], &vector(b"example.com")].concat()),
            extension::ALPN => vector(b"\x02h2\x08http/1.1"),
            extension::SUPPORTED_VERSIONS => [&[6][..], &codes(&[0x2a2a, TLS13, TLS12])].concat(),
            extension::SIGNATURE_ALGORITHMS => vector(&codes(schemes)),
            extension::SUPPORTED_GROUPS => vector(&codes(&[0x001d, 0x0017])),
            extension::KEY_SHARE => vector(&[]),
            // psk_key_exchange_modes: one of them.
            0x002d => [1, 1].to_vec(),
            // ec_point_formats: uncompressed. renegotiation_info: none. status_request: OCSP.
            0x000b => [1, 0].to_vec(),
            0xff01 => [0].to_vec(),
            0x0005 => [1, 0, 0, 0, 0].to_vec(),
            _ => Vec::new(),
        };
        let extensions: Vec<u8> = extensions
            .iter()
            .flat_map(|&kind| [&kind.to_be_bytes()[..], &vector(&body(kind))].concat())
            .collect();
        [&TLS12.to_be_bytes()[..], &[7; 32], &[0], &vector(&codes(suites)), &[1, 0], &vector(&extensions)]
            .concat()
    }

    /// The example of the method's technical details, whose lists stand there: Chrome. In whichever order its extensions come,
    /// and with GREASE (RFC 8701) anywhere.
    #[test]
    fn the_published_example() {
        let suites = hex("1a1a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
        let mut extensions =
            hex("3a3a,0000,0017,ff01,000a,000b,0023,0010,0005,000d,0012,0033,002d,002b,001b,4469,0015");
        let schemes = hex("0403,0804,0401,0503,0805,0501,0806,0601");
        for _ in 0..extensions.len() {
            let bytes = hello(&suites, &extensions, &schemes);
            let parsed = ClientHello::parse(&bytes).expect("a ClientHello");
            assert_eq!(Ja4::of(&parsed).as_str(), "t13d1516h2_8daaf6152771_e5627efa2ab1");
            extensions.rotate_left(1);
        }
    }

    #[test]
    fn without_extensions() {
        let bytes = hello(&[0x1301], &[], &[]);
        let parsed = ClientHello::parse(&bytes).expect("a ClientHello");
        assert!(Ja4::of(&parsed).as_str().starts_with("t12i010000_"));
        assert!(Ja4::of(&parsed).as_str().ends_with("_000000000000"));
    }
}

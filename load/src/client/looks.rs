// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a ClientHello looks from outside: its suites, extensions and signature algorithms, in their order.
//!
//! Those of browsers give the JA4 fingerprints of browsers of 2023 and 2024. They ask for X25519 only, so that all clients
//! cost a server the same, and ask for AES-128-GCM first, where curl has AES-256-GCM.

use super::wire::{u16, vector};
use crate::random::Random;

/// GREASE (RFC 8701): values that mean nothing. Browsers draw them; fingerprints leave them out.
const GREASE: u16 = 0x0a0a;
const LAST_GREASE: u16 = 0x1a1a;
const PADDING: u16 = 21;

/// What a ClientHello lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(super) suites: Vec<u16>,
    /// Types of its extensions, without pre_shared_key.
    pub(super) extensions: Vec<u16>,
    pub(super) signatures: Vec<u16>,
    /// Bytes of padding, if it lists that extension.
    padding: usize,
}

impl Look {
    fn new(suites: &[u16], extensions: &[u16], signatures: &[u16]) -> Self {
        Self {
            suites: suites.to_vec(),
            extensions: extensions.to_vec(),
            signatures: signatures.to_vec(),
            padding: 16,
        }
    }

    /// Chrome, Firefox, Safari and curl with OpenSSL.
    pub(crate) fn browsers() -> Vec<Self> {
        vec![
            Self::new(
                &[
                    GREASE, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
                    0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
                ],
                &[
                    GREASE,
                    27,
                    0,
                    51,
                    16,
                    0x4469,
                    23,
                    45,
                    13,
                    5,
                    35,
                    18,
                    43,
                    0xff01,
                    11,
                    10,
                    LAST_GREASE,
                    PADDING,
                ],
                &[0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
            ),
            Self::new(
                &[
                    0x1301, 0x1303, 0x1302, 0xc02b, 0xc02f, 0xcca9, 0xcca8, 0xc02c, 0xc030, 0xc00a, 0xc009,
                    0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
                ],
                &[0, 23, 0xff01, 10, 11, 35, 16, 5, 34, 51, 43, 13, 45, 28, 0xfe0d],
                &[0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201],
            ),
            Self::new(
                &[
                    GREASE, 0x1301, 0x1302, 0x1303, 0xc02c, 0xc02b, 0xcca9, 0xc030, 0xc02f, 0xcca8, 0xc00a,
                    0xc009, 0xc014, 0xc013, 0x009d, 0x009c, 0x0035, 0x002f, 0xc008, 0xc012, 0x000a,
                ],
                &[GREASE, 0, 23, 0xff01, 10, 11, 16, 5, 13, 18, 51, 45, 43, 27, LAST_GREASE, PADDING],
                &[0x0403, 0x0804, 0x0401, 0x0503, 0x0203, 0x0805, 0x0501, 0x0806, 0x0601, 0x0201],
            ),
            Self::new(
                &[
                    0x1301, 0x1302, 0x1303, 0xc02c, 0xc030, 0x009f, 0xcca9, 0xcca8, 0xccaa, 0xc02b, 0xc02f,
                    0x009e, 0xc024, 0xc028, 0x006b, 0xc023, 0xc027, 0x0067, 0xc00a, 0xc014, 0x0039, 0xc009,
                    0xc013, 0x0033, 0x009d, 0x009c, 0x003d, 0x003c, 0x0035, 0x002f, 0x00ff,
                ],
                &[0, 11, 10, 16, 22, 23, 49, 13, 43, 45, 51, PADDING],
                &[
                    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806,
                    0x0401, 0x0501, 0x0601, 0x0303, 0x0301, 0x0302, 0x0402, 0x0502, 0x0602,
                ],
            ),
        ]
    }

    /// One that nobody else has: some of the suites and extensions there are, and some there are not, in any order.
    pub(crate) fn random(random: &mut Random) -> Self {
        const SUITES: [u16; 14] = [
            0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d,
            0x002f, 0x0035,
        ];
        let mut suites = vec![0x1301];
        suites.extend(SUITES.iter().filter(|_| random.below(2) == 0));
        let mut extensions = vec![0, 10, 13, 16, 43, 45, 51];
        extensions.extend([5, 11, 18, 23, 35, 0xff01].iter().filter(|_| random.below(2) == 0));
        // Types that nothing is registered for.
        #[allow(clippy::cast_possible_truncation)] // below 0x3000
        extensions.extend((0..random.below(4)).map(|_| 0x5000 + random.below(0x3000) as u16));
        extensions.dedup();
        for last in (1..extensions.len()).rev() {
            #[allow(clippy::cast_possible_truncation)] // at most `last`
            extensions.swap(last, random.below(last as u64 + 1) as usize);
        }
        Self::new(&suites, &extensions, &[0x0403, 0x0804, 0x0401])
    }

    /// The same with `padding` bytes that mean nothing (RFC 7685).
    pub(crate) fn padded(mut self, padding: usize) -> Self {
        self.padding = padding;
        if !self.extensions.contains(&PADDING) {
            self.extensions.push(PADDING);
        }
        self
    }

    /// Writes the content of the extension `kind`, where it is not the same as in every ClientHello.
    pub(super) fn content(&self, kind: u16, out: &mut Vec<u8>) {
        match kind {
            5 => out.extend_from_slice(&[1, 0, 0, 0, 0]), // status_request: OCSP, from anybody
            11 => out.extend_from_slice(&[1, 0]),         // ec_point_formats: uncompressed
            13 => vector(out, 2, |out| self.signatures.iter().for_each(|&scheme| u16(out, scheme))),
            PADDING => out.resize(out.len() + self.padding, 0),
            27 => out.extend_from_slice(&[2, 0, 2]), // compress_certificate: Brotli
            28 => u16(out, 0x4001),                  // record_size_limit
            34 => vector(out, 2, |out| u16(out, 0x0403)), // delegated_credentials
            0x4469 => vector(out, 2, |out| vector(out, 1, |out| out.extend_from_slice(b"h2"))), // application_settings
            0xfe0d => {
                // encrypted_client_hello as GREASE: outer, HKDF-SHA256, AES-128-GCM, ID, a key and 144 bytes.
                out.extend_from_slice(&[0, 0, 1, 0, 1, 0x42]);
                vector(out, 2, |out| out.extend_from_slice(&[9; 32]));
                vector(out, 2, |out| out.extend_from_slice(&[0x5a; 144]));
            }
            0xff01 | LAST_GREASE => out.push(0), // renegotiation_info: none
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// The list as JA4 hashes it: without GREASE, in hexadecimal, with commas.
    fn list(values: impl Iterator<Item = u16>) -> String {
        let values: Vec<_> =
            values.filter(|value| value & 0x0f0f != 0x0a0a).map(|value| format!("{value:04x}")).collect();
        values.join(",")
    }

    fn hash(text: &str) -> String {
        let digest = ttls_crypto::hash::Algorithm::Sha256.digest(text.as_bytes());
        digest.as_bytes()[..6].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Suites and extensions with signature algorithms, as a JA4 fingerprint ends.
    fn ja4(look: &Look) -> (String, String) {
        let (mut suites, mut extensions) = (look.suites.clone(), look.extensions.clone());
        suites.sort_unstable();
        extensions.sort_unstable();
        extensions.retain(|kind| ![0, 16].contains(kind));
        let signatures = list(look.signatures.iter().copied());
        let extensions = format!("{}_{signatures}", list(extensions.into_iter()));
        (hash(&list(suites.into_iter())), hash(&extensions))
    }

    // The specification's own example, a Chrome; the others' suites are those that its database lists.
    #[test]
    fn browsers_have_their_fingerprints() {
        let browsers = Look::browsers();
        assert_eq!(ja4(&browsers[0]), ("8daaf6152771".to_owned(), "e5627efa2ab1".to_owned()));
        assert_eq!(ja4(&browsers[1]).0, "5b57614c22b0");
        assert_eq!(ja4(&browsers[2]).0, "a09f3c656075");
    }

    #[test]
    fn random_looks_differ() {
        let mut random = Random::new(3);
        let looks: HashSet<_> = (0..1000).map(|_| ja4(&Look::random(&mut random))).collect();
        assert!(looks.len() > 900, "{}", looks.len());
    }
}

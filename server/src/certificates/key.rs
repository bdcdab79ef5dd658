// SPDX-License-Identifier: MIT OR Apache-2.0
//! The private key in a PEM file.

use crate::pem::{self, Block};
use ttls_crypto::sign::Encoding;

/// The private key among the blocks of a file: its encoding and its bytes. Certificates and parameters may stand beside it.
///
/// # Errors
/// There is none, more than one, or one that is encrypted.
pub(super) fn private_key(blocks: &[Block]) -> Result<(Encoding, &[u8]), pem::Error> {
    let mut found = None;
    for block in blocks {
        let encoding = match block.label.as_str() {
            "PRIVATE KEY" => Encoding::Pkcs8,
            "EC PRIVATE KEY" => Encoding::Sec1,
            "RSA PRIVATE KEY" => Encoding::Pkcs1,
            "ENCRYPTED PRIVATE KEY" => return Err(pem::Error::new(block.line, pem::ENCRYPTED)),
            label if label.ends_with("PRIVATE KEY") => {
                let what = format!("a `{label}`: convert it with `openssl pkey -in KEY -out CONVERTED`");
                return Err(pem::Error::new(block.line, what));
            }
            _ => continue,
        };
        if found.is_some() {
            return Err(pem::Error::new(block.line, "a second private key: which is meant?"));
        }
        found = Some((encoding, block.der.as_slice()));
    }
    found.ok_or_else(|| {
        let others: Vec<_> = blocks.iter().map(|block| format!("`{}`", block.label)).collect();
        let but = match others.as_slice() {
            [] => String::new(),
            _ if others.iter().all(|label| label.contains("CERTIFICATE")) => {
                ", but certificates: are `chain` and `key` swapped?".into()
            }
            _ => format!(", but {}", others.join(", ")),
        };
        pem::Error::new(0, format!("has no private key in PEM (PKCS#8, SEC 1 or PKCS#1){but}"))
    })
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ServerHello (RFC 8446 §4.1.3).

use super::fault::Fault;
use super::wire::Reader;

/// The random that makes a ServerHello a HelloRetryRequest: SHA-256 of "HelloRetryRequest".
pub(super) const HELLO_RETRY_REQUEST: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What the server's extensions say.
#[derive(Default)]
pub(super) struct Extensions<'a> {
    pub(super) version: u16,
    pub(super) share: Option<(u16, &'a [u8])>,
    pub(super) psk_taken: bool,
    pub(super) extended_master_secret: bool,
}

impl<'a> Extensions<'a> {
    pub(super) fn read(&mut self, kind: u16, content: &'a [u8]) -> Result<(), Fault> {
        let mut content = Reader::new(content);
        match kind {
            23 => self.extended_master_secret = true,
            41 => self.psk_taken = content.u16()? == 0,
            43 => self.version = content.u16()?,
            // A HelloRetryRequest names the group alone.
            51 => {
                let group = content.u16()?;
                let share = if content.is_empty() { &[] } else { content.vector16()? };
                self.share = Some((group, share));
            }
            _ => return Ok(()),
        }
        content.finish()
    }
}

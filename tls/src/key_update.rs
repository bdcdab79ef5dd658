// SPDX-License-Identifier: MIT OR Apache-2.0
//! KeyUpdate (RFC 8446 §4.6.3): the only message that a client sends after the handshake.

use crate::error::Error;
use crate::wire::codes::message;

/// Records under one key before it is renewed: below the 2^24.5 of RFC 8446 §5.5 for AES-GCM.
pub const MAX_RECORDS: u64 = 1 << 24;

/// Reads what has arrived of the message: whether the peer asks for a KeyUpdate in return, or `None` if its end
/// is to come.
///
/// # Errors
/// It is another message, does not parse, or does not end its record (RFC 8446 §5.1).
pub fn read(joined: &[u8]) -> Result<Option<bool>, Error> {
    match *joined {
        [message::KEY_UPDATE, 0, 0, 1, request @ (0 | 1)] => Ok(Some(request == 1)),
        [message::KEY_UPDATE, 0, 0, 1, 0 | 1, ..] => {
            Err(Error::Unexpected("the end of a record where keys change"))
        }
        [message::KEY_UPDATE, 0, 0, 1, _, ..] => Err(Error::Illegal("KeyUpdate is not 0 or 1")),
        [message::KEY_UPDATE, a, b, c, ..] if [a, b, c] != [0, 0, 1] => Err(Error::Malformed("KeyUpdate")),
        [message::KEY_UPDATE, ..] if joined.len() < 5 => Ok(None),
        _ => Err(Error::Unexpected("KeyUpdate or application data")),
    }
}

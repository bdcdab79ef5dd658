// SPDX-License-Identifier: MIT OR Apache-2.0
//! Content types of records (RFC 8446 §5.1).

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

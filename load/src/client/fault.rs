// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a connection failed.

/// Why a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server refused, with this alert (RFC 8446 §6).
    Alert(u8),
    /// The server asks for what this client cannot do.
    Unsupported(&'static str),
    /// The server answered something false. The run is void.
    Wrong(&'static str),
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a handshake negotiates.

use crate::fingerprint::Ja4;
use crate::names::{Protocol, ServerName};
use crate::suite::{Group, Suite, Version};

/// What a handshake negotiated.
#[derive(Clone)]
pub struct Session {
    /// Protocol version.
    pub version: Version,
    /// Cipher suite.
    pub suite: Suite,
    /// Group of the key exchange; `None` in a TLS 1.2 resumption.
    pub group: Option<Group>,
    /// A ticket was resumed.
    pub resumed: bool,
    /// The client proved possession of an accepted certificate.
    pub client_authenticated: bool,
    /// The name the client asked for.
    pub server_name: Option<ServerName>,
    /// The client's fingerprint, if [`crate::Policy::fingerprint`] is set.
    pub fingerprint: Option<Ja4>,
    /// The ALPN protocol.
    pub alpn: Option<Protocol>,
}

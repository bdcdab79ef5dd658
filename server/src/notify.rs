// SPDX-License-Identifier: MIT OR Apache-2.0
//! What systemd wants to know of a service with `Type=notify` (sd_notify(3)).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells systemd that this process serves, and is the service's main process now: under an upgrade it was another.
/// Does nothing where nobody asked for it.
///
/// # Errors
/// The socket that the environment names does not take it. The service then counts as not started.
pub fn ready() -> io::Result<()> {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&socket)?,
    };
    let state = format!("MAINPID={}\nREADY=1", std::process::id());
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

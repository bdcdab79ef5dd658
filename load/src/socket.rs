// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sockets that connect without waiting.

use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketFlags, SocketType};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How the client ends a connection that it has no more use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// With a reset: neither side keeps the port in TIME_WAIT.
    Reset,
    /// With a FIN.
    Fin,
}

/// Begins a connection to `address`, from the address `source` if there is one and from a port of the kernel's choice.
pub(crate) fn connect(
    address: &SocketAddr,
    source: Option<Ipv4Addr>,
    leaving: Leaving,
) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = net::socket_with(family, SocketType::STREAM, flags, None)?;
    if leaving == Leaving::Reset {
        net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    }
    if let Some(source) = source {
        // Without it, the kernel would look for a port that is free towards every server.
        setsockopt(&socket, IpBindAddressNoPort, &true)
            .map_err(|error| Errno::from_raw_os_error(error as i32))?;
        net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    }
    match net::connect(&socket, address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Listening sockets: each worker has its own for every address.

use super::record_plan::UNSENT;
use super::socket::limit_unsent;
use nix::sys::socket::setsockopt;
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};
use std::net::SocketAddr;
use std::time::Duration;

sockopt_impl!(
    /// Accept a connection only when its first bytes are here, or so many seconds have passed (tcp(7)).
    TcpDeferAccept, Both, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, libc::c_int
);
sockopt_impl!(
    /// Length of the queue of fast-open requests (tcp(7)).
    TcpFastOpen, Both, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, libc::c_int
);
sockopt_impl!(
    /// A classic BPF program that packets must pass (socket(7)).
    AttachFilter, SetOnly, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, libc::sock_fprog
);

sockopt_impl!(
    /// No program any more.
    DetachFilter, SetOnly, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, libc::c_int
);

/// What listening sockets, and the connections they accept, have set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Length of the accept queue.
    pub backlog: u16,
    /// Idle time before probes; zero for none.
    pub keepalive: Duration,
    /// Accept data in SYN.
    pub fast_open: bool,
    /// Longest wait for a connection's first bytes.
    pub defer: Duration,
}

/// Makes sure that nobody listens on an address yet: among sockets with SO_REUSEPORT, of this user, a second
/// program would silently get half of the connections.
///
/// # Errors
/// What the kernel says.
pub fn probe(address: SocketAddr) -> Result<(), Errno> {
    let fd = stream(address, SocketFlags::CLOEXEC)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    bind_now_or_later(&fd, address).map(drop)
}

/// Opens a listening socket. What is set on it, accepted connections inherit. Also says whether this machine has the
/// address: if not yet, connections come in as soon as it has.
///
/// # Errors
/// What the kernel says, most often that the address is in use or needs privileges.
pub fn open(address: SocketAddr, options: &Options) -> Result<(OwnedFd, bool), Errno> {
    let fd = shareable(address, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    apply(&fd, options)?;
    let present = bind_now_or_later(&fd, address)?;
    listen(&fd, options.backlog.into())?;
    Ok((fd, present))
}

/// Binds a socket. An address that this machine does not have yet (a network that is still coming up, an address that
/// moves between machines) is bound all the same (ip(7), IP_FREEBIND). Says whether the machine has it.
///
/// # Errors
/// What the kernel says.
pub fn bind_now_or_later(fd: &OwnedFd, address: SocketAddr) -> Result<bool, Errno> {
    match bind(fd, &address) {
        Err(Errno::ADDRNOTAVAIL) => {
            if address.is_ipv4() {
                sockopt::set_ip_freebind(fd, true)?;
            } else {
                sockopt::set_ipv6_freebind(fd, true)?;
            }
            bind(fd, &address).map(|()| false)
        }
        bound => bound.map(|()| true),
    }
}

/// A socket that can be bound to this address beside others of this user.
///
/// # Errors
/// What the kernel says.
pub fn shareable(address: SocketAddr, flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let fd = stream(address, flags)?;
    sockopt::set_socket_reuseport(&fd, true)?;
    Ok(fd)
}

fn stream(address: SocketAddr, flags: SocketFlags) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    Ok(fd)
}

/// Sets the options, also on a socket that listens already.
///
/// # Errors
/// What the kernel says.
pub fn apply(fd: &OwnedFd, options: &Options) -> Result<(), Errno> {
    sockopt::set_tcp_nodelay(fd, true)?;
    keep_alive(fd, options.keepalive)?;
    let seconds = libc::c_int::try_from(options.defer.as_secs().max(1)).unwrap_or(libc::c_int::MAX);
    setsockopt(fd, TcpDeferAccept, &seconds).map_err(errno)?;
    limit_unsent(fd, UNSENT).map_err(errno)?;
    if options.fast_open {
        setsockopt(fd, TcpFastOpen, &libc::c_int::from(options.backlog)).map_err(errno)?;
    }
    Ok(())
}

/// Has a connection's peer probed when it is idle for so long; zero for never.
///
/// # Errors
/// What the kernel says.
pub fn keep_alive(fd: &OwnedFd, idle: Duration) -> Result<(), Errno> {
    sockopt::set_socket_keepalive(fd, !idle.is_zero())?;
    if !idle.is_zero() {
        // The kernel takes 1 to 32767 seconds.
        let idle = idle.clamp(Duration::from_secs(1), Duration::from_secs(32_767));
        sockopt::set_tcp_keepidle(fd, idle)?;
        sockopt::set_tcp_keepintvl(fd, idle.min(Duration::from_secs(75)))?;
    }
    Ok(())
}

/// Has a program decide which segments come in, or none. The kernel only reads it.
///
/// # Errors
/// The program is longer than the kernel takes (`net.core.optmem_max`).
pub fn set_filter(fd: &OwnedFd, program: Option<&mut [libc::sock_filter]>) -> Result<(), Errno> {
    let Some(program) = program else {
        return match setsockopt(fd, DetachFilter, &0).map_err(errno) {
            // There was none.
            Err(Errno::NOENT) => Ok(()),
            result => result,
        };
    };
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
    setsockopt(fd, AttachFilter, &program).map_err(errno)
}

/// Makes a listening socket deaf to new clients, while those half-way through TCP's handshake still come in:
/// closing it after that loses nobody.
///
/// # Errors
/// The kernel has no memory for it.
pub fn turn_away(fd: &OwnedFd) -> Result<(), Errno> {
    const SYN: u32 = 0x02;
    // The program sees the segment from its TCP header on; the flags are in byte 13.
    let mut program = [
        filter(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, 13),
        filter(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 1, SYN),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let program = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    setsockopt(fd, AttachFilter, &program).map_err(errno)
}

fn filter(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    // BPF's codes are below 256.
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt, jf, k }
}

/// nix's error as rustix's.
fn errno(error: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(error as i32)
}

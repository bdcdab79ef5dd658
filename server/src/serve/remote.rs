// SPDX-License-Identifier: MIT OR Apache-2.0
//! A backend reached by a socket.

use super::outcome::Outcome;
use super::proxy_protocol::MAX_WRITTEN;
use super::socket::{Moved, Socket};
use crate::settings::Target;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io::IoSliceMut;

/// A connection to a backend.
pub struct Remote {
    socket: Socket,
    token: u64,
    state: State,
    /// Index of the address being tried.
    address: usize,
    /// PROXY header that goes first, and how much of it is sent.
    header: Option<(Box<[u8; MAX_WRITTEN]>, std::ops::Range<usize>)>,
    shut: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Ready,
}

impl Remote {
    /// Begins to connect.
    ///
    /// # Errors
    /// No address can even be tried.
    pub fn connect(
        target: &Target,
        token: u64,
        header: Option<(Box<[u8; MAX_WRITTEN]>, usize)>,
    ) -> Result<Self, Outcome> {
        let (fd, state, address) = try_from(target, 0)?;
        let socket = Self::socket(fd, token, state);
        let header = header.map(|(bytes, len)| (bytes, 0..len));
        let mut remote = Self { socket, token, state, address, header, shut: false };
        if state == State::Ready {
            remote.send_header();
        }
        Ok(remote)
    }

    const fn socket(fd: OwnedFd, token: u64, state: State) -> Socket {
        match state {
            State::Connecting => Socket::connecting(fd, token),
            State::Ready => Socket::new(fd, token),
        }
    }

    /// Takes note of an event; tries the next address if this one failed.
    ///
    /// # Errors
    /// No address is left.
    pub fn event(&mut self, flags: EventFlags, target: &Target) -> Result<(), Outcome> {
        self.socket.event(flags);
        if self.state == State::Connecting && (self.socket.writable() || self.socket.readable()) {
            match sockopt::socket_error(self.socket.fd()) {
                Ok(Ok(())) => {
                    self.state = State::Ready;
                    // Reading is worth a try: an event that came with the connection's end is not repeated.
                    self.socket.event(EventFlags::IN);
                    self.send_header();
                }
                Ok(Err(error)) | Err(error) => {
                    let next = try_from(target, self.address + 1);
                    let (fd, state, address) = next.map_err(|_| Outcome::BackendRefused(error))?;
                    self.socket = Self::socket(fd, self.token, state);
                    (self.state, self.address) = (state, address);
                }
            }
        }
        Ok(())
    }

    /// Makes sure that events come.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&mut self, epoll: &OwnedFd) -> Result<(), Errno> {
        self.socket.watch(epoll)
    }

    /// Connected.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Sends bytes, the PROXY header before the first of them.
    pub fn send(&mut self, bytes: &[u8]) -> Moved {
        if self.state == State::Connecting || !self.send_header() {
            return Moved::Blocked;
        }
        self.socket.send(bytes)
    }

    /// Sends what is left of the PROXY header. `true` when all is sent.
    fn send_header(&mut self) -> bool {
        while let Some((bytes, unsent)) = &mut self.header {
            match self.socket.send(&bytes[unsent.clone()]) {
                Moved::Bytes(count) => unsent.start += count,
                // An error shows again at the next use.
                _ => return false,
            }
            if unsent.start == unsent.end {
                self.header = None;
            }
        }
        true
    }

    /// Whether receiving is worth a try.
    pub fn readable(&self) -> bool {
        self.state == State::Ready && self.socket.readable()
    }

    /// Receives into several buffers, of `capacity` bytes together.
    pub fn receive(&mut self, buffers: &mut [IoSliceMut<'_>], capacity: usize) -> Moved {
        self.socket.receive_vectored(buffers, capacity)
    }

    /// Passes on that the client will send nothing more. `true` if that was news.
    pub fn shut_down(&mut self) -> bool {
        if self.state == State::Connecting || self.shut || self.header.is_some() {
            return false;
        }
        self.socket.shut_down();
        self.shut = true;
        true
    }

    /// The client's end was passed on.
    pub const fn is_shut(&self) -> bool {
        self.shut
    }

    /// The coming close must not look like an orderly end.
    pub fn abort(&self) {
        self.socket.abort_on_close();
    }
}

/// Begins to connect to the first address from number `first` on that can be tried.
fn try_from(target: &Target, first: usize) -> Result<(OwnedFd, State, usize), Outcome> {
    let mut last = Errno::ADDRNOTAVAIL;
    match target {
        Target::Tcp(addresses, _) => {
            for (index, address) in addresses.iter().enumerate().skip(first) {
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                match begin(family, |fd| {
                    sockopt::set_tcp_nodelay(fd, true)?;
                    connect(fd, address)
                }) {
                    Ok((fd, state)) => return Ok((fd, state, index)),
                    Err(error) => last = error,
                }
            }
        }
        Target::Unix(address, _) if first == 0 => match begin(AddressFamily::UNIX, |fd| connect(fd, address))
        {
            Ok((fd, state)) => return Ok((fd, state, 0)),
            Err(error) => last = error,
        },
        Target::Unix(..) | Target::Demo | Target::Static(_) => {}
    }
    Err(Outcome::BackendRefused(last))
}

fn begin(
    family: AddressFamily,
    connect: impl Fn(&OwnedFd) -> Result<(), Errno>,
) -> Result<(OwnedFd, State), Errno> {
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    match connect(&fd) {
        Ok(()) => Ok((fd, State::Ready)),
        Err(Errno::INPROGRESS) => Ok((fd, State::Connecting)),
        Err(error) => Err(error),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A backend reached by a socket.

use super::clock::monotonic;
use super::listener;
use super::outcome::Outcome;
use super::proxy_protocol::MAX_WRITTEN;
use super::socket::{Moved, Socket};
use crate::hosts::Tried;
use crate::settings::Target;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// A connection to a backend.
pub struct Remote {
    socket: Socket,
    options: Options,
    token: u64,
    state: State,
    /// Addresses that have been tried, and the one that is being tried.
    tried: Tried,
    address: Option<SocketAddr>,
    /// PROXY header that goes first, and how much of it is sent.
    header: Option<(Box<[u8; MAX_WRITTEN]>, std::ops::Range<usize>)>,
    shut: bool,
    /// Why sending failed, unless the backend had ended its stream before.
    reset: Option<Errno>,
}

/// What sockets have set.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Idle time before probes; zero for none.
    pub keepalive: Duration,
    /// Milliseconds for which sent bytes may go unacknowledged: then a backend that has vanished is noticed no later than one
    /// that is silent. Zero for as long as the kernel likes.
    pub unacknowledged: u64,
    /// Descriptors have to be below this one.
    pub descriptors: RawFd,
}

impl Options {
    fn apply(self, fd: &OwnedFd) -> Result<(), Errno> {
        sockopt::set_tcp_nodelay(fd, true)?;
        listener::keep_alive(fd, self.keepalive)?;
        match u32::try_from(self.unacknowledged) {
            Ok(milliseconds @ 1..) => sockopt::set_tcp_user_timeout(fd, milliseconds),
            _ => Ok(()),
        }
    }
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
        options: Options,
        token: u64,
        header: Option<(Box<[u8; MAX_WRITTEN]>, usize)>,
    ) -> Result<Self, Outcome> {
        let mut tried = Tried::default();
        let (fd, state, address) = try_next(target, options, &mut tried, true)?;
        let socket = Self::socket(fd, token, state);
        let header = header.map(|(bytes, len)| (bytes, 0..len));
        let mut remote =
            Self { socket, options, token, state, tried, address, header, shut: false, reset: None };
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
                    if let (Target::Tcp(host), Some(address)) = (target, self.address) {
                        host.failed(address, monotonic());
                    }
                    let next = try_next(target, self.options, &mut self.tried, false);
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
        let moved = self.socket.send(bytes);
        if let Moved::Lost(error) = moved
            && error != Errno::PIPE
        {
            // The kernel tells it once; after that, a stream that was cut looks like one that ended.
            self.reset = Some(error);
        }
        moved
    }

    /// Sends what is left of the PROXY header. `true` when all is sent.
    fn send_header(&mut self) -> bool {
        while let Some((bytes, unsent)) = &mut self.header {
            match self.socket.send(bytes.get(unsent.clone()).unwrap_or_default()) {
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
        match (self.socket.receive_vectored(buffers, capacity), self.reset) {
            (Moved::End, Some(error)) => Moved::Lost(error),
            // A reset after the backend's FIN, and everything before that is read.
            (Moved::Lost(Errno::PIPE), None) => Moved::End,
            (moved, _) => moved,
        }
    }

    /// Drops what was received: [`Moved::Bytes`] if there was something.
    pub fn discard(&mut self) -> Moved {
        if self.state == State::Connecting { Moved::Blocked } else { self.socket.discard() }
    }

    /// Whether the backend's kernel has all that was sent of the client's bytes: none before the header.
    pub fn is_delivered(&self) -> bool {
        self.state == State::Connecting || self.header.is_some() || self.socket.is_delivered()
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

/// Begins to connect to the next address that can be tried.
fn try_next(
    target: &Target,
    options: Options,
    tried: &mut Tried,
    first: bool,
) -> Result<(OwnedFd, State, Option<SocketAddr>), Outcome> {
    let mut last = Errno::ADDRNOTAVAIL;
    match target {
        Target::Tcp(host) => {
            if host.is_unknown() {
                return Err(Outcome::BackendUnknown);
            }
            let clock = monotonic();
            while let Some(address) = host.next(tried, clock) {
                let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
                match begin(family, options.descriptors, |fd| {
                    options.apply(fd)?;
                    connect(fd, &address)
                }) {
                    Ok((fd, state)) => return Ok((fd, state, Some(address))),
                    Err(error) => last = error,
                }
            }
        }
        Target::Unix(address, _) if first => {
            match begin(AddressFamily::UNIX, options.descriptors, |fd| connect(fd, address)) {
                Ok((fd, state)) => return Ok((fd, state, None)),
                Err(error) => last = error,
            }
        }
        Target::Unix(..) | Target::Demo | Target::Static(_) => {}
    }
    Err(Outcome::BackendRefused(last))
}

fn begin(
    family: AddressFamily,
    descriptors: RawFd,
    connect: impl Fn(&OwnedFd) -> Result<(), Errno>,
) -> Result<(OwnedFd, State), Errno> {
    let fd = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)?;
    if fd.as_raw_fd() >= descriptors {
        return Err(Errno::MFILE);
    }
    match connect(&fd) {
        Ok(()) => Ok((fd, State::Ready)),
        Err(Errno::INPROGRESS) => Ok((fd, State::Connecting)),
        Err(error) => Err(error),
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A backend reached by a socket.

use super::clock::monotonic;
use super::listener;
use super::outcome::Outcome;
use super::proxy_protocol::MAX_WRITTEN;
use super::socket::{Moved, Socket};
use crate::hosts::Tried;
use crate::settings::routes::Target;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getpeername, socket_with, sockopt};
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// Milliseconds that an address has for its answer before the next is tried beside it (RFC 8305 §5, Connection Attempt Delay).
const ATTEMPT_DELAY: u64 = 250;
/// Milliseconds until a Unix socket whose backlog is full is tried again.
const BACKLOG_DELAY: u64 = 50;

/// A connection to a backend.
pub struct Remote {
    /// The connection; until there is one, the first attempt.
    attempt: Attempt,
    /// A second attempt, since the first is silent.
    rival: Option<Attempt>,
    /// When it began, on the clock that never jumps, until that was asked for.
    begun: Option<u64>,
    /// When there is to be another attempt, on the clock that never jumps; `u64::MAX` for none.
    again_at: u64,
    options: Options,
    token: u64,
    state: State,
    /// Addresses that have been tried.
    tried: Tried,
    /// PROXY header that goes first, and how much of it is sent.
    header: Option<(Box<[u8; MAX_WRITTEN]>, std::ops::Range<usize>)>,
    shut: bool,
    /// Why sending failed, unless the backend had ended its stream before.
    reset: Option<Errno>,
}

/// A socket, and the address that it is to reach; none of a Unix socket.
struct Attempt {
    socket: Socket,
    address: Option<SocketAddr>,
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
    /// A Unix socket's backlog is full: there is no event to wait for.
    Queueing,
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
        let (attempt, state) = try_next(target, options, token, &mut tried)?;
        let header = header.map(|(bytes, len)| (bytes, 0..len));
        let mut remote = Self {
            attempt,
            rival: None,
            begun: Some(monotonic()),
            again_at: again_at(state),
            options,
            token,
            state,
            tried,
            header,
            shut: false,
            reset: None,
        };
        if state == State::Ready {
            remote.send_header();
        }
        Ok(remote)
    }

    /// When it began, on the clock that never jumps; told once, when it is connected.
    pub const fn has_connected(&mut self) -> Option<u64> {
        if matches!(self.state, State::Ready) { self.begun.take() } else { None }
    }

    /// When [`Remote::again`] is due, on the clock that never jumps.
    pub const fn again_at(&self) -> u64 {
        self.again_at
    }

    /// Tries another address beside one that is silent, or the same Unix socket again.
    ///
    /// # Errors
    /// There is nobody to wait for.
    pub fn again(&mut self, target: &Target) -> Result<(), Outcome> {
        self.again_at = u64::MAX;
        match self.state {
            State::Ready => {}
            State::Queueing => {
                let (attempt, state) = try_next(target, self.options, self.token, &mut Tried::default())?;
                (self.attempt, self.state, self.again_at) = (attempt, state, again_at(state));
                if state == State::Ready {
                    self.send_header();
                }
            }
            State::Connecting => match try_next(target, self.options, self.token, &mut self.tried) {
                Ok((attempt, State::Ready)) => self.succeed(attempt, EventFlags::empty(), target),
                Ok((attempt, _)) => self.rival = Some(attempt),
                // The first may still answer.
                Err(_) => {}
            },
        }
        Ok(())
    }

    /// Takes note of an event; tries the next address if one failed.
    ///
    /// # Errors
    /// No address is left.
    pub fn event(&mut self, flags: EventFlags, target: &Target) -> Result<(), Outcome> {
        if self.state != State::Connecting {
            self.attempt.socket.event(flags);
            return Ok(());
        }
        // Events do not tell the attempts apart.
        if let Some(rival) = self.rival.take() {
            match rival.progress() {
                Progress::Connected => self.succeed(rival, flags, target),
                Progress::Failed(_) => note_failure(&rival, target),
                Progress::Waits => self.rival = Some(rival),
            }
        }
        if self.state == State::Connecting {
            match self.attempt.progress() {
                Progress::Waits => {}
                Progress::Connected => {
                    self.rival = None;
                    self.begin(flags);
                }
                Progress::Failed(error) => {
                    note_failure(&self.attempt, target);
                    self.replace(target, error)?;
                }
            }
        }
        Ok(())
    }

    /// The first attempt failed: the second takes its place, or the next address.
    fn replace(&mut self, target: &Target, error: Errno) -> Result<(), Outcome> {
        if let Some(rival) = self.rival.take() {
            self.attempt = rival;
            self.again_at = again_at(State::Connecting);
            return Ok(());
        }
        let next = try_next(target, self.options, self.token, &mut self.tried);
        let (attempt, state) = next.map_err(|_| Outcome::BackendRefused(error))?;
        (self.attempt, self.state, self.again_at) = (attempt, state, again_at(state));
        if state == State::Ready {
            self.begin(EventFlags::empty());
        }
        Ok(())
    }

    /// The second attempt is the connection; the first was silent for too long.
    fn succeed(&mut self, rival: Attempt, flags: EventFlags, target: &Target) {
        note_failure(&self.attempt, target);
        self.attempt = rival;
        self.begin(flags);
    }

    /// Goes on with a connection that an event told of, if any.
    fn begin(&mut self, flags: EventFlags) {
        self.state = State::Ready;
        self.again_at = u64::MAX;
        // The event is not repeated: reading is worth a try, and if it told of the backend's end, up to that.
        self.attempt.socket.event(flags | EventFlags::IN | EventFlags::OUT);
        self.send_header();
    }

    /// Makes sure that events come.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn watch(&mut self, epoll: &OwnedFd) -> Result<(), Errno> {
        if self.state == State::Queueing {
            return Ok(());
        }
        if let Some(rival) = &mut self.rival {
            rival.socket.watch(epoll)?;
        }
        self.attempt.socket.watch(epoll)
    }

    /// Connected.
    pub fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    /// Sends bytes, the PROXY header before the first of them.
    pub fn send(&mut self, bytes: &[u8]) -> Moved {
        if self.state != State::Ready || !self.send_header() {
            return Moved::Blocked;
        }
        let moved = self.attempt.socket.send(bytes);
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
            match self.attempt.socket.send(bytes.get(unsent.clone()).unwrap_or_default()) {
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
        self.state == State::Ready && self.attempt.socket.readable()
    }

    /// Receives into several buffers, of `capacity` bytes together.
    pub fn receive(&mut self, buffers: &mut [IoSliceMut<'_>], capacity: usize) -> Moved {
        match (self.attempt.socket.receive_vectored(buffers, capacity), self.reset) {
            (Moved::End, Some(error)) => Moved::Lost(error),
            // A reset after the backend's FIN, and everything before that is read.
            (Moved::Lost(Errno::PIPE), None) => Moved::End,
            (moved, _) => moved,
        }
    }

    /// Drops what was received: [`Moved::Bytes`] if there was something.
    pub fn discard(&mut self) -> Moved {
        if self.state != State::Ready { Moved::Blocked } else { self.attempt.socket.discard() }
    }

    /// Whether the backend's kernel has all that was sent of the client's bytes: none before the header.
    pub fn is_delivered(&self) -> bool {
        self.state != State::Ready || self.header.is_some() || self.attempt.socket.is_delivered()
    }

    /// Passes on that the client will send nothing more. `true` if that was news.
    pub fn shut_down(&mut self) -> bool {
        if self.state != State::Ready || self.shut || self.header.is_some() {
            return false;
        }
        self.attempt.socket.shut_down();
        self.shut = true;
        true
    }

    /// The client's end was passed on.
    pub const fn is_shut(&self) -> bool {
        self.shut
    }

    /// The coming close must not look like an orderly end.
    pub fn abort(&self) {
        self.attempt.socket.abort_on_close();
    }
}

/// How far an attempt has come.
enum Progress {
    Waits,
    Connected,
    Failed(Errno),
}

impl Attempt {
    fn progress(&self) -> Progress {
        match sockopt::socket_error(self.socket.fd()) {
            Ok(Err(error)) | Err(error) => Progress::Failed(error),
            // A connection under way has no error either, but no peer yet.
            Ok(Ok(())) => match getpeername(self.socket.fd()) {
                Err(Errno::NOTCONN) => Progress::Waits,
                _ => Progress::Connected,
            },
        }
    }
}

fn note_failure(attempt: &Attempt, target: &Target) {
    if let (Target::Tcp(host), Some(address)) = (target, attempt.address) {
        host.failed(address, monotonic());
    }
}

/// When to try again what is in this state.
fn again_at(state: State) -> u64 {
    match state {
        State::Ready => u64::MAX,
        State::Connecting => monotonic() + ATTEMPT_DELAY,
        State::Queueing => monotonic() + BACKLOG_DELAY,
    }
}

/// Begins to connect to the next address that can be tried.
fn try_next(
    target: &Target,
    options: Options,
    token: u64,
    tried: &mut Tried,
) -> Result<(Attempt, State), Outcome> {
    let mut last = Errno::ADDRNOTAVAIL;
    let attempt = |fd, state, address| {
        let socket = match state {
            State::Ready => Socket::new(fd, token),
            State::Connecting | State::Queueing => Socket::connecting(fd, token),
        };
        Ok((Attempt { socket, address }, state))
    };
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
                    Ok((fd, state)) => return attempt(fd, state, Some(address)),
                    Err(error) => {
                        if !matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) {
                            host.failed(address, clock);
                        }
                        last = error;
                    }
                }
            }
        }
        Target::Unix(address, _) if tried.is_first() => {
            match begin(AddressFamily::UNIX, options.descriptors, |fd| connect(fd, address)) {
                Ok((fd, state)) => return attempt(fd, state, None),
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
        // Only of a Unix socket (connect(2)).
        Err(Errno::AGAIN) if family == AddressFamily::UNIX => Ok((fd, State::Queueing)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::Hosts;
    use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
    use std::io::Write;
    use std::net::{Shutdown, TcpListener};

    const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

    #[test]
    fn an_end_that_one_event_tells_with_the_connection_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(Hosts::default().get(&listener.local_addr().unwrap().to_string()));
        let options = Options { keepalive: Duration::ZERO, unacknowledged: 0, descriptors: RawFd::MAX };
        let mut remote = Remote::connect(&target, options, 1, None).unwrap_or_else(|_| panic!("connect"));
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        remote.watch(&epoll).unwrap();
        let (mut backend, _) = listener.accept().unwrap();
        backend.write_all(b"all").unwrap();
        backend.shutdown(Shutdown::Write).unwrap();
        let mut end = [PollFd::new(remote.attempt.socket.fd(), PollFlags::RDHUP)];
        assert_eq!(poll(&mut end, Some(&PATIENCE)).unwrap(), 1);

        let mut events = Vec::with_capacity(4);
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), Some(&PATIENCE)).unwrap();
        assert_eq!(events.len(), 1);
        for event in &events {
            let flags = event.flags;
            assert!(remote.event(flags, &target).is_ok());
        }
        let mut buffer = [0; 8];
        assert_eq!(remote.receive(&mut [IoSliceMut::new(&mut buffer)], 8), Moved::Bytes(3));
        assert!(remote.readable(), "nothing else will tell");
        assert_eq!(remote.receive(&mut [IoSliceMut::new(&mut buffer)], 8), Moved::End);
    }
}

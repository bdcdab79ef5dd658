// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection of the load: its socket, its TLS and what it is waiting for.

use super::client::{Agreement, Client, Event, Fault, Offer, Session};
use super::options::Mode;
use super::response::{Refused, Response};
use crate::socket::{Leaving, connect};
use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use ttls_crypto::job::SharedSecret;

/// What is the same for all connections of a run.
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    pub(super) mode: Mode,
    /// `None`: plain TCP.
    pub(super) offer: Option<Offer>,
    /// The request, as it is sent.
    pub(super) request: Vec<u8>,
    /// Whether connections shall bring home a session to resume.
    pub(super) want_ticket: bool,
}

/// Why a connection ended without having done its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Tls(Fault),
    Http(Refused),
    System(Errno),
    /// The server closed before the work was done.
    Closed,
    TimedOut,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tls(Fault::Alert(40)) => {
                f.write_str("alert 40, handshake_failure: nothing it can do was offered")
            }
            Self::Tls(Fault::Alert(description)) => write!(f, "alert {description}"),
            Self::Tls(Fault::Unsupported(what) | Fault::Wrong(what)) => f.write_str(what),
            Self::Http(Refused::Malformed) => f.write_str("the response is not HTTP"),
            Self::Http(Refused::Status(status)) => write!(f, "HTTP status {}", status.escape_ascii()),
            Self::Http(Refused::Excess) => f.write_str("the response is longer than announced"),
            Self::System(error) => write!(f, "{error}"),
            Self::Closed => f.write_str("closed by the server before its time"),
            Self::TimedOut => f.write_str("timed out"),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Tls(fault)
    }
}

impl From<Errno> for Failure {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

/// What a connection tells the loop.
pub(super) enum News {
    /// An agreement is due; then call [`Connection::agreed`].
    Agree(Agreement),
    /// The handshake is done, after this time.
    Established { after: Duration, resumed: bool, verified: bool },
    /// A response is complete, after this time.
    Response { after: Duration, bytes: u64 },
    /// The connection has done its work and is to be dropped.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Handshake,
    Agreeing,
    Response,
    /// The handshake is done; held open.
    Holding,
    /// Waiting for the server's end.
    Closing,
}

/// A slot for connections, one after the other; its buffers stay.
pub(super) struct Connection {
    pub(super) socket: Option<OwnedFd>,
    phase: Phase,
    client: Client,
    /// When the connection was due, or the request on it.
    since: Instant,
    pub(super) deadline: Instant,
    /// Received and not used up: the beginning of a record.
    rest: Vec<u8>,
    out: Vec<u8>,
    response: Response,
    body: u64,
    /// The server has closed its side and all it sent was read.
    ended: bool,
}

impl Connection {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            socket: None,
            phase: Phase::Idle,
            client: Client::new(),
            since: now,
            deadline: now,
            rest: Vec::new(),
            out: Vec::new(),
            response: Response::default(),
            body: 0,
            ended: false,
        }
    }

    /// Opens the connection that was due at `due`, and sends what the client sends first.
    pub(super) fn open(
        &mut self,
        plan: &Plan,
        fresh: &[u8; 64],
        verify: bool,
        due: Instant,
        now: Instant,
    ) -> Result<(), Failure> {
        self.open_from(plan, None, fresh, verify, due, now)
    }

    /// The same from the address `source`.
    pub(super) fn open_from(
        &mut self,
        plan: &Plan,
        source: Option<Ipv4Addr>,
        fresh: &[u8; 64],
        verify: bool,
        due: Instant,
        now: Instant,
    ) -> Result<(), Failure> {
        // Closing resets: when the server has ended first, as it always has but in an attack, nothing is
        // lost, and neither side keeps the port in TIME_WAIT.
        self.socket = Some(connect(&plan.address, source, Leaving::Reset)?);
        self.since = due;
        self.rest.clear();
        self.out.clear();
        self.response.reset();
        self.body = 0;
        self.ended = false;
        if let Some(offer) = &plan.offer {
            self.phase = Phase::Handshake;
            self.client.start(offer, fresh, verify, plan.want_ticket, now, &mut self.out)?;
        } else if plan.mode == Mode::Idle {
            self.phase = Phase::Holding;
        } else {
            self.request(plan);
        }
        self.flush()
    }

    /// Drops the connection; returns the session it brought home.
    pub(super) fn close(&mut self) -> Option<Session> {
        self.socket = None;
        self.phase = Phase::Idle;
        self.client.session.take()
    }

    pub(super) const fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Sends the plan's request on a connection that is only held; then call [`Connection::flush`].
    pub(super) fn ask(&mut self, plan: &Plan) {
        self.since = Instant::now();
        self.request(plan);
    }

    /// On a connection that is only held: sends a KeyUpdate that asks for one in return, and `data` under the new key.
    pub(super) fn update_key_and_send(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.client.update_key(&mut self.out)?;
        self.client.send(data, &mut self.out);
        self.flush()
    }

    /// Receives once into `scratch` and forgets it.
    pub(super) fn discard(&mut self, scratch: &mut [u8]) -> Result<(), Failure> {
        let Some(socket) = &self.socket else { return Ok(()) };
        match net::recv(socket, scratch, RecvFlags::empty()) {
            Ok((0, _)) => Err(Failure::Closed),
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the handshake is done and the connection only held.
    pub(super) fn is_holding(&self) -> bool {
        self.phase == Phase::Holding
    }

    /// Whether the handshake is not yet done.
    pub(super) fn is_in_handshake(&self) -> bool {
        matches!(self.phase, Phase::Handshake | Phase::Agreeing)
    }

    /// How long ago the connection was due, or the request on it.
    pub(super) fn waiting_since(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Whether bytes wait for the socket to take them.
    pub(super) const fn wants_to_send(&self) -> bool {
        !self.out.is_empty()
    }

    /// Sends what can be sent now. A connection that is not yet made takes nothing.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let Some(socket) = &self.socket else { return Ok(()) };
        while !self.out.is_empty() {
            match net::send(socket, &self.out, SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.out.drain(..sent)),
                Err(Errno::AGAIN | Errno::NOTCONN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Receives once into `scratch` and takes it in. `ending`: the server has closed its side.
    pub(super) fn receive(
        &mut self,
        plan: &Plan,
        scratch: &mut [u8],
        ending: bool,
        news: &mut Vec<News>,
    ) -> Result<(), Failure> {
        let Some(socket) = &self.socket else { return Ok(()) };
        // A record's beginning that came earlier goes in front of what comes now.
        let kept = self.rest.len();
        scratch[..kept].copy_from_slice(&self.rest);
        let received = match net::recv(socket, &mut scratch[kept..], RecvFlags::empty()) {
            Ok((received, _)) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.rest.clear();
        self.ended = received == 0 || (ending && kept + received < scratch.len());
        self.take_in(plan, &mut scratch[..kept + received], news)
    }

    /// Goes on after [`News::Agree`].
    pub(super) fn agreed(
        &mut self,
        plan: &Plan,
        shared: &SharedSecret,
        scratch: &mut [u8],
        news: &mut Vec<News>,
    ) -> Result<(), Failure> {
        let Some(offer) = &plan.offer else { return Ok(()) };
        self.phase = Phase::Handshake;
        self.client.agreed(offer, shared, &mut self.out)?;
        let kept = self.rest.len();
        scratch[..kept].copy_from_slice(&self.rest);
        self.rest.clear();
        self.take_in(plan, &mut scratch[..kept], news)
    }

    /// Works off `input`, keeps what is left of it, and sends what that gave.
    fn take_in(&mut self, plan: &Plan, input: &mut [u8], news: &mut Vec<News>) -> Result<(), Failure> {
        let used = match &plan.offer {
            Some(_) if plan.mode == Mode::Attack => {
                if let Some(21) = input.first() {
                    return Err(Fault::Alert(input.get(6).copied().unwrap_or(0)).into());
                }
                if !input.is_empty() {
                    news.push(News::Response { after: self.since.elapsed(), bytes: input.len() as u64 });
                    news.push(News::Done);
                    return Ok(());
                }
                0
            }
            Some(offer) => self.take_in_records(plan, offer, input, news)?,
            None => {
                self.data(plan, input, news)?;
                input.len()
            }
        };
        self.rest.extend_from_slice(&input[used..]);
        self.flush()?;
        if self.ended && self.phase != Phase::Agreeing {
            self.end(plan, news)?;
        }
        Ok(())
    }

    fn take_in_records(
        &mut self,
        plan: &Plan,
        offer: &Offer,
        input: &mut [u8],
        news: &mut Vec<News>,
    ) -> Result<usize, Failure> {
        let mut used = 0;
        loop {
            let (taken, event) = self.client.receive(offer, &mut input[used..], &mut self.out)?;
            let start = used;
            used += taken;
            match event {
                Event::Nothing => return Ok(used),
                Event::Agree(agreement) => {
                    self.phase = Phase::Agreeing;
                    news.push(News::Agree(agreement));
                    return Ok(used);
                }
                Event::Established { resumed, verified } => {
                    news.push(News::Established { after: self.since.elapsed(), resumed, verified });
                    self.established(plan);
                }
                Event::Data(at) => self.data(plan, &input[start + at.start..start + at.end], news)?,
                Event::CloseNotify if self.phase == Phase::Response => {
                    // Some servers wait for the answer before they close the connection.
                    self.client.close(&mut self.out);
                    self.response_ends(plan, news)?;
                }
                Event::CloseNotify => {}
            }
        }
    }

    fn established(&mut self, plan: &Plan) {
        match plan.mode {
            Mode::Idle => self.phase = Phase::Holding,
            Mode::Handshake | Mode::Attack => {
                self.client.close(&mut self.out);
                self.phase = Phase::Closing;
            }
            Mode::Request | Mode::KeepAlive => {
                self.request(plan);
                // The handshake's latency is told; from here on it is the request's.
                if plan.mode == Mode::KeepAlive {
                    self.since = Instant::now();
                }
            }
        }
    }

    fn request(&mut self, plan: &Plan) {
        self.phase = Phase::Response;
        self.response.reset();
        self.body = 0;
        if plan.offer.is_some() {
            self.client.send(&plan.request, &mut self.out);
        } else {
            self.out.extend_from_slice(&plan.request);
        }
    }

    /// Takes in decrypted bytes.
    fn data(&mut self, plan: &Plan, bytes: &[u8], news: &mut Vec<News>) -> Result<(), Failure> {
        if self.phase != Phase::Response {
            return Ok(());
        }
        self.body += bytes.len() as u64;
        if self.response.receive(bytes).map_err(Failure::Http)? {
            self.responded(plan, news);
        }
        Ok(())
    }

    fn responded(&mut self, plan: &Plan, news: &mut Vec<News>) {
        news.push(News::Response { after: self.since.elapsed(), bytes: self.body });
        if plan.mode == Mode::KeepAlive {
            self.since = Instant::now();
            self.request(plan);
        } else if plan.mode == Mode::Idle {
            self.phase = Phase::Holding;
        } else {
            self.phase = Phase::Closing;
        }
    }

    /// The server has ended.
    fn end(&mut self, plan: &Plan, news: &mut Vec<News>) -> Result<(), Failure> {
        if self.phase == Phase::Response {
            self.response_ends(plan, news)?;
        }
        if self.phase != Phase::Closing {
            return Err(Failure::Closed);
        }
        news.push(News::Done);
        Ok(())
    }

    fn response_ends(&mut self, plan: &Plan, news: &mut Vec<News>) -> Result<(), Failure> {
        if !self.response.ends_with_connection() {
            return Err(Failure::Closed);
        }
        self.responded(plan, news);
        self.phase = Phase::Closing;
        Ok(())
    }
}

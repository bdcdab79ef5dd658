// SPDX-License-Identifier: MIT OR Apache-2.0
//! The server's handshake: one struct per state, each consumed by what it waits for.
//!
//! ```text
//! TLS 1.3                                      TLS 1.2
//! ExpectClientHello ─(HelloRetryRequest)─┐     ExpectClientHello ──(ticket)──────────┐
//!   │◄───────────────────────────────────┘       ▼ Job: generate                     │
//!   ▼ Job: key exchange                        AwaitGeneration                       │
//! AwaitKeyExchange ──────────(PSK)─┐             ▼ Job: sign                         │
//!   ▼ Job: sign                    │           AwaitSignature                        │
//! AwaitSignature                   │             ▼ ServerHello…ServerHelloDone       │
//!   ▼ ServerHello…Finished ◄───────┘           [ExpectCertificate]                   │
//! [ExpectCertificate                           ExpectClientKeyExchange               │
//!  ExpectCertificateVerify]                      ▼ Job: agree                        │
//! ExpectFinished                               AwaitAgreement                        │
//!   ▼ tickets                                  [ExpectCertificateVerify]             ▼
//! established                                  ExpectChangeCipherSpec ◄──────────────┘
//!                                              ExpectFinished ─► established
//! ```

mod client_auth;
mod context;
mod flight_size;
mod job;
mod negotiation;
mod server_hello;
mod session;
mod tls12;
mod tls13;

pub use flight_size::flight_size;
pub use job::Job;
pub use session::Session;

use crate::alert::{self, Alert};
use crate::buffer::Inbound;
use crate::config::Environment;
use crate::error::Error;
use crate::record::{Draft, Opener, Outbound, Received};
use crate::suite::Version;
use crate::traffic::Traffic;
use crate::wire::Message;
use context::{Awaits, Context, Link};
use negotiation::Offer;
use ttls_crypto::job::{Failed, Output};

/// Warnings that a TLS 1.2 client may send before it is taken for flooding.
const MAX_WARNINGS: u8 = 4;

/// What the shell does next.
#[allow(clippy::large_enum_variant)] // nothing here may allocate
pub enum Step {
    /// Send what is in the send buffer, if anything, and wait for more bytes.
    Receive,
    /// The record being received needs a receive storage of at least `needed` bytes: move the pending bytes
    /// there with [`Inbound::move_to`], and go on receiving.
    Enlarge {
        /// Bytes.
        needed: usize,
    },
    /// Compute this and hand the result to [`Handshake::resume`], with the same send buffer. Send nothing meanwhile.
    Work(Job),
    /// The handshake is complete: [`Handshake::take_established`] gives what it leaves. The send buffer may hold the
    /// last flight or tickets; the receive buffer may already hold application data.
    Established,
    /// The connection failed. The send buffer ends with the alert, if one is due: send it, and close.
    Failed(Error),
}

/// What a completed handshake leaves.
pub struct Established {
    /// The record layer from here on.
    pub traffic: Traffic,
    /// What was negotiated.
    pub session: Session,
}

/// One server-side handshake.
pub struct Handshake {
    link: Link,
    state: State,
    warnings: u8,
}

#[allow(clippy::large_enum_variant)] // lives in a connection's slot
enum State {
    /// Waits for the first ClientHello, which chooses the version.
    ClientHello,
    Tls12(tls12::State),
    Tls13(tls13::State),
    /// Taken, or failed: nothing more is expected here.
    Over,
}

/// Why a handshake does not go on by itself.
enum Pause {
    /// More bytes are needed.
    Receive,
    /// More bytes are needed, and this much storage for them.
    Enlarge { needed: usize },
    /// The state waits for a job.
    Job,
    /// It is complete.
    Established,
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// A handshake that waits for a ClientHello.
    pub const fn new() -> Self {
        Self { link: Link::new(), state: State::ClientHello, warnings: 0 }
    }

    /// Goes on with what `inbound` holds. Does nothing while a job is under way.
    pub fn receive(
        &mut self,
        env: &mut Environment<'_>,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
    ) -> Step {
        let mut job = None;
        let pause = self.advance(env, inbound, out, &mut job);
        self.step(pause, job, out)
    }

    /// Goes on with the result of a job.
    pub fn resume(
        &mut self,
        env: &mut Environment<'_>,
        done: &Result<Output, Failed>,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
    ) -> Step {
        let mut job = None;
        let pause = match self.finish_job(env, done, out, &mut job) {
            Ok(()) => self.advance(env, inbound, out, &mut job),
            Err(error) => Err(error),
        };
        self.step(pause, job, out)
    }

    /// What the shell does next. Only while a job is under way may messages lie unsealed behind what it sends.
    fn step(&mut self, pause: Result<Pause, Error>, job: Option<Job>, out: &mut Outbound<'_>) -> Step {
        match (pause, job) {
            (Ok(Pause::Job), Some(job)) => {
                self.link.draft = out.suspend();
                Step::Work(job)
            }
            // Without a new job, one is under way.
            (Ok(Pause::Job), None) => Step::Receive,
            (Ok(_), _) if out.is_drafting() => self.fail(Error::Internal("a flight was not sealed"), out),
            (Ok(Pause::Receive), _) => Step::Receive,
            (Ok(Pause::Enlarge { needed }), _) => Step::Enlarge { needed },
            (Ok(Pause::Established), _) => Step::Established,
            (Err(error), _) => self.fail(error, out),
        }
    }

    fn finish_job(
        &mut self,
        env: &mut Environment<'_>,
        done: &Result<Output, Failed>,
        out: &mut Outbound<'_>,
        job: &mut Option<Job>,
    ) -> Result<(), Error> {
        out.restore(core::mem::take(&mut self.link.draft))?;
        let output = done.as_ref().map_err(|failed| match failed {
            Failed::BadPeerShare => Error::Illegal("the client's key share is not valid in its group"),
            Failed::Unsupported => Error::Internal("the job does not fit its key"),
            Failed::Fault => Error::SigningFault,
        })?;
        let mut cx = Context { env, link: &mut self.link, out, job };
        let state = core::mem::replace(&mut self.state, State::Over);
        let next = match state {
            State::Tls12(state) => state.resume(&mut cx, output).map(State::Tls12),
            State::Tls13(state) => state.resume(&mut cx, output).map(State::Tls13),
            State::ClientHello | State::Over => Err(context::STRAY_RESULT),
        };
        self.enter(next)
    }

    /// Enters the next state.
    fn enter(&mut self, next: Result<State, Error>) -> Result<(), Error> {
        // Not by `?`, which would move the state once more.
        match next {
            Ok(state) => {
                self.state = state;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn advance(
        &mut self,
        env: &mut Environment<'_>,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
        job: &mut Option<Job>,
    ) -> Result<Pause, Error> {
        loop {
            let awaited = self.state.awaits();
            match awaited {
                Awaits::Nothing => return Ok(Pause::Established),
                Awaits::Job => return Ok(Pause::Job),
                Awaits::Message | Awaits::Proof => {}
            }
            if let Some(message) = Message::first(inbound.message(), env.policy.max_message)? {
                if matches!(awaited, Awaits::Proof)
                    && !env.clients.as_deref_mut().is_none_or(|c| c.is_ready())
                {
                    return Ok(Pause::Receive);
                }
                let total = message.raw.len();
                let mut cx = Context { env, link: &mut self.link, out, job };
                let state = core::mem::replace(&mut self.state, State::Over);
                let next = state.handle(&mut cx, message);
                self.enter(next)?;
                inbound.consume_message(total);
                continue;
            }
            match self.link.opener.next(inbound)? {
                Received::Incomplete { needed } if needed > inbound.capacity() => {
                    return Ok(Pause::Enlarge { needed });
                }
                Received::Incomplete { .. } => return Ok(Pause::Receive),
                Received::Handshake => {}
                Received::ChangeCipherSpec(content) => {
                    let state = core::mem::replace(&mut self.state, State::Over);
                    let State::Tls12(tls12::State::ChangeCipherSpec(state)) = state else {
                        return Err(Error::Unexpected("a handshake message, not change_cipher_spec"));
                    };
                    if inbound.bytes(content) != [1] {
                        return Err(Error::Malformed("change_cipher_spec"));
                    }
                    self.state = State::Tls12(state.handle(&mut self.link));
                }
                Received::Warning => {
                    self.warnings += 1;
                    if self.warnings > MAX_WARNINGS {
                        return Err(Error::Flood("warning alerts"));
                    }
                }
                Received::CloseNotify => return Err(Error::PeerAlert(Alert::CLOSE_NOTIFY)),
                Received::Data(_) | Received::Unknown => {
                    return Err(Error::Unexpected("a handshake message"));
                }
            }
        }
    }

    /// What the completed handshake leaves, once, after [`Step::Established`]; `None` at any other time.
    pub fn take_established(&mut self) -> Option<Established> {
        if !matches!(self.state.awaits(), Awaits::Nothing) {
            return None;
        }
        let (State::Tls12(tls12::State::Established(agreed))
        | State::Tls13(tls13::State::Established(agreed))) = core::mem::replace(&mut self.state, State::Over)
        else {
            return None;
        };
        let sealer = self.link.sealer.take()?;
        let opener = core::mem::replace(&mut self.link.opener, Opener::new());
        let context::Agreed { session, secrets } = agreed;
        let traffic = Traffic::new(session.suite, opener, sealer, self.link.limit, secrets);
        Some(Established { traffic, session })
    }

    /// Ends the handshake with the alert that `error` demands.
    fn fail(&mut self, error: Error, out: &mut Outbound<'_>) -> Step {
        match error.alert() {
            Some(alert) => self.abort(alert, out),
            None => self.state = State::Over,
        }
        Step::Failed(error)
    }

    /// Ends a handshake that took too long, or for which there is no room: `out` gets the alert to send.
    pub fn abort(&mut self, alert: Alert, out: &mut Outbound<'_>) {
        self.state = State::Over;
        self.link.draft = Draft::NONE;
        out.discard();
        // Without room for the alert the connection just closes.
        let _ = out.alert(alert::FATAL, alert, self.link.sealer.as_mut());
    }
}

impl State {
    const fn awaits(&self) -> Awaits {
        match self {
            Self::ClientHello | Self::Over => Awaits::Message,
            Self::Tls12(state) => state.awaits(),
            Self::Tls13(state) => state.awaits(),
        }
    }

    fn handle(self, cx: &mut Context<'_, '_, '_>, message: Message<'_>) -> Result<Self, Error> {
        match self {
            Self::ClientHello => {
                let offer = Offer::read(cx, message)?;
                match offer.version {
                    Version::Tls12 => tls12::start(cx, offer).map(Self::Tls12),
                    Version::Tls13 => tls13::start(cx, offer, None).map(Self::Tls13),
                }
            }
            Self::Tls12(state) => state.handle(cx, message).map(Self::Tls12),
            Self::Tls13(state) => state.handle(cx, message).map(Self::Tls13),
            Self::Over => Err(Error::Unexpected("no handshake message")),
        }
    }
}

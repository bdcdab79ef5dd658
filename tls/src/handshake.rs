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
mod flight_size;
mod hello;
mod session;
mod tls12;
mod tls13;

pub use flight_size::flight_size;
pub use session::Session;

use crate::alert::{self, Alert};
use crate::buffer::Inbound;
use crate::config::{CertificateId, Environment};
use crate::error::Error;
use crate::record::{Draft, MAX_PLAINTEXT, Opener, Outbound, Protection, Received};
use crate::traffic::{Secrets, Traffic};
use crate::wire::Message;
use crate::wire::codes::content_type;
use ttls_crypto::hash::Digest;
use ttls_crypto::job::{Failed, KeyExchange, Output, SignRequest};

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

/// Public-key work that a handshake waits for.
#[allow(clippy::large_enum_variant)] // a job has one fixed size; nothing here may allocate
pub enum Job {
    /// A key exchange.
    KeyExchange(KeyExchange),
    /// A signature with this certificate's key.
    Sign {
        /// Whose key.
        certificate: CertificateId,
        /// Over what.
        request: SignRequest,
    },
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

/// What all states share: the record layer of this connection.
struct Link {
    opener: Opener,
    sealer: Option<Protection>,
    /// Most plaintext in a record that is sent.
    limit: usize,
    client_random: [u8; 32],
    /// What lies in the send storage unsealed while a job is under way.
    draft: Draft,
}

#[allow(clippy::large_enum_variant)] // lives in a connection's slot
enum State {
    ClientHello(hello::ExpectClientHello),
    Tls13KeyExchange(tls13::AwaitKeyExchange),
    Tls13Signature(tls13::AwaitSignature),
    Tls13Certificate(tls13::ExpectCertificate),
    Tls13CertificateVerify(tls13::ExpectCertificateVerify),
    Tls13Finished(tls13::ExpectFinished),
    Tls12Generation(tls12::AwaitGeneration),
    Tls12Signature(tls12::AwaitSignature),
    Tls12Certificate(tls12::ExpectCertificate),
    Tls12ClientKeyExchange(tls12::ExpectClientKeyExchange),
    Tls12Agreement(tls12::AwaitAgreement),
    Tls12CertificateVerify(tls12::ExpectCertificateVerify),
    Tls12ChangeCipherSpec(tls12::ExpectChangeCipherSpec),
    Tls12Finished(tls12::ExpectFinished),
    /// Complete; what is left is yet to be taken.
    Established(Agreed),
    /// Taken, or failed: nothing more is expected here.
    Over,
}

/// What a completed handshake leaves besides the record layer, which stays in its [`Link`] until both are taken.
struct Agreed {
    session: Session,
    /// TLS 1.3 only.
    secrets: Option<Secrets>,
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

/// What every state works with.
struct Context<'x, 'e, 'o> {
    env: &'x mut Environment<'e>,
    link: &'x mut Link,
    out: &'x mut Outbound<'o>,
    /// What the state that is entered waits for. Kept out of the states' results, which are moved often.
    job: &'x mut Option<Job>,
}

impl Context<'_, '_, '_> {
    /// Begins a flight under the keys of the moment.
    fn begin_flight(&mut self) -> Result<(), Error> {
        self.out.begin(self.link.sealer.as_ref())
    }

    /// Seals the flight, under the keys it was begun with.
    fn end_flight(&mut self) -> Result<(), Error> {
        self.out.seal(content_type::HANDSHAKE, self.link.limit, self.link.sealer.as_mut())
    }

    /// Has the shell compute `job`; the state that is entered waits for it.
    fn ask(&mut self, job: Job) {
        *self.job = Some(job);
    }
}

impl Default for Handshake {
    fn default() -> Self {
        Self::new()
    }
}

impl Handshake {
    /// A handshake that waits for a ClientHello.
    pub const fn new() -> Self {
        Self {
            link: Link {
                opener: Opener::new(),
                sealer: None,
                limit: MAX_PLAINTEXT,
                client_random: [0; 32],
                draft: Draft::NONE,
            },
            state: State::ClientHello(hello::ExpectClientHello::new()),
            warnings: 0,
        }
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
        let next = match (state, output) {
            (State::Tls13KeyExchange(state), Output::Exchanged { share, shared }) => {
                state.resume(&mut cx, share, shared)
            }
            (State::Tls13Signature(state), Output::Signed(signature)) => state.resume(&mut cx, signature),
            (State::Tls12Generation(state), Output::Generated { share, private }) => {
                state.resume(&mut cx, share, private.clone())
            }
            (State::Tls12Signature(state), Output::Signed(signature)) => state.resume(&mut cx, signature),
            (State::Tls12Agreement(state), Output::Agreed(shared)) => state.resume(&mut cx, shared),
            _ => Err(Error::Internal("a job result that no state waits for")),
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
            match self.state {
                State::Established(_) => return Ok(Pause::Established),
                _ if self.waits_for_job() => return Ok(Pause::Job),
                _ => {}
            }
            if let Some(message) = Message::first(inbound.message(), env.policy.max_message)? {
                if self.waits_for_certificate() && !env.clients.as_deref_mut().is_none_or(|c| c.is_ready()) {
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
                Received::Record(content_type::HANDSHAKE, payload) => inbound.join(payload),
                Received::Record(_, _) if !inbound.message().is_empty() => {
                    return Err(Error::Unexpected("the rest of a handshake message"));
                }
                Received::Record(content_type::ALERT, payload) => self.alert(inbound.bytes(payload))?,
                Received::Record(content_type::CHANGE_CIPHER_SPEC, payload) => {
                    let state = core::mem::replace(&mut self.state, State::Over);
                    let State::Tls12ChangeCipherSpec(state) = state else {
                        return Err(Error::Unexpected("a handshake message, not change_cipher_spec"));
                    };
                    if inbound.bytes(payload) != [1] {
                        return Err(Error::Malformed("change_cipher_spec"));
                    }
                    self.state = state.handle(&mut self.link);
                }
                Received::Record(_, _) => return Err(Error::Unexpected("a handshake message")),
            }
        }
    }

    const fn waits_for_job(&self) -> bool {
        matches!(
            self.state,
            State::Tls13KeyExchange(_)
                | State::Tls13Signature(_)
                | State::Tls12Generation(_)
                | State::Tls12Signature(_)
                | State::Tls12Agreement(_)
        )
    }

    /// The next message may cost the verifier a signature.
    const fn waits_for_certificate(&self) -> bool {
        matches!(
            self.state,
            State::Tls13Certificate(_)
                | State::Tls13CertificateVerify(_)
                | State::Tls12Certificate(_)
                | State::Tls12CertificateVerify(_)
        )
    }

    /// An alert during the handshake: all are fatal but user_canceled and, before TLS 1.3, warnings (RFC 8446 §6).
    fn alert(&mut self, payload: &[u8]) -> Result<(), Error> {
        let &[level, code] = payload else { return Err(Error::Malformed("alert")) };
        let alert = Alert(code);
        let warning = level == alert::WARNING && !self.link.opener.is_tls13();
        let ignorable = alert == Alert::USER_CANCELED || warning;
        if alert == Alert::CLOSE_NOTIFY || !ignorable {
            return Err(Error::PeerAlert(alert));
        }
        self.warnings += 1;
        if self.warnings > MAX_WARNINGS { Err(Error::Flood("warning alerts")) } else { Ok(()) }
    }

    /// What the completed handshake leaves, once, after [`Step::Established`]; `None` at any other time.
    pub fn take_established(&mut self) -> Option<Established> {
        let State::Established(_) = self.state else { return None };
        let State::Established(agreed) = core::mem::replace(&mut self.state, State::Over) else {
            return None;
        };
        let sealer = self.link.sealer.take()?;
        let opener = core::mem::replace(&mut self.link.opener, Opener::new());
        let Agreed { session, secrets } = agreed;
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
    fn handle(self, cx: &mut Context<'_, '_, '_>, message: Message<'_>) -> Result<State, Error> {
        match self {
            Self::ClientHello(state) => state.handle(cx, message),
            Self::Tls13Certificate(state) => state.handle(cx, message),
            Self::Tls13CertificateVerify(state) => state.handle(cx, message),
            Self::Tls13Finished(state) => state.handle(cx, message),
            Self::Tls12Certificate(state) => state.handle(cx, message),
            Self::Tls12ClientKeyExchange(state) => state.handle(cx, message),
            Self::Tls12CertificateVerify(state) => state.handle(cx, message),
            Self::Tls12Finished(state) => state.handle(cx, message),
            Self::Tls12ChangeCipherSpec(_) => Err(Error::Unexpected("change_cipher_spec")),
            _ => Err(Error::Unexpected("no handshake message")),
        }
    }
}

/// Checks verify_data of the client's Finished: its length is part of the message's syntax (RFC 8446 §4.4.4, RFC 5246 §7.4.9).
fn check_finished(body: &[u8], proof: &Digest) -> Result<(), Error> {
    if body.len() != proof.as_bytes().len() {
        return Err(Error::Malformed("Finished"));
    }
    if proof.matches(body) { Ok(()) } else { Err(Error::BadProof("the client's Finished")) }
}

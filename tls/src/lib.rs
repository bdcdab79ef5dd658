// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.2/1.3 server without I/O, without std, without allocation.
//!
//! The caller (a *shell*: an event loop, a kernel module) owns the sockets, the clock, the randomness
//! and all buffers. It hands in received bytes and gets back the bytes to send and a [`Step`]: wait for
//! more, run this public-key [`Job`], established, or failed.
//!
//! ```text
//! bytes ─► Inbound ─► record ─► message ─► handshake state ─► Job ─► (shell, in batches) ─► resume
//!                                              │
//!                                              └─► Outbound: one flight, written once ─► Established
//! ```
//!
//! # A shell in forty lines
//!
//! Any `Read + Write` serves as the connection here. A real shell keeps its buffers in a pool, and gathers
//! the jobs of many connections before it runs them.
//!
//! ```
//! use std::io::{self, Read, Write};
//! use ttls::{Environment, Established, Handshake, Inbound, Outbound, Step, Window};
//! use ttls_crypto::{job::Failed, sign::SigningKey};
//!
//! /// Completes the handshake on `stream`. `keys` are the private keys of the certificates, by number.
//! fn accept(
//!     mut stream: impl Read + Write,
//!     env: &mut Environment<'_>,
//!     keys: &[SigningKey],
//!     storage: &mut [u8],   // a ClientHello and more: 16 KiB and the length of a record for any
//!     window: &mut Window,  // where the unread bytes of `storage` are; goes on to `Traffic::open`
//! ) -> io::Result<Established> {
//!     let mut flight = vec![0; 32 * 1024]; // room for the certificate chain
//!     let mut handshake = Handshake::new();
//!     loop {
//!         let mut inbound = Inbound::new(storage, window);
//!         let count = stream.read(inbound.free())?;
//!         if count == 0 {
//!             return Err(io::ErrorKind::UnexpectedEof.into());
//!         }
//!         inbound.received(count);
//!
//!         let mut written = 0;
//!         let mut out = Outbound::new(&mut flight, &mut written);
//!         let mut step = handshake.receive(env, &mut inbound, &mut out);
//!         while let Step::Work(job) = step {
//!             let work = job.into_work(|certificate| keys.get(usize::from(certificate.0)));
//!             let result = work.ok_or(Failed::Unsupported).and_then(|work| work.run());
//!             step = handshake.resume(env, &result, &mut inbound, &mut out);
//!         }
//!         stream.write_all(&flight[..written])?;
//!         if let Some(established) = handshake.take_established() {
//!             return Ok(established);
//!         }
//!         match step {
//!             Step::Failed(error) => return Err(io::Error::other(error)),
//!             Step::Enlarge { needed } => return Err(io::Error::other(format!("record needs {needed} bytes"))),
//!             Step::Receive | Step::Work(_) | Step::Established => {}
//!         }
//!     }
//! }
//! ```
//!
//! Specifications: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2) with RFC 5288, 7905 and 8422 (suites and curves),
//! RFC 7627 (extended master secret), RFC 5746 (renegotiation signalling), RFC 5077 (tickets),
//! RFC 6066, 7301, 8449 (extensions), draft-ietf-tls-ecdhe-mlkem (hybrid key exchange).
#![no_std]
#![forbid(unsafe_code)]
// No input may end the process: what can not be there is an error, too. Tests may say what they rely on.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing
    )
)]

pub mod admission;
pub mod alert;
pub mod allowance;
pub mod buffer;
pub mod config;
pub mod error;
pub mod fingerprint;
pub mod handshake;
mod inline;
pub mod key_schedule;
pub mod key_update;
mod names;
pub mod prf;
pub mod record;
pub mod record_size;
pub mod suite;
pub mod ticket;
pub mod traffic;
mod transcript;
pub mod wire;

pub use buffer::{Inbound, Window};
pub use config::{Credential, Credentials, Environment, Policy};
pub use error::Error;
pub use handshake::{Established, Handshake, Job, Session, Step};
pub use record::Outbound;
pub use traffic::{Opened, Traffic};

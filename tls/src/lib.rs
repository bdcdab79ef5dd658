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
//! Specifications: RFC 8446 (TLS 1.3), RFC 5246 (TLS 1.2) with RFC 5288, 7905 and 8422 (suites and curves),
//! RFC 7627 (extended master secret), RFC 5746 (renegotiation signalling), RFC 5077 (tickets),
//! RFC 6066, 7301, 8449 (extensions), draft-ietf-tls-ecdhe-mlkem (hybrid key exchange).
#![no_std]
#![forbid(unsafe_code)]

pub mod admission;
pub mod alert;
pub mod buffer;
pub mod config;
pub mod error;
pub mod fingerprint;
pub mod handshake;
pub mod key_schedule;
pub mod prf;
pub mod record;
pub mod record_size;
pub mod suite;
pub mod ticket;
pub mod traffic;
mod transcript;
pub mod wire;

pub use buffer::{Inbound, Outbound, Window};
pub use config::{Credential, Credentials, Environment, Policy};
pub use error::Error;
pub use handshake::{Established, Handshake, Job, Session, Step};
pub use traffic::{Opened, Traffic};

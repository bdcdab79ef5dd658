// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the end-to-end tests share: certificates, the server under test, backends, client programs,
//! and a TLS client that can misbehave.
//!
//! Helpers panic where a test could not go on: a failed set-up is a failed test.
#![forbid(unsafe_code)]

pub mod backend;
pub mod client;
pub mod kernel;
pub mod pki;
pub mod process;
pub mod raw;
pub mod server;

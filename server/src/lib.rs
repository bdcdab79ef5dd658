// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls`: the TLS terminator and its tools.
//!
//! [`cli`] reads the command line, [`config`] the file, [`settings`] makes both ready, [`serve`] serves.
#![forbid(unsafe_code)]
// Nothing that a stranger sends may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable
    )
)]
#![deny(clippy::print_stdout, clippy::print_stderr)] // see `output`

pub mod certificates;
pub mod cli;
pub mod client_auth;
pub mod config;
pub mod demo;
pub mod files;
pub mod hosts;
pub mod keylog;
pub mod notify;
pub mod output;
pub mod overview;
pub mod pem;
pub mod privileges;
pub mod prometheus;
pub mod serve;
pub mod settings;
pub mod tickets;
pub mod x509;

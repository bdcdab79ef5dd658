// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls`: the TLS terminator and its tools.
#![forbid(unsafe_code)]

fn main() {}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS 1.2/1.3 server without I/O, without std, without allocation.
#![no_std]
#![forbid(unsafe_code)]

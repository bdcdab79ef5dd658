// SPDX-License-Identifier: MIT OR Apache-2.0
//! The presentation language of TLS (RFC 8446 §3): reading borrowed, writing in place.

pub mod client_hello;
pub mod codes;
pub mod message;
mod reader;
mod writer;

pub use client_hello::ClientHello;
pub use message::Message;
pub use reader::{Reader, U16List};
pub use writer::Writer;

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record protocol (RFC 8446 §5, RFC 5246 §6.2): records opened and sealed where they lie.

mod header;
mod opener;
mod outbound;
mod protection;

pub(crate) use header::MIN_SIZE_LIMIT;
pub use header::{HEADER, MAX_PLAINTEXT, MAX_RECORD, MAX_SENT_RECORD};
pub(crate) use opener::{Opener, Received};
pub(crate) use outbound::Draft;
pub use outbound::Outbound;
pub use protection::{DirectionKeys, Protection};

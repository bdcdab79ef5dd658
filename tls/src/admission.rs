// SPDX-License-Identifier: MIT OR Apache-2.0
//! Admission: whether a connection may spend CPU time, asked after its ClientHello is parsed and before the first
//! public-key operation, and when, among all that wait for it.
//!
//! The policy is here, the shells carry it out: they own the connections, the clock and the tables' memory, and make the
//! keyed hashes by which the tables know an address.

mod buckets;
mod delay;
mod demand;
mod frequent;
mod half_open;
mod heaviest;
mod line;
mod pace;
mod shed;
mod standing;

pub use buckets::Buckets;
pub use delay::{Delay, Level, Seen};
pub use demand::{Cell, Demand, HALF_LIFE, ROWS};
pub use frequent::{Counted, Frequent};
pub use half_open::{HalfOpen, Place, burden};
pub use heaviest::{Heaviest, Source};
pub use line::{Class, Due, Line, Link, Rank};
pub use pace::Pace;
pub use shed::{Interval, Share, Shed};
pub use standing::{PROBATION, Set, Standing};

use crate::fingerprint::Ja4;
use crate::wire::ClientHello;

/// What is known of a connection when admission is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The name the client asks for.
    pub server_name: Option<&'a str>,
    /// The client brought a ticket that was accepted: no signature is needed, and it was here before.
    pub resumed: bool,
    /// The client's fingerprint, if [`crate::Policy::fingerprint`] is set.
    pub fingerprint: Option<Ja4>,
}

/// Decides over connections. The shell implements it with what it knows besides: the address, its load.
pub trait Admission {
    /// A ClientHello has come whole, the first or the one that answers a HelloRetryRequest; nothing of it was judged yet. For what is to
    /// be told of the client, should the handshake fail.
    fn offered(&mut self, _hello: &ClientHello<'_>) {}

    /// Whether to go on. A refused connection is closed without an answer, the cheapest of all.
    fn admit(&mut self, request: &Request<'_>) -> bool;
}

/// A hash for tests: a fixed permutation, well mixed (the finalizer of SplitMix64, Steele et al. 2014).
#[cfg(test)]
pub(crate) fn mixed(key: u64) -> u64 {
    let x = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

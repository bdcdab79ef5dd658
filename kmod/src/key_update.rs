// SPDX-License-Identifier: MIT OR Apache-2.0
//! KeyUpdate on an accepted connection of TLS 1.3, whose records are kTLS's.

use crate::abi::INVALID;
use crate::abi::{KeyUpdate, NextKeys};
use crate::connection::direction;
use core::ffi::c_int;
use ttls::Error;
use ttls::alert::Alert;
use ttls::allowance::Cost;
use ttls::key_update;
use ttls::suite::Suite;
use ttls::{key_schedule, record::DirectionKeys};
use ttls_crypto::hash::Digest;

/// Judges the content of a handshake record: sets `requested`, or `alert` if it is no KeyUpdate to follow.
///
/// # Safety
/// The message's pointer is valid for the call.
pub unsafe fn read(update: &mut KeyUpdate) -> c_int {
    // SAFETY: promised by the caller.
    let message = unsafe { update.message.get() };
    let read = key_update::read(message).and_then(|requested| {
        // Its rest could not be had: kTLS opens nothing more until it gets new keys.
        let requested = requested.ok_or(Error::Unexpected("a KeyUpdate in one record"))?;
        let cost = if requested { Cost::AnsweredKeyUpdate } else { Cost::KeyUpdate };
        update.allowance.take(cost, update.now).map(|()| requested)
    });
    match read {
        Ok(requested) => update.requested = u32::from(requested),
        Err(error) => update.alert = u32::from(error.alert().unwrap_or(Alert::INTERNAL_ERROR).0),
    }
    0
}

/// Moves a direction on: from its secret to the next one, and to the keys of that (RFC 8446 §7.2).
pub fn next(next: &mut NextKeys) -> c_int {
    let suite = u16::try_from(next.suite).ok().and_then(Suite::from_code);
    let Some((secret, keys)) = suite.and_then(|suite| after(suite, &next.direction.secret)) else {
        return INVALID;
    };
    next.direction = direction(&keys, Some(&secret));
    0
}

fn after(suite: Suite, secret: &[u8]) -> Option<(Digest, DirectionKeys)> {
    let secret = Digest::new(secret.get(..suite.hash().len())?)?;
    let secret = key_schedule::next_traffic_secret(suite, &secret).ok()?;
    let keys = key_schedule::protection(suite, &secret).ok()?.keys();
    Some((secret, keys))
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server looks at in certificates and revocation lists (RFC 5280).
//!
//! Read leniently, in one pass, without allocation: this reader names what it found, so that it can be told;
//! whom to trust is not decided here.

mod certificate;
mod der;
mod time;

pub use certificate::{BasicConstraints, Certificate, Extensions, elements, key_usage};
pub use der::{Malformed, Reader, tag};
pub use time::Time;

use x509_cert::der::Decode;

/// Longest name that is read, in bytes: the time for its text grows faster than it.
pub const MAX_NAME: usize = 1024;
/// Longest text of a name, in characters: what a stranger sends goes to a log.
const MAX_TEXT: usize = 200;

/// A distinguished name, in DER, in the form of RFC 4514.
pub fn name_text(name: &[u8]) -> String {
    if name.len() > MAX_NAME {
        return format!("a name of {} bytes", name.len());
    }
    let text = match x509_cert::name::Name::from_der(name) {
        Ok(name) if name.is_empty() => return "an empty name".into(),
        Ok(name) => name.to_string(),
        Err(_) => return "a name that does not parse".into(),
    };
    match text.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

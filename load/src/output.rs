// SPDX-License-Identifier: MIT OR Apache-2.0
//! Standard output and standard error. Whoever reads them may leave early, as in `ttls-load ... | head`: the run does and
//! returns what it would have. `println!` would panic.

use std::fmt::Display;
use std::io::{ErrorKind, Write, stderr, stdout};

/// Writes to standard output. If that fails and somebody may still want the text (a file on a full disk), says so
/// and ends the program with status 1.
pub(crate) fn print(text: impl Display) {
    let mut out = stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(format_args!("ttls-load: standard output: {error}"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Writes a line to standard error, at once and whole.
pub(crate) fn complain(text: impl Display) {
    // Where could a failure be told?
    let _ = stderr().lock().write_all(format!("{text}\n").as_bytes());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader that leaves early (`ttls-load ... | head`) does not change how a run ends.
#![forbid(unsafe_code)]

use std::net::TcpListener;
use std::process::{Command, Stdio};

/// `ttls-load` with a standard output that nobody reads.
fn unread(arguments: &[&str]) -> Command {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttls-load"));
    command.args(arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    command
}

// Catches a `println!`, whose panic ends the program with status 101 or SIGABRT.
#[test]
fn the_help_ends_as_if_all_had_been_read() {
    let output = unread(&["--help"]).output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

// Catches a status that does not tell wrong use from a void run.
#[test]
fn wrong_use_and_void_runs_have_their_status() {
    let wrong = unread(&["--no-such-option"]).output().expect("it runs");
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");

    // A port where nobody listens: bound a moment ago, and free again.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let void = unread(&["--count", "1", &free.to_string()]).output().expect("it runs");
    let said = String::from_utf8_lossy(&void.stderr);
    assert_eq!(void.status.code(), Some(1), "{said}");
    assert!(said.contains("no connection succeeds"), "{said}");
}

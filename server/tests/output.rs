// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader that leaves early (`ttls ... | head`) costs a command neither its deed nor its exit status.
#![forbid(unsafe_code)]

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};

/// `ttls` with a standard output that nobody reads.
fn unread(arguments: &[&str]) -> Command {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttls"));
    command.args(arguments).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    command
}

// Catches a `println!`, whose panic ends the program with status 101 or SIGABRT.
#[test]
fn commands_end_as_if_all_had_been_read() {
    for arguments in [
        &["--version"][..],
        &["--help"],
        &["serve", "--help"],
        // Few connections: no warning of few descriptors.
        &["check", "--demo", "--limits.connections", "100", "--limits.half_open", "10"],
        &["ctl", "--help"],
    ] {
        let output = unread(arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{arguments:?}: {}: {said}", output.status);
    }
}

// Catches an `eprintln!`: the status would be that of a panic.
#[test]
fn errors_that_nobody_reads_keep_their_status() {
    for (arguments, status) in [
        (&["serve", "--config", "/nowhere/ttls.toml"][..], 1),
        (&["no-such-command"], 2),
        (&["ctl", "no-such-command"], 2),
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let ended = unread(arguments).stderr(writer).status().expect("it runs");
        assert_eq!(ended.code(), Some(status), "{arguments:?}");
    }
}

// Catches results that a full disk swallows without a word.
#[test]
fn an_output_that_can_not_be_written_is_an_error() {
    let full = File::options().write(true).open("/dev/full").expect("/dev/full");
    let output = unread(&["serve", "--help"]).stdout(full).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output: "));
}

// Catches a demo that ends.
#[test]
fn the_demo_serves() {
    let mut demo = unread(&["serve", "--demo", "--listen", "127.0.0.1:0"]).spawn().expect("it runs");
    let mut log = BufReader::new(demo.stderr.take().expect("piped"));
    // Before it there may be a warning, of too few descriptors for instance.
    let mut line = String::new();
    while !line.contains("address=") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("a line of log"), 0, "no address");
    }
    let address =
        line.split_once("address=").and_then(|(_, rest)| rest.split(' ').next()).expect("an address");
    TcpStream::connect(address).expect("it listens");

    kill_process(Pid::from_child(&demo), Signal::TERM).expect("signal the demo");
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("the rest of the log");
    assert!(demo.wait().expect("wait").success(), "{line}{rest}");
}

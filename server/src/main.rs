// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls`: the TLS terminator and its tools.
#![forbid(unsafe_code)]

mod bench;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        Some(command) if command == "bench" => bench::run(arguments),
        _ => {
            eprintln!("Usage: ttls bench [OPTIONS] HOST:PORT");
            ExitCode::from(2)
        }
    }
}

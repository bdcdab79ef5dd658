// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls`: the TLS terminator and its tools.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)] // see `output`

mod ctl;

use std::process::ExitCode;
use ttls_server::cli;
use ttls_server::output::{complain, print};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next();
    match command.as_ref().and_then(|command| command.to_str()) {
        Some("serve") => cli::serve(arguments),
        Some("check") => cli::check(arguments),
        Some("ctl") => ctl::run(arguments),
        Some("--version" | "-V") => {
            print(concat!("ttls ", env!("CARGO_PKG_VERSION"), "\n"));
            ExitCode::SUCCESS
        }
        Some("--help" | "-h" | "help") => {
            print(cli::HELP);
            ExitCode::SUCCESS
        }
        _ => {
            if let Some(command) = command {
                complain(format_args!("ttls: there is no command `{}`", command.display()));
            }
            complain(cli::HELP.trim_end());
            ExitCode::from(2)
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What went wrong with a command of `ttls ctl`.

use std::process::ExitCode;
use ttls_server::cli::misuse;
use ttls_server::output::complain;

/// What went wrong: the command line, or the deed.
pub(super) enum Failure {
    Misuse(String),
    Failed(String),
}

impl Failure {
    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::Failed(message.into())
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Tells what went wrong, and the status to end with.
pub(super) fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Misuse(message)) => misuse(&message),
        Err(Failure::Failed(message)) => {
            complain(format_args!("ttls: {message}"));
            ExitCode::FAILURE
        }
    }
}

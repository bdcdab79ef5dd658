// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls-load`: a load generator for TLS servers that costs less than the server it loads.
#![forbid(unsafe_code)]
#![deny(clippy::print_stdout, clippy::print_stderr)] // see `output`

mod agreements;
mod client;
mod connection;
mod flood;
mod histogram;
mod load;
mod options;
mod output;
mod random;
mod report;
mod response;
mod socket;
mod system;

use client::{Offer, Profile};
use connection::Plan;
use load::{Amount, Load, Outcome, Void};
use options::{HELP, Mode, Options};
use output::{complain, print};
use std::io::{IsTerminal as _, stderr};
use std::process::ExitCode;
use std::time::Duration;
use system::{cpu_time, raise_file_limit};

/// Exits with 0 when the run has a result, even one with failed connections; with 1 when it is void: the
/// server answered something false, or nothing succeeded; with 2 when the arguments are wrong.
fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|first| first == "flood").is_some() {
        return flood::run(arguments);
    }
    let options = match Options::parse(arguments) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(format_args!("ttls-load: {error}"));
            return ExitCode::from(2);
        }
    };
    match measure(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("ttls-load: {}: {error}", options.address));
            ExitCode::FAILURE
        }
    }
}

fn measure(options: &Options) -> Result<(), String> {
    raise_file_limit(amount(options).connections)?;
    let mut plan = plan(options).map_err(|fault| connection::Failure::from(fault).to_string())?;
    if options.resume {
        let session = first_session(&mut plan, options)?;
        if let Some(offer) = &mut plan.offer {
            offer.resume(session).map_err(|fault| connection::Failure::from(fault).to_string())?;
        }
    }
    let show_progress = options.progress || stderr().is_terminal();
    let before = cpu_time();
    let load = Load::new(&plan, amount(options)).map_err(explain)?;
    let outcome = load
        .run(|outcome, elapsed| {
            if options.mode == Mode::Idle && outcome.holding == options.connections {
                complain(format_args!("holding {} connections", outcome.holding));
            } else if show_progress {
                complain(report::progress(outcome, options, elapsed));
            }
        })
        .map_err(explain)?;
    if outcome.handshakes + outcome.responses == 0
        && let Some(why) = outcome.failures.keys().next()
    {
        return Err(format!("no connection succeeds: {why}"));
    }
    publish(&outcome, options, cpu_time().saturating_sub(before))
}

fn publish(outcome: &Outcome, options: &Options, client_cpu: Duration) -> Result<(), String> {
    let json = || format!("{:#}\n", report::json(outcome, options, client_cpu));
    match &options.json {
        Some(path) if path.as_os_str() == "-" => print(json()),
        Some(path) => {
            std::fs::write(path, json()).map_err(|error| format!("{}: {error}", path.display()))?;
            print(report::table(outcome, options, client_cpu));
        }
        None => print(report::table(outcome, options, client_cpu)),
    }
    Ok(())
}

fn plan(options: &Options) -> Result<Plan, client::Fault> {
    let profile = options.version.map(|version| Profile {
        version,
        group: options.group,
        cipher: options.cipher,
        signature: options.signature,
        name: options.name.clone(),
        look: None,
    });
    let close = if options.mode == Mode::KeepAlive { "" } else { "Connection: close\r\n" };
    let host = options.name.clone().unwrap_or_else(|| options.address.ip().to_string());
    Ok(Plan {
        address: options.address,
        mode: options.mode,
        offer: profile.map(Offer::new).transpose()?,
        request: format!("GET {} HTTP/1.1\r\nHost: {host}\r\n{close}\r\n", options.path).into_bytes(),
        want_ticket: false,
    })
}

fn amount(options: &Options) -> Amount {
    Amount {
        connections: if options.rate.is_some() { options.max_open } else { options.connections },
        rate: options.rate,
        duration: options.duration,
        count: options.count,
        timeout: options.timeout,
        verify: options.verify,
    }
}

/// Makes one full handshake with a request, whose session the others resume: a server may send its tickets
/// right after the handshake or with its first response.
fn first_session(plan: &mut Plan, options: &Options) -> Result<client::Session, String> {
    let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", options.path);
    let mode = std::mem::replace(&mut plan.mode, Mode::Request);
    let request = std::mem::replace(&mut plan.request, request.into_bytes());
    plan.want_ticket = true;
    let amount = Amount { connections: 1, count: Some(1), rate: None, verify: 1, ..amount(options) };
    let outcome = Load::new(plan, amount).and_then(|load| load.run(|_, _| ())).map_err(explain)?;
    plan.want_ticket = false;
    plan.mode = mode;
    plan.request = request;
    outcome.session.ok_or_else(|| {
        let why = outcome.failures.into_keys().next().unwrap_or_else(|| "it sent no ticket".to_owned());
        format!("no session to resume: {why}")
    })
}

fn explain(void: Void) -> String {
    match void {
        Void::System(error) => error.to_string(),
        Void::Wrong(what) => format!("{what}: the run is void"),
        Void::Hopeless(why) => format!("no connection succeeds: {why}"),
    }
}

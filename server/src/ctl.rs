// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls ctl`: the kernel module's configuration. docs/kernel.md explains it.

mod attach;
mod channel;
mod failure;
mod load;
mod message;
mod statistics;

use channel::Channel;
use failure::{Failure, report};
use message::{Attributes, Writer, attribute, command};
use statistics::Statistics;
use std::ffi::OsString;
use std::process::ExitCode;
use ttls_server::config::Source;
use ttls_server::output::{complain, print};

const HELP: &str = "\
ttls ctl load --config FILE           give the kernel module the file's certificates, keys and [tls] settings
ttls ctl list                         the names it answers to, and its limits
ttls ctl remove                       take everything away again: new handshakes are refused
ttls ctl stats [--json]               its counters
ttls ctl metrics                      the same for Prometheus, as node_exporter's textfile collector reads it
ttls ctl attach --pid PID --port PORT put a running server's listening socket behind TLS
ttls ctl run -- COMMAND [ARGUMENT]... start a server, put its listening sockets behind TLS, wait for it

Everything is of the network namespace that the command runs in. All but list, stats and metrics need CAP_NET_ADMIN.
The module loads by itself.
";

/// Runs `ttls ctl`.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.to_string_lossy(), rest),
        None => ("--help".into(), &[][..]),
    };
    let result = match &*name {
        "load" => load_file(rest),
        "list" => nothing_more(rest).and_then(|()| list()),
        "remove" => nothing_more(rest).and_then(|()| remove()),
        "stats" => match rest {
            [flag] if flag == "--json" => statistics(|statistics| statistics.json()),
            _ => nothing_more(rest).and_then(|()| statistics(|statistics| statistics.lines())),
        },
        "metrics" => nothing_more(rest).and_then(|()| statistics(|statistics| statistics.metrics())),
        "attach" => attach_to(rest),
        "run" => return attach::run(rest),
        "--help" | "-h" => {
            print(HELP);
            Ok(())
        }
        other => Err(Failure::Misuse(format!("{other}: try `ttls ctl --help`"))),
    };
    report(result)
}

fn nothing_more(rest: &[OsString]) -> Result<(), Failure> {
    match rest.first() {
        None => Ok(()),
        Some(extra) => Err(Failure::Misuse(format!("{}: try `ttls ctl --help`", extra.to_string_lossy()))),
    }
}

/// The values of the flags `names`, all of which must be there.
fn flags<const N: usize>(arguments: &[OsString], names: [&str; N]) -> Result<[OsString; N], Failure> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut values = [const { None }; N];
    while let Some(argument) = parser.next().map_err(|e| Failure::Misuse(e.to_string()))? {
        let index = match &argument {
            lexopt::Arg::Long(name) => names.iter().position(|known| known == name),
            _ => None,
        };
        let Some(index) = index else {
            return Err(Failure::Misuse(format!("{}: try `ttls ctl --help`", argument.unexpected())));
        };
        values[index] = Some(parser.value().map_err(|e| Failure::Misuse(e.to_string()))?);
    }
    let missing = names.iter().zip(&values).find(|(_, value)| value.is_none());
    if let Some((name, _)) = missing {
        return Err(Failure::Misuse(format!("--{name} is needed: try `ttls ctl --help`")));
    }
    Ok(values.map(Option::unwrap_or_default))
}

fn number<T: std::str::FromStr>(name: &str, value: &OsString) -> Result<T, Failure> {
    let parsed = value.to_str().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| Failure::Misuse(format!("--{name}: {} is no number", value.to_string_lossy())))
}

fn load_file(arguments: &[OsString]) -> Result<(), Failure> {
    let [file] = flags(arguments, ["config"])?;
    let source = Source { file: Some(file.into()), ..Source::default() };
    let mut warnings = Vec::new();
    let message = load::message(&source, &mut warnings)?;
    for warning in &warnings {
        complain(format_args!("ttls: warning: {warning}"));
    }
    Channel::open()?.command(command::CONFIGURE, &message)?;
    Ok(())
}

fn remove() -> Result<(), Failure> {
    Channel::open()?.command(command::REMOVE, &Writer::default())?;
    Ok(())
}

fn list() -> Result<(), Failure> {
    let answer = Channel::open()?.command(command::LIST, &Writer::default())?;
    for (kind, body) in Attributes::new(&answer) {
        let number = || body.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        match kind {
            attribute::CERTIFICATE => print(format_args!("certificate {}\n", certificate(body))),
            attribute::TICKET_LIFETIME => print(format_args!("ticket_lifetime_seconds {}\n", number())),
            attribute::HANDSHAKE_TIMEOUT => print(format_args!("handshake_timeout_ms {}\n", number())),
            attribute::MAX_PENDING => print(format_args!("max_pending {}\n", number())),
            attribute::MAX_PENDING_LISTENER => print(format_args!("max_pending_listener {}\n", number())),
            _ => {}
        }
    }
    Ok(())
}

fn certificate(body: &[u8]) -> String {
    let mut words = Vec::new();
    for (kind, body) in Attributes::new(body) {
        match kind {
            attribute::NAMES => {
                let names = body.split(|&byte| byte == 0).filter(|name| !name.is_empty());
                words.extend(names.map(|name| String::from_utf8_lossy(name).into_owned()));
            }
            attribute::DEFAULT => words.push("(default)".into()),
            _ => {}
        }
    }
    words.join(" ")
}

fn statistics(form: fn(&Statistics<'_>) -> String) -> Result<(), Failure> {
    let answer = Channel::open()?.command(command::STATISTICS, &Writer::default())?;
    let counters = Attributes::new(&answer).find(|(kind, _)| *kind == attribute::COUNTERS);
    let Some((_, counters)) = counters else {
        return Err(Failure::failed("the module's answer has no counters"));
    };
    print(form(&Statistics(counters)));
    Ok(())
}

fn attach_to(arguments: &[OsString]) -> Result<(), Failure> {
    let [pid, port] = flags(arguments, ["pid", "port"])?;
    attach::attach(number("pid", &pid)?, Some(number("port", &port)?)).and_then(|count| match count {
        0 => Err(Failure::failed("the process does not listen on that port")),
        _ => Ok(()),
    })
}

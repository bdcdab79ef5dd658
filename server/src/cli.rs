// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `ttls serve` and `ttls check`.

use crate::config::flags::{Flag, KEYS, Kind};
use crate::config::{Error, Source};
use crate::hosts::{Hosts, News};
use crate::output::{complain, print};
use crate::overview::Overview;
use crate::serve::Failure;
use crate::settings::{Fixed, Settings};
use crate::{demo, serve};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// What `ttls --help` says.
pub const HELP: &str = "\
ttls: TLS terminator that survives handshake floods

  ttls serve --config FILE     serve what the file says
  ttls serve --demo            own certificate, built-in page, 127.0.0.1:8443
  ttls ctl load --config FILE  give certificates and keys to the kernel module (also: list, remove, stats, metrics, attach)
  ttls check --config FILE     say what is wrong with the file, its certificates and keys
  ttls COMMAND --help          more
  ttls --version
";

const SERVE_HELP: &str = "\
ttls serve [--config FILE] [--demo] [--KEY VALUE]...
ttls check [--config FILE] [--KEY VALUE]...

  --config FILE                     TOML file; docs/configuration.md explains each key
  --demo                            own certificate, built-in page, 127.0.0.1:8443
  --certificate CHAIN[,KEY[,OCSP]]  a certificate and its key, in PEM; may be given several times
  --keylog FILE                     write the secrets of every connection: for debugging only

Signals: SIGHUP reloads the configuration, SIGUSR2 starts a new program to take over, SIGTERM drains and ends.

Each key of the file is a flag that wins over it:
";

/// EX_TEMPFAIL of sysexits.h: what keeps the program from serving may be gone in a moment.
const TRY_AGAIN: u8 = 75;

struct Arguments {
    source: Source,
    demo: bool,
    keylog: Option<PathBuf>,
}

/// Runs `ttls serve`.
pub fn serve(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match parse(arguments) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => return misuse(&message),
    };
    let Arguments { source, demo, keylog } = arguments;
    let result = fixed(demo).map_err(Failure::from);
    match result.and_then(|fixed| serve::run(&source, fixed, keylog.as_deref())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(error)) => report(Err(error)),
        Err(Failure::Temporary(error)) => {
            complain(format_args!("ttls: {error}"));
            ExitCode::from(TRY_AGAIN)
        }
    }
}

/// Runs `ttls check`.
pub fn check(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match parse(arguments) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(message) => return misuse(&message),
    };
    let mut warnings = Vec::new();
    let result = fixed(arguments.demo).and_then(|fixed| {
        let settings = Settings::build(&arguments.source, &fixed, &mut warnings)?;
        let unknown = Mutex::new(Vec::new());
        fixed.hosts.look_up(&|host, news| {
            if let News::Failed(error) = news {
                let warning = format!("backend {}: does not resolve now: {error}", host.name());
                unknown.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
            }
        });
        warnings.extend(unknown.into_inner().unwrap_or_else(PoisonError::into_inner));
        serve::check(&settings, &mut warnings)?;
        Ok(settings)
    });
    for warning in &warnings {
        complain(format_args!("ttls: warning: {warning}"));
    }
    report(result.map(|settings| {
        print(Overview(&settings));
        print("ttls: the configuration is good\n");
    }))
}

fn report(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.lines() {
                complain(format_args!("ttls: {line}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Says what was wrong with the command line.
pub fn misuse(message: &str) -> ExitCode {
    complain(format_args!("ttls: {message}"));
    ExitCode::from(2)
}

fn fixed(demo: bool) -> Result<Fixed, Error> {
    let demo = if demo { Some(demo::Identity::generate().map_err(Error::new)?) } else { None };
    Ok(Fixed { demo, hosts: Hosts::default() })
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Arguments>, String> {
    use lexopt::Arg::{Long, Short};
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut parsed = Arguments { source: Source::default(), demo: false, keylog: None };
    while let Some(argument) = parser.next().map_err(|e| e.to_string())? {
        let name = match argument {
            Long(name) => name.to_owned(),
            Short('h') => "help".into(),
            other => return Err(format!("{}: try `ttls serve --help`", other.unexpected())),
        };
        let mut value = || {
            let value = parser.value().map_err(|_| format!("--{name} needs a value"))?;
            value.into_string().map_err(|_| format!("--{name}: the value is not UTF-8"))
        };
        match name.as_str() {
            "help" => {
                print(SERVE_HELP);
                for (key, kind) in KEYS {
                    let value = match kind {
                        Kind::Text => "TEXT",
                        Kind::List => "TEXT[,TEXT...]",
                        Kind::Number => "NUMBER",
                        Kind::Switch => "true|false",
                    };
                    print(format_args!("  --{key} {value}\n"));
                }
                return Ok(None);
            }
            "demo" => parsed.demo = true,
            "config" => parsed.source.file = Some(value()?.into()),
            "keylog" => parsed.keylog = Some(value()?.into()),
            key => {
                if !KEYS.iter().any(|(known, _)| known == &key) && key != "certificate" {
                    return Err(format!("--{key} is not a flag: `ttls serve --help` lists them"));
                }
                let value = value()?;
                parsed.source.flags.extend(Flag::new(key, &value));
            }
        }
    }
    if parsed.source.file.is_none() && parsed.source.flags.is_empty() && !parsed.demo {
        return Err("nothing to serve: give --config FILE or --demo, or see `ttls serve --help`".into());
    }
    Ok(Some(parsed))
}

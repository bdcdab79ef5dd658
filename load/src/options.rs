// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `ttls-load`.

use super::client::{Cipher, Group, Signature, Version};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// What `ttls-load --help` prints.
pub(super) const HELP: &str = "\
Loads a TLS server and measures it. Sends to the one address given and to no other.

Usage: ttls-load [OPTIONS] HOST:PORT
       ttls-load flood [OPTIONS] 127.0.0.1:PORT   clients beside an attack: ttls-load flood --help

What each connection does
  --mode MODE          handshake: full handshake, close_notify, wait for the server's end (default)
                       request:   handshake, one GET with \"Connection: close\"
                       keepalive: handshake, then GETs one after the other
                       attack:    ClientHello, read the server's flight, reset; no client cryptography
                       idle:      handshake, then hold the connection open
  --path PATH          what to GET (default /); a large file makes --mode keepalive a download
  --resume             make one session first, then resume it on every connection
  --tls VERSION        1.3 (default), 1.2, or none: plain TCP, for a floor to compare with
  --group GROUP        x25519 (default), secp256r1, x25519mlkem768
  --signature KIND     any (default), ecdsa, rsa: which certificate to ask for
  --cipher CIPHER      aes128 (default), aes256, chacha20
  --name NAME          server name (SNI) and Host; default: HOST if it is a name

How much
  --connections N      closed loop: N connections at a time (default 64); with --mode idle: how many to hold
  --rate R             open loop: R new connections a second, whatever the server does; latency counts
                       from when each was due, so that a stalled server cannot hide it
  --max-open N         open loop: at most N connections at a time (default 10000); those that are due wait
  --seconds S          how long to start connections (default 10); with --mode idle: how long to hold
  --count N            stop after N operations, even if before --seconds
  --timeout S          give a connection up after S seconds (default 10)

What is checked
  --verify N           check the server's signature on one in N connections (default 100, 0: never);
                       records, Finished and HTTP status are checked on all. A wrong one ends the run.

Output
  --json FILE          write the result as JSON too; - for standard output, without the table
  --progress           a line every second, even if standard error is not a terminal
  -h, --help           this text
";

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Handshake,
    Request,
    KeepAlive,
    Attack,
    Idle,
}

impl Mode {
    const ALL: [(&'static str, Self); 5] = [
        ("handshake", Self::Handshake),
        ("request", Self::Request),
        ("keepalive", Self::KeepAlive),
        ("attack", Self::Attack),
        ("idle", Self::Idle),
    ];

    pub(super) fn name(self) -> &'static str {
        name_of(&Self::ALL, self)
    }
}

const VERSIONS: [(&str, Option<Version>); 3] =
    [("1.3", Some(Version::Tls13)), ("1.2", Some(Version::Tls12)), ("none", None)];
const GROUPS: [(&str, Group); 3] =
    [("x25519", Group::X25519), ("secp256r1", Group::Secp256r1), ("x25519mlkem768", Group::X25519MlKem768)];
const SIGNATURES: [(&str, Signature); 3] =
    [("any", Signature::Any), ("ecdsa", Signature::Ecdsa), ("rsa", Signature::Rsa)];
const CIPHERS: [(&str, Cipher); 3] =
    [("aes128", Cipher::Aes128Gcm), ("aes256", Cipher::Aes256Gcm), ("chacha20", Cipher::ChaCha20Poly1305)];

/// The options, complete.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) address: SocketAddr,
    pub(super) name: Option<String>,
    pub(super) mode: Mode,
    pub(super) path: String,
    pub(super) resume: bool,
    pub(super) version: Option<Version>,
    pub(super) group: Group,
    pub(super) signature: Signature,
    pub(super) cipher: Cipher,
    pub(super) connections: usize,
    pub(super) rate: Option<f64>,
    pub(super) max_open: usize,
    pub(super) duration: Duration,
    pub(super) count: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) verify: u64,
    pub(super) json: Option<PathBuf>,
    pub(super) progress: bool,
}

impl Options {
    /// Reads the arguments; `None` if help was asked for.
    pub(super) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Self>, lexopt::Error> {
        let mut target = None;
        let mut options = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            name: None,
            mode: Mode::Handshake,
            path: "/".to_owned(),
            resume: false,
            version: Some(Version::Tls13),
            group: Group::X25519,
            signature: Signature::Any,
            cipher: Cipher::Aes128Gcm,
            connections: 64,
            rate: None,
            max_open: 10_000,
            duration: Duration::from_secs(10),
            count: None,
            timeout: Duration::from_secs(10),
            verify: 100,
            json: None,
            progress: false,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("mode") => options.mode = choice(&parser.value()?, &Mode::ALL)?,
                Long("path") => options.path = parser.value()?.string()?,
                Long("resume") => options.resume = true,
                Long("tls") => options.version = choice(&parser.value()?, &VERSIONS)?,
                Long("group") => options.group = choice(&parser.value()?, &GROUPS)?,
                Long("signature") => options.signature = choice(&parser.value()?, &SIGNATURES)?,
                Long("cipher") => options.cipher = choice(&parser.value()?, &CIPHERS)?,
                Long("name") => options.name = Some(parser.value()?.string()?),
                Long("connections") => options.connections = parser.value()?.parse()?,
                Long("rate") => options.rate = Some(parser.value()?.parse()?),
                Long("max-open") => options.max_open = parser.value()?.parse()?,
                Long("seconds") => options.duration = seconds(&parser.value()?)?,
                Long("count") => options.count = Some(parser.value()?.parse()?),
                Long("timeout") => options.timeout = seconds(&parser.value()?)?,
                Long("verify") => options.verify = parser.value()?.parse()?,
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("progress") => options.progress = true,
                Short('h') | Long("help") => return Ok(None),
                Value(value) if target.is_none() => target = Some(value.string()?),
                _ => return Err(argument.unexpected()),
            }
        }
        let target = target.ok_or("which server? Give HOST:PORT (ttls-load --help)")?;
        options.aim(&target)?;
        options.check()?;
        Ok(Some(options))
    }

    fn aim(&mut self, target: &str) -> Result<(), String> {
        let mut found = target.to_socket_addrs().map_err(|error| format!("{target}: {error}"))?;
        self.address = found.next().ok_or_else(|| format!("{target}: no address"))?;
        let host = target.rsplit_once(':').map_or(target, |(host, _)| host);
        if self.name.is_none() && target.parse::<SocketAddr>().is_err() {
            self.name = Some(host.to_owned());
        }
        Ok(())
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.version.is_none() && (self.resume || matches!(self.mode, Mode::Handshake | Mode::Attack)) {
            return Err(
                "--tls none has no handshake: choose --mode request, keepalive or idle, without --resume",
            );
        }
        if self.version == Some(Version::Tls12) && self.group == Group::X25519MlKem768 {
            return Err("--group x25519mlkem768 exists in TLS 1.3 only");
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e7)) {
            return Err("--rate must be above 0 and at most 10000000 connections a second");
        }
        if self.rate.is_some() && matches!(self.mode, Mode::KeepAlive | Mode::Idle) {
            return Err("--rate counts new connections: it goes with --mode handshake, request or attack");
        }
        if self.connections == 0 || self.max_open == 0 || self.count == Some(0) {
            return Err("--connections, --max-open and --count must be at least 1");
        }
        if self.duration.is_zero() || self.timeout.is_zero() {
            return Err("--seconds and --timeout must be above 0");
        }
        Ok(())
    }

    pub(super) fn version_name(&self) -> &'static str {
        name_of(&VERSIONS, self.version)
    }

    pub(super) fn group_name(&self) -> &'static str {
        name_of(&GROUPS, self.group)
    }

    pub(super) fn signature_name(&self) -> &'static str {
        name_of(&SIGNATURES, self.signature)
    }

    pub(super) fn cipher_name(&self) -> &'static str {
        name_of(&CIPHERS, self.cipher)
    }
}

fn name_of<T: PartialEq>(choices: &[(&'static str, T)], value: T) -> &'static str {
    choices.iter().find(|(_, choice)| *choice == value).map_or("", |(name, _)| name)
}

fn choice<T: Copy>(value: &OsString, choices: &[(&'static str, T)]) -> Result<T, String> {
    choices.iter().find(|(name, _)| *value == **name).map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        format!("{}: choose one of {}", value.display(), names.join(", "))
    })
}

fn seconds(value: &OsString) -> Result<Duration, String> {
    value
        .to_str()
        .and_then(|value| value.parse().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("{}: not a number of seconds", value.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_what_it_documents() {
        let options =
            parse("--tls 1.2 --mode request --rate 1e3 --seconds 0.5 127.0.0.1:4433").unwrap().unwrap();
        assert_eq!(options.version, Some(Version::Tls12));
        assert_eq!(options.mode, Mode::Request);
        assert_eq!(options.rate, Some(1000.0));
        assert_eq!(options.duration, Duration::from_millis(500));
        assert_eq!(options.address, SocketAddr::from(([127, 0, 0, 1], 4433)));
        assert_eq!(options.name, None);
        let options = parse("--cipher chacha20 localhost:4433").unwrap().unwrap();
        assert_eq!(options.name.as_deref(), Some("localhost"));
        assert_eq!(options.cipher_name(), "chacha20");
        assert!(parse("--help").unwrap().is_none());
    }

    #[test]
    fn every_option_is_in_the_help() {
        for name in HELP.split_whitespace().filter(|word| word.starts_with("--")) {
            let name = name.trim_end_matches([',', ':', ';', '.']);
            let error = parse(&format!("{name} ? 127.0.0.1:1")).err().unwrap_or_default();
            assert!(!error.contains("invalid option"), "{name}: {error}");
        }
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (line, reason) in [
            ("", "which server"),
            ("127.0.0.1", "invalid"),
            ("127.0.0.1:1 127.0.0.1:2", "unexpected"),
            ("--group x448 127.0.0.1:1", "choose one of x25519"),
            ("--tls none 127.0.0.1:1", "no handshake"),
            ("--tls 1.2 --group x25519mlkem768 127.0.0.1:1", "TLS 1.3 only"),
            ("--rate -1 127.0.0.1:1", "above 0"),
            ("--rate nan 127.0.0.1:1", "above 0"),
            ("--mode keepalive --rate 5 127.0.0.1:1", "new connections"),
            ("--connections 0 127.0.0.1:1", "at least 1"),
            ("--seconds -1 127.0.0.1:1", "not a number"),
            ("--seconds 0 127.0.0.1:1", "above 0"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}

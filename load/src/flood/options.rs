// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `ttls-load flood`.

use super::attack::{ATTACKS, Attack};
use lexopt::prelude::*;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

const HELP: &str = "\
Legitimate clients beside an attack, both in an open loop, from addresses of their own. For servers on loopback only:
it sends to 127.0.0.1 and from other addresses of 127.0.0.0/8.

Usage: ttls-load flood [OPTIONS] 127.0.0.1:PORT

The run: returning clients visit once and kept connections are made; then, legitimate clients all the while,
  --calm S             seconds of calm (default 3)
  --lead-in S          seconds of attack before it is measured (default 2)
  --seconds S          seconds of attack measured (default 5); it goes on for --timeout, until the last of these is done
  --after S            seconds after the attack (default 3)

Legitimate clients
  --new-rate R         new ones a second: full handshake, one request (default 20)
  --returning-rate R   a second that come back with a ticket, from the same address (default 20)
  --known-rate R       a second that come back without one (default 20)
  --kept N             kept connections (default 8)
  --kept-rate R        requests a second on all of them together (default 20)
  --timeout S          seconds that a client waits from when it was due (default 3)

Attackers
  --attack NAME        one of those below (default none)
  --attack-rate R      connections a second, or KeyUpdates (default 100)
  --hold S             seconds that a silent or dripping one stays (default 5)
  --max-open N         connections open at a time; then the oldest is left (default 200000)

Instead of all that
  --capacity           64 new clients at a time for --seconds: how many are served in a second

The generator
  --client-core N      CPU for the legitimate clients (default: any)
  --attack-cores N,... CPUs for the attackers, a process on each, or more where one may not open enough (default: any)
  --name NAME          server name and Host (default bench.example)
  --path PATH          what to GET (default /)
  --seed N             of all that is random (default 1)
  --json FILE          where the result goes; - for standard output (default)
  -h, --help           this text

A line on standard error begins each part of the run: calm, attack, window, end, after, done.

Attacks:
";

/// The options, complete. Times in seconds, rates per second.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) attack: Attack,
    pub(crate) attack_rate: f64,
    pub(crate) new_rate: f64,
    pub(crate) returning_rate: f64,
    pub(crate) known_rate: f64,
    pub(crate) kept: usize,
    pub(crate) kept_rate: f64,
    pub(crate) calm: f64,
    pub(crate) lead_in: f64,
    pub(crate) seconds: f64,
    pub(crate) after: f64,
    pub(crate) timeout: f64,
    pub(crate) hold: f64,
    pub(crate) max_open: usize,
    pub(crate) capacity: bool,
    pub(crate) client_core: Option<usize>,
    pub(crate) attack_cores: Vec<Option<usize>>,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) seed: u64,
    pub(crate) json: PathBuf,
    /// This process is one of so many that attack, and no more; its parent has begun it.
    pub(crate) attacker: Option<(usize, usize)>,
}

impl Options {
    /// Reads the arguments after `flood`; `None` if help was asked for.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Option<Self>, lexopt::Error> {
        let mut target = None;
        let mut options = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            attack: ATTACKS[0],
            attack_rate: 100.0,
            new_rate: 20.0,
            returning_rate: 20.0,
            known_rate: 20.0,
            kept: 8,
            kept_rate: 20.0,
            calm: 3.0,
            lead_in: 2.0,
            seconds: 5.0,
            after: 3.0,
            timeout: 3.0,
            hold: 5.0,
            max_open: 200_000,
            capacity: false,
            client_core: None,
            attack_cores: vec![None],
            name: "bench.example".to_owned(),
            path: "/".to_owned(),
            seed: 1,
            json: "-".into(),
            attacker: None,
        };
        let mut parser = lexopt::Parser::from_args(arguments);
        while let Some(argument) = parser.next()? {
            match argument {
                Long("attack") => {
                    let name = parser.value()?.string()?;
                    options.attack = Attack::named(&name)
                        .ok_or_else(|| format!("--attack {name}: not known (ttls-load flood --help)"))?;
                }
                Long("attack-rate") => options.attack_rate = parser.value()?.parse()?,
                Long("new-rate") => options.new_rate = parser.value()?.parse()?,
                Long("returning-rate") => options.returning_rate = parser.value()?.parse()?,
                Long("known-rate") => options.known_rate = parser.value()?.parse()?,
                Long("kept") => options.kept = parser.value()?.parse()?,
                Long("kept-rate") => options.kept_rate = parser.value()?.parse()?,
                Long("calm") => options.calm = parser.value()?.parse()?,
                Long("lead-in") => options.lead_in = parser.value()?.parse()?,
                Long("seconds") => options.seconds = parser.value()?.parse()?,
                Long("after") => options.after = parser.value()?.parse()?,
                Long("timeout") => options.timeout = parser.value()?.parse()?,
                Long("hold") => options.hold = parser.value()?.parse()?,
                Long("max-open") => options.max_open = parser.value()?.parse()?,
                Long("capacity") => options.capacity = true,
                Long("client-core") => options.client_core = Some(parser.value()?.parse()?),
                Long("attack-cores") => {
                    options.attack_cores = parser.value()?.parse_with(|list| {
                        list.split(',').map(|core| core.parse().map(Some)).collect::<Result<Vec<_>, _>>()
                    })?;
                }
                Long("name") => options.name = parser.value()?.string()?,
                Long("path") => options.path = parser.value()?.string()?,
                Long("seed") => options.seed = parser.value()?.parse()?,
                Long("attacker") => {
                    options.attacker = Some((parser.value()?.parse()?, parser.value()?.parse()?));
                }
                Long("json") => options.json = parser.value()?.into(),
                Short('h') | Long("help") => return Ok(None),
                Value(value) if target.is_none() => target = Some(value.parse()?),
                _ => return Err(argument.unexpected()),
            }
        }
        options.address = target.ok_or("which server? Give 127.0.0.1:PORT (ttls-load flood --help)")?;
        options.check()?;
        Ok(Some(options))
    }

    fn check(&self) -> Result<(), String> {
        if !self.address.is_ipv4() || !self.address.ip().is_loopback() {
            return Err(format!("{}: only servers on 127.0.0.0/8 are flooded", self.address));
        }
        let rates = [self.attack_rate, self.new_rate, self.returning_rate, self.known_rate, self.kept_rate];
        if rates.iter().any(|rate| !(0.0..=1e7).contains(rate)) {
            return Err("rates are from 0 to 10000000 a second".to_owned());
        }
        let spans = [self.calm, self.lead_in, self.seconds, self.after, self.timeout, self.hold];
        if spans.iter().any(|span| !(0.0..=3600.0).contains(span))
            || self.seconds <= 0.0
            || self.timeout <= 0.0
        {
            return Err("times are from 0 to 3600 seconds; --seconds and --timeout above 0".to_owned());
        }
        if self.kept == 0 || self.kept > 10_000 || self.max_open == 0 {
            return Err("--kept is from 1 to 10000, --max-open at least 1".to_owned());
        }
        Ok(())
    }

    /// Connections that attackers may have open at a time: what `--max-open` allows, or as many as can be.
    pub(crate) fn most_open(&self) -> usize {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked
        let wanted = (self.attack_rate * self.timeout.max(self.hold) * 1.1) as usize + 1000;
        wanted.min(self.max_open)
    }

    /// When the attack begins, is measured, is no longer measured, and ends; and when the run ends. Seconds after its
    /// preparation.
    pub(crate) fn parts(&self) -> Parts {
        let attack = self.calm;
        let window = attack + if self.attack.at_once { 0.0 } else { self.lead_in };
        let end = window + self.seconds;
        let after = end + self.timeout;
        Parts { attack, window, end, after, done: after + self.after }
    }
}

/// The parts of a run, by when they begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    pub(crate) attack: f64,
    pub(crate) window: f64,
    pub(crate) end: f64,
    pub(crate) after: f64,
    pub(crate) done: f64,
}

/// What `ttls-load flood --help` prints.
pub(crate) fn help() -> String {
    let mut text = HELP.to_owned();
    for attack in ATTACKS {
        // Writing to a String does not fail.
        let _ = writeln!(text, "  {:<20} {}", attack.name, attack.what);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Option<Options>, String> {
        Options::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn every_option_is_in_the_help_and_the_other_way_round() {
        for name in HELP.split_whitespace().filter(|word| word.starts_with("--")) {
            let name = name.trim_end_matches([',', ':', ';', '.']);
            let error = parse(&format!("{name} ? 127.0.0.1:1")).err().unwrap_or_default();
            assert!(!error.contains("invalid option"), "{name}: {error}");
        }
        assert!(parse("--help").unwrap().is_none());
        assert!(ATTACKS.iter().all(|attack| help().contains(attack.name)));
    }

    #[test]
    fn refuses_what_makes_no_sense() {
        for (line, reason) in [
            ("", "which server"),
            ("192.0.2.1:443", "only servers on 127"),
            ("[::1]:443", "only servers on 127"),
            ("--attack love 127.0.0.1:1", "not known"),
            ("--attack-rate -1 127.0.0.1:1", "rates are"),
            ("--new-rate nan 127.0.0.1:1", "rates are"),
            ("--seconds 0 127.0.0.1:1", "times are"),
            ("--calm inf 127.0.0.1:1", "times are"),
            ("--kept 0 127.0.0.1:1", "--kept"),
            ("--attack-cores x 127.0.0.1:1", "invalid digit"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn the_attack_outlasts_the_patience_of_the_last_one_measured() {
        let options =
            parse("--attack full --calm 2 --lead-in 1 --seconds 4 --timeout 3 --after 5 127.0.0.1:1");
        let parts = options.unwrap().unwrap().parts();
        let found = [parts.attack, parts.window, parts.end, parts.after, parts.done];
        assert_eq!(found, [2.0, 3.0, 7.0, 10.0, 15.0]);
        let parts = parse("--attack reconnect --calm 2 127.0.0.1:1").unwrap().unwrap().parts();
        assert!((parts.attack - parts.window).abs() < 1e-9, "who comes at once has no lead-in");
    }
}

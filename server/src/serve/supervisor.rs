// SPDX-License-Identifier: MIT OR Apache-2.0
//! What watches over the workers: signals, reloads, upgrades, the drain. It waits for nothing but events, so that none of
//! them waits for another: what takes long is done by threads.

use super::addresses::{self, Change, Sockets};
use super::clock::unix_time;
use super::context::Shared;
use super::log::Log;
use super::log::destination::Destination;
use super::log::sink::{Sink, Style};
use super::metrics::{Counters, Metrics};
use super::upgrade::{self, News, Predecessor};
use super::worker::{Handle, Message};
use crate::config::{Error, Source};
use crate::hosts::{self, Host};
use crate::output::print;
use crate::settings::{Fixed, Settings};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::Shutdown;
use signal_hook::consts::{SIGHUP, SIGUSR2};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;
use ttls_crypto::cpu::Cpu;

/// How often it looks at the clock at least: a clock that jumps wakes nobody.
const LOOK: Duration = Duration::from_secs(60);

/// How long a start or a reload waits for names of backends. It goes on without those that do not resolve.
pub const RESOLVE: Duration = Duration::from_secs(3);

/// What the supervisor waits for.
pub enum Event {
    /// One of this process's signals.
    Signal(i32),
    /// The configuration has been read again: settings and warnings, or what is wrong.
    Loaded(Result<(Box<Settings>, Vec<String>), Error>),
    /// Of an upgrade.
    Successor(News),
    /// Of a backend's name: the level of the line, the name, and what there is to say.
    Host(&'static str, String, String),
    /// The workers have ended.
    Drained,
}

impl Event {
    /// What a look-up has brought.
    pub fn host(host: &Host, news: &hosts::News) -> Self {
        let (level, message) = match news {
            hosts::News::Failed(error) if host.is_unknown() => {
                ("error", format!("does not resolve yet, and is tried again: {error}"))
            }
            hosts::News::Failed(error) => {
                ("warn", format!("keeps its addresses, and is tried again: {error}"))
            }
            hosts::News::Same => ("info", "resolves again".to_owned()),
            hosts::News::Found(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                ("info", format!("resolves to {}", addresses.join(", ")))
            }
        };
        Self::Host(level, host.name().to_owned(), message)
    }
}

/// How far an upgrade has come.
#[derive(Clone, Copy)]
pub enum Successor {
    /// It starts.
    Starts,
    /// It serves.
    Serves,
}

/// How far a reload has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loading {
    /// The configuration is being read.
    Once,
    /// And has to be read again: it may have changed since.
    Again,
}

/// The supervisor.
pub struct Supervisor {
    /// The configuration.
    pub source: Source,
    /// What reloads keep.
    pub fixed: Arc<Fixed>,
    /// The configuration as it is in force.
    pub settings: Arc<Settings>,
    /// Addresses with listening sockets, as they were configured.
    pub held: Vec<SocketAddr>,
    /// The workers.
    pub handles: Vec<Handle>,
    /// What they have counted.
    pub counters: Vec<Arc<Counters>>,
    /// What is told of the process.
    pub metrics: Arc<Metrics>,
    /// What they share.
    pub shared: Arc<Shared>,
    /// Where metrics are answered.
    pub scrape: Option<Arc<TcpListener>>,
    /// Its log.
    pub log: Log,
    /// What `log` writes to.
    pub sink: Arc<Sink>,
    /// All that is written to, by name.
    pub logs: Vec<(&'static str, Arc<Sink>)>,
    /// Whom this process has succeeded.
    pub predecessor: Option<Predecessor>,
    /// Who is to succeed it.
    pub successor: Option<Successor>,
    /// Connections that there were when the drain began.
    pub draining: Option<u64>,
    /// A reload under way.
    pub loading: Option<Loading>,
    /// Where threads tell of what they have done.
    pub events: Sender<Event>,
}

/// Opens the log.
///
/// # Errors
/// What open(2) says.
pub fn open_log(settings: &Settings) -> Result<Destination, Error> {
    match &settings.log_file {
        None => Destination::standard_error()
            .map_err(|e| Error::new(format!("standard error can not be written to: {e}"))),
        Some(path) => Destination::file(path, Mode::from_raw_mode(0o666))
            .map_err(|error| log_error(settings, path, error)),
    }
}

/// What open(2) said of the log's file, for the operator.
pub fn log_error(settings: &Settings, path: &Path, error: Errno) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir());
    let hint = match (error, folder) {
        (Errno::NOENT, Some(folder)) => format!(" (there is no folder {})", folder.display()),
        (Errno::ROFS, _) => " (under systemd the unit lets nothing be written: with LogsDirectory=ttls in `systemctl edit ttls` it \
                             has the folder /var/log/ttls)"
            .into(),
        _ => String::new(),
    };
    let place = &settings.places.log_file;
    Error::new(format!("{place}log.file {}: can not be opened: {error}{hint}", path.display()))
}

impl Supervisor {
    /// Serves until the workers have ended.
    pub fn run(mut self, happened: &Receiver<Event>) {
        let mut stopping = false;
        loop {
            let wait = self.move_tickets_on();
            match happened.recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) | Ok(Event::Drained) => break,
                Ok(Event::Signal(SIGHUP)) => self.reload(),
                Ok(Event::Signal(SIGUSR2)) => self.upgrade(),
                Ok(Event::Signal(_)) if stopping => {
                    self.say("warn", "stop", "at once, on a second signal");
                    self.exit();
                }
                Ok(Event::Signal(_)) => {
                    // A process that drains for its successor hears of a stop for the first time.
                    stopping = true;
                    self.drain();
                }
                Ok(Event::Loaded(result)) => self.loaded(result),
                Ok(Event::Successor(news)) => self.hear(news),
                Ok(Event::Host(level, backend, message)) => {
                    let mut line = self.log.line(unix_time(), level, "resolve");
                    line.text("backend", &backend).text("message", &message).end();
                    self.log.flush(unix_time());
                }
            }
        }
        self.stopped();
        self.close_logs();
    }

    /// Writes a line.
    pub fn say(&mut self, level: &str, event: &str, message: &str) {
        self.log.line(unix_time(), level, event).text("message", message).end();
        self.log.flush(unix_time());
    }

    /// Says that all is ready.
    pub fn ready(&mut self, bound: &[SocketAddr], demo: bool, cpu: Cpu) {
        for address in bound {
            self.log
                .line(unix_time(), "info", "listening")
                .display("address", address)
                .number("pid", std::process::id().into())
                .number("workers", self.handles.len() as u64)
                .text("cpu", cpu.name())
                .end();
            self.log.flush(unix_time());
            if demo {
                let host = match address.ip() {
                    ip if ip.is_unspecified() => "localhost".to_owned(),
                    IpAddr::V6(v6) => format!("[{v6}]"),
                    ip => ip.to_string(),
                };
                print(format_args!("Try: curl -k https://{host}:{}/\n", address.port()));
            }
        }
    }

    /// Waits for what is still to be written, as long as somebody takes it.
    fn close_logs(&self) {
        for (_, log) in &self.logs {
            log.close();
        }
    }

    /// Ends the process in the middle of its work.
    fn exit(&self) -> ! {
        self.close_logs();
        std::process::exit(1);
    }

    /// Moves ticket keys on; says how long they are good, or until the clock is to be looked at again.
    fn move_tickets_on(&mut self) -> Duration {
        let now = unix_time();
        let tickets = &self.shared.tickets;
        if tickets.are_ahead(now)
            && let Some(derived) = &self.settings.tickets
        {
            // Keys of the time that is now are forgotten: back to the secret.
            let message = match derived.source.derive(now) {
                Ok(keys) => {
                    tickets.set(keys);
                    "the clock was set back: ticket keys are derived anew".to_owned()
                }
                Err((_, error)) => {
                    format!("the clock was set back, and ticket keys can not be derived anew: {error}")
                }
            };
            self.say("warn", "tickets", &message);
            return LOOK;
        }
        Duration::from_millis(tickets.advance(now).saturating_sub(now)).clamp(Duration::from_millis(1), LOOK)
    }

    /// Reads the configuration again. What is asked for meanwhile is done once, afterwards.
    fn reload(&mut self) {
        if self.draining.is_some() {
            return;
        }
        if self.loading.is_some() {
            self.loading = Some(Loading::Again);
            return;
        }
        let (source, fixed, events) = (self.source.clone(), Arc::clone(&self.fixed), self.events.clone());
        let load = move || {
            let mut warnings = Vec::new();
            let settings = Settings::build(&source, &fixed, &mut warnings);
            // Names are looked up anew; what is known is in use meanwhile.
            fixed.hosts.refresh();
            fixed.hosts.wait(RESOLVE);
            let _ = events.send(Event::Loaded(settings.map(|settings| (Box::new(settings), warnings))));
        };
        match thread::Builder::new().name("ttls-reload".into()).spawn(load) {
            Ok(_) => self.loading = Some(Loading::Once),
            Err(error) => self.refuse(&format!("thread: {error}")),
        }
    }

    fn loaded(&mut self, result: Result<(Box<Settings>, Vec<String>), Error>) {
        let again = self.loading.take() == Some(Loading::Again);
        if self.draining.is_some() {
            return;
        }
        match result {
            Ok((settings, warnings)) => self.apply(Arc::new(*settings), warnings),
            Err(error) => self.refuse(&error.to_string()),
        }
        if again {
            self.reload();
        }
    }

    fn refuse(&mut self, error: &str) {
        self.metrics.reloaded(false, unix_time());
        self.say("error", "reload", &format!("the old configuration stays: {error}"));
    }

    /// Puts a configuration into force, as far as that is possible: a log or an address that can not be opened is no reason to
    /// keep old certificates.
    fn apply(&mut self, settings: Arc<Settings>, mut warnings: Vec<String>) {
        self.warn_of_what_stays(&settings, &mut warnings);
        let mut problems = Vec::new();
        match open_log(&settings) {
            Ok(log) => self.sink.redirect(log, Style::Log(settings.log.format)),
            Err(error) => problems.push(format!("{error}; the log goes where it went")),
        }
        self.log.reconfigure(settings.log.format, 0);
        let Change { open, mut retire } = Change::between(&self.held, &settings.listen);
        let mut sockets: Sockets = self.handles.iter().map(|_| Vec::new()).collect();
        let mut opened = Vec::new();
        for address in open {
            let bound = addresses::probe(&[address], &self.held)
                .and_then(|()| addresses::open(address, &settings.listener, &self.held, &mut sockets));
            match bound {
                Ok((_, is_present)) => {
                    opened.push(address);
                    if !is_present {
                        warnings.push(addresses::absent(address));
                    }
                }
                Err(failure) => problems.push(failure.of("listen").to_string()),
            }
        }
        if !problems.is_empty() && !retire.is_empty() {
            let kept: Vec<_> = retire.iter().map(ToString::to_string).collect();
            problems.push(format!("still listening on {}, too", kept.join(", ")));
            retire.clear();
        }
        self.held.retain(|address| !retire.contains(address));
        self.held.extend(opened);
        self.change_tickets(&settings);
        self.fixed.hosts.set_interval(settings.timeouts.resolve);
        for (handle, add) in self.handles.iter().zip(sockets) {
            handle.send(Message::Reload { settings: Arc::clone(&settings), add, retire: retire.clone() });
        }
        self.metrics.configured(&settings);
        self.settings = settings;
        for warning in &warnings {
            self.say("warn", "configuration", warning);
        }
        self.metrics.reloaded(problems.is_empty(), unix_time());
        if problems.is_empty() {
            self.say("info", "reload", "done");
        } else {
            self.say("error", "reload", &format!("done, except for this: {}", problems.join("; ")));
        }
    }

    /// Adds what takes effect at the next start.
    fn warn_of_what_stays(&self, settings: &Settings, warnings: &mut Vec<String>) {
        let old = &self.settings;
        let prefixes = |s: &Settings| (s.limits.per_prefix, s.limits.ipv4_prefix, s.limits.ipv6_prefix);
        for (stays, what) in [
            (settings.workers != old.workers, "`workers` has changed"),
            (settings.metrics != old.metrics, "`metrics.listen` has changed"),
            (settings.limits.connections > old.limits.connections, "`limits.connections` has grown"),
            (prefixes(settings) != prefixes(old), "`limits.per_prefix` has changed"),
        ] {
            if stays {
                warnings.push(format!("{what}: it takes effect at restart"));
            }
        }
    }

    fn change_tickets(&self, settings: &Settings) {
        let Some(new) = &settings.tickets else { return };
        let keys = new.take();
        let old = self.settings.tickets.as_ref().map(|old| &old.source);
        // A random secret stays as long as nothing else changes.
        if let Some(keys) = keys.filter(|_| new.source.secret.is_some() || old != Some(&new.source)) {
            self.shared.tickets.set(keys);
        }
    }

    fn upgrade(&mut self) {
        if self.draining.is_some() {
            return;
        }
        if self.successor.is_some() {
            return self.say("warn", "upgrade", "the new program is starting already");
        }
        let events = self.events.clone();
        match upgrade::start(move |news| drop(events.send(Event::Successor(news)))) {
            Ok(()) => {
                self.successor = Some(Successor::Starts);
                self.say("info", "upgrade", "the new program starts");
            }
            Err(error) => {
                self.say("error", "upgrade", &format!("the old program goes on: the new one: {error}"))
            }
        }
    }

    fn hear(&mut self, news: News) {
        match (news, self.successor) {
            (News::Serves, _) => {
                self.successor = Some(Successor::Serves);
                self.drain();
            }
            (News::Ended, Some(Successor::Serves)) => {
                // Nobody serves any more. A service manager starts the program again once this process is gone, too.
                self.say("error", "stop", "at once: the new program has ended");
                self.exit();
            }
            (News::Ended, _) => {
                self.successor = None;
                let message = "the old program goes on: the new one has ended without serving";
                self.say("error", "upgrade", message);
            }
        }
    }

    fn drain(&mut self) {
        if self.draining.is_some() {
            return;
        }
        let connections = self.counters.iter().map(|counters| counters.connections.get()).sum();
        self.draining = Some(connections);
        self.metrics.drain();
        self.log
            .line(unix_time(), "info", "drain")
            .text("message", "no new connections")
            .number("connections", connections)
            .end();
        self.log.flush(unix_time());
        if let Some(predecessor) = self.predecessor {
            predecessor.leave();
        }
        if let (Some(scrape), Some(Successor::Serves)) = (&self.scrape, self.successor) {
            // Metrics are the successor's.
            let _ = rustix::net::shutdown(scrape, Shutdown::Read);
        }
        for handle in &self.handles {
            handle.send(Message::Drain(self.settings.timeouts.drain));
        }
    }

    /// Says how the drain has ended.
    fn stopped(&mut self) {
        let cut: u64 = self.counters.iter().map(|counters| counters.cut.get()).sum();
        let (level, message) = match cut {
            0 => ("info", "drained"),
            _ => ("warn", "timeouts.drain is over: connections that were still open have been cut"),
        };
        self.log
            .line(unix_time(), level, "stop")
            .text("message", message)
            .number("connections", self.draining.unwrap_or(0))
            .number("cut", cut)
            .end();
        self.log.flush(unix_time());
    }
}

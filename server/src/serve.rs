// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls serve`: the supervisor of the workers.

pub mod clock;
pub mod connection;
pub mod context;
pub mod http;
pub mod jobs;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod negotiation;
pub mod outcome;
pub mod page;
pub mod pool;
pub mod proxy_protocol;
pub mod random;
pub mod record_plan;
pub mod relay;
pub mod remote;
pub mod scrape;
pub mod slab;
pub mod socket;
pub mod sources;
pub mod timers;
pub mod upgrade;
pub mod worker;

use crate::config::schema::Cpu as CpuName;
use crate::config::{Error, Source};
use crate::keylog::KeyLogFile;
use crate::output::print;
use crate::settings::{Fixed, Settings};
use crate::{notify, privileges};
use clock::unix_time;
use context::Shared;
use log::Log;
use log::destination::Destination;
use log::sink::{Sink, Style};
use metrics::{Counters, Metrics};
use rustix::fd::OwnedFd;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::net::Shutdown;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;
use sources::Sources;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::thread;
use ttls_crypto::cpu::{Choice, Cpu};
use upgrade::{News, Predecessor};
use worker::{Handle, Message, Parts, Worker};

/// Serves until SIGTERM, and drains.
///
/// # Errors
/// What keeps it from starting.
pub fn run(source: &Source, fixed: &Fixed, keylog: Option<&Path>) -> Result<(), Error> {
    let predecessor = Predecessor::find().map_err(|e| Error::new(format!("upgrade: {e}")))?;
    let mut warnings = Vec::new();
    let settings = Arc::new(Settings::build(source, fixed, &mut warnings)?);
    let cpu = choose_cpu(settings.cpu)?;
    let keylog = match keylog {
        None => None,
        Some(path) => Some(
            KeyLogFile::open(path)
                .map_err(|e| Error::new(format!("--keylog {}: can not be opened: {e}", path.display())))?,
        ),
    };
    raise_descriptor_limit();
    let sink = Sink::new(open_log(&settings)?, Style::Log(settings.log.format)).map_err(system)?;
    let mut logs = vec![("log", Arc::clone(&sink))];
    logs.extend(keylog.iter().map(|keylog| ("keylog", Arc::clone(keylog.sink()))));
    let mut sockets: Vec<Vec<(SocketAddr, OwnedFd)>> = (0..settings.workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for &address in &settings.listen {
        addresses.push(bind_for_all(address, &settings, predecessor, &mut sockets)?);
    }
    let scrape = match settings.metrics {
        None => None,
        Some(address) => {
            let bound = alone(address, predecessor).and_then(|()| scrape::bind(address));
            Some(Arc::new(
                bound.map_err(|e| Error::new(format!("metrics.listen {address}: {e}{}", hint(e))))?,
            ))
        }
    };
    // From here on there are signals to look after and threads to come: the last moment to change the user.
    privileges::drop_to(settings.user.as_deref(), settings.group.as_deref()).map_err(Error::new)?;
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGUSR2])
        .map_err(|e| Error::new(format!("signals can not be handled: {e}")))?;
    for (_, log) in &logs {
        log.start().map_err(|e| Error::new(format!("thread: {e}")))?;
    }

    let shared = Arc::new(Shared { connections: AtomicUsize::new(0), sources: sources(&settings) });
    let mut counters = Vec::new();
    let mut handles = Vec::new();
    let mut threads = Vec::new();
    let (started, all_started) = mpsc::channel();
    for listeners in sockets {
        let (sender, receiver) = mpsc::channel();
        let wake = Arc::new(worker::wake_fd().map_err(system)?);
        let own = Arc::new(Counters::default());
        counters.push(Arc::clone(&own));
        handles.push(Handle { sender, wake: Arc::clone(&wake) });
        let parts = Parts {
            settings: Arc::clone(&settings),
            workers: settings.workers,
            listeners,
            receiver,
            wake,
            counters: own,
            shared: Arc::clone(&shared),
            sink: Arc::clone(&sink),
            keylog: keylog.clone(),
            cpu,
        };
        let started = started.clone();
        let start = move || match Worker::new(parts) {
            Ok(worker) => {
                let _ = started.send(Ok(()));
                worker.run();
            }
            Err(error) => drop(started.send(Err(error))),
        };
        let name = format!("ttls-{}", threads.len());
        threads.push(
            thread::Builder::new().name(name).spawn(start).map_err(|e| Error::new(format!("thread: {e}")))?,
        );
    }
    for result in all_started.iter().take(threads.len()) {
        result.map_err(|e| Error::new(format!("a worker can not start: {e}")))?;
    }
    if let Some(listener) = scrape.clone() {
        let metrics = Metrics { workers: counters, logs: logs.clone() };
        thread::spawn(move || scrape::serve(&listener, &metrics));
    }

    let log = Log::new(Arc::clone(&sink), settings.log.format, 0);
    let mut supervisor = Supervisor {
        settings,
        logs,
        sink,
        handles,
        addresses,
        scrape,
        log,
        predecessor,
        successor: None,
        draining: false,
    };
    for warning in &warnings {
        supervisor.say("warn", "configuration", warning);
    }
    if keylog.is_some() {
        supervisor.say("warn", "keylog", "the secrets of every connection are being written to a file");
    }
    supervisor.ready(fixed.demo.is_some(), cpu);
    if let Err(error) = notify::ready() {
        supervisor.say(
            "error",
            "notify",
            &format!("systemd does not hear that this service has started: {error}"),
        );
    }
    if let Some(predecessor) = predecessor {
        predecessor.relieve();
    }
    let (events, happened) = mpsc::channel();
    let heard = events.clone();
    thread::spawn(move || {
        for signal in &mut signals {
            let _ = heard.send(Event::Signal(signal));
        }
    });
    let heard = events.clone();
    thread::spawn(move || {
        for thread in threads {
            let _ = thread.join();
        }
        let _ = heard.send(Event::Drained);
    });
    let mut stopping = false;
    for event in happened {
        match event {
            Event::Drained => break,
            Event::Signal(SIGHUP) if !supervisor.draining => supervisor.reload(source, fixed),
            Event::Signal(SIGUSR2) if !supervisor.draining => supervisor.upgrade(&events),
            Event::Signal(SIGHUP | SIGUSR2) => {}
            Event::Signal(_) if stopping => {
                supervisor.say("warn", "stop", "at once, on a second signal");
                supervisor.exit();
            }
            Event::Signal(_) => {
                stopping = true;
                supervisor.drain();
            }
            Event::Successor(news) => supervisor.hear(news),
        }
    }
    supervisor.say("info", "stop", "drained");
    supervisor.close_logs();
    Ok(())
}

fn sources(settings: &Settings) -> Sources {
    let limits = &settings.limits;
    Sources::new(limits.per_prefix, limits.ipv4_prefix, limits.ipv6_prefix)
}

fn system(error: Errno) -> Error {
    Error::new(format!("system: {error}"))
}

fn open_log(settings: &Settings) -> Result<Destination, Error> {
    match &settings.log_file {
        None => Destination::standard_error()
            .map_err(|e| Error::new(format!("standard error can not be written to: {e}"))),
        Some(path) => Destination::file(path, Mode::from_raw_mode(0o666))
            .map_err(|e| Error::new(format!("log.file {}: can not be opened: {e}", path.display()))),
    }
}

/// Which code computes public-key work: as configured, as TTLS_CPU says, or the best there is.
fn choose_cpu(configured: Option<CpuName>) -> Result<Cpu, Error> {
    let choice = match (configured, std::env::var("TTLS_CPU")) {
        (Some(CpuName::Best), _) => Choice::Best,
        (Some(CpuName::Ifma), _) => Choice::Ifma,
        (Some(CpuName::AvxIfma), _) => Choice::AvxIfma,
        (Some(CpuName::Avx2), _) => Choice::Avx2,
        (Some(CpuName::Scalar), _) => Choice::Scalar,
        (None, Ok(name)) => Choice::from_name(&name).ok_or_else(|| {
            Error::new(format!("TTLS_CPU={name}: it is best, ifma, avx-ifma, avx2 or scalar"))
        })?,
        (None, Err(_)) => Choice::Best,
    };
    Cpu::detect(choice).map_err(|missing| Error::new(format!("cpu: {missing}; use \"best\"")))
}

/// Two descriptors per connection are soon more than the usual soft limit.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Opens a listening socket for each worker. All get the same port, also where the kernel chooses it.
fn bind_for_all(
    address: SocketAddr,
    settings: &Settings,
    predecessor: Option<Predecessor>,
    sockets: &mut [Vec<(SocketAddr, OwnedFd)>],
) -> Result<SocketAddr, Error> {
    let mut bound = address;
    let failed = |e| Error::new(format!("listen {address}: {e}{}", hint(e)));
    alone(address, predecessor).map_err(failed)?;
    for worker in sockets {
        let fd = listener::open(bound, &settings.listener).map_err(failed)?;
        if bound.port() == 0 {
            let local = rustix::net::getsockname(&fd).map_err(system)?;
            bound = local.try_into().map_err(|_| Error::new("listen: not an internet address"))?;
        }
        worker.push((address, fd));
    }
    Ok(bound)
}

/// Makes sure that nobody but the predecessor listens there.
fn alone(address: SocketAddr, predecessor: Option<Predecessor>) -> Result<(), Errno> {
    if predecessor.is_some() { Ok(()) } else { listener::probe(address) }
}

fn hint(error: Errno) -> &'static str {
    match error {
        Errno::ACCESS => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
        Errno::ADDRINUSE => " (another program listens there)",
        _ => "",
    }
}

/// What the supervisor waits for.
enum Event {
    Signal(i32),
    Successor(News),
    /// The workers have ended.
    Drained,
}

/// How far an upgrade has come.
#[derive(Clone, Copy)]
enum Successor {
    Starts,
    Serves,
}

struct Supervisor {
    settings: Arc<Settings>,
    handles: Vec<Handle>,
    /// As bound.
    addresses: Vec<SocketAddr>,
    /// Where it answers with metrics.
    scrape: Option<Arc<TcpListener>>,
    log: Log,
    /// What `log` writes to.
    sink: Arc<Sink>,
    /// All that is written to, by name.
    logs: Vec<(&'static str, Arc<Sink>)>,
    predecessor: Option<Predecessor>,
    successor: Option<Successor>,
    draining: bool,
}

impl Supervisor {
    fn say(&mut self, level: &str, event: &str, message: &str) {
        self.log.line(unix_time(), level, event).text("message", message).end();
        self.log.flush(unix_time());
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

    fn ready(&mut self, demo: bool, cpu: Cpu) {
        for &address in &self.addresses {
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
                    std::net::IpAddr::V6(v6) => format!("[{v6}]"),
                    ip => ip.to_string(),
                };
                print(format_args!("Try: curl -k https://{host}:{}/\n", address.port()));
            }
        }
    }

    /// Everything new is built and bound before anything old goes.
    fn reload(&mut self, source: &Source, fixed: &Fixed) {
        match self.prepare(source, fixed) {
            Ok(warnings) => {
                for warning in &warnings {
                    self.say("warn", "configuration", warning);
                }
                self.say("info", "reload", "done");
            }
            Err(error) => {
                self.say("error", "reload", &format!("the old configuration stays: {error}"));
            }
        }
    }

    fn prepare(&mut self, source: &Source, fixed: &Fixed) -> Result<Vec<String>, Error> {
        let mut warnings = Vec::new();
        let settings = Arc::new(Settings::build(source, fixed, &mut warnings)?);
        if settings.workers != self.settings.workers {
            warnings.push("`workers` has changed: it takes effect at restart".into());
        }
        if settings.metrics != self.settings.metrics {
            warnings.push("`metrics.listen` has changed: it takes effect at restart".into());
        }
        if settings.limits.connections > self.settings.limits.connections {
            warnings.push("`limits.connections` has grown: it takes effect at restart".into());
        }
        let prefixes = |s: &Settings| (s.limits.per_prefix, s.limits.ipv4_prefix, s.limits.ipv6_prefix);
        if prefixes(&settings) != prefixes(&self.settings) {
            warnings.push("`limits.per_prefix` has changed: it takes effect at restart".into());
        }
        let old = &self.settings.listen;
        let mut sockets: Vec<Vec<(SocketAddr, OwnedFd)>> = self.handles.iter().map(|_| Vec::new()).collect();
        for &address in settings.listen.iter().filter(|address| !old.contains(address)) {
            bind_for_all(address, &settings, None, &mut sockets)?;
        }
        let retire: Vec<_> =
            old.iter().filter(|address| !settings.listen.contains(address)).copied().collect();
        match open_log(&settings) {
            Ok(log) => self.sink.redirect(log, Style::Log(settings.log.format)),
            Err(error) => warnings.push(format!("{error}; the log goes where it went")),
        }
        self.log.reconfigure(settings.log.format, 0);
        for (handle, add) in self.handles.iter().zip(sockets) {
            handle.send(Message::Reload { settings: Arc::clone(&settings), add, retire: retire.clone() });
        }
        self.settings = settings;
        Ok(warnings)
    }

    fn upgrade(&mut self, events: &mpsc::Sender<Event>) {
        if self.successor.is_some() {
            return self.say("warn", "upgrade", "the new program is starting already");
        }
        let events = events.clone();
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
                self.say(
                    "error",
                    "upgrade",
                    "the old program goes on: the new one has ended without serving",
                );
            }
        }
    }

    fn drain(&mut self) {
        if std::mem::replace(&mut self.draining, true) {
            return;
        }
        self.say("info", "drain", "no new connections");
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
}

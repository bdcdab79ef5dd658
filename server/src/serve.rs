// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls serve`: the supervisor of the workers.
pub mod addresses;
pub mod admission;
pub mod clock;
pub mod connection;
pub mod context;
pub mod count;
pub mod http;
pub mod jobs;
pub mod listener;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod negotiation;
pub mod offer;
pub mod outcome;
pub mod page;
pub mod pool;
pub mod proxy_protocol;
pub mod random;
pub mod receiving;
pub mod record_plan;
pub mod relay;
pub mod remote;
pub mod scrape;
pub mod sending;
pub mod slab;
pub mod socket;
pub mod sources;
pub mod stalled;
pub mod supervisor;
pub mod syn_filter;
pub mod timers;
pub mod upgrade;
pub mod worker;

use crate::config::schema::Cpu as CpuName;
use crate::config::{Error, Source};
use crate::keylog::KeyLogFile;
use crate::settings::{Fixed, Settings};
use crate::tickets::Tickets;
use crate::{notify, privileges};
use addresses::Sockets;
use clock::unix_time;
use context::Shared;
use count::Count;
use log::Log;
use log::destination::Destination;
use log::sink::{Sink, Style};
use metrics::{ByRoute, Counters, Metrics};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;
use sources::Sources;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc;
use std::thread;
use supervisor::{Event, RESOLVE, Supervisor, open_log};
use ttls_crypto::cpu::{Choice, Cpu};
use upgrade::Predecessor;
use worker::{Handle, Parts, Worker};

/// Why it does not serve.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with the configuration, and stays wrong.
    Configuration(Error),
    /// It may be otherwise in a moment: an address that another program is about to leave, a system without room.
    Temporary(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Configuration(error)
    }
}

/// Serves until SIGTERM, and drains.
///
/// # Errors
/// What keeps it from starting.
pub fn run(source: &Source, fixed: Fixed, keylog: Option<&Path>) -> Result<(), Failure> {
    let predecessor = Predecessor::find().map_err(|e| temporary("upgrade", e))?;
    // A signal that comes while this process starts is for when it has started.
    let signals = Signals::new([SIGHUP, SIGUSR2]).map_err(|e| temporary("signals", e))?;
    let started = unix_time();
    let fixed = Arc::new(fixed);
    let mut warnings = Vec::new();
    let settings = Arc::new(Settings::build(source, &fixed, &mut warnings)?);
    let cpu = choose_cpu(settings.cpu)?;
    let user = find_user(&settings)?;
    let keylog = match keylog {
        None => None,
        Some(path) => Some(
            KeyLogFile::open(path)
                .map_err(|e| Error::new(format!("--keylog {}: can not be opened: {e}", path.display())))?,
        ),
    };
    warnings.extend(raise_descriptor_limit(&settings));
    let destination = open_log(&settings)?;
    if settings.log_file.is_some() {
        user.give(&destination);
    }
    let sink = Sink::new(destination, Style::Log(settings.log.format)).map_err(|e| temporary("log", e))?;
    let mut logs = vec![("log", Arc::clone(&sink))];
    logs.extend(keylog.iter().map(|keylog| ("keylog", Arc::clone(keylog.sink()))));

    let opened = open_addresses(&settings, predecessor, &mut warnings)?;
    opened.sockets.iter().flatten().for_each(|(_, fd)| user.give(fd));
    opened.scrape.iter().for_each(|listener| user.give(listener));
    // Keys are read and addresses bound. From here on there are threads: the last moment to change the user.
    user.assume().map_err(Error::new)?;
    // Clients may be waiting: from here on its end is orderly.
    for signal in [SIGTERM, SIGINT] {
        signals.add_signal(signal).map_err(|e| temporary("signals", e))?;
    }
    for (_, log) in &logs {
        log.start().map_err(|e| temporary("thread", e))?;
    }

    let (events, happened) = mpsc::channel();
    fixed.hosts.set_interval(settings.timeouts.resolve);
    let (hosts, tell) = (Arc::clone(&fixed), events.clone());
    thread::Builder::new()
        .name("ttls-hosts".into())
        .spawn(move || hosts.hosts.keep(&|host, news| drop(tell.send(Event::host(host, news)))))
        .map_err(|e| temporary("thread", e))?;
    fixed.hosts.wait(RESOLVE);

    let shared = Arc::new(Shared {
        connections: Count::default(),
        sources: Arc::new(sources(&settings)),
        routes: Arc::new(ByRoute::default()),
        tickets: Tickets::default(),
        descriptors: descriptors_for_connections(),
        shortage_told: AtomicU64::new(0),
    });
    if let Some(keys) = settings.tickets.as_ref().and_then(|tickets| tickets.take()) {
        shared.tickets.set(keys);
    }
    let mut counters = Vec::new();
    let mut handles = Vec::new();
    let mut threads = Vec::new();
    let (ready, all_ready) = mpsc::channel();
    for listeners in opened.sockets {
        let (sender, receiver) = mpsc::channel();
        let wake = Arc::new(worker::wake_fd().map_err(|e| temporary("system", e))?);
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
        let ready = ready.clone();
        let start = move || match Worker::new(parts) {
            Ok(worker) => {
                let _ = ready.send(Ok(()));
                worker.run();
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let name = format!("ttls-{}", threads.len());
        threads.push(thread::Builder::new().name(name).spawn(start).map_err(|e| temporary("thread", e))?);
    }
    for result in all_ready.iter().take(threads.len()) {
        result.map_err(|e| temporary("a worker can not start", e))?;
    }
    let routes = Arc::clone(&shared.routes);
    let metrics = Arc::new(Metrics::new(counters.clone(), routes, logs.clone(), cpu.name(), started));
    metrics.configured(&settings);
    if let Some(listener) = opened.scrape.clone() {
        let metrics = Arc::clone(&metrics);
        let serve = move || scrape::serve(&listener, &metrics);
        thread::Builder::new().spawn(serve).map_err(|e| temporary("thread", e))?;
    }

    let log = Log::new(Arc::clone(&sink), settings.log.format, 0);
    let demo = fixed.demo.is_some();
    let mut supervisor = Supervisor {
        source: source.clone(),
        fixed,
        held: settings.listen.clone(),
        settings,
        handles,
        counters,
        metrics,
        shared,
        scrape: opened.scrape,
        log,
        sink,
        logs,
        predecessor,
        successor: None,
        draining: None,
        loading: None,
        events: events.clone(),
    };
    for warning in &warnings {
        supervisor.say("warn", "configuration", warning);
    }
    if keylog.is_some() {
        supervisor.say("warn", "keylog", "the secrets of every connection are being written to a file");
    }
    supervisor.ready(&opened.bound, demo, cpu);
    if let Err(error) = notify::ready() {
        let message = format!("systemd does not hear that this service has started: {error}");
        supervisor.say("error", "notify", &message);
    }
    if let Some(predecessor) = predecessor {
        predecessor.relieve();
    }
    forward(signals, threads, &events);
    supervisor.run(&happened);
    Ok(())
}

/// What a start would refuse of settings that are good in themselves. What it would warn of is added to `warnings`.
///
/// # Errors
/// A user that there is not, a log that can not be opened, code that the CPU can not run: all of them.
pub fn check(settings: &Settings, warnings: &mut Vec<String>) -> Result<(), Error> {
    let log = || {
        let Some(path) = &settings.log_file else { return Ok(()) };
        Destination::try_file(path).map_err(|error| supervisor::log_error(settings, path, error))
    };
    let user = find_user(settings).map(|user| warnings.extend(user.obstacle()));
    let results = [choose_cpu(settings.cpu).map(drop), user, log()];
    let errors: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    if !errors.is_empty() {
        return Err(Error::several(errors));
    }
    warnings.extend(Descriptors::of(settings).shortage(settings));
    Ok(())
}

/// Whom to change to.
fn find_user(settings: &Settings) -> Result<privileges::Target, Error> {
    let (user, group) = (settings.user.as_deref(), settings.group.as_deref());
    let at = |place: &str, what: String| Error::new(format!("{place}{what}"));
    privileges::Target::find(user, None).map_err(|what| at(&settings.places.user, what))?;
    privileges::Target::find(user, group).map_err(|what| at(&settings.places.group, what))
}

/// Tells of signals, and of the workers' end.
fn forward(mut signals: Signals, workers: Vec<thread::JoinHandle<()>>, events: &mpsc::Sender<Event>) {
    let heard = events.clone();
    thread::spawn(move || {
        for signal in &mut signals {
            let _ = heard.send(Event::Signal(signal));
        }
    });
    let heard = events.clone();
    thread::spawn(move || {
        for worker in workers {
            let _ = worker.join();
        }
        let _ = heard.send(Event::Drained);
    });
}

fn temporary(what: &str, error: impl std::fmt::Display) -> Failure {
    Failure::Temporary(Error::new(format!("{what}: {error}")))
}

fn sources(settings: &Settings) -> Sources {
    let limits = &settings.limits;
    Sources::new(limits.per_prefix, limits.ipv4_prefix, limits.ipv6_prefix)
}

/// What is open once all addresses are.
struct Opened {
    sockets: Sockets,
    /// Addresses as bound.
    bound: Vec<SocketAddr>,
    scrape: Option<Arc<TcpListener>>,
}

fn open_addresses(
    settings: &Settings,
    predecessor: Option<Predecessor>,
    warnings: &mut Vec<String>,
) -> Result<Opened, Failure> {
    let failed = |key: &str, failure: addresses::Failure| match failure.is_temporary() {
        true => Failure::Temporary(failure.of(key)),
        false => Failure::Configuration(failure.of(key)),
    };
    // The predecessor has them, and nobody else.
    if predecessor.is_none() {
        addresses::probe(&settings.listen, &[]).map_err(|failure| failed("listen", failure))?;
        addresses::probe(settings.metrics.as_slice(), &[])
            .map_err(|failure| failed("metrics.listen", failure))?;
    }
    let mut sockets: Sockets = (0..settings.workers).map(|_| Vec::new()).collect();
    let mut bound = Vec::new();
    for &address in &settings.listen {
        let (address, is_present) = addresses::open(address, &settings.listener, &[], &mut sockets)
            .map_err(|failure| failed("listen", failure))?;
        bound.push(address);
        if !is_present {
            warnings.push(addresses::absent(address));
        }
    }
    let scrape = match settings.metrics {
        None => None,
        Some(address) => Some(Arc::new(
            scrape::bind(address)
                .map_err(|error| failed("metrics.listen", addresses::Failure::new(address, error)))?,
        )),
    };
    Ok(Opened { sockets, bound, scrape })
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

/// Descriptors that may be needed, and those that the process may have.
pub struct Descriptors {
    /// With all connections that are allowed.
    pub needed: usize,
    /// The hard limit; `None` for any number.
    pub allowed: Option<u64>,
}

impl Descriptors {
    /// Of a process with these settings: two for each connection, some for each worker.
    pub fn of(settings: &Settings) -> Self {
        let workers = settings.workers * (settings.listen.len() + 2);
        let needed = 2 * settings.limits.connections + workers + SPARE_DESCRIPTORS;
        Self { needed, allowed: getrlimit(Resource::Nofile).maximum }
    }

    /// What there is to say if there may be too few.
    fn shortage(&self, settings: &Settings) -> Option<String> {
        let (connections, needed) = (settings.limits.connections, self.needed);
        let allowed = self.allowed.filter(|&allowed| allowed < needed as u64)?;
        Some(format!(
            "limits.connections is {connections}, for which {needed} descriptors may be needed, but the process may have {allowed}: \
             raise LimitNOFILE= or `ulimit -n`, or lower the limit"
        ))
    }
}

/// The usual soft limit is soon used up. Warns if the hard one may be, too.
fn raise_descriptor_limit(settings: &Settings) -> Option<String> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    Descriptors::of(settings).shortage(settings)
}

/// Descriptors for logs, metrics, and files that are read at a reload.
const SPARE_DESCRIPTORS: usize = 64;

/// The first descriptor that is not for connections.
fn descriptors_for_connections() -> RawFd {
    let limit = getrlimit(Resource::Nofile)
        .current
        .map_or(RawFd::MAX, |limit| limit.try_into().unwrap_or(RawFd::MAX));
    let spare = RawFd::try_from(SPARE_DESCRIPTORS).unwrap_or(0).min(limit / 4);
    limit - spare
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration made ready: files read, names resolved, everything checked. Built whole or not at all.

pub mod routes;
pub mod rules;
mod together;

use crate::certificates::Store;
use crate::client_auth::Trust;
use crate::config::source::Written;
use crate::config::values::{Backend, Time};
use crate::config::{Error, Source, schema};
use crate::hosts::Hosts;
use crate::serve::clock::unix_time;
use crate::serve::listener;
use crate::serve::proxy_protocol::Numbers;
use crate::tickets::{Derived, Source as TicketSource};
use crate::{demo, files};
use routes::{Route, Routes, Target};
use rules::Rules;
use rustix::net::SocketAddrUnix;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use ttls::Policy;
use ttls::config::{ClientCertificate, List, PolicyError, UnknownName};
use ttls_crypto::wipe::{Depth, wiping_stack};

/// Time-outs in milliseconds; zero for none where the reference allows it.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From accept to the end of the ClientHello.
    pub hello: u64,
    /// From accept to the end of the handshake.
    pub handshake: u64,
    /// For connecting to the backend.
    pub connect: u64,
    /// Without a byte.
    pub idle: u64,
    /// For the other side's end, once everything is sent.
    pub close: u64,
    /// After SIGTERM.
    pub drain: u64,
    /// Between look-ups of backends' names.
    pub resolve: u64,
}

/// What to do when there is more to do than can be done; times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// Delay of handshakes that is none yet.
    pub target: u64,
    /// For how long the delay stands above it in overload.
    pub interval: u64,
    /// For how long clients wait.
    pub patience: u64,
    /// For how long an address is remembered after it used a connection.
    pub standing: u64,
    /// Have listening sockets choose whom they answer.
    pub refuse_syn: bool,
}

/// Everything that workers need to know, and that a reload replaces.
pub struct Settings {
    /// What the TLS core may do.
    pub policy: Policy,
    /// Certificates and keys.
    pub store: Store,
    /// Ticket keys, and where they come from; `None` for no tickets.
    pub tickets: Option<Derived>,
    /// Judges client certificates.
    pub clients: Option<Arc<Trust>>,
    /// Backends.
    pub routes: Routes,
    /// Whom to let in, refuse or ration.
    pub rules: Rules,
    /// PROXY protocol.
    pub proxy: schema::ProxyProtocol,
    /// Numbers of its TLVs.
    pub tlvs: Numbers,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: schema::Limits,
    /// What to do in overload.
    pub overload: Overload,
    /// Log.
    pub log: schema::Log,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// How to listen.
    pub listener: listener::Options,
    /// Where metrics are served.
    pub metrics: Option<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// Public-key code.
    pub cpu: Option<schema::Cpu>,
    /// User and group to change to.
    pub user: Option<String>,
    /// Group to change to.
    pub group: Option<String>,
    /// The log's file, absolute or relative to the working folder.
    pub log_file: Option<PathBuf>,
    /// Where it is written what a start may refuse although it is good in itself.
    pub places: Places,
}

/// Where keys are written, as `FILE:LINE: ` or `--flag value: `, for messages; empty for keys that are not.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// `user`
    pub user: String,
    /// `group`
    pub group: String,
    /// `log.file`
    pub log_file: String,
}

/// What start-up decides once, and reloads keep.
pub struct Fixed {
    /// `--demo`: certificate, backend and address have defaults.
    pub demo: Option<demo::Identity>,
    /// Backends' names and their addresses.
    pub hosts: Hosts,
}

impl Settings {
    /// Reads, checks and prepares everything; names of backends are [`Fixed::hosts`]' to look up. What is doubtful but works is added to `warnings`.
    ///
    /// # Errors
    /// All that can not work, and where it is written.
    pub fn build(source: &Source, fixed: &Fixed, warnings: &mut Vec<String>) -> Result<Self, Error> {
        // Keys are read, and moved to where they stay.
        wiping_stack(Depth::Rsa, || Self::prepare(source, fixed, warnings))
    }

    fn prepare(source: &Source, fixed: &Fixed, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let written = source.read()?;
        let config = &written.config;
        let mut wrong = Wrong(Vec::new());
        let store = wrong.keep(store(&written, fixed, warnings));
        let routes = routes(&written, fixed, &mut wrong);
        let listen = listen(&written, fixed, &mut wrong);
        let clients = wrong.keep(Trust::load(&written, warnings));
        let policy = wrong.keep(policy(&written, fixed.demo.is_some()));
        let tickets = wrong.keep(tickets(&written, warnings));
        let timeouts = wrong.keep(timeouts(&written));
        let limits = wrong.keep(limits(&written));
        let overload = wrong.keep(overload(&written));
        let tlvs = wrong.keep(tlvs(&written));
        let rules = wrong.keep(Rules::of(&written));
        let workers = wrong.keep(workers(&written));
        if let (Some(policy), Some(store)) = (&policy, &store) {
            wrong.keep(together::suites(&written, policy, store, warnings));
        }
        let (
            Some(store),
            Some(routes),
            Some(mut clients),
            Some(policy),
            Some(tickets),
            Some(timeouts),
            Some(limits),
            Some(overload),
            Some(tlvs),
            Some(rules),
            Some(workers),
            [],
        ) = (
            store,
            routes,
            clients,
            policy,
            tickets,
            timeouts,
            limits,
            overload,
            tlvs,
            rules,
            workers,
            wrong.0.as_slice(),
        )
        else {
            return Err(Error::several(wrong.0));
        };
        together::routes(&written, &policy, &store, &routes, warnings);
        if let Some(trust) = &mut clients
            && let Err(error) = store.check_flights(&written, trust.authorities().len())
        {
            warnings.push(format!(
                "{error}; until then none is named, and clients choose a certificate for themselves"
            ));
            trust.name_no_authorities();
        }
        Ok(Self {
            policy,
            store,
            tickets,
            clients: clients.map(Arc::new),
            routes,
            rules,
            proxy: config.proxy_protocol.clone(),
            tlvs,
            timeouts,
            limits,
            overload,
            log: config.log.clone(),
            listener: listener::Options {
                backlog: config.backlog.max(1),
                keepalive: config.tcp_keepalive.0,
                fast_open: config.tcp_fastopen,
                defer: config.timeouts.hello.0.min(config.timeouts.handshake.0),
            },
            listen,
            metrics: config.metrics.listen.as_ref().map(|address| address.get_ref().0),
            workers,
            cpu: config.cpu,
            user: config.user.as_ref().map(|user| user.get_ref().clone()),
            group: config.group.as_ref().map(|group| group.get_ref().clone()),
            log_file: config.log.file.as_ref().map(|file| written.path(file)),
            places: Places {
                user: config.user.as_ref().map(|user| written.place(user)).unwrap_or_default(),
                group: config.group.as_ref().map(|group| written.place(group)).unwrap_or_default(),
                log_file: config.log.file.as_ref().map(|file| written.place(file)).unwrap_or_default(),
            },
        })
    }

    /// Connections that one worker may hold.
    pub fn connections_per_worker(&self, workers: usize) -> usize {
        self.limits.connections.div_ceil(workers)
    }
}

/// Collects what is wrong, so that all of it is told at once.
struct Wrong(Vec<Error>);

impl Wrong {
    /// What is right; what is not is kept.
    fn keep<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }
}

fn store(written: &Written, fixed: &Fixed, warnings: &mut Vec<String>) -> Result<Store, Error> {
    // What is made after this takes along what lies where it is made.
    let mut store = wiping_stack(Depth::Rsa, || Store::load(written, warnings))?;
    if store.is_empty() {
        match &fixed.demo {
            Some(identity) => identity.add_to(&mut store).map_err(Error::new)?,
            None => {
                return Err(written
                    .missing("no certificate: add [[certificate]] with `chain` and `key`, or use --demo"));
            }
        }
    }
    store.leave_out_long_staples(warnings);
    store.check_flights(written, 0)?;
    Ok(store)
}

fn routes(written: &Written, fixed: &Fixed, wrong: &mut Wrong) -> Option<Routes> {
    let config = &written.config;
    let default = match (&config.backend, &fixed.demo) {
        (Some(backend), _) => target(written, fixed, backend),
        (None, Some(_)) => Ok(Target::Demo),
        (None, None) => Err(written.missing("no backend: set `backend` to \"HOST:PORT\" or \"unix:/path\"")),
    };
    let default = wrong.keep(default);
    let mut others = Vec::new();
    let mut names = HashMap::new();
    for route in &config.route {
        let target = wrong.keep(target(written, fixed, &route.backend));
        for name in &route.names {
            if names.insert(name.get_ref().0.clone().into_bytes(), others.len()).is_some() {
                wrong.0.push(written.error(name, format!("`{}` has a route already", name.get_ref().0)));
            }
        }
        let names = route.names.iter().map(|name| name.get_ref().0.clone()).collect();
        let number = others.len();
        others.extend(target.map(|target| Route { number, names, target }));
    }
    let default = Route { number: others.len(), names: Vec::new(), target: default? };
    Some(Routes { default, others, names })
}

fn listen(written: &Written, fixed: &Fixed, wrong: &mut Wrong) -> Vec<SocketAddr> {
    let config = &written.config;
    let mut listen: Vec<_> = config.listen.iter().map(|address| address.get_ref().0).collect();
    for (i, address) in config.listen.iter().enumerate() {
        if listen.iter().take(i).any(|earlier| *earlier == address.get_ref().0) {
            wrong.0.push(written.error(address, format!("{} is listed twice", address.get_ref().0)));
        }
    }
    if listen.is_empty() {
        if fixed.demo.is_none() {
            wrong.0.push(
                written.missing(
                    "no address to listen on: set `listen`, such as [\"0.0.0.0:443\", \"[::]:443\"]",
                ),
            );
        }
        listen.push(demo::ADDRESS);
    }
    listen
}

fn workers(written: &Written) -> Result<usize, Error> {
    match written.config.workers {
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
        Some(count @ 1..=1024) => Ok(count),
        Some(_) => Err(written.about("workers", "`workers` is not between 1 and 1024")),
    }
}

fn target(written: &Written, fixed: &Fixed, backend: &Spanned<Backend>) -> Result<Target, Error> {
    Ok(match backend.get_ref() {
        Backend::Demo => Target::Demo,
        Backend::Static(size) => Target::Static(*size),
        Backend::Unix(path) => {
            let address = SocketAddrUnix::new(path)
                .map_err(|e| written.error(backend, format!("{}: {e}", path.display())))?;
            Target::Unix(address, backend.get_ref().to_string())
        }
        Backend::Tcp(name) => Target::Tcp(fixed.hosts.get(name)),
    })
}

/// What `[tls]`, `[tickets]` and `[client_certificates]` say to the core.
///
/// # Errors
/// A list is too long, or nothing is left that could work.
pub fn policy(written: &Written, demo: bool) -> Result<Policy, Error> {
    let tls = &written.config.tls;
    let tickets = &written.config.tickets;
    let versions: Vec<_> = tls.versions.iter().map(|version| version.0).collect();
    let alpn = if demo && tls.alpn.is_empty() {
        vec![ttls::config::Protocol::new(b"http/1.1").ok_or_else(|| Error::new("ALPN"))?]
    } else {
        tls.alpn.iter().map(|protocol| protocol.0).collect()
    };
    let too_many =
        |what: &str| written.about(&format!("tls.{what}"), &format!("too many entries in tls.{what}"));
    let policy = Policy {
        tls12: versions.contains(&ttls::suite::Version::Tls12),
        tls13: versions.contains(&ttls::suite::Version::Tls13),
        suites: List::new(
            tls.suites.iter().map(|suite| suite.0).filter(|suite| versions.contains(&suite.version())),
        )
        .ok_or_else(|| too_many("suites"))?,
        groups: List::new(tls.groups.iter().map(|group| group.0)).ok_or_else(|| too_many("groups"))?,
        client_order: tls.prefer_client_order,
        alpn: List::new(alpn).ok_or_else(|| too_many("alpn"))?,
        alpn_required: tls.alpn_required,
        unknown_name: match tls.unknown_name {
            schema::UnknownName::Default => UnknownName::UseDefault,
            schema::UnknownName::Refuse => UnknownName::Refuse,
        },
        // Connections' lines tell it, and metrics, and backends.
        fingerprint: written.config.log.connections != schema::Connections::Off
            || written.config.metrics.listen.is_some()
            || written.config.proxy_protocol.fingerprint_tlv.is_some()
            || written.config.rule.iter().any(|rule| !rule.fingerprints.is_empty()),
        client_certificate: match written.config.client_certificates.mode {
            schema::ClientMode::None => ClientCertificate::None,
            schema::ClientMode::Optional => ClientCertificate::Optional,
            schema::ClientMode::Required => ClientCertificate::Required,
        },
        extended_master_secret_required: tls.extended_master_secret_required,
        tickets: tickets.per_handshake,
        ticket_lifetime: u32::try_from(tickets.lifetime.0.as_secs()).unwrap_or(u32::MAX),
        ..Policy::default()
    };
    policy.check().map_err(|e| {
        let key = match e {
            PolicyError::NoVersion => "tls.versions",
            PolicyError::NoSuite(_) => "tls.suites",
            PolicyError::NoGroup => "tls.groups",
            PolicyError::TicketLifetime => "tickets.lifetime",
            PolicyError::Tickets => "tickets.per_handshake",
        };
        written.about(key, &e.to_string())
    })?;
    Ok(policy)
}

fn tickets(written: &Written, warnings: &mut Vec<String>) -> Result<Option<Derived>, Error> {
    let tickets = &written.config.tickets;
    if !tickets.enabled {
        return Ok(None);
    }
    let path = |at: &Option<Spanned<PathBuf>>| at.as_ref().map(|at| written.path(at));
    for at in [&tickets.secret_file, &tickets.previous_secret_file].into_iter().flatten() {
        files::warn_of_readers(&written.path(at), "the ticket secret", warnings);
    }
    let source = TicketSource {
        secret: path(&tickets.secret_file),
        before: path(&tickets.previous_secret_file),
        lifetime: u32::try_from(tickets.lifetime.0.as_secs()).unwrap_or(u32::MAX),
    };
    let keys = source.derive(unix_time()).map_err(|(path, message)| {
        let files = [&tickets.secret_file, &tickets.previous_secret_file];
        match files.into_iter().flatten().find(|at| written.path(at) == path) {
            Some(at) => written.error(at, message),
            None => written.missing(&message),
        }
    })?;
    Ok(Some(Derived::new(source, keys)))
}

fn timeouts(written: &Written) -> Result<Timeouts, Error> {
    let t = &written.config.timeouts;
    let ms = |time: Time| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX);
    let needed = [("hello", t.hello), ("handshake", t.handshake), ("connect", t.connect), ("close", t.close)];
    for (name, time) in needed {
        if time.0 == Duration::ZERO {
            let key = format!("timeouts.{name}");
            let may = "only timeouts.idle, timeouts.drain and timeouts.resolve may be";
            return Err(written.about(&key, &format!("{key} is zero: {may}")));
        }
    }
    Ok(Timeouts {
        hello: ms(t.hello),
        handshake: ms(t.handshake),
        connect: ms(t.connect),
        idle: ms(t.idle),
        close: ms(t.close),
        drain: ms(t.drain),
        resolve: ms(t.resolve),
    })
}

fn tlvs(written: &Written) -> Result<Numbers, Error> {
    let proxy = &written.config.proxy_protocol;
    let numbers =
        Numbers { subject: proxy.subject_tlv.0, fingerprint: proxy.fingerprint_tlv.map(|number| number.0) };
    if numbers.fingerprint == Some(numbers.subject) {
        let message = "proxy_protocol.fingerprint_tlv is the number of the subject: give one of them another";
        return Err(written.about("proxy_protocol.fingerprint_tlv", message));
    }
    Ok(numbers)
}

fn overload(written: &Written) -> Result<Overload, Error> {
    let values = &written.config.overload;
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let overload = Overload {
        target: ms(values.target.0),
        interval: ms(values.interval.0),
        patience: ms(values.patience.0),
        standing: ms(values.standing.0),
        refuse_syn: values.refuse_syn,
    };
    if overload.patience <= overload.target.saturating_add(overload.interval) {
        return Err(written.missing(
            "overload.patience is not above overload.target and overload.interval together: clients would be dropped before it is \
             known that there is an overload",
        ));
    }
    Ok(overload)
}

fn limits(written: &Written) -> Result<schema::Limits, Error> {
    let limits = &written.config.limits;
    let least = |name: &str, value: usize, least: usize| {
        if value < least {
            let key = format!("limits.{name}");
            Err(written.about(&key, &format!("{key} is {value}, at least {least} is needed")))
        } else {
            Ok(())
        }
    };
    least("connections", limits.connections, 1)?;
    least("half_open", limits.half_open, 1)?;
    least("buffer_memory", limits.buffer_memory.0, 1 << 20)?;
    if limits.connections > 1 << 24 {
        return Err(written.about("limits.connections", "limits.connections is over 16777216"));
    }
    for (key, bits, most) in
        [("ipv4_prefix", limits.ipv4_prefix, 32), ("ipv6_prefix", limits.ipv6_prefix, 128)]
    {
        if bits > most {
            let key = format!("limits.{key}");
            return Err(written.about(&key, &format!("{key} is over {most} bits")));
        }
    }
    Ok(limits.clone())
}

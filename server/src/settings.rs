// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration made ready: files read, names resolved, everything checked. Built whole or not at all.

use crate::certificates::Store;
use crate::client_auth::Trust;
use crate::config::source::Written;
use crate::config::values::{Backend, Time};
use crate::config::{Error, Source, schema};
use crate::hosts::{Host, Hosts};
use crate::serve::clock::unix_time;
use crate::serve::listener;
use crate::tickets::{Derived, Source as TicketSource};
use crate::{demo, files};
use rustix::net::SocketAddrUnix;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use toml::Spanned;
use ttls::Policy;
use ttls::config::{ClientCertificate, List, PolicyError, UnknownName};

/// Where connections go, ready to connect.
#[derive(Clone, Debug)]
pub enum Target {
    /// TCP: addresses to try in turn.
    Tcp(Arc<Host>),
    /// Unix socket.
    Unix(SocketAddrUnix, String),
    /// Page with the negotiated parameters.
    Demo,
    /// A body of so many bytes.
    Static(usize),
}

impl Target {
    /// As the configuration names it.
    pub fn name(&self) -> &str {
        match self {
            Self::Tcp(host) => host.name(),
            Self::Unix(_, name) => name,
            Self::Demo => "demo:",
            Self::Static(_) => "static:",
        }
    }
}

/// Targets by server name.
#[derive(Debug)]
pub struct Routes {
    default: Target,
    names: HashMap<Vec<u8>, Target>,
}

impl Routes {
    /// The target for a client that asked for `name` (lower case), or for none.
    pub fn find(&self, name: Option<&ttls::config::ServerName>) -> &Target {
        let Some(name) = name.filter(|_| !self.names.is_empty()) else { return &self.default };
        let exact = self.names.get(name.as_bytes());
        exact.or_else(|| self.names.get(name.wildcard()?.as_bytes())).unwrap_or(&self.default)
    }
}

/// Time-outs in milliseconds; zero for none where the reference allows it.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
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
    /// PROXY protocol.
    pub proxy: schema::ProxyProtocol,
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
    /// The first thing that can not work, and where it is written.
    pub fn build(source: &Source, fixed: &Fixed, warnings: &mut Vec<String>) -> Result<Self, Error> {
        let written = source.read()?;
        let config = &written.config;
        let mut store = Store::load(&written, warnings)?;
        if store.is_empty() {
            match &fixed.demo {
                Some(identity) => identity.add_to(&mut store).map_err(Error::new)?,
                None => {
                    return Err(written.missing(
                        "no certificate: add [[certificate]] with `chain` and `key`, or use --demo",
                    ));
                }
            }
        }
        let default = match (&config.backend, &fixed.demo) {
            (Some(backend), _) => target(&written, fixed, backend)?,
            (None, Some(_)) => Target::Demo,
            (None, None) => {
                return Err(written.missing("no backend: set `backend` to \"HOST:PORT\" or \"unix:/path\""));
            }
        };
        let mut names = HashMap::new();
        for route in &config.route {
            let target = target(&written, fixed, &route.backend)?;
            for name in &route.names {
                if names.insert(name.get_ref().0.clone().into_bytes(), target.clone()).is_some() {
                    return Err(written.error(name, format!("`{}` has a route already", name.get_ref().0)));
                }
            }
        }
        let mut listen: Vec<_> = config.listen.iter().map(|address| address.get_ref().0).collect();
        if listen.is_empty() {
            if fixed.demo.is_none() {
                return Err(written.missing(
                    "no address to listen on: set `listen`, such as [\"0.0.0.0:443\", \"[::]:443\"]",
                ));
            }
            listen.push(demo::ADDRESS);
        }
        for (i, address) in config.listen.iter().enumerate() {
            if listen[..i].contains(&address.get_ref().0) {
                return Err(written.error(address, format!("{} is listed twice", address.get_ref().0)));
            }
        }
        store.check_flights(&written, 0)?;
        let mut clients = Trust::load(&written, warnings)?;
        if let Some(trust) = &mut clients
            && let Err(error) = store.check_flights(&written, trust.authorities().len())
        {
            warnings.push(format!(
                "{error}; until then none is named, and clients choose a certificate for themselves"
            ));
            trust.name_no_authorities();
        }
        Ok(Self {
            policy: policy(&written, fixed.demo.is_some())?,
            store,
            tickets: tickets(&written, warnings)?,
            clients: clients.map(Arc::new),
            routes: Routes { default, names },
            proxy: config.proxy_protocol.clone(),
            timeouts: timeouts(&written)?,
            limits: limits(&written)?,
            overload: overload(&written)?,
            log: config.log.clone(),
            listener: listener::Options {
                backlog: config.backlog.max(1),
                keepalive: config.tcp_keepalive.0,
                fast_open: config.tcp_fastopen,
                defer: config.timeouts.handshake.0,
            },
            listen,
            metrics: config.metrics.listen.as_ref().map(|address| address.get_ref().0),
            workers: workers(&written)?,
            cpu: config.cpu,
            user: config.user.as_ref().map(|user| user.get_ref().clone()),
            group: config.group.as_ref().map(|group| group.get_ref().clone()),
            log_file: config.log.file.clone(),
        })
    }

    /// Connections that one worker may hold.
    pub fn connections_per_worker(&self, workers: usize) -> usize {
        self.limits.connections.div_ceil(workers)
    }
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
    for (name, time) in [("handshake", t.handshake), ("connect", t.connect), ("close", t.close)] {
        if time.0 == Duration::ZERO {
            let key = format!("timeouts.{name}");
            let may = "only timeouts.idle, timeouts.drain and timeouts.resolve may be";
            return Err(written.about(&key, &format!("{key} is zero: {may}")));
        }
    }
    Ok(Timeouts {
        handshake: ms(t.handshake),
        connect: ms(t.connect),
        idle: ms(t.idle),
        close: ms(t.close),
        drain: ms(t.drain),
        resolve: ms(t.resolve),
    })
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

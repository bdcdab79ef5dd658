// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a worker's connections share.

use super::admission::Admission;
use super::count::Count;
use super::jobs::Jobs;
use super::log::Log;
use super::memory::{Memory, Purpose};
use super::metrics::{ByRoute, Counters, Counts, Fingerprints};
use super::negotiation::Negotiation;
use super::offer::Offer;
use super::pool::Pool;
use super::random::Buffered;
use super::relay::Relay;
use super::slab::Key;
use super::sources::Sources;
use crate::client_auth::Verifier;
use crate::config::schema::Refused;
use crate::keylog::KeyLogFile;
use crate::settings::Settings;
use crate::settings::rules::{Rule, Rules, Verdict};
use crate::tickets::Tickets;
use rustix::fd::OwnedFd;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use ttls::Environment;
use ttls::admission::{self, Buckets, Request};
use ttls::config::{ClientVerifier, KeyLog};
use ttls::wire::ClientHello;

/// The settings as one worker uses them.
pub struct Active {
    /// Shared by all workers.
    pub settings: Arc<Settings>,
    /// This worker's counters of each route, by its number.
    pub routes: Vec<Arc<Counts>>,
    /// Full handshakes that source prefixes may still make with this worker; `None` without a limit.
    handshakes: Rations,
    /// Connections that they may still make.
    connections: Rations,
    /// What is left of the rules' quotas for this worker, by their numbers; full for rules without one.
    quotas: RefCell<Vec<Buckets<1>>>,
}

/// Token buckets of a worker: 256 KiB.
const BUCKETS: usize = 1 << 14;
type Rations = RefCell<Option<Box<Buckets<BUCKETS>>>>;

impl Active {
    /// Prepares settings for one of `workers` at `clock`, which never jumps.
    pub fn new(settings: Arc<Settings>, workers: usize, clock: u64, routes: Vec<Arc<Counts>>) -> Rc<Self> {
        let limits = &settings.limits;
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        let rations = |rate: u32, burst: u32| {
            let burst = if burst == 0 { rate } else { burst };
            let each = || Box::new(Buckets::new(rate.div_ceil(workers), burst.div_ceil(workers), clock));
            RefCell::new((rate != 0).then(each))
        };
        let handshakes = rations(limits.handshake_rate, limits.handshake_burst);
        let connections = rations(limits.connection_rate, limits.connection_burst);
        let quota = |rule: &Rule| match rule.verdict {
            Verdict::Quota { rate, burst } => {
                Buckets::new(rate.div_ceil(workers), burst.div_ceil(workers), clock)
            }
            Verdict::Allow | Verdict::Deny => Buckets::new(0, 0, clock),
        };
        let quotas = RefCell::new(settings.rules.iter().map(quota).collect());
        Rc::new(Self { settings, routes, handshakes, connections, quotas })
    }

    /// Whether a source prefix, by its hash, may make another connection.
    pub fn may_connect(&self, prefix: u64, clock: u64) -> bool {
        self.connections.borrow_mut().as_mut().is_none_or(|connections| connections.take(prefix, clock))
    }

    /// Whether connections that are refused are reset.
    pub fn resets_refused(&self) -> bool {
        self.settings.limits.refused == Refused::Reset
    }
}

/// Whose handshake is to be admitted.
#[derive(Clone, Copy, Debug)]
pub struct Applicant {
    /// The client's address.
    pub address: IpAddr,
    /// A hash of its prefix.
    pub prefix: u64,
}

/// What admission has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The client resumes a session.
    pub resumes: bool,
    /// The number of the rule that refuses it.
    pub refused_by: Option<usize>,
}

/// Admits a connection's handshake if a rule says so, or if none does and its source prefix has not made too many, and notes whether it resumes a
/// session.
struct Gate<'a> {
    rules: &'a Rules,
    quotas: &'a mut [Buckets<1>],
    buckets: Option<&'a mut Buckets<BUCKETS>>,
    applicant: Applicant,
    clock: u64,
    found: &'a mut Found,
    offer: &'a mut Offer,
    fingerprints: &'a Fingerprints,
}

impl admission::Admission for Gate<'_> {
    fn offered(&mut self, hello: &ClientHello<'_>) {
        self.offer.take(hello);
    }

    fn admit(&mut self, request: &Request<'_>) -> bool {
        *self.found = Found { resumes: request.resumed, refused_by: None };
        if let Some(fingerprint) = request.fingerprint.filter(|_| !request.resumed) {
            self.fingerprints.note(fingerprint);
        }
        if let Some((number, verdict)) = self.rules.about(self.applicant.address, request) {
            let admits = match verdict {
                Verdict::Allow => true,
                Verdict::Deny => false,
                Verdict::Quota { .. } => {
                    request.resumed
                        || self.quotas.get_mut(number).is_some_and(|quota| quota.take(0, self.clock))
                }
            };
            self.found.refused_by = (!admits).then_some(number);
            return admits;
        }
        let Some(buckets) = &mut self.buckets else { return true };
        request.resumed || buckets.take(self.applicant.prefix, self.clock)
    }
}

/// What all workers share.
pub struct Shared {
    /// Connections of all workers.
    pub connections: Count,
    /// Connections by source prefix.
    pub sources: Arc<Sources>,
    /// What is counted by route.
    pub routes: Arc<ByRoute>,
    /// Ticket keys.
    pub tickets: Tickets,
    /// Connections get descriptors below this one. The rest is for what the process itself opens: a reload reads its files
    /// however many connections there are.
    pub descriptors: RawFd,
    /// The second, on the clock that never jumps, in which it was last said that descriptors or memory are short.
    pub shortage_told: AtomicU64,
}

/// What a worker's connections share.
pub struct Context {
    /// Where sockets are watched.
    pub epoll: OwnedFd,
    /// Storage for bytes under way.
    pub memory: Memory,
    /// Handshakes.
    pub negotiations: Pool<Negotiation>,
    /// Established connections.
    pub relays: Pool<Option<Relay>>,
    /// Randomness.
    pub random: Buffered,
    /// Log.
    pub log: Log,
    /// Counters.
    pub counters: Arc<Counters>,
    /// Secrets for debugging.
    pub keylog: Option<KeyLogFile>,
    /// Unix time in milliseconds, read once per sweep.
    pub now: u64,
    /// Milliseconds of a clock that never jumps, read once per sweep.
    pub clock: u64,
    /// Public-key work.
    pub jobs: Jobs,
    /// Which handshakes it is done for, and when.
    pub admission: Admission,
    /// Signatures of clients' certificates that may still be checked in this sweep.
    pub certificate_checks: u64,
    /// Connections in their handshake.
    pub half_open: Count,
    /// Handshakes with something to do.
    pub pending: VecDeque<Key>,
    /// Connections that had more to do than one turn allows.
    pub again: VecDeque<Key>,
    /// The process is to end: built-in backends close after each response.
    pub draining: bool,
    /// Shared with the other workers.
    pub shared: Arc<Shared>,
}

impl Context {
    /// Calls `body` with the environment for the TLS core, for a connection of `applicant`. Sets `found` and `offer` where a ClientHello is
    /// judged.
    pub fn with_environment<R>(
        &mut self,
        active: &Active,
        applicant: Applicant,
        verifier: Option<&mut Verifier>,
        (found, offer): (&mut Found, &mut Offer),
        body: impl FnOnce(&mut Environment<'_>) -> R,
    ) -> R {
        let tickets = active.settings.tickets.as_ref().map(|_| self.shared.tickets.read());
        let mut handshakes = active.handshakes.borrow_mut();
        let mut quotas = active.quotas.borrow_mut();
        let mut gate = Gate {
            rules: &active.settings.rules,
            quotas: &mut quotas,
            buckets: handshakes.as_deref_mut(),
            applicant,
            clock: self.clock,
            found,
            offer,
            fingerprints: &self.counters.fingerprints,
        };
        let mut environment = Environment {
            policy: &active.settings.policy,
            credentials: &active.settings.store,
            clients: verifier.map(|verifier| verifier as &mut dyn ClientVerifier),
            tickets: tickets.as_ref().and_then(|keys| keys.as_deref()),
            random: &mut self.random,
            now: self.now,
            admission: Some(&mut gate),
            keylog: self.keylog.as_mut().map(|keylog| keylog as &mut dyn KeyLog),
        };
        body(&mut environment)
    }
}

/// What a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Waits for an event.
    Wait,
    /// Is due for public-key work, and waits for its turn.
    Due,
    /// Waits for its public-key job.
    Job,
    /// Goes on in the next sweep, after the others.
    Again,
    /// Waits for storage.
    Starved(Purpose),
    /// Has become established: serve it.
    Serve,
    /// Ends.
    End(super::outcome::Outcome),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_handshakes_are_rationed_and_resumptions_are_not() {
        let mut buckets = Box::new(Buckets::new(1, 2, 0));
        let mut admit = |prefix, resumed| {
            let request = Request { server_name: None, resumed, fingerprint: None };
            let mut found = Found { resumes: !resumed, refused_by: Some(7) };
            let mut gate = Gate {
                rules: &Rules::default(),
                quotas: &mut [],
                buckets: Some(&mut buckets),
                applicant: Applicant { address: IpAddr::from([192, 0, 2, 1]), prefix },
                clock: 0,
                found: &mut found,
                offer: &mut Offer::default(),
                fingerprints: &Fingerprints::default(),
            };
            let admitted = admission::Admission::admit(&mut gate, &request);
            assert_eq!(found, Found { resumes: resumed, refused_by: None });
            admitted
        };
        assert!(admit(1, false) && admit(1, false));
        assert!(!admit(1, false));
        assert!(admit(1, true));
        assert!(admit(2, false));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backends' names and the addresses behind them. Names are looked up outside the workers, again and again; one that does not
//! resolve, at boot or for a while, keeps its last addresses and is tried again.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

/// A name that does not resolve is tried again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// Milliseconds for which an address that failed comes last.
const LAST: u64 = 30_000;
/// Addresses of a name that are tried.
const MOST: usize = 64;

/// A backend's host and port, and its addresses by now.
#[derive(Debug)]
pub struct Host {
    name: String,
    /// The name is an address.
    is_literal: bool,
    addresses: RwLock<Vec<Address>>,
}

/// An address of a host.
#[derive(Clone, Copy, Debug)]
struct Address {
    address: SocketAddr,
    /// Until when it comes last, on a clock of milliseconds that never jumps.
    last_until: u64,
}

/// Which addresses of a host a connection has tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried(u64);

impl Tried {
    /// Whether this is the first time that it is asked: for what has no addresses.
    pub const fn is_first(&mut self) -> bool {
        std::mem::replace(&mut self.0, u64::MAX) == 0
    }
}

impl Host {
    fn new(name: &str) -> Self {
        let literal = name.parse().ok().map(|address| Address { address, last_until: 0 });
        Self {
            name: name.to_owned(),
            is_literal: literal.is_some(),
            addresses: RwLock::new(literal.into_iter().collect()),
        }
    }

    /// `HOST:PORT`, as the configuration names it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it has no address (yet).
    pub fn is_unknown(&self) -> bool {
        self.read(|addresses| addresses.is_empty())
    }

    /// The next address to try at `clock`: in the resolver's order, but those that failed lately last.
    pub fn next(&self, tried: &mut Tried, clock: u64) -> Option<SocketAddr> {
        self.read(|addresses| {
            let untried = || addresses.iter().enumerate().filter(|(at, _)| tried.0 >> at & 1 == 0);
            let (at, address) =
                untried().find(|(_, address)| address.last_until <= clock).or_else(|| untried().next())?;
            tried.0 |= 1 << at;
            Some(address.address)
        })
    }

    /// An address failed, or did not answer in time, at `clock`: for a while it comes last.
    pub fn failed(&self, address: SocketAddr, clock: u64) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = addresses.iter_mut().find(|known| known.address == address) {
            known.last_until = clock + LAST;
        }
    }

    fn read<R>(&self, look: impl FnOnce(&[Address]) -> R) -> R {
        look(&self.addresses.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks the name up; says what has changed.
    fn look_up(&self) -> News {
        if self.is_literal {
            return News::Same;
        }
        let found: Vec<_> = match self.name.to_socket_addrs() {
            Ok(found) => found.take(MOST).collect(),
            Err(error) => return News::Failed(error.to_string()),
        };
        if found.is_empty() {
            return News::Failed("it has no address".into());
        }
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        let known = |address: &SocketAddr| addresses.iter().find(|known| known.address == *address);
        let same = found.len() == addresses.len() && found.iter().all(|address| known(address).is_some());
        if same {
            // A resolver that turns its answers around is no news, and no order.
            return News::Same;
        }
        let new = found
            .iter()
            .map(|&address| Address { address, last_until: known(&address).map_or(0, |a| a.last_until) });
        *addresses = new.collect();
        News::Found(found)
    }
}

/// What a look-up has brought.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// The addresses that are known.
    Same,
    /// Other ones.
    Found(Vec<SocketAddr>),
    /// None; what was known stays.
    Failed(String),
}

/// All hosts of the configurations in use.
#[derive(Debug, Default)]
pub struct Hosts {
    known: Mutex<Vec<Known>>,
    /// A name is there that has not been looked up, or a look-up has ended.
    changed: Condvar,
    /// Milliseconds between look-ups; zero for none without a reason.
    interval: AtomicU64,
}

#[derive(Debug)]
struct Known {
    host: Weak<Host>,
    looked_up: bool,
    failing: bool,
}

impl Hosts {
    /// The host of that name: the one that is in use already, with its addresses, or a new one.
    pub fn get(&self, name: &str) -> Arc<Host> {
        let mut known = self.lock();
        known.retain(|known| known.host.strong_count() > 0);
        if let Some(host) =
            known.iter().filter_map(|known| known.host.upgrade()).find(|host| host.name == name)
        {
            return host;
        }
        let host = Arc::new(Host::new(name));
        let looked_up = host.is_literal;
        known.push(Known { host: Arc::downgrade(&host), looked_up, failing: false });
        self.changed.notify_all();
        host
    }

    /// Waits until every name has been looked up once, at most so long.
    pub fn wait(&self, longest: Duration) {
        let until = Instant::now() + longest;
        let mut known = self.lock();
        while known.iter().any(|known| !known.looked_up && known.host.strong_count() > 0) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Has every name looked up again at once.
    pub fn refresh(&self) {
        for known in self.lock().iter_mut() {
            known.looked_up = known.host.upgrade().is_none_or(|host| host.is_literal);
        }
        self.changed.notify_all();
    }

    /// Looks all names up, each in a thread of its own: one that takes long holds up no other. `tell` hears what has changed.
    pub fn look_up(&self, tell: &(impl Fn(&Host, &News) + Sync)) {
        let mut known = self.lock();
        known.retain(|known| known.host.strong_count() > 0);
        let hosts: Vec<_> = known.iter().filter_map(|known| known.host.upgrade()).collect();
        drop(known);
        std::thread::scope(|scope| {
            for host in hosts.iter().filter(|host| !host.is_literal) {
                let look_up = move || self.note(host, &host.look_up(), tell);
                let thread = std::thread::Builder::new().name("ttls-resolve".into());
                if let Err(error) = thread.spawn_scoped(scope, look_up) {
                    self.note(host, &News::Failed(error.to_string()), tell);
                }
            }
        });
    }

    fn note(&self, host: &Arc<Host>, news: &News, tell: &impl Fn(&Host, &News)) {
        let failing = matches!(news, News::Failed(_));
        let mut all = self.lock();
        let this = all.iter_mut().find(|known| known.host.as_ptr() == Arc::as_ptr(host));
        let is_news = this.is_some_and(|known| {
            known.looked_up = true;
            std::mem::replace(&mut known.failing, failing) != failing || matches!(news, News::Found(_))
        });
        drop(all);
        self.changed.notify_all();
        if is_news {
            tell(host, news);
        }
    }

    /// Sets how many milliseconds [`Hosts::keep`] lets pass between look-ups; zero for as many as nobody asks.
    pub fn set_interval(&self, milliseconds: u64) {
        self.interval.store(milliseconds, Relaxed);
    }

    /// Looks all names up again and again, for ever. Those that fail have a shorter interval.
    pub fn keep(&self, tell: &(impl Fn(&Host, &News) + Sync)) {
        loop {
            self.look_up(tell);
            let mut known = self.lock();
            let interval = match self.interval.load(Relaxed) {
                _ if known.iter().any(|known| known.failing) => RETRY,
                0 => Duration::from_secs(86_400),
                milliseconds => Duration::from_millis(milliseconds),
            };
            let until = Instant::now() + interval;
            while known.iter().all(|known| known.looked_up || known.host.strong_count() == 0) {
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                known = self.changed.wait_timeout(known, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, n], 80))
    }

    #[test]
    fn addresses_that_failed_come_last_for_a_while() {
        let host = Host::new("backend.test:80");
        assert!(host.is_unknown() && host.next(&mut Tried::default(), 0).is_none());
        *host.addresses.write().unwrap() =
            [1, 2, 3].map(|n| Address { address: address(n), last_until: 0 }).into();
        let order = |clock| {
            let mut tried = Tried::default();
            std::iter::from_fn(|| host.next(&mut tried, clock)).collect::<Vec<_>>()
        };
        assert_eq!(order(0), [1, 2, 3].map(address));
        host.failed(address(1), 10);
        assert_eq!(order(11), [2, 3, 1].map(address));
        host.failed(address(3), 20);
        assert_eq!(order(21), [2, 1, 3].map(address));
        assert_eq!(order(20 + LAST), [1, 2, 3].map(address));
    }

    #[test]
    fn a_name_is_one_host_as_long_as_it_is_used() {
        let hosts = Hosts::default();
        let one = hosts.get("localhost:80");
        assert!(Arc::ptr_eq(&one, &hosts.get("localhost:80")));
        assert!(!Arc::ptr_eq(&one, &hosts.get("localhost:81")));
        let literal = hosts.get("127.0.0.1:80");
        assert!(!literal.is_unknown());
        hosts.look_up(&|_, _| {});
        assert!(!one.is_unknown(), "localhost resolves");
        let told = Mutex::new(Vec::new());
        let unknown = hosts.get("no.such.invalid:80");
        for _ in 0..2 {
            hosts.look_up(&|host, news| {
                told.lock().unwrap().push((host.name().to_owned(), matches!(news, News::Failed(_))))
            });
        }
        assert_eq!(*told.lock().unwrap(), [("no.such.invalid:80".to_owned(), true)], "told once");
        assert!(unknown.is_unknown());
        hosts.wait(Duration::from_secs(60));
        drop((one, unknown, literal));
        hosts.get("127.0.0.1:80");
        assert_eq!(hosts.lock().len(), 1);
    }
}

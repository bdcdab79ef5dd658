// SPDX-License-Identifier: MIT OR Apache-2.0
//! The addresses that the process listens on: found free, opened for each worker, kept or given up at a reload.

use super::listener::{self, Options};
use crate::config::Error;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::net::SocketAddr;

/// New listening sockets of each worker, with the addresses as they are configured.
pub type Sockets = Vec<Vec<(SocketAddr, OwnedFd)>>;

/// Why an address can not be listened on.
#[derive(Debug)]
pub struct Failure {
    address: SocketAddr,
    error: Errno,
    /// It is this process that has the address.
    ours: bool,
}

impl Failure {
    /// This address, and what the kernel says of it.
    pub const fn new(address: SocketAddr, error: Errno) -> Self {
        Self { address, error, ours: false }
    }

    /// It may be otherwise in a moment: another program is about to end, or descriptors are free again.
    pub fn is_temporary(&self) -> bool {
        !matches!(self.error, Errno::ACCESS | Errno::AFNOSUPPORT | Errno::INVAL)
    }

    /// With the key that names the address.
    pub fn of(self, key: &str) -> Error {
        let Self { address, error, ours } = self;
        let hint = match error {
            Errno::ACCESS => " (ports below 1024 need CAP_NET_BIND_SERVICE)",
            Errno::ADDRINUSE if ours => " (ttls itself listens there)",
            Errno::ADDRINUSE => " (another program listens there)",
            _ => "",
        };
        Error::new(format!("{key} {address}: {error}{hint}"))
    }
}

/// Whether a connection to one of these addresses could be one to the other.
fn overlap(one: &SocketAddr, other: &SocketAddr) -> bool {
    let same_family = one.is_ipv4() == other.is_ipv4();
    let meet = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    same_family && meet && one.port() == other.port() && one.port() != 0
}

/// Whether `wide` takes whatever comes to `narrow`.
fn covers(wide: &SocketAddr, narrow: &SocketAddr) -> bool {
    overlap(wide, narrow) && wide.ip().is_unspecified()
}

/// What a reload does with addresses.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// To be opened.
    pub open: Vec<SocketAddr>,
    /// To be given up.
    pub retire: Vec<SocketAddr>,
}

impl Change {
    /// From the addresses that are `held` to those that are `wanted`.
    ///
    /// Where a wildcard takes over, its port's other sockets stay: who came to them would be turned away while they
    /// close, and they serve the same.
    pub fn between(held: &[SocketAddr], wanted: &[SocketAddr]) -> Self {
        let open = wanted.iter().filter(|address| !held.contains(address));
        let goes = |old: &&SocketAddr| !wanted.iter().any(|new| new == *old || covers(new, old));
        Self { open: open.copied().collect(), retire: held.iter().filter(goes).copied().collect() }
    }
}

/// Makes sure that no other program listens on any of these addresses: among sockets with SO_REUSEPORT, of this user, a
/// second one would silently get half of the connections. Before any is opened; where this process has `held` a
/// wildcard or one of its addresses, the kernel could not tell, and nobody else has come in meanwhile.
///
/// # Errors
/// The first address that is taken.
pub fn probe(addresses: &[SocketAddr], held: &[SocketAddr]) -> Result<(), Failure> {
    for &address in addresses {
        if !held.iter().any(|other| overlap(other, &address)) {
            listener::probe(address).map_err(|error| Failure { address, error, ours: false })?;
        }
    }
    Ok(())
}

/// Opens a listening socket for each worker. All get the same port, also where the kernel chooses it. Gives the address as
/// bound, and whether this machine has it yet.
///
/// # Errors
/// What the kernel says.
pub fn open(
    address: SocketAddr,
    options: &Options,
    held: &[SocketAddr],
    sockets: &mut Sockets,
) -> Result<(SocketAddr, bool), Failure> {
    let ours = held.iter().any(|other| overlap(other, &address));
    let failed = |error| Failure { address, error, ours };
    let (mut bound, mut present) = (address, true);
    let mut opened = Vec::new();
    for _ in sockets.iter() {
        let (fd, is_present) = listener::open(bound, options).map_err(failed)?;
        present = is_present;
        if bound.port() == 0 {
            let local = rustix::net::getsockname(&fd).map_err(failed)?;
            bound = local.try_into().map_err(|_| failed(Errno::AFNOSUPPORT))?;
        }
        opened.push(fd);
    }
    // All or none.
    for (worker, fd) in sockets.iter_mut().zip(opened) {
        worker.push((address, fd));
    }
    Ok((bound, present))
}

/// What is said of an address that this machine lacks.
pub fn absent(address: SocketAddr) -> String {
    format!("listen {address}: this machine does not have the address yet; it is served as soon as it has")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses<const N: usize>(texts: [&str; N]) -> Vec<SocketAddr> {
        texts.into_iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn changes_between_wildcards_and_single_addresses() {
        let change = |held: &[SocketAddr], wanted: &[SocketAddr]| {
            let Change { open, retire } = Change::between(held, wanted);
            (open, retire)
        };
        let one = addresses(["127.0.0.1:443"]);
        let wide = addresses(["0.0.0.0:443"]);
        let both = addresses(["0.0.0.0:443", "127.0.0.1:443"]);
        let other = addresses(["127.0.0.1:444", "[::]:443"]);
        assert_eq!(change(&one, &one), (vec![], vec![]));
        assert_eq!(change(&one, &wide), (wide.clone(), vec![]));
        assert_eq!(change(&wide, &one), (one.clone(), wide.clone()));
        assert_eq!(change(&both, &wide), (vec![], vec![]));
        assert_eq!(change(&both, &one), (vec![], wide.clone()));
        assert_eq!(change(&one, &other), (other.clone(), one.clone()));
        assert_eq!(change(&other, &both), (both.clone(), other.clone()));
        // IPv6's wildcard is for IPv6 only, and ports that the kernel chooses are each their own.
        assert!(!overlap(&other[1], &wide[0]));
        assert!(!overlap(&addresses(["0.0.0.0:0"])[0], &addresses(["127.0.0.1:0"])[0]));
    }

    #[test]
    fn whoever_has_the_address_is_named() {
        let address = "127.0.0.1:443".parse().unwrap();
        let text = |error, ours| Failure { address, error, ours }.of("listen").to_string();
        assert!(text(Errno::ADDRINUSE, false).ends_with("(another program listens there)"));
        assert!(text(Errno::ADDRINUSE, true).ends_with("(ttls itself listens there)"));
        assert!(text(Errno::ACCESS, false).starts_with("listen 127.0.0.1:443: Permission denied"));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stateless session tickets (RFC 8446 §4.6.1, RFC 5077): sealed for ourselves and the nodes that share the secret.
//!
//! A ticket is `name[16] ‖ nonce[12] ‖ AES-256-GCM(state)`, bound to its version and server name as
//! associated data. Keys come from a ratchet over time: nodes with the same secret and roughly the same clock
//! agree without talking, and whoever learns today's state can not go back to the keys of tickets from the
//! epochs before.
//!
//! The ratchet is a binary tree, a node's children being two HMACs under it, and its leaves the epochs since
//! 1970 (Goldreich, Goldwasser and Micali 1986, with what lies to the left forgotten). Remembered are the roots
//! of the subtrees that cover the future: at most one of each height. Any epoch is a few dozen HMACs away from
//! the secret, and the next one about two from the last.

use crate::error::Error;
use crate::inline::Inline;
use crate::names::ServerName;
use crate::suite::{Suite, Version};
use crate::wire::{Reader, Writer};
use ttls_crypto::aead::{self, NONCE, TAG};
use ttls_crypto::hash::{Algorithm, Digest, Hmac};
use ttls_crypto::secret::Secret;

/// Shortest epoch, in seconds.
const MIN_PERIOD: u64 = 3600;
/// Clocks of nodes may differ by this many milliseconds.
const CLOCK_SKEW: u64 = 60_000;
const NAME: usize = 16;
/// Version, suite, time, age_add, length of the secret.
const STATE_FIXED: usize = 1 + 2 + 8 + 4 + 1;
/// Longest ticket, in bytes.
pub const MAX_TICKET: usize = NAME + NONCE + STATE_FIXED + 48 + TAG;

/// What a ticket remembers of its session.
pub(crate) struct TicketState {
    pub(crate) version: Version,
    pub(crate) suite: Suite,
    /// Unix time in milliseconds when the secret was made: with the ticket in TLS 1.3, by the full handshake in TLS 1.2.
    pub(crate) issued: u64,
    /// TLS 1.3's PSK or TLS 1.2's master secret.
    pub(crate) secret: Digest,
}

/// The ticket keys of a server.
pub struct TicketKeys {
    /// Seconds per epoch.
    period: u64,
    /// The first issues and accepts; the second, of a secret that is being replaced, only accepts.
    ratchets: [Option<Ratchet>; 2],
}

struct Ratchet {
    epoch: u32,
    /// Of it come the keys of `epoch` + 2 and later.
    future: Future,
    /// Keys of the epochs `epoch` − 1, `epoch` and `epoch` + 1: the last for nodes whose clock is ahead.
    keys: [EpochKey; 3],
}

/// Height of the tree: 2^24 hours are 1,900 years.
const HEIGHT: usize = 24;

/// The leaves from `next` on.
struct Future {
    next: u64,
    /// Roots of the subtrees that cover them, each at its height: those of the trailing zeros of `next`, and of what
    /// is left when that subtree is passed, and so on.
    roots: [Option<Secret<32>>; HEIGHT + 1],
}

struct EpochKey {
    name: [u8; NAME],
    key: aead::Key,
}

impl TicketKeys {
    /// Keys from a shared `secret` and, while it is being replaced, the one `before`, at `now` (Unix time in milliseconds).
    ///
    /// An epoch lasts `lifetime` seconds (at least an hour), so a ticket can be opened for at least that long. Other
    /// lifetimes have other keys: those of long epochs are no way back to those of short ones. Takes about a
    /// hundred HMACs a secret.
    ///
    /// # Errors
    /// [`Error::Internal`] if a secret has fewer than 32 bytes.
    pub fn new(secret: &[u8], before: Option<&[u8]>, lifetime: u32, now: u64) -> Result<Self, Error> {
        let period = MIN_PERIOD.max(u64::from(lifetime));
        let epoch = epoch(now, period);
        let ratchet = |secret: &[u8]| {
            if secret.len() < 32 {
                return Err(Error::Internal("ticket secret is shorter than 32 bytes"));
            }
            Ratchet::new(secret, period, epoch)
        };
        Ok(Self { period, ratchets: [Some(ratchet(secret)?), before.map(ratchet).transpose()?] })
    }

    /// Moves on to the epoch of `now` (Unix time in milliseconds) and forgets the keys that have run out.
    ///
    /// # Errors
    /// [`Error::Internal`] never, in practice: the hash is fixed.
    pub fn advance(&mut self, now: u64) -> Result<(), Error> {
        let epoch = epoch(now, self.period);
        self.ratchets.iter_mut().flatten().try_for_each(|ratchet| ratchet.advance(epoch))
    }

    /// Whether the clock was ahead of `now` (Unix time in milliseconds) by an epoch or more when these keys moved on. The way back
    /// leads over the secret: until then, nodes whose clock was right do not open these tickets, nor these keys theirs.
    pub fn are_ahead(&self, now: u64) -> bool {
        let epoch = epoch(now, self.period);
        self.ratchets.iter().flatten().any(|ratchet| ratchet.epoch > epoch.saturating_add(1))
    }

    /// When they next have to move on, in Unix time in milliseconds.
    pub fn good_until(&self) -> u64 {
        let epoch = self.ratchets.iter().flatten().map(|ratchet| u64::from(ratchet.epoch)).next();
        epoch.map_or(u64::MAX, |epoch| {
            epoch.saturating_add(1).saturating_mul(self.period).saturating_mul(1000)
        })
    }

    /// Writes a ticket.
    pub(crate) fn seal(
        &self,
        state: &TicketState,
        age_add: u32,
        server_name: Option<&ServerName>,
        nonce: [u8; NONCE],
        out: &mut Writer<'_>,
    ) -> Result<(), Error> {
        let [Some(Ratchet { keys: [_, key, _], .. }), _] = &self.ratchets else {
            return Err(Error::Internal("no ticket key"));
        };
        out.put(&key.name)?;
        out.put(&nonce)?;
        let start = out.len();
        out.u8(version_byte(state.version))?;
        out.u16(state.suite.code())?;
        out.put(&state.issued.to_be_bytes())?;
        out.u32(age_add)?;
        out.vec::<1>(|out| out.put(state.secret.as_bytes()))?;
        let aad = associated_data(state.version, server_name)?;
        let tag = key.key.seal(&nonce, aad.as_bytes(), out.tail_mut(start));
        out.put(&tag)
    }

    /// Opens a ticket that was issued for `server_name` within `lifetime` seconds before `now`.
    pub(crate) fn open(
        &self,
        ticket: &[u8],
        version: Version,
        server_name: Option<&ServerName>,
        lifetime: u32,
        now: u64,
    ) -> Option<TicketState> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG>()?;
        let mut keys = self.ratchets.iter().flatten().flat_map(|ratchet| &ratchet.keys);
        let key = keys.find(|key| key.name == *name)?;
        let mut text = Secret::<{ STATE_FIXED + 48 }>::zero();
        let text = text.expose_mut().get_mut(..sealed.len())?;
        text.copy_from_slice(sealed);
        let aad = associated_data(version, server_name).ok()?;
        key.key.open(nonce, aad.as_bytes(), text, tag).ok()?;
        let state = TicketState::parse(text)?;
        let fresh = state.issued <= now + CLOCK_SKEW
            && now.saturating_sub(state.issued) <= u64::from(lifetime) * 1000;
        (state.version == version && fresh).then_some(state)
    }
}

impl TicketState {
    fn parse(text: &[u8]) -> Option<Self> {
        let mut r = Reader::new(text, "ticket");
        let version = match r.u8().ok()? {
            2 => Version::Tls12,
            3 => Version::Tls13,
            _ => return None,
        };
        let suite = Suite::from_code(r.u16().ok()?)?;
        let issued = u64::from_be_bytes(*r.array().ok()?);
        r.u32().ok()?;
        let secret = Digest::new(r.vec8().ok()?.rest())?;
        r.finish().ok()?;
        Some(Self { version, suite, issued, secret })
    }
}

/// Number of the epoch of `now` (Unix time in milliseconds), of at least one and with two to follow.
fn epoch(now: u64, period: u64) -> u32 {
    u32::try_from(now / 1000 / period).unwrap_or(u32::MAX).clamp(1, (1 << HEIGHT) - 3)
}

impl Ratchet {
    fn new(secret: &[u8], period: u64, epoch: u32) -> Result<Self, Error> {
        let root = mac(mac(b"ttls session tickets", secret)?.expose(), &period.to_be_bytes())?;
        let mut future = Future::new(root);
        let keys = future.around(epoch)?;
        Ok(Self { epoch, future, keys })
    }

    fn advance(&mut self, epoch: u32) -> Result<(), Error> {
        if epoch > self.epoch.saturating_add(2) {
            // No key is one of those before.
            self.keys = self.future.around(epoch)?;
            self.epoch = epoch;
        }
        while self.epoch < epoch {
            let next = self.future.key(self.epoch + 2)?;
            self.keys.rotate_left(1);
            self.keys[2] = next;
            self.epoch += 1;
        }
        Ok(())
    }
}

impl Future {
    /// All leaves of the tree with this root.
    fn new(root: Secret<32>) -> Self {
        let mut roots = [const { None }; HEIGHT + 1];
        roots[HEIGHT] = Some(root);
        Self { next: 0, roots }
    }

    /// Keys of the epochs around `epoch`, the first of which is not past yet.
    fn around(&mut self, epoch: u32) -> Result<[EpochKey; 3], Error> {
        Ok([self.key(epoch.saturating_sub(1))?, self.key(epoch)?, self.key(epoch.saturating_add(1))?])
    }

    /// The key of an epoch that is not past yet. It and those before are forgotten.
    fn key(&mut self, epoch: u32) -> Result<EpochKey, Error> {
        let epoch = u64::from(epoch);
        loop {
            let height = (self.next | 1 << HEIGHT).trailing_zeros();
            let place = self.root(height)?;
            // Copied, and wiped where it is: what moves away stays behind.
            let root = place.clone().ok_or(Error::Internal("ticket epoch is past"))?;
            *place = None;
            let beyond = epoch.checked_sub(self.next).ok_or(Error::Internal("ticket epoch is past"))?;
            if beyond >= 1 << height {
                self.next += 1 << height;
                continue;
            }
            let mut node = root;
            for height in (0..height).rev() {
                let [left, right] = [b"0", b"1"].map(|side| mac(node.expose(), side));
                if epoch >> height & 1 == 0 {
                    *self.root(height)? = Some(right?);
                    node = left?;
                } else {
                    node = right?;
                }
            }
            self.next = epoch + 1;
            return EpochKey::new(&node);
        }
    }

    fn root(&mut self, height: u32) -> Result<&mut Option<Secret<32>>, Error> {
        let root = usize::try_from(height).ok().and_then(|height| self.roots.get_mut(height));
        root.ok_or(Error::Internal("ticket epoch is not in the tree"))
    }
}

impl EpochKey {
    fn new(leaf: &Secret<32>) -> Result<Self, Error> {
        let mut name = [0; NAME];
        name.iter_mut().zip(mac(leaf.expose(), b"name")?.expose()).for_each(|(to, from)| *to = *from);
        let key = mac(leaf.expose(), b"key")?;
        Ok(Self { name, key: aead::Key::new(aead::Algorithm::Aes256Gcm, &key) })
    }
}

fn mac(key: &[u8], data: &[u8]) -> Result<Secret<32>, Error> {
    let code = Hmac::new(Algorithm::Sha256, key).ok_or(Error::Internal("hash without HMAC"))?.code([data]);
    let mut secret = Secret::zero();
    secret.expose_mut().copy_from_slice(code.as_bytes());
    Ok(secret)
}

const fn version_byte(version: Version) -> u8 {
    match version {
        Version::Tls12 => 2,
        Version::Tls13 => 3,
    }
}

/// Version and server name: a ticket opens for no others.
fn associated_data(version: Version, server_name: Option<&ServerName>) -> Result<Inline<256>, Error> {
    let mut data = Inline::EMPTY;
    let name = server_name.map(ServerName::as_bytes).unwrap_or_default();
    let put = data.push(&[version_byte(version)]).and_then(|()| data.push(name));
    put.map(|()| data).ok_or(Error::Internal("server name length"))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    const SECRET: [u8; 32] = [7; 32];
    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 1_800_000_000_000;

    fn ticket(keys: &TicketKeys, now: u64, name: Option<&ServerName>) -> ([u8; MAX_TICKET], usize) {
        let mut storage = [0; MAX_TICKET];
        let mut out = Writer::new(&mut storage);
        let state = TicketState {
            version: Version::Tls13,
            suite: Suite::Aes128GcmSha256,
            issued: now,
            secret: Digest::new(&[9; 32]).unwrap(),
        };
        keys.seal(&state, 5, name, [1; 12], &mut out).unwrap();
        let len = out.len();
        (storage, len)
    }

    fn opens(keys: &TicketKeys, (ticket, len): &([u8; MAX_TICKET], usize), now: u64) -> bool {
        keys.open(&ticket[..*len], Version::Tls13, None, 43_200, now).is_some()
    }

    #[test]
    fn nodes_agree_and_rotation_loses_no_session() {
        let mut one = TicketKeys::new(&SECRET, None, 43_200, NOW).unwrap();
        let sealed = ticket(&one, NOW, None);
        assert!(opens(&one, &sealed, NOW + 1));
        // A node that starts later agrees, for the whole lifetime and no longer.
        let later = NOW + 12 * HOUR;
        let two = TicketKeys::new(&SECRET, None, 43_200, later).unwrap();
        assert!(opens(&two, &sealed, later));
        assert!(!opens(&two, &sealed, later + 1));
        one.advance(later).unwrap();
        assert!(opens(&two, &ticket(&one, later, None), later));
        assert!(opens(&one, &sealed, later));
        // Two epochs on, the key itself is gone.
        one.advance(NOW + 36 * HOUR).unwrap();
        assert!(!opens(&one, &sealed, NOW + 1));
    }

    #[test]
    fn moving_on_is_the_same_as_starting_later() {
        let lifetimes = [3600, 43_200, 604_800];
        for (lifetime, steps) in
            lifetimes.into_iter().flat_map(|l| [1_u64, 2, 3, 4, 7, 64, 1001].map(|s| (l, s)))
        {
            let mut old = TicketKeys::new(&SECRET, Some(&[8; 32]), lifetime, NOW).unwrap();
            let mut now = NOW;
            // Through every leaf, or over most of them.
            for _ in 0..steps.min(70) {
                now += u64::from(lifetime) * 1000 * steps.div_ceil(70);
                old.advance(now).unwrap();
                assert!(old.good_until() > now && old.good_until() <= now + u64::from(lifetime) * 1000);
                let new = TicketKeys::new(&SECRET, Some(&[8; 32]), lifetime, now).unwrap();
                for (one, other) in old.ratchets.iter().flatten().zip(new.ratchets.iter().flatten()) {
                    assert_eq!(
                        one.keys.each_ref().map(|key| key.name),
                        other.keys.each_ref().map(|key| key.name)
                    );
                    let roots = |ratchet: &Ratchet| {
                        ratchet.future.roots.clone().map(|root| root.map(|root| *root.expose()))
                    };
                    assert_eq!(roots(one), roots(other), "the same future and nothing else");
                }
            }
        }
    }

    #[test]
    fn another_lifetime_is_another_chain_and_the_past_is_forgotten() {
        // All that a ratchet remembers, as the keys that follow from it.
        let mut names = Vec::new();
        let day = TicketKeys::new(&SECRET, None, 86_400, NOW).unwrap();
        let mut remembered: Vec<(usize, Secret<32>)> = Vec::new();
        for ratchet in day.ratchets.iter().flatten() {
            for (height, root) in ratchet.future.roots.iter().enumerate() {
                remembered.extend(root.clone().map(|root| (height, root)));
            }
        }
        for (height, root) in remembered {
            for depth in 0..=height.min(12) {
                for path in 0..1_u32 << depth.min(10) {
                    let mut node = root.clone();
                    for bit in 0..depth {
                        node = mac(node.expose(), if path >> bit & 1 == 0 { b"0" } else { b"1" }).unwrap();
                    }
                    names.push(EpochKey::new(&node).unwrap().name);
                }
            }
        }
        let past = |lifetime, epochs: u64| {
            let then = NOW - epochs * u64::from(lifetime) * 1000;
            let keys = TicketKeys::new(&SECRET, None, lifetime, then).unwrap();
            keys.ratchets[0].as_ref().unwrap().keys[1].name
        };
        for epochs in 0..40 {
            assert!(!names.contains(&past(86_400, epochs + 2)), "{epochs} epochs back");
            assert!(!names.contains(&past(3600, epochs)), "another lifetime's");
        }
    }

    #[test]
    fn a_jump_of_the_clock_is_found_and_harmless() {
        for now in [0, 1, HOUR, NOW, u64::MAX] {
            let mut keys = TicketKeys::new(&SECRET, None, 43_200, now).unwrap();
            assert!(!keys.are_ahead(now));
            keys.advance(u64::MAX).unwrap();
            keys.advance(0).unwrap();
            keys.advance(u64::MAX).unwrap();
            assert!(opens(&keys, &ticket(&keys, NOW, None), NOW));
            assert_eq!(keys.are_ahead(now), now != u64::MAX);
        }
        // One epoch is what clocks may differ by.
        let mut keys = TicketKeys::new(&SECRET, None, 43_200, NOW).unwrap();
        keys.advance(NOW + 12 * HOUR).unwrap();
        assert!(!keys.are_ahead(NOW));
        keys.advance(NOW + 24 * HOUR).unwrap();
        assert!(keys.are_ahead(NOW));
    }

    #[test]
    fn a_clock_ahead_is_understood() {
        let behind = TicketKeys::new(&SECRET, None, 43_200, NOW).unwrap();
        let ahead = TicketKeys::new(&SECRET, None, 43_200, NOW + 12 * HOUR).unwrap();
        assert!(opens(&behind, &ticket(&ahead, NOW + 30_000, None), NOW));
        assert!(!opens(&behind, &ticket(&ahead, NOW + 2 * CLOCK_SKEW, None), NOW));
    }

    #[test]
    fn a_replaced_secret_still_opens() {
        let old = TicketKeys::new(&SECRET, None, 43_200, NOW).unwrap();
        let new = TicketKeys::new(&[8; 32], Some(&SECRET), 43_200, NOW).unwrap();
        assert!(opens(&new, &ticket(&old, NOW, None), NOW));
        assert!(!opens(&old, &ticket(&new, NOW, None), NOW));
    }

    #[test]
    fn bound_to_name_version_and_every_byte() {
        let keys = TicketKeys::new(&SECRET, None, 43_200, NOW).unwrap();
        let name = ServerName::new(b"one.example").unwrap();
        let other = ServerName::new(b"two.example").unwrap();
        let (mut sealed, len) = ticket(&keys, NOW, Some(&name));
        let open = |bytes: &[u8], version, name: Option<&ServerName>| {
            keys.open(bytes, version, name, 43_200, NOW).is_some()
        };
        assert!(open(&sealed[..len], Version::Tls13, Some(&name)));
        assert!(!open(&sealed[..len], Version::Tls13, Some(&other)));
        assert!(!open(&sealed[..len], Version::Tls13, None));
        assert!(!open(&sealed[..len], Version::Tls12, Some(&name)));
        for cut in 0..len {
            assert!(!open(&sealed[..cut], Version::Tls13, Some(&name)));
        }
        for i in 0..len {
            sealed[i] ^= 1;
            assert!(!open(&sealed[..len], Version::Tls13, Some(&name)));
            sealed[i] ^= 1;
        }
    }
}

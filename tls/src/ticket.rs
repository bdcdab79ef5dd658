// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stateless session tickets (RFC 8446 §4.6.1, RFC 5077): sealed for ourselves and the nodes that share the secret.
//!
//! A ticket is `name[16] ‖ nonce[12] ‖ AES-256-GCM(state)`, bound to its version and server name as
//! associated data. Keys come from a ratchet: each epoch's chain value is the HMAC of the one before, so
//! nodes with the same secret and roughly the same clock agree without talking, and whoever learns
//! today's chain value can not go back to the keys of tickets from the epochs before.

use crate::buffer::Outbound;
use crate::config::ServerName;
use crate::error::Error;
use crate::suite::{Suite, Version};
use crate::wire::Reader;
use ttls_crypto::aead::{self, NONCE, TAG};
use ttls_crypto::hash::{Algorithm, Digest, Hmac};
use ttls_crypto::secret::Secret;

/// Shortest epoch, in seconds: it bounds the steps from 1970 to today when a ratchet starts.
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
    /// Unix time in milliseconds when the ticket was made.
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
    epoch: u64,
    /// Chain value of `epoch` + 2, the first without a key here.
    chain: Digest,
    /// Keys of the epochs `epoch` − 1, `epoch` and `epoch` + 1: the last for nodes whose clock is ahead.
    keys: [EpochKey; 3],
}

struct EpochKey {
    name: [u8; NAME],
    key: aead::Key,
}

impl TicketKeys {
    /// Keys from a shared `secret` and, while it is being replaced, the one `before`, at `now` (Unix time in milliseconds).
    ///
    /// An epoch lasts `lifetime` seconds (at least an hour), so a ticket can be opened for at least that long.
    /// Steps through the epochs since 1970: about 10 ms for a lifetime of 12 hours.
    ///
    /// # Errors
    /// [`Error::Internal`] if a secret has fewer than 32 bytes.
    pub fn new(secret: &[u8], before: Option<&[u8]>, lifetime: u32, now: u64) -> Result<Self, Error> {
        let period = MIN_PERIOD.max(u64::from(lifetime));
        let epoch = now / 1000 / period;
        let ratchet = |secret: &[u8]| {
            if secret.len() < 32 {
                return Err(Error::Internal("ticket secret is shorter than 32 bytes"));
            }
            Ratchet::new(secret, epoch)
        };
        Ok(Self { period, ratchets: [Some(ratchet(secret)?), before.map(ratchet).transpose()?] })
    }

    /// Moves on to the epoch of `now` (Unix time in milliseconds) and forgets the keys that have run out.
    ///
    /// # Errors
    /// [`Error::Internal`] never, in practice: the hash is fixed.
    pub fn advance(&mut self, now: u64) -> Result<(), Error> {
        let epoch = now / 1000 / self.period;
        self.ratchets.iter_mut().flatten().try_for_each(|ratchet| ratchet.advance(epoch))
    }

    /// Writes a ticket.
    pub(crate) fn seal(
        &self,
        state: &TicketState,
        age_add: u32,
        server_name: Option<&ServerName>,
        nonce: [u8; NONCE],
        out: &mut Outbound<'_>,
    ) -> Result<(), Error> {
        let key = match &self.ratchets[0] {
            Some(ratchet) => &ratchet.keys[1],
            None => return Err(Error::Internal("no ticket key")),
        };
        out.put(&key.name)?;
        out.put(&nonce)?;
        let start = out.len();
        out.u8(version_byte(state.version))?;
        out.u16(state.suite.code())?;
        out.put(&state.issued.to_be_bytes())?;
        out.u32(age_add)?;
        out.vec::<1>(|out| out.put(state.secret.as_bytes()))?;
        let mut aad = AssociatedData::new(state.version, server_name);
        let tag = key.key.seal(&nonce, aad.bytes(), out.tail_mut(start));
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
        let mut aad = AssociatedData::new(version, server_name);
        key.key.open(nonce, aad.bytes(), text, tag).ok()?;
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

impl Ratchet {
    fn new(secret: &[u8], epoch: u64) -> Result<Self, Error> {
        let mut chain = mac(b"ttls session tickets", secret)?;
        let before = epoch.saturating_sub(1);
        for _ in 0..before {
            chain = mac(chain.as_bytes(), b"next")?;
        }
        let mut step = || {
            let key = EpochKey::new(&chain)?;
            chain = mac(chain.as_bytes(), b"next")?;
            Ok::<_, Error>(key)
        };
        let keys = [step()?, step()?, step()?];
        Ok(Self { epoch: before + 1, chain, keys })
    }

    fn advance(&mut self, epoch: u64) -> Result<(), Error> {
        while self.epoch < epoch {
            let next = EpochKey::new(&self.chain)?;
            self.keys.rotate_left(1);
            self.keys[2] = next;
            self.chain = mac(self.chain.as_bytes(), b"next")?;
            self.epoch += 1;
        }
        Ok(())
    }
}

impl EpochKey {
    fn new(chain: &Digest) -> Result<Self, Error> {
        let mut name = [0; NAME];
        name.copy_from_slice(&mac(chain.as_bytes(), b"name")?.as_bytes()[..NAME]);
        let mut key = Secret::zero();
        key.expose_mut().copy_from_slice(mac(chain.as_bytes(), b"key")?.as_bytes());
        Ok(Self { name, key: aead::Key::new(aead::Algorithm::Aes256Gcm, &key) })
    }
}

fn mac(key: &[u8], data: &[u8]) -> Result<Digest, Error> {
    Ok(Hmac::new(Algorithm::Sha256, key).ok_or(Error::Internal("hash without HMAC"))?.code([data]))
}

const fn version_byte(version: Version) -> u8 {
    match version {
        Version::Tls12 => 2,
        Version::Tls13 => 3,
    }
}

/// Version and server name: a ticket opens for no others.
struct AssociatedData {
    bytes: [u8; 256],
    len: usize,
}

impl AssociatedData {
    fn new(version: Version, server_name: Option<&ServerName>) -> Self {
        let name = server_name.map(ServerName::as_bytes).unwrap_or_default();
        let mut bytes = [0; 256];
        bytes[0] = version_byte(version);
        bytes[1..=name.len()].copy_from_slice(name);
        Self { bytes, len: 1 + name.len() }
    }

    fn bytes(&mut self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];
    const HOUR: u64 = 3_600_000;
    const NOW: u64 = 1_800_000_000_000;

    fn ticket(keys: &TicketKeys, now: u64, name: Option<&ServerName>) -> ([u8; MAX_TICKET], usize) {
        let (mut storage, mut len) = ([0; MAX_TICKET], 0);
        let state = TicketState {
            version: Version::Tls13,
            suite: Suite::Aes128GcmSha256,
            issued: now,
            secret: Digest::new(&[9; 32]).unwrap(),
        };
        keys.seal(&state, 5, name, [1; 12], &mut Outbound::new(&mut storage, &mut len)).unwrap();
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

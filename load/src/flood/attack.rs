// SPDX-License-Identifier: MIT OR Apache-2.0
//! What attackers do, from where, and what they look like.

use super::addresses::{ATTACK, NAT};
use crate::client::{Cipher, Fault, Group, Look, Offer, Profile, Session, Signature, Version};
use crate::random::Random;
use std::net::Ipv4Addr;

/// What one attacking connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A full handshake, then close_notify.
    Full,
    /// A ClientHello; the server's flight is read, and answered with a reset.
    Flight,
    /// The same with a server that has to sign with RSA.
    Rsa,
    /// A ClientHello; leaves after [`LEAVES`], with or without the server's flight.
    Leave,
    /// Says nothing.
    Silent,
    /// A ClientHello, one byte a second.
    Drip,
    /// A ClientHello of 15,000 bytes.
    Padded,
    /// A ClientHello in records of 8 bytes.
    Fragmented,
    /// A ClientHello that announces 16 MB and has sent 64 KB of them.
    Endless,
    /// A ClientHello with a PSK that no server issued.
    GarbagePsk,
    /// The same in TLS 1.2, with a session ticket.
    GarbageTicket,
    /// A handshake, then KeyUpdates that ask for one in return, each with a byte of a request after it.
    KeyUpdates,
    /// A full handshake and a request: a client that comes back until it was served.
    Comeback,
}

/// Which ClientHellos they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looks {
    /// All the same, unlike the legitimate clients'.
    One,
    /// The same as the legitimate clients'.
    Browsers,
    /// Every one another.
    Random,
}

/// Where they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// So many addresses, spread over /24 networks.
    Spread(u64),
    /// So many addresses in one /24 network.
    Neighbours(u64),
    /// One address, which all legitimate clients have too.
    Shared,
}

/// An attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Connections do these in turn.
    pub(crate) acts: &'static [Act],
    pub(crate) looks: Looks,
    pub(crate) from: From,
    /// All at the same moment: as many as the rate makes in a second.
    pub(crate) at_once: bool,
}

const fn attack(
    name: &'static str,
    what: &'static str,
    acts: &'static [Act],
    looks: Looks,
    from: From,
) -> Attack {
    Attack { name, what, acts, looks, from, at_once: false }
}

const MANY: From = From::Spread(10_000);
const HUNDRED_THOUSAND: From = From::Spread(100_000);

/// All that can be chosen.
pub(crate) const ATTACKS: [Attack; 16] = [
    attack("none", "nobody: what the measurement itself does", &[], Looks::One, MANY),
    attack("full", "full handshakes from 10,000 addresses", &[Act::Full], Looks::Browsers, MANY),
    attack("hello", "ClientHellos: the flight is read, then a reset", &[Act::Flight], Looks::Browsers, MANY),
    attack("leave", "clients that leave after 200 ms", &[Act::Leave], Looks::Browsers, MANY),
    attack("rsa", "the same as hello, with RSA only", &[Act::Rsa], Looks::One, MANY),
    attack("half-open", "silent clients", &[Act::Silent], Looks::One, MANY),
    attack("drip", "one byte a second", &[Act::Drip], Looks::Browsers, MANY),
    attack(
        "oversized",
        "ClientHellos of 15,000 bytes, in records of 8 bytes, and without an end",
        &[Act::Padded, Act::Fragmented, Act::Endless],
        Looks::One,
        MANY,
    ),
    attack(
        "tickets",
        "PSKs and session tickets that no server issued",
        &[Act::GarbagePsk, Act::GarbageTicket],
        Looks::One,
        MANY,
    ),
    attack(
        "key-updates",
        "KeyUpdates, each with a byte of data after it",
        &[Act::KeyUpdates],
        Looks::Browsers,
        MANY,
    ),
    attack(
        "few-addresses",
        "8 addresses with random fingerprints",
        &[Act::Full],
        Looks::Random,
        From::Neighbours(8),
    ),
    attack(
        "one-fingerprint",
        "100,000 addresses with one fingerprint",
        &[Act::Full],
        Looks::One,
        HUNDRED_THOUSAND,
    ),
    attack(
        "browsers",
        "100,000 addresses with browsers' fingerprints",
        &[Act::Full],
        Looks::Browsers,
        HUNDRED_THOUSAND,
    ),
    Attack {
        at_once: true,
        ..attack(
            "reconnect",
            "all clients come at once, as after a restart, and again until they are served",
            &[Act::Comeback],
            Looks::Browsers,
            HUNDRED_THOUSAND,
        )
    },
    attack(
        "mix",
        "full handshakes, ClientHellos, leavers, silent and dripping ones, tickets, large ones",
        &[
            Act::Full,
            Act::Flight,
            Act::Full,
            Act::Leave,
            Act::Full,
            Act::Silent,
            Act::Flight,
            Act::GarbagePsk,
            Act::Drip,
            Act::Padded,
        ],
        Looks::Browsers,
        HUNDRED_THOUSAND,
    ),
    attack(
        "nat",
        "full handshakes from the one address that all legitimate clients share",
        &[Act::Full],
        Looks::One,
        From::Shared,
    ),
];

impl Attack {
    pub(crate) fn named(name: &str) -> Option<Self> {
        ATTACKS.into_iter().find(|attack| attack.name == name)
    }

    /// Where connection `number` comes from.
    pub(crate) const fn source(&self, number: u64) -> Ipv4Addr {
        match self.from {
            From::Spread(count) => ATTACK.address(number % count),
            From::Neighbours(count) => ATTACK.neighbour(number % count),
            From::Shared => NAT,
        }
    }
}

/// A ClientHello to be sent again and again, in a record, with fresh random bytes where they have to differ.
pub(crate) struct Prepared {
    message: Vec<u8>,
    fresh: Vec<core::ops::Range<usize>>,
    /// Bytes of the message in each record.
    fragment: usize,
}

/// All that attackers send, prepared.
pub(crate) struct Arsenal {
    /// For those that go on after the ClientHello.
    offers: Vec<Offer>,
    hellos: Vec<Prepared>,
    rsa: Prepared,
    padded: Prepared,
    fragmented: Prepared,
    endless: Vec<u8>,
    garbage_psk: Prepared,
    garbage_ticket: Prepared,
}

/// Random looks of a run: enough that each is a small share.
const RANDOM_LOOKS: usize = 1024;
/// Length of a record's payload.
const RECORD: usize = 1 << 14;
/// A ticket's length, as servers issue them.
const TICKET: usize = 208;

pub(crate) fn profile(name: &str, version: Version, signature: Signature, look: Option<Look>) -> Profile {
    let name = Some(name.to_owned());
    Profile { version, group: Group::X25519, cipher: Cipher::Aes128Gcm, signature, name, look }
}

impl Arsenal {
    pub(crate) fn new(attack: &Attack, name: &str, random: &mut Random) -> Result<Self, Fault> {
        let own = |version, signature| Offer::new(profile(name, version, signature, None));
        let looks: Vec<Option<Look>> = match attack.looks {
            Looks::One => vec![None],
            Looks::Browsers => Look::browsers().into_iter().map(Some).collect(),
            Looks::Random => (0..RANDOM_LOOKS).map(|_| Some(Look::random(random))).collect(),
        };
        let offers = looks
            .into_iter()
            .map(|look| Offer::new(profile(name, Version::Tls13, Signature::Any, look)))
            .collect::<Result<Vec<_>, _>>()?;
        let plain = own(Version::Tls13, Signature::Any)?;
        let padded = Look::browsers().swap_remove(0).padded(15_000);
        let mut endless = Vec::new();
        for number in 0..4 {
            endless.extend_from_slice(&[22, 3, 1, 0x40, 0]);
            let start = endless.len();
            endless.resize(start + RECORD, 0);
            if number == 0 {
                endless[start..start + 6].copy_from_slice(&[1, 0xff, 0xff, 0xff, 3, 3]);
            }
        }
        Ok(Self {
            hellos: offers.iter().map(|offer| Prepared::new(offer, RECORD)).collect::<Result<_, _>>()?,
            offers,
            rsa: Prepared::new(&own(Version::Tls13, Signature::Rsa)?, RECORD)?,
            padded: Prepared::new(
                &Offer::new(profile(name, Version::Tls13, Signature::Any, Some(padded)))?,
                RECORD,
            )?,
            fragmented: Prepared::new(&plain, 8)?,
            endless,
            garbage_psk: Prepared::garbage(own(Version::Tls13, Signature::Any)?)?,
            garbage_ticket: Prepared::garbage(own(Version::Tls12, Signature::Any)?)?,
        })
    }

    /// What connection `number` sends if it does no more than that: appended to `out`.
    pub(crate) fn write(&self, act: Act, number: u64, random: &mut Random, out: &mut Vec<u8>) {
        let prepared = match act {
            Act::Silent => return,
            Act::Endless => return out.extend_from_slice(&self.endless),
            Act::Rsa => &self.rsa,
            Act::Padded => &self.padded,
            Act::Fragmented => &self.fragmented,
            Act::GarbagePsk => &self.garbage_psk,
            Act::GarbageTicket => &self.garbage_ticket,
            Act::Full | Act::Flight | Act::Leave | Act::Drip | Act::KeyUpdates | Act::Comeback => {
                &self.hellos[self.look(number)]
            }
        };
        prepared.write(random, out);
    }

    fn look(&self, number: u64) -> usize {
        usize::try_from(number % self.hellos.len() as u64).unwrap_or(0)
    }

    /// What connections offer that go on after the ClientHello, one for each look.
    pub(crate) fn take_offers(&mut self) -> Vec<Offer> {
        core::mem::take(&mut self.offers)
    }
}

impl Prepared {
    fn new(offer: &Offer, fragment: usize) -> Result<Self, Fault> {
        let mut message = Vec::new();
        offer.hello(&[0; 64], &mut message)?;
        // The random, and the session ID where there is one (RFC 8446 §4.1.2).
        let session_id = (message[38] == 32).then_some(39..71);
        let fresh = core::iter::once(6..38).chain(session_id).collect();
        Ok(Self { message, fresh, fragment })
    }

    /// With a ticket that is drawn anew each time, but for its first 16 bytes, which name a key with most servers.
    fn garbage(mut offer: Offer) -> Result<Self, Fault> {
        let ticket = [0xa5; TICKET];
        offer.resume(Session::forged(ticket.to_vec()))?;
        let mut prepared = Self::new(&offer, RECORD)?;
        let start = prepared.message.windows(TICKET).position(|window| window == ticket);
        let start = start.ok_or(Fault::Wrong("the ticket is not in the ClientHello"))?;
        prepared.fresh.push(start + 16..start + TICKET);
        Ok(prepared)
    }

    fn write(&self, random: &mut Random, out: &mut Vec<u8>) {
        let start = out.len();
        for (number, part) in self.message.chunks(self.fragment).enumerate() {
            let [high, low] = u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes();
            out.extend_from_slice(&[22, 3, 1, high, low]);
            let at = out.len();
            out.extend_from_slice(part);
            // Where this part's fresh bytes lie.
            let begins = number * self.fragment;
            for range in &self.fresh {
                let from = range.start.max(begins);
                let to = range.end.min(begins + part.len());
                if from < to {
                    random.fill(&mut out[at + from - begins..at + to - begins]);
                }
            }
        }
        debug_assert!(out.len() > start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn arsenal(name: &str) -> Arsenal {
        Arsenal::new(&Attack::named(name).unwrap(), "bench.example", &mut Random::new(1)).unwrap()
    }

    /// The messages in the records of `bytes`.
    fn message(mut bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        while let [22, 3, 1, high, low, rest @ ..] = bytes {
            let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            message.extend_from_slice(part);
            bytes = rest;
        }
        assert!(bytes.is_empty());
        message
    }

    #[test]
    fn hellos_are_whole_and_differ() {
        let arsenal = arsenal("oversized");
        let mut random = Random::new(2);
        for act in [Act::Flight, Act::Rsa, Act::Padded, Act::Fragmented, Act::GarbagePsk, Act::GarbageTicket]
        {
            let mut seen = HashSet::new();
            for number in 0..50 {
                let mut out = Vec::new();
                arsenal.write(act, number, &mut random, &mut out);
                let message = message(&out);
                let announced = u32::from_be_bytes([0, message[1], message[2], message[3]]);
                assert_eq!(announced as usize, message.len() - 4, "{act:?}");
                assert_eq!(message[0], 1);
                seen.insert(message[6..38].to_vec());
            }
            assert_eq!(seen.len(), 50, "{act:?}");
        }
        let mut out = Vec::new();
        arsenal.write(Act::Padded, 0, &mut random, &mut out);
        assert!(out.len() > 15_000);
        out.clear();
        arsenal.write(Act::Fragmented, 0, &mut random, &mut out);
        assert!(out.len() > 250 && out[4] == 8 && out[17] == 8);
    }

    #[test]
    fn garbage_differs_where_a_server_would_decrypt_it() {
        let arsenal = arsenal("tickets");
        let mut random = Random::new(2);
        for act in [Act::GarbagePsk, Act::GarbageTicket] {
            let mut tickets = HashSet::new();
            for number in 0..20 {
                let mut out = Vec::new();
                arsenal.write(act, number, &mut random, &mut out);
                let message = message(&out);
                let start = message.windows(16).position(|window| window == [0xa5; 16]).unwrap();
                tickets.insert(message[start + 16..start + TICKET].to_vec());
            }
            assert_eq!(tickets.len(), 20);
        }
    }

    #[test]
    fn addresses_are_as_many_as_said() {
        for (name, count) in [("few-addresses", 8), ("full", 10_000), ("browsers", 100_000), ("nat", 1)] {
            let attack = Attack::named(name).unwrap();
            let sources: HashSet<_> = (0..200_000).map(|number| attack.source(number)).collect();
            assert_eq!(sources.len(), count, "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = ATTACKS.iter().map(|attack| attack.name).collect();
        assert_eq!(names.len(), ATTACKS.len());
    }
}

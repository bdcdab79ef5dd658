// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ClientHello (RFC 8446 §4.1.2): encoded once, then copied and given a fresh random for each connection.

use super::fault::Fault;
use super::profile::{Profile, Signature};
use super::schedule::{self, Expander, Salt};
use super::session::Session;
use super::suite::Version;
use super::wire::{u16, vector};
use std::time::Instant;
use ttls_crypto::job::Group;

/// Where the random lies in the message: after its header and legacy_version.
const RANDOM: core::ops::Range<usize> = 6..38;
/// Where the session ID lies, if there is one.
const SESSION_ID: core::ops::Range<usize> = 39..71;

/// A ClientHello but for what differs from connection to connection.
pub(super) struct Template {
    message: Vec<u8>,
    has_session_id: bool,
    binder: Option<Binder>,
    /// TLS 1.3: what the handshake secret is extracted with, if the server takes the PSK or there is none.
    pub(super) salt: Salt,
}

/// How to bind a ClientHello to its PSK (RFC 8446 §4.2.11.2).
struct Binder {
    key: Expander,
    /// Length of the binders' list, at the message's end.
    len: usize,
}

impl Template {
    pub(super) fn new(profile: &Profile, share: &[u8], session: Option<&Session>) -> Result<Self, Fault> {
        // In TLS 1.3 for middleboxes (RFC 8446 §D.4); in TLS 1.2 its echo says that the ticket was taken
        // (RFC 5077 §3.4).
        let has_session_id = profile.version == Version::Tls13 || session.is_some();
        let mut len = 0;
        let mut message = vec![1];
        vector(&mut message, 3, |out| {
            u16(out, 0x0303);
            out.extend_from_slice(&[0; 32]);
            vector(out, 1, |out| {
                if has_session_id {
                    out.extend_from_slice(&[0; 32]);
                }
            });
            vector(out, 2, |out| match &profile.look {
                Some(look) => look.suites.iter().for_each(|&suite| u16(out, suite)),
                None => profile.suites().for_each(|suite| u16(out, suite)),
            });
            vector(out, 1, |out| out.push(0)); // no compression
            vector(out, 2, |out| {
                match (profile.version, &profile.look) {
                    (Version::Tls13, Some(look)) => look.extensions.iter().for_each(|&kind| match kind {
                        0 => server_name(profile, out),
                        _ => extension(out, kind, |out| match kind {
                            10 => vector(out, 2, |out| {
                                [0x001d, 0x0017, 0x0018].iter().for_each(|&group| u16(out, group))
                            }),
                            16 => protocols(&[b"h2", b"http/1.1"], out),
                            43 => vector(out, 1, |out| {
                                [0x0304, 0x0303].iter().for_each(|&version| u16(out, version))
                            }),
                            45 => modes(out),
                            51 => key_share(profile, share, out),
                            _ => look.content(kind, out),
                        }),
                    }),
                    (Version::Tls13, None) => {
                        common_extensions(profile, out);
                        extensions13(profile, share, out);
                    }
                    (Version::Tls12, _) => {
                        common_extensions(profile, out);
                        extensions12(session, out);
                    }
                }
                if let (Version::Tls13, Some(session)) = (profile.version, session) {
                    len = pre_shared_key(profile, session, out);
                }
            });
        });
        let early = schedule::early(profile.cipher.hash(), session.map(|session| &session.secret))?;
        let binder = if len > 0 { Some(Binder { key: schedule::binder(&early)?, len }) } else { None };
        Ok(Self { message, has_session_id, binder, salt: Salt::after(&early)? })
    }

    /// Writes the message to `out` with `fresh` random bytes, resuming `session` at the time given.
    pub(super) fn fill(
        &self,
        profile: &Profile,
        fresh: &[u8; 64],
        session: Option<(&Session, Instant)>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        out.clear();
        out.extend_from_slice(&self.message);
        let (random, session_id) = fresh.split_at(32);
        out[RANDOM].copy_from_slice(random);
        if self.has_session_id {
            out[SESSION_ID].copy_from_slice(session_id);
        }
        if let (Some(binder), Some((session, now))) = (&self.binder, session) {
            let truncated = out.len() - binder.len;
            let age = u32::try_from(now.saturating_duration_since(session.received).as_millis());
            let obfuscated = age.unwrap_or(u32::MAX).wrapping_add(session.age_add);
            out[truncated - 4..truncated].copy_from_slice(&obfuscated.to_be_bytes());
            let digest = profile.cipher.hash().digest(&out[..truncated]);
            out[truncated + 3..].copy_from_slice(binder.key.finished(&digest)?.as_bytes());
        }
        Ok(())
    }
}

fn extension(out: &mut Vec<u8>, kind: u16, content: impl FnOnce(&mut Vec<u8>)) {
    u16(out, kind);
    vector(out, 2, content);
}

fn server_name(profile: &Profile, out: &mut Vec<u8>) {
    if let Some(name) = &profile.name {
        extension(out, 0, |out| {
            vector(out, 2, |out| {
                out.push(0); // host_name
                vector(out, 2, |out| out.extend_from_slice(name.as_bytes()));
            });
        });
    }
}

/// RFC 7301 §3.1.
fn protocols(names: &[&[u8]], out: &mut Vec<u8>) {
    vector(out, 2, |out| {
        for name in names {
            vector(out, 1, |out| out.extend_from_slice(name));
        }
    });
}

fn modes(out: &mut Vec<u8>) {
    vector(out, 1, |out| out.push(1)); // psk_dhe_ke
}

fn key_share(profile: &Profile, share: &[u8], out: &mut Vec<u8>) {
    vector(out, 2, |out| {
        u16(out, group_number(profile.group));
        vector(out, 2, |out| out.extend_from_slice(share));
    });
}

fn common_extensions(profile: &Profile, out: &mut Vec<u8>) {
    server_name(profile, out);
    extension(out, 10, |out| {
        vector(out, 2, |out| {
            u16(out, group_number(profile.group));
            // In TLS 1.2 the list also says which curve the certificate's key may be on (RFC 8422 §5.1).
            if profile.version == Version::Tls12 && profile.group != Group::Secp256r1 {
                u16(out, group_number(Group::Secp256r1));
            }
        });
    });
    let schemes: &[u16] = match profile.signature {
        Signature::Any => &[0x0403, 0x0804, 0x0805, 0x0806, 0x0401],
        Signature::Ecdsa => &[0x0403],
        Signature::Rsa => &[0x0804, 0x0805, 0x0806, 0x0401],
    };
    extension(out, 13, |out| vector(out, 2, |out| schemes.iter().for_each(|&scheme| u16(out, scheme))));
    extension(out, 16, |out| protocols(&[b"http/1.1"], out));
}

fn extensions13(profile: &Profile, share: &[u8], out: &mut Vec<u8>) {
    extension(out, 43, |out| vector(out, 1, |out| u16(out, 0x0304)));
    extension(out, 45, modes);
    extension(out, 51, |out| key_share(profile, share, out));
}

/// RFC 8446 §4.2.11; returns the length of the binders' list.
fn pre_shared_key(profile: &Profile, session: &Session, out: &mut Vec<u8>) -> usize {
    let binder = profile.cipher.hash().len();
    extension(out, 41, |out| {
        vector(out, 2, |out| {
            vector(out, 2, |out| out.extend_from_slice(&session.ticket));
            out.extend_from_slice(&[0; 4]); // obfuscated_ticket_age
        });
        vector(out, 2, |out| vector(out, 1, |out| out.resize(out.len() + binder, 0)));
    });
    2 + 1 + binder
}

fn extensions12(session: Option<&Session>, out: &mut Vec<u8>) {
    extension(out, 11, |out| vector(out, 1, |out| out.push(0))); // uncompressed points
    extension(out, 23, |_| ()); // extended_master_secret
    extension(out, 35, |out| out.extend_from_slice(session.map_or(&[], |session| &session.ticket)));
    extension(out, 0xff01, |out| out.push(0)); // renegotiation_info
}

pub(super) const fn group_number(group: Group) -> u16 {
    match group {
        Group::X25519 => 0x001d,
        Group::Secp256r1 => 0x0017,
        Group::X25519MlKem768 => 0x11ec,
    }
}

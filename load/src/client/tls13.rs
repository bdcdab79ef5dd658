// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS 1.3 from the ServerHello on (RFC 8446 §4).
//!
//! ```text
//! ServerHello            -> agreement
//! {EncryptedExtensions}
//! {Certificate*}  {CertificateVerify*}      not when a PSK was taken
//! {Finished}             -> ChangeCipherSpec, {Finished}
//! [NewSessionTicket*]
//! ```

use super::fault::Fault;
use super::hello::group_number;
use super::offer::Offer;
use super::record;
use super::schedule::{Expander, Salt};
use super::server_hello::Extensions;
use super::session::Session;
use super::state::{Client, Event, Secrets, State, Tls13, Writing};
use super::wire::{Reader, vector};
use super::{content, message, verify};
use std::time::Instant;
use ttls_crypto::hash::Digest;
use ttls_crypto::job::SharedSecret;

impl Client {
    pub(super) fn server_hello13(&mut self, offer: &Offer, found: &Extensions<'_>) -> Result<Event, Fault> {
        let (group, share) = found.share.ok_or(Fault::Wrong("the server sent no key share"))?;
        if group != group_number(offer.profile.group) {
            return Err(Fault::Wrong("the server chose a group that was not offered"));
        }
        if found.psk_taken && offer.resumed.is_none() {
            return Err(Fault::Wrong("the server took a PSK that was not offered"));
        }
        let (agreement, kem) = offer.key.open(share)?;
        self.state = State::Tls13(Tls13::Agreeing { kem, resumed: found.psk_taken });
        Ok(Event::Agree(agreement))
    }

    pub(super) fn agreed13(
        &mut self,
        offer: &Offer,
        state: Tls13,
        shared: &SharedSecret,
    ) -> Result<(), Fault> {
        let Tls13::Agreeing { kem, resumed } = state else {
            return Err(Fault::Wrong("no agreement is due"));
        };
        let salt = match &offer.resumed {
            Some((template, _)) if resumed => &template.salt,
            _ => &offer.full.salt,
        };
        let stage = match kem {
            Some(kem) => salt.extract(Some(&[&kem, shared.expose()].concat()))?,
            None => salt.extract(Some(shared.expose()))?,
        };
        let hash = offer.profile.cipher.hash();
        let hellos = self.transcript();
        let client = Expander::new(hash, stage.derive(b"c hs traffic", &hellos).as_bytes())?;
        let server = Expander::new(hash, stage.derive(b"s hs traffic", &hellos).as_bytes())?;
        self.reading = Some(server.protection(offer.profile.cipher));
        self.state = State::Tls13(Tls13::EncryptedExtensions(Secrets { stage, client, server, resumed }));
        Ok(())
    }

    pub(super) fn message13(
        &mut self,
        offer: &Offer,
        state: Tls13,
        kind: u8,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let mut body = Reader::new(&whole[4..]);
        let next = match (state, kind) {
            (Tls13::EncryptedExtensions(secrets), message::ENCRYPTED_EXTENSIONS) => {
                if secrets.resumed {
                    Tls13::Finished(secrets)
                } else {
                    Tls13::Certificate(secrets)
                }
            }
            (Tls13::Certificate(secrets), message::CERTIFICATE) => {
                body.vector8()?;
                let mut list = Reader::new(body.vector24()?);
                body.finish()?;
                let leaf = list.vector24()?;
                Tls13::CertificateVerify {
                    secrets,
                    leaf: if self.verify { leaf.to_vec() } else { Vec::new() },
                }
            }
            // RFC 8879: offered by clients with a browser's look, which check no signature.
            (Tls13::Certificate(secrets), message::COMPRESSED_CERTIFICATE) if !self.verify => {
                Tls13::CertificateVerify { secrets, leaf: Vec::new() }
            }
            (Tls13::Certificate(_), message::CERTIFICATE_REQUEST) => {
                return Err(Fault::Unsupported("the server asks for a client certificate"));
            }
            (Tls13::CertificateVerify { secrets, leaf }, message::CERTIFICATE_VERIFY) => {
                if self.verify {
                    let (scheme, signature) = (body.u16()?, body.vector16()?);
                    body.finish()?;
                    verify::signature(&leaf, scheme, &signed_content(&self.transcript()), signature)?;
                }
                Tls13::Finished(secrets)
            }
            (Tls13::Finished(secrets), message::FINISHED) => {
                return self.finished13(offer, &secrets, whole, out);
            }
            _ => return Err(Fault::Wrong("a message comes out of order")),
        };
        self.transcript.update(whole);
        self.state = State::Tls13(next);
        Ok(Event::Nothing)
    }

    fn finished13(
        &mut self,
        offer: &Offer,
        secrets: &Secrets,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let (cipher, hash) = (offer.profile.cipher, offer.profile.cipher.hash());
        if !secrets.server.finished(&self.transcript())?.matches(&whole[4..]) {
            return Err(Fault::Wrong("the server's Finished is wrong"));
        }
        self.transcript.update(whole);
        let messages = self.transcript();
        let master = Salt::after(&secrets.stage)?.extract(None)?;
        let server = Expander::new(hash, master.derive(b"s ap traffic", &messages).as_bytes())?;
        let client = Expander::new(hash, master.derive(b"c ap traffic", &messages).as_bytes())?;

        let verify_data = secrets.client.finished(&messages)?;
        let mut finished = vec![message::FINISHED];
        vector(&mut finished, 3, |out| out.extend_from_slice(verify_data.as_bytes()));
        record::plain(content::CHANGE_CIPHER_SPEC, &[1], out);
        secrets.client.protection(cipher).seal(content::HANDSHAKE, &finished, out);
        self.reading = Some(server.protection(cipher));
        self.writing = Some(client.protection(cipher));
        self.updates = Some(Writing { secret: client, cipher });
        let resumption = if self.want_ticket {
            self.transcript.update(&finished);
            Some(Expander::new(hash, master.derive(b"res master", &self.transcript()).as_bytes())?)
        } else {
            None
        };
        self.state = State::Open { resumption };
        Ok(Event::Established { resumed: secrets.resumed, verified: self.verify && !secrets.resumed })
    }
}

/// What the server signs (RFC 8446 §4.4.3).
fn signed_content(transcript: &Digest) -> Vec<u8> {
    [&[b' '; 64], &b"TLS 1.3, server CertificateVerify\0"[..], transcript.as_bytes()].concat()
}

/// RFC 8446 §4.6.1.
pub(super) fn new_session_ticket(resumption: &Expander, body: &[u8]) -> Result<Session, Fault> {
    let mut body = Reader::new(body);
    let _lifetime = body.u32()?;
    let age_add = body.u32()?;
    let nonce = body.vector8()?;
    let ticket = body.vector16()?.to_vec();
    let _extensions = body.vector16()?;
    body.finish()?;
    let secret = resumption.label(b"resumption", nonce, resumption.hash.len());
    Ok(Session { ticket, secret, age_add, received: Instant::now() })
}

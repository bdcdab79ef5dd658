// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS 1.2 from the ServerHello on (RFC 5246 §7.3, RFC 8422, RFC 7627, RFC 5077).
//!
//! ```text
//! full                                               resumed
//! ServerHello                                        ServerHello
//! Certificate  CertificateStatus*                    NewSessionTicket*
//! ServerKeyExchange  ServerHelloDone -> agreement    ChangeCipherSpec  {Finished}
//!   -> ClientKeyExchange ChangeCipherSpec {Finished}   -> ChangeCipherSpec {Finished}
//! NewSessionTicket*
//! ChangeCipherSpec  {Finished}
//! ```

use super::fault::Fault;
use super::hello::group_number;
use super::keys::Agreement;
use super::offer::Offer;
use super::record::{self, Protection};
use super::schedule::prf;
use super::server_hello::Extensions;
use super::session::Session;
use super::state::{Client, Event, Finishing, State, Tls12};
use super::suite::{Cipher, Version};
use super::wire::{Reader, vector};
use super::{content, message, verify};
use std::time::Instant;
use ttls_crypto::hash::Digest;
use ttls_crypto::job::SharedSecret;

impl Client {
    pub(super) fn server_hello12(
        &mut self,
        offer: &Offer,
        random: [u8; 32],
        echoed: bool,
        found: &Extensions<'_>,
    ) -> Result<Event, Fault> {
        if !found.extended_master_secret {
            return Err(Fault::Unsupported("the server has no extended master secret (RFC 7627)"));
        }
        let next = match &offer.resumed {
            Some((_, session)) if echoed => {
                let master = session.secret.clone();
                let (reading, writing) = self.key_block(offer, &random, &master)?;
                self.writing = Some(writing);
                Tls12::Finishing(Finishing { master, reading: Some(reading), ticket: None, resumed: true })
            }
            _ => Tls12::Certificate { random },
        };
        self.state = State::Tls12(next);
        Ok(Event::Nothing)
    }

    pub(super) fn message12(
        &mut self,
        offer: &Offer,
        state: Tls12,
        kind: u8,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        let mut body = Reader::new(&whole[4..]);
        let mut event = Event::Nothing;
        let next = match (state, kind) {
            (Tls12::Certificate { random }, message::CERTIFICATE) => {
                let mut list = Reader::new(body.vector24()?);
                body.finish()?;
                let leaf = list.vector24()?;
                Tls12::ServerKeyExchange {
                    random,
                    leaf: if self.verify { leaf.to_vec() } else { Vec::new() },
                }
            }
            (state @ Tls12::ServerKeyExchange { .. }, message::CERTIFICATE_STATUS) => state,
            (Tls12::ServerKeyExchange { random, leaf }, message::SERVER_KEY_EXCHANGE) => {
                let agreement = self.server_key_exchange(offer, &random, &leaf, &whole[4..])?;
                Tls12::ServerHelloDone { random, agreement }
            }
            (Tls12::ServerHelloDone { .. }, message::CERTIFICATE_REQUEST) => {
                return Err(Fault::Unsupported("the server asks for a client certificate"));
            }
            (Tls12::ServerHelloDone { random, agreement }, message::SERVER_HELLO_DONE) => {
                event = Event::Agree(agreement);
                Tls12::Agreeing { random }
            }
            (Tls12::Finishing(mut state), message::NEW_SESSION_TICKET) if state.reading.is_some() => {
                let _lifetime_hint = body.u32()?;
                state.ticket = Some(body.vector16()?.to_vec());
                body.finish()?;
                Tls12::Finishing(state)
            }
            (Tls12::Finishing(state), message::FINISHED) if state.reading.is_none() => {
                return self.finished12(offer, state, whole, out);
            }
            _ => return Err(Fault::Wrong("a message comes out of order")),
        };
        self.transcript.update(whole);
        self.state = State::Tls12(next);
        Ok(event)
    }

    /// RFC 8422 §5.4.
    fn server_key_exchange(
        &self,
        offer: &Offer,
        random: &[u8; 32],
        leaf: &[u8],
        content: &[u8],
    ) -> Result<Agreement, Fault> {
        let mut body = Reader::new(content);
        if body.u8()? != 3 || body.u16()? != group_number(offer.profile.group) {
            return Err(Fault::Unsupported("the server chose another group: choose with --group"));
        }
        let point = body.vector8()?;
        let parameters = &content[..4 + point.len()];
        let (scheme, signature) = (body.u16()?, body.vector16()?);
        body.finish()?;
        if self.verify {
            let message = [self.client_random(), random, parameters].concat();
            verify::signature(leaf, scheme, &message, signature)?;
        }
        Ok(offer.key.open(point)?.0)
    }

    pub(super) fn agreed12(
        &mut self,
        offer: &Offer,
        state: Tls12,
        shared: &SharedSecret,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Tls12::Agreeing { random } = state else {
            return Err(Fault::Wrong("no agreement is due"));
        };
        let mut key_exchange = vec![message::CLIENT_KEY_EXCHANGE];
        vector(&mut key_exchange, 3, |out| vector(out, 1, |out| out.extend_from_slice(&offer.key.share)));
        self.transcript.update(&key_exchange);
        record::plain(content::HANDSHAKE, &key_exchange, out);
        let mut master = [0; 48];
        let hash = offer.profile.cipher.hash();
        let session_hash = self.transcript();
        prf(hash, shared.expose(), b"extended master secret", &[session_hash.as_bytes()], &mut master)?;
        let master = Digest::new(&master).ok_or(Fault::Wrong("the master secret is too long"))?;
        let (reading, writing) = self.key_block(offer, &random, &master)?;
        self.writing = Some(writing);
        self.send_finished(offer, &master, out)?;
        self.state = State::Tls12(Tls12::Finishing(Finishing {
            master,
            reading: Some(reading),
            ticket: None,
            resumed: false,
        }));
        Ok(())
    }

    /// The server's and the client's protection (RFC 5246 §6.3).
    fn key_block(
        &self,
        offer: &Offer,
        random: &[u8; 32],
        master: &Digest,
    ) -> Result<(Protection, Protection), Fault> {
        let cipher = offer.profile.cipher;
        let key_len = cipher.aead().key_len();
        let iv_len = if cipher == Cipher::ChaCha20Poly1305 { 12 } else { 4 };
        let mut block = [0; 2 * (32 + 12)];
        let block = &mut block[..2 * (key_len + iv_len)];
        prf(cipher.hash(), master.as_bytes(), b"key expansion", &[random, self.client_random()], block)?;
        let (keys, ivs) = block.split_at(2 * key_len);
        let (client_key, server_key) = keys.split_at(key_len);
        let (client_iv, server_iv) = ivs.split_at(iv_len);
        let protection = |key, iv| Protection::new(Version::Tls12, cipher, key, iv);
        Ok((protection(server_key, server_iv), protection(client_key, client_iv)))
    }

    fn send_finished(&mut self, offer: &Offer, master: &Digest, out: &mut Vec<u8>) -> Result<(), Fault> {
        let mut finished = vec![message::FINISHED, 0, 0, 12];
        finished.extend_from_slice(&self.verify_data(offer, master, b"client finished")?);
        self.transcript.update(&finished);
        record::plain(content::CHANGE_CIPHER_SPEC, &[1], out);
        if let Some(writing) = &mut self.writing {
            writing.seal(content::HANDSHAKE, &finished, out);
        }
        Ok(())
    }

    /// RFC 5246 §7.4.9.
    fn verify_data(&self, offer: &Offer, master: &Digest, label: &[u8]) -> Result<[u8; 12], Fault> {
        let mut data = [0; 12];
        let messages = self.transcript();
        prf(offer.profile.cipher.hash(), master.as_bytes(), label, &[messages.as_bytes()], &mut data)?;
        Ok(data)
    }

    fn finished12(
        &mut self,
        offer: &Offer,
        state: Finishing,
        whole: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Event, Fault> {
        if self.verify_data(offer, &state.master, b"server finished")? != whole[4..] {
            return Err(Fault::Wrong("the server's Finished is wrong"));
        }
        if state.resumed {
            self.transcript.update(whole);
            self.send_finished(offer, &state.master, out)?;
        }
        self.session = state
            .ticket
            .filter(|ticket| self.want_ticket && !ticket.is_empty())
            .map(|ticket| Session { ticket, secret: state.master, age_add: 0, received: Instant::now() });
        self.state = State::Open { resumption: None };
        Ok(Event::Established { resumed: state.resumed, verified: self.verify && !state.resumed })
    }
}

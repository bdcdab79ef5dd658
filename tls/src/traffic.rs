// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record layer of an established connection.

use crate::alert::{self, Alert};
use crate::allowance::{Allowance, Cost};
use crate::buffer::Inbound;
use crate::error::Error;
use crate::key_schedule;
use crate::key_update::{self, MAX_RECORDS};
use crate::record::{self, DirectionKeys, Opener, Outbound, Protection, Received};
use crate::suite::{Suite, Version};
use crate::wire::Message;
use crate::wire::codes::{content_type, message};
use core::ops::Range;
use ttls_crypto::hash::Digest;

/// TLS 1.3's application traffic secrets.
pub(crate) struct Secrets {
    pub(crate) client: Digest,
    pub(crate) server: Digest,
}

/// What [`Traffic::open`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Application data, lying at this range of the receive storage until more is received or opened.
    Data(Range<usize>),
    /// More bytes are needed. `needed` is how many the receive storage must hold at least.
    Incomplete {
        /// Bytes.
        needed: usize,
    },
    /// A message of TLS itself was dealt with; an answer may be in the send buffer. Call again.
    Handled,
    /// The client will send nothing more (RFC 8446 §6.1). What follows is to be ignored.
    CloseNotify,
}

/// An established connection: opens and seals records.
pub struct Traffic {
    opener: Opener,
    sealer: Protection,
    suite: Suite,
    limit: usize,
    /// TLS 1.3 only.
    secrets: Option<Secrets>,
    /// For what carries no data.
    allowance: Allowance,
}

impl Traffic {
    pub(crate) fn new(
        suite: Suite,
        opener: Opener,
        sealer: Protection,
        limit: usize,
        secrets: Option<Secrets>,
    ) -> Self {
        Self { opener, sealer, suite, limit, secrets, allowance: Allowance::new() }
    }

    /// Opens the next record of `inbound` in place. `now` is in milliseconds of a clock that does not step back: it
    /// bounds how often the client may send what carries no data ([`crate::allowance`]).
    ///
    /// # Errors
    /// The connection is lost; [`Traffic::alert`] tells the peer.
    pub fn open(
        &mut self,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
        now: u64,
    ) -> Result<Opened, Error> {
        match self.opener.next(inbound)? {
            Received::Incomplete { needed } => Ok(Opened::Incomplete { needed }),
            Received::Data(data) => {
                match data.len() {
                    0 => self.allowance.take(Cost::EmptyRecord, now)?,
                    len => self.allowance.moved(len),
                }
                Ok(Opened::Data(data))
            }
            Received::Handshake => {
                self.handshake_message(inbound, out, now)?;
                Ok(Opened::Handled)
            }
            Received::Warning => {
                self.allowance.take(Cost::Warning, now)?;
                Ok(Opened::Handled)
            }
            Received::CloseNotify => Ok(Opened::CloseNotify),
            Received::ChangeCipherSpec(_) | Received::Unknown => Err(Error::Unexpected("application data")),
        }
    }

    /// After the handshake a client may send KeyUpdate; a TLS 1.2 client may ask for a renegotiation,
    /// which is declined with a warning (RFC 5246 §7.2.2).
    fn handshake_message(
        &mut self,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
        now: u64,
    ) -> Result<(), Error> {
        let joined = inbound.message();
        if self.secrets.is_none() {
            return self.decline_renegotiation(inbound, out, now);
        }
        let Some(requested) = key_update::read(joined)? else {
            return self.allowance.take(Cost::Fragment, now);
        };
        inbound.consume_message(joined.len());
        let cost = if requested { Cost::AnsweredKeyUpdate } else { Cost::KeyUpdate };
        self.allowance.take(cost, now)?;
        self.receive_key_update(requested, out)
    }

    fn decline_renegotiation(
        &mut self,
        inbound: &mut Inbound<'_>,
        out: &mut Outbound<'_>,
        now: u64,
    ) -> Result<(), Error> {
        let joined = inbound.message();
        if joined.first() != Some(&message::CLIENT_HELLO) {
            return Err(Error::Unexpected("application data"));
        }
        let Some(hello) = Message::first(joined, record::MAX_PLAINTEXT)? else {
            return self.allowance.take(Cost::Fragment, now);
        };
        let total = hello.raw.len();
        inbound.consume_message(total);
        self.allowance.take(Cost::Renegotiation, now)?;
        out.alert(alert::WARNING, Alert::NO_RENEGOTIATION, Some(&mut self.sealer))
    }

    fn receive_key_update(&mut self, requested: bool, out: &mut Outbound<'_>) -> Result<(), Error> {
        let secrets = self.secrets.as_mut().ok_or(Error::Unexpected("application data"))?;
        secrets.client = key_schedule::next_traffic_secret(self.suite, &secrets.client)?;
        self.opener.protect(key_schedule::protection(self.suite, &secrets.client)?);
        if requested { self.update_keys(out) } else { Ok(()) }
    }

    /// Sends a KeyUpdate (RFC 8446 §4.6.3) and goes on with new keys. Does nothing in TLS 1.2.
    ///
    /// # Errors
    /// [`Error::Internal`] if `out` is full.
    pub fn update_keys(&mut self, out: &mut Outbound<'_>) -> Result<(), Error> {
        let Some(secrets) = &mut self.secrets else { return Ok(()) };
        out.begin(Some(&self.sealer))?;
        let put = out.draft().message(message::KEY_UPDATE, |out| out.u8(0));
        put.inspect_err(|_| out.discard())?;
        out.seal(content_type::HANDSHAKE, self.limit, Some(&mut self.sealer))?;
        secrets.server = key_schedule::next_traffic_secret(self.suite, &secrets.server)?;
        self.sealer = key_schedule::protection(self.suite, &secrets.server)?;
        Ok(())
    }

    /// Whether so much was sent under one key that [`Traffic::update_keys`] is due before the next record.
    pub fn key_is_worn(&self) -> bool {
        self.secrets.is_some() && self.sealer.sequence() >= MAX_RECORDS
    }

    /// Bytes of room before the plaintext in a record: header and explicit nonce.
    pub const fn headroom(&self) -> usize {
        self.sealer.headroom()
    }

    /// Bytes a record adds to its plaintext, the headroom included.
    pub const fn overhead(&self) -> usize {
        self.sealer.overhead()
    }

    /// Most bytes of plaintext in one record that the client takes; at most 16384.
    pub const fn record_limit(&self) -> usize {
        self.limit
    }

    /// Seals the `len` bytes of application data that lie in `record` after [`Traffic::headroom`] bytes. Returns the
    /// length of the record, `len` + [`Traffic::overhead`].
    ///
    /// # Errors
    /// [`Error::Internal`] if `len` is over the limit or `record` is too small.
    pub fn seal(&mut self, record: &mut [u8], len: usize) -> Result<usize, Error> {
        if len > self.limit {
            return Err(Error::Internal("record is over the client's limit"));
        }
        self.allowance.moved(len);
        self.sealer.seal(content_type::APPLICATION_DATA, record, len)
    }

    /// Writes close_notify: nothing more will be sent.
    ///
    /// # Errors
    /// [`Error::Internal`] if `out` is full.
    pub fn close_notify(&mut self, out: &mut Outbound<'_>) -> Result<(), Error> {
        out.alert(alert::WARNING, Alert::CLOSE_NOTIFY, Some(&mut self.sealer))
    }

    /// Writes the fatal alert for `error`, if one is due.
    ///
    /// # Errors
    /// [`Error::Internal`] if `out` is full.
    pub fn alert(&mut self, error: Error, out: &mut Outbound<'_>) -> Result<(), Error> {
        match error.alert() {
            Some(alert) => out.alert(alert::FATAL, alert, Some(&mut self.sealer)),
            None => Ok(()),
        }
    }

    /// The version that the records follow.
    pub const fn version(&self) -> Version {
        self.suite.version()
    }

    /// TLS 1.3's application traffic secrets, for who goes on from [`Traffic::keys`] and has to follow a KeyUpdate:
    /// receiving, then sending.
    pub fn secrets(&self) -> Option<(&Digest, &Digest)> {
        self.secrets.as_ref().map(|secrets| (&secrets.client, &secrets.server))
    }

    /// Keys for kTLS to go on with: receiving, then sending. `None` cannot occur on an established connection.
    pub fn keys(&self) -> Option<(DirectionKeys, DirectionKeys)> {
        Some((self.opener.protection()?.keys(), self.sealer.keys()))
    }
}

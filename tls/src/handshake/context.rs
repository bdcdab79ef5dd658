// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the states of both versions work with, and what they leave.

use super::job::Job;
use super::session::Session;
use crate::config::Environment;
use crate::error::Error;
use crate::record::{Draft, MAX_PLAINTEXT, Opener, Outbound, Protection};
use crate::traffic::Secrets;
use crate::wire::codes::content_type;
use ttls_crypto::hash::Digest;

/// What all states share: the record layer of this connection.
pub(super) struct Link {
    pub(super) opener: Opener,
    pub(super) sealer: Option<Protection>,
    /// Most plaintext in a record that is sent.
    pub(super) limit: usize,
    pub(super) client_random: [u8; 32],
    /// What lies in the send storage unsealed while a job is under way.
    pub(super) draft: Draft,
}

impl Link {
    pub(super) const fn new() -> Self {
        Self {
            opener: Opener::new(),
            sealer: None,
            limit: MAX_PLAINTEXT,
            client_random: [0; 32],
            draft: Draft::NONE,
        }
    }
}

/// What every state works with.
pub(super) struct Context<'x, 'e, 'o> {
    pub(super) env: &'x mut Environment<'e>,
    pub(super) link: &'x mut Link,
    pub(super) out: &'x mut Outbound<'o>,
    /// What the state that is entered waits for. Kept out of the states' results, which are moved often.
    pub(super) job: &'x mut Option<Job>,
}

impl Context<'_, '_, '_> {
    /// Begins a flight under the keys of the moment.
    pub(super) fn begin_flight(&mut self) -> Result<(), Error> {
        self.out.begin(self.link.sealer.as_ref())
    }

    /// Seals the flight, under the keys it was begun with.
    pub(super) fn end_flight(&mut self) -> Result<(), Error> {
        self.out.seal(content_type::HANDSHAKE, self.link.limit, self.link.sealer.as_mut())
    }

    /// Has the shell compute `job`; the state that is entered waits for it.
    pub(super) fn ask(&mut self, job: Job) {
        *self.job = Some(job);
    }
}

/// What a state waits for.
pub(super) enum Awaits {
    /// A message of the handshake, or change_cipher_spec.
    Message,
    /// A message of the client's that may cost the verifier of certificates a signature.
    Proof,
    /// A job's result.
    Job,
    /// The handshake is complete; what is left is yet to be taken.
    Nothing,
}

/// What a completed handshake leaves besides the record layer, which stays in its [`Link`] until both are taken.
pub(super) struct Agreed {
    pub(super) session: Session,
    /// TLS 1.3 only.
    pub(super) secrets: Option<Secrets>,
}

/// Checks verify_data of the client's Finished: its length is part of the message's syntax (RFC 8446 §4.4.4, RFC 5246 §7.4.9).
pub(super) fn check_finished(body: &[u8], proof: &Digest) -> Result<(), Error> {
    if body.len() != proof.as_bytes().len() {
        return Err(Error::Malformed("Finished"));
    }
    if proof.matches(body) { Ok(()) } else { Err(Error::BadProof("the client's Finished")) }
}

/// A job's result that the state does not wait for.
pub(super) const STRAY_RESULT: Error = Error::Internal("a job result that no state waits for");

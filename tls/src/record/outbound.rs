// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is sent: drafts become records, and only records leave.

use super::header::{HEADER, MAX_PLAINTEXT, header};
use super::protection::Protection;
use crate::alert::Alert;
use crate::error::Error;
use crate::wire::codes::{content_type, message};
use crate::wire::{Writer, message as whole};

/// Records to be sent, appended to the shell's storage.
///
/// ```text
/// 0 … records … sealed … headroom, messages … draft.len() … storage.len()
///     └ sent by   ┘     └ a flight that is being written ┘
///       the shell
/// ```
///
/// The shell knows the length of the records alone. What is being written becomes visible when it is sealed, or
/// framed as an unprotected record, and not before: a draft that is given up on never leaves.
pub struct Outbound<'b> {
    draft: Writer<'b>,
    /// The shell's count of bytes to send: whole records.
    sealed: &'b mut usize,
}

impl<'b> Outbound<'b> {
    /// Appends after the first `len` bytes of `storage`.
    pub fn new(storage: &'b mut [u8], len: &'b mut usize) -> Self {
        debug_assert!(*len <= storage.len());
        *len = storage.len().min(*len);
        Self { draft: Writer::after(storage, *len), sealed: len }
    }

    /// Bytes of the records to be sent.
    pub const fn len(&self) -> usize {
        *self.sealed
    }

    /// Whether there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        *self.sealed == 0
    }

    /// The records to be sent.
    pub fn records(&self) -> &[u8] {
        self.draft.written().get(..*self.sealed).unwrap_or_default()
    }

    /// Begins a draft with room for what precedes the plaintext in a record of this protection.
    pub(crate) fn begin(&mut self, protection: Option<&Protection>) -> Result<(), Error> {
        if self.is_drafting() {
            return Err(Error::Internal("a flight is begun before the last one is sealed"));
        }
        self.draft.reserve(headroom(protection)).map(|_| ())
    }

    /// Where the draft's messages are written.
    pub(crate) const fn draft(&mut self) -> &mut Writer<'b> {
        &mut self.draft
    }

    /// What is written of a flight that was begun with this protection, and no record holds yet.
    pub(crate) fn drafted(&self, protection: Option<&Protection>) -> &[u8] {
        self.draft.tail(*self.sealed).get(headroom(protection)..).unwrap_or_default()
    }

    /// Whether something is written that no record holds yet.
    pub(crate) const fn is_drafting(&self) -> bool {
        self.draft.len() > *self.sealed
    }

    /// Takes back what is not sealed.
    pub(crate) const fn discard(&mut self) {
        self.draft.truncate(*self.sealed);
    }

    /// The draft, to go on with in the next call with the same storage.
    pub(crate) const fn suspend(&self) -> Draft {
        Draft { start: *self.sealed, len: self.draft.len() - *self.sealed }
    }

    /// Goes on with a draft that an earlier call left after the records.
    ///
    /// # Errors
    /// [`Error::Internal`] if the records are not the same, or the storage is smaller.
    pub(crate) fn restore(&mut self, draft: Draft) -> Result<(), Error> {
        if draft.len > 0 && draft.start != *self.sealed {
            return Err(Error::Internal("the send storage changed while a job was under way"));
        }
        self.draft.reserve(draft.len).map(|_| ())
    }

    /// Makes the draft records of at most `limit` bytes of plaintext, in place. Handshake messages are cut across
    /// records only if they are longer than one.
    ///
    /// # Errors
    /// [`Error::Internal`] if they do not fit the storage; the draft is taken back then.
    pub(crate) fn seal(
        &mut self,
        kind: u8,
        limit: usize,
        protection: Option<&mut Protection>,
    ) -> Result<(), Error> {
        let sealed = self.seal_draft(kind, limit, protection);
        match sealed {
            Ok(()) => *self.sealed = self.draft.len(),
            Err(_) => self.discard(),
        }
        sealed
    }

    fn seal_draft(
        &mut self,
        kind: u8,
        limit: usize,
        mut protection: Option<&mut Protection>,
    ) -> Result<(), Error> {
        const NO_ROOM: Error = Error::Internal("no room for a record's header");
        let headroom = headroom(protection.as_deref());
        let overhead = protection.as_ref().map_or(HEADER, |protection| protection.overhead());
        let start = *self.sealed;
        let plaintext = self.draft.tail(start).get(headroom..).ok_or(NO_ROOM)?;
        let total = plaintext.len();
        let count = Cuts::new(kind, limit).count(plaintext);
        self.draft.reserve((count * overhead).checked_sub(headroom).ok_or(NO_ROOM)?)?;
        let mut rest = self.draft.tail_mut(start);
        // One record is sealed where it was written. The plaintext of several goes to the end of their room first, and
        // each piece comes forward into its record: never over what is still to come, which has more overhead before it.
        let mut from = headroom;
        if count > 1 {
            from = rest.len() - total;
            rest.copy_within(headroom..headroom + total, from);
        }
        let (mut cuts, mut left) = (Cuts::new(kind, limit), total);
        for _ in 0..count {
            let len = cuts.next(rest.get(from..from + left).ok_or(NO_ROOM)?);
            left -= len;
            if from != headroom {
                rest.copy_within(from..from + len, headroom);
            }
            let (record, after) = rest.split_at_mut_checked(len + overhead).ok_or(NO_ROOM)?;
            match &mut protection {
                Some(protection) => protection.seal(kind, record, len).map(|_| ())?,
                None => {
                    *record.first_chunk_mut().ok_or(NO_ROOM)? = header(kind, len)?;
                }
            }
            from = (from + len).saturating_sub(len + overhead);
            rest = after;
        }
        Ok(())
    }

    /// Appends an alert record (RFC 8446 §6).
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not fit.
    pub(crate) fn alert(
        &mut self,
        level: u8,
        alert: Alert,
        protection: Option<&mut Protection>,
    ) -> Result<(), Error> {
        self.begin(protection.as_deref())?;
        let put = self.draft.put(&[level, alert.0]);
        put.and_then(|()| self.seal(content_type::ALERT, MAX_PLAINTEXT, protection))
            .inspect_err(|_| self.discard())
    }

    /// Appends the change_cipher_spec record, which is never protected.
    ///
    /// # Errors
    /// [`Error::Internal`] if it does not fit.
    pub(crate) fn change_cipher_spec(&mut self) -> Result<(), Error> {
        self.begin(None)?;
        let put = self.draft.put(&[1]);
        put.and_then(|()| self.seal(content_type::CHANGE_CIPHER_SPEC, MAX_PLAINTEXT, None))
            .inspect_err(|_| self.discard())
    }
}

/// A draft between two calls: where it lies in the send storage.
#[derive(Clone, Copy, Default)]
pub(crate) struct Draft {
    start: usize,
    len: usize,
}

impl Draft {
    /// No draft.
    pub(crate) const NONE: Self = Self { start: 0, len: 0 };
}

fn headroom(protection: Option<&Protection>) -> usize {
    protection.map_or(HEADER, Protection::headroom)
}

/// Where a flight is cut into records. Small clients take no message in pieces if it could have come in one, and some
/// take a ServerHello only by itself.
struct Cuts {
    handshake: bool,
    limit: usize,
    /// Bytes that are left of a message that is longer than a record.
    left: usize,
    /// Nothing may follow that message in its last record.
    alone: bool,
}

impl Cuts {
    fn new(kind: u8, limit: usize) -> Self {
        Self { handshake: kind == content_type::HANDSHAKE, limit: limit.max(1), left: 0, alone: false }
    }

    /// Number of records for `plaintext`: at least one.
    fn count(mut self, mut plaintext: &[u8]) -> usize {
        let mut count = 0;
        loop {
            let len = self.next(plaintext);
            count += 1;
            plaintext = plaintext.get(len..).unwrap_or_default();
            if plaintext.is_empty() {
                return count;
            }
        }
    }

    /// Length of the next record's plaintext, of what is left of it all.
    fn next(&mut self, rest: &[u8]) -> usize {
        let most = self.limit.min(rest.len());
        if !self.handshake {
            return most;
        }
        let mut len = self.left.min(most);
        self.left -= len;
        if len > 0 && (self.left > 0 || self.alone) {
            self.alone &= self.left > 0;
            return len;
        }
        while let Some((kind, message)) = rest.get(len..).and_then(whole::begins) {
            let alone = kind == message::SERVER_HELLO;
            if message <= most - len {
                len += message;
                if alone {
                    break;
                }
            } else if len == 0 {
                self.left = message - most;
                self.alone = alone;
                return most;
            } else {
                break;
            }
        }
        // What is no message does not occur; it goes out like other content.
        if len == 0 { most } else { len }
    }
}

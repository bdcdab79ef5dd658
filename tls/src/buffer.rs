// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where received bytes lie: the storage is the shell's, the positions are the core's.

use crate::error::Error;
use core::ops::Range;

/// Positions in a connection's receive storage.
///
/// ```text
/// 0 … message … message_end … record … end … storage.len()
///     └ joined handshake ┘    └ received, ┘   └ free ┘
///       plaintext               unopened
/// ```
#[derive(Clone, Debug, Default)]
pub struct Window {
    message: usize,
    message_end: usize,
    record: usize,
    end: usize,
}

impl Window {
    /// Bytes received and not used up: what must move along to a larger storage.
    pub const fn pending(&self) -> usize {
        (self.message_end - self.message) + (self.end - self.record)
    }

    /// Received bytes that no call has opened yet.
    pub const fn unopened(&self) -> usize {
        self.end - self.record
    }
}

/// A connection's received bytes: records are opened, and messages joined, where they lie.
pub struct Inbound<'b> {
    storage: &'b mut [u8],
    window: &'b mut Window,
}

impl<'b> Inbound<'b> {
    /// Joins storage and positions. A window always belongs to the same storage;
    /// one that does not fit it is taken as empty.
    pub fn new(storage: &'b mut [u8], window: &'b mut Window) -> Self {
        if window.end > storage.len() {
            debug_assert!(false, "window of another storage");
            *window = Window::default();
        }
        Self { storage, window }
    }

    /// Where the next received bytes go. Empty only if the storage is full of pending bytes.
    pub fn free(&mut self) -> &mut [u8] {
        let w = &mut *self.window;
        if w.message == w.message_end && w.record == w.end {
            *w = Window::default();
        } else if w.end == self.storage.len() {
            let message = w.message..w.message_end;
            let record = w.record..w.end;
            self.storage.copy_within(message.clone(), 0);
            self.storage.copy_within(record.clone(), message.len());
            *w = Window {
                message: 0,
                message_end: message.len(),
                record: message.len(),
                end: message.len() + record.len(),
            };
        }
        self.storage.get_mut(w.end..).unwrap_or_default()
    }

    /// `count` bytes were received into [`Inbound::free`]; more than fit count as all that fit.
    pub fn received(&mut self, count: usize) {
        self.window.end = self.storage.len().min(self.window.end.saturating_add(count));
    }

    /// Moves all pending bytes to a larger `storage`.
    ///
    /// # Errors
    /// [`Error::Internal`] if they do not fit.
    pub fn move_to<'c>(self, storage: &'c mut [u8]) -> Result<Inbound<'c>, Error>
    where
        'b: 'c,
    {
        let w = self.window;
        let (message, record) = (w.message..w.message_end, w.record..w.end);
        let (joined, total) = (message.len(), message.len() + record.len());
        for (to, from) in [(0..joined, message), (joined..total, record)] {
            let place =
                storage.get_mut(to).ok_or(Error::Internal("pending bytes do not fit the new storage"))?;
            place
                .copy_from_slice(self.storage.get(from).ok_or(Error::Internal("window of another storage"))?);
        }
        *w = Window { message: 0, message_end: joined, record: joined, end: total };
        Ok(Inbound { storage, window: w })
    }

    /// Capacity of the storage, in bytes.
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Joined handshake plaintext that is not used up.
    pub(crate) fn message(&self) -> &[u8] {
        self.storage.get(self.window.message..self.window.message_end).unwrap_or_default()
    }

    /// Uses up `len` bytes of [`Inbound::message`].
    pub(crate) fn consume_message(&mut self, len: usize) {
        let w = &mut *self.window;
        w.message = w.message_end.min(w.message.saturating_add(len));
    }

    /// Received bytes not opened yet, beginning with a record header.
    pub(crate) fn record(&mut self) -> &mut [u8] {
        self.storage.get_mut(self.window.record..self.window.end).unwrap_or_default()
    }

    /// Uses up the first `len` bytes of [`Inbound::record`] and returns where `payload` of it lies in the storage.
    pub(crate) fn consume_record(&mut self, len: usize, payload: Range<usize>) -> Range<usize> {
        let start = self.window.record;
        self.window.record = self.window.end.min(start.saturating_add(len));
        start + payload.start..start + payload.end
    }

    /// Appends handshake plaintext, lying at `payload` of the storage, to the joined message.
    pub(crate) fn join(&mut self, payload: Range<usize>) {
        let w = &mut *self.window;
        if w.message == w.message_end {
            (w.message, w.message_end) = (payload.start, payload.end);
        } else {
            let len = payload.len();
            self.storage.copy_within(payload, w.message_end);
            w.message_end += len;
        }
    }

    /// The bytes at `range` of the storage, as [`crate::Opened::Data`] gives it.
    pub fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.storage.get(range).unwrap_or_default()
    }
}

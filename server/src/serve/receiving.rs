// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an established connection's client has sent and what is not passed on yet. Positions exist in here only.

use super::memory::{Memory, Purpose, Size, Storage};
use super::sending::smaller;
use super::socket::Moved;
use std::ops::Range;
use ttls::{Error, Inbound, Opened, Outbound, Traffic, Window};

/// A client's receive buffer.
#[derive(Debug, Default)]
pub struct Receiving {
    storage: Option<Storage>,
    window: Window,
    /// Opened and not yet passed on.
    plain: Range<usize>,
}

impl Receiving {
    /// Goes on with what the handshake left.
    pub fn new(storage: Option<Storage>, window: Window) -> Self {
        Self { storage, window, plain: 0..0 }
    }

    /// Opened bytes that are to be passed on.
    pub fn plain(&self) -> &[u8] {
        let bytes = self.storage.as_ref().map_or(&[][..], Storage::bytes);
        bytes.get(self.plain.clone()).unwrap_or_default()
    }

    /// So many of [`Receiving::plain`] are passed on.
    pub fn passed_on(&mut self, count: usize) {
        self.plain.start = self.plain.start.saturating_add(count).min(self.plain.end);
    }

    /// Whether there are received bytes that were not opened.
    pub const fn has_unopened(&self) -> bool {
        self.window.unopened() > 0
    }

    /// Whether it holds storage.
    pub const fn holds_storage(&self) -> bool {
        self.storage.is_some()
    }

    /// Has `receive` fill the space for the next bytes from the client; nothing opened may be left. `None` if no storage is
    /// free.
    ///
    /// # Errors
    /// The next record is longer than any may be.
    pub fn receive(
        &mut self,
        memory: &Memory,
        receive: impl FnOnce(&mut [u8]) -> Moved,
    ) -> Result<Option<Moved>, Error> {
        if self.storage.as_ref().is_none_or(|storage| storage.size() < Size::Record) {
            // The longest record's storage takes what has arrived in the fewest calls. Without it, what is there must do.
            if let Some(storage) = memory.take(Size::Record, Purpose::Relay) {
                self.move_to(storage)?;
            }
        }
        let Some(storage) = &mut self.storage else { return Ok(None) };
        let (size, capacity) = (storage.size(), storage.bytes().len());
        let mut inbound = Inbound::new(storage.bytes_mut(), &mut self.window);
        let free = inbound.free();
        let start = capacity - free.len();
        if free.is_empty() {
            return if size >= Size::Record { Err(Error::RecordOverflow) } else { Ok(None) };
        }
        let moved = receive(free);
        if let Moved::Bytes(count) = moved {
            inbound.received(count);
            storage.lies_open(start.saturating_add(count));
        }
        Ok(Some(moved))
    }

    /// Opens the next record, at `now` (milliseconds of a clock that never jumps); its data is [`Receiving::plain`] then.
    ///
    /// # Errors
    /// The connection is lost.
    pub fn open(&mut self, traffic: &mut Traffic, out: &mut Outbound<'_>, now: u64) -> Result<Opened, Error> {
        let bytes = self.storage.as_mut().map_or(&mut [][..], Storage::bytes_mut);
        let opened = traffic.open(&mut Inbound::new(bytes, &mut self.window), out, now)?;
        match &opened {
            Opened::Data(range) => self.plain = range.clone(),
            Opened::Incomplete { needed } if *needed > Size::Record.bytes() => {
                return Err(Error::RecordOverflow);
            }
            _ => {}
        }
        Ok(opened)
    }

    /// Gives the storage back, if there is nothing in it, or takes the smallest that holds what there is: a part of a record
    /// costs about what the client has sent.
    pub fn shrink(&mut self, memory: &Memory) {
        if !self.plain().is_empty() {
            return;
        }
        if self.window.pending() == 0 {
            self.clear();
        } else if let Some(smaller) = smaller(memory, self.storage.as_ref(), self.window.pending()) {
            // What is pending fits: its length was asked for.
            let _ = self.move_to(smaller);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn move_to(&mut self, mut storage: Storage) -> Result<(), Error> {
        if let Some(old) = &mut self.storage {
            let pending = self.window.pending();
            Inbound::new(old.bytes_mut(), &mut self.window).move_to(storage.bytes_mut())?;
            storage.lies_open(pending);
        } else {
            self.window = Window::default();
        }
        self.storage = Some(storage);
        Ok(())
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to be sent to a client, and how much room there is for more. Positions exist in here only.
//!
//! ```text
//! 0 … sent … end … reserve … storage.len()
//!     └ to ┘     └ answers ┘
//!       send       only
//! ```
//!
//! Data is appended up to the reserve, records of TLS itself (KeyUpdate, alerts) up to the end of the storage.
//! Nothing is between the two positions that was not sealed, and nothing is appended after what ends the stream.

use super::memory::{Memory, Purpose, Size, Storage};
use std::io::IoSliceMut;
use ttls::{Error, Outbound, Traffic};

/// Room that the answers to one record (KeyUpdate, alert) or the end of the stream need.
const ANSWER: usize = 256;
/// Most records sealed from one read.
const RECORDS: usize = 16;

/// A client's send buffer.
#[derive(Debug, Default)]
pub struct Sending {
    storage: Option<Storage>,
    sent: usize,
    end: usize,
    /// Its last record is close_notify or a fatal alert.
    ended: bool,
}

/// Why nothing was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// No storage is free.
    Starved,
    /// What is to be sent must go first.
    Full,
    /// TLS failed.
    Tls(Error),
}

impl Sending {
    /// Goes on with what the handshake left: the first `len` bytes of `storage`.
    pub fn new(storage: Option<Storage>, len: usize) -> Self {
        let end = storage.as_ref().map_or(0, |storage| len.min(storage.bytes().len()));
        Self { storage, sent: 0, end, ended: false }
    }

    /// What is to be sent.
    pub fn bytes(&self) -> &[u8] {
        let bytes = self.storage.as_ref().map_or(&[][..], Storage::bytes);
        bytes.get(self.sent..self.end).unwrap_or_default()
    }

    /// Whether everything is sent.
    pub const fn is_empty(&self) -> bool {
        self.sent >= self.end
    }

    /// So many of [`Sending::bytes`] are sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.end);
        if self.is_empty() {
            (self.sent, self.end) = (0, 0);
        }
    }

    /// Whether close_notify or a fatal alert is in it or sent.
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// Whether an answer fits.
    pub fn has_room(&self) -> bool {
        self.storage.as_ref().is_none_or(|storage| storage.bytes().len().saturating_sub(self.end) >= ANSWER)
    }

    /// Whether it holds storage.
    pub const fn holds_storage(&self) -> bool {
        self.storage.is_some()
    }

    /// Appends what `write` writes: sealed records of TLS itself, at most `ANSWER` bytes. When the stream has ended, they are dropped.
    ///
    /// # Errors
    /// They could not be written, or there is no room for them: a stream that has lost a record has ended.
    pub fn answer<R>(
        &mut self,
        memory: &Memory,
        write: impl FnOnce(&mut Outbound<'_>) -> Result<R, Error>,
    ) -> Result<R, Unsent> {
        let (mut answer, mut len) = ([0; ANSWER], 0);
        let result = write(&mut Outbound::new(&mut answer, &mut len)).map_err(Unsent::Tls)?;
        if len > 0 && !self.ended {
            let answer = answer.get(..len).unwrap_or_default();
            self.append(memory, answer).inspect_err(|_| self.ended = true)?;
        }
        Ok(result)
    }

    /// The same for the record that ends the stream.
    ///
    /// # Errors
    /// As [`Sending::answer`], and the stream ends without the record; but [`Unsent::Starved`] changes nothing.
    pub fn end(
        &mut self,
        memory: &Memory,
        write: impl FnOnce(&mut Outbound<'_>) -> Result<(), Error>,
    ) -> Result<(), Unsent> {
        self.storage(memory)?;
        let result = self.answer(memory, write);
        self.ended = true;
        result
    }

    /// The stream ends without a record that says so.
    pub const fn cut(&mut self) {
        self.ended = true;
    }

    fn storage(&mut self, memory: &Memory) -> Result<&mut Storage, Unsent> {
        Ok(match &mut self.storage {
            Some(storage) => storage,
            none => none.insert(memory.take(Size::Tiny, Purpose::Relay).ok_or(Unsent::Starved)?),
        })
    }

    fn append(&mut self, memory: &Memory, bytes: &[u8]) -> Result<(), Unsent> {
        let start = self.end;
        let storage = self.storage(memory)?;
        let space = storage.bytes_mut().get_mut(start..).and_then(|free| free.get_mut(..bytes.len()));
        space.ok_or(Unsent::Full)?.copy_from_slice(bytes);
        self.end += bytes.len();
        Ok(())
    }

    /// Has storage for data, a bulk storage for a `transfer` if one is free.
    ///
    /// # Errors
    /// No storage is free.
    pub fn prepare(&mut self, memory: &Memory, transfer: bool) -> Result<(), Unsent> {
        let size = self.storage.as_ref().map(Storage::size);
        if transfer
            && self.is_empty()
            && size != Some(Size::Bulk)
            && let Some(bulk) = memory.take(Size::Bulk, Purpose::Transfer)
        {
            self.storage = Some(bulk);
        } else if size.is_none_or(|size| size < Size::Record) {
            self.move_to(memory.take(Size::Record, Purpose::Relay).ok_or(Unsent::Starved)?);
        }
        Ok(())
    }

    /// Most plaintext for which there is room in one record that adds `overhead`.
    pub fn room(&self, overhead: usize) -> usize {
        let len = self.storage.as_ref().map_or(0, |storage| storage.bytes().len());
        len.saturating_sub(ANSWER).saturating_sub(self.end).saturating_sub(overhead)
    }

    /// Has `read` fill records of these `sizes` in bytes of plaintext, in order, as many as there is room for, and seals them where they
    /// lie. Returns how many bytes were read.
    ///
    /// # Errors
    /// What `read` says; or the records could not be sealed, and are taken back.
    pub fn fill<E: From<Error>>(
        &mut self,
        traffic: &mut Traffic,
        sizes: impl Iterator<Item = usize>,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let (headroom, overhead) = (traffic.headroom(), traffic.overhead());
        let bytes = self.storage.as_mut().map_or(&mut [][..], Storage::bytes_mut);
        let end = bytes.len().saturating_sub(ANSWER);
        let space = bytes.get_mut(self.end..end).unwrap_or_default();
        let mut lens = [0; RECORDS];
        let mut slices: [IoSliceMut<'_>; RECORDS] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let (mut free, mut filled) = (&mut *space, 0);
        for ((slice, len), size) in slices.iter_mut().zip(&mut lens).zip(sizes) {
            let Some((record, rest)) = std::mem::take(&mut free).split_at_mut_checked(size + overhead) else {
                break;
            };
            *slice = IoSliceMut::new(
                record.get_mut(headroom..).and_then(|content| content.get_mut(..size)).unwrap_or_default(),
            );
            (*len, free) = (size, rest);
            filled += 1;
        }
        let count = read(slices.get_mut(..filled).unwrap_or_default())?;
        // The records lie one behind the other, and only the last is shorter than planned.
        let (mut left, mut sealed) = (count, 0);
        for len in lens.into_iter().take(filled) {
            if left == 0 {
                break;
            }
            let here = left.min(len);
            match traffic.seal(space.get_mut(sealed..).unwrap_or_default(), here) {
                Ok(len) => sealed += len,
                Err(error) => {
                    // Nothing of it may be seen, by this client or the next.
                    space.fill(0);
                    return Err(error.into());
                }
            }
            left -= here;
        }
        self.end += sealed;
        Ok(count)
    }

    /// Gives the storage back, if there is nothing in it, or takes the smallest that holds what there is.
    pub fn shrink(&mut self, memory: &Memory) {
        if self.is_empty() {
            self.storage = None;
        } else if let Some(smaller) = smaller(memory, self.storage.as_ref(), self.bytes().len() + ANSWER) {
            self.move_to(smaller);
        }
    }

    /// Forgets what is not sent.
    pub fn clear(&mut self) {
        (self.storage, self.sent, self.end, self.ended) = (None, 0, 0, true);
    }

    fn move_to(&mut self, mut storage: Storage) {
        let bytes = self.bytes();
        let len = bytes.len();
        if let Some(space) = storage.bytes_mut().get_mut(..len) {
            space.copy_from_slice(bytes);
            (self.storage, self.sent, self.end) = (Some(storage), 0, len);
        }
    }
}

/// A storage for `len` bytes that is smaller than the present one, if there is any. Bulk storages are lent for as long as a
/// transfer lasts, and have their own reserve.
pub(super) fn smaller(memory: &Memory, present: Option<&Storage>, len: usize) -> Option<Storage> {
    let size = Size::for_bytes(len)?;
    let present = present?.size();
    if present == Size::Bulk || size >= present { None } else { memory.take(size, Purpose::Relay) }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storage for bytes under way: of a few sizes, out of reserves that can not starve each other.
//!
//! A storage gives itself back when it is dropped, and its bytes to its reserve. What lay open in it is wiped first.

use super::pool::Pool;
use crate::certificates::MAX_FLIGHT;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Storages of each size that stay ready.
const READY: usize = 256;
/// The same of bulk storages.
const READY_BULK: usize = 4;

/// How large a storage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// A short part of a record.
    Tiny,
    /// A longer part; most requests.
    Small,
    /// The longest record of TLS 1.2 (2^14 + 2048 + 5), or a flight.
    Record,
    /// Eight of the longest records that are sent, and an answer: what a long transfer sends at a time.
    Bulk,
}

impl Size {
    const ALL: [Self; 4] = [Self::Tiny, Self::Small, Self::Record, Self::Bulk];

    /// In bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Tiny => 512,
            Self::Small => 4096,
            Self::Record => 18 * 1024 + 512,
            Self::Bulk => 8 * (16_384 + 64) + 256,
        }
    }

    /// The smallest that holds `len` bytes; `None` if none does.
    pub fn for_bytes(len: usize) -> Option<Self> {
        Self::ALL.into_iter().find(|size| size.bytes() >= len)
    }
}

const _: () = assert!(MAX_FLIGHT <= Size::Record.bytes());

/// What a storage is for: each purpose has a reserve of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A handshake.
    Handshake,
    /// An established connection.
    Relay,
    /// A long transfer. When this reserve is used up, such transfers get on with less.
    Transfer,
}

/// Bytes that storages of one purpose may have.
#[derive(Debug)]
struct Reserve {
    limit: usize,
    used: Cell<usize>,
}

impl Reserve {
    const fn new(limit: usize) -> Self {
        Self { limit, used: Cell::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let used = self.used.get() + bytes;
        let fits = used <= self.limit;
        if fits {
            self.used.set(used);
        }
        fits
    }

    fn give_back(&self, bytes: usize) {
        self.used.set(self.used.get().saturating_sub(bytes));
    }
}

/// A worker's storages.
#[derive(Clone, Debug)]
pub struct Memory(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    handshakes: Reserve,
    relays: Reserve,
    transfers: Reserve,
    /// Unused storages, by size.
    tiny: RefCell<Pool<[u8]>>,
    small: RefCell<Pool<[u8]>>,
    record: RefCell<Pool<[u8]>>,
    bulk: RefCell<Pool<[u8]>>,
    lent: Cell<usize>,
}

impl Memory {
    /// Shares `bytes` out: a quarter for long transfers, a quarter for handshakes, the rest for established
    /// connections; each gets enough to work at all.
    pub fn new(bytes: usize) -> Self {
        let quarter = bytes / 4;
        let least = 8 * Size::Record.bytes();
        let pool = |size: Size, keep: usize, limit: usize, make| {
            RefCell::new(Pool::new(keep.min(limit / size.bytes()), make))
        };
        let relays = (bytes - 2 * quarter).max(least);
        Self(Rc::new(Inner {
            handshakes: Reserve::new(quarter.max(least)),
            relays: Reserve::new(relays),
            transfers: Reserve::new(quarter),
            tiny: pool(Size::Tiny, READY, relays, || boxed(Size::Tiny)),
            small: pool(Size::Small, READY, relays, || boxed(Size::Small)),
            record: pool(Size::Record, READY, relays, || boxed(Size::Record)),
            bulk: pool(Size::Bulk, READY_BULK, quarter, || boxed(Size::Bulk)),
            lent: Cell::new(0),
        }))
    }

    /// A storage with unspecified content; `None` if the purpose's reserve is used up.
    pub fn take(&self, size: Size, purpose: Purpose) -> Option<Storage> {
        if !self.0.reserve(purpose).take(size.bytes()) {
            return None;
        }
        self.0.lent.set(self.0.lent.get() + 1);
        let bytes = self.0.pool(size).borrow_mut().take();
        Some(Storage { bytes, size, purpose, open: 0, home: Rc::clone(&self.0) })
    }

    /// Whether there is no room for another storage of the largest size that the purpose may need.
    pub fn is_exhausted(&self, purpose: Purpose) -> bool {
        let largest = if purpose == Purpose::Relay { Size::Record } else { Size::Bulk };
        let reserve = self.0.reserve(purpose);
        reserve.used.get() + largest.bytes() > reserve.limit
    }

    /// Bytes of a purpose's reserve that are in use.
    pub fn used(&self, purpose: Purpose) -> usize {
        self.0.reserve(purpose).used.get()
    }

    /// Bytes of a purpose's reserve that may be in use.
    pub fn limit(&self, purpose: Purpose) -> usize {
        self.0.reserve(purpose).limit
    }

    /// Number of storages in use.
    pub fn in_use(&self) -> usize {
        self.0.lent.get()
    }
}

impl Inner {
    const fn reserve(&self, purpose: Purpose) -> &Reserve {
        match purpose {
            Purpose::Handshake => &self.handshakes,
            Purpose::Relay => &self.relays,
            Purpose::Transfer => &self.transfers,
        }
    }

    const fn pool(&self, size: Size) -> &RefCell<Pool<[u8]>> {
        match size {
            Size::Tiny => &self.tiny,
            Size::Small => &self.small,
            Size::Record => &self.record,
            Size::Bulk => &self.bulk,
        }
    }
}

fn boxed(size: Size) -> Box<[u8]> {
    vec![0; size.bytes()].into_boxed_slice()
}

/// Bytes lent by [`Memory`], until it is dropped.
#[derive(Debug)]
pub struct Storage {
    bytes: Box<[u8]>,
    size: Size,
    purpose: Purpose,
    /// Plaintext may lie before this position.
    open: usize,
    home: Rc<Inner>,
}

impl Storage {
    /// All of it.
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All of it, to write to.
    pub const fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// How large it is.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Plaintext may lie in its first `end` bytes: they are wiped before another connection gets them.
    pub fn lies_open(&mut self, end: usize) {
        self.open = self.open.max(end);
    }

    /// Counts it to the reserve of another purpose. `false` if there is no room.
    pub fn hand_over(&mut self, purpose: Purpose) -> bool {
        let fits = purpose == self.purpose || self.home.reserve(purpose).take(self.size.bytes());
        if fits && purpose != self.purpose {
            self.home.reserve(self.purpose).give_back(self.size.bytes());
            self.purpose = purpose;
        }
        fits
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(open) = self.bytes.get_mut(..self.open.min(self.size.bytes())) {
            open.fill(0);
            // The next to hold these bytes must find the zeros.
            std::hint::black_box(open);
        }
        self.home.reserve(self.purpose).give_back(self.size.bytes());
        self.home.lent.set(self.home.lent.get().saturating_sub(1));
        self.home.pool(self.size).borrow_mut().put(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_reserve_that_is_used_up_leaves_the_others_alone() {
        let memory = Memory::new(MIB);
        let mut held = Vec::new();
        while let Some(storage) = memory.take(Size::Record, Purpose::Handshake) {
            held.push(storage);
        }
        assert!(memory.is_exhausted(Purpose::Handshake) && !memory.is_exhausted(Purpose::Relay));
        let handshakes = held.len();
        while let Some(storage) = memory.take(Size::Record, Purpose::Relay) {
            held.push(storage);
        }
        assert!(held.iter().map(|storage| storage.size().bytes()).sum::<usize>() <= MIB);
        assert!(!held[0].hand_over(Purpose::Relay));
        let lent = held.len();
        held.pop();
        assert!(held[0].hand_over(Purpose::Relay));
        assert!(memory.is_exhausted(Purpose::Relay));
        held.extend(memory.take(Size::Record, Purpose::Handshake));
        assert_eq!(held.len(), lent, "room in one reserve for what has gone to the other");
        assert_eq!(memory.in_use(), held.len());
        held.clear();
        assert_eq!(memory.in_use(), 0);
        held.extend(std::iter::from_fn(|| memory.take(Size::Record, Purpose::Handshake)));
        assert_eq!(held.len(), handshakes);
    }

    #[test]
    fn what_lay_open_is_wiped() {
        let memory = Memory::new(MIB);
        let mut storage = memory.take(Size::Small, Purpose::Relay).expect("room");
        storage.bytes_mut().fill(0x5a);
        storage.lies_open(100);
        storage.lies_open(50);
        let address = storage.bytes().as_ptr();
        drop(storage);
        let again = memory.take(Size::Small, Purpose::Relay).expect("room");
        assert_eq!(again.bytes().as_ptr(), address, "the same bytes");
        assert!(again.bytes()[..100].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn sizes_hold_what_they_say() {
        assert_eq!(Size::for_bytes(0), Some(Size::Tiny));
        assert_eq!(Size::for_bytes(512), Some(Size::Tiny));
        assert_eq!(Size::for_bytes(513), Some(Size::Small));
        assert_eq!(Size::for_bytes(ttls::record::MAX_RECORD), Some(Size::Record));
        assert_eq!(Size::for_bytes(1 << 20), None);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who makes room when all storage is taken: the connection that has held some the longest without a byte that moved.

use super::memory::{Memory, Purpose};
use super::slab::Key;
use std::collections::VecDeque;

/// Milliseconds for which an established connection may stand still with storage that others need. A handshake has none: in a flood,
/// those that have just come are the more likely to be answered.
const GRACE: u64 = 1000;
/// Milliseconds between two looks while connections wait for storage.
const LOOK: u64 = 100;
/// Most connections that make room at a time.
const MOST: usize = 64;

/// The handshakes and the established connections that wait for storage, or with it.
pub struct Stalls {
    handshakes: Stalled,
    relays: Stalled,
}

impl Stalls {
    /// Nobody yet, of at most `capacity`.
    pub fn new(capacity: usize) -> Self {
        Self {
            handshakes: Stalled::new(Purpose::Handshake, capacity),
            relays: Stalled::new(Purpose::Relay, capacity),
        }
    }

    /// Those whose storage is for this.
    pub const fn of(&mut self, purpose: Purpose) -> &mut Stalled {
        match purpose {
            Purpose::Handshake => &mut self.handshakes,
            Purpose::Relay | Purpose::Transfer => &mut self.relays,
        }
    }

    /// Milliseconds until storage may be had; `None` if nobody waits for it.
    pub fn wait(&self, memory: &Memory) -> Option<u64> {
        [&self.handshakes, &self.relays].into_iter().filter_map(|stalled| stalled.wait(memory)).min()
    }
}

/// Connections of one [`Purpose`]: those that hold storage while they wait, and those that wait for storage.
pub struct Stalled {
    purpose: Purpose,
    /// In the order in which they were first seen to hold it.
    holders: VecDeque<Key>,
    starved: VecDeque<Key>,
}

impl Stalled {
    fn new(purpose: Purpose, capacity: usize) -> Self {
        // Whole from the start: queues that grew in a flood would stay at the end of the heap, and pin all of it.
        let holders = VecDeque::with_capacity(2 * capacity + 1);
        Self { purpose, holders, starved: VecDeque::with_capacity(capacity) }
    }

    /// This connection begins to wait with storage. It is not in the queue. Of `connections` that there are, `still` says which
    /// still do.
    pub fn holds(&mut self, key: Key, connections: usize, still: impl FnMut(&Key) -> bool) {
        if self.holders.len() > 2 * connections {
            self.holders.retain(still);
        }
        self.holders.push_back(key);
    }

    /// This connection waits for storage.
    pub fn starves(&mut self, key: Key) {
        self.starved.push_back(key);
    }

    /// The next that waits for storage, once there is some.
    pub fn fed(&mut self, memory: &Memory) -> Option<Key> {
        if memory.is_exhausted(self.purpose) { None } else { self.starved.pop_front() }
    }

    /// How many wait for storage.
    pub fn starving(&self) -> usize {
        self.starved.len()
    }

    fn wait(&self, memory: &Memory) -> Option<u64> {
        if self.starved.is_empty() {
            return None;
        }
        Some(if memory.is_exhausted(self.purpose) { LOOK } else { 0 })
    }

    /// Takes out of the queue who makes room at `clock`, as many as wait for it. `since` says since when a connection has stood still with storage; when
    /// it says `None`, the connection holds none any more, and is out of the queue, too.
    pub fn make_room(
        &mut self,
        memory: &Memory,
        clock: u64,
        mut since: impl FnMut(Key) -> Option<u64>,
    ) -> Vec<Key> {
        let wanted = if memory.is_exhausted(self.purpose) { self.starved.len().min(MOST) } else { 0 };
        let grace = if self.purpose == Purpose::Handshake { 0 } else { GRACE };
        let mut found = Vec::new();
        for _ in 0..self.holders.len() {
            if found.len() == wanted {
                break;
            }
            let Some(key) = self.holders.pop_front() else { break };
            match since(key) {
                None => {}
                Some(since) if since + grace <= clock => found.push(key),
                Some(_) => self.holders.push_back(key),
            }
        }
        found
    }
}

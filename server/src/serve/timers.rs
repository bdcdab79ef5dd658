// SPDX-License-Identifier: MIT OR Apache-2.0
//! A timer wheel: one deadline per connection, moved without cost, fired within one tick.

/// Length of a tick, in milliseconds.
pub const TICK: u64 = 64;
const SLOTS: usize = 2048;
const NONE: u32 = u32::MAX;

/// Deadlines by connection number.
///
/// A deadline further away than the wheel turns (131 s) is parked at its end and fires early; whoever
/// handles it inserts it again. That is also how deadlines move: the owner keeps the true one and
/// inserts again when the old one fires.
#[derive(Debug)]
pub struct Wheel {
    /// First entry of each slot.
    heads: Box<[u32; SLOTS]>,
    links: Vec<Link>,
    /// Ticks up to here have fired.
    tick: u64,
    armed: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    previous: u32,
    slot: u32,
}

const UNARMED: Link = Link { next: NONE, previous: NONE, slot: NONE };

impl Wheel {
    /// A wheel for at most `capacity` connections, at `now` (milliseconds).
    pub fn new(capacity: usize, now: u64) -> Self {
        Self {
            heads: Box::new([NONE; SLOTS]),
            links: Vec::with_capacity(capacity),
            tick: now / TICK,
            armed: 0,
        }
    }

    /// Arms the timer of connection `id`, in place of an earlier one. It fires at `deadline` or up to two ticks later.
    pub fn arm(&mut self, id: u32, deadline: u64) {
        self.disarm(id);
        let index = id as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, UNARMED);
        }
        let furthest = self.tick + SLOTS as u64 - 1;
        let tick = (deadline / TICK + 1).clamp(self.tick + 1, furthest);
        let slot = slot_of(tick);
        let Some(head) = self.heads.get_mut(slot as usize) else { return };
        let next = std::mem::replace(head, id);
        if let Some(link) = self.links.get_mut(index) {
            *link = Link { next, previous: NONE, slot };
        }
        if let Some(next) = self.links.get_mut(next as usize) {
            next.previous = id;
        }
        self.armed += 1;
    }

    /// Takes the timer of connection `id` out, if it is armed.
    pub fn disarm(&mut self, id: u32) {
        let Some(link) = self.links.get_mut(id as usize) else { return };
        let Link { next, previous, slot } = std::mem::replace(link, UNARMED);
        if slot == NONE {
            return;
        }
        // NONE is past the end of the links.
        match self.links.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => {
                if let Some(head) = self.heads.get_mut(slot as usize) {
                    *head = next;
                }
            }
        }
        if let Some(next) = self.links.get_mut(next as usize) {
            next.previous = previous;
        }
        self.armed -= 1;
    }

    /// Takes out one timer that has fired by `now`; `None` when all have been taken.
    pub fn fired(&mut self, now: u64) -> Option<u32> {
        let due = now / TICK;
        if self.armed == 0 {
            self.tick = self.tick.max(due);
            return None;
        }
        while self.tick < due {
            let id = self.head(self.tick + 1);
            if id != NONE {
                self.disarm(id);
                return Some(id);
            }
            self.tick += 1;
        }
        None
    }

    /// The first connection of a tick's slot.
    fn head(&self, tick: u64) -> u32 {
        self.heads.get(slot_of(tick) as usize).copied().unwrap_or(NONE)
    }

    /// Milliseconds from `now` until something may fire; `None` if nothing is armed.
    pub fn wait(&self, now: u64) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let ahead = (1..SLOTS as u64).find(|&ahead| self.head(self.tick + ahead) != NONE);
        Some(((self.tick + ahead.unwrap_or(1)) * TICK).saturating_sub(now))
    }
}

fn slot_of(tick: u64) -> u32 {
    // Below SLOTS, so it fits.
    u32::try_from(tick % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// All timers that have fired by `now`.
    fn all(wheel: &mut Wheel, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| wheel.fired(now)).collect()
    }

    #[test]
    fn fires_in_time_and_only_once() {
        let mut wheel = Wheel::new(8, 1000);
        wheel.arm(3, 5000);
        wheel.arm(4, 5000);
        wheel.arm(5, 9000);
        wheel.arm(4, 20_000);
        assert_eq!(all(&mut wheel, 4999), []);
        assert_eq!(all(&mut wheel, 5000 + 2 * TICK), [3]);
        wheel.disarm(5);
        wheel.disarm(5);
        assert_eq!(all(&mut wheel, 19_999), []);
        assert_eq!(all(&mut wheel, 30_000), [4]);
        assert_eq!(wheel.wait(30_000), None);
    }

    #[test]
    fn agrees_with_a_sorted_map() {
        // A fixed sequence of operations from a small generator; a failure repeats.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut now = 12_345;
        let mut wheel = Wheel::new(64, now);
        let mut model = BTreeMap::new();
        for _ in 0..200_000 {
            let id = u32::try_from(random(64)).unwrap();
            match random(4) {
                0 => {
                    wheel.disarm(id);
                    model.remove(&id);
                }
                1 => {
                    if let Some(wait) = wheel.wait(now) {
                        let first = model.values().min().copied().unwrap();
                        assert!(now + wait <= first + 2 * TICK, "sleeps past a deadline");
                    }
                    now += random(3000);
                    for id in all(&mut wheel, now) {
                        let deadline = model.remove(&id).expect("fired unarmed");
                        assert!(deadline <= now, "fired early");
                    }
                    assert!(model.values().all(|&deadline| deadline + 2 * TICK > now), "fired late");
                }
                _ => {
                    let deadline = now + random(100_000);
                    wheel.arm(id, deadline);
                    model.insert(id, deadline);
                }
            }
        }
    }
}

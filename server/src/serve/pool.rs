// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxes that are handed around instead of allocated: record buffers, handshakes, sessions.

/// At most `limit` boxes exist at a time; up to `keep` unused ones stay ready.
///
/// The boxes at the lowest addresses are lent first and kept longest: after a flood the end of the heap is free, and
/// the allocator gives it back to the system.
#[derive(Debug)]
pub struct Pool<T> {
    /// Highest address first.
    ready: Vec<Box<T>>,
    make: fn() -> Box<T>,
    in_use: usize,
    limit: usize,
    keep: usize,
}

impl<T> Pool<T> {
    /// A pool with `keep` boxes ready, made by `make`.
    pub fn new(limit: usize, keep: usize, make: fn() -> Box<T>) -> Self {
        let keep = keep.min(limit);
        let mut ready = Vec::with_capacity(keep + 1);
        ready.resize_with(keep, make);
        ready.sort_unstable_by_key(|value| std::cmp::Reverse(address(&**value)));
        Self { ready, make, in_use: 0, limit, keep }
    }

    /// Takes a box with unspecified content; `None` if as many as allowed are in use.
    pub fn take(&mut self) -> Option<Box<T>> {
        if self.in_use == self.limit {
            return None;
        }
        self.in_use += 1;
        Some(self.ready.pop().unwrap_or_else(self.make))
    }

    /// Gives a box back.
    pub fn put(&mut self, value: Box<T>) {
        self.in_use -= 1;
        let place = self.ready.partition_point(|other| address(&**other) > address(&*value));
        self.ready.insert(place, value);
        if self.ready.len() > self.keep {
            self.ready.remove(0);
        }
    }

    /// Whether as many are in use as allowed.
    pub const fn is_exhausted(&self) -> bool {
        self.in_use == self.limit
    }

    /// Number of boxes out.
    pub const fn in_use(&self) -> usize {
        self.in_use
    }
}

fn address<T>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_lowest_addresses() {
        let mut pool = Pool::new(100, 3, || Box::new([0_u8; 64]));
        let mut lent: Vec<_> = (0..20).map(|_| pool.take().unwrap()).collect();
        let mut addresses: Vec<_> = lent.iter().map(|value| address(&**value)).collect();
        addresses.sort_unstable();
        lent.reverse();
        lent.into_iter().for_each(|value| pool.put(value));
        let kept: Vec<_> = (0..3).map(|_| address(&*pool.take().unwrap())).collect();
        assert_eq!(kept, addresses[..3]);
    }

    #[test]
    fn lends_no_more_than_allowed() {
        let mut pool = Pool::new(2, 1, || Box::new(0_u8));
        let a = pool.take().unwrap();
        let b = pool.take().unwrap();
        assert!(pool.take().is_none());
        pool.put(a);
        pool.put(b);
        assert_eq!((pool.in_use(), pool.ready.len()), (0, 1));
        assert!(pool.take().is_some());
    }
}

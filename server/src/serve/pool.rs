// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxes that are handed around instead of allocated: record buffers, handshakes, sessions.

/// At most `limit` boxes exist at a time; up to `keep` unused ones stay ready.
#[derive(Debug)]
pub struct Pool<T> {
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
        let mut ready = Vec::with_capacity(keep);
        ready.resize_with(keep, make);
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
        if self.ready.len() < self.keep {
            self.ready.push(value);
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

#[cfg(test)]
mod tests {
    use super::*;

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

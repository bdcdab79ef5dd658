// SPDX-License-Identifier: MIT OR Apache-2.0
//! Boxes that are handed around instead of allocated.

/// Makes boxes, and keeps up to `keep` of those that come back.
///
/// The boxes at the lowest addresses are lent first and kept longest: after a flood the end of the heap is free, and
/// the allocator gives it back to the system. How many exist is not counted here: a box that is dropped
/// instead of put back costs an allocation, and nothing else.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    /// Highest address first.
    ready: Vec<Box<T>>,
    make: fn() -> Box<T>,
    keep: usize,
}

impl<T: ?Sized> Pool<T> {
    /// A pool with `keep` boxes ready, made by `make`.
    pub fn new(keep: usize, make: fn() -> Box<T>) -> Self {
        let mut ready = Vec::with_capacity(keep + 1);
        ready.resize_with(keep, make);
        ready.sort_unstable_by_key(|value| std::cmp::Reverse(address(&**value)));
        Self { ready, make, keep }
    }

    /// Takes a box with unspecified content.
    pub fn take(&mut self) -> Box<T> {
        self.ready.pop().unwrap_or_else(self.make)
    }

    /// Gives a box back.
    pub fn put(&mut self, value: Box<T>) {
        let place = self.ready.partition_point(|other| address(&**other) > address(&*value));
        self.ready.insert(place, value);
        if self.ready.len() > self.keep {
            self.ready.remove(0);
        }
    }
}

fn address<T: ?Sized>(value: &T) -> usize {
    std::ptr::from_ref(value).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_lowest_addresses() {
        let mut pool = Pool::new(3, || Box::new([0_u8; 64]));
        let lent: Vec<_> = (0..20).map(|_| pool.take()).collect();
        let mut addresses: Vec<_> = lent.iter().map(|value| address(&**value)).collect();
        addresses.sort_unstable();
        lent.into_iter().rev().for_each(|value| pool.put(value));
        assert_eq!(pool.ready.len(), 3);
        let kept: Vec<_> = (0..3).map(|_| address(&*pool.take())).collect();
        assert_eq!(kept, addresses[..3]);
    }
}

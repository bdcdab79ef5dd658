// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values by number, in memory reserved at the start.

/// At most `capacity` values. A number is used again after its value is removed, with another generation.
#[derive(Debug)]
pub struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    capacity: usize,
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

/// A value's number and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Number, below the capacity.
    pub id: u32,
    /// Differs between values that had the same number.
    pub generation: u32,
}

impl<T> Slab<T> {
    /// Reserves address space for `capacity` values; memory is touched as values arrive.
    pub fn new(capacity: u32) -> Self {
        let capacity = capacity as usize;
        Self {
            entries: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            generation: 0,
        }
    }

    /// Number of values.
    pub const fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room.
    pub const fn is_full(&self) -> bool {
        self.len() == self.capacity
    }

    /// Takes a value in; gives it back if there is no room.
    pub fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.is_full() {
            return Err(value);
        }
        // 0 is for what is no connection.
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        let entry = Entry { generation: self.generation, value: Some(value) };
        let id = if let Some(id) = self.free.pop() {
            if let Some(place) = self.entries.get_mut(id as usize) {
                *place = entry;
            }
            id
        } else {
            // Below the capacity, which is a u32.
            let id = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
            self.entries.push(entry);
            id
        };
        Ok(Key { id, generation: self.generation })
    }

    /// The key of the value with this number.
    pub fn key(&self, id: u32) -> Option<Key> {
        let entry = self.entries.get(id as usize)?;
        entry.value.as_ref().map(|_| Key { id, generation: entry.generation })
    }

    /// The value with this number and generation.
    pub fn get(&mut self, key: Key) -> Option<&mut T> {
        let entry = self.entries.get_mut(key.id as usize)?;
        if entry.generation == key.generation { entry.value.as_mut() } else { None }
    }

    /// Takes a value out.
    pub fn remove(&mut self, id: u32) -> Option<T> {
        let value = self.entries.get_mut(id as usize)?.value.take()?;
        self.free.push(id);
        Some(value)
    }

    /// All numbers that have ever been in use: whoever goes through them may take values out meanwhile.
    pub fn numbers(&self) -> std::ops::Range<u32> {
        // At most the capacity, which is a u32.
        0..u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_with_another_generation() {
        let mut slab = Slab::new(2);
        let a = slab.insert('a').unwrap();
        let b = slab.insert('b').unwrap();
        assert_eq!(slab.insert('c'), Err('c'));
        assert_eq!(slab.remove(a.id), Some('a'));
        assert_eq!(slab.remove(a.id), None);
        let c = slab.insert('c').unwrap();
        assert_eq!(c.id, a.id);
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.get(c), Some(&mut 'c'));
        assert_eq!(slab.numbers().filter_map(|id| slab.key(id)).collect::<Vec<_>>(), [c, b]);
        assert_eq!(slab.len(), 2);
    }
}

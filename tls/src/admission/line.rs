// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line of handshakes that are due for public-key work, and its order.
//!
//! Better classes come first, and within a class sources that have cost little come before those that have cost
//! more: the heaviest wait. Among equals the first comes first while the server keeps up; in overload the newest does,
//! because it is the one whose client is still there when it is served.
//!
//! Every operation takes the same time, however long the line: what is linked is the caller's own numbers.

/// What is known in favour of a handshake, best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It brought a ticket that opened.
    Ticket,
    /// Its address is in good standing ([`super::Standing`]).
    Standing,
    /// Nothing is known.
    #[default]
    New,
}

/// Classes by how much their source has cost.
const WEIGHTS: u8 = 8;
/// Sources of this weight and above have lost what spoke for them: a ticket can be replayed, an address taken over.
const HEAVY: u8 = 4;

/// A place in the line's order; the lowest is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u8);

impl Rank {
    /// How many there are.
    pub const COUNT: usize = 2 * HEAVY as usize + WEIGHTS as usize;

    /// The rank of a class whose source has lately cost `demand` ([`super::Demand`]), where up to `light` is what one
    /// user may cost; both in microseconds. Each doubling beyond that weighs one step.
    pub fn new(class: Class, demand: u32, light: u32) -> Self {
        let steps = demand.checked_div(light).unwrap_or(0).checked_ilog2().map_or(0, |log| log + 1);
        let weight = u8::try_from(steps).unwrap_or(WEIGHTS).min(WEIGHTS - 1);
        match class {
            Class::Ticket if weight < HEAVY => Self(weight),
            Class::Standing if weight < HEAVY => Self(HEAVY + weight),
            _ => Self(2 * HEAVY + weight),
        }
    }

    /// The demand from which on a source is heavy, where up to `light` is what one user may cost; both in microseconds.
    pub const fn heavy(light: u32) -> u32 {
        light.saturating_mul(1 << (HEAVY - 1))
    }

    /// Whether the source has cost so much that nothing speaks for it.
    pub const fn is_heavy(self) -> bool {
        self.0 >= 3 * HEAVY
    }
}

const NONE: u32 = u32::MAX;

/// One handshake's place in the line.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    next: u32,
    previous: u32,
    /// `None` outside the line.
    rank: Option<Rank>,
    since: u64,
}

impl Link {
    /// Outside the line.
    pub const OUTSIDE: Self = Self { next: NONE, previous: NONE, rank: None, since: 0 };
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

const EMPTY: Ends = Ends { first: NONE, last: NONE };

/// The line. Its members are numbers below the number of links.
pub struct Line<S> {
    links: S,
    ends: [Ends; Rank::COUNT],
    /// A bit for each rank that has members.
    used: u32,
    len: usize,
}

/// A handshake whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its number.
    pub id: u32,
    /// When it entered, in milliseconds.
    pub since: u64,
}

impl<S: AsRef<[Link]> + AsMut<[Link]>> Line<S> {
    /// An empty line over `links`, which are [`Link::OUTSIDE`].
    pub const fn new(links: S) -> Self {
        Self { links, ends: [EMPTY; Rank::COUNT], used: 0, len: 0 }
    }

    /// Members.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nobody waits.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a member that has waited since `since`, in milliseconds. Who is in the line already keeps its place; a
    /// number beyond the links is not taken. `false` in both cases.
    pub fn enter(&mut self, id: u32, rank: Rank, since: u64) -> bool {
        let Some(ends) = self.ends.get_mut(usize::from(rank.0)) else { return false };
        let last = ends.last;
        match link(&mut self.links, id) {
            Some(link) if link.rank.is_none() => {
                *link = Link { next: NONE, previous: last, rank: Some(rank), since };
            }
            _ => return false,
        }
        ends.last = id;
        match link(&mut self.links, last) {
            Some(before) => before.next = id,
            None => ends.first = id,
        }
        self.used |= 1 << rank.0;
        self.len += 1;
        true
    }

    /// Takes a member out, if it is one.
    pub fn leave(&mut self, id: u32) -> Option<Due> {
        let place = link(&mut self.links, id)?;
        let rank = place.rank?;
        let Link { next, previous, since, .. } = core::mem::replace(place, Link::OUTSIDE);
        let ends = self.ends.get_mut(usize::from(rank.0))?;
        match link(&mut self.links, previous) {
            Some(before) => before.next = next,
            None => ends.first = next,
        }
        match link(&mut self.links, next) {
            Some(after) => after.previous = previous,
            None => ends.last = previous,
        }
        if ends.first == NONE {
            self.used &= !(1 << rank.0);
        }
        self.len -= 1;
        Some(Due { id, since })
    }

    /// Takes out whose turn it is: of the best rank the first, or in overload the newest.
    pub fn next(&mut self, newest: bool) -> Option<Due> {
        let ends = self.ends.get(usize::try_from(self.used.trailing_zeros()).unwrap_or(usize::MAX))?;
        self.leave(if newest { ends.last } else { ends.first })
    }

    /// Takes out one that has waited since before `limit`, in milliseconds; `None` when there is none left. Of each
    /// rank the first entered is looked at: that is the oldest unless its wait was counted from an earlier time.
    pub fn overdue(&mut self, limit: u64) -> Option<Due> {
        let (since, id) = self.firsts().min()?;
        if since < limit { self.leave(id) } else { None }
    }

    /// Since when the one has waited that came first, in milliseconds.
    pub fn oldest(&self) -> Option<u64> {
        self.firsts().min().map(|(since, _)| since)
    }

    fn firsts(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let links = self.links.as_ref();
        self.ends.iter().filter_map(move |ends| {
            let link = links.get(usize::try_from(ends.first).ok()?)?;
            Some((link.since, ends.first))
        })
    }
}

fn link<S: AsMut<[Link]>>(links: &mut S, id: u32) -> Option<&mut Link> {
    links.as_mut().get_mut(usize::try_from(id).ok()?)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn classes_then_weights_and_the_heavy_last() {
        let rank = |class, demand| Rank::new(class, demand, 100);
        assert_eq!(rank(Class::Ticket, 0), rank(Class::Ticket, 99));
        assert!(rank(Class::Ticket, 99) < rank(Class::Ticket, 100));
        assert!(rank(Class::Ticket, 799) < rank(Class::Standing, 0));
        assert!(rank(Class::Standing, 799) < rank(Class::New, 0));
        assert_eq!(rank(Class::Ticket, 800), rank(Class::New, 800));
        assert_eq!(rank(Class::Standing, u32::MAX), rank(Class::New, u32::MAX));
        assert!(rank(Class::New, 800).is_heavy() && !rank(Class::New, 799).is_heavy());
        assert_eq!(Rank::heavy(100), 800);
        assert!(rank(Class::New, 800) < rank(Class::New, 1600));
        assert!(usize::from(rank(Class::New, u32::MAX).0) < Rank::COUNT);
        assert_eq!(Rank::new(Class::New, u32::MAX, 0), Rank::new(Class::New, 0, 0));
    }

    #[test]
    fn the_first_or_in_overload_the_newest() {
        let mut line = Line::new([Link::OUTSIDE; 8]);
        let rank = Rank::new(Class::New, 0, 1);
        let ticket = Rank::new(Class::Ticket, 0, 1);
        for (id, rank) in [(3, rank), (1, rank), (7, ticket), (2, rank)] {
            assert!(line.enter(id, rank, u64::from(id) * 10));
        }
        assert!(!line.enter(3, ticket, 0), "it is there already");
        assert!(!line.enter(8, ticket, 0), "there is no such link");
        assert_eq!(line.next(true).unwrap().id, 7);
        assert_eq!(line.next(true), Some(Due { id: 2, since: 20 }));
        assert_eq!(line.next(false), Some(Due { id: 3, since: 30 }));
        assert_eq!(line.oldest(), Some(10));
        assert_eq!(line.overdue(10), None);
        assert_eq!(line.overdue(11).unwrap().id, 1);
        assert!(line.is_empty() && line.next(false).is_none() && line.oldest().is_none());
        assert_eq!(line.leave(1), None);
        assert_eq!(line.leave(u32::MAX), None);
    }

    #[test]
    fn agrees_with_a_sorted_list() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut line = Line::new(vec![Link::OUTSIDE; 50]);
        // Rank, order of arrival, number.
        let mut model: Vec<(Rank, u64, u32)> = Vec::new();
        for now in 0..200_000_u64 {
            let id = u32::try_from(random(50)).unwrap();
            match random(5) {
                0 | 1 => {
                    let classes = [Class::Ticket, Class::Standing, Class::New];
                    let class = classes[usize::try_from(random(3)).unwrap()];
                    let rank = Rank::new(class, u32::try_from(random(3000)).unwrap(), 10);
                    let known = model.iter().any(|entry| entry.2 == id);
                    assert_eq!(line.enter(id, rank, now), !known);
                    if !known {
                        model.push((rank, now, id));
                    }
                }
                2 => {
                    let expected = model.iter().position(|entry| entry.2 == id).map(|at| model.remove(at));
                    assert_eq!(line.leave(id), expected.map(|(_, since, id)| Due { id, since }));
                }
                3 => {
                    let newest = random(2) == 0;
                    let best = model.iter().map(|entry| entry.0).min();
                    let mut of_best = model.iter().copied().filter(|entry| Some(entry.0) == best);
                    let expected = if newest { of_best.next_back() } else { of_best.min() };
                    model.retain(|entry| Some(*entry) != expected);
                    assert_eq!(line.next(newest), expected.map(|(_, since, id)| Due { id, since }));
                }
                _ => {
                    let limit = now.saturating_sub(random(100));
                    let oldest = model.iter().map(|entry| (entry.1, entry.2)).min();
                    assert_eq!(line.oldest(), oldest.map(|entry| entry.0));
                    let expected = oldest.filter(|entry| entry.0 < limit);
                    model.retain(|entry| Some((entry.1, entry.2)) != expected);
                    assert_eq!(line.overdue(limit), expected.map(|(since, id)| Due { id, since }));
                }
            }
            assert_eq!(line.len(), model.len());
        }
    }
}

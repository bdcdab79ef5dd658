// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who makes room when there are as many half-open connections as may be.
//!
//! Not the oldest of all: behind a flood from nearby, a client 150 ms away would always be that by the time its answer
//! comes. A few are drawn at random, and of them the one goes that is the greatest [`burden`]: the square of its source's
//! demand, multiplied by the round trips for which it has owed an answer. So the connections of one heavy source go before
//! those of many light ones, and of sources that are alike, who has been silent for long goes before who is far away.
//!
//! Every operation takes the same time, however many there are.

/// Connections that are drawn. What is no worse than a share `f` of all goes with a probability of `f` to the eighth at most.
const DRAWN: usize = 8;

/// Milliseconds that a client may take for its own work besides a round trip.
const WORK: u64 = 20;
/// The longest round trip, in milliseconds: who is further away answers late on purpose.
const FURTHEST: u64 = 500;

/// What keeping a half-open connection costs others: the square of what its source has cost lately, times the round trips in
/// which it has not answered. The square, because a deadline bounds how long anybody is silent, and nothing what a source costs.
///
/// `demand` is in microseconds, as is `light`, which one user may cost: sources that have cost less are much alike. `silent` and
/// `round_trip` are in milliseconds.
pub fn burden(demand: u32, light: u32, silent: u64, round_trip: u64) -> u64 {
    let unit = round_trip.min(FURTHEST) + WORK;
    let waits = silent.saturating_add(unit).saturating_mul(16) / unit;
    let weight = u64::from(demand) + u64::from(light);
    weight.saturating_mul(weight).saturating_mul(waits)
}

const NONE: u32 = u32::MAX;

/// Two entries in one: the one at position `n` says which connection stands there, and where the connection `n` stands.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    connection: u32,
    position: u32,
}

impl Place {
    /// Nobody.
    pub const FREE: Self = Self { connection: NONE, position: NONE };
}

/// The half-open connections. They are numbers below the number of places.
pub struct HalfOpen<S> {
    places: S,
    len: u32,
}

impl<S: AsRef<[Place]> + AsMut<[Place]>> HalfOpen<S> {
    /// Nobody, in `places`, which are [`Place::FREE`], 8 bytes each.
    pub const fn new(places: S) -> Self {
        Self { places, len: 0 }
    }

    /// How many there are.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a connection in, unless it is there already or has no place.
    pub fn enter(&mut self, connection: u32) {
        let end = self.len;
        match self.place(connection) {
            Some(place) if place.position == NONE => place.position = end,
            _ => return,
        }
        if let Some(place) = self.place(end) {
            place.connection = connection;
            self.len += 1;
        }
    }

    /// Takes a connection out, if it is there.
    pub fn leave(&mut self, connection: u32) {
        let Some(place) = self.place(connection) else { return };
        let position = core::mem::replace(&mut place.position, NONE);
        if position == NONE {
            return;
        }
        // The last one takes its position.
        self.len -= 1;
        let end = self.len;
        let last = self.place(end).map_or(NONE, |place| core::mem::replace(&mut place.connection, NONE));
        if position != end {
            if let Some(place) = self.place(position) {
                place.connection = last;
            }
            if let Some(place) = self.place(last) {
                place.position = position;
            }
        }
    }

    /// Who makes room: of a few that are drawn by `random` numbers, each evenly of all 32 bits, the greatest by `burden`.
    pub fn heaviest(
        &self,
        mut random: impl FnMut() -> u32,
        mut burden: impl FnMut(u32) -> u64,
    ) -> Option<u32> {
        let draw = || {
            let position = (u64::from(random()) * u64::from(self.len)) >> 32;
            self.places.as_ref().get(usize::try_from(position).ok()?).map(|place| place.connection)
        };
        let drawn = core::iter::repeat_with(draw).take(DRAWN).flatten().filter(|&number| number != NONE);
        drawn.max_by_key(|&number| burden(number))
    }

    fn place(&mut self, number: u32) -> Option<&mut Place> {
        self.places.as_mut().get_mut(usize::try_from(number).ok()?)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn generator() -> impl FnMut() -> u32 {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            u32::try_from(state >> 32).unwrap()
        }
    }

    #[test]
    fn demand_and_silence_by_distance() {
        let light = |silent, round_trip| burden(8, 800, silent, round_trip);
        assert!(light(160, 150) < light(60, 1), "who is far away has had less time");
        assert!(light(0, 1) < light(10, 1) && light(10, 150) < light(20, 150));
        assert!(burden(20_000, 800, 0, 1) > light(10_000, 1), "thousands of one source");
        assert!(burden(150, 800, 100, 1) < light(170, 1), "who was computed for has not cost much more");
        assert_eq!(light(9000, 500), light(9000, 20_000), "nobody is further away than half a second");
        assert_eq!(burden(u32::MAX, u32::MAX, u64::MAX, 0), u64::MAX);
        assert_eq!(burden(0, 0, 0, u64::MAX), 0);
    }

    #[test]
    fn agrees_with_a_list() {
        let mut random = generator();
        let mut half_open = HalfOpen::new(vec![Place::FREE; 40]);
        let mut model: Vec<u32> = Vec::new();
        for _ in 0..100_000 {
            // Some have no place.
            let number = random() % 44;
            if random().is_multiple_of(2) {
                half_open.enter(number);
                if number < 40 && !model.contains(&number) {
                    model.push(number);
                }
            } else {
                half_open.leave(number);
                model.retain(|&other| other != number);
            }
            assert_eq!(half_open.len() as usize, model.len());
            let mut drawn = Vec::new();
            let heaviest = half_open.heaviest(&mut random, |number| {
                drawn.push(number);
                u64::from(number)
            });
            assert!(drawn.iter().all(|number| model.contains(number)), "{drawn:?} of {model:?}");
            assert_eq!(heaviest, drawn.iter().copied().max());
            assert_eq!(drawn.len(), if model.is_empty() { 0 } else { DRAWN });
        }
        half_open.leave(u32::MAX);
        half_open.enter(u32::MAX);
    }

    /// 50,000 connections a second that send a hello and stay, from 1 ms away and as many addresses, at a limit of 8,192, which they
    /// fill in 160 ms; clients from 150 ms away answer after that. If the oldest made room, none of them would be left.
    #[test]
    fn clients_far_away_outlast_a_flood_from_nearby() {
        const LIMIT: u32 = 8192;
        let mut random = generator();
        let mut half_open = HalfOpen::new(vec![Place::FREE; LIMIT as usize]);
        // When it came, and its round trip.
        let mut connections = vec![(0_u64, 0_u64); LIMIT as usize];
        let mut free: Vec<u32> = (0..LIMIT).collect();
        let mut far: Vec<u32> = Vec::new();
        let (mut begun, mut lost) = (0, 0);
        for now in 0..5000_u64 {
            far.retain(|&number| {
                let stays = now < connections[number as usize].0 + 300;
                if !stays {
                    half_open.leave(number);
                    free.push(number);
                }
                stays
            });
            for at in 0..51 {
                let round_trip = if at == 25 { 150 } else { 1 };
                let number = free.pop().unwrap_or_else(|| {
                    let silent = |number| {
                        let (since, round_trip) = connections[number as usize];
                        burden(8, 800, now - since, round_trip)
                    };
                    let number = half_open.heaviest(&mut random, silent).unwrap();
                    half_open.leave(number);
                    lost += u32::from(far.contains(&number));
                    far.retain(|&other| other != number);
                    number
                });
                connections[number as usize] = (now, round_trip);
                half_open.enter(number);
                if round_trip == 150 {
                    begun += 1;
                    far.push(number);
                }
            }
        }
        assert!(begun == 5000 && lost * 1000 <= begun, "{lost} of {begun} made room");
    }
}

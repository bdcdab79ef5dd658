// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each source has cost lately, in microseconds of CPU time, in memory of a fixed size.
//!
//! A count-min sketch with conservative update (Cormode and Muthukrishnan 2005; Estan and Varghese 2002) whose cells
//! fade with time. A key's estimate is never below what it was charged, faded, and above it by more than `2·e·T/w`
//! with a probability of at most `(1/2e)^4`, where `T` is the faded sum of all charges and `w` the cells of a row.
//! What the average of a row's cells holds is taken off again: it is what a key that was never seen would be
//! charged with when a million sources share the table.

/// Rows of the sketch. Each charge touches one cell of each.
pub const ROWS: usize = 4;

/// Milliseconds in which what was charged fades to half.
pub const HALF_LIFE: u64 = 4096;

/// Milliseconds of a tick, the unit in which cells note time: 32 bits of them last for eight years.
const TICK: u64 = 64;
const TICKS_TO_HALF: u32 = 64;

/// An amount that fades.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    amount: u32,
    /// Ticks at which it was that amount.
    at: u32,
}

impl Cell {
    /// Nothing, at any time.
    pub const EMPTY: Self = Self { amount: 0, at: 0 };

    /// What is left of it at `tick`: halved for each half-life, and in between on a straight line, which is at most 6 %
    /// above the curve. A clock that stepped back fades nothing.
    fn left(self, tick: u32) -> u32 {
        let elapsed = tick.saturating_sub(self.at);
        let halved = self.amount.checked_shr(elapsed / TICKS_TO_HALF).unwrap_or(0);
        let part = u64::from(halved) * u64::from(elapsed % TICKS_TO_HALF) / u64::from(2 * TICKS_TO_HALF);
        halved.saturating_sub(u32::try_from(part).unwrap_or(u32::MAX))
    }
}

/// The tick of a time in milliseconds.
fn tick(now: u64) -> u32 {
    u32::try_from(now / TICK).unwrap_or(u32::MAX)
}

/// The demand of sources, or of whatever else a keyed hash names.
pub struct Demand<S> {
    cells: S,
    /// Cells of a row.
    width: usize,
    total: Cell,
}

impl<S: AsRef<[Cell]> + AsMut<[Cell]>> Demand<S> {
    /// A table in `cells`, which are [`Cell::EMPTY`]; a multiple of [`ROWS`] of them are used, at 8 bytes each.
    pub fn new(cells: S) -> Self {
        let width = cells.as_ref().len() / ROWS;
        Self { cells, width, total: Cell::EMPTY }
    }

    /// What the key with this keyed hash has been charged lately, in microseconds. `now` is in milliseconds of a clock
    /// that does not jump.
    pub fn of(&self, hash: u64, now: u64) -> u32 {
        let tick = tick(now);
        self.least(hash, tick).saturating_sub(self.average(tick))
    }

    /// Charges `cost` microseconds, and gives what [`Self::of`] gives after it.
    pub fn charge(&mut self, hash: u64, cost: u32, now: u64) -> u32 {
        let tick = tick(now);
        let charged = self.least(hash, tick).saturating_add(cost);
        for row in 0..ROWS {
            let place = self.place(hash, row);
            if let Some(cell) = self.cells.as_mut().get_mut(place) {
                *cell = Cell { amount: cell.left(tick).max(charged), at: tick };
            }
        }
        self.total = Cell { amount: self.total.left(tick).saturating_add(cost), at: tick };
        charged.saturating_sub(self.average(tick))
    }

    /// What all keys together have been charged lately, in microseconds.
    pub fn total(&self, now: u64) -> u32 {
        self.total.left(tick(now))
    }

    fn least(&self, hash: u64, tick: u32) -> u32 {
        let cells = self.cells.as_ref();
        let left = (0..ROWS).filter_map(|row| cells.get(self.place(hash, row))).map(|cell| cell.left(tick));
        left.min().unwrap_or(0)
    }

    fn average(&self, tick: u32) -> u32 {
        let width = u32::try_from(self.width).unwrap_or(u32::MAX).max(1);
        self.total.left(tick) / width
    }

    /// A row's cell for a hash, by two halves of it (Kirsch and Mitzenmacher 2006).
    fn place(&self, hash: u64, row: usize) -> usize {
        let [a, b, c, d, e, f, g, h] = hash.to_ne_bytes();
        let (first, second) = (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]) | 1);
        let step = u32::try_from(row).unwrap_or(0);
        let mixed = first.wrapping_add(second.wrapping_mul(step));
        let place = usize::try_from(mixed).unwrap_or(0).checked_rem(self.width).unwrap_or(0);
        row * self.width + place
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::mixed as hash;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn table(width: usize) -> Demand<Vec<Cell>> {
        Demand::new(vec![Cell::EMPTY; ROWS * width])
    }

    #[test]
    fn what_was_charged_fades_to_half() {
        let mut demand = table(1024);
        demand.charge(hash(1), 1_024_000, 10_000);
        let left = |demand: &Demand<_>, after| demand.of(hash(1), 10_000 + after);
        assert!((1_022_000..=1_024_000).contains(&left(&demand, 0)));
        assert!((510_000..=514_000).contains(&left(&demand, HALF_LIFE)));
        assert!((380_000..=386_000).contains(&left(&demand, HALF_LIFE * 3 / 2)));
        assert_eq!(left(&demand, HALF_LIFE * 40), 0);
        assert_eq!(demand.of(hash(2), 10_000), 0);
    }

    #[test]
    fn a_clock_may_step_either_way() {
        let mut demand = table(64);
        demand.charge(hash(1), 1000, 1_000_000_000);
        demand.charge(hash(1), 1000, 5);
        let now = demand.of(hash(1), 5);
        assert!((1900..=2000).contains(&now), "{now}");
        assert!(demand.of(hash(1), 5 + 2 * HALF_LIFE) < 600, "it fades again from the new time on");
        assert_eq!(demand.of(hash(1), u64::MAX), 0);
    }

    #[test]
    fn never_less_than_was_charged_and_hardly_more() {
        let mut demand = table(4096);
        let mut charged = vec![0_u64; 5000];
        for round in 0..40_u64 {
            for key in 0..5000_u64 {
                let cost = u32::try_from(hash(round * 5000 + key) % 100).unwrap();
                demand.charge(hash(key), cost, 1000);
                charged[usize::try_from(key).unwrap()] += u64::from(cost);
            }
        }
        let total: u64 = charged.iter().sum();
        let average = total / 4096;
        let mut above = 0;
        for (key, &charged) in (0..).zip(&charged) {
            let estimate = u64::from(demand.of(hash(key), 1000));
            assert!(estimate + average + 1 >= charged, "{key}: {estimate} for {charged}");
            above += u64::from(estimate > charged + 2 * 3 * total / 4096);
        }
        assert!(above <= 50, "{above} of 5000 beyond the bound");
    }

    #[test]
    fn a_heavy_source_stands_out_of_a_million() {
        let mut demand = table(16_384);
        for key in 0..1_000_000 {
            demand.charge(hash(key), 10, 1000);
        }
        for _ in 0..1000 {
            demand.charge(hash(7_000_000), 37, 1000);
        }
        assert!(demand.of(hash(7_000_000), 1000) >= 36_000);
        let mut strangers: Vec<u32> = (8_000_000..8_001_000).map(|key| demand.of(hash(key), 1000)).collect();
        strangers.sort_unstable();
        assert!(strangers[990] <= 200, "99 % of those who were never here: {}", strangers[990]);
    }

    #[test]
    fn without_cells_nothing_is_counted_and_nothing_breaks() {
        let mut demand = table(0);
        assert_eq!(demand.charge(hash(1), u32::MAX, 0), 0);
        assert_eq!(demand.of(hash(1), 0), 0);
        let mut one = table(1);
        one.charge(0, u32::MAX, 0);
        one.charge(u64::MAX, u32::MAX, u64::MAX);
        assert_eq!(one.total(u64::MAX), u32::MAX);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! How large the next records are to be, and how many: the core's record plan, and when TCP is asked.

use ttls::record_size::{self, Path};

/// Bytes that may wait in TCP at first: TCP_NOTSENT_LOWAT, and one full record. No more are sealed ahead, so that a record's size is still
/// right when it leaves, and what a slow client is to get stays plain, and with the backend. TCP asks for more when half of it is left.
pub const UNSENT: usize = 16_384 + 64;
/// As long as flights grow, as much as one may wait; where they have got so long, what TCP allows: the client has shown that it is fast, and
/// any bound costs a transfer on a wide path some hundredths of its CPU time.
const MOST_UNSENT: usize = 16 * UNSENT;
const UNBOUNDED: usize = 1 << 30;
/// After so many bytes in a row, a long transfer is under way.
const WARM: u32 = 64 << 10;
/// After so many milliseconds of silence, TCP begins anew (RFC 5681 §4.1), whatever its time-out is.
const IDLE: u64 = 1000;
/// Plaintext that goes in one record, however it is cut.
const SHORT: usize = 1300;

/// A connection of which TCP has sent nothing, or nothing for long, and a segment of common paths.
const FRESH: Path = Path {
    congestion_window: 10,
    in_flight: 0,
    segment: 1340,
    unsent: 0,
    send_window: u32::MAX,
    idle: 0,
    timeout: 0,
};
/// What nothing limits.
const OPEN: Path = Path { congestion_window: u32::MAX, ..FRESH };

/// A connection's record plan.
#[derive(Debug)]
pub struct Plan {
    row: record_size::Plan,
    last: u64,
    /// Bytes of the last read.
    before: usize,
    /// Bytes that may wait in TCP.
    unsent: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self { row: record_size::Plan::default(), last: 0, before: 0, unsent: UNSENT }
    }
}

/// What the next records are planned by.
#[derive(Clone, Copy, Debug)]
pub struct Outlook {
    path: Path,
    row: record_size::Plan,
    unsent: usize,
    has_begun: bool,
}

impl Plan {
    /// The outlook at `clock` (milliseconds). `path` asks TCP, which is left out where its answer changes nothing: at the start, and
    /// where short answers follow each other.
    pub fn outlook(&mut self, clock: u64, path: impl FnOnce() -> Option<Path>) -> Outlook {
        if clock.saturating_sub(self.last) > IDLE {
            self.row = record_size::Plan::default();
        }
        let path = match self.row.in_a_row() {
            0 => FRESH,
            WARM.. if self.before < SHORT => OPEN,
            _ => path().inspect(|path| self.row.look(path)).unwrap_or(OPEN),
        };
        Outlook { path, row: self.row, unsent: self.unsent, has_begun: false }
    }

    /// Lets twice as much wait for each time that the flight has doubled. `Some` if that is news to TCP.
    pub fn grow(&mut self, outlook: &mut Outlook) -> Option<usize> {
        // What nobody asked for tells nothing.
        let flight =
            if outlook.path.congestion_window == OPEN.congestion_window { 0 } else { outlook.path.flight() };
        while self.unsent < MOST_UNSENT && flight >= 2 * self.unsent {
            self.unsent *= 2;
        }
        if self.unsent >= MOST_UNSENT {
            self.unsent = UNBOUNDED;
        }
        (std::mem::replace(&mut outlook.unsent, self.unsent) < self.unsent).then_some(self.unsent)
    }

    /// Whether a long transfer is under way at `clock`.
    pub const fn is_warm(&self, clock: u64) -> bool {
        self.row.in_a_row() >= WARM && clock.saturating_sub(self.last) <= IDLE
    }

    /// So many bytes were read for records, and sent.
    pub fn sent(&mut self, bytes: usize, clock: u64) {
        self.row.sent(bytes);
        (self.last, self.before) = (clock, bytes);
    }
}

impl Outlook {
    /// TCP has enough to send for now, and asks for more when it has not.
    pub fn is_full(&self) -> bool {
        self.path.backlog() >= self.unsent / 2
    }

    /// Plaintext bytes of the next record, which adds `overhead`; at most `limit`. `None` if TCP has enough with those before; the
    /// first always has a size.
    pub fn next(&mut self, overhead: usize, limit: usize) -> Option<usize> {
        let free =
            self.unsent.saturating_sub(self.path.backlog()).max(self.unsent / 2).saturating_sub(overhead);
        let limit = if self.has_begun { limit } else { limit.min(free) };
        let size = self.row.record_size(&self.path, overhead, limit);
        let mut path = self.path;
        path.written(size + overhead);
        if self.has_begun && path.backlog() > self.unsent {
            return None;
        }
        self.row.sent(size);
        (self.path, self.has_begun) = (path, true);
        Some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 16_384;
    const NARROW: Path = Path { congestion_window: 5, in_flight: 1, segment: 1000, timeout: 200, ..FRESH };

    fn sizes(plan: &mut Plan, clock: u64, path: impl FnOnce() -> Option<Path>) -> Vec<usize> {
        let mut outlook = plan.outlook(clock, path);
        std::iter::from_fn(|| outlook.next(22, LIMIT)).take(16).collect()
    }

    #[test]
    fn small_first_and_after_a_pause() {
        let mut plan = Plan::default();
        let first = sizes(&mut plan, 5000, || unreachable!("TCP is asked"));
        assert_eq!(first[..3], [1340 - 22, 9 * 1340 - 22, 10 * 1340 - 22]);
        plan.sent(20_000, 5000);
        assert!(!plan.is_warm(5000));
        assert_eq!(sizes(&mut plan, 5001, || Some(NARROW))[..2], [4000 - 22, 5000 - 22]);
        plan.sent(1 << 16, 5001);
        assert!(plan.is_warm(5001 + IDLE) && !plan.is_warm(5002 + IDLE));
        assert_eq!(
            sizes(&mut plan, 5001, || Some(NARROW))[..2],
            [4000 - 22, 5000 - 22],
            "a narrow path stays so"
        );
        let silent = Path { in_flight: 0, idle: 201, ..NARROW };
        assert_eq!(sizes(&mut plan, 5001, || Some(silent))[..2], [1000 - 22, 4000 - 22]);
        plan.sent(1 << 16, 5001);
        assert_eq!(sizes(&mut plan, 5002 + IDLE, || unreachable!("TCP is asked"))[..2], first[..2]);
    }

    #[test]
    fn tcp_is_not_asked_for_short_answers_in_a_row() {
        let mut plan = Plan::default();
        plan.sent(1 << 16, 5000);
        assert_eq!(sizes(&mut plan, 5000, || Some(NARROW))[0], 4000 - 22);
        plan.sent(SHORT - 1, 5000);
        assert_eq!(sizes(&mut plan, 5000, || unreachable!("TCP is asked"))[0], LIMIT);
    }

    fn grown(plan: &mut Plan, path: Option<Path>) -> Option<usize> {
        let mut outlook = plan.outlook(5000, || path);
        plan.grow(&mut outlook)
    }

    #[test]
    fn records_are_made_until_enough_waits() {
        let mut plan = Plan::default();
        plan.sent(1 << 20, 5000);
        let window = Path { congestion_window: 40, segment: 1000, ..FRESH };
        let wide = Path { congestion_window: 1000, segment: 1000, ..FRESH };
        assert_eq!(grown(&mut plan, Some(wide)), Some(UNBOUNDED));
        assert_eq!(grown(&mut plan, Some(wide)), None);
        assert_eq!(grown(&mut plan, Some(window)), None, "it does not shrink");
        let mut plan = Plan::default();
        plan.sent(1 << 20, 5000);
        assert_eq!(grown(&mut plan, Some(window)), Some(2 * UNSENT), "40,000 bytes are a flight");
        assert_eq!(grown(&mut plan, None), None);
        let unsent = 2 * UNSENT;
        let made: usize = sizes(&mut plan, 5000, || Some(window)).iter().map(|size| size + 22).sum();
        let enough = 40_000 + unsent;
        assert!((enough - LIMIT - 22..=enough).contains(&made), "{made}");
        let mut waits = Path { unsent: 40_000, ..window };
        assert!(!plan.outlook(5000, || Some(waits)).is_full());
        assert_eq!(waits.backlog(), 0);
        waits.written(unsent / 2);
        assert!(plan.outlook(5000, || Some(waits)).is_full(), "TCP asks for more below that");
        assert_eq!(sizes(&mut plan, 5000, || Some(OPEN)).len(), 16, "an open path takes all");
        assert_eq!(sizes(&mut plan, 5000, || None).len(), 16, "and what is not TCP");
    }
}

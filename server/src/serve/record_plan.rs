// SPDX-License-Identifier: MIT OR Apache-2.0
//! How large the next record is to be.

use ttls::record_size::{Path, record_size};

/// Plaintext that fits one TCP segment with its record on common paths.
const SMALL: usize = 1300;
/// Longest plaintext of a record.
const LARGE: usize = 16_384;
/// After so many bytes in a row the congestion window has opened far enough that a large record does
/// not wait for a round trip.
const WARM: usize = 64 << 10;
/// After so many milliseconds of silence, TCP begins anew (RFC 2861).
const IDLE: u64 = 1000;

/// Small records at the start of a response, so that the client can use the first bytes at once; then what
/// TCP can send now; and large records, which cost less, once the window is open.
#[derive(Debug, Default)]
pub struct Plan {
    in_a_row: usize,
    last: u64,
}

impl Plan {
    /// Bytes of plaintext for the next record, at `clock` (milliseconds). `path` asks TCP; a record has
    /// `overhead` bytes besides its plaintext.
    pub fn record_size(&mut self, clock: u64, overhead: usize, path: impl FnOnce() -> Option<Path>) -> usize {
        if clock.saturating_sub(self.last) > IDLE {
            self.in_a_row = 0;
        }
        match self.in_a_row {
            0 => SMALL,
            1..WARM => path().map_or(SMALL, |path| record_size(path, overhead, LARGE)),
            WARM.. => LARGE,
        }
    }

    /// Whether a long transfer is under way at `clock`.
    pub const fn is_warm(&self, clock: u64) -> bool {
        self.in_a_row >= WARM && clock.saturating_sub(self.last) <= IDLE
    }

    /// So many bytes were sent.
    pub const fn sent(&mut self, bytes: usize, clock: u64) {
        self.in_a_row = self.in_a_row.saturating_add(bytes);
        self.last = clock;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_first_and_after_a_pause() {
        let mut plan = Plan::default();
        let path = Path { congestion_window: 5, in_flight: 1, segment: 1000, send_window: u32::MAX };
        let size = |plan: &mut Plan, clock| plan.record_size(clock, 22, || Some(path));
        assert_eq!(size(&mut plan, 5000), SMALL);
        plan.sent(WARM - 1, 5000);
        assert!(!plan.is_warm(5000));
        assert_eq!(size(&mut plan, 5001), 4000 - 22);
        plan.sent(1, 5001);
        assert!(plan.is_warm(5001 + IDLE) && !plan.is_warm(5002 + IDLE));
        assert_eq!(size(&mut plan, 5001 + IDLE), LARGE);
        assert_eq!(size(&mut plan, 5002 + IDLE), SMALL);
    }
}

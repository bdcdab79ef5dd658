// SPDX-License-Identifier: MIT OR Apache-2.0
//! How large the next record is to be.

/// Plaintext that fits one TCP segment with its record on common paths.
const SMALL: usize = 1300;
/// Longest plaintext of a record.
const LARGE: usize = 16_384;
/// After so many bytes in a row the congestion window has opened far enough that a large record does
/// not wait for a round trip.
const WARM: usize = 64 << 10;
/// After so many milliseconds of silence, TCP begins anew (RFC 2861).
const IDLE: u64 = 1000;

/// Small records at the start of a response, so that the client can use the first bytes at once; large
/// ones, which cost less, when bytes keep flowing.
#[derive(Debug, Default)]
pub struct Plan {
    in_a_row: usize,
    last: u64,
}

impl Plan {
    /// Bytes of plaintext for the next record, at `clock` (milliseconds).
    pub const fn record_size(&mut self, clock: u64) -> usize {
        if clock.saturating_sub(self.last) > IDLE {
            self.in_a_row = 0;
        }
        if self.in_a_row < WARM { SMALL } else { LARGE }
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
        assert_eq!(plan.record_size(5000), SMALL);
        plan.sent(WARM - 1, 5000);
        assert_eq!(plan.record_size(5001), SMALL);
        plan.sent(1, 5001);
        assert_eq!(plan.record_size(5001 + IDLE), LARGE);
        assert_eq!(plan.record_size(5002 + IDLE), SMALL);
    }
}

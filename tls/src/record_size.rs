// SPDX-License-Identifier: MIT OR Apache-2.0
//! The size of the next record, from what TCP can send now.
//!
//! A record is opened only when it has arrived whole. One that is larger than what the congestion window
//! and the peer's window let go at once makes the peer wait a round trip for its end; one that is smaller
//! than necessary costs an extra header, tag and AEAD call.

use crate::record::MAX_PLAINTEXT;

/// What TCP says of a connection: from the socket in the kernel, from `TCP_INFO` in user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Congestion window, in segments (`tcpi_snd_cwnd`).
    pub congestion_window: u32,
    /// Segments sent and not acknowledged (`tcpi_unacked`).
    pub in_flight: u32,
    /// Segment size, in bytes (`tcpi_snd_mss`).
    pub segment: u32,
    /// Bytes that the peer's window still takes.
    pub send_window: u32,
}

/// Plaintext bytes for the next record: `min((cwnd − in flight) · mss, send window, 16384)` with the record's
/// `overhead` taken off, but at least what fills one segment, and at most `limit`.
///
/// Without room TCP queues the record, so the floor only decides how much waits there in one piece.
pub fn record_size(path: Path, overhead: usize, limit: usize) -> usize {
    let segment = usize::try_from(path.segment).unwrap_or(usize::MAX);
    let segments = path.congestion_window.saturating_sub(path.in_flight);
    let window = usize::try_from(segments).unwrap_or(usize::MAX).saturating_mul(segment);
    let room = window.min(usize::try_from(path.send_window).unwrap_or(usize::MAX));
    let floor = segment.saturating_sub(overhead).max(1);
    room.saturating_sub(overhead).max(floor).min(limit.min(MAX_PLAINTEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: Path = Path { congestion_window: 10, in_flight: 0, segment: 1448, send_window: 65_535 };

    #[test]
    fn follows_the_tightest_limit() {
        assert_eq!(record_size(PATH, 22, MAX_PLAINTEXT), 14_480 - 22);
        assert_eq!(record_size(Path { in_flight: 7, ..PATH }, 22, MAX_PLAINTEXT), 3 * 1448 - 22);
        assert_eq!(record_size(Path { send_window: 5000, ..PATH }, 22, MAX_PLAINTEXT), 5000 - 22);
        assert_eq!(record_size(Path { congestion_window: 100, ..PATH }, 22, MAX_PLAINTEXT), MAX_PLAINTEXT);
        assert_eq!(record_size(Path { congestion_window: 100, ..PATH }, 22, 512), 512);
    }

    #[test]
    fn never_below_a_segment_nor_zero() {
        for in_flight in [10, 11, u32::MAX] {
            assert_eq!(record_size(Path { in_flight, ..PATH }, 22, MAX_PLAINTEXT), 1448 - 22);
        }
        assert_eq!(record_size(Path { send_window: 0, ..PATH }, 22, MAX_PLAINTEXT), 1448 - 22);
        let degenerate = Path { congestion_window: 0, in_flight: 0, segment: 0, send_window: 0 };
        assert_eq!(record_size(degenerate, 22, MAX_PLAINTEXT), 1);
        let huge =
            Path { congestion_window: u32::MAX, in_flight: 0, segment: u32::MAX, send_window: u32::MAX };
        assert_eq!(record_size(huge, 22, MAX_PLAINTEXT), MAX_PLAINTEXT);
    }
}

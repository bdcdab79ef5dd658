// SPDX-License-Identifier: MIT OR Apache-2.0
extern crate std;

use super::*;
use std::format;
use std::vec::Vec;

const OVERHEAD: usize = 22;
const PATH: Path = Path {
    congestion_window: 10,
    in_flight: 0,
    segment: 1448,
    unsent: 0,
    send_window: 65_535,
    idle: 0,
    timeout: 200,
};

/// xorshift, with the values at which something changes among the likely ones.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 16) % u64::from(below)).unwrap()
    }

    fn among(&mut self, edges: &[u32], below: u32) -> u32 {
        match self.roll(3) {
            0 => edges[usize::try_from(self.roll(u32::try_from(edges.len()).unwrap())).unwrap()],
            _ => self.roll(below),
        }
    }

    fn path(&mut self) -> Path {
        let window = self.among(&[0, 1, 2, 10, 11, 12, u32::MAX], 200);
        let segment = self.among(&[0, 1, 536, 1448, 8948, 65_483, u32::MAX], 9000);
        Path {
            congestion_window: window,
            in_flight: self.among(&[0, 0, 1, window, window.saturating_add(1), u32::MAX], 200),
            segment,
            unsent: self.among(&[0, 0, 1, segment, 16_384, u32::MAX], 100_000),
            send_window: self.among(&[0, 1, segment, 16_384, u32::MAX], 100_000),
            idle: self.among(&[0, 199, 200, 201, u32::MAX], 2000),
            timeout: self.among(&[0, 1, 200, u32::MAX], 1000),
        }
    }
}

#[test]
fn follows_the_tightest_limit() {
    let size = |path: Path, limit| record_size(&path, 1, OVERHEAD, limit);
    assert_eq!(size(PATH, MAX_PLAINTEXT), 14_480 - OVERHEAD);
    assert_eq!(size(Path { in_flight: 7, ..PATH }, MAX_PLAINTEXT), 3 * 1448 - OVERHEAD);
    assert_eq!(size(Path { send_window: 5000, ..PATH }, MAX_PLAINTEXT), 5000 - OVERHEAD);
    assert_eq!(size(Path { send_window: 5000, in_flight: 2, ..PATH }, MAX_PLAINTEXT), 5000 - 2896 - OVERHEAD);
    assert_eq!(size(Path { unsent: 10_000, ..PATH }, MAX_PLAINTEXT), 4480 - OVERHEAD);
    assert_eq!(size(Path { congestion_window: 100, ..PATH }, MAX_PLAINTEXT), MAX_PLAINTEXT);
    assert_eq!(size(Path { congestion_window: 100, ..PATH }, 512), 512);
}

#[test]
fn behind_others_a_record_is_a_whole_flight() {
    let size = |path: Path| record_size(&path, 1, OVERHEAD, MAX_PLAINTEXT);
    assert_eq!(size(Path { in_flight: 10, ..PATH }), 14_480 - OVERHEAD);
    assert_eq!(size(Path { unsent: 14_480, ..PATH }), 14_480 - OVERHEAD);
    assert_eq!(size(Path { unsent: 14_400, ..PATH }), 14_480 - OVERHEAD, "80 bytes are no record");
    assert_eq!(size(Path { unsent: 1 << 20, congestion_window: 12, ..PATH }), MAX_PLAINTEXT);
    assert_eq!(size(Path { in_flight: 10, send_window: 14_480, ..PATH }), 14_480 - OVERHEAD);
    assert_eq!(size(Path { in_flight: 3, send_window: 4000, ..PATH }), 4000 - OVERHEAD);
    assert_eq!(
        size(Path { send_window: 0, ..PATH }),
        1448 - OVERHEAD,
        "a closed window opens by a segment at least"
    );
}

#[test]
fn begins_anew_after_a_silence() {
    let open = Path { congestion_window: 80, ..PATH };
    let mut plan = Plan::default();
    assert_eq!(plan.record_size(&open, OVERHEAD, MAX_PLAINTEXT), 1448 - OVERHEAD);
    plan.sent(1448 - OVERHEAD);
    plan.look(&Path { idle: 200, ..open });
    assert_eq!(plan.record_size(&open, OVERHEAD, MAX_PLAINTEXT), MAX_PLAINTEXT);
    for still in [Path { in_flight: 1, ..open }, Path { unsent: 1, ..open }, open] {
        plan.look(&Path { idle: u32::from(still != open) * 9999, ..still });
        assert_ne!(plan.in_a_row(), 0);
    }
    plan.look(&Path { idle: 201, ..open });
    assert_eq!(plan.in_a_row(), 0);
    plan.sent(usize::MAX);
    plan.sent(1);
    assert_eq!(plan.in_a_row(), u32::MAX);
    // Halved for each time-out, down to the restart window, and not above what it was.
    for (idle, window, segments) in
        [(200, 80, 80), (399, 80, 40), (599, 80, 20), (10_000, 80, 10), (10_000, 4, 4)]
    {
        let path = Path { congestion_window: window, idle, segment: 100, ..PATH };
        assert_eq!(path.flight(), 100 * segments, "{idle} ms");
    }
}

/// What is promised of every record, for whatever TCP may say.
#[test]
fn no_record_waits_for_a_flight_that_a_smaller_one_would_not_wait_for() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for _ in 0..500_000 {
        let path = dice.path();
        let in_a_row = dice.among(&[0, 1, u32::MAX], 100_000);
        let limit = size(dice.among(&[0, 1, 16_384], 20_000));
        let overhead = size(dice.among(&[0, 22, 29], 100));
        let plaintext = record_size(&path, in_a_row, overhead, limit);
        let (wire, segment) = (plaintext + overhead, size(path.segment));
        let least = (segment / 2).min(LEAST);
        let at_limit = plaintext == limit.min(MAX_PLAINTEXT);
        let context = format!("{path:?} {in_a_row} {overhead} {limit}: {plaintext}");
        assert!(plaintext <= limit.min(MAX_PLAINTEXT), "{context}");
        assert!(at_limit || (plaintext > 0 && wire >= least), "silly: {context}");
        let most = if in_a_row == 0 { segment } else { MAX_PLAINTEXT + overhead };
        assert!(wire <= most.max(overhead + 1), "the first: {context}");
        if path.room() >= least {
            assert!(wire <= path.room().max(overhead + 1), "waits: {context}");
            assert!(at_limit || wire >= path.room().min(most), "leaves room: {context}");
        } else {
            assert!(at_limit || wire >= path.flight().min(most), "less than a flight: {context}");
            assert!(wire <= path.flight().max(segment).max(overhead + 1), "more than a flight: {context}");
        }
    }
}

/// A path without loss whose window grows by what is acknowledged, a response that is cut by `cut`, and when each of its bytes can be
/// used: in how many round trips, by the end of its record.
fn transfer(start: Path, len: usize, mut cut: impl FnMut(&Path, usize) -> usize) -> Vec<(usize, u32)> {
    let (mut path, mut sent, mut records, mut left) = (start, 0, Vec::new(), len);
    for round in 0.. {
        // What is in flight arrives; the window has grown by that.
        path.congestion_window += path.in_flight;
        path.in_flight = 0;
        let mut room = path.flight();
        loop {
            let open = bytes(path.congestion_window.saturating_sub(path.in_flight), path.segment);
            let moved = room.min(open).min(size(path.unsent));
            room -= moved;
            path.unsent -= u32::try_from(moved).unwrap();
            path.in_flight += u32::try_from(moved.div_ceil(size(path.segment))).unwrap();
            sent += moved;
            // One record is kept ready.
            if left == 0 || path.unsent > 0 {
                break;
            }
            let plaintext = cut(&path, len - left).min(left);
            left -= plaintext;
            let end = records.last().map_or(0, |(_, end, _)| *end) + plaintext + OVERHEAD;
            path.written(plaintext + OVERHEAD);
            records.push((plaintext, end, None));
        }
        for (_, end, used) in &mut records {
            if *end <= sent {
                used.get_or_insert(round);
            }
        }
        if left == 0 && path.unsent == 0 {
            break;
        }
        assert!(round < 10_000, "{path:?}");
    }
    records.into_iter().map(|(plaintext, _, used)| (plaintext, used.unwrap())).collect()
}

/// The round in which so much of a response can be used.
fn usable(records: &[(usize, u32)], bytes: usize) -> u32 {
    let mut sum = 0;
    let record = records.iter().find(|(plaintext, _)| {
        sum += plaintext;
        sum >= bytes
    });
    record.unwrap().1
}

#[test]
fn responses_are_never_usable_later_than_with_full_records() {
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for _ in 0..3000 {
        let path = Path {
            congestion_window: 1 + dice.among(&[0, 1, 9, 10, 11], 100),
            segment: dice.among(&[536, 1448, 8948], 9000).max(200),
            send_window: dice.among(&[65_535, 1 << 24], 1 << 20).max(2000),
            ..PATH
        };
        let len = 1 + size(dice.among(&[0, 1, 1425, 1426, 16_383, 16_384], 1_000_000));
        let ours = transfer(path, len, |path, before| {
            record_size(path, u32::try_from(before).unwrap(), OVERHEAD, MAX_PLAINTEXT)
        });
        let full = transfer(path, len, |_, _| MAX_PLAINTEXT);
        assert_eq!(ours.iter().map(|(plaintext, _)| plaintext).sum::<usize>(), len);
        assert_eq!(usable(&ours, 1), 0, "{path:?}: the first byte waits");
        // A flight that ends a few bytes earlier for its headers can cost a round at the end, and no more.
        for bytes in [1, len / 4, len / 2, len].map(|bytes| bytes.max(1)) {
            assert!(usable(&ours, bytes) <= usable(&full, bytes) + 1, "{path:?}, {bytes} of {len}");
        }
        let rounds = size(ours.last().unwrap().1);
        assert!(ours.len() <= full.len() + 2 * rounds + 3, "{path:?}, {len}: {} records", ours.len());
    }
}

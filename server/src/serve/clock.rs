// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two clocks, in milliseconds: one that the world agrees on, and one that never jumps.

use rustix::time::{ClockId, clock_gettime};

/// Unix time. It may jump, forward and back.
pub fn unix_time() -> u64 {
    milliseconds(ClockId::Realtime)
}

/// Time since some moment in the past. It never jumps.
pub fn monotonic() -> u64 {
    milliseconds(ClockId::Monotonic)
}

/// CPU time of this process.
pub fn cpu_time() -> u64 {
    milliseconds(ClockId::ProcessCPUTime)
}

fn milliseconds(id: ClockId) -> u64 {
    let time = clock_gettime(id);
    // Neither clock is negative.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000_000
}

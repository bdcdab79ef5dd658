// SPDX-License-Identifier: MIT OR Apache-2.0
//! The size of an accepted connection's next record: the plan that `ttls serve` follows too.

use crate::abi::{INVALID, Record};
use core::ffi::c_int;
use ttls::record_size::{Path, Plan};

/// Sets `size`, and `in_a_row` if there was a silence.
pub fn size(record: &mut Record) -> c_int {
    let path = Path {
        congestion_window: record.congestion_window,
        in_flight: record.in_flight,
        segment: record.segment,
        unsent: record.unsent,
        send_window: record.send_window,
        idle: record.idle,
        timeout: record.timeout,
    };
    let (Ok(overhead), Ok(limit)) = (usize::try_from(record.overhead), usize::try_from(record.limit)) else {
        return INVALID;
    };
    let mut plan = Plan::new(record.in_a_row);
    plan.look(&path);
    record.in_a_row = plan.in_a_row();
    let Ok(size) = u32::try_from(plan.record_size(&path, overhead, limit)) else { return INVALID };
    record.size = size;
    0
}

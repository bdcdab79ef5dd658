// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is tried when the module loads: known answers, and a panic.

use crate::worker::Worker;
use core::ffi::c_int;
use ttls_crypto::self_test;

/// Compares what a worker computes with known answers: 0, or the number of the first that is wrong.
///
/// # Safety
/// `worker::init` made the worker, and nobody else uses it.
#[inline(never)]
pub unsafe fn run(worker: *mut Worker) -> c_int {
    // SAFETY: promised by the caller.
    let engine = unsafe { (*worker).engine() };
    self_test::run(engine).map_or_else(|wrong| wrong.number, |()| 0)
}

/// Panics, so that a test can see it contained: reads past the end of a slice.
pub fn panic(index: usize) -> c_int {
    let digits = core::hint::black_box([0_u8; 4]);
    c_int::from(digits[core::hint::black_box(index)])
}

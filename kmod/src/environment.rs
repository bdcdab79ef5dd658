// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel gives to the core with every call.

use crate::site::Site;
use ttls::Environment;
use ttls::config::Random;

unsafe extern "C" {
    /// Fills memory from the kernel's random number generator; any context.
    fn ttls_random(out: *mut u8, len: usize);
}

/// The kernel's random number generator.
pub struct KernelRandom;

impl Random for KernelRandom {
    fn fill(&mut self, out: &mut [u8]) {
        // SAFETY: pointer and length are of `out`.
        unsafe { ttls_random(out.as_mut_ptr(), out.len()) }
    }
}

/// The environment of a call at `now` (Unix time in milliseconds).
pub fn environment<'a>(site: &'a Site<'a>, random: &'a mut KernelRandom, now: u64) -> Environment<'a> {
    Environment {
        policy: &site.policy,
        credentials: site,
        clients: None,
        tickets: site.tickets.as_ref(),
        admission: None,
        random,
        now,
        keylog: None,
    }
}

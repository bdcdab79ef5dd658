// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process asks the system about itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// CPU time of this process.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Standard streams, epoll and what libraries keep open.
const OTHERS: u64 = 32;

/// Makes room for as many sockets as there may be, and `wanted` at most; returns how many that is.
pub(crate) fn most_sockets(wanted: usize) -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX).saturating_sub(OTHERS);
    // Root may raise the maximum too, or may not.
    if raise_file_limit(wanted).is_ok() {
        return wanted;
    }
    let most = wanted.min(usize::try_from(maximum).unwrap_or(usize::MAX));
    if raise_file_limit(most).is_ok() { most } else { 0 }
}

/// Makes room for so many sockets.
pub(crate) fn raise_file_limit(sockets: usize) -> Result<(), String> {
    let wanted = sockets as u64 + OTHERS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    // Root may raise the maximum too; others up to it.
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).map_err(|_| {
        format!("{wanted} file descriptors are needed and not allowed: raise the limit (ulimit -n)")
    })
}

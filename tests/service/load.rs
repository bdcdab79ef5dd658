// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients that ask on and on while something happens to the server, and check every byte.

use harness::backend::pattern;
use harness::client::{connect, default_config, get};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What the clients of a test share.
#[derive(Default)]
pub(crate) struct Load {
    stop: AtomicBool,
    requests: AtomicUsize,
}

/// Stops the clients, also of a test that fails.
pub(crate) struct Stop<'l>(&'l Load);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// To be held as long as the clients are to go on.
    pub(crate) fn until_dropped(&self) -> Stop<'_> {
        Stop(self)
    }

    /// Requests answered so far.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Waits until `count` more are answered.
    pub(crate) fn wait_for(&self, count: usize) {
        let until = self.requests() + count;
        while self.requests() < until {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// A connection that outlives whatever happens.
    pub(crate) fn stay(&self, address: SocketAddr) {
        let mut tls = connect(address, &default_config());
        while !self.stop.load(Ordering::SeqCst) {
            assert!(get(&mut tls, "/bytes/200000").expect("a response") == pattern(200_000));
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// New connections all the time.
    pub(crate) fn come_and_go(&self, address: SocketAddr) {
        let config = default_config();
        while !self.stop.load(Ordering::SeqCst) {
            let mut tls = connect(address, &config);
            assert!(get(&mut tls, "/bytes/20000").expect("a response") == pattern(20_000));
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGUSR2: a new process takes over, and nobody notices.

use harness::backend::{Backend, pattern};
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use rustix::process::Signal;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Stops the clients, also of a test that fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn an_upgrade_under_load_loses_nothing() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let address = server.address;
    let mut old = connect(address, &default_config());
    get(&mut old, "/").expect("a response");
    let (stop, requests) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        for _ in 0..4 {
            scope.spawn(|| {
                let config = default_config();
                while !stop.load(Ordering::SeqCst) {
                    let mut tls = connect(address, &config);
                    assert!(get(&mut tls, "/bytes/20000").expect("a response") == pattern(20_000));
                    requests.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let more = |count| {
            let until = requests.load(Ordering::SeqCst) + count;
            while requests.load(Ordering::SeqCst) < until {
                thread::sleep(Duration::from_millis(5));
            }
        };
        more(20);
        server.upgrade();
        more(20);
    });
    get(&mut old, "/").expect("the old process serves the old connection");
    assert!(server.alive());
    drop(old);
    assert!(server.ended().success(), "the old process has drained");

    // Metrics, reloads and further upgrades are the new one's business.
    assert!(server.metric("ttls_handshakes_total") < requests.load(Ordering::SeqCst) as f64);
    server.signal(Signal::HUP);
    server.logged(&["event=reload", "done"]);
    let mut tls = connect(address, &default_config());
    get(&mut tls, "/").expect("a response");
}

#[test]
fn an_upgrade_that_fails_changes_nothing() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let mut old = connect(server.address, &default_config());
    server.write(&Config::bare("nonsense"));
    for count in 1..=2 {
        server.signal(Signal::USR2);
        server.wait("the end of the new process", |s| {
            s.log_text().matches("the old program goes on").count() == count
        });
    }
    get(&mut old, "/").expect("a response");
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    assert!(server.alive());
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGUSR2: a new process takes over, and nobody notices.

use crate::load::Load;
use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use rustix::process::Signal;
use std::thread;

#[test]
fn an_upgrade_under_load_loses_nothing() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let address = server.address;
    let mut old = connect(address, &default_config());
    get(&mut old, "/").expect("a response");
    let load = Load::default();
    thread::scope(|scope| {
        let _stop = load.until_dropped();
        for _ in 0..4 {
            scope.spawn(|| load.come_and_go(address));
        }
        load.wait_for(20);
        server.upgrade();
        load.wait_for(20);
    });
    get(&mut old, "/").expect("the old process serves the old connection");
    assert!(server.alive());
    drop(old);
    assert!(server.ended().success(), "the old process has drained");

    // Metrics, reloads and further upgrades are the new one's business.
    assert!(server.metric("ttls_handshakes_total") < load.requests() as f64);
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

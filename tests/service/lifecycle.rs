// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reload and drain under load: no connection and no byte is lost.

use crate::load::Load;
use harness::backend::{Backend, pattern};
use harness::client::{connect, default_config, get, try_connect};
use harness::server::{Config, Server};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

#[test]
fn reloads_under_load_lose_nothing() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    let mut server = Server::start(&config);
    let load = Load::default();
    let address = server.address;
    thread::scope(|scope| {
        let _stop = load.until_dropped();
        for _ in 0..3 {
            scope.spawn(|| load.stay(address));
            scope.spawn(|| load.come_and_go(address));
        }
        for n in 1..=10 {
            load.wait_for(20);
            let changed = if n % 2 == 0 {
                config.clone()
            } else {
                config.clone().certificate("rsa2048.pem", "rsa2048.key")
            };
            server.reload(&changed);
            server.wait("a reload", |s| s.log_text().matches("event=reload").count() >= n);
        }
    });
}

#[test]
fn a_reload_changes_the_certificate_and_a_bad_one_changes_nothing() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    let mut server = Server::start(&config);
    let mut old = connect(server.address, &default_config());
    get(&mut old, "/").expect("a response");
    let subject = |server: &Server| {
        let mut tls = connect(server.address, &default_config());
        get(&mut tls, "/").expect("a response");
        tls.conn.peer_certificates().expect("certificates")[0].to_vec()
    };
    let first = subject(&server);

    server.reload(&Config::new(&backend).without_certificates().certificate("rsa2048.pem", "ecdsa.key"));
    server.logged(&["level=error", "reload"]);
    assert_eq!(subject(&server), first, "a reload that failed");

    server.reload(&Config::new(&backend).without_certificates().certificate("rsa2048.pem", "rsa2048.key"));
    server.wait("the new certificate", |s| subject(s) != first);
    get(&mut old, "/").expect("the old connection goes on");
}

#[test]
fn a_drain_under_load_finishes_what_it_began() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let address = server.address;
    let begun = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut tls = connect(address, &default_config());
                get(&mut tls, "/").expect("a response");
                write!(tls, "GET /slow/20000000 HTTP/1.0\r\n\r\n").expect("send");
                let mut piece = [0; 1];
                tls.read_exact(&mut piece).expect("the response begins");
                begun.fetch_add(1, Ordering::SeqCst);
                let mut rest = Vec::new();
                tls.read_to_end(&mut rest).expect("the whole response, then close_notify");
                assert!(rest.ends_with(&pattern(20_000_000)), "{} bytes", rest.len());
            });
        }
        while begun.load(Ordering::SeqCst) < 6 {
            thread::sleep(Duration::from_millis(5));
        }
        server.signal(Signal::TERM);
        // New ones are not let in.
        server.wait("the end of accepting", |s| TcpStream::connect(s.address).is_err());
    });
    assert!(server.ended().success());
}

#[test]
fn a_second_signal_ends_the_drain() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    server.signal(Signal::TERM);
    server.wait("the end of accepting", |s| TcpStream::connect(s.address).is_err());
    assert!(server.alive(), "a connection is still open");
    server.signal(Signal::TERM);
    server.ended();
    assert!(get(&mut tls, "/").is_err());
}

#[test]
fn handshakes_under_way_at_a_reload_complete() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let share = harness::raw::KeyShare::x25519();
    let mut client = harness::raw::Client::connect(server.address);
    let flight = client.hello13(&harness::raw::ClientHello::tls13(&[&share]), &share);
    server.reload(&Config::new(&backend).without_certificates().certificate("rsa2048.pem", "rsa2048.key"));
    server.wait("a reload", |s| s.log_text().contains("event=reload"));
    client.finish13(&flight);
    assert!(client.exchange(b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.1 200"));
    assert!(try_connect(server.address, &default_config()).is_ok());
}

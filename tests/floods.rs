// SPDX-License-Identifier: MIT OR Apache-2.0
//! 10,000 connections that never finish a handshake: the server serves the while, stays within its limits, and its
//! memory is back where it was after each of three floods.

use harness::backend::Backend;
use harness::client::{default_config, get, try_connect};
use harness::raw::{Client, ClientHello, KeyShare, content, plain_record};
use harness::server::{Config, Server};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

const CONNECTIONS: usize = 10_000;
/// Connections before the first flood: fewer than what a worker keeps ready.
const WARM_UP: usize = 200;
/// What may come and go: buffers, and the allocator's own bookkeeping.
const LEFT_BEHIND_KIB: u64 = 8 * 1024;
/// What stays resident after a flood: the table of connections, about 200 bytes for each that was ever open at a
/// time, and pages of the allocator at both ends of what lives. An unused handshake pinned in the heap would show as
/// up to 45 MiB.
const SETTLED_KIB: u64 = 4 * 1024;

/// One flood at a time: each of them needs most of a process's descriptors.
static ALONE: Mutex<()> = Mutex::new(());

/// Opens [`CONNECTIONS`] connections, each sending `bytes`; has a proper client served among them; closes them.
fn flood(bytes: &[u8]) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    allow_descriptors();
    let backend = Backend::http();
    let config = Config::new(&backend)
        .table("[timeouts]\nhello = \"20s\"\nhandshake = \"20s\"")
        .table("[limits]\nhalf_open = 6000")
        .table("[log]\nconnections = \"off\"");
    let mut server = Server::start(&config);
    warm_up(&server, bytes);
    server.wait("them to end", |s| s.metric("ttls_connections") == 0.0);
    let (memory, descriptors) = (server.resident_kib(), server.descriptors());

    let mut first_peak = None;
    for round in 1..=3 {
        let mut streams: Vec<TcpStream> = (0..CONNECTIONS).map(|n| open(&server, n)).collect();
        for stream in &mut streams {
            // A connection that was refused, or made room for a newer one, is the server's right.
            let _ = stream.write_all(bytes);
        }
        served(&server);
        let half_open = server.metric("ttls_connections_half_open");
        assert!(half_open <= 6000.0, "{half_open} half-open connections, and 6000 allowed");
        let peak = server.resident_kib();
        println!("round {round}: {half_open} half-open, {peak} KiB resident, {memory} KiB before");
        assert!(peak < memory + 6000 * 12 + LEFT_BEHIND_KIB, "{peak} KiB at the height of the flood");
        let first = *first_peak.get_or_insert(peak);
        assert!(peak < first + LEFT_BEHIND_KIB, "{peak} KiB in round {round}, {first} KiB in the first");
        drop(streams);
        server.wait("all of them to end", |s| s.metric("ttls_connections") == 0.0);
        served(&server);
        server.wait("the memory to come back", |s| s.resident_kib() < memory + SETTLED_KIB);
        println!("after it: {} KiB resident", server.resident_kib());
    }
    server.wait("the descriptors to come back", |s| s.descriptors() <= descriptors);
}

/// Has every worker start, and touch what it has reserved: what is measured is what a flood adds.
fn warm_up(server: &Server, bytes: &[u8]) {
    for n in 0..WARM_UP {
        let _ = open(server, n).write_all(bytes);
    }
    served(server);
}

/// A proper client gets its page.
#[track_caller]
fn served(server: &Server) {
    // Behind a full queue of the kernel's, a SYN may have to be sent again.
    let served = (0..20).any(|_| {
        let page = try_connect(server.address, &default_config()).and_then(|mut tls| get(&mut tls, "/"));
        page.is_ok() || {
            thread::sleep(Duration::from_millis(100));
            false
        }
    });
    assert!(served, "the server does not serve any more");
}

/// Begins a connection from one of many addresses, without waiting for it.
fn open(server: &Server, n: usize) -> TcpStream {
    let socket =
        socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).expect("a socket");
    let host = u8::try_from(n / 1000 + 1).expect("a small number");
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 8, 8, host), 0)).expect("bind");
    let _ = connect(&socket, &server.address);
    if n.is_multiple_of(100) {
        // On loopback, a hundred at a time are connected by then.
        thread::sleep(Duration::from_millis(2));
    }
    TcpStream::from(socket)
}

fn allow_descriptors() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("raise the number of descriptors");
    assert!(limit.current.is_none_or(|n| n > 11_000), "this machine allows {:?} descriptors", limit.current);
}

#[test]
fn silent() {
    flood(b"");
}

#[test]
fn half_open() {
    let hello = plain_record(content::HANDSHAKE, &ClientHello::tls13(&[&KeyShare::x25519()]).encode());
    flood(&hello[..hello.len() - 1]);
}

#[test]
fn handshakes_never_finished() {
    flood(&plain_record(content::HANDSHAKE, &ClientHello::tls13(&[&KeyShare::x25519()]).encode()));
}

#[test]
fn garbage() {
    flood(&[0x5a; 300]);
}

/// One address that opens thousands pushes out its own connections, and not the client of another that was there before.
#[test]
fn a_heavy_source_makes_room_itself() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    allow_descriptors();
    let backend = Backend::http();
    let config = Config::new(&backend)
        .top("workers = 1")
        .table("[timeouts]\nhello = \"60s\"\nhandshake = \"60s\"")
        .table("[limits]\nhalf_open = 64")
        .table("[log]\nconnections = \"off\"");
    let mut server = Server::start(&config);
    let share = KeyShare::x25519();
    let hello = plain_record(content::HANDSHAKE, &ClientHello::tls13(&[&share]).encode());
    let mut streams: Vec<TcpStream> = Vec::new();
    let mut flood = |server: &mut Server, pushed_out: f64| {
        server.wait("the flood to push out its own", |s| {
            streams.clear();
            for _ in 0..500 {
                let mut stream = open(s, 0);
                let _ = stream.write_all(&hello[..hello.len() - 1]);
                streams.push(stream);
            }
            s.metric("ttls_connections_refused_total{limit=\"half_open\"}") >= pushed_out
        });
    };
    for pushed_out in [1000.0, 2000.0, 3000.0, 4000.0] {
        flood(&mut server, pushed_out);
    }
    let mut early = Client::connect(server.address);
    let flight = early.hello13(&ClientHello::tls13(&[&share]), &share);
    let before = server.metric("ttls_connections_refused_total{limit=\"half_open\"}");
    flood(&mut server, before + 200.0);
    early.finish13(&flight);
    let page = early.exchange(b"GET / HTTP/1.0\r\n\r\n");
    assert!(page.starts_with(b"HTTP/1."), "{}", page.escape_ascii());
}

/// A ClientHello has a deadline of its own; who has sent it has until that of the handshake.
#[test]
fn each_stage_has_its_deadline() {
    let backend = Backend::http();
    let times = "[timeouts]\nhello = \"1s\"\nhandshake = \"60s\"";
    let mut server = Server::start(&Config::new(&backend).table(times));
    let share = KeyShare::x25519();
    let mut slow = Client::connect(server.address);
    let mut answered = Client::connect(server.address);
    let flight = answered.hello13(&ClientHello::tls13(&[&share]), &share);
    slow.send_raw(&[22, 3, 1]);
    slow.ends();
    let line = server.logged(&["handshake timeout"]);
    let ms: u64 = line.split("ms=").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("ms");
    assert!((1000..60_000).contains(&ms), "{line}");
    answered.finish13(&flight);
    assert!(answered.exchange(b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1."));
}

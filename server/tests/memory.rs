// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a connection costs in memory: fixed sizes, and no allocation on its way.
#![forbid(unsafe_code)]

use std::io::Write as _;
use std::mem::size_of;
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_server::config::Source;
use ttls_server::config::flags::Flag;
use ttls_server::demo::Identity;
use ttls_server::hosts::Hosts;
use ttls_server::serve::connection::Connection;
use ttls_server::serve::context::Shared;
use ttls_server::serve::count::Count;
use ttls_server::serve::listener;
use ttls_server::serve::log::destination::Destination;
use ttls_server::serve::log::sink::{Sink, Style};
use ttls_server::serve::metrics::Counters;
use ttls_server::serve::negotiation::Negotiation;
use ttls_server::serve::relay::Relay;
use ttls_server::serve::sources::Sources;
use ttls_server::serve::worker::{Handle, Message, Parts, Worker, wake_fd};
use ttls_server::settings::{Fixed, Settings};
use ttls_server::tickets::Tickets;

#[test]
fn connections_are_small() {
    let slot = size_of::<Connection>();
    let half_open = slot + size_of::<Negotiation>();
    let idle = slot + size_of::<Option<Relay>>();
    println!("silent connection: {slot} bytes");
    println!("half-open handshake: {half_open} bytes, its receive buffer included");
    println!("idle established connection: {idle} bytes");
    assert!(half_open <= 8192, "{half_open}");
    assert!(idle <= 4096, "{idle}");
}

/// Allocations of a worker's thread that serves `connections` and drains, while `open` more are in their handshake.
fn allocations(connections: usize, open: usize, version: &'static str) -> u64 {
    let flags = [("listen", "127.0.0.1:0"), ("workers", "1")];
    let flags = flags.iter().filter_map(|(key, value)| Flag::new(key, value)).collect();
    let fixed = Fixed { demo: Some(Identity::generate().unwrap()), hosts: Hosts::default() };
    let settings = Settings::build(&Source { file: None, flags }, &fixed, &mut Vec::new()).unwrap();
    let (fd, _) = listener::open(settings.listen[0], &settings.listener).unwrap();
    let address: SocketAddr = rustix::net::getsockname(&fd).unwrap().try_into().unwrap();
    let (sender, receiver) = mpsc::channel();
    let wake = Arc::new(wake_fd().unwrap());
    let handle = Handle { sender, wake: Arc::clone(&wake) };
    let nowhere = Destination::file("/dev/null".as_ref(), rustix::fs::Mode::empty()).unwrap();
    let tickets = Tickets::default();
    tickets.set(settings.tickets.as_ref().and_then(|derived| derived.take()).unwrap());
    let sink = Sink::new(nowhere, Style::Log(settings.log.format)).unwrap();
    sink.start().unwrap();
    let counters = Arc::<Counters>::default();
    let worker = Worker::new(Parts {
        workers: 1,
        listeners: vec![(settings.listen[0], fd)],
        receiver,
        wake,
        counters: Arc::clone(&counters),
        shared: Arc::new(Shared {
            connections: Count::default(),
            sources: Arc::new(Sources::new(0, 32, 64)),
            routes: Arc::default(),
            tickets,
            descriptors: 1000,
            shortage_told: AtomicU64::new(0),
        }),
        sink,
        keylog: None,
        cpu: Cpu::detect(Choice::Best).unwrap(),
        settings: Arc::new(settings),
    })
    .unwrap();
    let client = thread::spawn(move || {
        for _ in 0..connections {
            let page = get(address, version);
            assert!(page.contains("version: TLSv1."), "{page}");
        }
        let silent: Vec<_> = (0..open).map(|_| TcpStream::connect(address).unwrap()).collect();
        silent.iter().for_each(|mut stream| stream.write_all(&[22, 3, 1]).unwrap());
        while counters.connections.get() != open as u64 {
            thread::sleep(Duration::from_millis(1));
        }
        handle.send(Message::Drain(50));
        silent
    });
    let counted = allocation_counter::measure(|| worker.run());
    client.join().unwrap();
    counted.count_total
}

/// The demo's page, by OpenSSL.
fn get(address: SocketAddr, version: &str) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-no_ign_eof", version, "-connect", &address.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    let mut input = client.stdin.take().unwrap();
    input.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let output = client.wait_with_output().unwrap();
    drop(input);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn from_accept_to_the_last_byte_nothing_is_allocated() {
    for version in ["-tls1_3", "-tls1_2"] {
        let (none, some) = (allocations(0, 0, version), allocations(8, 0, version));
        println!("{version}: {none} allocations to start and stop, {some} with 8 connections");
        assert_eq!(none, some, "{version}");
        assert_eq!(none, allocations(1, 3, version), "{version}: with three that the drain cuts off");
    }
}

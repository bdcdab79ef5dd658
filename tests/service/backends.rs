// SPDX-License-Identifier: MIT OR Apache-2.0
//! Backends that are hard to reach: silent addresses, full backlogs.

use harness::backend::http;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::thread;

fn stream(family: AddressFamily) -> OwnedFd {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    socket_with(family, SocketType::STREAM, flags, None).expect("a socket")
}

/// A listening socket that accepts nobody, and those that fill its backlog.
fn silent(host: Ipv4Addr) -> (SocketAddr, Vec<OwnedFd>) {
    let listener = stream(AddressFamily::INET);
    bind(&listener, &SocketAddr::from((host, 0))).expect("bind");
    listen(&listener, 0).expect("listen");
    let address =
        rustix::net::getsockname(&listener).expect("an address").try_into().expect("of the internet");
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let client = stream(AddressFamily::INET);
        let _ = rustix::net::connect(&client, &address);
        sockets.push(client);
    }
    (address, sockets)
}

// Whoever is not root can not give a process another /etc/hosts: there is nothing to test.
#[test]
fn a_silent_address_is_not_waited_for_where_there_is_another() {
    if fs::metadata("/proc/self").expect("proc").uid() != 0 {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let hosts = [Ipv4Addr::new(127, 0, 0, 9), Ipv4Addr::new(127, 0, 0, 10)];
    // The resolver has an order of its own: one of the two is the first.
    for (silent_one, good_one) in [(hosts[0], hosts[1]), (hosts[1], hosts[0])] {
        let (address, _sockets) = silent(silent_one);
        let listener = TcpListener::bind((good_one, address.port())).expect("listen");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(|| http(Box::new(stream)));
            }
        });
        let file = dir.path().join(format!("hosts{silent_one}"));
        fs::write(
            &file,
            format!("127.0.0.1 localhost\n{silent_one} backend.test\n{good_one} backend.test\n"),
        )
        .expect("write");
        let config = Config::bare(&format!("backend.test:{}", address.port()))
            .certificate("ecdsa.pem", "ecdsa.key")
            .table("[timeouts]\nconnect = \"20s\"");
        let server = Server::start_with_hosts(&config, &file);
        for _ in 0..3 {
            let mut tls = connect(server.address, &default_config());
            get(&mut tls, "/").expect("a response");
        }
        assert_eq!(server.metric("ttls_backend_failures_total"), 0.0);
    }
}

#[test]
fn a_full_backlog_of_a_unix_socket_is_waited_for() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("backend");
    let socket = stream(AddressFamily::UNIX);
    let address = SocketAddrUnix::new(&path).expect("an address");
    bind(&socket, &address).expect("bind");
    listen(&socket, 0).expect("listen");
    let mut waiting = Vec::new();
    loop {
        let client = stream(AddressFamily::UNIX);
        if rustix::net::connect(&client, &address).is_err() {
            break;
        }
        waiting.push(client);
    }
    let config = Config::bare(&format!("unix:{}", path.display()))
        .certificate("ecdsa.pem", "ecdsa.key")
        .table("[timeouts]\nconnect = \"20s\"");
    let mut server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    let client = thread::spawn(move || get(&mut tls, "/").expect("a response"));
    // The handshake is complete, and there is nobody to take the connection.
    server.wait("the handshake", |s| s.metric("ttls_handshakes_total") == 1.0);
    thread::sleep(std::time::Duration::from_millis(200));
    drop(waiting);
    rustix::io::ioctl_fionbio(&socket, false).expect("a blocking socket");
    let listener = UnixListener::from(socket);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(|| http(Box::new(stream)));
        }
    });
    client.join().expect("the client");
    assert_eq!(server.metric("ttls_backend_failures_total"), 0.0);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients that would have the server's buffers for themselves: one by one they get what they sent, together they make room.

use harness::backend::Backend;
use harness::raw::{Client, ClientHello, KeyShare, Version, content, plain_record};
use harness::server::{Config, Server};
use std::net::{SocketAddr, TcpStream};

/// More than the buffers of [`MEMORY`].
const CLIENTS: u32 = 80;
/// padding (RFC 7685).
const PADDING: u16 = 21;
const MEMORY: &str = "[limits]\nbuffer_memory = \"1MiB\"";

fn server() -> Server {
    let config = Config::bare("static:8MiB").certificate("ecdsa.pem", "ecdsa.key").table(MEMORY);
    Server::start(
        &config.table("[timeouts]\nhello = \"60s\"\nhandshake = \"60s\"\nidle = \"10m\"").top("workers = 1"),
    )
}

fn establish(server: &Server) -> Client {
    let mut client = Client::over(connect(server));
    let share = KeyShare::x25519();
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    client
}

/// Connects with a small receive buffer.
fn connect(server: &Server) -> TcpStream {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
        .expect("a socket");
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("a small buffer");
    rustix::net::connect(&socket, &server.address).expect("connect");
    TcpStream::from(socket)
}

/// A proper client gets a whole response, in spite of the others.
#[track_caller]
fn served(server: &Server, what: &str) {
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    let response = client.exchange(b"GET / HTTP/1.0\r\n\r\n");
    assert!(response.len() > 8 << 20, "{what}: {} bytes", response.len());
}

/// What established clients may send of a record, and never the rest.
#[test]
fn parts_of_records() {
    let mut server = server();
    let header = [23, 3, 3, 0x40, 0x11];
    for (length, cost) in
        [(1, Some(512)), (5, Some(512)), (100, Some(512)), (3000, Some(4096)), (9000, None), (16_000, None)]
    {
        let mut held: Vec<_> = (0..CLIENTS).map(|_| establish(&server)).collect();
        for client in &mut held {
            client.send_raw(&[&header[..], &[0; 16_000]].concat()[..length]);
        }
        if let Some(cost) = cost {
            // About what was sent: so all may have it at a time.
            let all = f64::from(CLIENTS * cost);
            server.wait("small buffers", |s| s.metric("ttls_buffer_memory_bytes") == all);
            assert_eq!(server.metric("ttls_buffers"), f64::from(CLIENTS));
        }
        served(&server, &format!("{length} bytes of a record each"));
        drop(held);
        server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
        assert_eq!(server.metric("ttls_buffers"), 0.0);
    }
}

/// A client that was there before the others has its turn, too.
#[test]
fn established_clients_do_not_starve() {
    let server = server();
    let mut early = establish(&server);
    let mut held: Vec<_> = (0..CLIENTS).map(|_| establish(&server)).collect();
    for client in &mut held {
        client.send_raw(&[23]);
    }
    assert!(early.exchange(b"GET / HTTP/1.0\r\n\r\n").len() > 8 << 20);
}

/// The same before the handshake: parts of a ClientHello, of various lengths, in one record or many.
#[test]
fn parts_of_client_hellos() {
    let mut server = server();
    let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
    hello.set(PADDING, vec![0; 12_000]);
    let whole = plain_record(content::HANDSHAKE, &hello.encode());
    for length in [5, 100, 4000, 5000, 10_000] {
        let mut held: Vec<_> = (0..CLIENTS).map(|_| Client::over(connect(&server))).collect();
        for client in &mut held {
            client.send_raw(&whole[..length]);
        }
        served(&server, &format!("{length} bytes of a ClientHello each"));
        drop(held);
        server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
    }
    assert_eq!(server.metric("ttls_buffers"), 0.0);
}

/// The same amid the handshake: what clients may send of their second flight.
#[test]
fn parts_of_second_flights() {
    let mut server = server();
    let share = KeyShare::x25519();
    for version in Version::BOTH {
        for length in [1, 100, 4000, 16_000] {
            let mut held: Vec<_> = (0..CLIENTS).map(|_| Client::over(connect(&server))).collect();
            for client in &mut held {
                let header = match version {
                    Version::Tls13 => {
                        client.hello13(&ClientHello::tls13(&[&share]), &share);
                        [23, 3, 3, 0x40, 0x11]
                    }
                    Version::Tls12 => {
                        client.hello12(&ClientHello::tls12());
                        [22, 3, 3, 0x40, 0]
                    }
                };
                client.send_raw(&[&header[..], &[0; 16_000]].concat()[..length]);
            }
            served(&server, &format!("{version:?}, {length} bytes of a second flight each"));
            drop(held);
            server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
            assert_eq!(server.metric("ttls_buffers"), 0.0);
        }
    }
}

/// Clients that ask for much and read nothing.
#[test]
fn responses_that_nobody_reads() {
    let mut server = server();
    let mut held: Vec<_> = (0..CLIENTS).map(|_| establish(&server)).collect();
    for client in &mut held {
        client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n");
    }
    served(&server, "responses that nobody reads");
    drop(held);
    server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
    assert_eq!(server.metric("ttls_buffers"), 0.0);
}

/// Clients that begin a handshake and do not read the server's flight.
#[test]
fn flights_that_nobody_reads() {
    let server = server();
    let share = KeyShare::x25519();
    let mut held: Vec<_> = (0..CLIENTS).map(|_| Client::over(connect(&server))).collect();
    for client in &mut held {
        client.send_message(&ClientHello::tls13(&[&share]).encode());
    }
    served(&server, "flights that nobody reads");
}

/// A handshake and a request in pieces of a byte, among clients that hold what they can: slow, and served.
#[test]
fn a_slow_client_among_them() {
    let server = server();
    let mut slow = establish(&server);
    let mut held: Vec<_> = (0..CLIENTS).map(|_| establish(&server)).collect();
    for client in &mut held {
        client.send_raw(&[23, 3, 3]);
    }
    slow.one_by_one = true;
    let response = slow.exchange(b"GET / HTTP/1.0\r\n\r\n");
    assert!(response.len() > 8 << 20);
    drop((Backend::http(), held));
}

/// What is sealed ahead for a client that reads nothing is a record; the rest stays where it is.
#[test]
fn a_client_that_stands_still_has_one_record_ahead() {
    /// A full record, and what the client's small window lets in.
    const AHEAD: usize = 16_384 + 64 + 8192;
    let mut server = server();
    let mut held: Vec<_> = (0..8).map(|_| establish(&server)).collect();
    for client in &mut held {
        client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n");
    }
    // Each has something in TCP, and holds none of the server's storage.
    let address = server.address;
    server.wait("all to stand still", |s| {
        let waiting = unacknowledged(address);
        waiting.iter().filter(|bytes| **bytes > 0).count() == held.len() && s.metric("ttls_buffers") == 0.0
    });
    for bytes in unacknowledged(address) {
        assert!(bytes <= AHEAD, "{bytes} bytes wait in TCP");
    }
    assert_eq!(server.metric("ttls_buffers"), 0.0, "what waits is in TCP alone");
    // They go on where they were.
    for client in &mut held {
        let mut length = 0;
        while length < 256 << 10 {
            length += client.receive_record().expect("a record").body.len();
        }
    }
    drop(held);
    server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
}

/// Bytes that peers have not acknowledged, of each established connection to this address, as its server sees them.
fn unacknowledged(address: SocketAddr) -> Vec<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let SocketAddr::V4(address) = address else { panic!("not IPv4") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(1) == Some(&local.as_str()) && row.get(3) == Some(&"01"))
        .map(|row| usize::from_str_radix(row[4].split(':').next().expect("a queue"), 16).expect("a size"))
        .collect()
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Flights cut small, at the socket.

use harness::backend::Backend;
use harness::raw::{Client, ClientHello, KeyShare, content, extension};
use harness::server::{Config, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

#[test]
fn every_byte_in_a_segment_of_its_own() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();

    let mut client = Client::connect(server.address);
    client.one_by_one = true;
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    assert!(client.exchange(REQUEST).starts_with(b"HTTP/1.1 200"), "TLS 1.3");

    let mut client = Client::connect(server.address);
    client.one_by_one = true;
    let flight = client.hello12(&ClientHello::tls12());
    client.finish12(&flight, &share);
    assert!(client.exchange(REQUEST).starts_with(b"HTTP/1.1 200"), "TLS 1.2");
}

/// `overload.patience` is for what waits for the server, not for the client.
#[test]
fn a_client_that_is_slow_to_speak_is_served() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let message = ClientHello::tls13(&[&KeyShare::x25519()]).encode();
    let length = u16::try_from(message.len()).expect("one record").to_be_bytes();
    let record = [&[content::HANDSHAKE, 3, 1][..], &length, &message].concat();
    let mut client = TcpStream::connect(server.address).expect("connect");
    client.write_all(&record[..20]).expect("send");
    thread::sleep(Duration::from_millis(2500));
    client.write_all(&record[20..]).expect("send");
    let mut header = [0; 5];
    client.read_exact(&mut header).expect("an answer");
    assert_eq!(header[0], content::HANDSHAKE);
}

#[test]
fn everything_in_one_segment() {
    // Finished and the request arrive together: the request must not wait for another packet.
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    let flight = client.hello13(&ClientHello::tls13(&[&share]), &share);
    let finished = client.finished13(&flight);
    let mut both = client.seal.as_mut().expect("keys").seal(content::HANDSHAKE, &finished);
    client.transcript.extend_from_slice(&finished);
    client.application13(&flight);
    both.extend(client.seal.as_mut().expect("keys").seal(content::APPLICATION_DATA, REQUEST));
    client.send_raw(&both);
    assert!(client.exchange(b"").starts_with(b"HTTP/1.1 200"));
}

#[test]
fn padded_records() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();
    for padding in [1, 100, 16_384 - REQUEST.len()] {
        let mut client = Client::connect(server.address);
        client.establish13(&ClientHello::tls13(&[&share]), &share);
        let keys = client.seal.as_mut().expect("keys");
        let record = keys.seal_padded(content::APPLICATION_DATA, REQUEST, padding);
        client.send_raw(&record);
        assert!(client.exchange(b"").starts_with(b"HTTP/1.1 200"), "{padding} bytes of padding");
    }
}

#[test]
fn records_stay_within_the_clients_limit() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();
    let long = b"GET /bytes/100000 HTTP/1.0\r\n\r\n";
    // Extension, its content, and the longest plaintext; record_size_limit counts the content type in TLS 1.3.
    let limits: [(u16, Vec<u8>, usize, usize); 4] = [
        (extension::MAX_FRAGMENT_LENGTH, vec![1], 512, 512),
        (extension::MAX_FRAGMENT_LENGTH, vec![4], 4096, 4096),
        (extension::RECORD_SIZE_LIMIT, vec![0, 64], 64, 63),
        (extension::RECORD_SIZE_LIMIT, vec![2, 1], 513, 512),
    ];
    for (kind, body, limit12, limit13) in limits {
        let mut hello = ClientHello::tls13(&[&share]);
        hello.add(kind, body.clone());
        let mut client = Client::connect(server.address);
        client.establish13(&hello, &share);
        let response = client.exchange(long);
        assert!(
            response.len() > 100_000 && client.longest <= limit13,
            "TLS 1.3 {body:?}: {}",
            client.longest
        );

        let mut hello = ClientHello::tls12();
        hello.add(kind, body.clone());
        let mut client = Client::connect(server.address);
        let flight = client.hello12(&hello);
        client.finish12(&flight, &share);
        let response = client.exchange(long);
        assert!(
            response.len() > 100_000 && client.longest <= limit12,
            "TLS 1.2 {body:?}: {}",
            client.longest
        );
    }
}

#[test]
fn every_truncated_client_hello_is_answered() {
    // Cut at every byte and given an honest length, a ClientHello is malformed, or lacks something: never served, never
    // left without an answer.
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();
    for body in [ClientHello::tls13(&[&share]).body(), ClientHello::tls12().body()] {
        for length in 0..body.len() {
            let mut client = Client::connect(server.address);
            client
                .send_message(&harness::raw::handshake(harness::raw::message::CLIENT_HELLO, &body[..length]));
            let end = client.end();
            assert!(matches!(end, harness::raw::End::Alert(2, _)), "{length} bytes: {end:?}");
        }
    }
    assert!(server.alive());
}

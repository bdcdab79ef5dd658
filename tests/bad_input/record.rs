// SPDX-License-Identifier: MIT OR Apache-2.0
//! Before any key: the first records (RFC 8446 §5.1).

use crate::Gets::{Alert, Closed, Served};
use crate::{Row, To};
use harness::raw::{Client, ClientHello, KeyShare, alert, content, handshake, message, plain_record};

/// A proper ClientHello's record.
fn hello() -> Vec<u8> {
    plain_record(content::HANDSHAKE, &ClientHello::tls13(&[&KeyShare::x25519()]).encode())
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        sent: "an HTTP request",
        to: To::Default,
        gets: Closed,
        log: "not TLS",
        act: |client, _| client.send_raw(b"GET / HTTP/1.1\r\nHost: ttls.test\r\n\r\n"),
    },
    Row {
        sent: "an SSLv2 ClientHello",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| {
            let body = [&[1, 3, 1, 0, 3, 0, 0, 0, 16, 0, 0, 5][..], &[7; 16]].concat();
            client.send_raw(&[&[0x80, 31][..], &body].concat());
        },
    },
    Row {
        sent: "random bytes",
        to: To::Default,
        gets: Closed,
        log: "not TLS",
        act: |client, _| client.send_raw(&[0xa5; 700]),
    },
    Row {
        sent: "a record of an unknown content type (99)",
        to: To::Default,
        gets: Closed,
        log: "not TLS",
        act: |client, _| client.send_record(99, b"what?"),
    },
    Row {
        sent: "a record of version 2.0",
        to: To::Default,
        gets: Closed,
        log: "not TLS",
        act: |client, _| client.send_raw(&[content::HANDSHAKE, 2, 0, 0, 5, 1, 0, 0, 1, 0]),
    },
    Row {
        sent: "nothing, then the end of the stream",
        to: To::Default,
        gets: Closed,
        log: "client closed during the handshake",
        act: |client, _| client.shut(),
    },
    Row {
        sent: "half a ClientHello, then the end of the stream",
        to: To::Default,
        gets: Closed,
        log: "client closed during the handshake",
        act: |client, _| {
            let hello = hello();
            client.send_raw(&hello[..hello.len() / 2]);
            client.shut();
        },
    },
    Row {
        sent: "application data first",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.0\r\n\r\n"),
    },
    Row {
        sent: "a ChangeCipherSpec before the ClientHello",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| client.send_record(content::CHANGE_CIPHER_SPEC, &[1]),
    },
    Row {
        sent: "a fatal alert first",
        to: To::Default,
        gets: Closed,
        log: "client sent alert handshake_failure",
        act: |client, _| client.send_record(content::ALERT, &[2, alert::HANDSHAKE_FAILURE]),
    },
    Row {
        sent: "half an alert",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed alert",
        act: |client, _| client.send_record(content::ALERT, &[2]),
    },
    Row {
        sent: "a plaintext record of 16,385 bytes",
        to: To::Default,
        gets: Alert(alert::RECORD_OVERFLOW),
        log: "record longer than the limit",
        act: |client, _| client.send_record(content::HANDSHAKE, &vec![1; 16385]),
    },
    Row {
        sent: "a handshake record of length zero",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| client.send_record(content::HANDSHAKE, &[]),
    },
    Row {
        sent: "a Finished instead of a ClientHello",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message: expected a ClientHello",
        act: |client, _| client.send_message(&handshake(message::FINISHED, &[0; 32])),
    },
    Row {
        sent: "a message of an unknown type (99)",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message: expected a ClientHello",
        act: |client, _| client.send_message(&handshake(99, b"what?")),
    },
    Row {
        sent: "a ClientHello that says it has 16 MiB",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "handshake message is longer than the limit",
        act: |client, _| {
            client.send_record(content::HANDSHAKE, &[message::CLIENT_HELLO, 0xff, 0xff, 0xff, 3, 3])
        },
    },
    Row {
        sent: "a ChangeCipherSpec between two fragments of the ClientHello",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| interrupt(client, content::CHANGE_CIPHER_SPEC, &[1]),
    },
    Row {
        sent: "application data between two fragments of the ClientHello",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| interrupt(client, content::APPLICATION_DATA, b"hello"),
    },
    Row {
        sent: "a second message in the ClientHello's record",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let hello = ClientHello::tls13(&[&KeyShare::x25519()]).encode();
            client.send_record(content::HANDSHAKE, &[&hello[..], &hello].concat());
        },
    },
    Row {
        sent: "a ClientHello in records of one byte each",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::x25519();
            let hello = ClientHello::tls13(&[&share]).encode();
            client.transcript = hello.clone();
            let records: Vec<u8> =
                hello.chunks(1).flat_map(|b| plain_record(content::HANDSHAKE, b)).collect();
            client.send_raw(&records);
            let flight = client.flight13(&share, &[0; 32]);
            client.finish13(&flight);
        },
    },
];

fn interrupt(client: &mut Client, kind: u8, body: &[u8]) {
    let hello = ClientHello::tls13(&[&KeyShare::x25519()]).encode();
    client.send_record(content::HANDSHAKE, &hello[..100]);
    client.send_record(kind, body);
}

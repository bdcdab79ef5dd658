// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the server's flight to the client's Finished, TLS 1.2 (RFC 5246 §7.4, RFC 8422, RFC 7627).

use crate::Gets::{Alert, Closed, Served};
use crate::{Row, To};
use harness::raw::{
    Client, ClientHello, KeyShare, Keys12, alert, content, extension, handshake, message, plain_record,
};
use harness::raw::{u16s, vector};

/// Sends a ClientHello for the group, and then this ClientKeyExchange body.
fn key_exchange(client: &mut Client, group: u16, body: &[u8]) {
    let mut hello = ClientHello::tls12();
    hello.set(extension::SUPPORTED_GROUPS, u16s(&[group]));
    client.hello12(&hello);
    client.send_message(&handshake(message::CLIENT_KEY_EXCHANGE, body));
}

/// Goes on to where ChangeCipherSpec is due.
fn before_change(client: &mut Client) -> Keys12 {
    let share = KeyShare::x25519();
    let flight = client.hello12(&ClientHello::tls12());
    client.send_message(&Client::key_exchange12(&share));
    client.keys12(&flight, &share)
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        sent: "a ClientKeyExchange with a secp256r1 point off the curve",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| key_exchange(client, 0x17, &vector::<1>(&[&[4][..], &[1; 64]].concat())),
    },
    Row {
        sent: "a ClientKeyExchange with an X25519 share of low order",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| key_exchange(client, 0x1d, &vector::<1>(&[0; 32])),
    },
    Row {
        sent: "a ClientKeyExchange with a share of another length",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| key_exchange(client, 0x1d, &vector::<1>(&[9; 33])),
    },
    Row {
        sent: "a ClientKeyExchange with bytes after the share",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientKeyExchange",
        act: |client, _| key_exchange(client, 0x1d, &[&vector::<1>(&[9; 32])[..], &[0]].concat()),
    },
    Row {
        sent: "an empty ClientKeyExchange",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientKeyExchange",
        act: |client, _| key_exchange(client, 0x1d, &[]),
    },
    Row {
        sent: "no extended_master_secret: served, without a ticket",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::x25519();
            let mut hello = ClientHello::tls12();
            hello.remove(extension::EXTENDED_MASTER_SECRET).add(extension::SESSION_TICKET, vec![]);
            let flight = client.hello12(&hello);
            assert_eq!(flight.hello.extension(extension::SESSION_TICKET), None, "a ticket without RFC 7627");
            client.finish12(&flight, &share);
        },
    },
    Row {
        sent: "ChangeCipherSpec instead of ClientKeyExchange",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
        },
    },
    Row {
        sent: "a second ClientHello instead of ClientKeyExchange",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_message(&ClientHello::tls12().encode());
        },
    },
    Row {
        sent: "a Certificate that was not asked for",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_message(&handshake(message::CERTIFICATE, &[0, 0, 0]));
        },
    },
    Row {
        sent: "Finished without ChangeCipherSpec",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let keys = before_change(client);
            let finished = client.finished12(&keys, "client finished");
            client.send_message(&finished);
        },
    },
    Row {
        sent: "a ChangeCipherSpec of another value",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed change_cipher_spec",
        act: |client, _| {
            before_change(client);
            client.send_record(content::CHANGE_CIPHER_SPEC, &[2]);
        },
    },
    Row {
        sent: "ChangeCipherSpec twice",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| {
            before_change(client);
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
        },
    },
    Row {
        sent: "ChangeCipherSpec amid the ClientKeyExchange",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            let exchange = Client::key_exchange12(&KeyShare::x25519());
            client.send_record(content::HANDSHAKE, &exchange[..10]);
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
        },
    },
    Row {
        sent: "application data before ChangeCipherSpec",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            before_change(client);
            client.send_record(content::APPLICATION_DATA, b"hello");
        },
    },
    Row {
        sent: "application data before Finished",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let keys = before_change(client);
            client.change_cipher_spec12(&keys);
            client.send_record(content::APPLICATION_DATA, b"hello");
        },
    },
    Row {
        sent: "a Finished with a wrong value",
        to: To::Default,
        gets: Alert(alert::DECRYPT_ERROR),
        log: "Finished does not verify",
        act: |client, _| {
            let keys = before_change(client);
            client.change_cipher_spec12(&keys);
            let finished = client.finished12(&keys, "server finished");
            client.send_message(&finished);
        },
    },
    Row {
        sent: "a Finished that is too long",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed Finished",
        act: |client, _| {
            let keys = before_change(client);
            client.change_cipher_spec12(&keys);
            client.send_message(&handshake(message::FINISHED, &[0; 13]));
        },
    },
    Row {
        sent: "an unprotected Finished after ChangeCipherSpec",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| {
            let keys = before_change(client);
            let finished = client.finished12(&keys, "client finished");
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
            client.send_raw(&plain_record(content::HANDSHAKE, &finished));
        },
    },
    Row {
        sent: "a fatal alert",
        to: To::Default,
        gets: Closed,
        log: "client sent alert bad_certificate",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_record(content::ALERT, &[2, alert::BAD_CERTIFICATE]);
        },
    },
    Row {
        sent: "no certificate where one is required",
        to: To::ClientCertificate,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "client sent no certificate",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_message(&handshake(message::CERTIFICATE, &[0, 0, 0]));
        },
    },
    Row {
        sent: "ClientKeyExchange where a certificate is due",
        to: To::ClientCertificate,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.hello12(&ClientHello::tls12());
            client.send_message(&Client::key_exchange12(&KeyShare::x25519()));
        },
    },
];

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Session tickets, pre-shared keys and early data (RFC 8446 §4.2.10, §4.2.11; RFC 5077).

use crate::Gets::{Alert, Served};
use crate::{Row, To};
use harness::raw::{
    Client, ClientHello, KeyShare, Ticket, alert, content, extension, offer, plain_record, server_name,
    vector,
};
use std::net::SocketAddr;

/// A ticket of the server, from a connection of its own.
fn ticket(address: SocketAddr) -> Ticket {
    let share = KeyShare::x25519();
    let mut client = Client::connect(address);
    let flight = client.establish13(&ClientHello::tls13(&[&share]), &share);
    client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n");
    client.ticket13(&flight).expect("a ticket")
}

/// Offers `ticket` with a ClientHello as changed, and does a full handshake: the ticket must not be taken.
fn not_taken(client: &mut Client, ticket: &Ticket, change: impl FnOnce(&mut ClientHello)) {
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    change(&mut hello);
    let encoded = offer(&mut hello, ticket, |_| {});
    client.send_message(&encoded);
    let flight = client.flight13(&share, &[0; 32]);
    assert_eq!(flight.hello.extension(extension::PRE_SHARED_KEY), None, "the ticket was taken");
    client.finish13(&flight);
}

/// Sends a pre_shared_key extension with this content.
fn pre_shared_key(client: &mut Client, content: Vec<u8>) {
    let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
    hello.add(extension::PRE_SHARED_KEY, content);
    client.send_message(&hello.encode());
}

fn identity(name: &[u8]) -> Vec<u8> {
    [&vector::<2>(name)[..], &[0; 4]].concat()
}

/// Offers a good ticket with early data, and sends `records` of it before the Finished.
fn early_data(client: &mut Client, address: SocketAddr, records: usize, length: usize) {
    let ticket = ticket(address);
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    hello.add(extension::EARLY_DATA, vec![]);
    let encoded = offer(&mut hello, &ticket, |_| {});
    client.send_message(&encoded);
    for _ in 0..records {
        client.send_raw(&plain_record(content::APPLICATION_DATA, &vec![0x5a; length]));
    }
    let flight = client.flight13(&share, &ticket.psk);
    let extensions = &flight.encrypted_extensions[6..];
    let early = extensions.windows(4).any(|w| w == [0, 42, 0, 0]);
    assert!(!early, "the server takes early data: {extensions:?}");
    client.finish13(&flight);
}

/// Goes on with early data in records of this length until the server has had enough.
fn endless_early_data(client: &mut Client, address: SocketAddr, length: usize) {
    let ticket = ticket(address);
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    hello.add(extension::EARLY_DATA, vec![]);
    let encoded = offer(&mut hello, &ticket, |_| {});
    client.send_message(&encoded);
    client.flight13(&share, &ticket.psk);
    client.send_until_answered(1000, |_| plain_record(content::APPLICATION_DATA, &vec![0x5a; length]));
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        sent: "a ticket of random bytes, TLS 1.3: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let ticket = Ticket { identity: vec![0x77; 180], psk: vec![1; 32], age_add: 0, lifetime: 0 };
            not_taken(client, &ticket, |_| {});
        },
    },
    Row {
        sent: "a ticket of one byte, TLS 1.3: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let ticket = Ticket { identity: vec![0x77], psk: vec![1; 32], age_add: 0, lifetime: 0 };
            not_taken(client, &ticket, |_| {});
        },
    },
    Row {
        sent: "a ticket with one bit flipped, TLS 1.3: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, address| {
            let mut ticket = ticket(address);
            let middle = ticket.identity.len() / 2;
            ticket.identity[middle] ^= 1;
            not_taken(client, &ticket, |_| {});
        },
    },
    Row {
        sent: "another name's ticket, TLS 1.3: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, address| {
            not_taken(client, &ticket(address), |h| {
                h.set(extension::SERVER_NAME, server_name("else.test"));
            });
        },
    },
    Row {
        sent: "a ticket with psk_ke only: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, address| {
            not_taken(client, &ticket(address), |h| {
                h.set(extension::PSK_KEY_EXCHANGE_MODES, vec![1, 0]);
            });
        },
    },
    Row {
        sent: "a good ticket with a bad binder",
        to: To::Default,
        gets: Alert(alert::DECRYPT_ERROR),
        log: "does not verify",
        act: |client, address| {
            let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
            let encoded = offer(&mut hello, &ticket(address), |binder| binder[0] ^= 1);
            client.send_message(&encoded);
        },
    },
    Row {
        sent: "pre_shared_key that is not the last extension",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: pre_shared_key is not the last extension",
        act: |client, _| {
            let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
            let psk = [vector::<2>(&identity(b"x")), vector::<2>(&vector::<1>(&[0; 32]))].concat();
            hello.add(extension::PRE_SHARED_KEY, psk).add(0x5a5a, vec![]);
            client.send_message(&hello.encode());
        },
    },
    Row {
        sent: "pre_shared_key without psk_key_exchange_modes",
        to: To::Default,
        gets: Alert(alert::MISSING_EXTENSION),
        log: "missing extension psk_key_exchange_modes",
        act: |client, address| {
            let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
            hello.remove(extension::PSK_KEY_EXCHANGE_MODES);
            let encoded = offer(&mut hello, &ticket(address), |_| {});
            client.send_message(&encoded);
        },
    },
    Row {
        sent: "pre_shared_key without an identity",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed pre_shared_key",
        act: |client, _| {
            pre_shared_key(client, [vector::<2>(&[]), vector::<2>(&vector::<1>(&[0; 32]))].concat())
        },
    },
    Row {
        sent: "pre_shared_key with fewer binders than identities",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: pre_shared_key: fewer binders than identities",
        act: |client, _| {
            let identities = vector::<2>(&[identity(b"one"), identity(b"two")].concat());
            pre_shared_key(client, [identities, vector::<2>(&vector::<1>(&[0; 32]))].concat());
        },
    },
    Row {
        sent: "pre_shared_key with a binder of 31 bytes",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed pre_shared_key",
        act: |client, _| {
            pre_shared_key(
                client,
                [vector::<2>(&identity(b"x")), vector::<2>(&vector::<1>(&[0; 31]))].concat(),
            );
        },
    },
    Row {
        sent: "early data with a good ticket: skipped, the rest of the handshake goes on",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, address| early_data(client, address, 3, 1000),
    },
    Row {
        sent: "early data without end",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, address| endless_early_data(client, address, 16_000),
    },
    Row {
        sent: "early data in empty records without end",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, address| endless_early_data(client, address, 0),
    },
    Row {
        sent: "early data in records of 17 bytes without end",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, address| endless_early_data(client, address, 17),
    },
    Row {
        sent: "a ticket of random bytes, TLS 1.2: a full handshake",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let mut hello = ClientHello::tls12();
            hello.add(extension::SESSION_TICKET, vec![0x77; 180]);
            let flight = client.hello12(&hello);
            client.finish12(&flight, &KeyShare::x25519());
        },
    },
    Row {
        sent: "a good ticket without extended_master_secret, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no extended master secret in common",
        act: |client, address| {
            let mut hello = ClientHello::tls12();
            hello.add(extension::SESSION_TICKET, vec![]);
            let mut first = Client::connect(address);
            let flight = first.hello12(&hello);
            let keys = first.finish12(&flight, &KeyShare::x25519());
            let ticket = keys.ticket.expect("a ticket");
            hello.remove(extension::EXTENDED_MASTER_SECRET).set(extension::SESSION_TICKET, ticket);
            client.send_message(&hello.encode());
        },
    },
];

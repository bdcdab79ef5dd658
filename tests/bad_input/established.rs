// SPDX-License-Identifier: MIT OR Apache-2.0
//! After the handshake (RFC 8446 §4.6, §5; RFC 5246 §7.2, §7.4.1.1).

use crate::Gets::{Alert, Checked, Closed};
use crate::{Row, To};
use harness::raw::{
    Client, ClientHello, End, KeyShare, Protector, alert, content, handshake, message, plain_record,
};

fn established13(client: &mut Client) {
    let share = KeyShare::x25519();
    client.establish13(&ClientHello::tls13(&[&share]), &share);
}

fn established12(client: &mut Client) {
    let flight = client.hello12(&ClientHello::tls12());
    client.finish12(&flight, &KeyShare::x25519());
}

/// Sends this handshake message on an established TLS 1.3 connection.
fn message13(client: &mut Client, kind: u8, body: &[u8]) {
    established13(client);
    client.send_record(content::HANDSHAKE, &handshake(kind, body));
}

/// Sends such records without end, by the score: what the server bears in a second it may bear for ever.
fn flood(client: &mut Client, record: impl Fn(&mut Protector) -> Vec<u8>) {
    client.send_until_answered(1000, |client| {
        let keys = client.seal.as_mut().expect("keys");
        (0..80).flat_map(|_| record(keys)).collect()
    });
}

/// A KeyUpdate; the next record is under the next keys.
fn key_update(keys: &mut Protector, requested: u8) -> Vec<u8> {
    let record = keys.seal(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[requested]));
    keys.update();
    record
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        sent: "a KeyUpdate with an unknown value, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| message13(client, message::KEY_UPDATE, &[2]),
    },
    Row {
        sent: "an empty KeyUpdate, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed KeyUpdate",
        act: |client, _| message13(client, message::KEY_UPDATE, &[]),
    },
    Row {
        sent: "a KeyUpdate that does not end its record, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            established13(client);
            let update = handshake(message::KEY_UPDATE, &[0]);
            client.send_record(content::HANDSHAKE, &[&update[..], &update].concat());
        },
    },
    Row {
        sent: "KeyUpdates without end, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many",
        act: |client, _| {
            established13(client);
            while client.ticket_pending() {}
            flood(client, |keys| key_update(keys, 0));
        },
    },
    Row {
        sent: "KeyUpdates that ask for answers without end, TLS 1.3",
        to: To::Default,
        gets: Checked("answers, then alert `unexpected_message`"),
        log: "too many",
        act: |client, _| {
            established13(client);
            while client.ticket_pending() {}
            // An answer is an answer, too: all are sent before any is read.
            let keys = client.seal.as_mut().expect("keys");
            let records: Vec<u8> = (0..400).flat_map(|_| key_update(keys, 1)).collect();
            client.send_raw(&records);
            for _ in 0..400 {
                match client.receive_record() {
                    Ok(_) => client.open.as_mut().expect("keys").update(),
                    Err(end) => return assert_eq!(end, End::Alert(2, alert::UNEXPECTED_MESSAGE)),
                }
            }
            panic!("400 were answered");
        },
    },
    Row {
        sent: "a KeyUpdate, an empty record and a byte of data in turn without end, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many",
        act: |client, _| {
            established13(client);
            while client.ticket_pending() {}
            flood(client, |keys| {
                let update = key_update(keys, 0);
                let data = [&b""[..], b"x"].map(|data| keys.seal(content::APPLICATION_DATA, data));
                [update, data.concat()].concat()
            });
        },
    },
    Row {
        sent: "empty records without end, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many empty records",
        act: |client, _| {
            established13(client);
            while client.ticket_pending() {}
            flood(client, |keys| keys.seal(content::APPLICATION_DATA, &[]));
        },
    },
    Row {
        sent: "empty records without end, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many empty records",
        act: |client, _| {
            established12(client);
            flood(client, |keys| keys.seal(content::APPLICATION_DATA, &[]));
        },
    },
    Row {
        sent: "warning alerts without end, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many",
        act: |client, _| {
            established12(client);
            flood(client, |keys| keys.seal(content::ALERT, &[1, alert::USER_CANCELED]));
        },
    },
    Row {
        sent: "a ClientHello, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            message13(client, message::CLIENT_HELLO, &ClientHello::tls13(&[&KeyShare::x25519()]).body())
        },
    },
    Row {
        sent: "a second Finished, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| message13(client, message::FINISHED, &[0; 32]),
    },
    Row {
        sent: "a NewSessionTicket, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| message13(client, message::NEW_SESSION_TICKET, &[0; 20]),
    },
    Row {
        sent: "a KeyUpdate that says it has 64 KiB, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed",
        act: |client, _| {
            established13(client);
            client.send_record(content::HANDSHAKE, &[message::KEY_UPDATE, 1, 0, 0, 0]);
        },
    },
    Row {
        sent: "application data amid a KeyUpdate, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            established13(client);
            client.send_record(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[0])[..3]);
            client.send_record(content::APPLICATION_DATA, b"hello");
        },
    },
    Row {
        sent: "ChangeCipherSpec, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            established13(client);
            client.send_raw(&plain_record(content::CHANGE_CIPHER_SPEC, &[1]));
        },
    },
    Row {
        sent: "an unprotected record, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            established13(client);
            client.send_raw(&plain_record(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[0])));
        },
    },
    Row {
        sent: "a replayed record, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| {
            established13(client);
            let record = client.seal.as_mut().expect("keys").seal(content::APPLICATION_DATA, b"GET");
            client.send_raw(&[&record[..], &record].concat());
        },
    },
    Row {
        sent: "a replayed record, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| {
            established12(client);
            let record = client.seal.as_mut().expect("keys").seal(content::APPLICATION_DATA, b"GET");
            client.send_raw(&[&record[..], &record].concat());
        },
    },
    Row {
        sent: "renegotiation: a ClientHello, TLS 1.2",
        to: To::Default,
        gets: Checked("warning `no_renegotiation`, then served"),
        log: "",
        act: |client, _| {
            established12(client);
            client.send_record(content::HANDSHAKE, &ClientHello::tls12().encode());
            let answer = client.receive_record().expect_err("an alert");
            assert_eq!(answer, End::Alert(1, alert::NO_RENEGOTIATION));
            let response = client.exchange(crate::REQUEST);
            assert!(response.starts_with(b"HTTP/1.1 200"));
        },
    },
    Row {
        sent: "a Finished, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            established12(client);
            client.send_record(content::HANDSHAKE, &handshake(message::FINISHED, &[0; 12]));
        },
    },
    Row {
        sent: "a fatal alert, TLS 1.3",
        to: To::Default,
        gets: Closed,
        log: "client sent alert internal_error",
        act: |client, _| {
            established13(client);
            client.send_record(content::ALERT, &[2, alert::INTERNAL_ERROR]);
        },
    },
    Row {
        sent: "a fatal alert, TLS 1.2",
        to: To::Default,
        gets: Closed,
        log: "client sent alert internal_error",
        act: |client, _| {
            established12(client);
            client.send_record(content::ALERT, &[2, alert::INTERNAL_ERROR]);
        },
    },
    Row {
        sent: "a request and then the end of the stream without close_notify",
        to: To::Default,
        gets: Closed,
        log: "client closed without close_notify",
        act: |client, _| {
            established13(client);
            client.send_record(content::APPLICATION_DATA, b"GET / HT");
            client.shut();
        },
    },
];

// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the server's flight to the client's Finished, TLS 1.3 (RFC 8446 §4.4, §5).

use crate::Gets::{Alert, Closed, Served};
use crate::{Row, To};
use harness::raw::{
    Client, ClientHello, Flight13, KeyShare, alert, content, handshake, message, plain_record, vector,
};

/// Sends a proper ClientHello and reads the server's flight.
fn flight(client: &mut Client) -> Flight13 {
    let share = KeyShare::x25519();
    client.hello13(&ClientHello::tls13(&[&share]), &share)
}

/// Sends this handshake message where Finished belongs.
fn instead_of_finished(client: &mut Client, kind: u8, body: &[u8]) {
    flight(client);
    client.send_message(&handshake(kind, body));
}

/// Sends the protected record with this many last bytes changed by `spoil`.
fn spoiled(client: &mut Client, spoil: impl FnOnce(&mut Vec<u8>)) {
    let flight = flight(client);
    let finished = client.finished13(&flight);
    let mut record = client.seal.as_mut().expect("keys").seal(content::HANDSHAKE, &finished);
    spoil(&mut record);
    client.send_raw(&record);
}

pub(crate) const ROWS: &[Row] = &[
    Row {
        sent: "a Finished with a wrong value",
        to: To::Default,
        gets: Alert(alert::DECRYPT_ERROR),
        log: "Finished does not verify",
        act: |client, _| instead_of_finished(client, message::FINISHED, &[0; 32]),
    },
    Row {
        sent: "a Finished that is too short",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed Finished",
        act: |client, _| instead_of_finished(client, message::FINISHED, &[0; 31]),
    },
    Row {
        sent: "a Certificate that was not asked for",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| instead_of_finished(client, message::CERTIFICATE, &[0, 0, 0, 0]),
    },
    Row {
        sent: "a ClientHello instead of Finished",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let hello = ClientHello::tls13(&[&KeyShare::x25519()]).body();
            instead_of_finished(client, message::CLIENT_HELLO, &hello);
        },
    },
    Row {
        sent: "an EndOfEarlyData",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| instead_of_finished(client, message::END_OF_EARLY_DATA, &[]),
    },
    Row {
        sent: "application data before Finished",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.0\r\n\r\n");
        },
    },
    Row {
        sent: "a second message in Finished's record",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let flight = flight(client);
            let update = handshake(message::KEY_UPDATE, &[0]);
            let both = [client.finished13(&flight), update].concat();
            client.send_message(&both);
        },
    },
    Row {
        sent: "a ChangeCipherSpec of one byte 1 before Finished (compatibility mode), even twice",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let flight = flight(client);
            client.send_raw(&plain_record(content::CHANGE_CIPHER_SPEC, &[1]));
            client.send_raw(&plain_record(content::CHANGE_CIPHER_SPEC, &[1]));
            client.finish13(&flight);
        },
    },
    Row {
        sent: "ChangeCipherSpec without end",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "too many change_cipher_spec records",
        act: |client, _| {
            flight(client);
            client.send_until_answered(100, |_| plain_record(content::CHANGE_CIPHER_SPEC, &[1]));
        },
    },
    Row {
        sent: "a ChangeCipherSpec of another value",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            client.send_raw(&plain_record(content::CHANGE_CIPHER_SPEC, &[2]));
        },
    },
    Row {
        sent: "a ChangeCipherSpec of two bytes",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            client.send_raw(&plain_record(content::CHANGE_CIPHER_SPEC, &[1, 1]));
        },
    },
    Row {
        sent: "a protected ChangeCipherSpec",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            client.send_record(content::CHANGE_CIPHER_SPEC, &[1]);
        },
    },
    Row {
        sent: "an unprotected Finished",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let flight = flight(client);
            let finished = client.finished13(&flight);
            client.send_raw(&plain_record(content::HANDSHAKE, &finished));
        },
    },
    Row {
        sent: "a record with a flipped bit",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| spoiled(client, |record| record[10] ^= 1),
    },
    Row {
        sent: "a record with a flipped bit in its tag",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| spoiled(client, |record| *record.last_mut().expect("a tag") ^= 0x80),
    },
    Row {
        sent: "a protected record shorter than its tag",
        to: To::Default,
        gets: Alert(alert::BAD_RECORD_MAC),
        log: "record failed authentication",
        act: |client, _| {
            flight(client);
            client.send_raw(&plain_record(content::APPLICATION_DATA, &[0; 16]));
        },
    },
    Row {
        sent: "a protected record of padding only",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            let record = client.seal.as_mut().expect("keys").seal_padded(0, &[], 50);
            client.send_raw(&record);
        },
    },
    Row {
        sent: "a protected record of an unknown inner type",
        to: To::Default,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            flight(client);
            client.send_record(99, b"what?");
        },
    },
    Row {
        sent: "a protected record of more than 16,640 bytes",
        to: To::Default,
        gets: Alert(alert::RECORD_OVERFLOW),
        log: "record longer than the limit",
        act: |client, _| {
            flight(client);
            client.send_raw(&plain_record(content::APPLICATION_DATA, &[0; 16_641]));
        },
    },
    Row {
        sent: "a protected record with 16,385 bytes of plaintext",
        to: To::Default,
        gets: Alert(alert::RECORD_OVERFLOW),
        log: "record longer than the limit",
        act: |client, _| {
            flight(client);
            client.send_record(content::APPLICATION_DATA, &[0x41; 16_385]);
        },
    },
    Row {
        sent: "a protected record with 16,385 bytes of plaintext, padding among them",
        to: To::Default,
        gets: Alert(alert::RECORD_OVERFLOW),
        log: "record longer than the limit",
        act: |client, _| {
            flight(client);
            let record = client.seal.as_mut().expect("keys").seal_padded(content::HANDSHAKE, &[0x14], 16_384);
            client.send_raw(&record);
        },
    },
    Row {
        sent: "a Finished padded to 16,384 bytes",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::x25519();
            let flight = client.hello13(&ClientHello::tls13(&[&share]), &share);
            let finished = client.finished13(&flight);
            let padding = 16_384 - finished.len();
            let record =
                client.seal.as_mut().expect("keys").seal_padded(content::HANDSHAKE, &finished, padding);
            client.send_raw(&record);
            client.transcript.extend_from_slice(&finished);
            client.application13(&flight);
        },
    },
    Row {
        sent: "a fatal alert, protected",
        to: To::Default,
        gets: Closed,
        log: "client sent alert bad_certificate",
        act: |client, _| {
            flight(client);
            client.send_record(content::ALERT, &[2, alert::BAD_CERTIFICATE]);
        },
    },
    Row {
        sent: "a fatal alert in the clear, from a client that could not read the server's flight",
        to: To::Default,
        gets: Closed,
        log: "client sent alert decode_error",
        act: |client, _| {
            flight(client);
            client.send_raw(&plain_record(content::ALERT, &[2, alert::DECODE_ERROR]));
        },
    },
    Row {
        sent: "an alert other than close_notify and user_canceled that calls itself a warning",
        to: To::Default,
        gets: Closed,
        log: "client sent alert handshake_failure",
        act: |client, _| {
            flight(client);
            client.send_record(content::ALERT, &[1, alert::HANDSHAKE_FAILURE]);
        },
    },
    Row {
        sent: "close_notify instead of Finished",
        to: To::Default,
        gets: Closed,
        log: "client sent alert close_notify",
        act: |client, _| {
            flight(client);
            client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
        },
    },
    Row {
        sent: "the end of the stream instead of Finished",
        to: To::Default,
        gets: Closed,
        log: "client closed during the handshake",
        act: |client, _| {
            flight(client);
            client.shut();
        },
    },
    // Client certificates (RFC 8446 §4.4.2).
    Row {
        sent: "no certificate where one is required",
        to: To::ClientCertificate,
        gets: Alert(alert::CERTIFICATE_REQUIRED),
        log: "client sent no certificate",
        act: |client, _| instead_of_finished(client, message::CERTIFICATE, &[0, 0, 0, 0]),
    },
    Row {
        sent: "Finished where a certificate is due",
        to: To::ClientCertificate,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            let flight = flight(client);
            let finished = client.finished13(&flight);
            client.send_message(&finished);
        },
    },
    Row {
        sent: "a certificate that does not parse",
        to: To::ClientCertificate,
        gets: Alert(alert::BAD_CERTIFICATE),
        log: "client certificate is malformed",
        act: |client, _| {
            let entry = [vector::<3>(b"this is not DER"), vec![0, 0]].concat();
            instead_of_finished(client, message::CERTIFICATE, &[vec![0], vector::<3>(&entry)].concat());
        },
    },
    Row {
        sent: "a certificate with an extension that was not asked for",
        to: To::ClientCertificate,
        gets: Alert(alert::UNSUPPORTED_EXTENSION),
        log: "an extension that was not asked for in the client's Certificate",
        act: |client, _| {
            let staple = [&[0, 5][..], &vector::<2>(&[1, 0, 0, 0])].concat();
            let entry = [vector::<3>(b"this is not DER"), vector::<2>(&staple)].concat();
            instead_of_finished(client, message::CERTIFICATE, &[vec![0], vector::<3>(&entry)].concat());
        },
    },
    Row {
        sent: "a Certificate message whose list is cut off",
        to: To::ClientCertificate,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed",
        act: |client, _| instead_of_finished(client, message::CERTIFICATE, &[0, 0, 1, 0, 0]),
    },
];

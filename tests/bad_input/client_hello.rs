// SPDX-License-Identifier: MIT OR Apache-2.0
//! ClientHello: form, versions, parameters, key shares (RFC 8446 §4.1.2, §4.2; RFC 5246 §7.4.1.2).

use crate::Gets::{Alert, Served};
use crate::{Row, To};
use harness::raw::{
    Client, ClientHello, KeyShare, alert, alpn, content, extension, handshake, key_share, key_shares,
};
use harness::raw::{message, server_name, u16s, vector};

const MLKEM: u16 = 0x11ec;

/// Sends a TLS 1.3 ClientHello with a change.
fn tls13(client: &mut Client, change: impl FnOnce(&mut ClientHello)) {
    let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
    change(&mut hello);
    client.send_message(&hello.encode());
}

/// Sends a TLS 1.2 ClientHello with a change.
fn tls12(client: &mut Client, change: impl FnOnce(&mut ClientHello)) {
    let mut hello = ClientHello::tls12();
    change(&mut hello);
    client.send_message(&hello.encode());
}

/// Sends a TLS 1.3 ClientHello with one key share of the group, all its bytes given.
fn share(client: &mut Client, group: u16, public: &[u8]) {
    tls13(client, |hello| {
        hello.set(extension::SUPPORTED_GROUPS, u16s(&[group]));
        hello.set(extension::KEY_SHARE, vector::<2>(&key_share(group, public)));
    });
}

/// Does a whole TLS 1.3 handshake with a changed ClientHello.
fn served13(client: &mut Client, change: impl FnOnce(&mut ClientHello)) {
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    change(&mut hello);
    client.establish13(&hello, &share);
}

/// A ClientHello with a body of so many bytes, by padding and extensions that mean nothing.
fn padded(share: &KeyShare, length: usize) -> Vec<u8> {
    let mut hello = ClientHello::tls13(&[share]);
    let mut left = length - hello.body().len();
    for kind in 0x5000_u16.. {
        let body = left.saturating_sub(4).min(40_000);
        hello.add(kind, vec![0; body]);
        left -= 4 + body;
        if left == 0 {
            break;
        }
    }
    assert_eq!(hello.body().len(), length);
    hello.encode()
}

/// Sends one that is too long, to its end.
fn long_hello(client: &mut Client, length: usize) {
    // The extensions' length is one of 16 bits: what is longer is cut, and says that it is so long.
    let mut hello = padded(&KeyShare::x25519(), length.min(60_000));
    hello.resize(4 + length, 0);
    hello[1..4].copy_from_slice(&u32::try_from(length).expect("24 bits").to_be_bytes()[1..]);
    hello.chunks(16_384).for_each(|piece| client.send_record(content::HANDSHAKE, piece));
}

/// Answers a HelloRetryRequest (the server takes only secp256r1) with a second ClientHello as changed.
fn retry(client: &mut Client, change: impl FnOnce(&mut ClientHello)) {
    let mut hello = ClientHello::tls13(&[&KeyShare::x25519()]);
    client.retry13(&hello);
    hello.set(extension::KEY_SHARE, key_shares(&[&KeyShare::p256()]));
    change(&mut hello);
    client.send_message(&hello.encode());
}

pub(crate) const ROWS: &[Row] = &[
    // Form.
    Row {
        sent: "bytes after the extensions",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello",
        act: |client, _| {
            let body = [ClientHello::tls13(&[&KeyShare::x25519()]).body(), vec![0]].concat();
            client.send_message(&handshake(message::CLIENT_HELLO, &body));
        },
    },
    Row {
        sent: "a ClientHello without a body",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello",
        act: |client, _| client.send_message(&handshake(message::CLIENT_HELLO, &[])),
    },
    Row {
        sent: "a session id of 33 bytes",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello session_id",
        act: |client, _| tls13(client, |h| h.session_id = vec![1; 33]),
    },
    Row {
        sent: "no cipher suite",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello",
        act: |client, _| tls13(client, |h| h.suites.clear()),
    },
    Row {
        sent: "an odd number of cipher suite bytes",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello",
        act: |client, _| {
            let mut body = ClientHello::tls13(&[&KeyShare::x25519()]).body();
            body[2 + 32 + 33 + 1] = 3;
            client.send_message(&handshake(message::CLIENT_HELLO, &body));
        },
    },
    Row {
        sent: "no compression method",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello compression methods",
        act: |client, _| tls13(client, |h| h.compression.clear()),
    },
    Row {
        sent: "compression besides null in TLS 1.3",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| tls13(client, |h| h.compression = vec![0, 1]),
    },
    Row {
        sent: "compression without null in TLS 1.2",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| tls12(client, |h| h.compression = vec![1]),
    },
    Row {
        sent: "an extension twice",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: an extension appears twice",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::SERVER_NAME, server_name("ttls.test"));
            });
        },
    },
    Row {
        sent: "an unknown extension twice",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: an extension appears twice",
        act: |client, _| {
            tls13(client, |h| {
                h.add(0x4a4a, vec![]).add(0x4a4a, vec![]);
            });
        },
    },
    Row {
        sent: "an extension longer than the block",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed ClientHello",
        act: |client, _| {
            let mut body = ClientHello { extensions: None, ..ClientHello::tls12() }.body();
            body.extend_from_slice(&vector::<2>(&[0, 23, 0, 9, 0]));
            client.send_message(&handshake(message::CLIENT_HELLO, &body));
        },
    },
    Row {
        sent: "200 unknown extensions",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                (0x5000..0x5000 + 200).for_each(|kind| {
                    h.add(kind, vec![]);
                });
            });
        },
    },
    Row {
        sent: "a known extension again, after 3,000 unknown ones",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: an extension appears twice",
        act: |client, _| {
            tls13(client, |h| {
                (0x5000..0x5000 + 3000).for_each(|kind| {
                    h.add(kind, vec![]);
                });
                h.add(extension::SERVER_NAME, server_name("ttls.test"));
            });
        },
    },
    Row {
        sent: "a ClientHello of 16 KiB, the longest",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::x25519();
            let hello = padded(&share, 16_384);
            client.transcript.extend_from_slice(&hello);
            hello.chunks(16_384).for_each(|piece| client.send_record(content::HANDSHAKE, piece));
            let flight = client.flight13(&share, &[0; 32]);
            client.finish13(&flight);
        },
    },
    Row {
        sent: "a ClientHello of a byte more",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "handshake message is longer than the limit",
        act: |client, _| long_hello(client, 16_385),
    },
    Row {
        sent: "a ClientHello of 64 KiB",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "handshake message is longer than the limit",
        act: |client, _| long_hello(client, 65_536),
    },
    Row {
        sent: "GREASE as suite, group, key share, version, signature scheme, ALPN and extension",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::x25519();
            let mut hello = ClientHello::tls13(&[&share]);
            hello.suites = vec![0x2a2a, 0x1301];
            hello.set(extension::SUPPORTED_GROUPS, u16s(&[0x3a3a, 0x1d]));
            hello.set(extension::SUPPORTED_VERSIONS, vec![4, 0x4a, 0x4a, 3, 4]);
            hello.set(extension::SIGNATURE_ALGORITHMS, u16s(&[0x5a5a, 0x0403, 0x0804]));
            hello.set(
                extension::KEY_SHARE,
                vector::<2>(&[key_share(0x3a3a, &[0]), key_share(0x1d, &share.public)].concat()),
            );
            hello.set(extension::ALPN, alpn(&["\u{a}\u{a}", "http/1.1"]));
            hello.add(0x6a6a, vec![]).add(0x7a7a, vec![0]);
            client.establish13(&hello, &share);
        },
    },
    // Versions.
    Row {
        sent: "SSL 3.0",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| tls12(client, |h| h.version = 0x0300),
    },
    Row {
        sent: "SSL 3.0 as legacy_version of TLS 1.3 (RFC 8446 §D.5)",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| tls13(client, |h| h.version = 0x0300),
    },
    Row {
        sent: "version 0 as legacy_version of TLS 1.3",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| tls13(client, |h| h.version = 0),
    },
    Row {
        sent: "TLS 1.0 as legacy_version of TLS 1.3",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| served13(client, |h| h.version = 0x0301),
    },
    Row {
        sent: "TLS 1.0",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| tls12(client, |h| h.version = 0x0301),
    },
    Row {
        sent: "TLS 1.1",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| tls12(client, |h| h.version = 0x0302),
    },
    Row {
        sent: "supported_versions with TLS 1.1 and a draft of TLS 1.3 only",
        to: To::Default,
        gets: Alert(alert::PROTOCOL_VERSION),
        log: "no enabled protocol version",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SUPPORTED_VERSIONS, vec![4, 3, 2, 0x7f, 0x1c]);
            });
        },
    },
    Row {
        sent: "supported_versions without a version",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed supported_versions",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SUPPORTED_VERSIONS, vec![0]);
            });
        },
    },
    Row {
        sent: "a legacy_version above TLS 1.2 without supported_versions",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            let hello = ClientHello { version: 0x0304, ..ClientHello::tls12() };
            let flight = client.hello12(&hello);
            client.finish12(&flight, &KeyShare::x25519());
        },
    },
    Row {
        sent: "TLS_FALLBACK_SCSV with TLS 1.2",
        to: To::Default,
        gets: Alert(alert::INAPPROPRIATE_FALLBACK),
        log: "fell back",
        act: |client, _| tls12(client, |h| h.suites.push(0x5600)),
    },
    // Parameters.
    Row {
        sent: "TLS 1.3 with unknown suites only",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no cipher suite in common",
        act: |client, _| tls13(client, |h| h.suites = vec![0x1305, 0xc02b]),
    },
    Row {
        sent: "TLS 1.2 with CBC, DHE and static RSA suites only",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no cipher suite in common",
        act: |client, _| tls12(client, |h| h.suites = vec![0xc013, 0xc027, 0x009e, 0x009c, 0x002f]),
    },
    Row {
        sent: "unknown groups only, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no key-exchange group in common",
        act: |client, _| share(client, 0x0018, &[4; 97]),
    },
    Row {
        sent: "unknown groups only, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no key-exchange group in common",
        act: |client, _| {
            tls12(client, |h| {
                h.set(extension::SUPPORTED_GROUPS, u16s(&[0x0018, 0x0100]));
            });
        },
    },
    Row {
        sent: "SHA-1 signatures only, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no signature scheme in common",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SIGNATURE_ALGORITHMS, u16s(&[0x0203, 0x0201]));
            });
        },
    },
    Row {
        sent: "SHA-1 signatures only, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no ",
        act: |client, _| {
            tls12(client, |h| {
                h.set(extension::SIGNATURE_ALGORITHMS, u16s(&[0x0203, 0x0201]));
            });
        },
    },
    Row {
        sent: "PKCS#1 signatures only, TLS 1.3",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no signature scheme in common",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SIGNATURE_ALGORITHMS, u16s(&[0x0401]));
            });
        },
    },
    Row {
        sent: "TLS 1.2 without signature_algorithms: SHA-1 is meant (RFC 5246 §7.4.1.4.1)",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "no ",
        act: |client, _| {
            tls12(client, |h| {
                h.remove(extension::SIGNATURE_ALGORITHMS);
            });
        },
    },
    Row {
        sent: "TLS 1.3 without supported_groups",
        to: To::Default,
        gets: Alert(alert::MISSING_EXTENSION),
        log: "missing extension supported_groups",
        act: |client, _| {
            tls13(client, |h| {
                h.remove(extension::SUPPORTED_GROUPS);
            });
        },
    },
    Row {
        sent: "TLS 1.3 without signature_algorithms",
        to: To::Default,
        gets: Alert(alert::MISSING_EXTENSION),
        log: "missing extension signature_algorithms",
        act: |client, _| {
            tls13(client, |h| {
                h.remove(extension::SIGNATURE_ALGORITHMS);
            });
        },
    },
    Row {
        sent: "TLS 1.3 without key_share",
        to: To::Default,
        gets: Alert(alert::MISSING_EXTENSION),
        log: "missing extension key_share",
        act: |client, _| {
            tls13(client, |h| {
                h.remove(extension::KEY_SHARE);
            });
        },
    },
    Row {
        sent: "ec_point_formats without uncompressed, TLS 1.2",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            tls12(client, |h| {
                h.set(extension::EC_POINT_FORMATS, vec![1, 1]);
            });
        },
    },
    Row {
        sent: "renegotiation_info with content on a new connection",
        to: To::Default,
        gets: Alert(alert::HANDSHAKE_FAILURE),
        log: "renegotiation_info",
        act: |client, _| {
            tls12(client, |h| {
                h.set(extension::RENEGOTIATION_INFO, vec![1, 0]);
            });
        },
    },
    Row {
        sent: "max_fragment_length with an unknown code",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::MAX_FRAGMENT_LENGTH, vec![5]);
            });
        },
    },
    Row {
        sent: "record_size_limit below 64",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::RECORD_SIZE_LIMIT, vec![0, 63]);
            });
        },
    },
    // Names and protocols.
    Row {
        sent: "server_name with an empty list",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed server_name",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SERVER_NAME, vec![0, 0]);
            });
        },
    },
    Row {
        sent: "server_name with an empty name",
        to: To::Default,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed server_name",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SERVER_NAME, server_name(""));
            });
        },
    },
    Row {
        sent: "server_name with two host names",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: server_name holds two host names",
        act: |client, _| {
            let two = [&[0][..], &vector::<2>(b"a.test"), &[0], &vector::<2>(b"b.test")].concat();
            tls13(client, |h| {
                h.set(extension::SERVER_NAME, vector::<2>(&two));
            });
        },
    },
    Row {
        sent: "server_name with a NUL: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("ttls.test\0.evil.test"));
            });
        },
    },
    Row {
        sent: "server_name with a port: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("ttls.test:8443"));
            });
        },
    },
    Row {
        sent: "server_name with an IPv6 address: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("[2001:db8::1]"));
            });
        },
    },
    Row {
        sent: "server_name with two dots at its end: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("ttls.test.."));
            });
        },
    },
    Row {
        sent: "server_name with UTF-8 in it: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("tüls.test"));
            });
        },
    },
    Row {
        sent: "server_name with a label of 64 bytes: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name(&("a".repeat(64) + ".test")));
            });
        },
    },
    Row {
        sent: "server_name of 300 bytes: an unknown name, which gets the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name(&"abcde.".repeat(50)));
            });
        },
    },
    Row {
        sent: "server_name with a port, where unknown names are refused",
        to: To::Strict,
        gets: Alert(alert::UNRECOGNIZED_NAME),
        log: "no certificate for the requested server name",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("ttls.test:8443"));
            });
        },
    },
    Row {
        sent: "an unknown name, where unknown names get the default",
        to: To::Default,
        gets: Served,
        log: "",
        act: |client, _| {
            served13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("nobody.test"));
            });
        },
    },
    Row {
        sent: "an unknown name, where unknown names are refused",
        to: To::Strict,
        gets: Alert(alert::UNRECOGNIZED_NAME),
        log: "no certificate for the requested server name",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SERVER_NAME, server_name("nobody.test"));
            });
        },
    },
    Row {
        sent: "ALPN with nothing in common",
        to: To::Alpn,
        gets: Alert(alert::NO_APPLICATION_PROTOCOL),
        log: "no ALPN protocol in common",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::ALPN, alpn(&["h2", "spdy/3"]));
            });
        },
    },
    Row {
        sent: "ALPN with an empty list",
        to: To::Alpn,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::ALPN, vec![0, 0]);
            });
        },
    },
    Row {
        sent: "ALPN with an empty name",
        to: To::Alpn,
        gets: Alert(alert::DECODE_ERROR),
        log: "malformed",
        act: |client, _| {
            tls13(client, |h| {
                h.add(extension::ALPN, alpn(&["http/1.1", ""]));
            });
        },
    },
    // Key shares.
    Row {
        sent: "two key shares for one group",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: key_share names a group twice",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::KEY_SHARE, key_shares(&[&KeyShare::x25519(), &KeyShare::x25519()]));
            });
        },
    },
    Row {
        sent: "a key share for a group that supported_groups lacks",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: key_share names a group that supported_groups lacks",
        act: |client, _| {
            tls13(client, |h| {
                h.set(extension::SUPPORTED_GROUPS, u16s(&[0x17]));
            });
        },
    },
    Row {
        sent: "an X25519 share of 31 bytes",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, 0x1d, &[9; 31]),
    },
    Row {
        sent: "an X25519 share of low order",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, 0x1d, &[0; 32]),
    },
    Row {
        sent: "a secp256r1 share that is no point of the curve",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, 0x17, &[&[4][..], &[1; 64]].concat()),
    },
    Row {
        sent: "a compressed secp256r1 share",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            let mut point = KeyShare::p256().public[..33].to_vec();
            point[0] = 2;
            share(client, 0x17, &point);
        },
    },
    Row {
        sent: "an X25519MLKEM768 share whose ML-KEM key has coefficients out of range",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, MLKEM, &[&[0xff; 1184][..], &KeyShare::x25519().public].concat()),
    },
    Row {
        sent: "an X25519MLKEM768 share whose X25519 part has low order",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, MLKEM, &[0; 1216]),
    },
    Row {
        sent: "an X25519MLKEM768 share that is too short",
        to: To::Default,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| share(client, MLKEM, &[0; 1184]),
    },
    Row {
        sent: "an empty list of key shares: asks for a HelloRetryRequest",
        to: To::P256Only,
        gets: Served,
        log: "",
        act: |client, _| {
            let share = KeyShare::p256();
            let mut hello = ClientHello::tls13(&[&share]);
            hello.set(extension::KEY_SHARE, vec![0, 0]);
            assert_eq!(client.retry13(&hello), share.group);
            hello.set(extension::KEY_SHARE, key_shares(&[&share]));
            client.establish13(&hello, &share);
        },
    },
    // After a HelloRetryRequest.
    Row {
        sent: "after a HelloRetryRequest, the first ClientHello again",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            retry(client, |h| {
                h.set(extension::KEY_SHARE, key_shares(&[&KeyShare::x25519()]));
            });
        },
    },
    Row {
        sent: "after a HelloRetryRequest, a ClientHello with other suites",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| retry(client, |h| h.suites = vec![0x1302]),
    },
    Row {
        sent: "after a HelloRetryRequest, a ClientHello without TLS 1.3",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            retry(client, |h| {
                h.set(extension::SUPPORTED_VERSIONS, vec![2, 3, 3]);
            });
        },
    },
    Row {
        sent: "after a HelloRetryRequest, early_data",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            retry(client, |h| {
                h.add(extension::EARLY_DATA, vec![]);
            });
        },
    },
    Row {
        sent: "after a HelloRetryRequest, two key shares",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            retry(client, |h| {
                h.set(extension::KEY_SHARE, key_shares(&[&KeyShare::p256(), &KeyShare::x25519()]));
            });
        },
    },
    Row {
        sent: "after a HelloRetryRequest, no key share",
        to: To::P256Only,
        gets: Alert(alert::ILLEGAL_PARAMETER),
        log: "illegal: ",
        act: |client, _| {
            retry(client, |h| {
                h.set(extension::KEY_SHARE, vec![0, 0]);
            });
        },
    },
    Row {
        sent: "after a HelloRetryRequest, a Finished",
        to: To::P256Only,
        gets: Alert(alert::UNEXPECTED_MESSAGE),
        log: "unexpected message",
        act: |client, _| {
            client.retry13(&ClientHello::tls13(&[&KeyShare::x25519()]));
            client.send_record(content::HANDSHAKE, &handshake(message::FINISHED, &[0; 32]));
        },
    },
];

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a client may send without data in it, against a clock that the test holds.

use crate::support::Site;
use crate::{DOWNLOAD, DOWNLOADED, converse, established};
use harness::raw::{Client, End, Protector, alert, content, handshake, message};

/// Sends what `records` makes, round after round, all before anything is read. The rounds that the server bore.
fn bore(tls13: bool, rounds: usize, records: impl Fn(&mut Protector) -> Vec<u8>) -> Result<(), End> {
    let site = Site::new();
    let (end, ended) = converse(&site, |client| {
        established(client, tls13);
        let keys = client.seal.as_mut().expect("keys");
        let all: Vec<u8> = (0..rounds).flat_map(|_| records(keys)).collect();
        client.send_raw(&all);
        client.shut();
        answers(client)
    });
    match &end {
        Err(End::Eof) => assert_eq!(ended.error, None),
        _ => assert!(matches!(ended.error, Some(ttls::Error::Flood(_))), "{:?}", ended.error),
    }
    match end {
        Err(End::Eof) => Ok(()),
        other => other,
    }
}

/// Reads to the end, warnings aside, following the server's keys. The last thing that comes is an alert, or nothing.
fn answers(client: &mut Client) -> Result<(), End> {
    loop {
        let record = match client.receive_record() {
            Err(End::Alert(1, alert::NO_RENEGOTIATION)) => continue,
            other => other?,
        };
        if record.kind == content::HANDSHAKE && record.body[0] == message::KEY_UPDATE {
            client.open.as_mut().expect("keys").update();
        }
    }
}

fn key_update(keys: &mut Protector, requested: u8) -> Vec<u8> {
    let record = keys.seal(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[requested]));
    keys.update();
    record
}

#[test]
fn a_burst_is_borne_and_more_is_not_whatever_is_in_between() {
    let flood = Err(End::Alert(2, alert::UNEXPECTED_MESSAGE));
    assert_eq!(bore(true, 60, |keys| key_update(keys, 0)), Ok(()));
    assert_eq!(bore(true, 70, |keys| key_update(keys, 0)), flood);
    assert_eq!(bore(true, 30, |keys| key_update(keys, 1)), Ok(()));
    assert_eq!(bore(true, 35, |keys| key_update(keys, 1)), flood);
    let empty = |keys: &mut Protector| keys.seal(content::APPLICATION_DATA, b"");
    let byte = |keys: &mut Protector| keys.seal(content::APPLICATION_DATA, b"x");
    for tls13 in [true, false] {
        assert_eq!(bore(tls13, 250, empty), Ok(()));
        assert_eq!(bore(tls13, 260, empty), flood);
        assert_eq!(bore(tls13, 260, |keys| [empty(keys), byte(keys)].concat()), flood);
        assert_eq!(bore(tls13, 2000, byte), Ok(()));
    }
    assert_eq!(bore(true, 60, |keys| [key_update(keys, 0), empty(keys), byte(keys)].concat()), flood);
    let warning = |keys: &mut Protector| keys.seal(content::ALERT, &[1, alert::USER_CANCELED]);
    assert_eq!(bore(false, 130, |keys| [warning(keys), empty(keys)].concat()), flood);
    let renegotiation =
        |keys: &mut Protector| keys.seal(content::HANDSHAKE, &harness::raw::ClientHello::tls12().encode());
    assert_eq!(bore(false, 30, renegotiation), Ok(()));
    assert_eq!(bore(false, 40, renegotiation), flood);
}

#[test]
fn a_message_in_pieces_pays_for_each() {
    let piece = |keys: &mut Protector| keys.seal(content::HANDSHAKE, &[message::CLIENT_HELLO]);
    let flood = Err(End::Alert(2, alert::UNEXPECTED_MESSAGE));
    // Of 0x010101 bytes it would be: refused for that; a short one in pieces of a byte is refused for the pieces.
    let site = Site::new();
    let (end, _) = converse(&site, |client| {
        established(client, false);
        let keys = client.seal.as_mut().expect("keys");
        let mut all: Vec<u8> = keys.seal(content::HANDSHAKE, &[message::CLIENT_HELLO, 0, 0x20, 0]);
        (0..300).for_each(|_| all.extend(piece(keys)));
        client.send_raw(&all);
        client.shut();
        answers(client)
    });
    assert_eq!(end, flood);
}

#[test]
fn who_downloads_may_renew_keys_by_volume() {
    let site = Site::new();
    let ((), ended) = converse(&site, |client| {
        established(client, true);
        for _ in 0..300 {
            client.send_record(content::APPLICATION_DATA, &[DOWNLOAD]);
            let mut left = DOWNLOADED;
            while left > 0 {
                let record = client.receive_record().expect("data");
                left -= if record.kind == content::APPLICATION_DATA { record.body.len() } else { 0 };
            }
            let update = key_update(client.seal.as_mut().expect("keys"), 1);
            client.send_raw(&update);
            let answer = client.receive_record().expect("an answer");
            assert_eq!((answer.kind, answer.body[0]), (content::HANDSHAKE, message::KEY_UPDATE));
            client.open.as_mut().expect("keys").update();
        }
    });
    assert_eq!(ended.error, None);
}

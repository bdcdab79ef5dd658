// SPDX-License-Identifier: MIT OR Apache-2.0
//! Server names: acknowledged where the RFC has it, and gone with the configuration that removed them.

use crate::converse;
use crate::support::Site;
use harness::raw::{
    Client, ClientHello, End, KeyShare, Ticket, alert, extension, message, offer, server_name,
};
use ttls::config::UnknownName;

fn named(mut hello: ClientHello) -> ClientHello {
    hello.set(extension::SERVER_NAME, server_name("one.example"));
    hello
}

/// The types of the extensions in EncryptedExtensions.
fn types(encrypted_extensions: &[u8]) -> Vec<u16> {
    let mut rest = &encrypted_extensions[6..];
    let mut all = Vec::new();
    while let [a, b, c, d, after @ ..] = rest {
        all.push(u16::from_be_bytes([*a, *b]));
        rest = &after[usize::from(u16::from_be_bytes([*c, *d]))..];
    }
    all
}

fn ticket13(client: &mut Client) -> Ticket {
    let share = KeyShare::x25519();
    let flight = client.establish13(&named(ClientHello::tls13(&[&share])), &share);
    assert!(types(&flight.encrypted_extensions).contains(&extension::SERVER_NAME));
    client.ticket13(&flight).expect("a ticket")
}

fn resume13(client: &mut Client, ticket: &Ticket) -> Result<Vec<u16>, End> {
    let share = KeyShare::x25519();
    let mut hello = named(ClientHello::tls13(&[&share]));
    client.send_message(&offer(&mut hello, ticket, |_| {}));
    let mut next = [0];
    match client.stream.peek(&mut next) {
        Ok(1) if next[0] == harness::raw::content::ALERT => Err(client.end()),
        _ => Ok(types(&client.flight13(&share, &ticket.psk).encrypted_extensions)),
    }
}

fn ticket12(client: &mut Client) -> Vec<u8> {
    let mut hello = named(ClientHello::tls12());
    hello.set(extension::SESSION_TICKET, vec![]);
    let flight = client.hello12(&hello);
    client.finish12(&flight, &KeyShare::x25519()).ticket.expect("a ticket")
}

/// The types of ServerHello's extensions.
fn resume12(client: &mut Client, ticket: &[u8]) -> Result<Vec<u16>, End> {
    let mut hello = named(ClientHello::tls12());
    hello.set(extension::SESSION_TICKET, ticket.to_vec());
    hello.session_id = vec![1; 32];
    client.send_message(&hello.encode());
    let first = client.receive_message()?;
    assert_eq!(first[0], message::SERVER_HELLO);
    let parsed = harness::raw::ServerHello::parse(&first);
    assert_eq!(parsed.session_id, [1; 32], "resumed");
    Ok(parsed.extensions.iter().map(|(kind, _)| *kind).collect())
}

#[test]
fn a_resumed_handshake_does_not_acknowledge_the_name() {
    let site = Site::new();
    let (ticket, _) = converse(&site, ticket13);
    let (resumed, _) = converse(&site, |client| resume13(client, &ticket));
    assert!(!resumed.expect("resumed").contains(&extension::SERVER_NAME));
    let (ticket, _) = converse(&site, ticket12);
    let (resumed, _) = converse(&site, |client| resume12(client, &ticket));
    assert!(!resumed.expect("resumed").contains(&extension::SERVER_NAME));
}

#[test]
fn a_name_that_is_gone_does_not_resume_where_unknown_names_are_refused() {
    let refused = End::Alert(2, alert::UNRECOGNIZED_NAME);
    for (unknown, refuse) in [(UnknownName::UseDefault, false), (UnknownName::Refuse, true)] {
        let mut site = Site::new();
        site.policy.unknown_name = unknown;
        let (thirteen, _) = converse(&site, ticket13);
        let (twelve, _) = converse(&site, ticket12);
        site.certificates.names.clear();
        let (ends, _) = converse(&site, |client| resume13(client, &thirteen).err());
        assert_eq!(ends, refuse.then(|| refused.clone()));
        let (ends, _) = converse(&site, |client| resume12(client, &twelve).err());
        assert_eq!(ends, refuse.then(|| refused.clone()));
    }
}

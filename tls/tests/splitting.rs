// SPDX-License-Identifier: MIT OR Apache-2.0
//! Valid flights arrive cut at every byte, and as records cut at every byte: the outcome is the same.
#![allow(missing_docs)]

mod support;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::sync::Arc;
use support::{Server, Site};

/// A ClientHello record from an independent client.
fn client_hello(versions: &[&'static rustls::SupportedProtocolVersion]) -> Vec<u8> {
    let config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = ServerName::try_from("one.example").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// What the server answers to these chunks. The server's randomness is fixed, so equal input means equal output.
fn answer<'c>(site: &Site, chunks: impl IntoIterator<Item = &'c [u8]>) -> Vec<u8> {
    let mut server = Server::new(site);
    chunks.into_iter().for_each(|chunk| server.receive(chunk));
    assert_eq!(server.error, None);
    server.output
}

/// The payload of one record as two records, cut at `at`.
fn cut_record(record: &[u8], at: usize) -> Vec<u8> {
    let (first, second) = record[5..].split_at(at);
    let mut records = Vec::new();
    for part in [first, second] {
        records.extend_from_slice(&record[..3]);
        records.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
        records.extend_from_slice(part);
    }
    records
}

#[test]
fn a_client_hello_cut_at_every_byte() {
    let site = Site::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let hello = client_hello(&[version]);
        let whole = answer(&site, [&hello[..]]);
        assert!(!whole.is_empty());
        for at in 1..hello.len() {
            let (first, second) = hello.split_at(at);
            assert_eq!(answer(&site, [first, second]), whole, "segment cut at {at}");
        }
        assert_eq!(answer(&site, hello.chunks(1)), whole);
        for at in 1..hello.len() - 5 {
            let records = cut_record(&hello, at);
            assert_eq!(answer(&site, [&records[..]]), whole, "record cut at {at}");
        }
        // Every byte in a record of its own, every record in seven segments.
        let bytes: Vec<u8> = hello[5..].iter().flat_map(|&byte| [22, 3, 3, 0, 1, byte]).collect();
        assert_eq!(answer(&site, bytes.chunks(1)), whole);
    }
}

#[test]
fn a_hello_that_grows_over_the_storage_moves_to_a_larger_one() {
    // The storage of the support server begins with 512 bytes: smaller than any hybrid ClientHello.
    let hello = client_hello(&[&rustls::version::TLS13]);
    assert!(hello.len() > 1200);
    let site = Site::new();
    assert!(answer(&site, hello.chunks(100)).len() > 1200);
}

#[test]
fn every_single_byte_error_ends_in_an_answer() {
    // Not in a panic, and not in silence: an alert, a full flight, or the wait for the rest of a longer message.
    let site = Site::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let hello = client_hello(&[version]);
        for at in 0..hello.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = hello.clone();
                damaged[at] ^= flip;
                let mut server = Server::new(&site);
                server.receive(&damaged);
                if let Some(error) = server.error {
                    assert_eq!(error.alert().is_some(), !server.output.is_empty(), "{error} at {at}");
                }
            }
        }
    }
}

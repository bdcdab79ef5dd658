// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bodies of ClientHello messages: through the parser, and through a server that answers them.
#![no_main]

#[path = "../../tls/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::{Server, Site};
use ttls::fingerprint::Ja4;
use ttls::wire::ClientHello;

static SITE: LazyLock<Site> = LazyLock::new(Site::new);

fuzz_target!(|body: &[u8]| {
    let Ok(length) = u16::try_from(body.len()) else { return };
    if length > 16_000 {
        return;
    }
    let parsed = ClientHello::parse(body);
    if let Ok(hello) = &parsed {
        assert!(Ja4::of(hello).as_str().is_ascii());
        for group in [0x001d, 0x0017, 0x11ec] {
            let _ = hello.key_share(group);
        }
    }

    let [high, low] = length.to_be_bytes();
    let message = [&[1, 0, high, low], body].concat();
    let [high, low] = (length + 4).to_be_bytes();
    let mut server = Server::new(&SITE);
    server.receive(&[&[22, 3, 1, high, low], &message[..]].concat());
    if let (Err(_), None) = (parsed, server.error) {
        panic!("a server goes on after a ClientHello that does not parse");
    }
    match server.error {
        Some(error) => assert_eq!(error.alert().is_some(), !server.output.is_empty(), "{error}"),
        None => assert!(!server.output.is_empty(), "a whole ClientHello without an answer"),
    }
});

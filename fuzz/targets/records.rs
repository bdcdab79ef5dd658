// SPDX-License-Identifier: MIT OR Apache-2.0
//! Any bytes, in chunks of any size: a server that has seen nothing yet. However they are cut, the outcome is the same.
#![no_main]

#[path = "../../tls/tests/support/mod.rs"]
mod support;

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use support::{Server, Site};

static SITE: LazyLock<Site> = LazyLock::new(Site::new);

fuzz_target!(|input: (u8, &[u8])| {
    let (chunk, bytes) = input;
    let mut whole = Server::new(&SITE);
    whole.receive(bytes);
    let mut cut = Server::new(&SITE);
    bytes.chunks(usize::from(chunk).max(1)).for_each(|part| cut.receive(part));
    assert_eq!(whole.error, cut.error);
    assert!(whole.output == cut.output);
    assert!(whole.traffic.is_none(), "established without a client's secret");
});

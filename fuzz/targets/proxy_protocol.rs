// SPDX-License-Identifier: MIT OR Apache-2.0
//! PROXY headers: what a whole header says does not depend on how much of it had come when it was looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttls_server::serve::proxy_protocol::{MAX_ACCEPTED, parse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = parse(bytes) else { return };
    assert!(header.len <= bytes.len() && header.len <= MAX_ACCEPTED);
    assert_eq!(parse(&bytes[..header.len]), Ok(Some(header)));
    for length in 0..header.len {
        assert_eq!(parse(&bytes[..length]), Ok(None), "{length} bytes of {}", header.len);
    }
});

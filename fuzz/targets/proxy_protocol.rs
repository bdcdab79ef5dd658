// SPDX-License-Identifier: MIT OR Apache-2.0
//! PROXY headers: what a whole header says does not depend on how much of it had come when it was looked at.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttls_server::serve::proxy_protocol::parse;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = parse(bytes) else { return };
    assert!(header.len <= 16 + 0xffff);
    let mut seen = false;
    for length in 0..=header.len.min(bytes.len()) {
        // Once its beginning is understood, nothing more changes it.
        match parse(&bytes[..length]) {
            Ok(None) => assert!(!seen, "{length} bytes of {}", header.len),
            found => {
                assert_eq!(found, Ok(Some(header)), "{length} bytes of {}", header.len);
                seen = true;
            }
        }
    }
    assert!(seen);
});

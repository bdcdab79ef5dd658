// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private keys in DER, in all three formats, and encoded certificate chains.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ttls::config::Chain;
use ttls_crypto::sign::{Encoding, SigningKey};

fuzz_target!(|der: &[u8]| {
    for encoding in [Encoding::Pkcs8, Encoding::Sec1, Encoding::Pkcs1] {
        if let Ok(key) = SigningKey::from_der(encoding, der) {
            let _ = key.matches_public_key(der);
        }
    }
    if let Ok(chain) = Chain::new(der) {
        let parts: Vec<&[u8]> = chain.certificates().collect();
        let mut again = vec![0; Chain::encoded_len(parts.iter().copied())];
        assert!(Chain::encode(parts, &mut again).is_ok());
    }
});

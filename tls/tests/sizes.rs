// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much memory a connection takes in the core's own structures.
#![allow(missing_docs)]

use ttls::{Established, Handshake, Session, Step, Traffic, Window};

#[test]
fn a_connection_stays_small() {
    for (name, size) in [
        ("Handshake", size_of::<Handshake>()),
        ("Established", size_of::<Established>()),
        ("Traffic", size_of::<Traffic>()),
        ("Session", size_of::<Session>()),
        ("Step", size_of::<Step>()),
        ("Window", size_of::<Window>()),
    ] {
        println!("{name:12} {size:5} bytes");
    }
    // With a receive buffer of 4 KiB a half-open handshake stays below 8 KiB, and an established connection below 4.
    assert!(size_of::<Handshake>() + size_of::<Window>() <= 4096);
    assert!(size_of::<Established>() <= 3072);
}

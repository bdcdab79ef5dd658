// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs share that are servers behind `ttls.ko`, in the guest of its tests.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

/// A listening socket of this process, put behind TLS by the `ttls` in the working folder.
pub fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("listen");
    let (id, port) = (std::process::id().to_string(), port.to_string());
    let attached = Command::new("./ttls").args(["ctl", "attach", "--pid", &id, "--port", &port]).status();
    assert!(attached.expect("ttls runs").success(), "ttls ctl attach");
    listener
}

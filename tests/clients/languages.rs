// SPDX-License-Identifier: MIT OR Apache-2.0
//! The TLS of Python's and Node's standard libraries.

use crate::{site, site_with};
use harness::pki::pki;
use harness::process::run;
use harness::server::Server;
use std::process::Command;

/// Runs a script of `clients/scripts` with the server's address and the root certificate.
#[track_caller]
fn script(interpreter: &str, name: &str, server: &Server) {
    let path = format!("{}/clients/scripts/{name}", env!("CARGO_MANIFEST_DIR"));
    let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
    run(Command::new(interpreter).args([&path, &host, &port, &pki().root()]), b"").must_say("all is well");
}

#[test]
fn python_ssl() {
    let (_backend, server) = site_with(|c| c.table("[tls]\nalpn = [\"http/1.1\"]"));
    script("python3", "client.py", &server);
}

#[test]
fn node_https() {
    let (_backend, server) = site();
    script("node", "client.mjs", &server);
}

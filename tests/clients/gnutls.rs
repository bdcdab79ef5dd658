// SPDX-License-Identifier: MIT OR Apache-2.0
//! `gnutls-cli` 3.7.

use crate::{CERTIFICATES, GROUPS, REQUEST, Version, ask_for_certificates, site, site_with};
use harness::pki::pki;
use harness::process::{Output, Running};
use harness::server::Server;
use std::process::Command;

/// Sends a request and reads up to the server's close.
#[track_caller]
fn get(server: &Server, priority: &str, arguments: &[&str]) -> Output {
    let (host, port) = (server.address.ip().to_string(), server.address.port().to_string());
    let mut command = Command::new("gnutls-cli");
    command.args([
        "--x509cafile",
        &pki().root(),
        "--sni-hostname",
        "ttls.test",
        "--verify-hostname",
        "ttls.test",
    ]);
    command.args(["--port", &port, "--priority", priority, &host]).args(arguments);
    let mut client = Running::start(&mut command);
    client.send(REQUEST);
    client.end()
}

fn priority(version: Version, more: &str) -> String {
    format!("NORMAL:-VERS-ALL:+VERS-TLS{}{more}", &version.name()[4..])
}

#[test]
fn every_version_group_cipher_and_certificate() {
    for (chain, key) in CERTIFICATES {
        let (_backend, server) = site_with(|c| c.without_certificates().certificate(chain, key));
        for version in Version::BOTH {
            for (_, group) in GROUPS {
                for cipher in ["AES-128-GCM", "AES-256-GCM", "CHACHA20-POLY1305"] {
                    let choice = format!(":-GROUP-ALL:{group}:-CIPHER-ALL:+{cipher}");
                    let output = get(&server, &priority(version, &choice), &[]);
                    output.must_say("HTTP/1.1 200").must_say("The certificate is trusted");
                    let first = group.trim_start_matches("+GROUP-").split(':').next().expect("a group");
                    output.must_say(first);
                    output.must_say(&format!("version={}\n", version.name()));
                }
            }
        }
    }
}

#[test]
fn resumption() {
    let (_backend, server) = site();
    for version in Version::BOTH {
        let output = get(&server, &priority(version, ""), &["--resume", "--waitresumption"]);
        output.must_say("*** This is a resumed session").must_say("HTTP/1.1 200");
    }
}

#[test]
fn record_sizes() {
    let (_backend, server) = site();
    for version in Version::BOTH {
        let output = get(&server, &priority(version, ""), &["--recordsize", "1024"]);
        output.must_say("HTTP/1.1 200");
    }
}

#[test]
fn alpn_and_staple() {
    let ocsp = format!("ocsp = {:?}", pki().text("ocsp.der"));
    let (_backend, server) = site_with(|c| {
        c.without_certificates()
            .certificate_with("ecdsa.pem", "ecdsa.key", &ocsp)
            .table("[tls]\nalpn = [\"h2\"]")
    });
    for version in Version::BOTH {
        let output = get(&server, &priority(version, ""), &["--alpn", "h2", "--ocsp"]);
        output.must_say("Application protocol: h2").must_say("HTTP/1.1 200").must_say("OCSP status request");
    }
}

#[test]
fn client_certificate() {
    let (_backend, server) = site_with(|c| ask_for_certificates(c, "required"));
    for version in Version::BOTH {
        let (cert, key) = (pki().text("client.crt"), pki().text("client.key"));
        let output = get(&server, &priority(version, ""), &["--x509certfile", &cert, "--x509keyfile", &key]);
        output.must_say("cn=client\n");
    }
}

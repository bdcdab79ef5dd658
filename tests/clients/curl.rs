// SPDX-License-Identifier: MIT OR Apache-2.0
//! curl (with Debian's OpenSSL).

use crate::{CERTIFICATES, GROUPS, SUITES, Version, ask_for_certificates, fits, site, site_with};
use harness::backend::{hex, pattern};
use harness::pki::pki;
use harness::process::{Output, run};
use harness::raw::sha256;
use harness::server::Server;
use std::process::Command;

/// `curl ARGUMENTS https://ttls.test/PATH`
#[track_caller]
fn curl(server: &Server, path: &str, arguments: &[&str]) -> Output {
    let address = server.address;
    let resolve = format!("ttls.test:{}:{}", address.port(), address.ip());
    let url = format!("https://ttls.test:{}/{path}", address.port());
    let common = ["--silent", "--show-error", "--cacert", &pki().root(), "--resolve", &resolve, &url];
    run(Command::new("curl").args(common).args(arguments), b"")
}

#[test]
fn every_version_suite_group_and_certificate() {
    for (chain, key) in CERTIFICATES {
        let (_backend, server) = site_with(|c| c.without_certificates().certificate(chain, key));
        for (_, openssl, version) in SUITES.into_iter().filter(|(iana, ..)| fits(iana, chain)) {
            for (group, _) in GROUPS {
                let choice = match version {
                    Version::Tls12 => ["--tls-max", "1.2", "--ciphers", openssl, "--curves", group],
                    Version::Tls13 => {
                        ["--tlsv1.3", "--tls-max", "1.3", "--tls13-ciphers", openssl, "--curves"]
                    }
                };
                let more = if version == Version::Tls13 { vec![group] } else { vec![] };
                let output = curl(&server, "", &[&choice[..], &more].concat());
                output.must_say(&format!("version={}\n", version.name()));
                output.must_say(&format!("cipher={openssl}\n")).must_say("sni=ttls.test\n");
            }
        }
    }
}

#[test]
fn http_2_is_offered_and_http_1_1_chosen() {
    let (_backend, server) = site_with(|c| c.table("[tls]\nalpn = [\"http/1.1\"]"));
    curl(&server, "", &["--http2"]).must_say("alpn=http/1.1\n");
}

#[test]
fn several_requests_on_one_connection() {
    let (backend, server) = site();
    let url = format!("https://ttls.test:{}/bytes/100000", server.address.port());
    let output = curl(&server, "bytes/100000", &[&url, &url, "--write-out", "\nconnects=%{num_connects}\n"]);
    assert!(output.success, "{}", output.stderr);
    assert_eq!(backend.accepted(), 1, "connections");
}

#[test]
fn upload() {
    let (_backend, server) = site();
    let file = server.dir.path().join("upload");
    let body = pattern(3_000_000);
    std::fs::write(&file, &body).expect("write");
    let data = format!("@{}", file.display());
    curl(&server, "hash", &["--data-binary", &data]).must_say(&hex(&sha256(&body)));
}

#[test]
fn client_certificate() {
    let (_backend, server) = site_with(|c| ask_for_certificates(c, "required"));
    let arguments = ["--cert", &pki().text("client.crt"), "--key", &pki().text("client.key")];
    for version in ["1.2", "1.3"] {
        let output = curl(&server, "", &[&arguments[..], &["--tls-max", version]].concat());
        output.must_say("cn=client\n").must_say("verify=00000000\n");
        let refused = curl(&server, "", &["--tls-max", version]);
        assert!(!refused.success, "served without a certificate: {refused:?}");
    }
}

#[test]
fn over_ipv6_and_several_addresses() {
    let (_backend, server) = site_with(|c| c.top("listen = [\"127.0.0.1:18443\", \"[::1]:18443\"]"));
    for address in ["127.0.0.1", "[::1]"] {
        let url = format!("https://{address}:18443/");
        let output = run(Command::new("curl").args(["-sS", "--insecure", &url]), b"");
        output.must_say(&format!("source={}", address.trim_matches(['[', ']'])));
    }
    drop(server);
}

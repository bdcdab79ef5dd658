// SPDX-License-Identifier: MIT OR Apache-2.0
//! `openssl s_client` 3.0.

use crate::{CERTIFICATES, GROUPS, REQUEST, SUITES, Version, ask_for_certificates, fits, site, site_with};
use harness::pki::pki;
use harness::process::{Output, Running, run};
use harness::server::Server;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn s_client(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &server.address.to_string(), "-CAfile", &pki().root()]);
    if !arguments.contains(&"-servername") {
        command.args(["-servername", "ttls.test"]);
    }
    command.args(["-verify_return_error"]).args(arguments);
    command
}

/// Sends a request and reads up to the server's close.
#[track_caller]
fn get(server: &Server, arguments: &[&str]) -> Output {
    run(s_client(server, arguments).arg("-ign_eof"), REQUEST)
}

/// The same where the handshake has to fail with this text.
#[track_caller]
fn refused(server: &Server, arguments: &[&str], why: &str) {
    let output = get(server, arguments);
    assert!(output.all().contains(why), "expected {why:?} of {arguments:?}:\n{}", output.all());
    assert!(!output.stdout.contains("HTTP/1.1 200"), "{arguments:?} was served");
}

#[test]
fn every_version_suite_group_and_certificate() {
    for (chain, key) in CERTIFICATES {
        let (_backend, server) = site_with(|c| c.without_certificates().certificate(chain, key));
        for (_, openssl, version) in SUITES.into_iter().filter(|(iana, ..)| fits(iana, chain)) {
            for (group, _) in GROUPS {
                let suite = if version == Version::Tls13 { "-ciphersuites" } else { "-cipher" };
                let output = get(&server, &[version.openssl(), suite, openssl, "-groups", group]);
                output.must_say("HTTP/1.1 200").must_say("Verify return code: 0 (ok)");
                output.must_say(&format!("Cipher is {openssl}")).must_say(&format!("cipher={openssl}\n"));
                // OpenSSL prints "X25519" and "ECDH, prime256v1".
                let temporary = if group == "P-256" { "prime256v1" } else { "X25519" };
                output.must_say("Server Temp Key: ").must_say(temporary);
            }
        }
    }
}

#[test]
fn rsa_signs_with_pss_and_pkcs1() {
    for (chain, key) in
        [("rsa2048.pem", "rsa2048.key"), ("rsa3072.pem", "rsa3072.key"), ("rsa4096.pem", "rsa4096.key")]
    {
        let (_backend, server) = site_with(|c| c.without_certificates().certificate(chain, key));
        for hash in ["SHA256", "SHA384", "SHA512"] {
            for version in Version::BOTH {
                let pss = format!("RSA-PSS+{hash}");
                let output = get(&server, &[version.openssl(), "-sigalgs", &pss]);
                output.must_say("HTTP/1.1 200").must_say("Peer signature type: RSA-PSS");
                output.must_say(&format!("Peer signing digest: {hash}"));
            }
            let output = get(&server, &["-tls1_2", "-sigalgs", &format!("RSA+{hash}")]);
            output.must_say("HTTP/1.1 200").must_say("Peer signature type: RSA\n");
        }
    }
}

#[test]
fn ecdsa_is_preferred_and_rsa_serves_those_who_cannot() {
    let (_backend, server) = site();
    for version in Version::BOTH {
        get(&server, &[version.openssl()]).must_say("Peer signature type: ECDSA");
        get(&server, &[version.openssl(), "-sigalgs", "RSA-PSS+SHA256"])
            .must_say("Peer signature type: RSA-PSS");
    }
}

#[test]
fn resumption_by_saved_session() {
    let (_backend, server) = site();
    for version in Version::BOTH {
        let session = server.dir.path().join(version.name());
        let session = session.to_str().expect("UTF-8");
        get(&server, &[version.openssl(), "-sess_out", session])
            .must_say("New, TLSv1")
            .must_say("HTTP/1.1 200");
        let output = get(&server, &[version.openssl(), "-sess_in", session]);
        output.must_say(&format!("Reused, {}", version.name())).must_say("HTTP/1.1 200");
        // A session belongs to its name: another one gets a full handshake.
        let output = get(&server, &[version.openssl(), "-sess_in", session, "-servername", "localhost"]);
        output.must_say("New, TLSv1").must_say("HTTP/1.1 200");
    }
}

#[test]
fn resumption_by_reconnecting() {
    let (_backend, server) = site();
    let output = run(&mut s_client(&server, &["-tls1_2", "-reconnect"]), b"Q\n");
    assert_eq!(output.stdout.matches("Reused, TLSv1.2").count(), 5, "{}", output.all());
}

#[test]
fn sessions_outlive_their_server_where_nodes_share_a_secret() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), [0x42; 64]).expect("write");
    let table = format!("[tickets]\nsecret_file = {:?}", secret.path());
    let (_b1, one) = site_with(|c| c.table(&table));
    let (_b2, two) = site_with(|c| c.table(&table));
    let (_b3, stranger) = site();
    for version in Version::BOTH {
        let session = one.dir.path().join(version.name());
        let session = session.to_str().expect("UTF-8");
        get(&one, &[version.openssl(), "-sess_out", session]).must_say("New, TLSv1");
        get(&two, &[version.openssl(), "-sess_in", session])
            .must_say("Reused, TLSv1")
            .must_say("HTTP/1.1 200");
        get(&stranger, &[version.openssl(), "-sess_in", session])
            .must_say("New, TLSv1")
            .must_say("HTTP/1.1 200");
    }
}

#[test]
fn no_tickets_where_they_are_off() {
    let (_backend, server) = site_with(|c| c.table("[tickets]\nenabled = false"));
    for version in Version::BOTH {
        let output = get(&server, &[version.openssl()]);
        output.must_say("HTTP/1.1 200");
        assert!(!output.stdout.contains("TLS session ticket:"), "{}", output.stdout);
    }
}

/// Types lines into s_client, then the request, and waits for its end.
#[track_caller]
fn typed(server: &Server, arguments: &[&str], lines: &[&str]) -> Output {
    let mut client = Running::start(&mut s_client(server, arguments));
    for line in lines {
        // s_client reads its commands at the beginning of what one read() brings.
        thread::sleep(Duration::from_millis(300));
        client.send(line.as_bytes());
    }
    thread::sleep(Duration::from_millis(300));
    client.send(REQUEST);
    client.end()
}

#[test]
fn key_update_both_ways() {
    let (_backend, server) = site();
    // "K" asks for the server's KeyUpdate as well, "k" does not.
    let output = typed(&server, &["-tls1_3"], &["K\n", "k\n", "K\n"]);
    output.must_say("KEYUPDATE").must_say("HTTP/1.1 200");
}

#[test]
fn renegotiation_is_declined() {
    let (_backend, server) = site();
    let output = typed(&server, &["-tls1_2"], &["R\n"]);
    assert!(output.all().contains("RENEGOTIATING"), "{}", output.all());
    assert!(output.all().contains("no renegotiation"), "{}", output.all());
}

#[test]
fn hello_retry_request() {
    let (_backend, server) = site();
    // The client's only share is for the first of its groups.
    let output = get(&server, &["-tls1_3", "-groups", "P-384:P-256", "-msg"]);
    output.must_say("HTTP/1.1 200").must_say("prime256v1");
    assert_eq!(output.stdout.matches(", ClientHello").count(), 2, "{}", output.stdout);
}

#[test]
fn old_versions_are_refused() {
    let (_backend, server) = site();
    for version in ["-tls1", "-tls1_1"] {
        refused(&server, &[version, "-cipher", "ALL:@SECLEVEL=0"], "alert protocol version");
    }
    let (_backend, server) = site_with(|c| c.table("[tls]\nversions = [\"1.3\"]"));
    refused(&server, &["-tls1_2"], "alert protocol version");
    let (_backend, server) = site_with(|c| c.table("[tls]\nversions = [\"1.2\"]"));
    refused(&server, &["-tls1_3"], "alert protocol version");
    get(&server, &[]).must_say("Protocol  : TLSv1.2").must_say("HTTP/1.1 200");
}

#[test]
fn old_suites_and_groups_are_refused() {
    let (_backend, server) = site();
    let old = "AES128-SHA:AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256";
    refused(&server, &["-tls1_2", "-cipher", old], "alert handshake failure");
    refused(&server, &["-tls1_2", "-groups", "P-384"], "alert handshake failure");
    refused(&server, &["-tls1_3", "-groups", "P-384"], "alert handshake failure");
}

#[test]
fn a_fallback_is_detected() {
    let (_backend, server) = site();
    refused(&server, &["-tls1_2", "-fallback_scsv"], "alert inappropriate fallback");
}

#[test]
fn alpn() {
    let (_backend, server) = site_with(|c| c.table("[tls]\nalpn = [\"h2\", \"http/1.1\"]"));
    for version in Version::BOTH {
        let v = version.openssl();
        get(&server, &[v, "-alpn", "http/1.1,h2"]).must_say("ALPN protocol: h2").must_say("alpn=h2\n");
        get(&server, &[v, "-alpn", "http/1.1"])
            .must_say("ALPN protocol: http/1.1")
            .must_say("alpn=http/1.1\n");
        get(&server, &[v]).must_say("No ALPN negotiated").must_say("HTTP/1.1 200");
        refused(&server, &[v, "-alpn", "spdy/3"], "alert no application protocol");
    }
}

#[test]
fn ocsp_staple() {
    let ocsp = format!("ocsp = {:?}", pki().text("ocsp.der"));
    let (_backend, server) =
        site_with(|c| c.without_certificates().certificate_with("ecdsa.pem", "ecdsa.key", &ocsp));
    for version in Version::BOTH {
        let output = get(&server, &[version.openssl(), "-status"]);
        output
            .must_say("OCSP Response Status: successful")
            .must_say("Cert Status: good")
            .must_say("HTTP/1.1 200");
    }
}

#[test]
fn max_fragment_length() {
    let (_backend, server) = site();
    for version in Version::BOTH {
        for length in ["512", "1024", "4096"] {
            let output = get(&server, &[version.openssl(), "-maxfraglen", length]);
            output.must_say("HTTP/1.1 200");
        }
    }
}

#[test]
fn names_choose_certificates() {
    let more = |c: harness::server::Config| {
        c.certificate("wild.pem", "wild.key").certificate("other.pem", "other.key")
    };
    let (_backend, server) = site_with(more);
    let (_backend, strict) = site_with(|c| more(c).table("[tls]\nunknown_name = \"refuse\""));
    for server in [&server, &strict] {
        for (name, subject) in [("ttls.test", "ecdsa"), ("OTHER.test", "other"), ("any.wild.test", "wild")] {
            let output = get(server, &["-servername", name]);
            output.must_say(&format!("subject=O = ttls tests, CN = {subject}\n")).must_say("HTTP/1.1 200");
        }
    }
    // A wildcard stands for one label.
    for name in ["nobody.test", "two.labels.wild.test", "wild.test"] {
        get(&server, &["-servername", name]).must_say("CN = ecdsa\n").must_say("HTTP/1.1 200");
        refused(&strict, &["-servername", name], "unrecognized name");
    }
}

#[test]
fn client_certificates() {
    let (_b1, required) = site_with(|c| ask_for_certificates(c, "required"));
    let (_b2, optional) = site_with(|c| ask_for_certificates(c, "optional"));
    let file = |stem: &str, end: &str| pki().text(&format!("{stem}.{end}"));
    for version in Version::BOTH {
        let v = version.openssl();
        for server in [&required, &optional] {
            for (stem, key) in [("client", "client"), ("client-rsa", "client-rsa")] {
                let output = get(server, &[v, "-cert", &file(stem, "crt"), "-key", &file(key, "key")]);
                output.must_say(&format!("cn={stem}\n")).must_say("verify=00000000\n");
            }
            let stranger = [v, "-cert", &file("stranger", "crt"), "-key", &file("stranger", "key")];
            refused(server, &stranger, "alert unknown ca");
            let revoked = [v, "-cert", &file("revoked", "crt"), "-key", &file("revoked", "key")];
            refused(server, &revoked, "alert certificate revoked");
        }
        get(&optional, &[v]).must_say("HTTP/1.1 200").must_say("verify=00000001\n");
    }
    refused(&required, &["-tls1_3"], "alert certificate required");
    refused(&required, &["-tls1_2"], "alert handshake failure");
}

#[test]
fn who_has_to_show_a_certificate_gets_no_ticket() {
    // A ticket holds no certificate: every connection shows it again, and is checked against the list of the day.
    let (_backend, server) = site_with(|c| ask_for_certificates(c, "required"));
    for version in Version::BOTH {
        let certificate = ["-cert", &pki().text("client.crt"), "-key", &pki().text("client.key")];
        let output = get(&server, &[&[version.openssl()], &certificate[..]].concat());
        output.must_say("cn=client\n").must_say("verify=00000000\n");
        assert!(!output.stdout.contains("TLS session ticket:"), "{}", output.stdout);
    }
}

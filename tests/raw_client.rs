// SPDX-License-Identifier: MIT OR Apache-2.0
//! The misbehaving client can also behave: OpenSSL's server accepts its proper handshakes, so that a
//! failure against ttls is not the client's.

use harness::pki::pki;
use harness::raw::{Client, ClientHello, KeyShare, extension, offer};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

const REQUEST: &[u8] = b"GET / HTTP/1.0\r\n\r\n";

/// `openssl s_server -www`, which answers with a page about the connection.
struct OpenSsl {
    child: Child,
    address: SocketAddr,
}

impl OpenSsl {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("openssl")
            .args(["s_server", "-www", "-accept", "127.0.0.1:0"])
            .args(["-cert", &pki().text("ecdsa.pem"), "-key", &pki().text("ecdsa.key")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("openssl runs");
        let lines = BufReader::new(child.stdout.as_mut().expect("piped")).lines();
        let accept = lines.map_while(Result::ok).find_map(|l| l.strip_prefix("ACCEPT ").map(str::to_owned));
        let address = accept.expect("openssl tells its address").parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn speaks_tls13_with_openssl() {
    let server = OpenSsl::start(&["-tls1_3"]);
    for share in [KeyShare::x25519(), KeyShare::p256()] {
        let mut client = Client::connect(server.address);
        client.establish13(&ClientHello::tls13(&[&share]), &share);
        let response = String::from_utf8_lossy(&client.exchange(REQUEST)).into_owned();
        assert!(response.contains("TLS_AES_128_GCM_SHA256"), "{response}");
    }
}

#[test]
fn answers_a_retry_of_openssl() {
    let server = OpenSsl::start(&["-tls1_3", "-groups", "P-256"]);
    let (first, second) = (KeyShare::x25519(), KeyShare::p256());
    let mut client = Client::connect(server.address);
    let mut hello = ClientHello::tls13(&[&first]);
    assert_eq!(client.retry13(&hello), second.group);
    hello.set(extension::KEY_SHARE, harness::raw::key_shares(&[&second]));
    client.establish13(&hello, &second);
    assert!(!client.exchange(REQUEST).is_empty());
}

#[test]
fn resumes_tls13_with_openssl() {
    let server = OpenSsl::start(&["-tls1_3"]);
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    let mut client = Client::connect(server.address);
    let flight = client.establish13(&hello, &share);
    let ticket = client.ticket13(&flight).expect("a ticket");
    drop(client); // openssl serves one at a time

    let mut client = Client::connect(server.address);
    let encoded = offer(&mut hello, &ticket, |_| {});
    client.send_message(&encoded);
    let flight = client.flight13(&share, &ticket.psk);
    assert_eq!(flight.hello.extension(extension::PRE_SHARED_KEY), Some(&[0, 0][..]), "the PSK was taken");
    client.finish13(&flight);
    let response = String::from_utf8_lossy(&client.exchange(REQUEST)).into_owned();
    assert!(response.contains("Reused, TLSv1.3"), "{response}");
}

#[test]
fn speaks_tls12_with_openssl() {
    let server = OpenSsl::start(&["-tls1_2", "-groups", "X25519"]);
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    let flight = client.hello12(&ClientHello::tls12());
    client.finish12(&flight, &share);
    let response = String::from_utf8_lossy(&client.exchange(REQUEST)).into_owned();
    assert!(response.contains("ECDHE-ECDSA-AES128-GCM-SHA256"), "{response}");
}

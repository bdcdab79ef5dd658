// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls-load flood` against a server that shares no code with it: rustls, a thread for each connection.
#![forbid(unsafe_code)]

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ServerConfig, ServerConnection};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn config() -> Arc<ServerConfig> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
    let names = ["bench.example".to_owned()];
    let certificate =
        rcgen::CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .expect("it fits");
    config.ticketer = aws_lc_rs::Ticketer::new().expect("a ticketer");
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Answers every request on every connection, and closes those that ask for it.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let config = config();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || answer(stream, config));
        }
    });
    address
}

fn answer(mut stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    let mut tls = ServerConnection::new(config).ok()?;
    let mut tls = rustls::Stream::new(&mut tls, &mut stream);
    let mut request = Vec::new();
    loop {
        let mut some = [0; 512];
        let received = tls.read(&mut some).ok().filter(|&received| received > 0)?;
        request.extend_from_slice(&some[..received]);
        if request.ends_with(b"\r\n\r\n") {
            tls.write_all(RESPONSE).ok()?;
            if request.windows(5).any(|window| window == b"close") {
                tls.conn.send_close_notify();
                return tls.flush().ok();
            }
            request.clear();
        }
    }
}

fn flood(address: SocketAddr, attack: &str, options: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_ttls-load"))
        .args(["flood", "--attack", attack, "--attack-rate", "40", "--timeout", "4"])
        .args(["--new-rate", "10", "--returning-rate", "10", "--known-rate", "10", "--kept", "3"])
        .args(["--calm", "1", "--lead-in", "0.2", "--seconds", "1", "--after", "0.5", "--hold", "1"])
        .args(options)
        .arg(address.to_string())
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    if !options.contains(&"--capacity") {
        let parts: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("flood: ")).collect();
        assert_eq!(parts, ["calm", "attack", "window", "end", "after", "done"], "{said}");
    }
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn number(value: &serde_json::Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn all_classes_are_served_and_counted_beside_every_attack() {
    let address = serve();
    let attacks = ["full", "mix", "oversized", "tickets", "key-updates", "few-addresses", "reconnect", "nat"];
    for attack in attacks {
        let result = flood(address, attack, &[]);
        for class in ["new", "returning", "known", "established"] {
            let found = &result["classes"][class];
            assert!(number(&found["calm"]["due"]) > 0, "{attack}, {class}: {found}");
            assert!(number(&found["calm"]["served"]) > 0, "{attack}, {class}: {found}");
            // Only returning clients have tickets, and all that were served have used theirs.
            let resumed = number(&found["resumed"]);
            assert_eq!(resumed > 0, class == "returning", "{attack}, {class}: {found}");
        }
        let attackers = &result["attackers"];
        assert!(number(&attackers["started"]) > 0, "{attack}: {attackers}");
        assert_eq!(attackers["failures"], serde_json::json!({}), "{attack}");
        let back = &result["reconnecting"];
        if attack == "reconnect" {
            assert_eq!(number(&back["due"]), 40);
            assert!(back["served_at_all"].as_f64().is_some_and(|share| share > 0.0), "{back}");
        } else {
            assert!(back.is_null());
        }
    }
}

#[test]
fn capacity_is_what_is_served_in_a_second() {
    let result = flood(serve(), "none", &["--capacity"]);
    assert!(result["capacity_per_s"].as_f64().is_some_and(|capacity| capacity > 0.0), "{result}");
}

#[test]
fn a_server_that_serves_nobody_voids_the_run() {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let output = Command::new(env!("CARGO_BIN_EXE_ttls-load"))
        .args(["flood", "--capacity", "--seconds", "0.1", &free.to_string()])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody is served"), "{output:?}");
}

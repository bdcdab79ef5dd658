// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes through the proxy.

use harness::backend::{Backend, echo, hex, pattern};
use harness::client::{connect, default_config, half_close, response};
use harness::raw::sha256;
use harness::server::{Config, Server};
use std::io::{Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const LENGTH: usize = 100_000_000;
/// What a server may hold for one connection whose other side does not keep up; kernel buffers are not its own.
const BOUND_KIB: u64 = 8 * 1024;

/// Reads the pattern, slowly if so asked: a stall, then many pauses.
fn read_pattern(mut from: impl Read, slow: bool, server: &Server, before: u64) {
    let expected = pattern(LENGTH);
    let mut at = 0;
    let mut buffer = vec![0; 64 * 1024];
    let mut reads = 0_u32;
    while at < LENGTH {
        if slow && reads == 3 {
            thread::sleep(Duration::from_secs(1));
            let now = server.resident_kib();
            assert!(now < before + BOUND_KIB, "{now} KiB while the client stands still, {before} KiB before");
        } else if slow && reads.is_multiple_of(8) {
            thread::sleep(Duration::from_millis(1));
        }
        reads += 1;
        let n = from.read(&mut buffer).expect("receive");
        assert!(n > 0, "the stream ends after {at} bytes");
        assert!(buffer[..n] == expected[at..at + n], "bytes {at}.. differ");
        at += n;
    }
}

fn download(path: &str, slow: bool) {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let mut tls = connect(server.address, &default_config());
    harness::client::get(&mut tls, "/").expect("a first response");
    let before = server.resident_kib();
    write!(tls, "GET /{path}/{LENGTH} HTTP/1.1\r\n\r\n").expect("send");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte).expect("receive");
        head.push(byte[0]);
    }
    read_pattern(&mut tls, slow, &server, before);
}

fn upload(path: &str, slow: bool) {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    let mut tls = connect(server.address, &default_config());
    let body = pattern(LENGTH);
    write!(tls, "POST /{path} HTTP/1.1\r\nContent-Length: {LENGTH}\r\n\r\n").expect("send");
    for (n, piece) in body.chunks(256 * 1024).enumerate() {
        if slow {
            thread::sleep(Duration::from_millis(if n == 3 { 1000 } else { 2 }));
        }
        tls.write_all(piece).expect("send");
    }
    assert_eq!(String::from_utf8(response(&mut tls).expect("a response")).expect("hex"), hex(&sha256(&body)));
}

#[test]
fn download_100_mb() {
    download("bytes", false);
}

#[test]
fn download_100_mb_to_a_slow_client() {
    download("bytes", true);
}

#[test]
fn download_100_mb_from_a_slow_backend() {
    download("slow", false);
}

#[test]
fn upload_100_mb() {
    upload("hash", false);
}

#[test]
fn upload_100_mb_from_a_slow_client() {
    upload("hash", true);
}

#[test]
fn upload_100_mb_to_a_slow_backend() {
    upload("slow-hash", false);
}

#[test]
fn both_directions_at_once() {
    const LENGTH: usize = 20_000_000;
    let backend = Backend::tcp(echo);
    let config =
        Config::bare(&harness::server::backend_text(&backend.address)).certificate("ecdsa.pem", "ecdsa.key");
    let server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    let sent = pattern(LENGTH);
    let mut received = Vec::with_capacity(LENGTH);
    // A window of 256 KiB under way keeps both directions busy without a second thread for one rustls connection.
    let (mut at, mut buffer) = (0, vec![0; 64 * 1024]);
    while received.len() < LENGTH {
        while at < LENGTH && at < received.len() + 256 * 1024 {
            let end = LENGTH.min(at + 64 * 1024);
            tls.write_all(&sent[at..end]).expect("send");
            at = end;
        }
        let n = tls.read(&mut buffer).expect("receive");
        assert!(n > 0, "the stream ends after {} bytes", received.len());
        received.extend_from_slice(&buffer[..n]);
    }
    assert!(received == sent);
}

#[test]
fn the_client_closes_its_half_first() {
    const LENGTH: usize = 3_000_000;
    let backend = Backend::tcp(|mut stream| {
        // Reads to the end first: only a half-close carried through lets it answer.
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        stream.write_all(&all)?;
        stream.finish();
        Ok(())
    });
    let config =
        Config::bare(&harness::server::backend_text(&backend.address)).certificate("ecdsa.pem", "ecdsa.key");
    let mut server = Server::start(&config);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = harness::client::config(rustls::crypto::aws_lc_rs::default_provider(), &[version]);
        let mut tls = connect(server.address, &config.into());
        let sent = pattern(LENGTH);
        tls.write_all(&sent).expect("send");
        half_close(&mut tls).expect("close");
        let mut received = Vec::new();
        tls.read_to_end(&mut received).expect("everything, then close_notify");
        assert!(received == sent, "{version:?}: {} of {LENGTH} bytes came back", received.len());
        let peer = tls.sock.local_addr().expect("own address");
        drop(tls);
        let line = server.logged_connection(peer);
        assert!(line.contains("result=ok") && line.contains(&format!("in={LENGTH} out={LENGTH} ")), "{line}");
    }
}

#[test]
fn the_backend_closes_its_half_first() {
    const LENGTH: usize = 3_000_000;
    let (report, reported) = mpsc::channel();
    let backend = Backend::tcp(move |mut stream| {
        stream.write_all(b"nothing more from here")?;
        stream.finish();
        let mut all = Vec::new();
        stream.read_to_end(&mut all)?;
        report.send(all).expect("the test waits");
        Ok(())
    });
    let config =
        Config::bare(&harness::server::backend_text(&backend.address)).certificate("ecdsa.pem", "ecdsa.key");
    let server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    let mut greeting = String::new();
    tls.read_to_string(&mut greeting).expect("everything, then close_notify");
    assert_eq!(greeting, "nothing more from here");
    let sent = pattern(LENGTH);
    tls.write_all(&sent).expect("send after the server's close_notify");
    half_close(&mut tls).expect("close");
    let received = reported.recv_timeout(Duration::from_secs(30)).expect("the backend sees the end");
    assert!(received == sent, "{} of {LENGTH} bytes arrived", received.len());
}

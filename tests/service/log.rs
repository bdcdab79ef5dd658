// SPDX-License-Identifier: MIT OR Apache-2.0
//! The log: a reader that stalls stops nobody, and nothing that it could have read is lost without a word.

use crate::load::Load;
use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::raw::{Client, ClientHello, KeyShare};
use harness::server::{Config, Server};
use rustix::fs::{FileType, Mode, OFlags, mknodat};
use rustix::process::Signal;
use std::fs;
use std::io::{Read, Write, pipe};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// Lines of connections, and lines that were left out by the word of others; every line is whole.
fn count(text: &str) -> (usize, usize) {
    let (mut lines, mut left_out) = (0, 0);
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut");
    for line in text.lines() {
        assert_eq!(line.matches("time=").count(), 1, "{line}");
        assert!(line.starts_with("time="), "{line}");
        if line.contains(" event=connection ") {
            assert!(line.contains(" result="), "{line}");
            lines += 1;
        }
        if let Some((_, rest)) = line.split_once(" event=log left_out=") {
            left_out += rest.split(' ').next().and_then(|n| n.parse::<usize>().ok()).expect("a number");
        }
    }
    (lines, left_out)
}

/// Fills the log with lines of connections that end badly, until the server says that lines are lost.
fn fill(server: &Server) -> usize {
    let mut sent = 0;
    while server.metric("ttls_log_lines_lost_total") == 0.0 {
        for _ in 0..500 {
            let mut stream = TcpStream::connect(server.address).expect("connect");
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("send");
            let _ = stream.read(&mut [0; 100]);
            sent += 1;
        }
        assert!(sent < 100_000, "no line was lost");
    }
    sent
}

#[test]
fn a_failed_handshake_says_what_the_client_wanted() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend).table("[tls]\nversions = [\"1.2\"]"));
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    client.send_message(&ClientHello::tls13(&[&share]).encode());
    assert!(client.closed());
    let line =
        server.logged(&["event=connection", "level=warn", "client supports no enabled protocol version"]);
    assert!(
        line.contains(" server_name=ttls.test ") && line.contains(" offered=\"versions 1.3, suites 1301"),
        "{line}"
    );
    assert!(line.contains(", groups 001d"), "{line}");
}

#[test]
fn a_connection_tells_the_clients_fingerprint() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    client.exchange(b"GET / HTTP/1.0\r\n\r\n");
    let line = server.logged(&["event=connection ", " fingerprint="]);
    let value = line.split(" fingerprint=").nth(1).and_then(|rest| rest.split(' ').next()).expect("a value");
    assert!(value.len() == 36 && value.starts_with("t13"), "{line}");
}

#[test]
fn standard_error_that_nobody_reads_stops_nobody() {
    let backend = Backend::http();
    let (mut reader, writer) = pipe().expect("a pipe");
    // Another process that has the pipe may have made it non-blocking; here it blocks.
    let mut server = Server::start_into(&Config::new(&backend), writer.into());
    let sent = fill(&server);
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    drop(tls);
    // What is said at a reload and at the stop holds nobody up either.
    server.signal(Signal::HUP);
    server.wait("all connections to end", |s| s.metric("ttls_connections") == 0.0);
    let lost = server.metric("ttls_log_lines_lost_total");
    assert!(lost > 0.0);
    let text = Arc::new(Mutex::new(String::new()));
    let so_far = Arc::clone(&text);
    let read = thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = reader.read(&mut piece) {
            so_far.lock().expect("text").push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    });
    // What is said at the stop fits into the pipe, however slow this reader is.
    server.wait("the log to flow again", |_| text.lock().expect("text").contains("event=log left_out="));
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    read.join().expect("reader");
    let text = text.lock().expect("text");
    let (lines, left_out) = count(&text);
    assert!(text.contains("reason=\"its reader was too slow\""), "why lines are missing");
    assert!(text.contains("event=stop"), "the last line is there");
    // Other lines than connections' may be among those that are left out: of the reload, of the start.
    let connections = sent + 1;
    assert!(lines <= connections && lines + left_out >= connections, "{lines}, {left_out} of {connections}");
    assert!(left_out as f64 >= lost, "{left_out} told, {lost} counted");
}

#[test]
fn a_server_ends_whose_log_nobody_reads() {
    let backend = Backend::http();
    let (reader, writer) = pipe().expect("a pipe");
    let mut server = Server::start_into(&Config::new(&backend), writer.into());
    fill(&server);
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    drop(reader);
}

#[test]
fn a_fifo_whose_reader_comes_late_and_comes_back() {
    let backend = Backend::http();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    // Nobody has opened it yet.
    let mut server = Server::start(&Config::new(&backend).table(&logging_to(&path)));
    for _ in 0..2 {
        let mut tls = connect(server.address, &default_config());
        get(&mut tls, "/").expect("a response");
        drop(tls);
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let mut reader =
            fs::File::from(rustix::fs::open(&path, flags, Mode::empty()).expect("open the FIFO"));
        let mut text = String::new();
        server.wait("the line of the connection", |_| {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut piece) {
                text.push_str(std::str::from_utf8(&piece[..length]).expect("text"));
            }
            count(&text).0 == 1
        });
    }
}

fn logging_to(path: &Path) -> String {
    format!("[log]\nfile = {:?}\nerrors_per_second = 0", path.to_str().expect("text"))
}

#[test]
fn rotation_under_load_loses_no_line() {
    let backend = Backend::http();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    let config = Config::new(&backend).table(&logging_to(&path));
    let mut server = Server::start(&config);
    let load = Load::default();
    let address = server.address;
    thread::scope(|scope| {
        let _stop = load.until_dropped();
        for _ in 0..4 {
            scope.spawn(|| load.come_and_go(address));
        }
        for n in 0..8 {
            load.wait_for(20);
            fs::rename(&path, dir.path().join(format!("log.{n}"))).expect("rename");
            server.signal(Signal::HUP);
            server.wait("a new file", |_| path.exists());
        }
        // Another file altogether.
        load.wait_for(20);
        server.reload(&config.clone().table(&logging_to(&dir.path().join("log.8"))));
        load.wait_for(20);
    });
    server.signal(Signal::TERM);
    assert!(server.ended().success());
    let mut lines = 0;
    for entry in fs::read_dir(dir.path()).expect("the folder") {
        let (more, left_out) = count(&fs::read_to_string(entry.expect("an entry").path()).expect("a log"));
        assert_eq!(left_out, 0);
        lines += more;
    }
    assert_eq!(lines, load.requests(), "each connection has its line");
}

#[test]
fn a_full_disk_stops_nobody() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend).table(&logging_to("/dev/full".as_ref())));
    fill(&server);
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    drop(tls);
    // A reload finds room: the log says what is missing, and why.
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("log");
    server.reload(&Config::new(&backend).table(&logging_to(&path)));
    server.wait("the log", |_| {
        fs::read_to_string(&path).is_ok_and(|text| text.contains("reason=\"No space left on device"))
    });
    assert!(count(&fs::read_to_string(&path).expect("the log")).1 > 0);
}

#[test]
fn a_key_log_that_nobody_reads_stops_nobody() {
    let backend = Backend::http();
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("keys");
    mknodat(rustix::fs::CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let server = Server::start_with(&Config::new(&backend), &["--keylog", path.to_str().expect("text")]);
    // Five lines of a connection are more than 800 bytes: the pipe is full long before the end.
    for _ in 0..120 {
        let mut tls = connect(server.address, &default_config());
        get(&mut tls, "/").expect("a response");
    }
}

#[test]
fn healthy_clients_are_no_warnings() {
    let backend = Backend::http();
    let table = "[log]\nconnections = \"errors\"\nerrors_per_second = 0";
    let mut server = Server::start(&Config::new(&backend).table(table));
    // Health checks, and a client that leaves without close_notify when it has what it asked for.
    for _ in 0..3 {
        drop(TcpStream::connect(server.address).expect("connect"));
    }
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    tls.sock.shutdown(Shutdown::Both).expect("shut down");
    // And one that is wrong here.
    let mut stream = TcpStream::connect(server.address).expect("connect");
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("send");
    let _ = stream.read(&mut [0; 100]);
    server.logged(&["level=warn event=connection", "not TLS"]);
    server.wait("all connections to end", |s| {
        s.metric("ttls_connections_accepted_total") == 5.0 && s.metric("ttls_connections") == 0.0
    });
    let log = server.log_text();
    assert_eq!(log.matches("event=connection").count(), 1, "{log}");
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The address for metrics: slow clients hold up no others, and its health goes with the drain.

use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use rustix::process::Signal;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

fn ask(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.metrics).expect("connect to the metrics address");
    stream.write_all(request.as_bytes()).expect("send");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("receive");
    answer
}

#[test]
fn a_slow_client_holds_up_no_other_and_has_one_deadline() {
    let backend = Backend::http();
    let server = Server::start(&Config::new(&backend));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut slow = TcpStream::connect(server.metrics).expect("connect");
                slow.set_nonblocking(true).expect("non-blocking");
                // A byte now and then, for ever.
                loop {
                    let sent = slow.write(b"G");
                    let received = slow.read(&mut [0; 100]);
                    if sent.is_err() || !matches!(&received, Err(e) if e.kind() == ErrorKind::WouldBlock) {
                        break;
                    }
                    thread::sleep(Duration::from_millis(200));
                }
            });
        }
        assert!(server.metrics_text().contains("ttls_connections 0\n"));
    });
}

#[test]
fn health_goes_with_the_drain() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let health = |server: &Server| ask(server, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(health(&server).starts_with("HTTP/1.1 200 OK\r\n"));
    let head = ask(&server, "HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    server.signal(Signal::TERM);
    server.wait("the health to go", |s| health(s).starts_with("HTTP/1.1 503 "));
    assert_eq!(server.metric("ttls_draining"), 1.0);
    drop(tls);
    assert!(server.ended().success());
}

// The conventions that `promtool check metrics` looks at.
#[test]
fn metrics_follow_the_conventions_and_tell_of_reloads() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend));
    let page = server.metrics_text();
    let mut kinds = HashMap::new();
    for line in page.lines().skip_while(|line| !line.is_empty()).filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "twice: {line}");
        } else if !line.starts_with("# HELP ") {
            let name = line.split([' ', '{']).next().expect("a name");
            assert!(kinds.contains_key(name), "without type: {line}");
            assert!(line.rsplit(' ').next().is_some_and(|value| value.parse::<f64>().is_ok()), "{line}");
        }
    }
    for name in
        ["process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total", "ttls_build_info"]
    {
        assert!(server.metric(name) > 0.0, "{name}");
    }
    assert_eq!(server.metric("ttls_config_last_reload_successful"), 1.0);
    let first = server.metric("ttls_config_last_reload_success_timestamp_seconds");
    server.reload(&Config::bare("nonsense"));
    server.wait("a reload that fails", |s| s.metric("ttls_config_last_reload_successful") == 0.0);
    assert_eq!(server.metric("ttls_config_last_reload_success_timestamp_seconds"), first);
    server.reload(&Config::new(&backend));
    server.wait("a reload", |s| s.metric("ttls_config_last_reload_successful") == 1.0);
    assert!(server.metric("ttls_config_last_reload_success_timestamp_seconds") > first);
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PROXY protocol on both sides, backends of all kinds, and time-outs.

use harness::backend::{Backend, http};
use harness::client::{connect, default_config, get, try_connect};
use harness::raw::{Client, ClientHello, KeyShare};
use harness::server::{Config, Server};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

fn page(server: &Server) -> String {
    let mut tls = connect(server.address, &default_config());
    String::from_utf8(get(&mut tls, "/").expect("a response")).expect("text")
}

#[test]
fn version_1_version_2_and_none() {
    let backend = Backend::http();
    let with = |version: &str| {
        let config = Config::new(&backend).table(&format!("[proxy_protocol]\nto_backend = {version:?}"));
        page(&Server::start(&config))
    };
    assert!(with("off").contains("proxy=none\n"));
    let v1 = with("v1");
    assert!(v1.contains("proxy=1\n") && v1.contains("line=PROXY TCP4 127.0.0.1 127."), "{v1}");
    let v2 = with("v2");
    for told in [
        "proxy=2",
        "source=127.0.0.1 ",
        "destination=127.",
        "sni=ttls.test",
        "version=TLSv1.3",
        "client=0x01",
    ] {
        assert!(v2.contains(told), "{told} is not in:\n{v2}");
    }
}

/// The client's fingerprint goes to the backend under the number that the operator says, and is the one in the log.
#[test]
fn the_fingerprint_has_the_number_of_the_configuration() {
    let backend = Backend::http();
    let table = "[proxy_protocol]\nto_backend = \"v2\"\nfingerprint_tlv = ";
    let mut server = Server::start(&Config::new(&backend).table(&format!("{table}0xF0")));
    let told = |server: &Server, number: &str| {
        let page = page(server);
        let line =
            page.lines().find_map(|line| line.strip_prefix(number)?.strip_prefix('=').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {number} in:\n{page}"))
    };
    let fingerprint = told(&server, "0xf0");
    assert!(fingerprint.len() == 36 && fingerprint.starts_with("t13d"), "{fingerprint}");
    server.logged(&[&format!("fingerprint={fingerprint} ")]);
    server.reload(&Config::new(&backend).table(&format!("{table}0xE2")));
    server.wait("the new number", |s| page(s).contains("0xe2="));
    assert_eq!(told(&server, "0xe2"), fingerprint);
    server.reload(&Config::new(&backend).table(&format!("{table}0xE1")));
    server.logged(&["is the number of the subject"]);
    assert_eq!(told(&server, "0xe2"), fingerprint, "the configuration before it goes on");
}

#[test]
fn headers_from_a_load_balancer() {
    let backend = Backend::http();
    let config =
        Config::new(&backend).table("[proxy_protocol]\nto_backend = \"v2\"\nfrom_client = \"required\"");
    let mut server = Server::start(&config);
    let v2 =
        [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[203, 0, 113, 9, 192, 0, 2, 1], &[0x12, 0x34, 1, 187]]
            .concat();
    for (header, source) in [
        (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n".to_vec(), "203.0.113.7 56324"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n".to_vec(), "2001:db8::7 56324"),
        // More than fits any storage of a handshake.
        ([&v2[..14], &60_012_u16.to_be_bytes(), &v2[16..], &[0; 60_000]].concat(), "203.0.113.9 4660"),
        ([&b"\r\n\r\n\0\r\nQUIT\n\x20\x41\xff\xff"[..], &[7; 65_535]].concat(), "127.0.0.1 "),
        (v2, "203.0.113.9 4660"),
    ] {
        let mut tls = connect(server.address, &default_config());
        tls.sock.write_all(&header).expect("send");
        let page = String::from_utf8(get(&mut tls, "/").expect("a response")).expect("text");
        assert!(page.contains(&format!("source={source}")), "{page}");
    }
    server.logged(&["peer=203.0.113.9:4660 "]);

    // Without a header, or with a broken one, there is no service.
    for start in [&b""[..], b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c0123456789ab"] {
        let mut client = Client::connect(server.address);
        client.send_raw(start);
        client.send_message(&ClientHello::tls13(&[&KeyShare::x25519()]).encode());
        assert!(client.closed(), "{start:?}");
    }
}

#[test]
fn unix_sockets_and_routes_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let main = Backend::unix(dir.path().join("main.sock"), http);
    let other = Backend::unix(dir.path().join("other.sock"), http);
    let route =
        format!("[[route]]\nnames = [\"ttls.test\"]\nbackend = \"unix:{}/other.sock\"", dir.path().display());
    let server = Server::start(&Config::new(&main).table(&route));
    assert!(page(&server).contains("sni=ttls.test\n"));
    assert_eq!((main.accepted(), other.accepted()), (0, 1));
    // Without a name: the main backend.
    let share = KeyShare::x25519();
    let mut hello = ClientHello::tls13(&[&share]);
    hello.remove(harness::raw::extension::SERVER_NAME);
    let mut client = Client::connect(server.address);
    client.establish13(&hello, &share);
    assert!(client.exchange(b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.1 200"));
    assert_eq!((main.accepted(), other.accepted()), (1, 1));
}

#[test]
fn a_backend_that_is_down_is_named_in_the_log() {
    let nobody = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("own address");
    let config = Config::bare(&nobody.to_string()).certificate("ecdsa.pem", "ecdsa.key");
    let mut server = Server::start(&config);
    let mut tls = connect(server.address, &default_config());
    assert!(get(&mut tls, "/").is_err());
    let line = server.logged_connection(tls.sock.local_addr().expect("own address"));
    assert!(line.contains(&nobody.to_string()) && !line.contains("result=ok"), "{line}");
}

#[test]
fn time_outs() {
    let backend = Backend::tcp(|mut stream| stream.read_to_end(&mut Vec::new()).map(|_| ()));
    let config = Config::bare(&harness::server::backend_text(&backend.address))
        .certificate("ecdsa.pem", "ecdsa.key")
        .table("[timeouts]\nhandshake = \"1s\"\nidle = \"2s\"");
    let mut server = Server::start(&config);

    let began = Instant::now();
    let mut client = Client::connect(server.address);
    let peer = client.stream.local_addr().expect("own address");
    client.send_raw(&[22, 3, 1]);
    assert!(client.closed(), "a handshake that never ends");
    assert!(began.elapsed() >= Duration::from_millis(900), "closed too early: {:?}", began.elapsed());
    assert!(!server.logged_connection(peer).contains("result=ok"));

    let began = Instant::now();
    let share = KeyShare::x25519();
    let mut client = Client::connect(server.address);
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    client.end();
    assert!(client.closed(), "an idle connection");
    assert!(began.elapsed() >= Duration::from_millis(1900), "closed too early: {:?}", began.elapsed());
}

#[test]
fn limits_on_connections() {
    let backend = Backend::http();
    let config = Config::new(&backend).table("[limits]\nconnections = 20\nper_prefix = 10");
    let server = Server::start(&config);
    let from = |host: &str| {
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
                .expect("a socket");
        let source: std::net::SocketAddrV4 = format!("{host}:0").parse().expect("an address");
        rustix::net::bind(&socket, &source).expect("bind");
        rustix::net::connect(&socket, &server.address).expect("connect");
        TcpStream::from(socket)
    };
    let served = |stream: TcpStream| {
        let share = KeyShare::x25519();
        let mut client = Client::over(stream);
        client.send_message(&ClientHello::tls13(&[&share]).encode());
        client.receive_record().is_ok().then_some(client)
    };
    let mut kept: Vec<_> = (0..12).filter_map(|_| served(from("127.9.9.1"))).collect();
    assert_eq!(kept.len(), 10, "from one address");
    kept.extend((0..12).filter_map(|_| served(from("127.9.9.2"))));
    assert_eq!(kept.len(), 20, "in all");
    assert!(served(from("127.9.9.3")).is_none(), "past the limit");
    drop(kept);
    let mut tries = 0;
    while try_connect(server.address, &default_config()).and_then(|mut tls| get(&mut tls, "/")).is_err() {
        tries += 1;
        assert!(tries < 500, "no room after all have gone");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn limits_behind_a_header_are_asked_before_any_work() {
    let backend = Backend::http();
    let config = Config::new(&backend)
        .table("[limits]\nper_prefix = 2")
        .table("[proxy_protocol]\nfrom_client = \"required\"");
    let mut server = Server::start(&config);
    let address = server.address;
    let begin = |source: &str| {
        let share = KeyShare::x25519();
        let mut client = Client::connect(address);
        client.send_raw(format!("PROXY TCP4 {source} 192.0.2.1 56324 443\r\n").as_bytes());
        client.send_message(&ClientHello::tls13(&[&share]).encode());
        client
    };
    let mut kept: Vec<Client> = (0..2).map(|_| begin("203.0.113.7")).collect();
    for client in &mut kept {
        client.receive_record().expect("a ServerHello");
    }
    let jobs = server.metric("ttls_public_key_jobs_total");
    assert!(jobs >= 2.0, "{jobs}");
    // The header alone is enough to know, and so is a hello with it; each is closed, and no other source suffers.
    for _ in 0..8 {
        let mut refused = begin("203.0.113.7");
        assert!(refused.receive_record().is_err() && refused.closed());
    }
    assert_eq!(server.metric("ttls_public_key_jobs_total"), jobs, "work for who is over the limit");
    begin("203.0.113.8").receive_record().expect("a ServerHello for another source");
    server.logged(&["peer=203.0.113.7:56324 ", "limits.per_prefix"]);
    drop(kept);
    // The places are given back.
    server.wait("places", |_| begin("203.0.113.7").receive_record().is_ok());
}

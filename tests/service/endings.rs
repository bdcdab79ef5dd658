// SPDX-License-Identifier: MIT OR Apache-2.0
//! How connections end: what had arrived whole is not lost, a part does not look like the whole, and nothing follows the last
//! record.

use harness::backend::{Backend, Stream, pattern};
use harness::raw::{Client, ClientHello, End, Version, alert, content, handshake, message};
use harness::server::{Config, Server, backend_text};
use rustix::process::Signal;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

fn establish(stream: TcpStream, version: Version) -> Client {
    let mut client = Client::over(stream);
    client.establish(version);
    client
}

fn connect(address: SocketAddr, version: Version) -> Client {
    establish(TcpStream::connect(address).expect("connect"), version)
}

/// A connection whose kernel takes little before the client reads.
fn connect_narrow(address: SocketAddr, version: Version) -> Client {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)
        .expect("a socket");
    rustix::net::sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("a small buffer");
    rustix::net::connect(&socket, &address).expect("connect");
    establish(TcpStream::from(socket), version)
}

fn server(backend: &str, tables: &[&str]) -> Server {
    let config =
        Config::bare(backend).certificate("ecdsa.pem", "ecdsa.key").table("[log]\nerrors_per_second = 0");
    Server::start(&tables.iter().fold(config, |config, table| config.table(table)))
}

/// Application data up to the end of the stream, and how it ended: all alerts, then the end. Follows KeyUpdates.
fn read_all(client: &mut Client) -> (Vec<u8>, Vec<End>) {
    let (mut data, mut ends) = (Vec::new(), Vec::new());
    loop {
        match client.receive_record() {
            Ok(record) if record.kind == content::APPLICATION_DATA => {
                assert!(ends.is_empty(), "data after {ends:?}");
                data.extend_from_slice(&record.body);
            }
            Ok(record) if record.kind == content::HANDSHAKE && record.body[0] == message::KEY_UPDATE => {
                client.open.as_mut().expect("keys").update();
            }
            Ok(record) => assert_eq!(record.kind, content::HANDSHAKE, "a ticket"),
            Err(alert @ End::Alert(..)) => ends.push(alert),
            Err(end) => {
                ends.push(end);
                return (data, ends);
            }
        }
    }
}

const CLOSE_NOTIFY: End = End::Alert(1, alert::CLOSE_NOTIFY);
const INTERNAL_ERROR: End = End::Alert(2, alert::INTERNAL_ERROR);

/// A client that does not read asks for answers of TLS itself while a response is unsent: every byte of the response still comes
/// once, with the answers between them, and the server serves on.
#[test]
fn answers_behind_a_response_that_is_unsent() {
    const LENGTH: usize = 12 << 20;
    let mut server = server(&format!("static:{}KiB", LENGTH >> 10), &[]);
    for version in Version::BOTH {
        let mut client = connect_narrow(server.address, version);
        client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.0\r\n\r\n");
        let out = |server: &Server| server.metric("ttls_bytes_total");
        let mut before = 0.0;
        server.wait("the response to stand still", |s| {
            out(s) > 0.0 && out(s) == std::mem::replace(&mut before, out(s))
        });
        let mut asked = 0;
        for _ in 0..8 {
            match version {
                Version::Tls13 => {
                    let keys = client.seal.as_mut().expect("keys");
                    let record = keys.seal(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[1]));
                    keys.update();
                    client.send_raw(&record);
                }
                Version::Tls12 => client.send_record(content::HANDSHAKE, &ClientHello::tls12().encode()),
            }
            asked += 1;
        }
        assert!(server.alive(), "{version:?}: the server died:\n{}", server.log_text());
        let (mut data, mut answers) = (0, 0);
        let ends = loop {
            match client.receive_record() {
                Ok(record) if record.kind == content::APPLICATION_DATA => data += record.body.len(),
                Ok(record) if record.body[0] == message::KEY_UPDATE => {
                    client.open.as_mut().expect("keys").update();
                    answers += 1;
                }
                Ok(_) => {} // tickets
                Err(End::Alert(1, alert::NO_RENEGOTIATION)) => answers += 1,
                Err(end) => break [end].into_iter().chain(client.ends()).collect::<Vec<_>>(),
            }
        };
        assert!(data > LENGTH && data < LENGTH + 512, "{version:?}: {data} bytes of {LENGTH} and a head");
        assert_eq!(answers, asked, "{version:?}");
        assert_eq!(ends, [CLOSE_NOTIFY, End::Eof], "{version:?}");
    }
    served(&server);
}

#[track_caller]
fn served(server: &Server) {
    let mut client = connect(server.address, Version::Tls13);
    assert!(client.exchange(b"GET / HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.1 200"));
}

/// Backends that refuse while connect() runs: the client hears of it, and nothing stays counted.
#[test]
fn a_backend_that_refuses_at_once_leaves_no_count_behind() {
    let dir = tempfile::tempdir().expect("a folder");
    let dead = dir.path().join("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket nobody listens on"));
    for path in [dir.path().join("none"), dead] {
        let mut server = server(&format!("unix:{}", path.display()), &["[limits]\nhalf_open = 4"]);
        for version in Version::BOTH.into_iter().cycle().take(10) {
            let mut client = connect(server.address, version);
            assert_eq!(client.ends(), [INTERNAL_ERROR, End::Eof]);
        }
        server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
        assert_eq!(server.metric("ttls_connections_half_open"), 0.0);
        assert_eq!(server.metric("ttls_buffers"), 0.0);
    }
}

/// Sends a part of a response that the end of the stream delimits, then nothing.
fn half_a_response(mut stream: Box<dyn Stream>) -> io::Result<()> {
    stream.read_exact(&mut [0; 3])?;
    stream.write_all(b"half of the ")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

#[test]
fn a_response_that_is_cut_does_not_look_whole() {
    let backend = Backend::tcp(half_a_response);
    for version in Version::BOTH {
        let mut server =
            server(&backend_text(&backend.address), &["[timeouts]\nidle = \"1s\"\ndrain = \"1s\""]);
        for drained in [false, true] {
            let mut client = connect(server.address, version);
            client.send_record(content::APPLICATION_DATA, b"GET");
            let mut data = Vec::new();
            while data != b"half of the " {
                let record = client.receive_record().expect("half a response");
                if record.kind == content::APPLICATION_DATA {
                    data.extend_from_slice(&record.body);
                }
            }
            if drained {
                server.signal(Signal::TERM);
            }
            assert_eq!(client.ends(), [INTERNAL_ERROR, End::Eof], "{version:?}, drained: {drained}");
        }
        server.ended();
    }
}

/// A time-out that is shorter than the one for connecting counts from the last byte, too.
#[test]
fn an_idle_time_out_comes_in_time() {
    let backend = Backend::tcp(half_a_response);
    let server = server(&backend_text(&backend.address), &["[timeouts]\nconnect = \"60s\"\nidle = \"1s\""]);
    let mut client = connect(server.address, Version::Tls13);
    client.send_record(content::APPLICATION_DATA, b"GET");
    // Long before the 60 s of connecting; [`harness::raw::SILENCE`] is 20 s.
    assert_eq!(client.ends(), [INTERNAL_ERROR, End::Eof]);
}

/// Reads everything at its leisure, and says how much there was and how it ended.
fn slow_reader(
    report: mpsc::Sender<(Vec<u8>, bool)>,
) -> impl Fn(Box<dyn Stream>) -> io::Result<()> + Send + Sync {
    let report = std::sync::Mutex::new(report);
    move |mut stream| {
        let (mut all, mut piece) = (Vec::new(), vec![0; 65_536]);
        let orderly = loop {
            thread::sleep(Duration::from_millis(2));
            match stream.read(&mut piece) {
                Ok(0) => break true,
                Ok(n) => all.extend_from_slice(&piece[..n]),
                Err(_) => break false,
            }
        };
        report.lock().expect("one test").send((all, orderly)).expect("the test waits");
        Ok(())
    }
}

/// Clients that write, and go in various ways: what they had sent reaches the backend, which can tell a part from the whole.
#[test]
fn what_had_arrived_reaches_a_slow_backend() {
    const LENGTH: usize = 1_500_000;
    let (report, reported) = mpsc::channel();
    let backend = Backend::tcp(slow_reader(report));
    let mut server = server(&backend_text(&backend.address), &[]);
    let sent = pattern(LENGTH);
    for version in Version::BOTH {
        for ending in ["close_notify", "FIN", "close", "bad record"] {
            let mut client = connect(server.address, version);
            let peer = client.stream.local_addr().expect("own address");
            for piece in sent.chunks(16_000) {
                client.send_record(content::APPLICATION_DATA, piece);
            }
            match ending {
                "close_notify" => client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]),
                "FIN" => {
                    client.shut();
                    assert_eq!(client.ends(), [End::Eof], "{version:?}");
                }
                "bad record" => {
                    client.send_raw(&[23, 3, 3, 0, 40]);
                    client.send_raw(&[0; 40]);
                    assert_eq!(
                        client.ends(),
                        [End::Alert(2, alert::BAD_RECORD_MAC), End::Eof],
                        "{version:?}"
                    );
                }
                _ => {}
            }
            if ending == "close_notify" {
                assert_eq!(read_all(&mut client).1, [CLOSE_NOTIFY, End::Eof], "{version:?}");
            }
            drop(client);
            let (received, orderly) =
                reported.recv_timeout(Duration::from_secs(60)).expect("the backend sees an end");
            let line = server.logged_connection(peer);
            let taken: usize = line
                .split_once(" in=")
                .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok())
                .expect("a count in the log");
            // A reset throws away what the client's own kernel had yet to send; nothing that the server has taken is lost.
            let owed = if ending == "close" { taken } else { LENGTH };
            assert!(received[..] == sent[..received.len()], "{version:?}, {ending}: bytes in order");
            assert!(received.len() >= owed, "{version:?}, {ending}: {} of {owed} bytes", received.len());
            assert_eq!(
                orderly,
                ending == "close_notify",
                "{version:?}, {ending}: the backend's view of the end"
            );
        }
    }
    server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
    assert_eq!(server.metric("ttls_buffers"), 0.0);
}

/// A backend that answers and closes while the client still writes: the client gets the answer.
#[test]
fn an_early_answer_reaches_a_client_that_writes() {
    const LENGTH: usize = 200_000;
    let backend = Backend::tcp(|mut stream| {
        stream.read_exact(&mut [0; 100])?;
        thread::sleep(Duration::from_millis(20));
        // Closed with bytes unread: the kernel sends a reset.
        stream.write_all(&pattern(LENGTH))
    });
    let mut server = server(&backend_text(&backend.address), &[]);
    for version in Version::BOTH.into_iter().cycle().take(6) {
        let mut client = connect(server.address, version);
        let peer = client.stream.local_addr().expect("own address");
        for _ in 0..60 {
            client.send_record(content::APPLICATION_DATA, &[0; 16_000]);
            thread::sleep(Duration::from_millis(2));
        }
        let (data, ends) = read_all(&mut client);
        drop(client);
        assert!(matches!(ends[..], [CLOSE_NOTIFY | INTERNAL_ERROR, End::Eof]), "{version:?}: {ends:?}");
        let line = server.logged_connection(peer);
        assert!(
            line.contains(&format!(" out={} ", data.len())),
            "{version:?}: {} bytes came: {line}",
            data.len()
        );
        assert!(data[..] == pattern(LENGTH)[..data.len()], "{version:?}: bytes in order");
    }
}

/// timeouts.close does not cut what is under way on the half that is open.
#[test]
fn a_half_closed_connection_may_take_its_time() {
    let backend = Backend::tcp(|mut stream| {
        stream.read_to_end(&mut Vec::new())?;
        thread::sleep(Duration::from_secs(3));
        stream.write_all(b"late")
    });
    let server = server(&backend_text(&backend.address), &["[timeouts]\nclose = \"1s\"\nidle = \"60s\""]);
    for version in Version::BOTH {
        let mut client = connect(server.address, version);
        client.send_record(content::APPLICATION_DATA, b"slow");
        client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
        assert_eq!(read_all(&mut client), (b"late".to_vec(), vec![CLOSE_NOTIFY, End::Eof]), "{version:?}");
    }
}

/// Whoever never ends its half after the server's close is let go after timeouts.close.
#[test]
fn a_client_that_never_closes_is_let_go() {
    let backend = Backend::tcp(|mut stream| stream.write_all(b"goodbye"));
    let mut server = server(&backend_text(&backend.address), &["[timeouts]\nclose = \"1s\""]);
    let mut client = connect(server.address, Version::Tls13);
    let peer = client.stream.local_addr().expect("own address");
    assert_eq!(read_all(&mut client), (b"goodbye".to_vec(), vec![CLOSE_NOTIFY, End::Eof]));
    assert!(server.logged_connection(peer).contains("close timeout"));
    server.wait("it to go", |s| s.metric("ttls_connections") == 0.0);
}

#[test]
fn an_upload_that_goes_on_after_a_built_in_answer_is_borne() {
    let server = server("static:1KiB", &[]);
    for version in Version::BOTH {
        let mut client = connect(server.address, version);
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n";
        client.send_record(content::APPLICATION_DATA, head);
        let mut answer = Vec::new();
        let end = loop {
            match client.receive_record() {
                Ok(record) if record.kind == content::APPLICATION_DATA => answer.extend(record.body),
                Ok(record) => assert_eq!(record.kind, content::HANDSHAKE, "a ticket"),
                Err(end) => break end,
            }
        };
        assert_eq!(end, CLOSE_NOTIFY);
        assert!(answer.starts_with(b"HTTP/1.1 200 ") && answer.len() > 1024);
        // It has the answer, and goes on for a while: who resets it now may reset it before it has read.
        let keys = client.seal.as_mut().expect("keys");
        for _ in 0..20 {
            let record = keys.seal(content::APPLICATION_DATA, &[b'x'; 1024]);
            client.stream.write_all(&record).expect("nobody has reset the connection");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(client.end(), End::Eof);
    }
}

#[test]
fn a_client_that_never_reads_its_last_bytes_holds_up_nobody() {
    // More than a narrow client's kernel takes, and little enough for the server's: everything is sent, and not delivered.
    let backend = Backend::tcp(|mut stream| {
        let _ = stream.read(&mut [0; 100])?;
        stream.write_all(&pattern(12 << 10))
    });
    let config = Config::bare(&backend_text(&backend.address)).certificate("ecdsa.pem", "ecdsa.key");
    let server = Server::start(&config.top("workers = 1").table("[timeouts]\nclose = \"1s\""));
    for version in Version::BOTH {
        let mut client = connect_narrow(server.address, version);
        client.send_record(content::APPLICATION_DATA, b"?");
        // Past `timeouts.close`: from here on, TCP is asked whether it has got rid of its bytes.
        thread::sleep(Duration::from_millis(2500));
        let mut other = connect(server.address, version);
        other.send_record(content::APPLICATION_DATA, b"?");
        assert_eq!(read_all(&mut other).0.len(), 12 << 10, "{version:?}");
        let (data, ends) = read_all(&mut client);
        assert_eq!((data.len(), ends), (12 << 10, vec![CLOSE_NOTIFY, End::Eof]), "{version:?}");
    }
}

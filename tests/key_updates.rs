// SPDX-License-Identifier: MIT OR Apache-2.0
//! `key-updates follows|closes`: KeyUpdates on connections that `ttls.ko` accepts (RFC 8446 §4.6.3), on a kernel whose kTLS
//! can take new keys or can not. For the kernel module's tests, in their guest, with `ttls` in the working folder.
//!
//! It is the server, put behind TLS by `ttls ctl attach`, and the client, whose every record the test decides.

use harness::kernel;
use harness::raw::{Client, ClientHello, End, KeyShare, alert, content, handshake, message};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::net::{RecvFlags, SendFlags};
use rustix::pipe::SpliceFlags;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use std::{fs, thread};

const PORT: u16 = 8446;
const PATIENCE: Timespec = Timespec { tv_sec: 20, tv_nsec: 0 };
/// Longer than what was sent is under way.
const A_WHILE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const SILENT: &[u8] = &[message::KEY_UPDATE, 0, 0, 1, 0];
const REQUESTED: &[u8] = &[message::KEY_UPDATE, 0, 0, 1, 1];

static LISTENER: LazyLock<TcpListener> = LazyLock::new(|| kernel::listen(PORT));

type Test = (&'static str, fn());

const FOLLOWS: &[Test] = &[
    ("data before, between and after KeyUpdates that came in one segment is read", in_one_segment),
    ("poll() follows a KeyUpdate alone, and there is nothing to read", alone),
    ("a request is answered under the old key, then comes data under the new one", answered),
    ("five requests in a row are answered, by one KeyUpdate or more", in_a_row),
    ("edge-triggered epoll tells of data behind a KeyUpdate", edges),
    ("MSG_PEEK goes as far as the KeyUpdate, and poll() and read() go on", peeked),
    ("MSG_WAITALL waits for data behind a KeyUpdate", wait_for_all),
    ("splice() takes data before and behind KeyUpdates", spliced),
    ("a client sends, and has its data sent back, as it renews its keys", echoed),
    ("the answer waits where TCP has no room, and goes before the next data", no_room),
    ("what MSG_MORE holds back goes under the old key", held_back),
    ("a reader does not wait for a writer that TCP stops", blocked_writer),
    ("a writer of much, whose client renews its keys again and again", busy_writer),
    ("a KeyUpdate cut across records is refused", || refused(&SILENT[..3], alert::UNEXPECTED_MESSAGE)),
    ("two in one record are refused", || {
        refused(&[SILENT, SILENT].concat(), alert::UNEXPECTED_MESSAGE);
    }),
    ("one with another value is refused", || {
        refused(&handshake(message::KEY_UPDATE, &[2]), alert::ILLEGAL_PARAMETER);
    }),
    ("one of another length is refused", || {
        refused(&handshake(message::KEY_UPDATE, &[0, 0]), alert::DECODE_ERROR);
    }),
    ("another message is refused", || {
        refused(&handshake(message::NEW_SESSION_TICKET, &[0; 20]), alert::UNEXPECTED_MESSAGE);
    }),
    ("32 without data are borne, the next is refused", flood),
    ("data before a bad one is read, then comes ECONNRESET", bad_behind_data),
    ("the server renews its key after so many records", worn),
    ("openssl's K and k, with data both ways between them", openssl),
];

const CLOSES: &[Test] = &[
    ("a KeyUpdate is answered with close_notify, and reads as ECONNRESET", || closed(SILENT)),
    ("a request as well", || closed(REQUESTED)),
];

const BOTH: &[Test] = &[("a renegotiation of TLS 1.2 is answered with close_notify", renegotiation)];

fn main() -> ExitCode {
    let tests = match std::env::args().nth(1).as_deref() {
        Some("follows") => FOLLOWS,
        Some("closes") => CLOSES,
        _ => panic!("key-updates follows|closes"),
    };
    let mut failed = 0;
    for (sentence, test) in tests.iter().chain(BOTH) {
        // Where it went wrong is on standard error.
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        println!("{} {sentence}", if passed { "ok  " } else { "FAIL" });
        failed += u8::from(!passed);
    }
    ExitCode::from(failed)
}

/// Both ends of a connection of TLS 1.3.
fn connection() -> (Client, TcpStream) {
    let listener = &*LISTENER;
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, PORT).into());
    let share = KeyShare::x25519();
    client.establish13(&ClientHello::tls13(&[&share]), &share);
    let (server, _) = listener.accept().expect("accept");
    server.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    (client, server)
}

/// Seals data, or a KeyUpdate after which the client's key is another.
fn sealed(client: &mut Client, pieces: &[&[u8]]) -> Vec<u8> {
    let keys = client.seal.as_mut().expect("keys");
    let mut bytes = Vec::new();
    for &piece in pieces {
        let update = piece == SILENT || piece == REQUESTED;
        bytes.extend(keys.seal(if update { content::HANDSHAKE } else { content::APPLICATION_DATA }, piece));
        if update {
            keys.update();
        }
    }
    bytes
}

fn send(client: &mut Client, pieces: &[&[u8]]) {
    let bytes = sealed(client, pieces);
    client.send_raw(&bytes);
}

/// What the client receives next.
#[derive(Debug, PartialEq, Eq)]
enum Received {
    Data(Vec<u8>),
    Update,
}

fn receive(client: &mut Client) -> Received {
    loop {
        let record = client.receive_record().expect("a record");
        match (record.kind, record.body.first()) {
            (content::APPLICATION_DATA, _) => return Received::Data(record.body),
            (content::HANDSHAKE, Some(&message::NEW_SESSION_TICKET)) => {}
            _ => {
                assert_eq!((record.kind, &record.body[..]), (content::HANDSHAKE, SILENT));
                client.open.as_mut().expect("keys").update();
                return Received::Update;
            }
        }
    }
}

/// Receives so many bytes of data; also returns the KeyUpdates among them.
fn receive_data(client: &mut Client, len: usize) -> (Vec<u8>, usize) {
    let (mut data, mut updates) = (Vec::new(), 0);
    while data.len() < len {
        match receive(client) {
            Received::Data(more) => data.extend(more),
            Received::Update => updates += 1,
        }
    }
    (data, updates)
}

#[track_caller]
fn expect(mut server: &TcpStream, data: &[u8]) {
    let mut read = vec![0; data.len()];
    server.read_exact(&mut read).expect("data");
    assert_eq!(read, data);
}

fn is_readable(server: &TcpStream, patience: Timespec) -> bool {
    poll(&mut [PollFd::new(server, PollFlags::IN)], Some(&patience)).expect("poll") == 1
}

#[track_caller]
fn expect_nothing(mut server: &TcpStream) {
    server.set_nonblocking(true).expect("O_NONBLOCK");
    let read = server.read(&mut [0; 16]);
    server.set_nonblocking(false).expect("O_NONBLOCK");
    assert_eq!(read.expect_err("nothing to read").kind(), ErrorKind::WouldBlock);
}

#[track_caller]
fn expect_reset(mut server: &TcpStream) {
    let read = server.read(&mut [0; 16]);
    assert_eq!(read.expect_err("an error").kind(), ErrorKind::ConnectionReset);
    assert_eq!(server.read(&mut [0; 16]).expect("after it, the end of the file"), 0);
    assert_eq!(server.write(b"x").expect_err("nothing goes out").kind(), ErrorKind::BrokenPipe);
}

fn expect_alert(client: &mut Client, level: u8, description: u8) {
    assert_eq!(client.end(), End::Alert(level, description));
}

/// Bytes that differ from place to place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at * 7 + at / 251) % 256).expect("a byte")).collect()
}

fn in_one_segment() {
    let (mut client, server) = connection();
    send(&mut client, &[b"one", SILENT, b"two", SILENT, SILENT, b"three"]);
    expect(&server, b"onetwothree");
    (&server).write_all(b"back").expect("write");
    assert_eq!(receive(&mut client), Received::Data(b"back".to_vec()));
}

fn alone() {
    let (mut client, server) = connection();
    assert!(!is_readable(&server, NOW));
    send(&mut client, &[SILENT]);
    assert!(!is_readable(&server, A_WHILE));
    expect_nothing(&server);
    assert!(!is_readable(&server, NOW));
    send(&mut client, &[b"x"]);
    assert!(is_readable(&server, PATIENCE));
    expect(&server, b"x");
}

fn answered() {
    let (mut client, server) = connection();
    (&server).write_all(b"old").expect("write");
    send(&mut client, &[REQUESTED]);
    assert!(!is_readable(&server, A_WHILE));
    expect_nothing(&server);
    (&server).write_all(b"new").expect("write");
    assert_eq!(receive(&mut client), Received::Data(b"old".to_vec()));
    assert_eq!(receive(&mut client), Received::Update);
    assert_eq!(receive(&mut client), Received::Data(b"new".to_vec()));
}

fn in_a_row() {
    let (mut client, server) = connection();
    send(&mut client, &[REQUESTED, REQUESTED, REQUESTED, REQUESTED, REQUESTED, b"x"]);
    expect(&server, b"x");
    (&server).write_all(b"done").expect("write");
    let (data, updates) = receive_data(&mut client, 4);
    assert_eq!(data, b"done");
    assert!((1..=5).contains(&updates), "{updates} answers");
}

fn edges() {
    let (mut client, server) = connection();
    let set = epoll::create(epoll::CreateFlags::empty()).expect("epoll_create");
    epoll::add(&set, &server, epoll::EventData::new_u64(0), epoll::EventFlags::IN | epoll::EventFlags::ET)
        .expect("epoll_ctl");
    send(&mut client, &[b"one", SILENT, b"two", REQUESTED, b"three"]);
    let mut data: Vec<u8> = Vec::new();
    while data.len() < 11 {
        let mut events =
            [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
        assert_eq!(epoll::wait(&set, &mut events, Some(&PATIENCE)).expect("epoll_wait"), 1, "an edge");
        // As servers do: a read that fills less than its buffer is the last one.
        let mut buffer = [0; 64];
        let len = (&server).read(&mut buffer).expect("data");
        data.extend(&buffer[..len]);
    }
    assert_eq!(data, b"onetwothree");
}

fn peeked() {
    let (mut client, server) = connection();
    send(&mut client, &[b"one", SILENT, b"two"]);
    let mut buffer = [0; 64];
    assert!(is_readable(&server, PATIENCE));
    assert_eq!(server.peek(&mut buffer).expect("peek"), 3);
    assert_eq!(&buffer[..3], b"one");
    for data in [b"one", b"two"] {
        assert!(is_readable(&server, PATIENCE));
        expect(&server, data);
    }
    assert!(!is_readable(&server, NOW));
}

fn wait_for_all() {
    let (mut client, server) = connection();
    send(&mut client, &[b"aaaa", SILENT, b"bbbb", REQUESTED, b"cccc"]);
    let mut buffer = [0; 12];
    let (_, len) = rustix::net::recv(&server, &mut buffer[..], RecvFlags::WAITALL).expect("recv");
    assert_eq!((len, &buffer), (12, b"aaaabbbbcccc"));
}

fn spliced() {
    let (mut client, server) = connection();
    let (out, into) = rustix::pipe::pipe().expect("pipe");
    send(&mut client, &[SILENT, b"one", SILENT, b"two", REQUESTED, b"three"]);
    let mut moved = 0;
    while moved < 11 {
        moved += rustix::pipe::splice(&server, None, &into, None, 64, SpliceFlags::empty()).expect("splice");
    }
    let mut read = [0; 11];
    let mut out = fs::File::from(out);
    out.read_exact(&mut read).expect("the pipe");
    assert_eq!(&read, b"onetwothree");
    client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
    let end = rustix::pipe::splice(&server, None, &into, None, 64, SpliceFlags::empty());
    assert_eq!(end, Ok(0), "close_notify ends a splice as it ends a read");
}

fn echoed() {
    let (mut client, server) = connection();
    let echo = thread::spawn(move || {
        let mut buffer = [0; 1500];
        loop {
            let len = (&server).read(&mut buffer).expect("data");
            if len == 0 {
                break;
            }
            (&server).write_all(&buffer[..len]).expect("write");
        }
    });
    let data = pattern(100_000);
    for (round, piece) in data.chunks(500).enumerate() {
        send(&mut client, &[piece, if round % 2 == 0 { REQUESTED } else { SILENT }]);
    }
    let (back, updates) = receive_data(&mut client, data.len());
    assert!(back == data, "the data came back another");
    assert!(updates > 0, "no answer");
    client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
    echo.join().expect("the server");
}

/// Writes until TCP takes no more; how much it took.
fn fill(mut server: &TcpStream, data: &[u8]) -> usize {
    server.set_nonblocking(true).expect("O_NONBLOCK");
    let mut sent = 0;
    loop {
        match server.write(&data[sent..]) {
            Ok(len) => sent += len,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                server.set_nonblocking(false).expect("O_NONBLOCK");
                return sent;
            }
        }
    }
}

fn no_room() {
    let (mut client, server) = connection();
    let data = pattern(64 << 20);
    let sent = fill(&server, &data);
    assert!(sent < data.len() - 10);
    send(&mut client, &[REQUESTED, b"x", REQUESTED, b"y"]);
    expect(&server, b"xy");
    let writer = thread::spawn(move || {
        (&server).write_all(b"the rest").expect("write");
        server
    });
    let (received, updates) = receive_data(&mut client, sent + 8);
    assert!(received[..sent] == data[..sent] && received[sent..] == *b"the rest", "other data came");
    assert!((1..=2).contains(&updates), "{updates} answers");
    writer.join().expect("the writer");
}

fn held_back() {
    let (mut client, server) = connection();
    assert_eq!(rustix::net::send(&server, b"begun", SendFlags::MORE), Ok(5));
    send(&mut client, &[REQUESTED, b"x"]);
    expect(&server, b"x");
    assert_eq!(rustix::net::send(&server, b"ended", SendFlags::empty()), Ok(5));
    let (data, updates) = receive_data(&mut client, 10);
    assert_eq!((&data[..], updates), (&b"begunended"[..], 1));
}

fn blocked_writer() {
    let (mut client, server) = connection();
    let data = pattern(16 << 20);
    let (copy, amount) = (data.clone(), data.len());
    let writing = server.try_clone().expect("dup");
    let writer = thread::spawn(move || (&writing).write_all(&copy).expect("write"));
    // The client reads nothing yet: the writer waits for it.
    for _ in 0..3 {
        send(&mut client, &[REQUESTED, b"ping"]);
        expect(&server, b"ping");
    }
    assert!(!writer.is_finished(), "TCP took {amount} bytes that nobody reads");
    let (received, updates) = receive_data(&mut client, amount);
    writer.join().expect("the writer");
    (&server).write_all(b"end").expect("write");
    let (end, more) = receive_data(&mut client, 3);
    assert!(received == data && end == b"end", "other data came");
    assert!(updates + more > 0, "no answer");
}

fn busy_writer() {
    let (mut client, server) = connection();
    let data = pattern(4 << 20);
    let copy = data.clone();
    let writing = server.try_clone().expect("dup");
    let writer = thread::spawn(move || (&writing).write_all(&copy).expect("write"));
    let reader = thread::spawn(move || {
        for _ in 0..16 {
            expect(&server, b"ping");
        }
        server
    });
    let (mut received, mut updates) = (Vec::new(), 0);
    for _ in 0..16 {
        send(&mut client, &[REQUESTED, b"ping"]);
        let (more, came) = receive_data(&mut client, data.len() / 20);
        received.extend(more);
        updates += came;
    }
    let (rest, came) = receive_data(&mut client, data.len() - received.len());
    received.extend(rest);
    writer.join().expect("the writer");
    let server = reader.join().expect("the reader");
    (&server).write_all(b"end").expect("write");
    let (end, last) = receive_data(&mut client, 3);
    assert!(received == data && end == b"end", "other data came");
    assert!(
        (1..=16).contains(&(updates + came + last)),
        "{updates} answers, {came} behind them, {last} at the end"
    );
}

fn refused(content: &[u8], description: u8) {
    let (mut client, server) = connection();
    client.send_record(content::HANDSHAKE, content);
    expect_reset(&server);
    expect_alert(&mut client, 2, description);
}

fn flood() {
    let (mut client, server) = connection();
    // A byte of data in between makes no difference.
    let refused = (0..100).any(|_| {
        send(&mut client, &[SILENT; 8]);
        send(&mut client, &[b"x"]);
        (&server).read_exact(&mut [0]).is_err()
    });
    assert!(refused, "800 KeyUpdates were followed");
    assert_eq!((&server).read(&mut [0; 16]).expect("after the error, the end of the file"), 0);
    expect_alert(&mut client, 2, alert::UNEXPECTED_MESSAGE);
}

fn bad_behind_data() {
    let (mut client, server) = connection();
    send(&mut client, &[b"one"]);
    client.send_record(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[2]));
    let mut buffer = [0; 64];
    assert_eq!((&server).read(&mut buffer).expect("data"), 3);
    assert!(is_readable(&server, PATIENCE));
    expect_reset(&server);
    expect_alert(&mut client, 2, alert::ILLEGAL_PARAMETER);
}

fn worn() {
    const PARAMETER: &str = "/sys/module/ttls/parameters/records_per_key";
    let (mut client, server) = connection();
    let before = fs::read(PARAMETER).expect("the parameter");
    fs::write(PARAMETER, "10").expect("the parameter");
    for _ in 0..25 {
        (&server).write_all(b"record").expect("write");
    }
    let mut updates = Vec::new();
    for record in 0..25 {
        if receive(&mut client) == Received::Update {
            updates.push(record);
            receive(&mut client);
        }
    }
    fs::write(PARAMETER, before).expect("the parameter");
    // The handshake's tickets were the first records under the first key.
    assert!(updates.len() >= 2 && updates[1] - updates[0] == 10, "renewed before records {updates:?}");
}

fn openssl() {
    let listener = &*LISTENER;
    let output = fs::File::create("/tmp/key-updates").expect("a file");
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{PORT}"), "-tls1_3", "-msg"])
        .stdin(Stdio::piped())
        .stderr(output.try_clone().expect("dup"))
        .stdout(output)
        .spawn()
        .expect("openssl runs");
    let mut input = client.stdin.take().expect("a pipe");
    let (server, _) = listener.accept().expect("accept");
    server.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let said = |what: &str| fs::read_to_string("/tmp/key-updates").unwrap_or_default().matches(what).count();
    let wait_for = |what: &str, count: usize| {
        for _ in 0..200 {
            if said(what) >= count {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        panic!("openssl did not say {what} {count} times");
    };
    let mut round_trip = |line: &str, answer: &str| {
        input.write_all(line.as_bytes()).expect("the pipe");
        expect(&server, line.as_bytes());
        (&server).write_all(answer.as_bytes()).expect("write");
        wait_for(answer, 1);
        // The next command has to be at the beginning of what it reads.
        for (count, command) in ["K\n", "K\n", "k\n", "K\n"].iter().enumerate() {
            input.write_all(command.as_bytes()).expect("the pipe");
            wait_for("KEYUPDATE", said("KEYUPDATE").max(count + 1));
            thread::sleep(Duration::from_millis(300));
        }
    };
    round_trip("first line\n", "first answer\n");
    round_trip("second line\n", "second answer\n");
    round_trip("third line\n", "third answer\n");
    assert!(said("<<< TLS 1.3, Handshake [length 0005], KeyUpdate") > 0, "openssl saw no answer");
    assert!(said(">>> TLS 1.3, Handshake [length 0005], KeyUpdate") > 1, "openssl sent nothing");
    drop(input);
    client.kill().expect("kill");
    client.wait().expect("wait");
}

fn closed(content: &[u8]) {
    let (mut client, server) = connection();
    send(&mut client, &[b"one"]);
    expect(&server, b"one");
    send(&mut client, &[content]);
    expect_reset(&server);
    expect_alert(&mut client, 1, alert::CLOSE_NOTIFY);
}

fn renegotiation() {
    let listener = &*LISTENER;
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, PORT).into());
    let flight = client.hello12(&ClientHello::tls12());
    client.finish12(&flight, &KeyShare::x25519());
    let (server, _) = listener.accept().expect("accept");
    client.send_record(content::HANDSHAKE, &ClientHello::tls12().encode());
    expect_reset(&server);
    expect_alert(&mut client, 1, alert::CLOSE_NOTIFY);
}

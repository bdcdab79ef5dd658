// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server writes: held back by MSG_MORE, against a client that reads nothing, at the end of the connection.

use crate::{Dice, NOW, Test, Version, connection, events, is_readable, waiting};
use harness::raw::{Client, End, alert, content};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, sockopt};
use rustix::pipe::SpliceFlags;
use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, thread};

pub(crate) const TESTS: &[Test] = &[
    ("what MSG_MORE holds back goes by itself", held_back),
    ("it goes at once with TCP_CORK off, TCP_NODELAY, or the next send", let_go),
    ("it goes before the end, by shutdown() and by close()", held_back_at_the_end),
    ("MSG_MORE, corks, sendfile and pauses in any order leave the stream in order", in_any_order),
    ("shutdown() does not wait for a writer that the client stops, who gets EPIPE", blocked_shutdown),
    ("nor does anything else that may not wait", blocked_others),
    ("close() after a send that was taken loses nothing", closed_full),
    ("a write that is over by SO_SNDTIMEO leaves the stream whole", timed_out),
    ("two writers that the client stops again and again", two_writers),
];

/// All data that comes, up to the end.
fn receive_all(client: &mut Client) -> (Vec<u8>, End) {
    let mut data = Vec::new();
    loop {
        match client.receive_record() {
            Ok(record) if record.kind == content::APPLICATION_DATA => data.extend(record.body),
            Ok(_) => {}
            Err(end) => return (data, end),
        }
    }
}

fn receive(client: &mut Client, len: usize) -> Vec<u8> {
    let mut data = Vec::new();
    while data.len() < len {
        let record = client.receive_record().expect("a record");
        if record.kind == content::APPLICATION_DATA {
            data.extend(record.body);
        }
    }
    data
}

fn send(server: &TcpStream, data: &[u8], flags: SendFlags) {
    assert_eq!(rustix::net::send(server, data, flags), Ok(data.len()));
}

/// Session tickets come first.
fn drain(client: &mut Client) {
    while client.ticket_pending() {}
}

fn held_back(version: Version) {
    let (mut client, server) = connection(version);
    for piece in [&b"first"[..], b"second", b"third"] {
        send(&server, piece, SendFlags::MORE);
        assert_eq!(receive(&mut client, piece.len()), piece);
    }
}

/// Whether that has happened at once can only be told where little time went by.
fn let_go(version: Version) {
    type Way = (&'static str, fn(&TcpStream));
    const WAYS: &[Way] = &[
        ("TCP_CORK off", |server| {
            sockopt::set_tcp_cork(server, false).expect("TCP_CORK");
        }),
        ("TCP_NODELAY", |server| sockopt::set_tcp_nodelay(server, true).expect("TCP_NODELAY")),
        ("a send", |server| send(server, b"end", SendFlags::empty())),
    ];
    for (name, way) in WAYS {
        for attempt in 0.. {
            let (mut client, server) = connection(version);
            drain(&mut client);
            let begun = Instant::now();
            send(&server, b"begun", SendFlags::MORE);
            let early = waiting(&client.stream);
            way(&server);
            thread::sleep(Duration::from_millis(5));
            let came = waiting(&client.stream);
            if begun.elapsed() < Duration::from_millis(150) {
                assert_eq!(early, 0, "it is held back");
                assert!(came > 5, "{name} lets it go");
                break;
            }
            assert!(attempt < 50, "this machine is too busy to tell");
        }
    }
}

fn held_back_at_the_end(version: Version) {
    for close in [false, true] {
        let (mut client, server) = connection(version);
        send(&server, b"begun", SendFlags::empty());
        send(&server, b"ended", SendFlags::MORE);
        if close {
            drop(server);
        } else {
            server.shutdown(Shutdown::Write).expect("shutdown");
        }
        assert_eq!(receive_all(&mut client), (b"begunended".to_vec(), End::Alert(1, alert::CLOSE_NOTIFY)));
        assert_eq!(client.end(), End::Eof);
    }
}

fn in_any_order(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    let data = dice.bytes(400_000);
    fs::write("/tmp/accepted", &data).expect("a file");
    let file = fs::File::open("/tmp/accepted").expect("a file");
    let reader = thread::spawn(move || receive_all(&mut client));
    let mut sent = 0;
    while sent < data.len() {
        let len = dice.length(30_000).min(data.len() - sent);
        let more = if dice.one_in(2) { SendFlags::MORE } else { SendFlags::empty() };
        match dice.roll(0, 8) {
            0 => sockopt::set_tcp_cork(&server, dice.one_in(2)).expect("TCP_CORK"),
            1 => sockopt::set_tcp_nodelay(&server, dice.one_in(2)).expect("TCP_NODELAY"),
            2 => thread::sleep(Duration::from_millis(u64::try_from(dice.roll(0, 250)).expect("64 bits"))),
            3 => {
                // As programs do that know no better: more is asked for than the file has.
                let mut at = u64::try_from(sent).expect("64 bits");
                let asked = if dice.one_in(2) { len } else { data.len() };
                sent += rustix::fs::sendfile(&server, &file, Some(&mut at), asked).expect("sendfile");
            }
            4 => {
                let (out, into) = rustix::pipe::pipe().expect("pipe");
                let len = len.min(8_000);
                fs::File::from(into).write_all(&data[sent..sent + len]).expect("the pipe");
                let flags = if dice.one_in(2) { SpliceFlags::MORE } else { SpliceFlags::empty() };
                let mut left = len;
                while left > 0 {
                    left -= rustix::pipe::splice(&out, None, &server, None, left, flags).expect("splice");
                }
                sent += len;
            }
            _ => {
                let taken = rustix::net::send(&server, &data[sent..sent + len], more).expect("send");
                sent += taken;
            }
        }
    }
    server.flush().expect("flush");
    if dice.one_in(2) {
        server.shutdown(Shutdown::Write).expect("shutdown");
    }
    drop(server);
    let (received, end) = reader.join().expect("the reader");
    assert!(received == data, "other data came: {} of {} bytes", received.len(), data.len());
    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
}

/// A client that reads nothing, and a writer whom that stops: what he writes, and what became of it.
fn stopped_writer(version: Version) -> (Client, TcpStream, Vec<u8>, thread::JoinHandle<(usize, ErrorKind)>) {
    let (client, server) = connection(version);
    let data: Vec<u8> = Dice::new().bytes(8 << 20).iter().map(|&byte| byte.min(254)).collect();
    let (copy, mut writing) = (data.clone(), server.try_clone().expect("dup"));
    let writer = thread::spawn(move || {
        let mut sent = 0;
        loop {
            match writing.write(&copy[sent..]) {
                Ok(len) => sent += len,
                Err(error) => return (sent, error.kind()),
            }
            assert!(sent < copy.len(), "nobody reads that much");
        }
    });
    let mut before = usize::MAX;
    while waiting(&client.stream) != before {
        before = waiting(&client.stream);
        thread::sleep(Duration::from_millis(300));
    }
    assert!(!writer.is_finished());
    (client, server, data, writer)
}

fn blocked_shutdown(version: Version) {
    let (mut client, server, data, writer) = stopped_writer(version);
    let begun = Instant::now();
    server.shutdown(Shutdown::Write).expect("shutdown");
    assert!(begun.elapsed() < Duration::from_secs(5), "shutdown took {:?}", begun.elapsed());
    let (sent, error) = writer.join().expect("the writer");
    assert!(begun.elapsed() < Duration::from_secs(10), "the writer took {:?}", begun.elapsed());
    assert_eq!(error, ErrorKind::BrokenPipe);
    let (received, end) = receive_all(&mut client);
    assert_eq!(received.len(), sent);
    assert!(received == data[..sent], "other data came");
    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
    client.send_record(content::APPLICATION_DATA, b"the other way is open");
    assert!(is_readable(&server, crate::PATIENCE));
}

fn blocked_others(version: Version) {
    let (mut client, server, data, writer) = stopped_writer(version);
    let begun = Instant::now();
    // Some room there may be, less than what wakes the writer. His data has no such byte.
    for flags in [SendFlags::DONTWAIT, SendFlags::DONTWAIT | SendFlags::MORE] {
        let taken = (0..100_000).find_map(|_| rustix::net::send(&server, &[255; 500], flags).err());
        assert_eq!(taken, Some(Errno::AGAIN));
    }
    assert!(!events(&server, PollFlags::OUT, NOW).contains(PollFlags::OUT));
    let mut buffer = [0; 16];
    let none = rustix::net::recv(&server, &mut buffer[..], RecvFlags::DONTWAIT).map(|(_, len)| len);
    assert_eq!(none, Err(Errno::AGAIN));
    assert_eq!(waiting(&server), 0);
    sockopt::set_tcp_cork(&server, false).expect("TCP_CORK");
    sockopt::set_tcp_nodelay(&server, true).expect("TCP_NODELAY");
    sockopt::socket_error(&server).expect("SO_ERROR").expect("no error");
    let file = fs::File::open("/proc/self/exe").expect("a file");
    server.set_nonblocking(true).expect("O_NONBLOCK");
    assert_eq!(rustix::fs::sendfile(&server, &file, None, 4_096), Err(Errno::AGAIN));
    server.set_nonblocking(false).expect("O_NONBLOCK");
    client.send_record(content::APPLICATION_DATA, b"ping");
    assert!(is_readable(&server, crate::PATIENCE));
    assert_eq!(rustix::net::recv(&server, &mut buffer[..], RecvFlags::DONTWAIT).map(|(_, len)| len), Ok(4));
    assert!(begun.elapsed() < Duration::from_secs(5), "all of it took {:?}", begun.elapsed());
    assert!(!writer.is_finished());
    // An alert of the client's ends nothing for the writer, but is read while he waits.
    client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
    assert!(is_readable(&server, crate::PATIENCE));
    assert_eq!(rustix::net::recv(&server, &mut buffer[..], RecvFlags::DONTWAIT).map(|(_, len)| len), Ok(0));
    server.shutdown(Shutdown::Write).expect("shutdown");
    let (sent, error) = writer.join().expect("the writer");
    assert_eq!(error, ErrorKind::BrokenPipe);
    let (mut received, end) = receive_all(&mut client);
    received.retain(|&byte| byte != 255);
    assert!(received == data[..sent], "other data came: {} of {sent} bytes", received.len());
    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
}

fn closed_full(version: Version) {
    for _ in 0..12 {
        let dice = Dice::new();
        let (mut client, server) = connection(version);
        if dice.one_in(2) {
            sockopt::set_socket_send_buffer_size(&server, dice.roll(4_000, 100_000)).expect("SO_SNDBUF");
        }
        let data = dice.bytes(8 << 20);
        let begin = dice.roll(0, 1 << 20);
        let mut sent = begin;
        let most = dice.length(60_000).max(500);
        loop {
            let len = dice.length(most).min(data.len() - sent);
            let flags = if dice.one_in(4) { SendFlags::MORE } else { SendFlags::empty() };
            match rustix::net::send(&server, &data[sent..sent + len], flags | SendFlags::DONTWAIT) {
                Ok(len) => sent += len,
                Err(error) => {
                    assert_eq!(error, Errno::AGAIN);
                    if dice.one_in(2) {
                        break;
                    }
                    // Some room, so that the end falls elsewhere.
                    let more = receive(&mut client, dice.roll(1, 40_000).min(sent - begin));
                    assert!(more == data[begin..begin + more.len()], "other data came");
                    let taken = sent - begin - more.len();
                    let (received, end) = finish(server, &mut client, &dice);
                    assert_eq!(received.len(), taken);
                    assert!(received == data[sent - taken..sent], "other data came");
                    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
                    return;
                }
            }
        }
        let (received, end) = finish(server, &mut client, &dice);
        assert_eq!(received.len(), sent - begin);
        assert!(received == data[begin..sent], "other data came");
        assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
    }
}

fn finish(server: TcpStream, client: &mut Client, dice: &Dice) -> (Vec<u8>, End) {
    let begun = Instant::now();
    if dice.one_in(2) {
        server.shutdown(Shutdown::Write).expect("shutdown");
    }
    drop(server);
    assert!(begun.elapsed() < Duration::from_secs(5), "the end took {:?}", begun.elapsed());
    receive_all(client)
}

fn timed_out(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    server.set_write_timeout(Some(Duration::from_millis(100))).expect("SO_SNDTIMEO");
    let data = dice.bytes(8 << 20);
    // What the two of them hold, however much TCP gives them, is less than there is.
    sockopt::set_socket_send_buffer_size(&server, 200_000).expect("SO_SNDBUF");
    sockopt::set_socket_recv_buffer_size(&client.stream, 200_000).expect("SO_RCVBUF");
    let (mut sent, mut received, mut stopped) = (0, Vec::new(), 0);
    while stopped < 10 {
        assert!(sent < data.len(), "stopped {stopped} times");
        let len = dice.length(200_000).min(data.len() - sent);
        match server.write(&data[sent..sent + len]) {
            Ok(len) => sent += len,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                stopped += 1;
                let underway = sent - received.len();
                received.extend(receive(&mut client, dice.roll(1, 100_000).min(underway)));
            }
        }
    }
    server.shutdown(Shutdown::Write).expect("shutdown");
    let (rest, end) = receive_all(&mut client);
    received.extend(rest);
    assert_eq!(received.len(), sent);
    assert!(received == data[..sent], "other data came");
    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
}

/// Lines of two writers arrive whole: each is one send of less than a record.
fn two_writers(version: Version) {
    const LINES: usize = 3_000;
    let (mut client, server) = connection(version);
    let writers: Vec<_> = ["a", "b"]
        .iter()
        .map(|name| {
            let server = server.try_clone().expect("dup");
            thread::spawn(move || {
                let dice = Dice::new();
                for line in 0..LINES {
                    let line = format!("{name}{line}{}\n", "-".repeat(dice.roll(0, 900)));
                    let more = if dice.one_in(3) { SendFlags::MORE } else { SendFlags::empty() };
                    send(&server, line.as_bytes(), more);
                }
            })
        })
        .collect();
    let reader = thread::spawn(move || {
        let dice = Dice::new();
        let mut data = Vec::new();
        loop {
            if dice.one_in(100) {
                thread::sleep(Duration::from_millis(20));
            }
            match client.receive_record() {
                Ok(record) if record.kind == content::APPLICATION_DATA => data.extend(record.body),
                Ok(_) => {}
                Err(end) => return (data, end),
            }
        }
    });
    for writer in writers {
        writer.join().expect("a writer");
    }
    drop(server);
    let (data, end) = reader.join().expect("the reader");
    assert_eq!(end, End::Alert(1, alert::CLOSE_NOTIFY));
    let text = String::from_utf8(data).expect("text");
    for name in ["a", "b"] {
        let lines = text.lines().filter(|line| line.starts_with(name));
        let numbers: Vec<usize> =
            lines.map(|line| line[1..].trim_end_matches('-').parse().expect("a number")).collect();
        assert!(numbers.iter().copied().eq(0..LINES), "lines of {name} are out of order or lost");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a server reads, and how it learns what there is: FIONREAD, poll, epoll, MSG_PEEK.

use crate::{
    Dice, NOW, PATIENCE, Test, Version, connection, events, eventually, free_memory, is_readable, waiting,
};
use harness::raw::{Client, alert, content};
use rustix::event::{PollFlags, epoll};
use rustix::net::{RecvFlags, SendFlags};
use rustix::pipe::SpliceFlags;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use std::{fs, thread};

pub(crate) const TESTS: &[Test] = &[
    ("FIONREAD is exactly what can be read, after every read of any length", exactly_what_can_be_read),
    ("FIONREAD counts whole records, and a part of one wakes nobody", part_of_a_record),
    ("FIONREAD does not count what is not data, and poll() tells of the end behind data", the_end),
    ("FIONREAD leaves an error to the read that is to have it", errors),
    ("FIONREAD again and again takes no memory without end, nor a wake-up", without_end),
    ("MSG_PEEK shows what FIONREAD counts, and read() gives the same", peeked),
    ("a server that goes by edges, short reads and FIONREAD, as nginx does, reads all", as_nginx),
    ("poll() is true up to the last byte, read one by one", one_by_one),
    ("a reader in MSG_WAITALL is no obstacle to who may not wait", blocked_reader),
    ("an empty record before the end does not hide it", empty_before_the_end),
    ("an end behind data that is read by edges has an edge of its own", an_edge_for_the_end),
    ("urgent bytes between records are skipped, within them they are data", urgent),
    ("nor do urgent bytes hold up a read that is under way", urgent_while_read),
    ("splice() into a pipe with little room loses nothing", spliced),
];

/// Records of the data, of random lengths, some padded, some empty.
fn records(client: &mut Client, data: &[u8], dice: &Dice) -> Vec<Vec<u8>> {
    let keys = client.seal.as_mut().expect("keys");
    let (mut records, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.length(16384).min(rest.len()));
        let padding = if dice.one_in(3) { dice.roll(0, 16384 - piece.len() + 1) } else { 0 };
        records.push(keys.seal_padded(content::APPLICATION_DATA, piece, padding));
        if dice.one_in(8) {
            records.push(keys.seal(content::APPLICATION_DATA, b""));
        }
        rest = after;
    }
    records
}

/// Sends bytes in pieces that have nothing to do with records.
fn send_torn(client: &mut Client, bytes: &[u8], dice: &Dice) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(dice.length(40_000).min(rest.len()));
        client.send_raw(piece);
        rest = after;
    }
}

fn exactly_what_can_be_read(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    for _ in 0..12 {
        let data = dice.bytes(dice.length(30_000));
        let records = records(&mut client, &data, &dice).concat();
        send_torn(&mut client, &records, &dice);
        eventually("all of it comes", || waiting(&server) == data.len());
        let mut read: Vec<u8> = Vec::new();
        while read.len() < data.len() {
            let mut buffer = vec![0; dice.length(9_000)];
            let len = server.read(&mut buffer).expect("data");
            assert_eq!(len, buffer.len().min(data.len() - read.len()), "a read gives what was told");
            read.extend(&buffer[..len]);
            assert_eq!(waiting(&server), data.len() - read.len());
            assert_eq!(is_readable(&server, NOW), read.len() < data.len());
        }
        assert!(read == data, "other data came");
    }
}

fn part_of_a_record(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    for _ in 0..20 {
        let (first, second) = (dice.bytes(dice.length(3_000)), dice.bytes(dice.length(16_384)));
        let keys = client.seal.as_mut().expect("keys");
        let whole = keys.seal(content::APPLICATION_DATA, &first);
        let cut = keys.seal(content::APPLICATION_DATA, &second);
        let at = dice.roll(1, cut.len());
        client.send_raw(&[&whole[..], &cut[..at]].concat());
        eventually("the whole record comes", || waiting(&server) == first.len());
        let mut read = vec![0; first.len() + 1];
        assert_eq!(server.read(&mut read).expect("data"), first.len());
        assert!(read[..first.len()] == first, "other data came");
        thread::sleep(Duration::from_millis(20));
        assert_eq!(waiting(&server), 0);
        assert!(!is_readable(&server, NOW), "a part of a record is nothing to read");
        client.send_raw(&cut[at..]);
        assert!(is_readable(&server, PATIENCE));
        assert_eq!(waiting(&server), second.len());
        let mut read = vec![0; second.len()];
        server.read_exact(&mut read).expect("data");
        assert!(read == second, "other data came");
    }
}

fn the_end(version: Version) {
    let (mut client, mut server) = connection(version);
    let keys = client.seal.as_mut().expect("keys");
    let data = keys.seal(content::APPLICATION_DATA, b"data");
    let end = keys.seal(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
    client.send_raw(&[data, end].concat());
    eventually("the data comes", || waiting(&server) == 4);
    thread::sleep(Duration::from_millis(20));
    assert_eq!(waiting(&server), 4);
    let mut buffer = [0; 4];
    assert_eq!(server.read(&mut buffer).expect("data"), 4);
    assert!(is_readable(&server, PATIENCE), "the end of the file");
    assert_eq!(waiting(&server), 0);
    assert!(is_readable(&server, NOW), "still");
    assert_eq!(server.read(&mut buffer).expect("the end of the file"), 0);
    assert!(
        events(&server, PollFlags::IN | PollFlags::RDHUP, NOW).contains(PollFlags::IN | PollFlags::RDHUP)
    );
    server.write_all(b"the other way is open").expect("write");
}

fn errors(version: Version) {
    let (mut client, mut server) = connection(version);
    client.send_record(content::APPLICATION_DATA, b"data");
    eventually("the data comes", || waiting(&server) == 4);
    // Unread data makes it a reset.
    server.write_all(b"unread").expect("write");
    eventually("it comes", || waiting(&client.stream) > 6);
    drop(client);
    eventually("the reset comes", || events(&server, PollFlags::HUP, NOW).contains(PollFlags::HUP));
    assert_eq!(waiting(&server), 4);
    let mut buffer = [0; 8];
    assert_eq!(server.read(&mut buffer).expect("data"), 4);
    assert_eq!(waiting(&server), 0);
    assert_eq!(server.read(&mut buffer).expect_err("the reset").kind(), ErrorKind::ConnectionReset);
    assert_eq!(waiting(&server), 0);
    assert_eq!(server.read(&mut buffer).expect("after it, the end of the file"), 0);
}

fn without_end(version: Version) {
    let (mut client, mut server) = connection(version);
    server.set_nonblocking(true).expect("O_NONBLOCK");
    let set = edges(&server);
    let data = Dice::new().bytes(16_000);
    let copy = data.clone();
    let sender = thread::spawn(move || {
        for _ in 0..2_000 {
            client.send_record(content::APPLICATION_DATA, &copy);
        }
        client
    });
    let before = free_memory();
    for _ in 0..200 {
        waiting(&server);
        thread::sleep(Duration::from_millis(2));
    }
    let told = waiting(&server);
    assert!(before.saturating_sub(free_memory()) < 26 << 20, "32 MB came, and none should be held but some");
    assert!(told < 16 << 20, "{told} bytes wait");
    // One edge was for what was told. Another one comes for the rest.
    wait_for_edge(&set, &server);
    let mut read = 0;
    let mut buffer = vec![0; 16_000];
    while read < told {
        let most = buffer.len().min(told - read);
        read += server.read(&mut buffer[..most]).expect("what was told");
    }
    while read < 2_000 * data.len() {
        match server.read(&mut buffer) {
            Ok(len) => {
                let at = read % data.len();
                let same = data.iter().cycle().skip(at).take(len).eq(&buffer[..len]);
                assert!(same, "other data came");
                read += len;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                wait_for_edge(&set, &server);
            }
        }
        if read == told {
            wait_for_edge(&set, &server);
        }
    }
    assert_eq!(waiting(&server), 0);
    sender.join().expect("the sender");
}

fn peeked(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    for _ in 0..8 {
        let data = dice.bytes(dice.length(30_000));
        let records = records(&mut client, &data, &dice).concat();
        client.send_raw(&records);
        eventually("all of it comes", || waiting(&server) == data.len());
        let mut buffer = vec![0; 40_000];
        let some = dice.length(data.len());
        assert_eq!(server.peek(&mut buffer[..some]).expect("a look"), some);
        assert!(buffer[..some] == data[..some], "other data was shown");
        assert_eq!(server.peek(&mut buffer).expect("a look"), data.len());
        assert!(buffer[..data.len()] == data, "other data was shown");
        assert_eq!(waiting(&server), data.len());
        server.read_exact(&mut buffer[..data.len()]).expect("data");
        assert!(buffer[..data.len()] == data, "other data came");
        assert!(!is_readable(&server, NOW));
    }
}

fn edges(server: &TcpStream) -> impl std::os::fd::AsFd + use<> {
    let set = epoll::create(epoll::CreateFlags::empty()).expect("epoll_create");
    epoll::add(
        &set,
        server,
        epoll::EventData::new_u64(0),
        epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET,
    )
    .expect("epoll_ctl");
    set
}

#[track_caller]
fn wait_for_edge(set: impl std::os::fd::AsFd, server: &TcpStream) {
    let mut events = [epoll::Event { flags: epoll::EventFlags::empty(), data: epoll::EventData::new_u64(0) }];
    if epoll::wait(set, &mut events, Some(&PATIENCE)).expect("epoll_wait") == 0 {
        let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
        let readable = is_readable(server, NOW);
        panic!("no edge; poll() says {readable}, FIONREAD {}\n{table}", waiting(server));
    }
}

/// The rules of nginx: after an edge, a short read is the last one; after a full one, FIONREAD says how much there is, and
/// nothing is read beyond that before the next edge.
fn as_nginx(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    server.set_nonblocking(true).expect("O_NONBLOCK");
    let data = dice.bytes(700_000);
    let copy = data.clone();
    let sender = thread::spawn(move || {
        let dice = Dice::new();
        let mut burst = Vec::new();
        for record in records(&mut client, &copy, &dice) {
            burst.extend(record);
            if dice.one_in(4) {
                send_torn(&mut client, &burst, &dice);
                burst.clear();
                thread::sleep(Duration::from_millis(u64::try_from(dice.roll(0, 6)).expect("64 bits")));
            }
        }
        burst.extend(client.seal.as_mut().expect("keys").seal(content::ALERT, &[1, alert::CLOSE_NOTIFY]));
        send_torn(&mut client, &burst, &dice);
        client
    });
    let set = edges(&server);
    let (mut read, mut over) = (Vec::<u8>::new(), false);
    while !over {
        wait_for_edge(&set, &server);
        let mut available = None;
        while available != Some(0) {
            let mut buffer = vec![0; if dice.one_in(2) { 1_024 } else { dice.length(20_000) }];
            match server.read(&mut buffer) {
                Ok(len) => {
                    read.extend(&buffer[..len]);
                    over = len == 0;
                    available = match available {
                        Some(available) => Some(usize::saturating_sub(available, len)),
                        None if len == buffer.len() => Some(waiting(&server)),
                        None => Some(0),
                    };
                    if over {
                        break;
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    break;
                }
            }
        }
    }
    assert!(read == data, "other data came: {} bytes", read.len());
    sender.join().expect("the sender");
}

fn one_by_one(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    let data = dice.bytes(600);
    let records = records(&mut client, &data, &dice).concat();
    client.send_raw(&records);
    eventually("all of it comes", || waiting(&server) == data.len());
    for &byte in &data {
        assert!(is_readable(&server, NOW));
        let mut buffer = [0];
        assert_eq!(server.read(&mut buffer).expect("data"), 1);
        assert_eq!(buffer[0], byte);
    }
    assert!(!is_readable(&server, NOW));
}

fn blocked_reader(version: Version) {
    let (mut client, server) = connection(version);
    let reading = server.try_clone().expect("dup");
    let reader = thread::spawn(move || {
        let mut buffer = [0; 8];
        let (_, len) = rustix::net::recv(&reading, &mut buffer[..], RecvFlags::WAITALL).expect("recv");
        assert_eq!((len, &buffer), (8, b"onetwo34"));
    });
    client.send_record(content::APPLICATION_DATA, b"one");
    thread::sleep(Duration::from_millis(100));
    // The reader sleeps, with what has come in its hands.
    assert_eq!(waiting(&server), 0);
    assert!(!is_readable(&server, NOW));
    let mut buffer = [0; 8];
    let none = rustix::net::recv(&server, &mut buffer[..], RecvFlags::DONTWAIT);
    assert_eq!(none.map(|(_, len)| len), Err(rustix::io::Errno::AGAIN));
    rustix::net::send(&server, b"x", SendFlags::DONTWAIT).expect("send");
    client.send_record(content::APPLICATION_DATA, b"two34");
    reader.join().expect("the reader");
}

/// Bytes that the client has sent and the server has not taken from the network.
fn unacknowledged(client: &Client) -> u64 {
    let port = format!(":{:04X}", client.stream.local_addr().expect("an address").port());
    let table = fs::read_to_string("/proc/net/tcp").expect("/proc/net/tcp");
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1].ends_with(&port)).expect("the connection");
    let (sent, _) = row[4].split_once(':').expect("two queues");
    u64::from_str_radix(sent, 16).expect("hex")
}

fn urgent(version: Version) {
    let dice = Dice::new();
    let (mut client, mut server) = connection(version);
    let oob = |client: &Client, bytes: &[u8]| {
        assert_eq!(rustix::net::send(&client.stream, bytes, SendFlags::OOB), Ok(bytes.len()));
    };
    // At random, and then at every place of a record's header.
    for round in 0..36 {
        let (data, act) = match round {
            0..8 => (dice.bytes(dice.length(16_384)), round % 4),
            _ => (dice.bytes(64), 2),
        };
        let record = client.seal.as_mut().expect("keys").seal(content::APPLICATION_DATA, &data);
        match act {
            0 => {
                oob(&client, b"!");
                client.send_raw(&record);
            }
            1 => {
                client.send_raw(&record);
                oob(&client, b"!");
            }
            2 => {
                // The first byte of a record alone would be one between two records, which is skipped.
                let place = if round < 8 { dice.roll(2, record.len()) } else { round - 6 };
                let (begun, rest) = record.split_at(place);
                oob(&client, begun);
                client.send_raw(rest);
            }
            _ => oob(&client, &record),
        }
        // One by one: TCP knows one urgent byte at a time.
        let mut read = vec![0; data.len()];
        server.read_exact(&mut read).unwrap_or_else(|error| panic!("{error} in round {round}"));
        assert!(read == data, "other data came in round {round}");
        // An urgent byte behind the record that comes together with the next one would be data.
        eventually("all of it comes", || unacknowledged(&client) == 0);
    }
    client.send_record(content::APPLICATION_DATA, b"after all");
    let mut read = [0; 9];
    server.read_exact(&mut read).expect("data");
    assert_eq!(&read, b"after all");
}

/// Bytes that come while a read is under way, which kTLS itself waits in.
fn urgent_while_read(version: Version) {
    let dice = Dice::new();
    let (mut client, server) = connection(version);
    for _ in 0..20 {
        // What is read in between ends no read: all is asked for, or there is nothing in it.
        let first = dice.bytes(dice.roll(0, 2) * 500);
        let second = dice.bytes(500);
        let all = [&first[..], &second[..]].concat();
        let mut seal =
            |data: &[u8]| client.seal.as_mut().expect("keys").seal(content::APPLICATION_DATA, data);
        let (first, second) = (seal(&first), seal(&second));
        let reading = server.try_clone().expect("dup");
        let len = all.len();
        let reader = thread::spawn(move || {
            let mut buffer = vec![0; len];
            let (_, read) = rustix::net::recv(&reading, &mut buffer[..], RecvFlags::WAITALL).expect("recv");
            buffer.truncate(read);
            buffer
        });
        if dice.one_in(2) {
            thread::sleep(Duration::from_millis(20)); // the reader sleeps
        }
        client.send_raw(&first);
        assert_eq!(rustix::net::send(&client.stream, b"!", SendFlags::OOB), Ok(1));
        client.send_raw(&second);
        assert!(reader.join().expect("the reader") == all, "other data came");
        eventually("all of it comes", || unacknowledged(&client) == 0);
    }
}

/// However a program comes to the end, and whether it has data to read before.
fn empty_before_the_end(version: Version) {
    // Each says whether it was told the reason.
    fn looks(server: &TcpStream, buffer: &mut [u8], flags: RecvFlags) -> bool {
        match rustix::net::recv(server, buffer, flags) {
            Ok((_, len)) => len != 0,
            Err(error) => error == rustix::io::Errno::CONNRESET,
        }
    }
    let ways: [fn(&TcpStream) -> bool; 6] = [
        |_| false,
        |server| waiting(server) != 0,
        |server| !is_readable(server, PATIENCE),
        |server| {
            wait_for_edge(edges(server), server);
            false
        },
        |server| looks(server, &mut [0; 8], RecvFlags::PEEK),
        // A read of nothing, before anybody has looked, and after.
        |server| {
            let before = looks(server, &mut [], RecvFlags::empty());
            !is_readable(server, PATIENCE) || before || looks(server, &mut [], RecvFlags::empty())
        },
    ];
    for way in ways {
        for (level, description) in [(1, alert::CLOSE_NOTIFY), (2, alert::INTERNAL_ERROR)] {
            for data in [&b""[..], b"data"] {
                let (mut client, mut server) = connection(version);
                client.send_record(content::APPLICATION_DATA, data);
                client.send_record(content::APPLICATION_DATA, b"");
                client.send_record(content::ALERT, &[level, description]);
                let mut read = vec![0; data.len()];
                server.read_exact(&mut read).expect("data");
                assert_eq!(read, data);
                eventually("all of it comes", || unacknowledged(&client) == 0);
                let told = way(&server);
                let end = server.read(&mut [0; 8]).map_err(|error| error.kind());
                let reset = level == 2 && !told;
                assert_eq!(end, if reset { Err(ErrorKind::ConnectionReset) } else { Ok(0) });
            }
        }
    }
}

/// The end comes behind data, both before the server looks: there is one edge for them, and one for the end alone.
fn an_edge_for_the_end(version: Version) {
    for (level, description) in [(1, alert::CLOSE_NOTIFY), (2, alert::INTERNAL_ERROR)] {
        for read_before in [0, 1] {
            let (mut client, mut server) = connection(version);
            server.set_nonblocking(true).expect("O_NONBLOCK");
            client.send_record(content::APPLICATION_DATA, b"data");
            assert!(is_readable(&server, PATIENCE));
            let mut buffer = [0; 4096];
            if read_before > 0 {
                assert_eq!(server.read(&mut buffer[..read_before]).expect("data"), read_before);
            }
            client.send_record(content::ALERT, &[level, description]);
            eventually("all of it comes", || unacknowledged(&client) == 0);
            let set = edges(&server);
            wait_for_edge(&set, &server);
            assert_eq!(server.read(&mut buffer).expect("the rest"), 4 - read_before);
            wait_for_edge(&set, &server);
            let end = server.read(&mut buffer).map_err(|error| error.kind());
            assert_eq!(end, if level == 1 { Ok(0) } else { Err(ErrorKind::ConnectionReset) });
        }
    }
}

fn spliced(version: Version) {
    let dice = Dice::new();
    let (mut client, server) = connection(version);
    let data = dice.bytes(300_000);
    let copy = data.clone();
    let sender = thread::spawn(move || {
        let records = records(&mut client, &copy, &Dice::new()).concat();
        client.send_raw(&records);
        client.send_record(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
        client
    });
    let (out, into) = rustix::pipe::pipe().expect("pipe");
    rustix::pipe::fcntl_setpipe_size(&into, 8192).expect("a small pipe");
    let reader = thread::spawn(move || {
        let mut out = fs::File::from(out);
        let mut read: Vec<u8> = Vec::new();
        loop {
            let mut buffer = vec![0; Dice::new().length(3_000)];
            let len = out.read(&mut buffer).expect("the pipe");
            if len == 0 {
                return read;
            }
            read.extend(&buffer[..len]);
        }
    });
    let mut moved = 0;
    loop {
        let most = dice.length(60_000);
        let len =
            rustix::pipe::splice(&server, None, &into, None, most, SpliceFlags::empty()).expect("splice");
        if len == 0 {
            break;
        }
        moved += len;
    }
    drop(into);
    let read = reader.join().expect("the reader");
    assert!(read == data, "{moved} bytes were moved, {} came", read.len());
    let _ = server.shutdown(Shutdown::Both);
    sender.join().expect("the sender");
}

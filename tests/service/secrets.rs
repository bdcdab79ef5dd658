// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process remembers: secrets of tickets, keys' files and handshakes are not part of it.

use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::pki::pki;
use harness::raw::{Client, ClientHello, KeyShare, content, extension, hkdf_expand_label, hmac, prf, u16s};
use harness::server::{Config, Server};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, read_to_string};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Shows `see` each piece of memory that the process can write to: where it begins, and what is in it.
fn memory(server: &Server, mut see: impl FnMut(u64, &[u8])) {
    let proc = |name: &str| File::open(format!("/proc/{}/{name}", server.id())).expect("the server runs");
    let maps = read_to_string(proc("maps")).expect("maps");
    let mut memory = proc("mem");
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().expect("a range"), words.next().expect("rights"));
        let (from, to) = range.split_once('-').expect("a range");
        let address = |text: &str| u64::from_str_radix(text, 16).expect("an address");
        if !rights.starts_with("rw") || memory.seek(SeekFrom::Start(address(from))).is_err() {
            continue;
        }
        let mut content = Vec::new();
        // Pages that the kernel does not show hold no secret of ours.
        let _ = (&mut memory).take(address(to) - address(from)).read_to_end(&mut content);
        see(address(from), &content);
    }
}

/// How often `needle` stands in memory that the process can write to.
fn occurrences(server: &Server, needle: &[u8]) -> usize {
    let mut count = 0;
    memory(server, |_, content| {
        count += content.windows(needle.len()).filter(|window| *window == needle).count();
    });
    count
}

/// What to look for: eight bytes each, as they are, turned around as numbers are kept, and by words as hashes take them in.
#[derive(Default)]
struct Needles(HashMap<[u8; 8], &'static str>);

impl Needles {
    fn add(&mut self, name: &'static str, secret: &[u8]) {
        for piece in secret.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *piece;
            for form in [*piece, [h, g, f, e, d, c, b, a], [d, c, b, a, h, g, f, e]] {
                self.0.insert(form, name);
            }
        }
    }

    /// What is found, and where: bytes that stand together are one place.
    fn find(&self, server: &Server) -> BTreeMap<&'static str, Vec<String>> {
        let mut filter = vec![false; 1 << 16];
        let low = |bytes: &[u8]| usize::from(u16::from_le_bytes([bytes[0], bytes[1]]));
        self.0.keys().for_each(|piece| filter[low(piece)] = true);
        let (mut found, mut last) = (BTreeMap::<_, Vec<_>>::new(), HashMap::new());
        memory(server, |start, content| {
            for (offset, window) in content.windows(8).enumerate().filter(|(_, window)| filter[low(window)]) {
                if let Some(&name) = self.0.get(window) {
                    let at = start + offset as u64;
                    if last.insert(name, at).is_none_or(|before| at - before > 64) {
                        let (size, offset) = (content.len() >> 10, offset >> 10);
                        found
                            .entry(name)
                            .or_default()
                            .push(format!("{at:#x}: {offset} KiB into {size} KiB at {start:#x}"));
                    }
                }
            }
        });
        found
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing of it is found, once what was moved over a stack is wiped there, some milliseconds later.
#[track_caller]
fn clean(server: &Server, needles: &Needles, when: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = needles.find(server);
        if found.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{when}: {found:?}");
    }
}

/// The nodes between a ticket secret and the key of the present epoch: whoever has one can compute what has run out.
fn ratchet(secret: &[u8], period: u64) -> Vec<[u8; 32]> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970").as_secs();
    let mut nodes = vec![hmac(b"ttls session tickets", secret)];
    nodes.push(hmac(&nodes[0], &period.to_be_bytes()));
    for height in (0..24).rev() {
        let side: &[u8] = if (now / period) >> height & 1 == 0 { b"0" } else { b"1" };
        nodes.push(hmac(&nodes[nodes.len() - 1], side));
    }
    nodes
}

/// The text of a key's file between its borders, and the bytes that it stands for.
fn key_file(name: &str) -> (String, Vec<u8>) {
    let file = std::fs::read_to_string(pki().path(name)).expect("a key");
    let text: String = file.lines().filter(|line| !line.contains('-')).collect();
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u32> = text
        .bytes()
        .map_while(|byte| digits.iter().position(|&digit| digit == byte))
        .map(|digit| u32::try_from(digit).expect("6 bits"))
        .collect();
    let group = |group: &[u32]| {
        let value = group.iter().fold(0, |value, digit| value << 6 | digit) << (6 * (4 - group.len()));
        value.to_be_bytes()[1..group.len()].to_vec()
    };
    (text, bits.chunks(4).flat_map(group).collect())
}

/// The contents of INTEGERs and OCTET STRINGs in some DER that are longer than `least` bytes and hold no others.
fn numbers(der: &[u8], least: usize) -> Vec<&[u8]> {
    let (mut rest, mut all) = (der, Vec::new());
    while let [tag, length, after @ ..] = rest {
        let long = usize::from(length & 0x7f);
        let (length, after) = match length {
            0..0x80 => (usize::from(*length), after),
            _ => (after[..long].iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), &after[long..]),
        };
        let (content, after) = after.split_at(length);
        match tag {
            2 | 4 if content[0] != 0x30 => all.extend((length > least).then_some(content)),
            4 | 0x30 => all.extend(numbers(content, least)),
            _ => {}
        }
        rest = after;
    }
    all
}

#[test]
fn ticket_secrets_do_not_stay_in_memory() {
    // Recognised wherever it lies, whole or in parts, and found in no program's text.
    let secret = |seed: u8| {
        (0..64_u8).map(|n| n.wrapping_mul(37).wrapping_add(seed) ^ seed.rotate_left(3)).collect::<Vec<_>>()
    };
    let (present, before) = (secret(211), secret(113));
    let mut needles = Needles::default();
    for secret in [&present, &before] {
        needles.add("a ticket secret", secret);
        ratchet(secret, 43_200).iter().for_each(|node| needles.add("a node of the ratchet", node));
    }
    let backend = Backend::http();
    let dir = tempfile::tempdir().expect("a directory");
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).expect("write");
        path.to_str().expect("text").to_owned()
    };
    let (now, old) = (file("now", &present), file("before", &before));
    let config = Config::new(&backend)
        .top("workers = 2")
        .table(&format!("[tickets]\nsecret_file = {now:?}\nprevious_secret_file = {old:?}"));
    let mut server = Server::start(&config);
    // A connection that keeps the first generation of settings.
    let mut long = connect(server.address, &default_config());
    get(&mut long, "/").expect("a response");
    for round in 0..3 {
        clean(&server, &needles, &format!("after {round} reloads"));
        let count = |s: &Server| s.log_text().matches("event=reload").count();
        let before = count(&server);
        server.reload(&config);
        server.wait("a reload", |s| count(s) > before);
        get(&mut connect(server.address, &default_config()), "/").expect("a response");
    }
    // The search finds what is there: this name is in the configuration.
    assert!(occurrences(&server, old.as_bytes()) > 0);
    get(&mut long, "/").expect("a response");
}

/// The files of keys, and what of them a key that is in use does not hold as the file has it.
fn files_of_keys(needles: &mut Needles) -> [Vec<u8>; 2] {
    let (text, der) = key_file("ecdsa.key");
    let scalar = numbers(&der, 31)[0].to_vec();
    needles.add("the text of the EC key's file", &text.as_bytes()[48..88]);
    let (text, der) = key_file("rsa2048.key");
    // n, d, p, q, dp, dq, qInv; e is short.
    let [_, d, p, ..] = numbers(&der, 100)[..] else { panic!("an RSA key") };
    // Past the modulus, which is public.
    needles.add("the text of the RSA key's file", &text.as_bytes()[600..]);
    needles.add("RSA's d", d);
    [scalar, p.iter().copied().skip_while(|&byte| byte == 0).collect()]
}

/// What only the two ends of a connection know.
#[derive(Default)]
struct Known {
    /// Of use in the handshake only.
    handshake: Vec<(&'static str, Vec<u8>)>,
    /// Of use while the connection is open.
    traffic: Vec<(&'static str, Vec<u8>)>,
}

fn keys13(secret: &[u8]) -> Vec<u8> {
    [hkdf_expand_label(secret, "key", b"", 16), hkdf_expand_label(secret, "iv", b"", 12)].concat()
}

fn establish13(client: &mut Client, share: &KeyShare, scheme: u16, known: &mut Known) {
    let mut hello = ClientHello::tls13(&[share]);
    hello.set(extension::SIGNATURE_ALGORITHMS, u16s(&[scheme]));
    let flight = client.hello13(&hello, share);
    let schedule = &flight.schedule;
    known.handshake.push((
        "a shared secret",
        share.agree(&flight.hello.extension(extension::KEY_SHARE).expect("a share")[4..]),
    ));
    for secret in [&schedule.client_handshake, &schedule.server_handshake] {
        known.handshake.push(("a handshake traffic secret", secret.clone()));
        known.handshake.push(("a handshake key", keys13(secret)));
    }
    for secret in
        [schedule.client_application(&client.transcript), schedule.server_application(&client.transcript)]
    {
        known.traffic.push(("a traffic key", keys13(&secret)));
        known.traffic.push(("a traffic secret", secret));
    }
    client.finish13(&flight);
    known.handshake.push(("a resumption secret", flight.schedule.resumption(&client.transcript)));
    known.handshake.push(("a ticket's PSK", client.ticket13(&flight).expect("a ticket").psk));
}

fn establish12(client: &mut Client, share: &KeyShare, suite: u16, known: &mut Known) {
    let mut hello = ClientHello::tls12();
    // The certificate's curve has to be known, too; the server prefers X25519.
    hello
        .set(extension::SUPPORTED_GROUPS, u16s(&[share.group, 0x0017]))
        .set(extension::SESSION_TICKET, Vec::new());
    hello.suites = vec![suite];
    let flight = client.hello12(&hello);
    known.handshake.push(("a premaster secret", share.agree(&flight.share)));
    let keys = client.finish12(&flight, share);
    let block = prf(&keys.master, "key expansion", &[flight.hello.random, hello.random].concat(), 32);
    known.traffic.push(("a TLS 1.2 key", block));
    known.handshake.push(("a master secret", keys.master));
}

fn request(client: &mut Client) {
    client.send_record(content::APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n");
    while client.receive_record().expect("a response").kind != content::APPLICATION_DATA {}
}

/// Whole handshakes and reloads: keys stand in memory once each, and nothing else that is secret does.
#[test]
fn handshakes_and_reloads_leave_nothing_behind() {
    let mut files = Needles::default();
    let [scalar, prime] = files_of_keys(&mut files);
    let mut own = Needles::default();
    own.add("the EC key", &scalar);
    own.add("a prime of the RSA key", &prime);
    let config = Config::bare("static:10")
        .certificate("ecdsa.pem", "ecdsa.key")
        .certificate("rsa2048.pem", "rsa2048.key")
        .top("workers = 2")
        .table("[limits]\nconnections = 64\nbuffer_memory = \"2MiB\"");
    let mut server = Server::start(&config);
    let check = |server: &mut Server, when: &str, known: &[(&'static str, Vec<u8>)]| {
        let mut needles = Needles(files.0.clone());
        known.iter().for_each(|(name, secret)| needles.add(name, secret));
        clean(server, &needles, when);
        // The settings of before are there until the last worker has left them.
        let deadline = Instant::now() + PATIENCE;
        loop {
            let keys = own.find(server);
            if keys.len() == 2 && keys.values().all(|places| places.len() == 1) {
                return;
            }
            assert!(Instant::now() < deadline, "{when}: {keys:?}");
        }
    };
    check(&mut server, "after the start", &[]);
    for round in 0..2 {
        let mut known = Known::default();
        let mut clients = Vec::new();
        for share in [KeyShare::x25519(), KeyShare::p256()] {
            for scheme in [0x0403, 0x0804] {
                let mut client = Client::connect(server.address);
                establish13(&mut client, &share, scheme, &mut known);
                request(&mut client);
                clients.push(client);
            }
            for suite in [0xc02b, 0xc02f] {
                let mut client = Client::connect(server.address);
                establish12(&mut client, &share, suite, &mut known);
                request(&mut client);
                clients.push(client);
            }
        }
        check(&mut server, "while connections are open", &known.handshake);
        // The search finds what is there.
        let mut present = Needles::default();
        known.traffic.iter().for_each(|(name, secret)| present.add(name, secret));
        assert_eq!(present.find(&server).len(), 3, "keys and secrets in use");
        drop(clients);
        server.wait("all to end", |s| s.metric("ttls_connections") == 0.0);
        check(&mut server, "when connections are gone", &[known.handshake, known.traffic].concat());
        let reloads = |s: &Server| s.log_text().matches("event=reload").count();
        let before = reloads(&server);
        server.reload(&config);
        server.wait("a reload", |s| reloads(s) > before);
        check(&mut server, &format!("after reload {round}"), &[]);
    }
}

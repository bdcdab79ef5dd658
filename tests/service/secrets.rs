// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the process remembers: the ticket secrets are not part of it.

use harness::backend::Backend;
use harness::client::{connect, default_config, get};
use harness::server::{Config, Server};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, read_to_string};

/// How often `needle` stands in memory that the process can write to.
fn occurrences(server: &Server, needle: &[u8]) -> usize {
    let proc = |name: &str| File::open(format!("/proc/{}/{name}", server.id())).expect("the server runs");
    let maps = read_to_string(proc("maps")).expect("maps");
    let mut memory = proc("mem");
    let mut count = 0;
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
        count += content.windows(needle.len()).filter(|window| *window == needle).count();
    }
    count
}

#[test]
fn ticket_secrets_do_not_stay_in_memory() {
    // Recognised wherever it lies, whole or in parts, and found in no program's text.
    let secret = |seed: u8| {
        (0..64_u8).map(|n| n.wrapping_mul(37).wrapping_add(seed) ^ seed.rotate_left(3)).collect::<Vec<_>>()
    };
    let (present, before) = (secret(211), secret(113));
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
        for secret in [&present, &before] {
            for part in [&secret[..], &secret[..32], &secret[32..], &secret[..16]] {
                assert_eq!(occurrences(&server, part), 0, "after {round} reloads");
            }
        }
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

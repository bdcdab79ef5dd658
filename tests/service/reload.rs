// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reloads: what is good takes effect, whatever else is not; and they hold nobody up.

use harness::backend::Backend;
use harness::client::{connect, default_config, get, try_connect};
use harness::server::{Config, Server, program};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn subject(address: SocketAddr) -> Vec<u8> {
    let mut tls = connect(address, &default_config());
    get(&mut tls, "/").expect("a response");
    tls.conn.peer_certificates().expect("certificates")[0].to_vec()
}

fn reloads(server: &Server) -> usize {
    server.log_text().matches("event=reload").count()
}

#[track_caller]
fn reload(server: &mut Server, config: &Config) {
    let before = reloads(server);
    server.reload(config);
    server.wait("a reload", |s| reloads(s) > before);
}

/// The same with another certificate.
fn renewed(config: &Config) -> Config {
    config.clone().without_certificates().certificate("rsa2048.pem", "rsa2048.key")
}

#[test]
fn a_log_that_can_not_be_opened_keeps_no_certificate_back() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    let mut server = Server::start(&config);
    let first = subject(server.address);
    reload(&mut server, &renewed(&config).table("[log]\nfile = \"/nowhere/at/all/log\""));
    server.logged(&["level=error event=reload", "done, except", "/nowhere/at/all/log", "goes where it went"]);
    assert_ne!(subject(server.address), first);
    // The log goes on where it went.
    reload(&mut server, &config);
    assert_eq!(subject(server.address), first);
}

#[test]
fn an_address_that_is_taken_keeps_no_certificate_back_and_no_address_goes() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    let mut server = Server::start(&config);
    let (address, first) = (server.address, subject(server.address));
    let taken = TcpListener::bind(SocketAddr::new(address.ip(), 0)).expect("listen");
    let other = taken.local_addr().expect("an address");
    reload(&mut server, &renewed(&config).top(&format!("listen = [\"{other}\"]")));
    server.logged(&["level=error event=reload", "another program listens there", "still listening on"]);
    assert_ne!(subject(address), first);
    // Once it is free, it is opened, and the old one goes.
    drop(taken);
    reload(&mut server, &config.clone().top(&format!("listen = [\"{other}\"]")));
    assert_eq!(subject(other), first);
    server.wait("the old address to go", |_| TcpStream::connect(address).is_err());
}

#[test]
fn between_a_wildcard_and_one_of_its_addresses() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    // A port that nobody has, whatever the address.
    let port = TcpListener::bind("0.0.0.0:0").expect("listen").local_addr().expect("an address").port();
    let listening = |addresses: &[&str]| {
        let listen: Vec<_> = addresses.iter().map(|address| format!("\"{address}:{port}\"")).collect();
        config.clone().top(&format!("listen = [{}]", listen.join(", ")))
    };
    let serves = |address: &str| {
        let address = format!("{address}:{port}").parse().expect("an address");
        try_connect(address, &default_config()).is_ok_and(|mut tls| get(&mut tls, "/").is_ok())
    };
    // Both at once from the start.
    let mut server = Server::start(&listening(&["0.0.0.0", "127.0.0.1"]));
    assert!(serves("127.0.0.1") && serves("127.0.0.2"));
    let steps: [&[&str]; 6] = [
        &["127.0.0.1"],
        &["0.0.0.0"],
        &["127.0.0.1", "0.0.0.0"],
        &["0.0.0.0"],
        &["127.0.0.2", "127.0.0.1"],
        &["127.0.0.1"],
    ];
    for step in steps {
        reload(&mut server, &listening(step));
        let log = server.log_text();
        let last = log.lines().rfind(|line| line.contains("event=reload")).expect("a reload");
        assert!(last.ends_with("message=done"), "{step:?}: {last}");
        for address in ["127.0.0.1", "127.0.0.2"] {
            let expected = step.contains(&"0.0.0.0") || step.contains(&address);
            server.wait(&format!("{address} to be served: {expected}, of {step:?}"), |_| {
                serves(address) == expected
            });
        }
    }
    // Another program is named as such, and so is ttls itself.
    let other = TcpListener::bind("127.0.0.3:0").expect("listen").local_addr().expect("an address");
    let taken = TcpListener::bind(other).expect("listen");
    reload(&mut server, &config.clone().top(&format!("listen = [\"127.0.0.1:{port}\", \"{other}\"]")));
    server.logged(&["event=reload", "another program listens there"]);
    drop(taken);
}

#[test]
fn signals_during_the_start_are_for_when_it_serves() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("ttls.toml");
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a FIFO");
    let mut child = Command::new(program())
        .args(["serve", "--demo", "--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
    // It reads its configuration as soon as that can be opened here.
    let configure = || {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match rustix::fs::open(&file, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
                Ok(fd) => return fs::File::from(fd),
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    let signal = |signal| kill_process(Pid::from_child(&child), signal).expect("signal the server");
    let mut configuration = configure();
    signal(Signal::HUP);
    thread::sleep(Duration::from_millis(100));
    configuration.write_all(b"workers = 1\n").expect("the server reads");
    drop(configuration);
    assert!(log.any(|line| line.contains("event=listening")), "it has ended");
    // What came meanwhile it does now.
    let mut configuration = configure();
    configuration.write_all(b"workers = 1\n").expect("the server reads");
    drop(configuration);
    assert!(log.any(|line| line.contains("event=reload") && line.ends_with("message=done")));
    signal(Signal::HUP);
    let _configuration = configure();
    // A reload that never ends does not stop a stop.
    signal(Signal::TERM);
    assert!(log.any(|line| line.contains("event=stop")));
    assert!(child.wait().expect("wait").success());
}

#[test]
fn many_reloads_under_way_are_one_and_the_last_change_counts() {
    let backend = Backend::http();
    let config = Config::new(&backend);
    let mut server = Server::start(&config);
    let first = subject(server.address);
    for n in 0..200 {
        server.write(&if n == 199 { renewed(&config) } else { config.clone() });
        server.signal(Signal::HUP);
    }
    server.wait("the new certificate", |s| subject(s.address) != first);
    get(&mut connect(server.address, &default_config()), "/").expect("a response");
}

/// A folder that an unprivileged user may enter.
fn shared_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    dir
}

fn logging_to(path: &Path) -> String {
    format!("[log]\nfile = {:?}", path.to_str().expect("text"))
}

// Who is not root can not change users: there is nothing to test.
#[test]
fn with_another_user_a_reload_opens_log_and_addresses_again() {
    if fs::metadata("/proc/self").expect("proc").uid() != 0 {
        return;
    }
    let dir = shared_folder();
    let copy = |name: &str| {
        let path = dir.path().join(name);
        fs::copy(harness::pki::pki().text(name), &path).expect("copy");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
        path.to_str().expect("text").to_owned()
    };
    let (chain, key) = (copy("ecdsa.pem"), copy("ecdsa.key"));
    let log = dir.path().join("log");
    let port = TcpListener::bind("0.0.0.0:0").expect("listen").local_addr().expect("an address").port();
    let config = |address: &str| {
        Config::bare("demo:")
            .top(&format!("user = \"nobody\"\nlisten = [\"{address}:{port}\"]"))
            .certificate(&chain, &key)
            .table(&logging_to(&log))
    };
    let mut server = Server::start(&config("0.0.0.0"));
    fs::set_permissions(server.dir.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
    let ends = |count: usize| {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let ends: Vec<_> =
            text.lines().filter(|line| line.contains("event=reload")).map(str::to_owned).collect();
        assert!(ends.iter().all(|line| line.ends_with("message=done")), "{ends:?}");
        ends.len() == count
    };
    server.reload(&config("127.0.0.1"));
    server.wait("a reload", |_| ends(1));
    server.reload(&config("0.0.0.0"));
    server.wait("a reload", |_| ends(2));
    // The folder is not that user's: a file that is gone can not be made again, and the log stays in the old one.
    let moved = dir.path().join("log.1");
    fs::rename(&log, &moved).expect("rename");
    server.signal(Signal::HUP);
    server.wait("a reload", |_| {
        fs::read_to_string(&moved)
            .is_ok_and(|text| text.contains("log: can not be opened: Permission denied"))
    });
    let mut tls = connect(SocketAddr::new(server.address.ip(), port), &default_config());
    get(&mut tls, "/").expect("a response");
}

#[test]
fn an_address_that_is_not_there_yet_is_served_once_it_is() {
    // Of the range for documentation (RFC 5737): no machine of the tests has it.
    let backend = Backend::http();
    let config = Config::new(&backend);
    let host = "192.0.2.77";
    let mut server = Server::start(&config.clone().top(&format!("listen = [\"{host}:8443\"]")));
    server.logged(&["level=warn", "this machine does not have the address yet"]);
    server.logged(&["event=listening", host]);
}

#[test]
fn a_drain_that_cuts_connections_says_so() {
    let backend = Backend::http();
    let mut server = Server::start(&Config::new(&backend).table("[timeouts]\ndrain = \"100ms\""));
    let mut tls = connect(server.address, &default_config());
    get(&mut tls, "/").expect("a response");
    server.signal(Signal::TERM);
    server.logged(&["event=drain", "connections=1"]);
    server.logged(&["level=warn event=stop", "timeouts.drain is over", "connections=1 cut=1"]);
    assert!(server.ended().success());
    let mut server = Server::start(&Config::new(&backend));
    server.logged(&["event=listening"]);
    server.signal(Signal::TERM);
    server.logged(&["level=info event=stop message=drained connections=0 cut=0"]);
}

#[test]
fn what_may_be_gone_in_a_moment_is_worth_another_try() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = taken.local_addr().expect("an address").to_string();
    let status = |listen: &str| {
        let mut command = Command::new(program());
        command.args(["serve", "--demo", "--listen", listen]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("it runs").code()
    };
    assert_eq!(status(&address), Some(75));
    assert_eq!(status("nonsense"), Some(1));
}

#[test]
fn connections_leave_descriptors_for_a_reload() {
    let backend = Backend::http();
    let config = Config::new(&backend).top("workers = 2");
    let mut server = Server::start_with_descriptors(&config, 120);
    server.logged(&["level=warn", "limits.connections is 65536", "the process may have 120"]);
    let first = subject(server.address);
    // They say nothing, and are accepted all the same after a second.
    let mut open: Vec<_> = (0..200).map(|_| TcpStream::connect(server.address).expect("connect")).collect();
    for stream in &mut open {
        stream.write_all(b"\x16").expect("send");
    }
    server.logged(&["level=error event=accept", "no new connections"]);
    reload(&mut server, &renewed(&config));
    server.logged(&["event=reload", "message=done"]);
    drop(open);
    server.wait("the new certificate", |s| {
        try_connect(s.address, &default_config()).is_ok_and(|mut tls| {
            get(&mut tls, "/").is_ok()
                && tls.conn.peer_certificates().is_some_and(|chain| chain[0].to_vec() != first)
        })
    });
    // About one line a second, not one an attempt.
    let lines = server.log_text().matches("event=accept").count();
    assert!(lines < 60, "{lines} lines");
}

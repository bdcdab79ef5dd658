// SPDX-License-Identifier: MIT OR Apache-2.0
//! A worker in the hands of a script: what its client sends, what its backend does, who reads how much, and when time
//! passes. The sockets are the kernel's, the clock is the script's.
//!
//! Over TCP the kernel has a say, too: when segments, acknowledgements and resets arrive. Over Unix sockets everything follows from the
//! script, and no handshake but the first takes public-key work: a fuzzer makes thousands a second.
//!
//! What must hold is checked at every step and at the end: every byte arrives once and in order, or the end of the stream does
//! not look like one; records open, and nothing follows the last; nothing that was counted or lent is left.

#![allow(unreachable_pub, missing_docs)] // shared by a test and a fuzzer

use harness::pki::pki;
use harness::raw::{
    Client, ClientHello, KeyShare, Ticket, alert, content, extension, handshake, message, offer,
};
use rustix::event::epoll::Event;
use rustix::net::sockopt;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_server::config::Source;
use ttls_server::hosts::Hosts;
use ttls_server::serve::context::Shared;
use ttls_server::serve::count::Count;
use ttls_server::serve::listener;
use ttls_server::serve::log::destination::Destination;
use ttls_server::serve::log::sink::{Sink, Style};
use ttls_server::serve::metrics::Counters;
use ttls_server::serve::sources::Sources;
use ttls_server::serve::worker::{Parts, Worker, wake_fd};
use ttls_server::settings::{Fixed, Settings};
use ttls_server::tickets::Tickets;

/// Milliseconds of the time-outs below.
const IDLE: u64 = 20_000;
const CLOSE: u64 = 4_000;
const TABLES: &str = "
workers = 1
[timeouts]
handshake = \"10s\"
connect = \"5s\"
idle = \"20s\"
close = \"4s\"
[limits]
connections = 64
per_prefix = 4
half_open = 4
buffer_memory = \"1MiB\"
[log]
connections = \"off\"
file = \"/dev/null\"
[tickets]
per_handshake = 1
";
/// Body of the built-in backend's response.
const BODY: usize = 300 << 10;

/// Most bytes read in one call.
const PIECE: usize = 16 << 10;

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The script.
    Scripted,
    /// The built-in backend.
    Builtin,
    /// Nobody: the connection is refused at once.
    Dead,
}

/// What connects client, worker and backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// TCP over the loopback interface.
    Tcp,
    /// Unix sockets, on which a reset can not be made.
    Unix,
}

/// Where a scripted backend listens.
enum Backend {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Sessions to resume.
#[derive(Clone)]
struct Sessions {
    tls13: Ticket,
    /// Ticket and master secret.
    tls12: (Vec<u8>, Vec<u8>),
}

/// A worker, and what its backend listens on.
pub struct World {
    kind: Kind,
    link: Link,
    worker: Worker,
    events: Vec<Event>,
    address: SocketAddr,
    /// Where clients connect to: what is set of its buffers is theirs at the server's end.
    listener: OwnedFd,
    backend: Backend,
    /// Over Unix sockets.
    sessions: Option<Sessions>,
    shared: Arc<Shared>,
    counters: Arc<Counters>,
    clock: u64,
    /// Unix time.
    wall: u64,
    /// Length of a built-in response, head included.
    response: usize,
    _dir: tempfile::TempDir,
}

/// The byte at `position` of a stream, which tells its place.
fn byte(stream: u8, position: u64) -> u8 {
    let [a, b, c, ..] = position.to_le_bytes();
    a.wrapping_mul(167) ^ b.wrapping_mul(31).rotate_left(3) ^ c ^ stream
}

fn bytes(stream: u8, from: u64, length: usize) -> Vec<u8> {
    (from..).take(length).map(|position| byte(stream, position)).collect()
}

const FROM_CLIENT: u8 = 0x3c;
const FROM_BACKEND: u8 = 0xa5;

/// The script: bytes, zeros after its end.
pub struct Script<'s>(pub &'s [u8]);

impl Script<'_> {
    fn next(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn length(&mut self, most: usize) -> usize {
        let length = usize::from(self.next()) << 8 | usize::from(self.next());
        1 + length * most / 65_536
    }
}

/// The client's side.
struct Near {
    client: Client,
    tls13: bool,
    /// Sealed, and not taken by the kernel yet.
    out: Vec<u8>,
    /// Received, and not a whole record yet.
    pending: Vec<u8>,
    /// Application data sealed, and received.
    said: u64,
    heard: u64,
    requests: u64,
    /// What it did that ends its stream: in order, or not.
    closed: bool,
    broken: bool,
    /// It hardly ever reads.
    lazy: bool,
    /// close_notify came although its backend had not ended.
    misled: bool,
    /// FIN or RST is sent.
    shut: bool,
    /// The kernel takes no more: the server has gone.
    gone: bool,
    key_updates: u8,
    /// Whose alert came last, and how the stream ended.
    alert: Option<(u8, u8)>,
    ended: Option<Ended>,
}

/// The backend's side.
struct Far {
    link: Link,
    /// The kernel has told of a reset, which looks like an end from then on.
    told: bool,
    stream: TcpStream,
    received: u64,
    written: u64,
    finished: bool,
    broken: bool,
    ended: Option<Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Orderly,
    Reset,
}

/// What `read` and `write` gave that is neither bytes nor an end.
fn blocked(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn reset_on_close(stream: &TcpStream) {
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

impl World {
    /// A worker whose connections go to a backend of this kind.
    pub fn new(kind: Kind, link: Link) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("backend");
        let (backend, at) = match link {
            Link::Tcp => {
                let backend = TcpListener::bind("127.0.0.1:0").expect("listen");
                backend.set_nonblocking(true).expect("non-blocking");
                let at = backend.local_addr().expect("own address").to_string();
                (Backend::Tcp(backend), at)
            }
            Link::Unix => {
                let backend = UnixListener::bind(&path).expect("listen");
                backend.set_nonblocking(true).expect("non-blocking");
                (Backend::Unix(backend), format!("unix:{}", path.display()))
            }
        };
        let target = match kind {
            Kind::Scripted => at,
            Kind::Builtin => format!("static:{BODY}"),
            Kind::Dead => format!("unix:{}/none", dir.path().display()),
        };
        let (chain, key) = (pki().text("ecdsa.pem"), pki().text("ecdsa.key"));
        let file = dir.path().join("ttls.toml");
        let text = format!(
            "listen = [\"127.0.0.1:0\"]\nbackend = {target:?}\n{TABLES}[[certificate]]\nchain = {chain:?}\nkey = {key:?}\n"
        );
        std::fs::write(&file, text).expect("write");
        let fixed = Fixed { demo: None, hosts: Hosts::default() };
        let source = Source { file: Some(file), flags: Vec::new() };
        let settings = Settings::build(&source, &fixed, &mut Vec::new()).expect("a good configuration");
        let (fd, _) = listener::open(settings.listen[0], &settings.listener).expect("listen");
        let address = rustix::net::getsockname(&fd).expect("own address").try_into().expect("IPv4");
        let listener = fd.try_clone().expect("a descriptor");
        let limits = &settings.limits;
        let sources = Sources::new(limits.per_prefix, limits.ipv4_prefix, limits.ipv6_prefix);
        let tickets = Tickets::default();
        tickets.set(settings.tickets.as_ref().and_then(|derived| derived.take()).expect("ticket keys"));
        let shared = Arc::new(Shared {
            connections: Count::default(),
            sources: Arc::new(sources),
            routes: Arc::default(),
            tickets,
            descriptors: 1000,
            shortage_told: AtomicU64::new(0),
        });
        let nowhere = Destination::file("/dev/null".as_ref(), rustix::fs::Mode::empty()).expect("/dev/null");
        let sink = Sink::new(nowhere, Style::Log(settings.log.format)).expect("a descriptor");
        sink.start().expect("a thread");
        let counters = Arc::new(Counters::default());
        // The other end is dropped: nobody sends messages.
        let (_, receiver) = std::sync::mpsc::channel();
        let worker = Worker::new(Parts {
            workers: 1,
            listeners: vec![(settings.listen[0], fd)],
            receiver,
            wake: Arc::new(wake_fd().expect("a descriptor")),
            counters: Arc::clone(&counters),
            shared: Arc::clone(&shared),
            sink,
            keylog: None,
            cpu: Cpu::detect(Choice::Scalar).expect("any CPU"),
            settings: Arc::new(settings),
        })
        .expect("a worker");
        let mut world = Self {
            kind,
            link,
            worker,
            events: Vec::with_capacity(64),
            address,
            listener,
            backend,
            sessions: None,
            shared,
            counters,
            // The worker's timers begin now: they would wait for a clock that is behind.
            clock: ttls_server::serve::clock::monotonic(),
            wall: ttls_server::serve::clock::unix_time(),
            response: 0,
            _dir: dir,
        };
        // The worker's clock is the script's from here on.
        world.sweep(0);
        if link == Link::Unix {
            world.sessions = Some(world.sessions());
        }
        if kind == Kind::Builtin {
            let mut near = world.connect(true, 0);
            near.request();
            world.settle(&mut near, &mut None, |near, _| near.heard > BODY as u64);
            world.response = usize::try_from(near.heard).expect("a short response");
            assert!(world.response > BODY, "{} bytes", world.response);
            drop(near);
            world.expect_nothing_left("the first response");
        }
        world
    }

    fn sweep(&mut self, wait: u64) {
        // Tickets and certificates stay valid, however long the script's time-outs are.
        let (clock, wall) = (self.clock, self.wall);
        let time = || (wall, clock);
        // The worker's own time-outs are on the script's clock: it may not sleep longer than asked.
        let wait = self.worker.timeout().map_or(wait, |timeout| timeout.min(wait));
        self.worker.sweep(&mut self.events, Some(wait), time).expect("epoll");
    }

    fn pass(&mut self, milliseconds: u64) {
        self.clock += milliseconds;
        self.sweep(0);
    }

    /// A socket connected to the worker. Of `buffers`, bit 0 is for a small receive buffer of the client, bit 1 for a small send buffer,
    /// bit 2 for a small send buffer of the worker.
    fn dial(&mut self, buffers: u8) -> TcpStream {
        use rustix::net::{AddressFamily, SocketFlags, SocketType};
        let small = |bit: u8| if buffers & bit != 0 { 4096 } else { 1 << 20 };
        if self.link == Link::Unix {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
            let (ours, theirs) = pair.expect("a pair of sockets");
            sockopt::set_socket_send_buffer_size(&ours, small(2)).expect("a buffer size");
            sockopt::set_socket_send_buffer_size(&theirs, small(4)).expect("a buffer size");
            let ours = TcpStream::from(ours);
            ours.set_nonblocking(false).expect("blocking");
            self.worker.admit(theirs, "127.0.0.1:1".parse().expect("an address"));
            return ours;
        }
        sockopt::set_socket_send_buffer_size(&self.listener, small(4)).expect("a buffer size");
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        if buffers & 1 != 0 {
            sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("a small buffer");
        }
        if buffers & 2 != 0 {
            sockopt::set_socket_send_buffer_size(&socket, 4096).expect("a small buffer");
        }
        rustix::net::connect(&socket, &self.address).expect("connect");
        TcpStream::from(socket)
    }

    /// Has a client in a thread of its own shake hands.
    fn shake<T: Send + 'static>(
        &mut self,
        hands: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> (Client, T) {
        let stream = self.dial(0);
        self.shake_over(stream, hands)
    }

    fn shake_over<T: Send + 'static>(
        &mut self,
        stream: TcpStream,
        hands: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> (Client, T) {
        let shaking = thread::spawn(move || {
            let mut client = Client::over(stream);
            let result = hands(&mut client);
            (client, result)
        });
        while !shaking.is_finished() {
            self.sweep(1);
        }
        shaking.join().expect("a handshake")
    }

    /// Makes sessions to resume.
    fn sessions(&mut self) -> Sessions {
        let (_, tls13) = self.shake(|client| {
            let share = KeyShare::fixed(&[0x42; 32]);
            let flight = client.establish13(&ClientHello::tls13(&[&share]), &share);
            client.ticket13(&flight).expect("a ticket")
        });
        let (_, tls12) = self.shake(|client| {
            let flight = client.hello12(ClientHello::tls12().set(extension::SESSION_TICKET, Vec::new()));
            let keys = client.finish12(&flight, &KeyShare::x25519());
            (keys.ticket.expect("a ticket"), keys.master)
        });
        while self.accept().is_some() {}
        self.expect_nothing_left("the first handshakes");
        Sessions { tls13, tls12 }
    }

    /// A client that resumes a session. All its peer says is there when it reads, so nobody waits for anybody.
    fn resume(&mut self, mut client: Client, sessions: &Sessions, tls13: bool) -> Client {
        if tls13 {
            let share = KeyShare::fixed(&[0x42; 32]);
            let mut hello = ClientHello::tls13(&[&share]);
            let hello =
                offer(hello.set(extension::PSK_KEY_EXCHANGE_MODES, vec![1, 1]), &sessions.tls13, |_| {});
            client.send_message(&hello);
            (0..3).for_each(|_| self.sweep(0));
            let flight = client.flight13(&share, &sessions.tls13.psk);
            client.finish13(&flight);
        } else {
            let (ticket, master) = &sessions.tls12;
            let mut hello = ClientHello::tls12();
            hello.set(extension::SESSION_TICKET, ticket.clone());
            client.send_message(&hello.encode());
            (0..3).for_each(|_| self.sweep(0));
            let keys = client.resumed12(&hello, master);
            client.finish_resumed12(&keys);
        }
        self.sweep(0);
        client
    }

    /// A client after its handshake; `buffers` as for [`World::dial`].
    fn connect(&mut self, tls13: bool, buffers: u8) -> Near {
        let stream = self.dial(buffers);
        let client = match self.sessions.take() {
            Some(sessions) => {
                let client = self.resume(Client::over(stream), &sessions, tls13);
                self.sessions = Some(sessions);
                client
            }
            None => {
                let shaken = self.shake_over(stream, move |client| {
                    let share = KeyShare::fixed(&[0x42; 32]);
                    if tls13 {
                        client.establish13(&ClientHello::tls13(&[&share]), &share);
                    } else {
                        let flight = client.hello12(&ClientHello::tls12());
                        client.finish12(&flight, &share);
                    }
                });
                shaken.0
            }
        };
        client.stream.set_nonblocking(true).expect("non-blocking");
        Near {
            client,
            tls13,
            out: Vec::new(),
            pending: Vec::new(),
            said: 0,
            heard: 0,
            requests: 0,
            closed: false,
            broken: false,
            lazy: buffers & 8 != 0,
            misled: false,
            shut: false,
            gone: false,
            key_updates: 0,
            alert: None,
            ended: None,
        }
    }

    fn accept(&mut self) -> Option<Far> {
        if self.kind != Kind::Scripted {
            return None;
        }
        let stream = match &self.backend {
            Backend::Tcp(listener) => listener.accept().ok()?.0,
            Backend::Unix(listener) => TcpStream::from(OwnedFd::from(listener.accept().ok()?.0)),
        };
        stream.set_nonblocking(true).expect("non-blocking");
        Some(Far {
            link: self.link,
            told: false,
            stream,
            received: 0,
            written: 0,
            finished: false,
            broken: false,
            ended: None,
        })
    }

    /// Plays `script` with one client, and checks what must hold.
    pub fn play(&mut self, script: &mut Script<'_>) {
        let first = script.next();
        if first & 0xf0 == 0xf0 {
            self.abandon(script);
            return self.expect_nothing_left("a handshake that was abandoned");
        }
        let taken_before = self.counters.bytes_in.get();
        let mut near = self.connect(first & 1 == 0, first >> 1);
        let mut far = None;
        let mut time = 0;
        for _ in 0..200 {
            if script.0.is_empty() {
                break;
            }
            self.step(script, &mut near, &mut far, &mut time);
        }
        // So much that the worker may have ended the connection for it, or given up on its last bytes.
        let aged = time > CLOSE - 1000;
        let broken = near.broken || far.as_ref().is_some_and(|far| far.broken);
        let faultless = !broken && !aged;
        // Both sides write what they have left, and read what comes.
        let counters = Arc::clone(&self.counters);
        let taken = || counters.bytes_in.get() - taken_before;
        let kind = self.kind;
        let arrived = |near: &Near, far: &Option<Far>| match far {
            _ if kind != Kind::Scripted || far.as_ref().is_some_and(|far| far.broken) || aged => true,
            Some(far) => {
                far.received == taken()
                    && (broken || (far.received == near.said && near.heard == far.written))
            }
            None => false,
        };
        self.settle(&mut near, &mut far, arrived);
        if !near.shut {
            near.close();
            if let Some(far) = &mut far {
                far.finish();
            }
            self.settle(&mut near, &mut far, |near, _| !faultless || near.ended.is_some());
        }
        for _ in 0..20 {
            self.pass(100);
            self.settle(&mut near, &mut far, |_, _| true);
        }
        self.settle(&mut near, &mut far, |near, far| {
            !faultless || (near.ended.is_some() && far.as_ref().is_none_or(|far| far.ended.is_some()))
        });
        let taken = taken();
        self.judge(&near, far.as_ref(), faultless, aged, taken);
        // Nobody keeps the connection any more.
        reset_on_close(&near.client.stream);
        drop((near, far));
        while self.accept().is_some() {}
        self.expect_nothing_left("the connection's end");
    }

    fn step(&mut self, script: &mut Script<'_>, near: &mut Near, far: &mut Option<Far>, passed: &mut u64) {
        let what = script.next();
        if far.is_none() {
            *far = self.accept();
        }
        match what % 20 {
            6 | 7 if near.lazy => near.ask(script.next()),
            0 | 1 if self.kind == Kind::Builtin => near.request(),
            0 => near.say(script.length(300)),
            1 => near.say(script.length(16_384)),
            2 => near.flush(script.length(1500)),
            3 | 4 => near.flush(usize::MAX),
            5 => near.ask(script.next()),
            6 => near.listen(script.length(3000), far.as_ref()),
            7 => near.listen(usize::MAX, far.as_ref()),
            8 => near.misbehave(script.next()),
            9 => near.end(script.next()),
            10..=15 => {
                if let Some(far) = far {
                    match what % 20 {
                        10 => far.listen(script.length(3000)),
                        11 => far.listen(usize::MAX),
                        12 => far.say(script.length(3000)),
                        13 => far.say(script.length(2 << 20)),
                        14 => far.finish(),
                        _ if script.next() < 64 => far.reset(),
                        _ => {}
                    }
                }
            }
            16 => {
                let time = [1, 50, 500, 1500, 5500, IDLE + 500][usize::from(script.next()) % 6];
                *passed += time;
                self.pass(time);
            }
            _ => (0..3).for_each(|_| self.sweep(0)),
        }
        if what & 0x80 == 0 {
            self.sweep(0);
        }
    }

    /// Sweeps, and has both sides read and write, until nothing moves any more and `done` is reached, or will not be: a few seconds
    /// are more than the kernel's own timers take.
    fn settle(&mut self, near: &mut Near, far: &mut Option<Far>, done: impl Fn(&Near, &Option<Far>) -> bool) {
        let (mut quiet, patience) = (0, if self.link == Link::Tcp { 3000 } else { 8 });
        while quiet < 3 || (quiet < patience && !done(near, far)) {
            let before = (near.progress(), far.as_ref().map(Far::progress));
            if far.is_none() {
                *far = self.accept();
            }
            near.flush(usize::MAX);
            near.listen(usize::MAX, far.as_ref());
            if let Some(far) = far {
                far.listen(usize::MAX);
                if far.ended.is_some() {
                    far.finish();
                }
            }
            let after = (near.progress(), far.as_ref().map(Far::progress));
            quiet = if before == after { quiet + 1 } else { 0 };
            self.sweep(u64::from(quiet > 0 && self.link == Link::Tcp));
        }
    }

    fn judge(&self, near: &Near, far: Option<&Far>, faultless: bool, aged: bool, taken: u64) {
        let goodbye = near.alert == Some((1, alert::CLOSE_NOTIFY));
        match (self.kind, far) {
            (Kind::Scripted, Some(far)) => {
                if goodbye {
                    assert!(!near.misled, "close_notify, and the backend has not ended: {near:?} {far:?}");
                    // Where nothing was said for too long, the backend may write when the connection has ended.
                    let unused = near.heard == 0 && far.received == 0 && !faultless;
                    assert!(
                        unused || near.heard == far.written,
                        "close_notify before the end: {near:?} {far:?}"
                    );
                }
                if far.ended == Some(Ended::Orderly) && !far.broken && self.link == Link::Tcp {
                    assert!(
                        near.closed,
                        "the backend sees an end in order, and the client's was not: {near:?} {far:?}"
                    );
                    assert_eq!(far.received, near.said, "a part that looks like the whole: {near:?} {far:?}");
                }
                if !far.broken && !aged {
                    assert_eq!(far.received, taken, "what had arrived was lost: {near:?} {far:?}");
                }
                if faultless {
                    assert!(goodbye, "nothing was wrong, and no close_notify: {near:?} {far:?}");
                    assert_eq!(far.ended, Some(Ended::Orderly), "nothing was wrong: {near:?} {far:?}");
                    assert_eq!((far.received, near.heard), (near.said, far.written), "{near:?} {far:?}");
                }
            }
            (Kind::Builtin, _) if goodbye => {
                assert!(near.heard.is_multiple_of(self.response as u64), "a part of a response: {near:?}");
            }
            (Kind::Dead, _) if near.alert.is_some() => {
                assert_eq!(near.alert, Some((2, alert::INTERNAL_ERROR)), "{near:?}");
            }
            _ => {}
        }
        if faultless && self.kind == Kind::Builtin {
            assert!(goodbye, "nothing was wrong, and no close_notify: {near:?}");
            assert_eq!(near.heard, near.requests * self.response as u64, "{near:?}");
        }
    }

    /// A client that does not finish its handshake.
    fn abandon(&mut self, script: &mut Script<'_>) {
        let mut stream = self.dial(0);
        stream.set_nonblocking(true).expect("non-blocking");
        let mut hello = ClientHello::tls13(&[&KeyShare::fixed(&[0x42; 32])]);
        hello.set(21, vec![0; script.length(9000)]);
        let mut sent = harness::raw::plain_record(content::HANDSHAKE, &hello.encode());
        if script.next() < 100 {
            let at = script.length(sent.len()) - 1;
            sent[at] ^= script.next();
        }
        sent.truncate(script.length(sent.len() + 1));
        for piece in sent.chunks(script.length(6000)) {
            let _ = stream.write_all(piece);
            self.sweep(0);
        }
        match script.next() % 4 {
            0 => drop(stream.shutdown(Shutdown::Write)),
            1 => self.pass(11_000),
            2 => reset_on_close(&stream),
            _ => {}
        }
        self.sweep(0);
    }

    /// All connections have gone, and everything that was counted or lent is back.
    fn expect_nothing_left(&mut self, after: &str) {
        for round in 0..2000 {
            // One tick of the timers, and real time for the kernel.
            self.clock += if round < 50 { 0 } else { 500 };
            self.sweep(u64::from(round % 8 == 7 && self.link == Link::Tcp));
            if self.shared.connections.get() == 0 {
                break;
            }
        }
        self.sweep(0);
        let counters = &self.counters;
        let left = [counters.connections.get(), counters.half_open.get(), counters.buffers.get()];
        assert_eq!(left, [0; 3], "connections, half-open ones, buffers after {after}");
        assert_eq!(self.shared.connections.get(), 0, "connections after {after}");
        let entries: Option<Vec<_>> =
            (0..4).map(|_| self.shared.sources.enter("127.0.0.1".parse().expect("an address"))).collect();
        assert!(entries.is_some(), "a place in the count of sources is left behind after {after}");
    }
}

impl Near {
    fn seal(&mut self, kind: u8, body: &[u8]) {
        if !self.closed && !self.broken && !self.shut {
            let record = self.client.seal.as_mut().expect("keys").seal(kind, body);
            self.out.extend_from_slice(&record);
        }
    }

    fn say(&mut self, length: usize) {
        if !self.closed && !self.broken && !self.shut {
            self.seal(content::APPLICATION_DATA, &bytes(FROM_CLIENT, self.said, length));
            self.said += length as u64;
        }
    }

    fn request(&mut self) {
        if !self.closed && !self.broken && !self.shut {
            self.seal(content::APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n");
            self.requests += 1;
        }
    }

    /// Asks for an answer of TLS itself.
    fn ask(&mut self, how: u8) {
        if self.key_updates >= 6 || self.closed || self.broken || self.shut {
            return;
        }
        self.key_updates += 1;
        if self.tls13 {
            self.seal(content::HANDSHAKE, &handshake(message::KEY_UPDATE, &[how & 1]));
            self.client.seal.as_mut().expect("keys").update();
        } else {
            self.seal(content::HANDSHAKE, &ClientHello::tls12().encode());
        }
    }

    /// What must end the connection.
    fn misbehave(&mut self, how: u8) {
        if self.closed || self.broken || self.shut {
            return;
        }
        match how % 16 {
            0 => self.out.extend_from_slice(&[[23, 3, 3, 0, 24].as_slice(), &[0; 24]].concat()),
            1 => self.seal(content::ALERT, &[2, alert::INTERNAL_ERROR]),
            2 => self.seal(content::HANDSHAKE, &handshake(message::FINISHED, &[0; 12])),
            3 => self.out.extend_from_slice(&[23, 3, 3, 0x40, 0]),
            _ => return,
        }
        self.broken = true;
    }

    fn close(&mut self) {
        self.seal(content::ALERT, &[1, alert::CLOSE_NOTIFY]);
        self.closed |= !self.broken && !self.shut;
    }

    fn end(&mut self, how: u8) {
        match how % 12 {
            0..=3 => self.close(),
            4 => {
                // FIN, with whatever is not flushed missing.
                self.broken |= !self.closed || !self.out.is_empty();
                self.shut = true;
                let _ = self.client.stream.shutdown(Shutdown::Write);
            }
            5 => {
                self.broken = true;
                self.shut = true;
                reset_on_close(&self.client.stream);
                // The descriptor is replaced by a socket that is not connected: closed, and reset.
                let other = rustix::net::socket(
                    rustix::net::AddressFamily::INET,
                    rustix::net::SocketType::STREAM,
                    None,
                );
                self.client.stream = TcpStream::from(other.expect("a socket"));
                self.ended.get_or_insert(Ended::Reset);
            }
            _ => {}
        }
        if self.shut {
            self.out.clear();
        }
    }

    fn flush(&mut self, most: usize) {
        let most = most.min(self.out.len());
        if most == 0 {
            return;
        }
        match self.client.stream.write(&self.out[..most]) {
            Ok(count) => drop(self.out.drain(..count)),
            Err(error) if blocked(&error) => {}
            Err(_) => {
                self.out.clear();
                self.gone = true;
            }
        }
    }

    fn listen(&mut self, most: usize, far: Option<&Far>) {
        let mut left = most;
        let before = self.alert;
        let mut piece = [0; PIECE];
        while left > 0 && self.ended.is_none() {
            let here = left.min(piece.len());
            match self.client.stream.read(&mut piece[..here]) {
                Ok(0) => self.ended = Some(Ended::Orderly),
                Ok(count) => {
                    self.pending.extend_from_slice(&piece[..count]);
                    left -= count;
                    self.records();
                }
                Err(error) if blocked(&error) => break,
                Err(_) => self.ended = Some(Ended::Reset),
            }
        }
        if before.is_none() && self.alert == Some((1, alert::CLOSE_NOTIFY)) {
            // A connection on which nothing was said ends like that, too.
            let used = |far: &&Far| self.heard > 0 || far.received > 0;
            self.misled = far.filter(used).is_some_and(|far| !far.finished);
        }
    }

    fn records(&mut self) {
        let mut at = 0;
        while let Some(header) = self.pending[at..].first_chunk::<5>() {
            let header = *header;
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            let Some(body) = self.pending[at + 5..].get(..length) else { break };
            at += 5 + length;
            let record = self.client.open.as_mut().expect("keys").open(header, body);
            let over = self.alert.is_some_and(|(level, code)| level == 2 || code == alert::CLOSE_NOTIFY);
            assert!(!over, "content type {} after {:?}", record.kind, self.alert);
            match (record.kind, &record.body[..]) {
                (content::APPLICATION_DATA, data) => {
                    if self.requests == 0 {
                        assert!(
                            data == bytes(FROM_BACKEND, self.heard, data.len()),
                            "bytes in order at {}",
                            self.heard
                        );
                    }
                    self.heard += data.len() as u64;
                }
                (content::ALERT, &[level, code]) => self.alert = Some((level, code)),
                (content::HANDSHAKE, &[message::KEY_UPDATE, ..]) => {
                    self.client.open.as_mut().expect("keys").update();
                }
                (content::HANDSHAKE, &[message::NEW_SESSION_TICKET, ..]) => {}
                other => panic!("an odd record: {other:?}"),
            }
        }
        self.pending.drain(..at);
    }

    fn progress(&self) -> (usize, u64, usize, bool, bool) {
        (self.out.len(), self.heard, self.pending.len(), self.alert.is_some(), self.ended.is_some())
    }
}

impl fmt::Debug for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("tls13", &self.tls13)
            .field("said", &self.said)
            .field("unsent", &self.out.len())
            .field("heard", &self.heard)
            .field("requests", &self.requests)
            .field("closed", &self.closed)
            .field("broken", &self.broken)
            .field("shut", &self.shut)
            .field("misled", &self.misled)
            .field("alert", &self.alert)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Far {
    fn listen(&mut self, most: usize) {
        let mut left = most;
        let mut piece = [0; PIECE];
        while left > 0 && self.ended.is_none() {
            let here = left.min(piece.len());
            match self.stream.read(&mut piece[..here]) {
                Ok(0) => self.ended = Some(if self.told { Ended::Reset } else { Ended::Orderly }),
                Ok(count) => {
                    let expected = bytes(FROM_CLIENT, self.received, count);
                    assert!(
                        piece[..count] == expected,
                        "bytes in order at {} of the client's",
                        self.received
                    );
                    self.received += count as u64;
                    left -= count;
                }
                Err(error) if blocked(&error) => break,
                Err(_) => self.ended = Some(Ended::Reset),
            }
        }
    }

    fn say(&mut self, length: usize) {
        let mut left = length;
        while left > 0 && !self.finished && !self.broken {
            let piece = bytes(FROM_BACKEND, self.written, left.min(65_536));
            match self.stream.write(&piece) {
                Ok(count) => {
                    self.written += count as u64;
                    left -= count;
                }
                Err(error) if blocked(&error) => break,
                Err(_) => {
                    self.finished = true;
                    // The kernel tells a reset once. What had come before is still to be read.
                    self.told = self.link == Link::Tcp;
                }
            }
        }
    }

    fn finish(&mut self) {
        if !self.broken && !self.finished {
            self.finished = true;
            let _ = self.stream.shutdown(Shutdown::Write);
        }
    }

    fn reset(&mut self) {
        self.broken = true;
        // What is not TCP can not tell the two ends apart.
        self.finished |= self.link == Link::Unix;
        self.ended.get_or_insert(Ended::Reset);
        reset_on_close(&self.stream);
        let other =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None);
        self.stream = TcpStream::from(other.expect("a socket"));
    }

    fn progress(&self) -> (u64, u64, bool, bool) {
        (self.received, self.written, self.finished, self.ended.is_some())
    }
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("received", &self.received)
            .field("written", &self.written)
            .field("finished", &self.finished)
            .field("broken", &self.broken)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! `accepted [WORD]`: what a program sees of a connection that `ttls.ko` accepts, beside what it would see of TCP. For the
//! kernel module's tests, in their guest, with `ttls` in the working folder. With a word, only tests whose sentence has it.
//!
//! It is the server, put behind TLS by `ttls ctl attach`, and the client, whose every record the test decides.

mod reading;
mod writing;

use harness::kernel;
use harness::raw::{Client, Version};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};
use std::{fs, thread};

const PORT: u16 = 8447;
const PATIENCE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

static LISTENER: LazyLock<TcpListener> = LazyLock::new(|| kernel::listen(PORT));

type Test = (&'static str, fn(Version));

fn main() -> ExitCode {
    let word = std::env::args().nth(1).unwrap_or_default();
    let mut failed = 0;
    for (sentence, test) in reading::TESTS.iter().chain(writing::TESTS).filter(|(s, _)| s.contains(&word)) {
        for version in Version::BOTH {
            // Where it went wrong is on standard error.
            let passed = catch_unwind(AssertUnwindSafe(|| test(version))).is_ok();
            println!("{} {version:?}: {sentence}", if passed { "ok  " } else { "FAIL" });
            failed += u8::from(!passed);
        }
    }
    ExitCode::from(failed)
}

/// Both ends of a connection.
fn connection(version: Version) -> (Client, TcpStream) {
    let listener = &*LISTENER;
    let mut client = Client::connect((Ipv4Addr::LOCALHOST, PORT).into());
    client.establish(version);
    let (server, _) = listener.accept().expect("accept");
    server.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    client.stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    (client, server)
}

/// FIONREAD.
fn waiting(server: &TcpStream) -> usize {
    usize::try_from(rustix::io::ioctl_fionread(server).expect("FIONREAD")).expect("a size")
}

fn events(server: &TcpStream, flags: PollFlags, patience: Timespec) -> PollFlags {
    let mut set = [PollFd::new(server, flags)];
    poll(&mut set, Some(&patience)).expect("poll");
    set[0].revents()
}

fn is_readable(server: &TcpStream, patience: Timespec) -> bool {
    events(server, PollFlags::IN, patience).contains(PollFlags::IN)
}

/// Waits for what has to come about, at most a minute.
#[track_caller]
fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Memory that the kernel has not given away, in bytes.
fn free_memory() -> usize {
    let text = fs::read_to_string("/proc/meminfo").expect("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemFree:")).expect("MemFree");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number") << 10
}

/// Random numbers, another row in each run; a test that fails tells where its row began.
struct Dice {
    seed: u64,
    state: Cell<u64>,
}

impl Dice {
    /// Of the seed in the environment's DICE (on the guest's command line) where there is one: a failed test tells its own.
    fn new() -> Self {
        let asked = std::env::var("DICE").ok().map(|seed| seed.parse().expect("DICE is a number"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
        let seed =
            asked.unwrap_or(u64::try_from(now.as_nanos() & u128::from(u64::MAX)).expect("64 bits")) | 1;
        Self { seed, state: Cell::new(seed) }
    }

    /// At least `from`, less than `to`.
    fn roll(&self, from: usize, to: usize) -> usize {
        let mut x = self.state.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.state.set(x);
        from + usize::try_from((x >> 11) % u64::try_from(to - from).expect("64 bits")).expect("a size")
    }

    fn one_in(&self, n: usize) -> bool {
        self.roll(0, n) == 0
    }

    /// A length: short and long ones, and those next to powers of two.
    fn length(&self, most: usize) -> usize {
        match self.roll(0, 4) {
            0 => self.roll(1, 20),
            1 => ((1_usize << self.roll(1, 14)) + self.roll(0, 3)).saturating_sub(1).max(1),
            2 => most,
            _ => self.roll(1, most + 1),
        }
        .min(most)
    }

    fn bytes(&self, len: usize) -> Vec<u8> {
        (0..len).map(|_| u8::try_from(self.roll(0, 256)).expect("a byte")).collect()
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the dice began with {}", self.seed);
        }
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upgrade without an outage. On SIGUSR2 a process starts its program anew, from the file as it is now. The successor
//! binds the same addresses beside it (SO_REUSEPORT), and once it serves, says so; then the old one drains. If the
//! successor can not start, the old one has lost nothing.
//!
//! They talk by a socket that is the successor's standard input. The successor is no child of its predecessor but of
//! init: systemd would not wait at a stop for a main process that is another's child.

use std::io::{self, Read, stdin};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

/// Tells a process what part it plays in an upgrade.
const ROLE: &str = "TTLS_UPGRADE";
/// To start the successor and to end, so that nobody is its parent.
const STARTER: &str = "starter";
const SUCCESSOR: &str = "successor";

/// What the successor says: that it serves; that it ends in order, and whatever comes is not for its predecessor to mend.
const SERVES: u8 = b'S';
const LEAVES: u8 = b'L';

/// What a predecessor hears of its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It serves.
    Serves,
    /// It has ended, and nobody wanted it to.
    Ended,
}

/// The process that this one is to succeed.
#[derive(Clone, Copy, Debug)]
pub struct Predecessor(());

impl Predecessor {
    /// Whether there is one. A starter does its work in here, and ends.
    ///
    /// # Errors
    /// The successor can not be started.
    pub fn find() -> io::Result<Option<Self>> {
        match std::env::var(ROLE).as_deref() {
            Ok(STARTER) => {
                command(SUCCESSOR)?.spawn()?;
                std::process::exit(0);
            }
            Ok(SUCCESSOR) => Ok(Some(Self(()))),
            _ => Ok(None),
        }
    }

    /// Tells it to drain: this process serves.
    pub fn relieve(self) {
        self.say(SERVES);
    }

    /// Tells it, if it is still there, that this process is about to end in order.
    pub fn leave(self) {
        self.say(LEAVES);
    }

    fn say(self, word: u8) {
        // It may have ended.
        let _ = rustix::io::write(stdin(), &[word]);
    }
}

/// Starts a successor with this process's arguments and environment; `hear` gets the news of it, in another thread.
///
/// # Errors
/// The program is not there, or the system has no room for a process.
pub fn start(hear: impl Fn(News) + Send + 'static) -> io::Result<()> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let status = command(STARTER)?.stdin(Stdio::from(OwnedFd::from(theirs))).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("it has ended without serving ({status})")));
    }
    thread::Builder::new().name("ttls-upgrade".into()).spawn(move || {
        loop {
            let mut word = [0];
            match ours.read_exact(&mut word).map(|()| word[0]) {
                Ok(SERVES) => hear(News::Serves),
                Ok(LEAVES) => return,
                Ok(_) => {}
                Err(_) => return hear(News::Ended),
            }
        }
    })?;
    Ok(())
}

/// This process's program and arguments. Not /proc/self/exe: that is the old program.
fn command(role: &str) -> io::Result<Command> {
    let mut arguments = std::env::args_os();
    let program = arguments.next().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments).env(ROLE, role);
    Ok(command)
}

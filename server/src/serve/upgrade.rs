// SPDX-License-Identifier: MIT OR Apache-2.0
//! Upgrade without an outage. On SIGUSR2 a process starts its program anew, from the file as it is now. The successor
//! binds the same addresses beside it (SO_REUSEPORT), and once it serves, sends SIGTERM: the old one drains.
//! If the successor can not start, the old one has lost nothing.

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process, waitid};
use std::io;
use std::process::{Child, Command};

/// Names the predecessor to its successor. Ignored unless that is the parent: it may have been passed on.
const VARIABLE: &str = "TTLS_PREDECESSOR";

/// The process that this one is to succeed.
#[derive(Clone, Copy, Debug)]
pub struct Predecessor(Pid);

impl Predecessor {
    /// Whether there is one.
    pub fn find() -> Option<Self> {
        let named = std::env::var(VARIABLE).ok()?.parse().ok().and_then(Pid::from_raw)?;
        (getppid() == Some(named)).then_some(Self(named))
    }

    /// Lets it drain.
    pub fn relieve(self) {
        // It may have ended by itself.
        let _ = kill_process(self.0, Signal::TERM);
    }
}

/// The process that is to succeed this one.
#[derive(Debug)]
pub struct Successor(Child);

impl Successor {
    /// Starts it, with this process's arguments and environment.
    ///
    /// # Errors
    /// The program is not there, or the system has no room for a process.
    pub fn start() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        // Not /proc/self/exe: that is the old program.
        let program = arguments.next().ok_or(io::ErrorKind::NotFound)?;
        let id = std::process::id().to_string();
        Command::new(program).args(arguments).env(VARIABLE, id).spawn().map(Self)
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Whether it has ended. What is left of it stays, for whoever becomes its parent.
    pub fn has_ended(&self) -> bool {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        matches!(waitid(WaitId::Pid(Pid::from_child(&self.0)), ended), Ok(Some(_)))
    }

    /// Takes note of its end.
    pub fn reap(mut self) {
        let _ = self.0.wait();
    }
}

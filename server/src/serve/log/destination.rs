// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a log goes: a file, a pipe, a socket, a terminal. A write takes what fits now, and waits for nobody.

use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, FileType, Mode, OFlags, access, fstat, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec, write};
use rustix::net::{SendFlags, send};
use std::io::{IsTerminal, stderr};
use std::path::Path;

/// Bytes that a pipe takes whole or not at all (pipe(7), PIPE_BUF).
const PIPE_BUF: usize = 4096;

/// An open destination.
#[derive(Debug)]
pub struct Destination {
    fd: OwnedFd,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Never full for want of a reader.
    File,
    /// A pipe or terminal whose open file description is this process's own, and does not block.
    Pipe,
    /// The same, shared with other processes: whether it blocks is not for this one to change.
    SharedPipe,
    /// A stream socket, such as the journal's.
    Socket,
}

impl Destination {
    /// Opens `path` for appending; a new file gets `mode` as the umask allows.
    ///
    /// A FIFO is opened for reading too, so that its reader may come later, leave and come back.
    ///
    /// # Errors
    /// What open(2) says.
    pub fn file(path: &Path, mode: Mode) -> Result<Self, Errno> {
        let flags = OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let fifo = rustix::fs::stat(path).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_fifo());
        let access = if fifo { OFlags::RDWR } else { OFlags::WRONLY };
        Self::own(open(path, flags | access, mode)?)
    }

    /// Whether [`Self::file`] could open `path`, without making a file.
    ///
    /// # Errors
    /// What open(2) would say.
    pub fn try_file(path: &Path) -> Result<(), Errno> {
        if path.as_os_str().is_empty() {
            return Err(Errno::NOENT);
        }
        match access(path, Access::WRITE_OK) {
            Ok(()) if path.is_dir() => Err(Errno::ISDIR),
            Err(Errno::NOENT) => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK | Access::EXEC_OK)
            }
            result => result,
        }
    }

    /// Standard error. A pipe or terminal is opened again where that is allowed, since another process may depend on
    /// its blocking or not.
    ///
    /// # Errors
    /// It is closed, or the process has no descriptors left.
    pub fn standard_error() -> Result<Self, Errno> {
        let kind = FileType::from_raw_mode(fstat(stderr())?.st_mode);
        if kind.is_fifo() || stderr().is_terminal() {
            let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
            return match open("/proc/self/fd/2", flags, Mode::empty()) {
                Ok(fd) => Ok(Self { fd, kind: Kind::Pipe }),
                Err(_) => Ok(Self::shared(fcntl_dupfd_cloexec(stderr(), 3)?)),
            };
        }
        Self::own(fcntl_dupfd_cloexec(stderr(), 3)?)
    }

    /// A pipe or terminal of several processes.
    pub(super) const fn shared(fd: OwnedFd) -> Self {
        Self { fd, kind: Kind::SharedPipe }
    }

    /// What is open already.
    pub(super) fn own(fd: OwnedFd) -> Result<Self, Errno> {
        let kind = match FileType::from_raw_mode(fstat(&fd)?.st_mode) {
            FileType::Fifo | FileType::CharacterDevice => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            _ => Kind::File,
        };
        Ok(Self { fd, kind })
    }

    /// Writes from the start of `lines`, all of which end with a line feed unless one is cut already; gives the number
    /// of bytes that were taken. Other processes' lines do not get into the middle of one, where the kernel can see to that.
    ///
    /// # Errors
    /// [`Errno::AGAIN`] if nothing fits now, or what write(2) says.
    pub fn write(&self, lines: &[u8]) -> Result<usize, Errno> {
        let piece = if self.kind == Kind::File { lines } else { whole_lines(lines, PIPE_BUF) };
        let piece = if piece.is_empty() { lines.get(..PIPE_BUF).unwrap_or(lines) } else { piece };
        let taken = match self.kind {
            Kind::Socket => send(&self.fd, piece, SendFlags::DONTWAIT | SendFlags::NOSIGNAL),
            Kind::SharedPipe if !self.has_room() => Err(Errno::AGAIN),
            _ => write(&self.fd, piece),
        }?;
        if taken == 0 { Err(Errno::AGAIN) } else { Ok(taken) }
    }

    fn has_room(&self) -> bool {
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut [self.when_writable()], Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// What to poll for after [`Errno::AGAIN`].
    pub fn when_writable(&self) -> PollFd<'_> {
        PollFd::new(&self.fd, PollFlags::OUT)
    }
}

impl AsFd for Destination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// As many whole lines from the start of `lines` as fit into `room` bytes.
pub fn whole_lines(lines: &[u8], room: usize) -> &[u8] {
    let fits = lines.get(..room).unwrap_or(lines);
    let end = fits.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    fits.get(..end).unwrap_or_default()
}

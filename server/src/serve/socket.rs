// SPDX-License-Identifier: MIT OR Apache-2.0
//! A connection's socket in an edge-triggered event loop: what is known of it, so that no call is made in vain.

use nix::sys::socket::{getsockopt, setsockopt};
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown};
use std::io::IoSliceMut;
use std::sync::LazyLock;
use ttls::record_size::Path;

/// The beginning of `struct tcp_info` (tcp(7)) in words: what Linux has since 4.6, and what it has since 5.4. Not libc's structure: an
/// older kernel has fewer members to tell, and nix panics if it gets fewer bytes than it asked for.
type Older = [u32; 38];
type TcpInfo = [u32; 58];
const TIMEOUT: usize = 2;
const SEGMENT: usize = 4;
const UNACKNOWLEDGED: usize = 6;
const TAKEN: usize = 7;
const LOST: usize = 8;
const SENT_AGAIN: usize = 9;
const SILENCE: usize = 11;
const ROUND_TRIP: usize = 17;
const CONGESTION_WINDOW: usize = 20;
const NOT_SENT: usize = 36;
const SEND_WINDOW: usize = 57;
const _: () = {
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_rto) == 4 * TIMEOUT);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_snd_mss) == 4 * SEGMENT);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_unacked) == 4 * UNACKNOWLEDGED);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_sacked) == 4 * TAKEN);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_lost) == 4 * LOST);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_retrans) == 4 * SENT_AGAIN);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_last_data_sent) == 4 * SILENCE);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_rtt) == 4 * ROUND_TRIP);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_snd_cwnd) == 4 * CONGESTION_WINDOW);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_notsent_bytes) == 4 * NOT_SENT);
    assert!(std::mem::offset_of!(libc::tcp_info, tcpi_snd_wnd) == 4 * SEND_WINDOW);
};

sockopt_impl!(
    /// What TCP knows of a connection.
    Info, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, TcpInfo
);
sockopt_impl!(
    /// The part of it that an older kernel tells.
    OlderInfo, GetOnly, libc::IPPROTO_TCP, libc::TCP_INFO, Older
);

sockopt_impl!(
    /// How many unsent bytes TCP takes (tcp(7)).
    NotSentLowat, Both, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, libc::c_int
);

/// Has TCP take so many bytes that it can not send yet, and no more; connections have it from their listening socket.
///
/// # Errors
/// What the kernel says.
pub fn limit_unsent(fd: &OwnedFd, bytes: usize) -> nix::Result<()> {
    setsockopt(fd, NotSentLowat, &libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX))
}

/// Whether the kernel is Linux 5.4 or newer.
static TELLS_WINDOW: LazyLock<bool> = LazyLock::new(|| {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-', '+', '\n']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 4)
});

/// `None` if the socket is not TCP.
fn tcp_info(fd: &OwnedFd) -> Option<TcpInfo> {
    if *TELLS_WINDOW {
        return getsockopt(fd, Info).ok();
    }
    let older = getsockopt(fd, OlderInfo).ok()?;
    // TCP holds back what the peer can not take.
    let mut info = [u32::MAX; _];
    info.first_chunk_mut().map(|beginning: &mut Older| *beginning = older)?;
    Some(info)
}

const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A non-blocking stream socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    token: u64,
    interest: Interest,
    readable: bool,
    writable: bool,
    /// The peer has sent its FIN: read on until it shows.
    hung_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    None,
    Read,
    ReadWrite,
}

/// What a receive or send gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// So many bytes, at least one.
    Bytes(usize),
    /// The peer will send nothing more.
    End,
    /// Not now; an event will tell.
    Blocked,
    /// The connection is lost.
    Lost(Errno),
}

impl Socket {
    /// A socket on which reading and writing are worth a try. Events will carry `token`.
    pub const fn new(fd: OwnedFd, token: u64) -> Self {
        Self { fd, token, interest: Interest::None, readable: true, writable: true, hung_up: false }
    }

    /// A socket that connects: an event will tell when it has.
    pub const fn connecting(fd: OwnedFd, token: u64) -> Self {
        Self { fd, token, interest: Interest::None, readable: false, writable: false, hung_up: false }
    }

    /// The descriptor.
    pub const fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Sets the token of future events; only before the socket is watched.
    pub const fn set_token(&mut self, token: u64) {
        self.token = token;
    }

    /// Takes note of an event.
    pub fn event(&mut self, flags: EventFlags) {
        let broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        self.readable |= broken || flags.intersects(EventFlags::IN | EventFlags::RDHUP);
        self.writable |= broken || flags.contains(EventFlags::OUT);
        self.hung_up |= broken || flags.contains(EventFlags::RDHUP);
    }

    /// Whether receiving is worth a try.
    pub const fn readable(&self) -> bool {
        self.readable
    }

    /// Whether sending is worth a try.
    pub const fn writable(&self) -> bool {
        self.writable
    }

    /// Makes sure that events come for what the socket blocks on.
    ///
    /// # Errors
    /// The kernel has no memory for it, or the user too many watches.
    pub fn watch(&mut self, epoll: &OwnedFd) -> Result<(), Errno> {
        let read = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        let data = EventData::new_u64(self.token);
        match (self.interest, self.writable) {
            (Interest::None, true) => {
                epoll::add(epoll, &self.fd, data, read)?;
                self.interest = Interest::Read;
            }
            (Interest::None, false) => {
                epoll::add(epoll, &self.fd, data, read | EventFlags::OUT)?;
                self.interest = Interest::ReadWrite;
            }
            // Once it has blocked on writing, it keeps being watched: an event too many costs less than a change.
            (Interest::Read, false) => {
                epoll::modify(epoll, &self.fd, data, read | EventFlags::OUT)?;
                self.interest = Interest::ReadWrite;
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the peer is known to have gone: it has ended or reset the connection, and nothing of what it sent is unread.
    pub fn is_gone(&self) -> bool {
        match rustix::net::recv(&self.fd, &mut [0; 1][..], RecvFlags::PEEK) {
            Ok((count, _)) => count == 0,
            Err(error) => !matches!(error, Errno::AGAIN | Errno::INTR),
        }
    }

    /// Receives into `buffer`, which is not empty.
    pub fn receive(&mut self, buffer: &mut [u8]) -> Moved {
        if !self.readable {
            return Moved::Blocked;
        }
        let capacity = buffer.len();
        loop {
            match rustix::net::recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
                Ok((count, _)) => return self.received(count, capacity),
                Err(Errno::INTR) => {}
                Err(error) => return self.read_error(error),
            }
        }
    }

    /// Receives into several buffers of `capacity` bytes together.
    pub fn receive_vectored(&mut self, buffers: &mut [IoSliceMut<'_>], capacity: usize) -> Moved {
        if !self.readable {
            return Moved::Blocked;
        }
        loop {
            match rustix::io::readv(&self.fd, buffers) {
                Ok(count) => return self.received(count, capacity),
                Err(Errno::INTR) => {}
                Err(error) => return self.read_error(error),
            }
        }
    }

    const fn received(&mut self, count: usize, capacity: usize) -> Moved {
        if count == 0 {
            return Moved::End;
        }
        // Less than asked for: there is no more, unless a FIN came in the same event.
        if count < capacity && !self.hung_up {
            self.readable = false;
        }
        Moved::Bytes(count)
    }

    fn read_error(&mut self, error: Errno) -> Moved {
        if error == Errno::AGAIN {
            self.readable = false;
            return Moved::Blocked;
        }
        Moved::Lost(error)
    }

    /// Sends from `bytes`, which is not empty.
    pub fn send(&mut self, bytes: &[u8]) -> Moved {
        self.send_with(bytes, SendFlags::NOSIGNAL)
    }

    /// The same for a connection's last bytes: [`Socket::shut_down`] or close follows at once when all are taken, and
    /// the FIN leaves in their segment.
    pub fn send_last(&mut self, bytes: &[u8]) -> Moved {
        self.send_with(bytes, SendFlags::NOSIGNAL | SendFlags::MORE)
    }

    fn send_with(&mut self, bytes: &[u8], flags: SendFlags) -> Moved {
        if !self.writable {
            return Moved::Blocked;
        }
        loop {
            match rustix::net::send(&self.fd, bytes, flags) {
                Ok(count) => {
                    if count < bytes.len() {
                        self.writable = false;
                    }
                    return Moved::Bytes(count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    self.writable = false;
                    return Moved::Blocked;
                }
                Err(error) => return Moved::Lost(error),
            }
        }
    }

    /// Sends FIN. An error shows at the next use.
    pub fn shut_down(&self) {
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Write);
    }

    /// What TCP can send now; `None` if the socket is not TCP.
    pub fn path(&self) -> Option<Path> {
        let info = tcp_info(&self.fd)?;
        let sent = info[UNACKNOWLEDGED].saturating_add(info[SENT_AGAIN]);
        Some(Path {
            congestion_window: info[CONGESTION_WINDOW],
            in_flight: sent.saturating_sub(info[TAKEN]).saturating_sub(info[LOST]),
            segment: info[SEGMENT],
            unsent: info[NOT_SENT],
            send_window: info[SEND_WINDOW],
            idle: info[SILENCE],
            timeout: info[TIMEOUT] / 1000,
        })
    }

    /// Sets how many bytes TCP takes that it can not send yet.
    pub fn limit_unsent(&self, bytes: usize) {
        // Without it, sending goes on as before.
        let _ = limit_unsent(&self.fd, bytes);
    }

    /// Whether TCP takes more to send. If not, an event will tell when it does.
    pub fn takes_more(&mut self) -> bool {
        let mut set = [PollFd::new(&self.fd, PollFlags::OUT)];
        // What goes wrong here shows when it is sent.
        let blocked = rustix::event::poll(&mut set, Some(&NOW)) == Ok(0);
        self.writable &= !blocked;
        !blocked
    }

    /// Milliseconds to the peer and back, as TCP has measured them; `None` if it has not, which is the case behind SYN cookies.
    pub fn round_trip(&self) -> Option<u64> {
        let info = tcp_info(&self.fd)?;
        (info[ROUND_TRIP] > 0).then(|| u64::from(info[ROUND_TRIP] / 1000))
    }

    /// Whether the peer's TCP has acknowledged everything that was sent. What is not TCP delivers at once.
    pub fn is_delivered(&self) -> bool {
        tcp_info(&self.fd).is_none_or(|info| info[UNACKNOWLEDGED] == 0 && info[NOT_SENT] == 0)
    }

    /// Drops what was received, up to 16 KiB.
    pub fn discard(&mut self) -> Moved {
        self.receive(&mut [0; 16 * 1024])
    }

    /// Makes the coming close send RST, so that the peer can not take what it has for the whole.
    pub fn abort_on_close(&self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.fd, Some(std::time::Duration::ZERO));
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a connection ended.

use rustix::io::Errno;
use std::fmt;
use ttls::error::Culprit;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides have said and received everything.
    Ok,
    /// The client went away without close_notify (RFC 8446 §6.1): what it sent may not be all.
    Truncated,
    /// The client closed before the handshake was complete.
    ClosedInHandshake,
    /// Reset by the client, or lost on the way.
    ClientLost(Errno),
    /// TLS failed.
    Tls(ttls::Error),
    /// No PROXY header where one is required.
    NotProxy,
    /// The handshake took too long.
    HandshakeTimeout,
    /// No byte for too long.
    IdleTimeout,
    /// One side had closed, and the other did not follow.
    CloseTimeout,
    /// Its source prefix, as the PROXY header gives it, has as many connections as allowed.
    PrefixFull,
    /// Its source prefix has made too many connections lately.
    TooFast,
    /// A newer half-open connection needed the room.
    Evicted,
    /// In overload, its source has cost more than others lately.
    Heavy,
    /// In overload, its handshake's turn did not come while a client would wait.
    Overdue,
    /// No backend address accepted the connection.
    BackendRefused(Errno),
    /// The backend's name has not resolved yet.
    BackendUnknown,
    /// The backend did not answer in time.
    BackendTimeout,
    /// Reset by the backend.
    BackendLost(Errno),
    /// Not HTTP/1 on a built-in backend.
    NotHttp,
    /// The drain's time was over.
    Drained,
    /// The kernel refused something that is not the client's doing.
    Local(Errno),
    /// All buffers were taken when one was needed at once.
    NoBuffer,
    /// It held a buffer and did nothing, and others needed it.
    Stalled,
}

/// What had happened on a connection that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The client sent nothing of TLS.
    Silent,
    /// Something.
    Some,
    /// The client was sent bytes, and all that there were.
    Answered,
}

/// Levels of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Info,
    /// The client's doing.
    Warn,
    /// The operator may have to do something.
    Error,
}

impl Level {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl Outcome {
    /// Whether nothing went wrong.
    pub const fn is_ok(self) -> bool {
        matches!(self, Self::Ok | Self::Drained)
    }

    /// Whether the server refuses the client, or drops it in favour of others.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::PrefixFull
                | Self::TooFast
                | Self::Heavy
                | Self::Overdue
                | Self::Evicted
                | Self::Tls(ttls::Error::NotAdmitted)
        )
    }

    /// Whether the operator may have to do something.
    pub const fn is_local(self) -> bool {
        match self {
            Self::BackendRefused(_)
            | Self::BackendUnknown
            | Self::BackendTimeout
            | Self::BackendLost(_)
            | Self::Local(_)
            | Self::NoBuffer => true,
            // A limit that does its work is nobody's fault.
            Self::Tls(ttls::Error::NotAdmitted) => false,
            Self::Tls(error) => matches!(error.culprit(), Culprit::Local),
            _ => false,
        }
    }

    /// The level of its line in the log, of a connection on which so much had happened.
    pub const fn level(self, progress: Progress) -> Level {
        match (self, progress) {
            _ if self.is_ok() => Level::Info,
            _ if self.is_local() => Level::Error,
            // A health check, or a port scan.
            (Self::ClosedInHandshake | Self::ClientLost(_), Progress::Silent) => Level::Info,
            // Many clients leave without a word: what they asked for they have.
            (Self::Truncated | Self::ClientLost(_), Progress::Answered) => Level::Info,
            // Kept open for a next request that did not come.
            (Self::IdleTimeout | Self::CloseTimeout, Progress::Answered) => Level::Info,
            _ => Level::Warn,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::Truncated => f.write_str("client closed without close_notify"),
            Self::ClosedInHandshake => f.write_str("client closed during the handshake"),
            Self::ClientLost(error) => write!(f, "client lost: {error}"),
            Self::Tls(error) => write!(f, "{error}"),
            Self::NotProxy => f.write_str("no PROXY header, but proxy_protocol.from_client is required"),
            Self::HandshakeTimeout => f.write_str("handshake timeout"),
            Self::IdleTimeout => f.write_str("idle timeout"),
            Self::CloseTimeout => f.write_str("close timeout"),
            Self::PrefixFull => f.write_str("limits.per_prefix"),
            Self::TooFast => f.write_str("limits.connection_rate"),
            Self::Evicted => f.write_str("too many half-open connections"),
            Self::Heavy => f.write_str("refused in overload: this source has cost most"),
            Self::Overdue => f.write_str("dropped in overload: it waited longer than overload.patience"),
            Self::BackendRefused(error) => write!(f, "backend refused: {error}"),
            Self::BackendUnknown => f.write_str("backend unknown: its name does not resolve"),
            Self::BackendTimeout => f.write_str("backend connect timeout"),
            Self::BackendLost(error) => write!(f, "backend lost: {error}"),
            Self::NotHttp => f.write_str("not an HTTP/1 request"),
            Self::Drained => f.write_str("drain deadline"),
            Self::Local(error) => write!(f, "system: {error}"),
            Self::NoBuffer => f.write_str("all buffers are taken: raise limits.buffer_memory"),
            Self::Stalled => {
                f.write_str("stood still with a buffer that others needed: raise limits.buffer_memory if it should not have to go")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_say_whose_doing_it_was() {
        let lost = Outcome::ClientLost(Errno::CONNRESET);
        for (outcome, progress, level) in [
            (Outcome::Ok, Progress::Some, Level::Info),
            (Outcome::ClosedInHandshake, Progress::Silent, Level::Info),
            (Outcome::ClosedInHandshake, Progress::Some, Level::Warn),
            (lost, Progress::Silent, Level::Info),
            (lost, Progress::Some, Level::Warn),
            (lost, Progress::Answered, Level::Info),
            (Outcome::Truncated, Progress::Some, Level::Warn),
            (Outcome::Truncated, Progress::Answered, Level::Info),
            (Outcome::IdleTimeout, Progress::Some, Level::Warn),
            (Outcome::IdleTimeout, Progress::Answered, Level::Info),
            (Outcome::CloseTimeout, Progress::Answered, Level::Info),
            (Outcome::HandshakeTimeout, Progress::Silent, Level::Warn),
            (Outcome::BackendUnknown, Progress::Some, Level::Error),
            (Outcome::Tls(ttls::Error::NotAdmitted), Progress::Some, Level::Warn),
        ] {
            assert_eq!(outcome.level(progress), level, "{outcome}, {progress:?}");
        }
    }
}

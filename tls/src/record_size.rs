// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record plan: the size of the next record, from what TCP can send now.
//!
//! A record is opened only when it has arrived whole. One whose end has to wait for the next flight makes the peer
//! wait a round trip for all of it; one that is smaller than necessary costs a header, a tag and an AEAD call more.
//! So a record ends with the flight that it leaves in:
//!
//! 1. The first after a silence fills one segment: it can be used as soon as that has come.
//! 2. What TCP can send at once goes in one record.
//! 3. Where TCP can send nothing now, what waits already decides when the record leaves. It is as long as a whole
//!    flight.
//!
//! All of them end at 2^14 bytes, which is what an open path gets, and none is below half a segment.

use crate::record::MAX_PLAINTEXT;

/// Segments of the first flight after a silence (RFC 6928 §2; RFC 5681 §4.1 calls it the restart window).
const RESTART_WINDOW: u32 = 10;
/// Bytes on the wire below which a record is not worth its cost, where segments are very long.
const LEAST: usize = 1024;

/// What TCP says of a connection: from the socket in the kernel, from `TCP_INFO` in user space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Congestion window, in segments (`tcpi_snd_cwnd`).
    pub congestion_window: u32,
    /// Segments in the network: sent, and neither acknowledged nor lost.
    pub in_flight: u32,
    /// Segment size, in bytes (`tcpi_snd_mss`).
    pub segment: u32,
    /// Bytes written and not sent (`tcpi_notsent_bytes`).
    pub unsent: u32,
    /// Bytes that the peer takes from the oldest unacknowledged one on (`SND.WND`, `tcpi_snd_wnd`).
    pub send_window: u32,
    /// Milliseconds since data was last sent (`tcpi_last_data_sent`).
    pub idle: u32,
    /// Retransmission time-out, in milliseconds (`tcpi_rto`): how long a silence is after which TCP begins anew.
    pub timeout: u32,
}

impl Path {
    /// Nothing is under way, and has not been for so long that TCP begins anew (RFC 5681 §4.1).
    pub const fn is_silent(&self) -> bool {
        self.in_flight == 0 && self.unsent == 0 && self.idle > self.timeout
    }

    /// The congestion window by the time of the next segment: Linux halves it for each time-out of a silence, but
    /// not until it sends again.
    fn window(&self) -> u32 {
        if self.in_flight > 0 || self.idle <= self.timeout {
            return self.congestion_window;
        }
        let timeouts = self.idle.checked_div(self.timeout).unwrap_or(u32::MAX);
        let restart = self.congestion_window.min(RESTART_WINDOW);
        self.congestion_window.checked_shr(timeouts).unwrap_or(0).max(restart)
    }

    /// Bytes that TCP can send at once, those that wait among them.
    fn open(&self) -> usize {
        let congestion = bytes(self.window().saturating_sub(self.in_flight), self.segment);
        let flying = bytes(self.in_flight, self.segment);
        congestion.min(size(self.send_window).saturating_sub(flying))
    }

    /// Bytes that TCP can send at once, besides those that wait.
    fn room(&self) -> usize {
        self.open().saturating_sub(size(self.unsent))
    }

    /// Bytes written that TCP can not send at once.
    pub fn backlog(&self) -> usize {
        size(self.unsent).saturating_sub(self.open())
    }

    /// So many bytes more are written.
    pub fn written(&mut self, bytes: usize) {
        self.unsent = self.unsent.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Bytes of a whole flight.
    pub fn flight(&self) -> usize {
        bytes(self.window(), self.segment).min(size(self.send_window))
    }
}

/// Plaintext bytes of the next record, which has `overhead` bytes besides, after `in_a_row` bytes since the last
/// silence; at most `limit`, and 2^14. Pure.
pub fn record_size(path: &Path, in_a_row: u32, overhead: usize, limit: usize) -> usize {
    let segment = size(path.segment);
    let least = (segment / 2).min(LEAST);
    let wire = match path.room() {
        room if room >= least => room,
        _ => path.flight().max(segment),
    };
    let wire = if in_a_row == 0 { wire.min(segment) } else { wire };
    let floor = least.saturating_sub(overhead).max(1);
    wire.saturating_sub(overhead).max(floor).min(limit.min(MAX_PLAINTEXT))
}

/// A connection's part of the plan: how much it has sent since the last silence.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    in_a_row: u32,
}

impl Plan {
    /// A plan that has got so far.
    pub const fn new(in_a_row: u32) -> Self {
        Self { in_a_row }
    }

    /// Plaintext bytes since the last silence, up to 2^32 − 1.
    pub const fn in_a_row(self) -> u32 {
        self.in_a_row
    }

    /// Takes note of a silence, if there was one.
    pub const fn look(&mut self, path: &Path) {
        if path.is_silent() {
            self.in_a_row = 0;
        }
    }

    /// [`record_size`] at this point.
    pub fn record_size(self, path: &Path, overhead: usize, limit: usize) -> usize {
        record_size(path, self.in_a_row, overhead, limit)
    }

    /// So many plaintext bytes were sent.
    pub fn sent(&mut self, plaintext: usize) {
        self.in_a_row = self.in_a_row.saturating_add(u32::try_from(plaintext).unwrap_or(u32::MAX));
    }
}

fn size(bytes: u32) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn bytes(segments: u32, segment: u32) -> usize {
    size(segments).saturating_mul(size(segment))
}

#[cfg(test)]
mod tests;

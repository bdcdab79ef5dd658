// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much a client may send that carries no data: KeyUpdates, empty records, warnings, attempts to renegotiate.
//!
//! Each of them costs the server about what a record of data costs, or several times that, and moves nothing. So a
//! connection has an allowance for them, which they use up by what they cost and which grows back with time, and
//! with the data that is moved either way. A count that data resets would be defeated by one byte at a time; one
//! that nothing resets would cut off a client that renews its keys by volume (RFC 8446 §5.5), as it should.

use crate::error::Error;

/// Thousandths of the unit in which costs are counted: what it takes to open an empty record.
const UNIT: u32 = 1000;
/// The most that is kept.
const BURST: u32 = 256 * UNIT;
/// Growth in a second: ten answered KeyUpdates, or eighty empty records.
const UNITS_PER_SECOND: u64 = 80;
/// Growth with data, in bytes for a thousandth of a unit: an answered KeyUpdate for every 64 KiB.
const BYTES: usize = 8;

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// A record without content.
    EmptyRecord,
    /// An alert that does not end the connection.
    Warning,
    /// A piece of a handshake message.
    Fragment,
    /// A KeyUpdate to follow: a secret and a key are derived.
    KeyUpdate,
    /// A KeyUpdate to be answered by one.
    AnsweredKeyUpdate,
    /// An attempt to renegotiate, answered by a warning.
    Renegotiation,
}

impl Cost {
    const fn units(self) -> u32 {
        match self {
            Self::EmptyRecord | Self::Warning | Self::Fragment => 1,
            Self::KeyUpdate => 4,
            Self::AnsweredKeyUpdate | Self::Renegotiation => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::EmptyRecord => "empty records",
            Self::Warning => "warning alerts",
            Self::Fragment => "handshake records",
            Self::KeyUpdate | Self::AnsweredKeyUpdate => "KeyUpdates",
            Self::Renegotiation => "attempts to renegotiate",
        }
    }
}

/// A connection's allowance. Twelve bytes of plain numbers, in a form that C can keep.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Allowance {
    /// Milliseconds of the last growth.
    grown: u64,
    /// Thousandths of units that are used up.
    used: u32,
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new()
    }
}

impl Allowance {
    /// A whole allowance. Its bytes are zeros.
    pub const fn new() -> Self {
        Self { grown: 0, used: 0 }
    }

    /// Takes `cost` at `now`, milliseconds of a clock that does not step back. With a clock that stands still, the
    /// allowance grows with data alone.
    ///
    /// # Errors
    /// [`Error::Flood`] if it is used up.
    pub fn take(&mut self, cost: Cost, now: u64) -> Result<(), Error> {
        let elapsed = now.saturating_sub(self.grown);
        self.grown = self.grown.max(now);
        let growth = elapsed.saturating_mul(UNITS_PER_SECOND);
        self.used = self.used.saturating_sub(u32::try_from(growth).unwrap_or(u32::MAX));
        self.used = self.used.saturating_add(cost.units() * UNIT);
        if self.used > BURST { Err(Error::Flood(cost.name())) } else { Ok(()) }
    }

    /// `len` bytes of data were received or sent.
    pub fn moved(&mut self, len: usize) {
        self.used = self.used.saturating_sub(u32::try_from(len / BYTES).unwrap_or(u32::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of these fit in a row.
    fn fitting(allowance: &mut Allowance, cost: Cost, now: u64) -> usize {
        (0..10_000).take_while(|_| allowance.take(cost, now).is_ok()).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let mut allowance = Allowance::new();
        assert_eq!(fitting(&mut allowance, Cost::AnsweredKeyUpdate, 5000), 32);
        assert_eq!(allowance.take(Cost::KeyUpdate, 5000), Err(Error::Flood("KeyUpdates")));
        // What was refused counts, too: the connection is over anyway.
        let mut steady = Allowance::new();
        assert_eq!(fitting(&mut steady, Cost::AnsweredKeyUpdate, 5000), 32);
        let mut steady = Allowance { used: BURST, ..steady };
        for tenth in 1..1000 {
            steady.take(Cost::AnsweredKeyUpdate, 5000 + tenth * 100).unwrap();
        }
        assert!(steady.take(Cost::AnsweredKeyUpdate, 5000 + 99_950).is_err());
    }

    #[test]
    fn kinds_do_not_reset_each_other_and_a_byte_resets_nothing() {
        let mut allowance = Allowance::new();
        let mut rounds = 0;
        while allowance.take(Cost::KeyUpdate, 1).is_ok() && allowance.take(Cost::EmptyRecord, 1).is_ok() {
            allowance.moved(1);
            rounds += 1;
        }
        assert!(rounds < 64, "{rounds}");
    }

    #[test]
    fn keys_may_be_renewed_by_volume() {
        let mut allowance = Allowance::new();
        for _ in 0..100_000 {
            (0..4).for_each(|_| allowance.moved(16_384));
            allowance.take(Cost::AnsweredKeyUpdate, 1).unwrap();
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing() {
        let mut allowance = Allowance { grown: 5000, used: BURST };
        assert!(allowance.take(Cost::EmptyRecord, 0).is_err());
        let mut allowance = Allowance { grown: 5000, used: BURST };
        assert!(allowance.take(Cost::EmptyRecord, 5013).is_ok());
    }
}

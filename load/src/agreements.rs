// SPDX-License-Identifier: MIT OR Apache-2.0
//! The agreements of all connections that one wait returned, computed together, as the server under test may do with its own.

use crate::client::{Agreement, Fault, agreed};
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::job::SharedSecret;

/// Agreements that are due, each with the slot of its connection.
pub(crate) struct Agreements {
    due: Vec<(usize, Agreement)>,
    /// Empty but while the agreements are computed.
    items: Vec<Item<'static>>,
    engine: Box<Engine>,
}

impl Agreements {
    pub(crate) fn new() -> Self {
        let engine = Engine::new(Cpu::detect(Choice::Best).unwrap_or(Cpu::Scalar));
        Self { due: Vec::new(), items: Vec::new(), engine: Box::new(engine) }
    }

    pub(crate) fn push(&mut self, slot: usize, agreement: Agreement) {
        self.due.push((slot, agreement));
    }

    /// Computes what is due: each result with its slot.
    pub(crate) fn compute(&mut self) -> Vec<(usize, Result<SharedSecret, Fault>)> {
        if self.due.is_empty() {
            return Vec::new();
        }
        self.items.extend(self.due.iter().map(|(_, agreement)| Item::new(agreement.work())));
        self.engine.run(&mut self.items);
        let slots = self.due.drain(..).map(|(slot, _)| slot);
        slots.zip(self.items.drain(..).map(|item| agreed(item.result))).collect()
    }
}

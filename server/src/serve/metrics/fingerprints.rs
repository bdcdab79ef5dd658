// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fingerprints that come most often.

use crate::prometheus::Page;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use ttls::admission::Frequent;
use ttls::fingerprint::Ja4;

/// Fingerprints that a worker counts, and of all workers' those that are shown: what clients send must not make new series without end.
const PLACES: usize = 128;
const SHOWN: usize = 16;

/// Counts of one worker. Only it notes; who renders waits for it, or it for who copies.
#[derive(Debug, Default)]
pub struct Fingerprints(Mutex<Frequent<Ja4, PLACES>>);

impl Fingerprints {
    /// Counts a ClientHello that asks for a full handshake: a client's fingerprint changes with resumption.
    pub fn note(&self, fingerprint: Ja4) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(fingerprint);
    }

    /// The most frequent of all workers.
    pub(super) fn render<'a>(page: &mut Page, workers: impl Iterator<Item = &'a Self>) {
        let mut counts: HashMap<Ja4, u64> = HashMap::new();
        let mut total = 0_u64;
        for worker in workers {
            let table = worker.0.lock().unwrap_or_else(PoisonError::into_inner);
            total = total.saturating_add(table.total());
            for known in table.iter() {
                let count = counts.entry(known.item).or_default();
                *count = count.saturating_add(known.count);
            }
        }
        let mut most: Vec<_> = counts.into_iter().collect();
        most.sort_unstable_by(|(a, one), (b, other)| other.cmp(one).then(a.as_str().cmp(b.as_str())));
        let name = "ttls_fingerprint_hellos";
        page.family(name, "gauge", "ClientHellos for full handshakes by the JA4 fingerprints that came most often; too high by a 128th of all at most");
        for (fingerprint, count) in most.iter().take(SHOWN) {
            page.sample(name, &[("fingerprint", fingerprint.as_str())], *count);
        }
        let help = "ClientHellos for full handshakes whose fingerprint was taken";
        page.one("ttls_fingerprinted_hellos_total", "counter", help, total);
    }
}

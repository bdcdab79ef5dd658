// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work of all connections that became ready together, computed together.

use super::context::Active;
use super::slab::Key;
use std::rc::Rc;
use ttls::Job;
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::Cpu;
use ttls_crypto::job::{Failed, Output, Work};

/// Most jobs in one batch: what established connections may have to wait for.
pub const BATCH: usize = 64;

/// A batch being gathered.
pub struct Jobs {
    jobs: Vec<Job>,
    owners: Vec<Owner>,
    /// Empty between batches, as is `spare`: only their memory is kept.
    items: Vec<Item<'static>>,
    spare: Computed,
    engine: Box<Engine>,
}

/// Whose job, and under which settings: they hold the key.
struct Owner {
    key: Key,
    active: Rc<Active>,
}

/// A batch that was computed.
#[derive(Default)]
pub struct Computed {
    owners: Vec<Owner>,
    results: Vec<Result<Output, Failed>>,
}

impl Computed {
    /// Every job's connection and result.
    pub fn results(&self) -> impl Iterator<Item = (Key, &Result<Output, Failed>)> {
        self.owners.iter().map(|owner| owner.key).zip(&self.results)
    }
}

impl Jobs {
    /// Room for a batch.
    pub fn new(cpu: Cpu) -> Self {
        Self {
            jobs: Vec::with_capacity(BATCH),
            owners: Vec::with_capacity(BATCH),
            items: Vec::with_capacity(BATCH),
            spare: Computed { owners: Vec::with_capacity(BATCH), results: Vec::with_capacity(BATCH) },
            engine: Box::new(Engine::new(cpu)),
        }
    }

    /// Adds a connection's job.
    pub fn push(&mut self, key: Key, active: &Rc<Active>, job: Job) {
        self.jobs.push(job);
        self.owners.push(Owner { key, active: Rc::clone(active) });
    }

    /// Number of jobs waiting.
    pub const fn waiting(&self) -> usize {
        self.jobs.len()
    }

    /// Computes what waits.
    pub fn run(&mut self) -> Computed {
        let mut computed = std::mem::take(&mut self.spare);
        std::mem::swap(&mut self.owners, &mut computed.owners);
        let mut items = recycled(std::mem::take(&mut self.items));
        for (job, owner) in self.jobs.drain(..).zip(&computed.owners) {
            let mut failed = None;
            let work = match job {
                Job::KeyExchange(exchange) => Work::KeyExchange(exchange),
                Job::Sign { certificate, request } => match owner.active.settings.store.key(certificate) {
                    Some(key) => Work::Sign(key, request),
                    None => {
                        failed = Some(Err(Failed::Unsupported));
                        Work::KeyExchange(ttls_crypto::job::KeyExchange::Generate {
                            group: ttls::suite::Group::X25519,
                            seed: ttls_crypto::job::Seed::zero(),
                        })
                    }
                },
            };
            items.push(Item { work, result: failed });
        }
        self.engine.run(&mut items);
        let results = items.drain(..).map(|item| item.result.unwrap_or(Err(Failed::Unsupported)));
        computed.results.extend(results);
        self.items = recycled(items);
        computed
    }

    /// Takes a batch back whose results are used, for its memory.
    pub fn recycle(&mut self, mut computed: Computed) {
        computed.owners.clear();
        computed.results.clear();
        self.spare = computed;
    }
}

/// The vector's memory for items of another lifetime: collecting in place keeps the allocation.
fn recycled<'b>(mut items: Vec<Item<'_>>) -> Vec<Item<'b>> {
    items.clear();
    items.into_iter().map_while(|_| None).collect()
}

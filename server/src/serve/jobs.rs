// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work of all connections that became ready together, computed together.
//!
//! Seeds and results are copied from one vector to the next, and dropped where they lie, which wipes them: what is moved leaves its bytes
//! behind, in memory that may not be written again for long.

use super::context::Active;
use super::slab::Key;
use std::rc::Rc;
use std::time::{Duration, Instant};
use ttls::Job;
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::Cpu;
use ttls_crypto::job::{Failed, Output};
use ttls_crypto::sign::{KeyKind, SigningKey};
use ttls_crypto::wipe::wipe_unused;

/// Most jobs in one batch: what established connections may have to wait for.
pub const BATCH: u32 = 64;
/// Room for them.
const ROOM: usize = BATCH as usize;

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
    /// Its part of the batch's time.
    weight: u32,
    active: Rc<Active>,
}

/// How long a job takes beside others, roughly: the batch's measured time is divided by that. An RSA-2048 signature takes some thirty
/// times as long as an operation on a curve.
fn weight(job: &Job, active: &Active) -> u32 {
    match job.certificate().and_then(|id| active.settings.store.key(id)).map(SigningKey::kind) {
        Some(KeyKind::Rsa) => 30,
        _ => 1,
    }
}

/// A batch that was computed.
#[derive(Default)]
pub struct Computed {
    owners: Vec<Owner>,
    results: Vec<Option<Result<Output, Failed>>>,
    time: Duration,
    /// Microseconds for each unit of weight.
    unit: u32,
}

impl Computed {
    /// How long the batch took.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Every job's connection, how many microseconds it took of the batch, and its result.
    pub fn results(&self) -> impl Iterator<Item = (Key, u32, &Result<Output, Failed>)> {
        let owners = self.owners.iter().zip(&self.results);
        owners.map(|(owner, result)| {
            let result = result.as_ref().unwrap_or(&Err(Failed::Unsupported));
            (owner.key, owner.weight.saturating_mul(self.unit), result)
        })
    }
}

impl Jobs {
    /// Room for a batch.
    pub fn new(cpu: Cpu) -> Self {
        Self {
            jobs: Vec::with_capacity(ROOM),
            owners: Vec::with_capacity(ROOM),
            items: Vec::with_capacity(ROOM),
            spare: Computed {
                owners: Vec::with_capacity(ROOM),
                results: Vec::with_capacity(ROOM),
                time: Duration::ZERO,
                unit: 0,
            },
            engine: Box::new(Engine::new(cpu)),
        }
    }

    /// Adds a connection's job.
    pub fn push(&mut self, key: Key, active: &Rc<Active>, job: Job) {
        self.owners.push(Owner { key, weight: weight(&job, active), active: Rc::clone(active) });
        self.jobs.push(job);
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
        for (job, owner) in self.jobs.iter().zip(&computed.owners) {
            let work = job.clone().into_work(|id| owner.active.settings.store.key(id));
            computed.results.push(work.is_none().then_some(Err(Failed::Unsupported)));
            items.extend(work.map(Item::new));
        }
        self.jobs.clear();
        let begun = Instant::now();
        self.engine.run(&mut items);
        let weights: u32 = computed.owners.iter().map(|owner| owner.weight).sum();
        computed.time = begun.elapsed();
        computed.unit = u32::try_from(computed.time.as_micros()).unwrap_or(u32::MAX) / weights.max(1);
        let mut computable = computed.results.iter_mut().filter(|result| result.is_none());
        for item in &items {
            if let Some(result) = computable.next() {
                result.clone_from(&item.result);
            }
        }
        let count = items.len();
        self.items = recycled(items);
        wipe_spare(&mut self.items, count);
        wipe_spare(&mut self.jobs, count);
        computed
    }

    /// Takes a batch back whose results are used, for its memory.
    pub fn recycle(&mut self, mut computed: Computed) {
        let count = computed.results.len();
        computed.owners.clear();
        computed.results.clear();
        wipe_spare(&mut computed.results, count);
        self.spare = computed;
    }
}

/// Wipes the memory of the first `count` values that were in an empty vector: what was shorter than its place has not covered what lay
/// there before.
fn wipe_spare<T>(empty: &mut Vec<T>, count: usize) {
    if let Some(used) = empty.spare_capacity_mut().get_mut(..count) {
        wipe_unused(used);
    }
}

/// The vector's memory for items of another lifetime: collecting in place keeps the allocation.
fn recycled<'b>(mut items: Vec<Item<'_>>) -> Vec<Item<'b>> {
    items.clear();
    items.into_iter().map_while(|_| None).collect()
}

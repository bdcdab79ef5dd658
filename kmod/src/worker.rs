// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key work of several connections in one entry.

use crate::abi::{BATCH, Run, Step as Next, Turn};
use crate::connection;
use crate::environment::{KernelRandom, environment};
use core::ffi::{c_int, c_void};
use core::mem::MaybeUninit;
use ttls::{Job, Outbound};
use ttls_crypto::batch::{Engine, Item};
use ttls_crypto::cpu::{Choice, Cpu};
use ttls_crypto::job::Failed;
use ttls_crypto::sign::KeyKind;

/// What one entry may cost in units of a key exchange (some 50 µs in scalar code), because nothing else runs
/// on this CPU meanwhile.
const BUDGET: usize = 16;
/// An RSA signature in those units.
const RSA: usize = 16;

/// A CPU's worker: C provides the memory.
pub struct Worker {
    engine: MaybeUninit<Engine>,
    items: [MaybeUninit<Item<'static>>; BATCH],
}

impl Worker {
    /// # Safety
    /// [`init`] made the worker.
    pub unsafe fn engine(&mut self) -> &mut Engine {
        // SAFETY: `init` wrote it.
        unsafe { self.engine.assume_init_mut() }
    }
}

/// Makes memory a worker: tells what it computes in, by C's numbers.
///
/// # Safety
/// `memory` has room for a [`Worker`], and nobody else uses it.
#[inline(never)]
pub unsafe fn init(memory: *mut c_void) -> c_int {
    let worker = memory.cast::<Worker>();
    let cpu = Cpu::detect(Choice::Best).unwrap_or(Cpu::Scalar);
    // SAFETY: promised by the caller; the items are not read before `run` writes them.
    unsafe { Engine::init(&mut (*worker).engine, cpu) };
    match cpu {
        Cpu::Scalar => 0,
        Cpu::Avx2(_) => 1,
        Cpu::Ifma(_) | Cpu::AvxIfma(_) => 2,
    }
}

/// Computes the jobs of the turns in order, as many as the budget allows, and goes on with their handshakes, to
/// the next job of the same handshake if there is room for that too. Turns it did not come to keep the step `Work`.
///
/// # Safety
/// The worker was made by [`init`]; the turns' pointers are valid for the call and used by nobody else. All turns'
/// sites stay until it returns.
#[inline(never)]
pub unsafe fn run(run: &mut Run) -> c_int {
    // SAFETY: promised by the caller.
    let (worker, turns) =
        unsafe { (&mut *run.worker.cast::<Worker>(), core::slice::from_raw_parts_mut(run.turns, run.count)) };
    let mut spent = 0;
    loop {
        let before = spent;
        // SAFETY: promised by the caller.
        if unsafe { round(worker, turns, &mut spent) }.is_none() {
            return crate::abi::INVALID;
        }
        if spent == before {
            return 0;
        }
    }
}

/// The next job of each turn that has one, together. `None`: a turn that C should not have made.
///
/// # Safety
/// As [`run`].
unsafe fn round(worker: &mut Worker, turns: &mut [Turn], spent: &mut usize) -> Option<()> {
    let mut indexes = [0; BATCH];
    let mut count = 0;
    for (index, turn) in turns.iter_mut().enumerate().take(BATCH) {
        if turn.step != Next::Work as u32 {
            continue;
        }
        // SAFETY: promised by the caller.
        let (connection, site, _) = unsafe { connection::parts(turn) }?;
        let signer = connection.job.as_ref().and_then(Job::certificate);
        let key = signer.and_then(|id| site.key(id));
        let price = key.map_or(1, |key| if key.kind() == KeyKind::Rsa { RSA } else { 1 });
        if *spent > 0 && *spent + price > BUDGET {
            break;
        }
        let Some(work) = connection.job.take().and_then(|job| job.into_work(|_| key)) else {
            turn.step = Next::Failed as u32;
            continue;
        };
        worker.items[count].write(Item::new(work));
        indexes[count] = index;
        count += 1;
        *spent += price;
    }
    // SAFETY: the first `count` items were just written. Their keys belong to sites that outlive this call, and
    // the items are dropped in it.
    let items =
        unsafe { core::slice::from_raw_parts_mut(worker.items.as_mut_ptr().cast::<Item<'static>>(), count) };
    // SAFETY: `init` wrote it.
    unsafe { worker.engine.assume_init_mut() }.run(items);
    for (item, &index) in items.iter_mut().zip(&indexes) {
        let done = item.result.take().unwrap_or(Err(Failed::Unsupported));
        // SAFETY: as above.
        unsafe { resume(&mut turns[index], &done) };
    }
    for item in &mut worker.items[..count] {
        // SAFETY: written above, and not used again.
        unsafe { item.assume_init_drop() };
    }
    Some(())
}

/// # Safety
/// As [`run`].
unsafe fn resume(turn: &mut Turn, done: &Result<ttls_crypto::job::Output, Failed>) {
    // SAFETY: promised by the caller.
    let Some((connection, site, output)) = (unsafe { connection::parts(turn) }) else { return };
    let mut random = KernelRandom;
    let mut env = environment(site, &mut random, turn.now);
    let mut written = usize::try_from(turn.output_len).unwrap_or(0);
    let step = connection.resume(&mut env, done, &mut Outbound::new(output, &mut written));
    connection.settle(step, turn);
    turn.output_len = u32::try_from(written).unwrap_or(0);
}

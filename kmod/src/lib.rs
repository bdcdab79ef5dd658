// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Rust half of `ttls.ko`: the TLS core behind one `extern "C"` door.
//!
//! The C half owns sockets, memory and locks, and calls [`ttls_dispatch`] between `kernel_fpu_begin` and
//! `kernel_fpu_end`, on a private stack, with softirqs off. Nothing here allocates, sleeps or takes a lock, so
//! a panic is contained: the handler tells C, which throws the stack away and drops that one connection.
#![no_std]

mod abi;
mod arena;
mod connection;
mod environment;
mod key_update;
mod record_plan;
mod self_test;
mod site;
mod worker;

use abi::{
    Advance, Call, Certificate, Configuration, Door, Established, INVALID, KeyUpdate, NextKeys, Record, Run,
    Turn,
};
use connection::Connection;
use core::mem::size_of;
use worker::Worker;

/// Bytes of memory for a connection, zeroed by C: all zeros is one that waits for a ClientHello's first byte.
#[unsafe(no_mangle)]
pub static ttls_connection_size: usize = size_of::<Connection>();

/// Bytes of memory for each CPU's worker.
#[unsafe(no_mangle)]
pub static ttls_worker_size: usize = size_of::<Worker>();

/// Sizes that C compares with its own at load: both halves are of one build.
#[unsafe(no_mangle)]
pub static ttls_layout: [usize; 7] = [
    size_of::<Configuration>(),
    size_of::<Certificate>(),
    size_of::<Established>(),
    size_of::<Turn>(),
    size_of::<KeyUpdate>(),
    size_of::<NextKeys>(),
    size_of::<Record>(),
];

unsafe extern "C" {
    /// Reports the place of a panic, restores the kernel's stack and makes the call return `-EFAULT`.
    fn ttls_panicked(file: *const u8, len: usize, line: u32);
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    // SAFETY: the pointer and length are of a static string; C copies it and does not come back. The trap tells
    // objtool so.
    unsafe {
        ttls_panicked(file.as_ptr(), file.len(), line);
        core::arch::asm!("ud2", options(noreturn))
    }
}

/// The only way in. What a door needs of the stack is its own: none is inlined here.
///
/// # Safety
/// `call` points to a [`Call`] whose argument is what its door asks for, and which nobody else uses meanwhile.
/// SSE registers belong to the caller.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ttls_dispatch(call: *mut Call) {
    // SAFETY: promised by the caller.
    let call = unsafe { &mut *call };
    // SAFETY: promised by the caller: the argument is of the door's type.
    call.result = unsafe {
        match Door::from_number(call.door) {
            Some(Door::SelfTest) => self_test::run(call.argument.cast()),
            Some(Door::Measure) => site::measure(&mut *call.argument.cast::<Configuration>()),
            Some(Door::Build) => site::build(&mut *call.argument.cast::<Configuration>()),
            Some(Door::Advance) => site::advance(&mut *call.argument.cast::<Advance>()),
            Some(Door::Begin) => worker::init(call.argument),
            Some(Door::Receive) => connection::receive(&mut *call.argument.cast::<Turn>()),
            Some(Door::Run) => worker::run(&mut *call.argument.cast::<Run>()),
            Some(Door::KeyUpdate) => key_update::read(&mut *call.argument.cast::<KeyUpdate>()),
            Some(Door::NextKeys) => key_update::next(&mut *call.argument.cast::<NextKeys>()),
            Some(Door::RecordSize) => record_plan::size(&mut *call.argument.cast::<Record>()),
            Some(Door::Panic) => self_test::panic(call.argument as usize),
            None => INVALID,
        }
    };
}

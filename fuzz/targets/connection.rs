// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole connection: what the client sends, what the backend does, who reads how much and when time passes are the input.
#![no_main]

#[path = "../../tests/simulation.rs"]
mod simulation;

use libfuzzer_sys::fuzz_target;
use simulation::{Kind, Link, Script, World};
use std::cell::RefCell;

thread_local! {
    static WORLDS: RefCell<[World; 3]> =
        RefCell::new([Kind::Scripted, Kind::Builtin, Kind::Dead].map(|kind| World::new(kind, Link::Unix)));
}

// The worlds make keys and certificates first, which takes seconds that are no input's.
fuzz_target!(init: WORLDS.with(|_| ()), |input: &[u8]| {
    let Some((&kind, script)) = input.split_first() else { return };
    WORLDS.with(|worlds| {
        let mut worlds = worlds.borrow_mut();
        // Most of what can happen needs a backend that the script moves.
        let number = if kind < 192 { 0 } else { usize::from(kind) % 2 + 1 };
        worlds[number].play(&mut Script(script));
    });
});

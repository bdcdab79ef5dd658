// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random schedules of a client, a backend and the clock: see [`simulation`]. A failure names its seed; `SEED=n` plays that one alone,
//! `SEEDS=n` so many.

mod simulation;

use simulation::{Kind, Link, Script, World};

/// Schedules of each kind.
const SEEDS: u64 = 150;

/// Says which schedule failed.
struct Playing(Kind, u64);

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("SEED={} of {:?}", self.1, self.0);
        }
    }
}

/// The bytes of a schedule.
fn schedule(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let length = 8 + random() % 300;
    (0..length).map(|_| random().to_be_bytes()[0]).collect()
}

fn play(kind: Kind, link: Link) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = match number("SEED") {
        Some(seed) => seed..seed + 1,
        None => 1..1 + number("SEEDS").unwrap_or(SEEDS),
    };
    let mut world = World::new(kind, link);
    for seed in seeds {
        let _playing = Playing(kind, seed);
        world.play(&mut Script(&schedule(seed)));
    }
}

#[test]
fn scripted_backends() {
    play(Kind::Scripted, Link::Tcp);
}

#[test]
fn built_in_backends() {
    play(Kind::Builtin, Link::Tcp);
}

#[test]
fn no_backend() {
    play(Kind::Dead, Link::Tcp);
}

#[test]
fn unix_sockets() {
    for kind in [Kind::Scripted, Kind::Builtin, Kind::Dead] {
        play(kind, Link::Unix);
    }
}

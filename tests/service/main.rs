// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a terminator owes its users whatever happens: every byte, in both directions, through slowness, half-closed
//! connections, reloads, upgrades and drains.

mod backends;
mod endings;
mod fragmentation;
mod lifecycle;
mod load;
mod log;
mod metrics;
mod names;
mod pressure;
mod proxy;
mod reload;
mod rules;
mod secrets;
mod transfer;
mod upgrade;

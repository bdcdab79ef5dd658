// SPDX-License-Identifier: MIT OR Apache-2.0
//! Handshake cryptography for ttls.
//!
//! Public-key work comes as [`job::Work`]: owned input of fixed size, one result per item.
//! [`job::Work::run`] computes one item with scalar code; [`batch::Engine`] computes many at once.
//! Nothing here allocates, reads a clock or draws randomness: seeds are handed in.
//! What is `unsafe` follows the rules of `unsafe.md`, beside this file.
#![cfg_attr(not(feature = "std"), no_std)]

pub mod aead;
pub mod batch;
pub mod cpu;
pub mod hash;
pub mod job;
pub mod key_exchange;
pub mod mlkem;
pub mod outcome;
pub mod p256;
pub mod rsa;
pub mod secret;
pub mod self_test;
pub mod sign;
pub mod x25519;

mod aligned;
mod ct;
mod der;
mod inversion;
#[cfg(target_arch = "x86_64")]
mod lanes;
mod limbs;
mod recode;
pub mod wipe;

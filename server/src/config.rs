// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration: one TOML file, and the same by flags.
//!
//! [`flags`] turns flags into TOML text, [`source`] merges both texts and remembers where each value
//! was written, [`schema`] says which keys there are, [`values`] what may stand in them.

pub mod flags;
pub mod schema;
pub mod source;
pub mod values;

pub use schema::Config;
pub use source::{Error, Source};

// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a batch is made of.

use crate::job::Work;
use crate::outcome::{Failed, Output};

/// One item of work and the place for its result.
pub struct Item<'k> {
    /// What to compute.
    pub work: Work<'k>,
    /// Set by [`Engine::run`](super::Engine::run); an item that has a result already is left alone.
    pub result: Option<Result<Output, Failed>>,
}

impl<'k> Item<'k> {
    /// An item without a result.
    pub const fn new(work: Work<'k>) -> Self {
        Self { work, result: None }
    }
}

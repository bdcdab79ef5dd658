// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted of each route: each worker has counters of its own, and a reload that keeps a route keeps its counts.

use super::number::Number;
use crate::prometheus::Page;
use crate::serve::outcome::Outcome;
use crate::settings::Settings;
use crate::settings::routes::Route;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Why established connections ended otherwise than they should.
const REASONS: [&str; 8] = [
    "backend_refused",
    "backend_unknown",
    "backend_timeout",
    "backend_lost",
    "client",
    "timeout",
    "limit",
    "server",
];

/// The number of an outcome in [`REASONS`].
const fn reason(outcome: Outcome) -> Option<usize> {
    Some(match outcome {
        Outcome::Ok | Outcome::Drained => return None,
        Outcome::BackendRefused(_) => 0,
        Outcome::BackendUnknown => 1,
        Outcome::BackendTimeout => 2,
        Outcome::BackendLost(_) => 3,
        Outcome::IdleTimeout | Outcome::CloseTimeout => 5,
        Outcome::Stalled => 6,
        Outcome::NoBuffer | Outcome::Local(_) => 7,
        _ if outcome.is_local() => 7,
        _ => 4,
    })
}

/// What one worker has counted of a route.
#[derive(Debug)]
#[repr(align(128))]
pub struct Counts {
    route: String,
    backend: String,
    connections: Number,
    bytes_in: Number,
    bytes_out: Number,
    failures: [Number; REASONS.len()],
}

impl Counts {
    fn new(route: &Route) -> Self {
        Self {
            route: label(route).to_owned(),
            backend: route.target.name().to_owned(),
            connections: Number::default(),
            bytes_in: Number::default(),
            bytes_out: Number::default(),
            failures: Default::default(),
        }
    }

    fn is_of(&self, route: &Route) -> bool {
        self.route == label(route) && self.backend == route.target.name()
    }

    /// Counts a connection that goes this way.
    pub fn connected(&self) {
        self.connections.add(1);
    }

    /// Counts plaintext that has moved.
    pub fn moved(&self, bytes_in: u64, bytes_out: u64) {
        self.bytes_in.add(bytes_in);
        self.bytes_out.add(bytes_out);
    }

    /// Counts an ending that is not as it should be.
    pub fn failed(&self, outcome: Outcome) {
        if let Some(number) = reason(outcome).and_then(|number| self.failures.get(number)) {
            number.add(1);
        }
    }
}

/// A route's first name: no other route has it.
fn label(route: &Route) -> &str {
    route.names.first().map_or("default", String::as_str)
}

/// The counters of all workers, for as long as a configuration or a connection uses them.
#[derive(Debug, Default)]
pub struct ByRoute(Mutex<Vec<Weak<Counts>>>);

impl ByRoute {
    /// Counters of one worker for the routes of `settings`, by their number; of those that it has already, the same.
    pub fn of(&self, settings: &Settings, present: &[Arc<Counts>]) -> Vec<Arc<Counts>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|counts| counts.strong_count() > 0);
        let of_route = |route: &Route| match present.iter().find(|counts| counts.is_of(route)) {
            Some(counts) => Arc::clone(counts),
            None => {
                let counts = Arc::new(Counts::new(route));
                all.push(Arc::downgrade(&counts));
                counts
            }
        };
        settings.routes.iter().map(of_route).collect()
    }

    /// The sums over all workers.
    pub(super) fn render(&self, page: &mut Page) {
        let all: Vec<_> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.iter().filter_map(Weak::upgrade).collect()
        };
        let mut routes: BTreeMap<(&str, &str), Vec<&Counts>> = BTreeMap::new();
        for counts in &all {
            routes.entry((&counts.route, &counts.backend)).or_default().push(counts);
        }
        let sum = |counts: &[&Counts], of: fn(&Counts) -> &Number| -> u64 {
            counts.iter().map(|counts| of(counts).get()).sum()
        };
        let name = "ttls_route_connections_total";
        page.family(name, "counter", "Established connections by route");
        for (&(route, backend), counts) in &routes {
            page.sample(name, &[("route", route), ("backend", backend)], sum(counts, |c| &c.connections));
        }
        let name = "ttls_route_bytes_total";
        page.family(name, "counter", "Plaintext bytes received from and sent to clients, by route");
        for (&(route, backend), counts) in &routes {
            for (direction, of) in
                [("in", (|c| &c.bytes_in) as fn(&Counts) -> &Number), ("out", |c| &c.bytes_out)]
            {
                let labels = [("route", route), ("backend", backend), ("direction", direction)];
                page.sample(name, &labels, sum(counts, of));
            }
        }
        let name = "ttls_route_failures_total";
        page.family(name, "counter", "Established connections that did not end well, by route");
        for (&(route, backend), counts) in &routes {
            for (at, reason) in REASONS.iter().enumerate() {
                let failed: u64 = counts.iter().filter_map(|c| c.failures.get(at)).map(Number::get).sum();
                page.sample(name, &[("route", route), ("backend", backend), ("reason", reason)], failed);
            }
        }
    }
}

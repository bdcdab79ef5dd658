// SPDX-License-Identifier: MIT OR Apache-2.0
//! What completed handshakes agreed on.

use super::number::Number;
use crate::prometheus::Page;
use ttls::Session;
use ttls::suite::{Group, Suite, group_name};

const GROUPS: [Group; 3] = [Group::X25519MlKem768, Group::X25519, Group::Secp256r1];
/// Protocols that are counted by name: what a client sends must not make new series.
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Counts of one worker.
#[derive(Debug, Default)]
pub struct Agreed {
    suites: [Number; Suite::ALL.len()],
    /// And sessions without a group: those that are resumed without an exchange.
    groups: [Number; GROUPS.len() + 1],
    /// And other protocols, and none.
    protocols: [Number; PROTOCOLS.len() + 2],
}

impl Agreed {
    /// Counts a session.
    pub fn count(&self, session: &Session) {
        let add = |numbers: &[Number], at: usize| {
            if let Some(number) = numbers.get(at) {
                number.add(1);
            }
        };
        let place = |at: Option<usize>, otherwise: usize| at.unwrap_or(otherwise);
        add(&self.suites, place(Suite::ALL.iter().position(|suite| *suite == session.suite), usize::MAX));
        let group = session.group.and_then(|group| GROUPS.iter().position(|other| *other == group));
        add(&self.groups, place(group, GROUPS.len()));
        add(
            &self.protocols,
            match &session.alpn {
                Some(alpn) => {
                    let known = PROTOCOLS.iter().position(|name| name.as_bytes() == alpn.as_bytes());
                    place(known, PROTOCOLS.len())
                }
                None => PROTOCOLS.len() + 1,
            },
        );
    }

    /// The sums over all workers.
    pub(super) fn render<'a>(page: &mut Page, workers: impl Iterator<Item = &'a Self> + Clone) {
        let mut family =
            |name: &str, label: &str, help: &str, values: &[&str], of: fn(&Self) -> &[Number]| {
                page.family(name, "counter", help);
                for (at, value) in values.iter().enumerate() {
                    let sum: u64 =
                        workers.clone().filter_map(|worker| of(worker).get(at)).map(Number::get).sum();
                    page.sample(name, &[(label, value)], sum);
                }
            };
        let suites = Suite::ALL.map(Suite::name);
        family(
            "ttls_handshakes_by_suite_total",
            "suite",
            "Completed handshakes by cipher suite",
            &suites,
            |a| &a.suites,
        );
        let [a, b, c] = GROUPS.map(group_name);
        let help = "Completed handshakes by key-exchange group; none where a session was resumed without an exchange";
        family("ttls_handshakes_by_group_total", "group", help, &[a, b, c, "none"], |a| &a.groups);
        let [a, b] = PROTOCOLS;
        let help = "Completed handshakes by application protocol (ALPN)";
        family("ttls_handshakes_by_alpn_total", "alpn", help, &[a, b, "other", "none"], |a| &a.protocols);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! The module's counters, as lines, as JSON, and in Prometheus's text format for node_exporter's textfile collector.

use super::message::counter;
use ttls_server::prometheus::Page;

/// The value of each of `enum ttls_counter` that the module has. One of another version may have fewer.
pub(crate) struct Statistics<'a>(pub(crate) &'a [u8]);

/// A sample in Prometheus's format. Those of one metric follow each other.
struct Sample {
    counter: u8,
    metric: &'static str,
    /// Empty, or the label `outcome`.
    outcome: &'static str,
    /// "" continues the metric before.
    kind: &'static str,
    help: &'static str,
}

const fn sample(counter: u8, metric: &'static str, kind: &'static str, help: &'static str) -> Sample {
    Sample { counter, metric, outcome: "", kind, help }
}

const fn first(counter: u8, metric: &'static str, outcome: &'static str, help: &'static str) -> Sample {
    Sample { counter, metric, outcome, kind: "counter", help }
}

const fn more(counter: u8, metric: &'static str, outcome: &'static str) -> Sample {
    Sample { counter, metric, outcome, kind: "", help: "" }
}

const HANDSHAKES: &str = "ttls_kernel_handshakes_total";

const SAMPLES: &[Sample] = &[
    sample(counter::LISTENERS, "ttls_kernel_listeners", "gauge", "Listening sockets behind TLS"),
    sample(counter::PENDING, "ttls_kernel_handshakes_pending", "gauge", "Handshakes under way"),
    sample(
        counter::ENDING,
        "ttls_kernel_handshakes_ending",
        "gauge",
        "Failed handshakes whose sockets are still to be closed",
    ),
    sample(counter::CONTEXTS, "ttls_kernel_handshake_contexts", "gauge", "Handshake contexts in memory"),
    sample(
        counter::CONNECTIONS,
        "ttls_kernel_connections",
        "gauge",
        "Accepted connections that are not closed",
    ),
    first(counter::FULL, HANDSHAKES, "full", "Handshakes by how they ended"),
    more(counter::RESUMED, HANDSHAKES, "resumed"),
    more(counter::FAILED_PEER, HANDSHAKES, "failed_peer"),
    more(counter::FAILED_MISMATCH, HANDSHAKES, "failed_mismatch"),
    more(counter::FAILED_LOCAL, HANDSHAKES, "failed_local"),
    more(counter::TIMED_OUT, HANDSHAKES, "timed_out"),
    more(counter::CLOSED, HANDSHAKES, "closed"),
    more(counter::REFUSED, HANDSHAKES, "refused"),
    more(counter::CONTAINED_PANICS, HANDSHAKES, "contained_panic"),
    sample(
        counter::ACCEPTED,
        "ttls_kernel_connections_accepted_total",
        "counter",
        "Connections that accept() returned",
    ),
    sample(counter::BATCHES, "ttls_kernel_batches_total", "counter", "Batches of public-key work"),
    sample(
        counter::BATCHED,
        "ttls_kernel_batched_handshakes_total",
        "counter",
        "Handshakes in those batches",
    ),
];

impl Statistics<'_> {
    fn value(&self, counter: u8) -> Option<u64> {
        let (values, _) = self.0.as_chunks();
        values.get(usize::from(counter)).copied().map(u64::from_ne_bytes)
    }

    fn named(&self) -> impl Iterator<Item = (String, u64)> {
        counter::ALL.iter().filter_map(|(name, index)| Some((name.to_lowercase(), self.value(*index)?)))
    }

    /// A name and a value on each line.
    pub(crate) fn lines(&self) -> String {
        self.named().map(|(name, value)| format!("{name} {value}\n")).collect()
    }

    /// One object, on a line. Its values are integers below 2^64.
    pub(crate) fn json(&self) -> String {
        let members: Vec<_> = self.named().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}\n", members.join(","))
    }

    /// Prometheus's text format, version 0.0.4.
    pub(crate) fn metrics(&self) -> String {
        let mut page = Page::default();
        for sample in SAMPLES {
            let Some(value) = self.value(sample.counter) else { continue };
            let Sample { metric, outcome, kind, help, .. } = sample;
            if !kind.is_empty() {
                page.family(metric, kind, help);
            }
            let labels = [("outcome", *outcome)];
            page.sample(metric, if outcome.is_empty() { &[] } else { &labels }, value);
        }
        page.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Vec<u8> {
        (0..counter::ALL.len()).flat_map(|index| (100 + index as u64).to_ne_bytes()).collect()
    }

    #[test]
    fn each_counter_is_a_sample_of_its_value() {
        let answer = answer();
        let metrics = Statistics(&answer).metrics();
        let mut values: Vec<u64> = (metrics.lines().filter(|line| !line.starts_with('#')))
            .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
            .collect();
        values.sort_unstable();
        assert_eq!(values, (100..100 + counter::ALL.len() as u64).collect::<Vec<_>>());
        assert!(metrics.contains("\nttls_kernel_handshakes_total{outcome=\"resumed\"} 105\n"), "{metrics}");
    }

    /// Each metric is announced once, before its samples, and its name says its unit.
    #[test]
    fn metrics_are_of_the_format() {
        let answer = answer();
        let metrics = Statistics(&answer).metrics();
        let mut known: Vec<&str> = Vec::new();
        for line in metrics.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(!known.contains(&name), "{name} twice");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                known.push(name);
            } else if !line.starts_with('#') {
                let name = line.split(['{', ' ']).next().unwrap();
                assert_eq!(known.last(), Some(&name), "{line}");
            }
        }
    }

    #[test]
    fn lines_and_json_say_the_same() {
        let answer = answer();
        let statistics = Statistics(&answer);
        assert!(statistics.lines().starts_with("listeners 100\npending 101\n"));
        let json = statistics.json();
        let members: Vec<_> = json.trim_end().trim_matches(['{', '}']).split(',').collect();
        let lines = statistics.lines();
        let expected: Vec<_> = lines.lines().map(|line| format!("\"{}", line.replace(' ', "\":"))).collect();
        assert_eq!(members, expected);
    }

    #[test]
    fn an_older_module_has_fewer() {
        let answer = answer();
        let older = Statistics(&answer[..24]);
        assert_eq!(older.lines(), "listeners 100\npending 101\ncontexts 102\n");
        assert_eq!(older.metrics().lines().filter(|line| !line.starts_with('#')).count(), 3);
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters, one set per worker, and their Prometheus text.

use super::log::sink::Sink;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one worker writes and anyone reads.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Adds `count`.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    /// Sets a gauge.
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($field:ident, $kind:literal, $name:literal, $labels:literal, $help:literal;)*) => {
        /// What one worker has counted. On cache lines of its own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $(#[doc = $help] pub $field: Number,)*
        }

        /// The sums over all workers in Prometheus' text format.
        fn sums(workers: &[Arc<Counters>]) -> String {
            let mut text = String::new();
            let mut last = "";
            $(
                if last != $name {
                    last = $name;
                    let _ = writeln!(text, "# HELP ttls_{} {}.\n# TYPE ttls_{} {}", $name, $help, $name, $kind);
                }
                let sum: u64 = workers.iter().map(|worker| worker.$field.get()).sum();
                let _ = writeln!(text, "ttls_{}{} {sum}", $name, $labels);
            )*
            let _ = last;
            text
        }
    };
}

counters! {
    accepted, "counter", "connections_accepted_total", "", "Connections accepted";
    connections, "gauge", "connections", "", "Connections now, half-open ones included";
    half_open, "gauge", "connections_half_open", "", "Connections now in their handshake";
    refused_total, "counter", "connections_refused_total", "{limit=\"connections\"}", "Connections closed at once because of a limit";
    refused_prefix, "counter", "connections_refused_total", "{limit=\"per_prefix\"}", "Connections closed at once because of a limit";
    evicted, "counter", "connections_refused_total", "{limit=\"half_open\"}", "Connections closed at once because of a limit";
    full_tls13, "counter", "handshakes_total", "{version=\"1.3\",kind=\"full\"}", "Completed handshakes";
    resumed_tls13, "counter", "handshakes_total", "{version=\"1.3\",kind=\"resumed\"}", "Completed handshakes";
    full_tls12, "counter", "handshakes_total", "{version=\"1.2\",kind=\"full\"}", "Completed handshakes";
    resumed_tls12, "counter", "handshakes_total", "{version=\"1.2\",kind=\"resumed\"}", "Completed handshakes";
    failed_peer, "counter", "handshakes_failed_total", "{cause=\"client\"}", "Handshakes that failed";
    failed_mismatch, "counter", "handshakes_failed_total", "{cause=\"mismatch\"}", "Handshakes that failed";
    failed_local, "counter", "handshakes_failed_total", "{cause=\"server\"}", "Handshakes that failed";
    failed_closed, "counter", "handshakes_failed_total", "{cause=\"closed\"}", "Handshakes that failed";
    failed_timeout, "counter", "handshakes_failed_total", "{cause=\"timeout\"}", "Handshakes that failed";
    jobs, "counter", "public_key_jobs_total", "", "Public-key operations";
    batches, "counter", "public_key_batches_total", "", "Batches in which public-key operations were computed";
    bytes_in, "counter", "bytes_total", "{direction=\"in\"}", "Plaintext bytes received from and sent to clients";
    bytes_out, "counter", "bytes_total", "{direction=\"out\"}", "Plaintext bytes received from and sent to clients";
    backend_failed, "counter", "backend_failures_total", "", "Connections that found no backend";
    idle_timeouts, "counter", "idle_timeouts_total", "", "Established connections closed for silence";
    buffers, "gauge", "buffers", "", "Record buffers in use";
    buffer_waits, "counter", "buffer_waits_total", "", "Times that a connection had to wait for a buffer";
    lines_limited, "counter", "log_lines_limited_total", "", "Lines left out of the log because of log.errors_per_second";
}

/// What there is to tell.
pub struct Metrics {
    /// The workers' counters.
    pub workers: Vec<Arc<Counters>>,
    /// The logs, by name.
    pub logs: Vec<(&'static str, Arc<Sink>)>,
}

impl Metrics {
    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = sums(&self.workers);
        text.push_str("# HELP ttls_log_lines_lost_total Lines that a log did not take in time.\n");
        text.push_str("# TYPE ttls_log_lines_lost_total counter\n");
        for (name, sink) in &self.logs {
            let _ = writeln!(text, "ttls_log_lines_lost_total{{log=\"{name}\"}} {}", sink.lost());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_workers_and_names_each_metric_once() {
        let workers = [Arc::new(Counters::default()), Arc::new(Counters::default())];
        workers[0].accepted.add(2);
        workers[1].accepted.add(3);
        workers[1].evicted.add(1);
        let text = Metrics { workers: workers.into(), logs: Vec::new() }.render();
        assert!(text.contains("\nttls_connections_accepted_total 5\n"));
        assert!(text.contains("\nttls_connections_refused_total{limit=\"half_open\"} 1\n"));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
    }
}

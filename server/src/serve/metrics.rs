// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters, one set per worker, and their Prometheus text.

use super::clock;
use super::log::sink::Sink;
use rustix::process::{Resource, getrlimit};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

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
    refused_rate, "counter", "connections_refused_total", "{limit=\"handshake_rate\"}", "Connections closed at once because of a limit";
    refused_memory, "counter", "connections_refused_total", "{limit=\"buffer_memory\"}", "Connections closed at once because of a limit";
    evicted, "counter", "connections_refused_total", "{limit=\"half_open\"}", "Connections closed at once because of a limit";
    refused_heavy, "counter", "connections_refused_total", "{limit=\"demand\"}", "Connections closed at once because of a limit";
    overdue, "counter", "handshakes_dropped_total", "{reason=\"patience\"}", "Handshakes dropped before their public-key work";
    gone, "counter", "handshakes_dropped_total", "{reason=\"gone\"}", "Handshakes dropped before their public-key work";
    due, "gauge", "handshakes_waiting", "", "Handshakes that wait for their public-key work";
    level, "gauge", "load_level", "", "Sum over the workers of 0 (calm), 1 (busy) and 2 (overloaded)";
    answered, "gauge", "strangers_answered_permille", "", "Sum over the workers of the thousandths of unknown sources that are answered in overload";
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
    buffers, "gauge", "buffers", "", "Buffers in use";
    buffer_waits, "counter", "buffer_waits_total", "", "Times that a connection had to wait for a buffer";
    cut, "counter", "connections_cut_total", "", "Connections that were still open at the end of a drain";
    lines_limited, "counter", "log_lines_limited_total", "", "Lines left out of the log because of log.errors_per_second";
}

/// What there is to tell of the process.
#[derive(Debug, Default)]
pub struct Metrics {
    /// The workers' counters.
    workers: Vec<Arc<Counters>>,
    /// The logs, by name.
    logs: Vec<(&'static str, Arc<Sink>)>,
    /// The name of the public-key code.
    cpu: &'static str,
    /// Unix time in milliseconds when the process started.
    started: u64,
    /// The same of the last reload that succeeded; of the start, before there was one.
    reloaded: AtomicU64,
    reload_failed: AtomicBool,
    draining: AtomicBool,
}

impl Metrics {
    /// Of a process that started at `started` (Unix time in milliseconds), with the public-key code `cpu`.
    pub fn new(
        workers: Vec<Arc<Counters>>,
        logs: Vec<(&'static str, Arc<Sink>)>,
        cpu: &'static str,
        started: u64,
    ) -> Self {
        Self { workers, logs, cpu, started, ..Self::default() }
    }

    /// Takes note of a reload at `now` (Unix time in milliseconds).
    pub fn reloaded(&self, succeeded: bool, now: u64) {
        self.reload_failed.store(!succeeded, Relaxed);
        if succeeded {
            self.reloaded.store(now, Relaxed);
        }
    }

    /// Takes note that the process accepts no more.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Whether the process accepts no more.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Everything, in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = sums(&self.workers);
        let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, f64)]| {
            let _ = writeln!(text, "# HELP {name} {help}.\n# TYPE {name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        };
        let one = |value: f64| [(String::new(), value)];
        let lost = self.logs.iter().map(|(name, sink)| (format!("{{log=\"{name}\"}}"), sink.lost() as f64));
        let lost: Vec<_> = lost.collect();
        family("ttls_log_lines_lost_total", "counter", "Lines that a log did not take in time", &lost);
        let version = format!("{{version=\"{}\",cpu=\"{}\"}}", env!("CARGO_PKG_VERSION"), self.cpu);
        family(
            "ttls_build_info",
            "gauge",
            "The program's version and the public-key code in use",
            &[(version, 1.0)],
        );
        let flag = |flag: bool| one(f64::from(u8::from(flag)));
        family("ttls_draining", "gauge", "Whether the process accepts no more", &flag(self.is_draining()));
        let succeeded = !self.reload_failed.load(Relaxed);
        let help = "Whether the last reload took effect as a whole";
        family("ttls_config_last_reload_successful", "gauge", help, &flag(succeeded));
        let help = "Unix time of the last reload that took effect as a whole, or of the start";
        let reloaded = self.reloaded.load(Relaxed).max(self.started);
        family("ttls_config_last_reload_success_timestamp_seconds", "gauge", help, &one(seconds(reloaded)));
        let help = "Unix time of the process's start";
        family("process_start_time_seconds", "gauge", help, &one(seconds(self.started)));
        let help = "CPU time of the process, in user space and in the kernel";
        family("process_cpu_seconds_total", "counter", help, &one(seconds(clock::cpu_time())));
        let memory = resident_bytes().unwrap_or_default();
        family("process_resident_memory_bytes", "gauge", "Resident memory", &one(memory as f64));
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        family("process_open_fds", "gauge", "Open descriptors", &one(open as f64));
        let limit = getrlimit(Resource::Nofile).current.map_or(f64::INFINITY, |limit| limit as f64);
        family("process_max_fds", "gauge", "Descriptors that the process may have", &one(limit));
        text
    }
}

const fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1000.0
}

/// Resident memory (proc(5), status).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
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
        let text = Metrics { workers: workers.into(), ..Metrics::default() }.render();
        assert!(text.contains("\nttls_connections_accepted_total 5\n"));
        assert!(text.contains("\nttls_connections_refused_total{limit=\"half_open\"} 1\n"));
        for line in text.lines().filter(|line| line.starts_with("# TYPE")) {
            assert_eq!(text.matches(line).count(), 1, "{line}");
        }
    }

    #[test]
    fn every_metric_is_documented() {
        let reference = include_str!("../../../docs/configuration.md");
        let page = Metrics::default().render();
        let names = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        for name in names.filter(|name| !name.starts_with("process_")) {
            let told = ["`", "{"].iter().any(|end| reference.contains(&format!("`{name}{end}")));
            assert!(told, "docs/configuration.md lacks {name}");
        }
    }

    #[test]
    fn alerts_and_dashboard_ask_for_what_there_is() {
        let page = Metrics::default().render();
        let known = |name: &str| page.contains(&format!("# TYPE {name} "));
        for text in [
            include_str!("../../../packaging/monitoring/alerts.yml"),
            include_str!("../../../packaging/monitoring/grafana.json"),
        ] {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let names: Vec<_> =
                words.filter(|word| word.starts_with("ttls_") || word.starts_with("process_")).collect();
            assert!(names.len() > 5);
            for name in names {
                assert!(known(name), "there is no metric {name}");
            }
        }
    }
}

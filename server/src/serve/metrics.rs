// SPDX-License-Identifier: MIT OR Apache-2.0
//! Counters, one set per worker, and their Prometheus text.

mod agreed;
mod by_class;
mod by_route;
mod fingerprints;
mod histogram;
mod number;

pub use agreed::Agreed;
pub use by_class::{ByClass, Ended};
pub use by_route::{ByRoute, Counts};
pub use fingerprints::Fingerprints;
pub use histogram::Histogram;
pub use number::Number;

use super::clock;
use super::log::sink::{self, Sink};
use crate::prometheus::Page;
use crate::settings::Settings;
use rustix::process::{Resource, getrlimit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use ttls_crypto::sign::KeyKind;

macro_rules! counters {
    ($($field:ident, $kind:literal, $name:literal, [$($label:literal = $value:literal),*], $help:literal;)*) => {
        /// What one worker has counted. On cache lines of its own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct Counters {
            $(#[doc = $help] pub $field: Number,)*
            /// What handshakes agreed on.
            pub agreed: Agreed,
            /// From accept to the end of the handshake.
            pub handshake_time: Histogram,
            /// Handshakes that were due for public-key work.
            pub by_class: ByClass,
            /// From the whole ClientHello to the turn for public-key work.
            pub wait_time: Histogram,
            /// Who asks for full handshakes.
            pub fingerprints: Fingerprints,
            /// From the end of the handshake until the backend has accepted.
            pub connect_time: Histogram,
        }

        /// The sums over all workers.
        fn sums(page: &mut Page, workers: &[Arc<Counters>]) {
            let mut last = "";
            $(
                const _: () = assert!(!$help.is_empty());
                let name = concat!("ttls_", $name);
                if last != $name {
                    last = $name;
                    page.family(name, $kind, $help);
                }
                let sum: u64 = workers.iter().map(|worker| worker.$field.get()).sum();
                page.sample(name, &[$(($label, $value)),*], sum);
            )*
            let _ = last;
        }
    };
}

counters! {
    accepted, "counter", "connections_accepted_total", [], "Connections accepted";
    connections, "gauge", "connections", [], "Connections now, half-open ones included";
    half_open, "gauge", "connections_half_open", [], "Connections now in their handshake";
    refused_total, "counter", "connections_refused_total", ["limit" = "connections"], "Connections closed at once because of a limit";
    refused_prefix, "counter", "connections_refused_total", ["limit" = "per_prefix"], "Connections closed at once because of a limit";
    refused_connection_rate, "counter", "connections_refused_total", ["limit" = "connection_rate"], "Connections closed at once because of a limit";
    refused_rate, "counter", "connections_refused_total", ["limit" = "handshake_rate"], "Connections closed at once because of a limit";
    refused_rule, "counter", "connections_refused_total", ["limit" = "rule"], "Connections closed at once because of a limit";
    refused_memory, "counter", "connections_refused_total", ["limit" = "buffer_memory"], "Connections closed at once because of a limit";
    evicted, "counter", "connections_refused_total", ["limit" = "half_open"], "Connections closed at once because of a limit";
    refused_heavy, "counter", "connections_refused_total", ["limit" = "demand"], "Connections closed at once because of a limit";
    overdue, "counter", "handshakes_dropped_total", ["reason" = "patience"], "Handshakes dropped before their public-key work";
    gone, "counter", "handshakes_dropped_total", ["reason" = "gone"], "Handshakes dropped before their public-key work";
    due, "gauge", "handshakes_waiting", [], "Handshakes that wait for their public-key work";
    level, "gauge", "load_level", [], "Sum over the workers of 0 (calm), 1 (busy) and 2 (overloaded)";
    answered_others, "gauge", "strangers_answered_permille", [], "Sum over the workers of the thousandths of unknown sources that are answered in overload";
    answered_heavy, "gauge", "heavy_answered_permille", [], "Sum over the workers of the thousandths of heavy sources that are answered in overload";
    full_tls13, "counter", "handshakes_total", ["version" = "1.3", "kind" = "full"], "Completed handshakes";
    resumed_tls13, "counter", "handshakes_total", ["version" = "1.3", "kind" = "resumed"], "Completed handshakes";
    full_tls12, "counter", "handshakes_total", ["version" = "1.2", "kind" = "full"], "Completed handshakes";
    resumed_tls12, "counter", "handshakes_total", ["version" = "1.2", "kind" = "resumed"], "Completed handshakes";
    failed_peer, "counter", "handshakes_failed_total", ["cause" = "client"], "Handshakes that failed";
    failed_mismatch, "counter", "handshakes_failed_total", ["cause" = "mismatch"], "Handshakes that failed";
    failed_local, "counter", "handshakes_failed_total", ["cause" = "server"], "Handshakes that failed";
    failed_closed, "counter", "handshakes_failed_total", ["cause" = "closed"], "Handshakes that failed";
    failed_timeout, "counter", "handshakes_failed_total", ["cause" = "timeout"], "Handshakes that failed";
    jobs, "counter", "public_key_jobs_total", [], "Public-key operations";
    batches, "counter", "public_key_batches_total", [], "Batches in which public-key operations were computed";
    bytes_in, "counter", "bytes_total", ["direction" = "in"], "Plaintext bytes received from and sent to clients";
    bytes_out, "counter", "bytes_total", ["direction" = "out"], "Plaintext bytes received from and sent to clients";
    backend_failed, "counter", "backend_failures_total", [], "Connections that found no backend";
    idle_timeouts, "counter", "idle_timeouts_total", [], "Established connections closed for silence";
    buffers, "gauge", "buffers", [], "Buffers in use";
    buffer_handshakes, "gauge", "buffer_memory_bytes", ["purpose" = "handshakes"], "Buffer memory in use";
    buffer_relays, "gauge", "buffer_memory_bytes", ["purpose" = "connections"], "Buffer memory in use";
    buffer_transfers, "gauge", "buffer_memory_bytes", ["purpose" = "transfers"], "Buffer memory in use";
    buffer_limit_handshakes, "gauge", "buffer_memory_limit_bytes", ["purpose" = "handshakes"], "Buffer memory that may be in use";
    buffer_limit_relays, "gauge", "buffer_memory_limit_bytes", ["purpose" = "connections"], "Buffer memory that may be in use";
    buffer_limit_transfers, "gauge", "buffer_memory_limit_bytes", ["purpose" = "transfers"], "Buffer memory that may be in use";
    buffer_waits, "counter", "buffer_waits_total", [], "Times that a connection had to wait for a buffer";
    cut, "counter", "connections_cut_total", [], "Connections that were still open at the end of a drain";
    lines_limited, "counter", "log_lines_limited_total", [], "Lines left out of the log because of log.errors_per_second";
}

/// What there is to tell of the process.
#[derive(Default)]
pub struct Metrics {
    /// The workers' counters.
    workers: Vec<Arc<Counters>>,
    /// What is counted by route.
    routes: Arc<ByRoute>,
    /// The configuration as it is in force.
    settings: Mutex<Option<Arc<Settings>>>,
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
        routes: Arc<ByRoute>,
        logs: Vec<(&'static str, Arc<Sink>)>,
        cpu: &'static str,
        started: u64,
    ) -> Self {
        Self { workers, routes, logs, cpu, started, ..Self::default() }
    }

    /// Takes note of the configuration that is in force now.
    pub fn configured(&self, settings: &Arc<Settings>) {
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(settings));
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
        let mut page = Page::default();
        sums(&mut page, &self.workers);
        let workers = || self.workers.iter();
        Agreed::render(&mut page, workers().map(|worker| &worker.agreed));
        let help = "Time from accept to the end of the handshake";
        let times = workers().map(|worker| &worker.handshake_time);
        Histogram::render(&mut page, "ttls_handshake_duration_seconds", help, times);
        let help =
            "Time that handshakes waited for public-key work, from the whole ClientHello to their turn";
        let times = workers().map(|worker| &worker.wait_time);
        Histogram::render(&mut page, "ttls_handshake_wait_seconds", help, times);
        ByClass::render(&mut page, workers().map(|worker| &worker.by_class));
        Fingerprints::render(&mut page, workers().map(|worker| &worker.fingerprints));
        let help = "Time from the end of the handshake until the backend has accepted";
        let times = workers().map(|worker| &worker.connect_time);
        Histogram::render(&mut page, "ttls_backend_connect_duration_seconds", help, times);
        self.routes.render(&mut page);
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone();
        render_settings(&mut page, settings.as_deref());
        self.render_logs(&mut page);
        self.render_process(&mut page);
        page.into_text()
    }

    fn render_logs(&self, page: &mut Page) {
        let mut family = |name: &str, kind: &str, help: &str, of: fn(&Sink) -> u64| {
            page.family(name, kind, help);
            for (log, sink) in &self.logs {
                page.sample(name, &[("log", log)], of(sink));
            }
        };
        family("ttls_log_lines_lost_total", "counter", "Lines that a log did not take in time", Sink::lost);
        let help = "Bytes of lines that wait for a log to take them";
        family("ttls_log_queue_bytes", "gauge", help, |sink| sink.waiting() as u64);
        let help = "Bytes of lines that may wait for a log to take them";
        family("ttls_log_queue_limit_bytes", "gauge", help, |_| sink::CAPACITY as u64);
    }

    fn render_process(&self, page: &mut Page) {
        let name = "ttls_build_info";
        page.family(name, "gauge", "The program's version and the public-key code in use");
        page.sample(name, &[("version", env!("CARGO_PKG_VERSION")), ("cpu", self.cpu)], 1);
        let flag = u8::from;
        let gauge = "gauge";
        page.one("ttls_draining", gauge, "Whether the process accepts no more", flag(self.is_draining()));
        let succeeded = !self.reload_failed.load(Relaxed);
        let help = "Whether the last reload took effect as a whole";
        page.one("ttls_config_last_reload_successful", gauge, help, flag(succeeded));
        let help = "Unix time of the last reload that took effect as a whole, or of the start";
        let reloaded = self.reloaded.load(Relaxed).max(self.started);
        page.one("ttls_config_last_reload_success_timestamp_seconds", gauge, help, seconds(reloaded));
        let help = "Unix time of the process's start";
        page.one("process_start_time_seconds", gauge, help, seconds(self.started));
        let help = "CPU time of the process, in user space and in the kernel";
        page.one("process_cpu_seconds_total", "counter", help, seconds(clock::cpu_time()));
        let memory = resident_bytes().unwrap_or_default();
        page.one("process_resident_memory_bytes", gauge, "Resident memory", memory);
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        page.one("process_open_fds", gauge, "Open descriptors", open);
        let limit = getrlimit(Resource::Nofile).current.map_or("+Inf".to_owned(), |limit| limit.to_string());
        page.one("process_max_fds", gauge, "Descriptors that the process may have", limit);
    }
}

/// What the configuration in force allows, and until when its certificates are good.
fn render_settings(page: &mut Page, settings: Option<&Settings>) {
    let limits = settings.map(|settings| &settings.limits);
    let connections = limits.map_or(0, |limits| limits.connections);
    page.one("ttls_connections_limit", "gauge", "Connections that there may be", connections);
    let half_open = limits.map_or(0, |limits| limits.half_open);
    page.one(
        "ttls_connections_half_open_limit",
        "gauge",
        "Connections that may be in their handshake",
        half_open,
    );
    let name = "ttls_certificate_expiry_timestamp_seconds";
    page.family(
        name,
        "gauge",
        "Unix time until which a certificate is good, by the names under which clients get it",
    );
    for certificate in settings.iter().flat_map(|settings| settings.store.summaries()) {
        let Some(end) = certificate.not_after else { continue };
        let file = certificate.file.to_string_lossy();
        let key = match certificate.kind {
            KeyKind::EcdsaP256 => "ecdsa",
            KeyKind::Rsa => "rsa",
        };
        // One that is only for clients without a known name.
        let nameless = certificate.names.is_empty().then_some("");
        for server_name in certificate.names.iter().copied().chain(nameless) {
            page.sample(name, &[("server_name", server_name), ("key", key), ("file", &file)], end.0);
        }
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

    /// Prometheus' rules for names (practices/naming, and what `promtool check metrics` looks at).
    #[test]
    fn names_follow_the_conventions() {
        let page = Metrics::default().render();
        let mut kinds = std::collections::HashMap::new();
        let mut series = std::collections::HashSet::new();
        let is_name = |name: &str| {
            let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(word)
        };
        let mut helped = "";
        for line in page.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, text) = help.split_once(' ').unwrap();
                assert!(text.len() > 8 && text.ends_with('.'), "{line}");
                helped = name;
                continue;
            }
            if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert_eq!(name, helped, "help comes first");
                assert!(is_name(name), "{name}");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
                for reserved in ["_count", "_sum", "_bucket", "_counter", "_gauge", "_histogram"] {
                    assert!(!name.ends_with(reserved), "{name}");
                }
                for unit in ["_ms", "_milliseconds", "_minutes", "_kib", "_kilobytes", "_percent"] {
                    assert!(!name.contains(unit), "{name}: base units only");
                }
                assert!(kinds.insert(name, kind).is_none(), "{name} twice");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            assert!(value == "+Inf" || value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(sample), "{sample} twice");
            let (name, labels) = sample.split_once('{').map_or((sample, ""), |(name, labels)| (name, labels));
            let family = match kinds.get(name) {
                Some(_) => name,
                None => name.rsplit_once('_').unwrap().0,
            };
            assert_eq!(family, helped, "{line} stands with its kind");
            assert_eq!(kinds[family] == "histogram", family != name, "{line}");
            for label in labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty()) {
                assert!(label.split_once("=\"").is_some_and(|(label, _)| is_name(label)), "{line}");
            }
        }
        assert!(kinds.len() > 40 && kinds.values().filter(|kind| **kind == "histogram").count() == 3);
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
                let family = name.strip_suffix("_bucket").unwrap_or(name);
                assert!(known(family), "there is no metric {name}");
            }
        }
    }
}

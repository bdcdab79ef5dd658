// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run says: a line every second, a table and JSON at the end.

use super::histogram::Histogram;
use super::load::Outcome;
use super::options::{Mode, Options};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Percentiles that are told, in thousandths.
const QUANTILES: [(&str, u64); 4] = [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)];

/// The line of a run under way.
pub(super) fn progress(outcome: &Outcome, options: &Options, elapsed: Duration) -> String {
    let operations = outcome.operations(options.mode);
    format!(
        "{:4.0} s  {operations} done  {:.0}/s  p99 {}  {} failed",
        elapsed.as_secs_f64(),
        per_second(operations, elapsed),
        milliseconds(latency(outcome, options.mode).quantile(990)),
        outcome.failed(),
    )
}

/// The table.
pub(super) fn table(outcome: &Outcome, options: &Options, client_cpu: Duration) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{name:<20}{value}");
    };
    row("server", format!("{}  {}", options.address, what(options)));
    row(
        "load",
        match options.rate {
            Some(rate) => format!("{rate} connections/s, at most {} at a time", options.max_open),
            None => format!("{} connections at a time", options.connections),
        },
    );
    let operations = outcome.operations(options.mode);
    row(
        operation(options.mode),
        format!(
            "{operations} in {:.2} s, {:.0}/s",
            outcome.elapsed.as_secs_f64(),
            per_second(operations, outcome.elapsed)
        ),
    );
    row(
        "handshakes",
        format!(
            "{}, {} resumed, {} signatures checked",
            outcome.handshakes, outcome.resumed, outcome.verified
        ),
    );
    if outcome.bytes > 0 {
        row(
            "received",
            format!("{} bytes, {:.1} MB/s", outcome.bytes, per_second(outcome.bytes, outcome.elapsed) / 1e6),
        );
    }
    for (name, histogram) in
        [("handshake latency", &outcome.handshake_latency), ("response latency", &outcome.response_latency)]
    {
        if histogram.count() > 0 {
            let mut line = String::new();
            for (name, per_mille) in QUANTILES {
                let _ = write!(line, "{name} {}  ", milliseconds(histogram.quantile(per_mille)));
            }
            row(name, format!("{line}max {}", milliseconds(histogram.max())));
        }
    }
    if options.rate.is_some() {
        row("unfinished", format!("{} due connections given up", outcome.unfinished));
        row("latest start", format!("{} after it was due", milliseconds(outcome.latest_start)));
    }
    row(
        "client CPU",
        format!("{:.2} s, {:.1} us each", client_cpu.as_secs_f64(), each(client_cpu, operations) * 1e6),
    );
    for (failure, count) in &outcome.failures {
        row("failed", format!("{count}: {failure}"));
    }
    out
}

/// The same for programs. Latencies are in microseconds.
pub(super) fn json(outcome: &Outcome, options: &Options, client_cpu: Duration) -> Value {
    let operations = outcome.operations(options.mode);
    json!({
        "server": options.address.to_string(),
        "mode": options.mode.name(),
        "tls": options.version_name(),
        "group": options.group_name(),
        "signature": options.signature_name(),
        "cipher": options.cipher_name(),
        "resume": options.resume,
        "connections": options.connections,
        "rate": options.rate,
        "seconds": outcome.elapsed.as_secs_f64(),
        "operation": operation(options.mode),
        "operations": operations,
        "per_s": per_second(operations, outcome.elapsed),
        "started": outcome.started,
        "handshakes": outcome.handshakes,
        "resumed": outcome.resumed,
        "verified": outcome.verified,
        "responses": outcome.responses,
        "bytes": outcome.bytes,
        "unfinished": outcome.unfinished,
        "latest_start_us": outcome.latest_start.as_secs_f64() * 1e6,
        "failed": outcome.failed(),
        "failures": outcome.failures,
        "handshake_latency_us": latencies(&outcome.handshake_latency),
        "response_latency_us": latencies(&outcome.response_latency),
        "client_cpu_s": client_cpu.as_secs_f64(),
    })
}

fn what(options: &Options) -> String {
    match options.version {
        None => format!("plain TCP {}", options.mode.name()),
        Some(_) => format!(
            "TLS {} {} {} {} {}{}",
            options.version_name(),
            options.group_name(),
            options.signature_name(),
            options.cipher_name(),
            options.mode.name(),
            if options.resume { " resumed" } else { "" },
        ),
    }
}

const fn operation(mode: Mode) -> &'static str {
    match mode {
        Mode::Handshake | Mode::Idle => "handshakes done",
        Mode::Request | Mode::KeepAlive => "responses",
        Mode::Attack => "flights",
    }
}

/// The latency that is told while the run is under way.
const fn latency(outcome: &Outcome, mode: Mode) -> &Histogram {
    match mode {
        Mode::Handshake | Mode::Idle => &outcome.handshake_latency,
        Mode::Request | Mode::KeepAlive | Mode::Attack => &outcome.response_latency,
    }
}

fn latencies(histogram: &Histogram) -> Value {
    let microseconds = |duration: Duration| duration.as_secs_f64() * 1e6;
    let mut values = json!({
        "count": histogram.count(),
        "mean": microseconds(histogram.mean()),
        "max": microseconds(histogram.max()),
    });
    for (name, per_mille) in QUANTILES {
        values[name] = microseconds(histogram.quantile(per_mille)).into();
    }
    values
}

#[allow(clippy::cast_precision_loss)] // for reading
fn per_second(count: u64, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64().max(1e-9)
}

#[allow(clippy::cast_precision_loss)] // for reading
fn each(total: Duration, count: u64) -> f64 {
    total.as_secs_f64() / count.max(1) as f64
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

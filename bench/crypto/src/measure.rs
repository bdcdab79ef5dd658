// SPDX-License-Identifier: MIT OR Apache-2.0
//! Interleaved timing by CPU time.

use serde_json::{Value, json};

/// One peer's way to do an operation.
pub struct Case {
    pub peer: &'static str,
    /// Operations per call of `run`.
    pub count: usize,
    pub run: Box<dyn FnMut()>,
}

impl Case {
    pub fn new(peer: &'static str, count: usize, run: impl FnMut() + 'static) -> Self {
        Self { peer, count, run: Box::new(run) }
    }
}

/// One peer's result, in operations per second.
pub struct Row {
    pub operation: &'static str,
    pub peer: &'static str,
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Row {
    pub fn to_json(&self) -> Value {
        json!({
            "operation": self.operation,
            "peer": self.peer,
            "ops_per_s": { "min": self.min, "median": self.median, "max": self.max },
        })
    }
}

/// CPU seconds of this thread, user and system.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + 1e-9 * time.tv_nsec as f64
}

/// Gives every case `rounds` turns of about `slice` CPU seconds.
pub fn interleaved(operation: &'static str, cases: &mut [Case], rounds: usize, slice: f64) -> Vec<Row> {
    let calls: Vec<usize> = cases
        .iter_mut()
        .map(|case| {
            (case.run)();
            let start = cpu_seconds();
            let mut calls = 0;
            while cpu_seconds() - start < slice / 4.0 {
                (case.run)();
                calls += 1;
            }
            (4 * calls).max(1)
        })
        .collect();
    let mut rates = vec![Vec::new(); cases.len()];
    for _ in 0..rounds {
        for ((case, &calls), rates) in cases.iter_mut().zip(&calls).zip(&mut rates) {
            let start = cpu_seconds();
            for _ in 0..calls {
                (case.run)();
            }
            rates.push((calls * case.count) as f64 / (cpu_seconds() - start));
        }
    }
    cases
        .iter()
        .zip(rates)
        .map(|(case, mut rates)| {
            rates.sort_by(f64::total_cmp);
            Row {
                operation,
                peer: case.peer,
                min: rates[0],
                median: rates[rates.len() / 2],
                max: rates[rates.len() - 1],
            }
        })
        .collect()
}

/// The CPU's name.
pub fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("model name")).unwrap_or_default();
    line.split_once(':').map_or(String::new(), |(_, name)| name.trim().to_owned())
}

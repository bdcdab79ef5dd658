// SPDX-License-Identifier: MIT OR Apache-2.0
//! `ttls-load flood`: what legitimate clients get of a server while others attack it.
//!
//! All arrivals follow schedules of their own, whatever the server does, and every connection comes from an address of its
//! own of 127.0.0.0/8. The clients have a process to themselves; latencies count from when each was due.

mod addresses;
mod arrivals;
mod attack;
mod attackers;
mod clients;
mod options;
mod samples;

use crate::output::{complain, print};
use crate::system::{cpu_time, most_sockets};
use attackers::{Attackers, Counts};
use clients::{Class, Clients, Record};
use options::{Options, Parts};
use rustix::thread::{CpuSet, sched_setaffinity};
use samples::Samples;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read as _, Write as _, stdin};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Sockets of the clients and of all else, at most.
const CLIENTS: usize = 20_000;
/// From when the attackers are told to when the run begins.
const SOON: Duration = Duration::from_millis(200);
/// Length of the steps in which the run's course is told, in seconds.
const STEP: f64 = 0.5;

/// Runs `ttls-load flood` with the arguments that follow. Exits as `ttls-load` does.
pub(crate) fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let options = match Options::parse(arguments.iter().cloned()) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(options::help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(format_args!("ttls-load flood: {error}"));
            return ExitCode::from(2);
        }
    };
    match measure(&options, &arguments) {
        Ok(result) => publish(&options, &result),
        Err(error) => {
            complain(format_args!("ttls-load flood: {}: {error}", options.address));
            ExitCode::FAILURE
        }
    }
}

fn publish(options: &Options, result: &Value) -> ExitCode {
    let text = format!("{result:#}\n");
    if options.json.as_os_str() == "-" {
        print(text);
    } else if let Err(error) = std::fs::write(&options.json, text) {
        complain(format_args!("ttls-load flood: {}: {error}", options.json.display()));
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options, arguments: &[OsString]) -> Result<Value, String> {
    if let Some((process, processes)) = options.attacker {
        return attack(options, process, processes);
    }
    if most_sockets(CLIENTS) == 0 {
        return Err("no file descriptors".to_owned());
    }
    if options.capacity {
        pin(options.client_core)?;
        return Ok(json!({ "capacity_per_s": Clients::new(options)?.capacity()? }));
    }
    // They do not inherit this one's CPU.
    let mut processes = Processes::start(options, arguments)?;
    pin(options.client_core)?;
    let mut clients = Clients::new(options)?;
    clients.prepare()?;
    processes.ready()?;
    let cpu = cpu_time();
    let epoch = Instant::now() + SOON;
    processes.go(epoch)?;
    thread::sleep(epoch.saturating_duration_since(Instant::now()));
    let records = clients.run(epoch, |part| complain(format_args!("flood: {part}")))?;
    let mut counts = Counts::default();
    let mut comebacks = Samples::default();
    let mut cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
    let number = processes.0.len();
    for told in processes.end()? {
        counts.add(&told["window"]);
        comebacks.add(&told["comebacks"]);
        cpu += told["cpu_s"].as_f64().unwrap_or(0.0);
    }
    Ok(report(options, &records, &counts, &comebacks, cpu, number))
}

/// One of the processes that attack: says that it is ready, reads how soon the run begins, and says what it did.
fn attack(options: &Options, process: usize, processes: usize) -> Result<Value, String> {
    pin(options.attack_cores[process % options.attack_cores.len()])?;
    let most = most_sockets(options.max_open.div_ceil(processes));
    let attackers = Attackers::new(options, process, processes, most)?;
    print("ready\n");
    let mut soon = String::new();
    stdin().read_line(&mut soon).map_err(|error| error.to_string())?;
    let soon = soon.trim().parse().map(Duration::from_micros).map_err(|_| "not begun".to_owned())?;
    let told = attackers.run(Instant::now() + soon)?;
    let (window, comebacks) = (told.window.json(), told.comebacks.json());
    Ok(json!({ "window": window, "comebacks": comebacks, "cpu_s": cpu_time().as_secs_f64() }))
}

/// The processes that attack: one may not have as many descriptors as an attack needs. They end with this value.
struct Processes(Vec<Child>);

impl Processes {
    fn start(options: &Options, arguments: &[OsString]) -> Result<Self, String> {
        let mut processes = Self(Vec::new());
        if options.attack.acts.is_empty() {
            return Ok(processes);
        }
        let each = most_sockets(CLIENTS).max(1);
        let cores = options.attack_cores.len();
        let count = options.most_open().div_ceil(each).next_multiple_of(cores);
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        for number in 0..count {
            let child = Command::new(&program)
                .arg("flood")
                .args(arguments)
                .args(["--json", "-", "--attacker", &number.to_string(), &count.to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .map_err(|error| format!("{}: {error}", program.display()))?;
            processes.0.push(child);
        }
        Ok(processes)
    }

    /// Waits until all are ready.
    fn ready(&mut self) -> Result<(), String> {
        for child in &mut self.0 {
            let mut word = [0; 6];
            let stdout = child.stdout.as_mut().ok_or("an attacker has no output")?;
            stdout.read_exact(&mut word).map_err(|error| format!("an attacker is not ready: {error}"))?;
        }
        Ok(())
    }

    /// Tells them when the run begins.
    fn go(&mut self, epoch: Instant) -> Result<(), String> {
        for child in &mut self.0 {
            let mut stdin = child.stdin.take().ok_or("an attacker has no input")?;
            let soon = epoch.saturating_duration_since(Instant::now()).as_micros();
            writeln!(stdin, "{soon}").map_err(|error| format!("an attacker has ended: {error}"))?;
        }
        Ok(())
    }

    /// Waits for what they did.
    fn end(mut self) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        for mut child in self.0.drain(..) {
            let mut text = String::new();
            if let Some(stdout) = &mut child.stdout {
                stdout.read_to_string(&mut text).map_err(|error| error.to_string())?;
            }
            let status = child.wait().map_err(|error| error.to_string())?;
            if !status.success() {
                return Err(format!("an attacker has failed: {status}"));
            }
            all.push(serde_json::from_str(&text).map_err(|error| format!("an attacker says: {error}"))?);
        }
        Ok(all)
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that has ended already needs no more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Keeps the calling thread on a CPU.
fn pin(core: Option<usize>) -> Result<(), String> {
    let Some(core) = core else { return Ok(()) };
    if core >= CpuSet::MAX_CPU {
        return Err(format!("there is no CPU {core}"));
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(|error| format!("CPU {core}: {error}"))
}

fn report(
    options: &Options,
    records: &BTreeMap<Class, Record>,
    counts: &Counts,
    comebacks: &Samples,
    cpu_s: f64,
    processes: usize,
) -> Value {
    let parts = options.parts();
    let classes: serde_json::Map<_, _> =
        records.iter().map(|(class, record)| (class.name().to_owned(), class_json(record, &parts))).collect();
    let mut attackers = counts.json();
    attackers["seconds"] = json!(options.seconds);
    attackers["started_per_s"] = json!(per_second(counts.started, options.seconds));
    let returned = comebacks.figures(parts.attack, parts.after);
    json!({
        "attack": options.attack.name,
        "attack_rate": options.attack_rate,
        "timeout_s": options.timeout,
        "parts_s": {
            "attack": parts.attack, "window": parts.window, "end": parts.end, "after": parts.after, "done": parts.done,
        },
        "classes": classes,
        "attackers": attackers,
        "reconnecting": (returned.due > 0).then(|| json!({
            "served": comebacks.share_within(parts.attack, parts.after, options.timeout),
            "served_at_all": returned.json()["share"],
            "due": returned.due,
            "p50_ms": returned.json()["p50_ms"],
            "p99_ms": returned.json()["p99_ms"],
            "last_s": comebacks.last(),
        })),
        "generator": {
            "cpu_s": cpu_s,
            "attack_processes": processes,
        },
    })
}

fn class_json(record: &Record, parts: &Parts) -> Value {
    let calm = record.samples.figures(0.0, parts.attack);
    let attack = record.samples.figures(parts.window, parts.end);
    let after = record.samples.figures(parts.after, parts.done);
    let throughput = (calm.per_second > 0.0).then(|| attack.per_second / calm.per_second);
    let back = calm.p99.and_then(|p99| record.samples.calm_after(parts.after, parts.done, 1.2 * p99));
    json!({
        "calm": calm.json(),
        "attack": attack.json(),
        "after": after.json(),
        "throughput": throughput,
        "back_to_calm_s": back,
        "resumed": record.resumed,
        "late_starts": record.late,
        "latest_start_ms": record.latest * 1e3,
        "failures": record.failures,
        "course": record.samples.course(parts.done, STEP),
    })
}

#[allow(clippy::cast_precision_loss)] // for reading
fn per_second(count: u64, seconds: f64) -> f64 {
    count as f64 / seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        Options::parse(line.split_whitespace().map(OsString::from)).unwrap().unwrap()
    }

    #[test]
    fn the_result_has_what_the_table_is_made_of() {
        let options = options("--attack full --calm 1 --lead-in 1 --seconds 2 --after 1 127.0.0.1:1");
        let mut records: BTreeMap<Class, Record> = BTreeMap::new();
        for class in Class::ALL {
            let record = records.entry(class).or_default();
            // Ten a second in calm; in the attack's window, every other is lost and the rest are slow.
            for number in 0..40 {
                let due = f64::from(number) / 10.0;
                let sample = record.samples.due(due);
                let latency = if due < 1.0 { Some(0.01) } else { (number % 2 == 0).then_some(0.5) };
                if let Some(latency) = latency {
                    record.samples.served(sample, due + latency, 3.0);
                }
            }
        }
        let counts = Counts { due: 20, started: 10, ..Counts::default() };
        let result = report(&options, &records, &counts, &Samples::default(), 1.0, 1);
        for class in ["new", "returning", "known", "established"] {
            let class = &result["classes"][class];
            assert_eq!(class["attack"]["share"], 0.5);
            assert_eq!(class["attack"]["due"], 20);
            for (part, key, expected) in
                [("calm", "p99_ms", 10.0), ("attack", "p50_ms", 500.0), ("attack", "p99_ms", 500.0)]
            {
                let found = class[part][key].as_f64().unwrap();
                assert!((found - expected).abs() < 1e-6, "{part} {key}: {found}");
            }
            let throughput = class["throughput"].as_f64().unwrap();
            assert!((0.4..0.6).contains(&throughput), "{throughput}");
            assert_eq!(class["back_to_calm_s"], Value::Null);
            assert_eq!(class["course"].as_array().unwrap().len(), 16);
        }
        assert_eq!(result["attackers"]["started_per_s"], 5.0);
        assert_eq!(result["reconnecting"], Value::Null);
    }

    #[test]
    fn threads_keep_to_cpus_that_exist() {
        assert!(pin(None).is_ok());
        assert!(pin(Some(usize::MAX)).is_err());
    }
}

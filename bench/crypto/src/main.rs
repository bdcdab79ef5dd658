// SPDX-License-Identifier: MIT OR Apache-2.0
//! Public-key operations per second of one core: ttls in lanes and scalar, aws-lc-rs, OpenSSL.
//!
//! All peers of an operation take turns, round by round, so that a change of the machine's mood meets
//! all of them. Time is the thread's CPU time. `bench-crypto [--quick] [--json FILE] [OPERATION]`.

mod awslc;
mod measure;
mod openssl_peer;
mod ours;

use measure::{Case, Row};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut json = None;
    let mut quick = false;
    let mut filter = String::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--json" => json = Some(arguments.next().ok_or("--json needs a file")?),
            _ => filter = argument,
        }
    }
    let (rounds, slice) = if quick { (5, 0.01) } else { (15, 0.03) };

    let absent = ours::absent();
    for (rows, why) in &absent {
        println!("without {rows}: {why}");
    }
    let mut rows = Vec::new();
    for (operation, mut cases) in operations() {
        if !operation.contains(&filter) {
            continue;
        }
        let measured = measure::interleaved(operation, &mut cases, rounds, slice);
        print_operation(operation, &measured);
        rows.extend(measured);
    }
    let break_even = break_even(&rows);
    if !break_even.is_empty() {
        println!("break-even: lanes at which one vector costs less than its items one by one");
    }
    for (operation, lanes) in &break_even {
        println!("  {operation:<30} {lanes}");
    }
    if let Some(path) = json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        let break_even: serde_json::Map<_, _> =
            break_even.into_iter().map(|(operation, lanes)| (operation, json!(lanes))).collect();
        let report = json!({
            "cpu": measure::cpu_model(),
            "command": std::env::args().collect::<Vec<_>>().join(" "),
            "openssl": openssl::version::version(),
            "absent": absent.iter().map(|(rows, why)| json!({ "rows": rows, "why": why })).collect::<Vec<_>>(),
            "results": rows,
            "break_even_lanes": break_even,
        });
        std::fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

/// Every operation with its peers.
fn operations() -> Vec<(&'static str, Vec<Case>)> {
    let mut operations = Vec::new();
    for (operation, cases) in ours::cases() {
        let mut cases = cases;
        cases.extend(awslc::case(operation));
        cases.extend(openssl_peer::case(operation));
        operations.push((operation, cases));
    }
    operations
}

fn print_operation(operation: &str, rows: &[Row]) {
    println!("{operation}");
    let base = |peer: &str| rows.iter().find(|row| row.peer == peer).map(|row| row.median);
    for row in rows {
        let ratio =
            |peer| base(peer).map_or(String::new(), |base| format!("{:>7.2}x {peer}", row.median / base));
        println!(
            "  {:<12} {:>9.0} /s  ({:.0} to {:.0})  {:>8.2} us {} {}",
            row.peer,
            row.median,
            row.min,
            row.max,
            1e6 / row.median,
            ratio("aws-lc-rs"),
            ratio("openssl"),
        );
    }
}

/// The time of one item alone against the time of a full vector, by operation and lanes.
fn break_even(rows: &[Row]) -> Vec<(String, usize)> {
    let rate = |operation: &str, peer: &str| {
        rows.iter().find(|row| row.operation == operation && row.peer == peer).map(|row| row.median)
    };
    let mut result = Vec::new();
    for (vector, alone, lanes) in
        [("ttls-1-vector", "ttls-alone", ""), ("ttls-avx2-1-vector", "ttls-avx2-alone", ", AVX2")]
    {
        for row in rows.iter().filter(|row| row.peer == vector) {
            if let Some(alone) = rate(row.operation, alone) {
                // A vector takes 8/rate whatever it holds.
                let items = (8.0 * alone / row.median).ceil();
                let items = (1..=8).find(|n| *n as f64 >= items).unwrap_or(8);
                result.push((format!("{}{lanes}", row.operation), items));
            }
        }
    }
    result
}

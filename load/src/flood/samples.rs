// SPDX-License-Identifier: MIT OR Apache-2.0
//! What became of each legitimate client, and the figures that follow.

use serde_json::{Value, json};

/// One client, or one request on a kept connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was due, in seconds of the run.
    pub(crate) due: f64,
    /// Seconds from then to the end of its handshake, or of the response on a kept connection.
    pub(crate) latency: Option<f64>,
    /// Seconds from then until all was done, if that was within the client's patience.
    pub(crate) served: Option<f64>,
}

/// All of a class.
#[derive(Default)]
pub(crate) struct Samples(Vec<Sample>);

/// Figures of the clients that were due within a span of time.
#[derive(Debug, PartialEq)]
pub(crate) struct Figures {
    pub(crate) due: usize,
    pub(crate) served: usize,
    /// Of those served, in seconds.
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p99_9: Option<f64>,
    /// Completed per second of the span, whenever they were due.
    pub(crate) per_second: f64,
}

impl Samples {
    /// Notes a client that is due; returns its number.
    pub(crate) fn due(&mut self, due: f64) -> usize {
        self.0.push(Sample { due, latency: None, served: None });
        self.0.len() - 1
    }

    /// When client `number` was due.
    pub(crate) fn since(&self, number: usize) -> f64 {
        self.0[number].due
    }

    /// The handshake of client `number` has ended at `now`.
    pub(crate) fn established(&mut self, number: usize, now: f64) {
        let sample = &mut self.0[number];
        sample.latency = Some(now - sample.due);
    }

    /// Client `number` has at `now` what it wanted; with `patience` seconds it waited for it.
    pub(crate) fn served(&mut self, number: usize, now: f64, patience: f64) {
        let sample = &mut self.0[number];
        let took = now - sample.due;
        if took <= patience {
            sample.served = Some(took);
            sample.latency.get_or_insert(took);
        }
    }

    /// Whether client `number` has what it wanted.
    pub(crate) fn is_served(&self, number: usize) -> bool {
        self.0[number].served.is_some()
    }

    pub(crate) fn figures(&self, from: f64, to: f64) -> Figures {
        let due: Vec<_> = self.0.iter().filter(|sample| (from..to).contains(&sample.due)).collect();
        let mut latencies: Vec<f64> =
            due.iter().filter(|sample| sample.served.is_some()).filter_map(|sample| sample.latency).collect();
        latencies.sort_unstable_by(f64::total_cmp);
        let ended =
            |sample: &&Sample| sample.served.is_some_and(|took| (from..to).contains(&(sample.due + took)));
        #[allow(clippy::cast_precision_loss)] // for reading
        let per_second = self.0.iter().filter(ended).count() as f64 / (to - from);
        Figures {
            due: due.len(),
            served: latencies.len(),
            p50: percentile(&latencies, 500),
            p99: percentile(&latencies, 990),
            p99_9: percentile(&latencies, 999),
            per_second,
        }
    }

    /// Seconds from `from` until the class was calm again: everybody who was due from then to `to` is served, with a p99
    /// below `limit`. `None`: it was not by then, or fewer than `FEWEST` came to tell by.
    pub(crate) fn calm_after(&self, from: f64, to: f64, limit: f64) -> Option<f64> {
        /// Clients that the last span must have.
        const FEWEST: usize = 20;
        let mut later: Vec<_> = self.0.iter().filter(|sample| (from..to).contains(&sample.due)).collect();
        later.sort_unstable_by(|a, b| b.due.total_cmp(&a.due));
        let mut latencies: Vec<f64> = Vec::new();
        let mut calm = None;
        for sample in later {
            let (Some(_), Some(latency)) = (sample.served, sample.latency) else { break };
            let place = latencies.partition_point(|&other| other < latency);
            latencies.insert(place, latency);
            if latencies.len() >= FEWEST && percentile(&latencies, 990).is_some_and(|p99| p99 < limit) {
                calm = Some(sample.due - from);
            }
        }
        calm
    }

    /// When each was due and how long it took until all was done.
    pub(crate) fn json(&self) -> Value {
        self.0.iter().map(|sample| json!([sample.due, sample.served])).collect()
    }

    /// Adds what [`Samples::json`] wrote.
    pub(crate) fn add(&mut self, value: &Value) {
        self.0.extend(value.as_array().into_iter().flatten().map(|sample| {
            let served = sample[1].as_f64();
            Sample { due: sample[0].as_f64().unwrap_or(0.0), latency: served, served }
        }));
    }

    /// The share of those due in a span that were served within `patience` seconds.
    pub(crate) fn share_within(&self, from: f64, to: f64, patience: f64) -> Option<f64> {
        let due: Vec<_> = self.0.iter().filter(|sample| (from..to).contains(&sample.due)).collect();
        let served = due.iter().filter(|sample| sample.served.is_some_and(|took| took <= patience)).count();
        #[allow(clippy::cast_precision_loss)] // for reading
        (!due.is_empty()).then(|| served as f64 / due.len() as f64)
    }

    /// Seconds that the one waited who waited longest of those served.
    pub(crate) fn last(&self) -> Option<f64> {
        self.0.iter().filter_map(|sample| sample.served).max_by(f64::total_cmp)
    }

    /// Figures of each `step` seconds, for a plot.
    pub(crate) fn course(&self, end: f64, step: f64) -> Vec<Value> {
        let mut course = Vec::new();
        let mut from = 0.0;
        while from < end {
            let mut figures = self.figures(from, from + step).json();
            figures["from_s"] = json!(from);
            course.push(figures);
            from += step;
        }
        course
    }
}

impl Figures {
    pub(crate) fn json(&self) -> Value {
        let milliseconds = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e3);
        #[allow(clippy::cast_precision_loss)] // for reading
        let share = (self.due > 0).then(|| self.served as f64 / self.due as f64);
        json!({
            "due": self.due,
            "served": self.served,
            "share": share,
            "p50_ms": milliseconds(self.p50),
            "p99_ms": milliseconds(self.p99),
            "p99_9_ms": milliseconds(self.p99_9),
            "per_s": self.per_second,
        })
    }
}

/// The smallest value that `per_mille` thousandths of all do not exceed. `sorted` is in rising order.
fn percentile(sorted: &[f64], per_mille: usize) -> Option<f64> {
    let rank = (sorted.len() * per_mille).div_ceil(1000);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: Option<f64>, expected: f64) -> bool {
        found.is_some_and(|found| (found - expected).abs() < 1e-9)
    }

    /// Clients due every 10 ms from 0 on, served after the seconds given, or not.
    fn samples(latencies: impl IntoIterator<Item = Option<f64>>) -> Samples {
        let mut samples = Samples::default();
        for (number, latency) in latencies.into_iter().enumerate() {
            #[allow(clippy::cast_precision_loss)]
            let due = number as f64 / 100.0;
            let number = samples.due(due);
            if let Some(latency) = latency {
                samples.served(number, due + latency, 3.0);
            }
        }
        samples
    }

    #[test]
    fn percentiles_by_rank() {
        let sorted: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 500), Some(500.0));
        assert_eq!(percentile(&sorted, 990), Some(990.0));
        assert_eq!(percentile(&sorted, 999), Some(999.0));
        assert_eq!(percentile(&sorted[..10], 990), Some(10.0));
        assert_eq!(percentile(&sorted[..1], 500), Some(1.0));
        assert_eq!(percentile(&[], 500), None);
    }

    #[test]
    fn figures_count_by_when_a_client_was_due() {
        let samples = samples((0..200).map(|number| (number % 4 != 0).then_some(0.5)));
        let figures = samples.figures(1.0, 2.0);
        assert_eq!((figures.due, figures.served), (100, 75));
        assert!(close(figures.p50, 0.5) && close(figures.p99, 0.5));
        // Those of 0.5 to 1.5 ended between 1 and 2.
        assert!((figures.per_second - 75.0).abs() < 1.5, "{}", figures.per_second);
        assert_eq!(figures.json()["share"], 0.75);
    }

    #[test]
    fn who_waits_too_long_is_not_served() {
        let samples = samples([Some(3.0), Some(3.1), None]);
        let figures = samples.figures(0.0, 1.0);
        assert_eq!((figures.due, figures.served), (3, 1));
        assert!(close(figures.p99, 3.0));
        assert_eq!(Samples::default().figures(0.0, 1.0).json()["share"], Value::Null);
    }

    #[test]
    fn the_handshakes_end_is_the_latency_and_the_answer_makes_it_served() {
        let mut samples = Samples::default();
        let both = samples.due(1.0);
        let handshake_only = samples.due(1.0);
        for number in [both, handshake_only] {
            samples.established(number, 1.25);
        }
        samples.served(both, 1.75, 3.0);
        let figures = samples.figures(0.0, 2.0);
        assert_eq!((figures.due, figures.served), (2, 1));
        assert!(close(figures.p50, 0.25));
        assert!(samples.is_served(both) && !samples.is_served(handshake_only));
    }

    #[test]
    fn calm_is_back_when_all_later_ones_are_served_in_time() {
        // Slow up to 1 s, lost at 1.2 s, quick from then on.
        let course = (0..400).map(|number| match number {
            0..100 => Some(0.9),
            120 => None,
            _ => Some(0.01),
        });
        let samples = samples(course);
        assert!(close(samples.calm_after(1.0, 4.0, 0.012), 0.21));
        assert!(close(samples.calm_after(2.0, 4.0, 0.012), 0.0));
        assert_eq!(samples.calm_after(1.0, 4.0, 0.009), None);
        assert_eq!(samples.calm_after(3.95, 4.0, 0.012), None, "too few to tell");
    }

    #[test]
    fn samples_cross_from_process_to_process() {
        let mut joined = Samples::default();
        for latency in [Some(0.5), None] {
            joined.add(&samples((0..10).map(|_| latency)).json());
        }
        let figures = joined.figures(0.0, 1.0);
        assert_eq!((figures.due, figures.served), (20, 10));
        assert!(close(figures.p99, 0.5) && close(joined.last(), 0.5));
        assert!(close(joined.share_within(0.0, 1.0, 0.4), 0.0));
    }

    #[test]
    fn the_course_covers_the_run() {
        let course = samples((0..100).map(|_| Some(0.1))).course(1.0, 0.25);
        assert_eq!(course.len(), 4);
        assert!(course.iter().all(|step| step["due"] == 25 && step["share"] == 1.0), "{course:?}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! Times in buckets.

use super::number::Number;
use crate::prometheus::Page;

/// Upper bounds of the buckets, in milliseconds; longer times are in one more.
const BOUNDS: [u64; 12] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];

/// How long something took, as one worker has seen it.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Number; BOUNDS.len() + 1],
    /// Milliseconds.
    sum: Number,
}

impl Histogram {
    /// Counts one that took so many milliseconds.
    pub fn observe(&self, milliseconds: u64) {
        let bucket = BOUNDS.partition_point(|&bound| bound < milliseconds);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.add(1);
        }
        self.sum.add(milliseconds);
    }

    /// The sums over all workers, as `name`, in seconds.
    pub(super) fn render<'a>(
        page: &mut Page,
        name: &str,
        help: &str,
        workers: impl Iterator<Item = &'a Self> + Clone,
    ) {
        page.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        let mut count = 0;
        for number in 0..=BOUNDS.len() {
            count +=
                workers.clone().filter_map(|worker| worker.buckets.get(number)).map(Number::get).sum::<u64>();
            let bound =
                BOUNDS.get(number).map_or("+Inf".to_owned(), |&bound| (bound as f64 / 1000.0).to_string());
            page.sample(&bucket, &[("le", &bound)], count);
        }
        let sum: u64 = workers.map(|worker| worker.sum.get()).sum();
        page.sample(&format!("{name}_sum"), &[], sum as f64 / 1000.0);
        page.sample(&format!("{name}_count"), &[], count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_the_buckets_that_they_fit() {
        let workers = [Histogram::default(), Histogram::default()];
        for (worker, milliseconds) in
            [(0, 0), (0, 1), (1, 2), (1, 3), (1, 5000), (0, 5001), (0, u64::from(u32::MAX))]
        {
            workers[worker].observe(milliseconds);
        }
        let mut page = Page::default();
        Histogram::render(&mut page, "x_seconds", "Times", workers.iter());
        let text = page.into_text();
        for line in [
            "{le=\"0.001\"} 2",
            "{le=\"0.002\"} 3",
            "{le=\"0.005\"} 4",
            "{le=\"2.5\"} 4",
            "{le=\"5\"} 5",
            "{le=\"+Inf\"} 7",
        ] {
            assert!(text.contains(&format!("\nx_seconds_bucket{line}\n")), "{line}: {text}");
        }
        assert!(text.contains("\nx_seconds_sum 4294977.302\n"), "{text}");
        assert!(text.ends_with("\nx_seconds_count 7\n"), "{text}");
    }
}

// SPDX-License-Identifier: MIT OR Apache-2.0
//! When connections are due: by a schedule of their own, whatever the server does (open loop).

use crate::random::Random;

/// A stream of moments, in seconds of the run.
pub(crate) struct Arrivals {
    next: f64,
    end: f64,
    /// Mean seconds between two.
    pause: f64,
    /// Pauses are exponential (a Poisson process), or all the same.
    random: Option<Random>,
}

impl Arrivals {
    /// `rate` a second from `start` to `end`, as a Poisson process; none if the rate is 0.
    pub(crate) fn poisson(rate: f64, start: f64, end: f64, random: Random) -> Self {
        let mut arrivals = Self { next: start, end, pause: 1.0 / rate, random: Some(random) };
        arrivals.advance();
        arrivals
    }

    /// `rate` a second from `start` to `end`, at equal pauses, the first at `start`; none if the rate is 0.
    pub(crate) fn even(rate: f64, start: f64, end: f64) -> Self {
        let next = if rate > 0.0 { start } else { f64::INFINITY };
        Self { next, end, pause: 1.0 / rate, random: None }
    }

    /// The next one, if it was due by `now`.
    pub(crate) fn due(&mut self, now: f64) -> Option<f64> {
        let due = self.next()?;
        if due > now {
            return None;
        }
        self.advance();
        Some(due)
    }

    /// When the next is due, if there will be one.
    pub(crate) fn next(&self) -> Option<f64> {
        (self.next < self.end).then_some(self.next)
    }

    fn advance(&mut self) {
        let factor = self.random.as_mut().map_or(1.0, |random| -random.unit().ln());
        self.next += self.pause * factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut arrivals: Arrivals, step: f64) -> Vec<f64> {
        let (mut found, mut now) = (Vec::new(), 0.0);
        while arrivals.next().is_some() {
            now += step;
            while let Some(due) = arrivals.due(now) {
                assert!(due <= now);
                found.push(due);
            }
        }
        found
    }

    #[test]
    fn the_schedule_is_the_same_however_seldom_it_is_asked() {
        for make in
            [|| Arrivals::even(250.0, 1.0, 3.0), || Arrivals::poisson(250.0, 1.0, 3.0, Random::new(7))]
        {
            let often = all(make(), 0.0001);
            let seldom = all(make(), 0.7);
            assert_eq!(often, seldom);
            assert!(often.iter().all(|&due| (1.0..3.0).contains(&due)));
            assert!(often.windows(2).all(|pair| pair[0] <= pair[1]));
        }
    }

    #[test]
    fn rates_are_kept() {
        assert_eq!(all(Arrivals::even(1000.0, 0.0, 1.0), 0.01).len(), 1000);
        let random = all(Arrivals::poisson(1000.0, 0.0, 20.0, Random::new(1)), 0.01);
        // 20,000 expected, standard deviation 141.
        assert!((19_300..20_700).contains(&random.len()), "{}", random.len());
        // Pauses of a Poisson process: 1/e of them are longer than the mean.
        let longer = random.windows(2).filter(|pair| pair[1] - pair[0] > 0.001).count();
        assert!((6_900..7_800).contains(&longer), "{longer}");
    }

    #[test]
    fn no_rate_is_no_arrival() {
        assert!(Arrivals::even(0.0, 0.0, 1.0).next().is_none());
        assert!(Arrivals::poisson(0.0, 0.0, 1.0, Random::new(1)).next().is_none());
    }
}

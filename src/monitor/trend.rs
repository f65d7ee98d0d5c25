//! The direction of a series: the means of its halves are compared, as in the reference.
//!
//! The sums of both halves are kept while values come and go, so that a look costs the same however
//! long the series is. They are whole numbers: a rounding error would stay for good.

use std::collections::VecDeque;

/// A change between the halves of a series counts as a trend above this, as in the reference.
const TREND: f64 = 0.25;

/// The direction of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trend {
    /// No direction, or too few values to tell.
    Stable,
    /// The second half is more than a quarter above the first.
    Increasing,
    /// The second half is more than a quarter below the first.
    Decreasing,
}

/// The newest values of a figure.
#[derive(Debug)]
pub struct Series {
    most: usize,
    first: Half,
    /// As long as the first half, or one value longer.
    second: Half,
}

#[derive(Debug, Default)]
struct Half {
    values: VecDeque<i64>,
    sum: i128,
}

impl Half {
    fn push(&mut self, value: i64) {
        self.values.push_back(value);
        self.sum += i128::from(value);
    }

    fn pop(&mut self) -> Option<i64> {
        let value = self.values.pop_front()?;
        self.sum -= i128::from(value);
        Some(value)
    }

    fn mean(&self) -> f64 {
        self.sum as f64 / self.values.len() as f64
    }
}

impl Series {
    /// No values yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { most, first: Half::default(), second: Half::default() }
    }

    /// Adds a value; removes the oldest if there are too many.
    pub fn push(&mut self, value: i64) {
        self.second.push(value);
        self.balance();
        if self.len() > self.most {
            self.first.pop();
            self.balance();
        }
    }

    /// The means of both halves; the middle value is in the second. Nothing if there are fewer than
    /// `window` values.
    pub fn means(&self, window: usize) -> Option<(f64, f64)> {
        let enough = self.len() >= window && !self.first.values.is_empty();
        enough.then(|| (self.first.mean(), self.second.mean()))
    }

    /// The trend, as the reference defines it.
    pub fn trend(&self, window: usize) -> Trend {
        let Some((first, second)) = self.means(window) else { return Trend::Stable };
        if first == 0.0 && second > 0.0 {
            return Trend::Increasing;
        }
        if first > 0.0 {
            let change = (second - first) / first;
            if change > TREND {
                return Trend::Increasing;
            }
            if change < -TREND {
                return Trend::Decreasing;
            }
        }
        Trend::Stable
    }

    fn len(&self) -> usize {
        self.first.values.len() + self.second.values.len()
    }

    fn balance(&mut self) {
        if self.second.values.len() > self.first.values.len() + 1
            && let Some(value) = self.second.pop()
        {
            self.first.push(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[i64]) -> Series {
        let mut series = Series::new(usize::MAX);
        values.iter().for_each(|value| series.push(*value));
        series
    }

    #[test]
    fn trends_are_those_of_the_reference() {
        // pywebtransport 0.6.1, DatagramMonitor._analyze_trend with a window of 4; values in
        // hundredths.
        let cases: [(&[i64], Trend); 12] = [
            (&[], Trend::Stable),
            (&[100, 200, 300], Trend::Stable),
            (&[100, 100, 125, 125], Trend::Stable),
            (&[100, 100, 125, 126], Trend::Increasing),
            (&[100, 100, 75, 75], Trend::Stable),
            (&[100, 100, 75, 74], Trend::Decreasing),
            (&[0, 0, 0, 0], Trend::Stable),
            (&[0, 0, 0, 1], Trend::Increasing),
            (&[100, 100, 0, 0], Trend::Decreasing),
            // With an odd number the middle one is in the second half.
            (&[100, 100, 160, 100, 100], Trend::Stable),
            (&[100, 100, 300, 100, 100], Trend::Increasing),
            (&[-100, -100, 500, 500], Trend::Stable),
        ];
        for (values, expected) in cases {
            assert_eq!(series(values).trend(4), expected, "{values:?}");
        }
        assert_eq!(series(&[500]).trend(0), Trend::Stable, "one value has no halves");
    }

    #[test]
    fn the_halves_of_a_series_that_slides_are_those_of_its_newest_values() {
        for most in 1..12 {
            let mut series = Series::new(most);
            let mut all: Vec<i64> = Vec::new();
            for number in 0..100_i64 {
                let value = number * number % 37 - 5;
                series.push(value);
                all.push(value);
                let newest = &all[all.len().saturating_sub(most)..];
                let (first, second) = newest.split_at(newest.len() / 2);
                let mean = |half: &[i64]| half.iter().sum::<i64>() as f64 / half.len() as f64;
                let expected = (!first.is_empty()).then(|| (mean(first), mean(second)));
                assert_eq!(series.means(0), expected, "{newest:?}");
                assert_eq!(series.means(newest.len() + 1), None);
            }
        }
    }

    #[test]
    fn the_largest_values_add_up() {
        let mut series = Series::new(1000);
        (0..3000).for_each(|_| series.push(i64::MAX));
        assert_eq!(series.means(1000), Some((i64::MAX as f64, i64::MAX as f64)));
    }
}

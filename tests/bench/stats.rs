//! The little statistics the tables need.

use std::time::Duration;

/// Latencies, each with the number of messages that had it.
#[derive(Default)]
pub(crate) struct Latencies(Vec<(Duration, u64)>);

/// Three points of a distribution of latencies, in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Percentiles {
    /// The median.
    pub(crate) p50: f64,
    /// One in a hundred is slower.
    pub(crate) p99: f64,
    /// One in a thousand is slower.
    pub(crate) p999: f64,
}

impl Latencies {
    /// Notes that `messages` took that long.
    pub(crate) fn add(&mut self, latency: Duration, messages: u64) {
        self.0.push((latency, messages));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Sorts and counts.
    pub(crate) fn percentiles(&mut self) -> Percentiles {
        self.0.sort_unstable();
        let total: u64 = self.0.iter().map(|(_, messages)| messages).sum();
        let at = |share: f64| {
            let mut left = (total as f64 * share) as u64;
            let reached = self.0.iter().find(|(_, messages)| {
                let here = left < *messages;
                left = left.saturating_sub(*messages);
                here
            });
            reached.map_or(f64::NAN, |(latency, _)| latency.as_secs_f64() * 1e6)
        };
        Percentiles {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }
}

/// The middle one of the values.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => (values[even / 2 - 1] + values[even / 2]) / 2.0,
    }
}

/// One figure of two contenders, measured in turns: each pair of values stems from neighbouring
/// moments. "Ours" is the one in question, the "floor" what it is compared with.
pub(crate) struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// Takes the same figure of the first two contenders out of each round.
    pub(crate) fn of<T>(rounds: &[impl AsRef<[T]>], figure: impl Fn(&T) -> f64) -> Self {
        Self::between(rounds, [0, 1], figure)
    }

    /// The same of any two, by their places in a round.
    pub(crate) fn between<T>(
        rounds: &[impl AsRef<[T]>],
        places: [usize; 2],
        figure: impl Fn(&T) -> f64,
    ) -> Self {
        let pair = |round: &[T]| {
            let [ours, floor] = places.map(|place| figure(&round[place]));
            (ours, floor)
        };
        Self(rounds.iter().map(|round| pair(round.as_ref())).collect())
    }

    /// The median of the first contender.
    pub(crate) fn ours(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.0))
    }

    /// The median of the second.
    pub(crate) fn floor(&self) -> f64 {
        median(self.0.iter().map(|pair| pair.1))
    }

    /// The median of the ratios within the pairs, the least and the greatest of them.
    pub(crate) fn ratio(&self) -> (f64, f64, f64) {
        let ratios = || self.0.iter().map(|(ours, floor)| ours / floor);
        (
            median(ratios()),
            ratios().fold(f64::INFINITY, f64::min),
            ratios().fold(0.0, f64::max),
        )
    }
}

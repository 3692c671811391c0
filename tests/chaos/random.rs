//! Chance, from a seed: the same seed makes the same choices.

/// A generator of numbers (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// One that starts from this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// A number from `least` on, below `beyond`.
    pub(crate) fn between(&mut self, least: usize, beyond: usize) -> usize {
        least + (self.next() % (beyond - least) as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.between(0, 100) < percent
    }

    /// One of these.
    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.between(0, of.len())]
    }

    /// One of these, by their weights.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(usize, T)]) -> T {
        let mut left = self.between(0, of.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in of {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("the weights add up")
    }

    /// So many milliseconds.
    pub(crate) fn millis(&mut self, least: usize, beyond: usize) -> std::time::Duration {
        std::time::Duration::from_millis(self.between(least, beyond) as u64)
    }

    /// A text in which what the encodings treat specially is frequent.
    pub(crate) fn text(&mut self, longest: usize) -> String {
        let length = self.between(0, longest + 1);
        let parts = [
            "a", "b", " ", "  ", "|", "%", "+", "%2B", "#", "$", "é", "👋", "\r\n", "\t", "CHAT|",
            "\u{202e}",
        ];
        (0..length).map(|_| self.pick(&parts)).collect()
    }
}

//! Reproducible random numbers: SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
//! 2014) and distributions given as tables of integers.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A uniform number below `n`.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// True in about one of `n` times.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(super) fn chance(&mut self, share: Share) -> bool {
        (self.next() >> 11) < share.0
    }

    pub(super) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A number from the distribution with the evenly spaced quantiles of `table`. Between two quantiles it is uniform;
    /// in the last step, the tail, most are small.
    pub(super) fn quantile(&mut self, table: &[u64]) -> u64 {
        let steps = table.len() as u64 - 1;
        let step = self.below(steps);
        let mut part = self.below(1 << 16);
        if step + 1 == steps {
            part = (part * part * part) >> 32;
        }
        let (low, high) = (table[step as usize], table[step as usize + 1]);
        low + (((high - low) * part) >> 16)
    }
}

/// Spreads the bits of `x` over all of the result.
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A share from 0 to 1, in units of 2^-53.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share(u64);

impl Share {
    pub(super) fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * (1u64 << 53) as f64) as u64)
    }
}

/// Picks indices by weight in constant time: Walker's alias method (1977).
#[derive(Debug, Clone)]
pub(super) struct Weighted {
    /// The probability of a column's own index, out of 2^32; otherwise it gives its alias.
    own: Vec<u64>,
    alias: Vec<u32>,
}

impl Weighted {
    /// Weights must not be empty and not all zero.
    pub(super) fn new(weights: impl IntoIterator<Item = u64>) -> Self {
        let weights: Vec<u64> = weights.into_iter().collect();
        let n = weights.len();
        let total: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
        // Scaled so that a column's fair share is `total`.
        let mut height: Vec<u128> = weights.iter().map(|&weight| u128::from(weight) * n as u128).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| height[i] < total);
        let mut own = vec![1 << 32; n];
        let mut alias: Vec<u32> = (0..n as u32).collect();
        while let (Some(&donor), Some(short)) = (high.last(), low.pop()) {
            own[short] = ((height[short] << 32) / total) as u64;
            alias[short] = donor as u32;
            height[donor] -= total - height[short];
            if height[donor] < total {
                high.pop();
                low.push(donor);
            }
        }
        Self { own, alias }
    }

    /// The index for `x`, which must be random in all its bits; the same for the same `x`.
    pub(super) fn at(&self, x: u64) -> usize {
        let column = (((x >> 32) * self.own.len() as u64) >> 32) as usize;
        if (x & 0xffff_ffff) < self.own[column] { column } else { self.alias[column] as usize }
    }

    pub(super) fn pick(&self, random: &mut Random) -> usize {
        self.at(random.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_splitmix64() {
        // The reference implementation's first numbers for the seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }

    #[test]
    fn picks_follow_their_weights() {
        let weighted = Weighted::new([1, 0, 6, 3]);
        let mut random = Random::new(1);
        let mut counts = [0u32; 4];
        (0..100_000).for_each(|_| counts[weighted.pick(&mut random)] += 1);
        assert_eq!(counts[1], 0);
        for (i, expected) in [(0, 10_000), (2, 60_000), (3, 30_000)] {
            assert!(counts[i].abs_diff(expected) < 1_000, "{counts:?}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_table() {
        let mut random = Random::new(1);
        let mut drawn: Vec<u64> = (0..10_000).map(|_| random.quantile(&[10, 20, 40, 1_000])).collect();
        drawn.sort_unstable();
        assert!(drawn[0] >= 10 && drawn[9_999] < 1_000);
        assert!(drawn[3_333].abs_diff(20) <= 1 && drawn[6_666].abs_diff(40) <= 1, "{} {}", drawn[3_333], drawn[6_666]);
    }
}

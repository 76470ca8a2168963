//! A set of names without their content: a Bloom filter. A name that it lacks was never met; a name that it has was
//! met, with rare exceptions.

use std::hash::{BuildHasher, RandomState};

/// Number of bits, 128 KiB: about two in a thousand of 100,000 names that were not met count as met.
const BITS: u64 = 1 << 20;
const HASHES: u64 = 4;

#[derive(Debug, Default)]
pub(super) struct Forgotten {
    /// Empty while there is no name.
    bits: Vec<u64>,
    hasher: RandomState,
}

impl Forgotten {
    pub(super) fn add(&mut self, name: &str) {
        if self.bits.is_empty() {
            self.bits = vec![0; (BITS / 64) as usize];
        }
        for bit in self.places(name) {
            self.bits[(bit / 64) as usize] |= 1 << (bit % 64);
        }
    }

    pub(super) fn may_have(&self, name: &str) -> bool {
        !self.bits.is_empty() && self.places(name).all(|bit| self.bits[(bit / 64) as usize] & (1 << (bit % 64)) != 0)
    }

    fn places(&self, name: &str) -> impl Iterator<Item = u64> + use<> {
        let hash = self.hasher.hash_one(name);
        let (first, step) = (hash, hash.rotate_left(32) | 1);
        (0..HASHES).map(move |i| first.wrapping_add(i.wrapping_mul(step)) % BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_little_else() {
        let mut forgotten = Forgotten::default();
        assert!(!forgotten.may_have("a"));
        (0..100_000).for_each(|i| forgotten.add(&format!("in {i}")));
        assert!((0..100_000).all(|i| forgotten.may_have(&format!("in {i}"))));
        let wrong = (0..100_000).filter(|i| forgotten.may_have(&format!("out {i}"))).count();
        assert!(wrong < 3_000, "{wrong} of 100,000");
    }
}

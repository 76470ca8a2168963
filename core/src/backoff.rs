//! Pauses between attempts: each is twice the one before, from a first one up to a longest one.

use std::time::Duration;

/// The pause before the next attempt.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Pauses from `first` up to `longest`, also when `first` is longer.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The pause after another failure.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause.saturating_mul(2);
        pause
    }

    /// Resets after a success: the next pause is the first one again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(backoff: &mut Backoff, n: usize) -> Vec<u128> {
        (0..n).map(|_| backoff.next_pause().as_millis()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_start_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(20), Duration::from_secs(5));
        assert_eq!(pauses(&mut backoff, 10), [20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000]);
        backoff.reset();
        assert_eq!(pauses(&mut backoff, 2), [20, 40]);
    }

    #[test]
    fn no_pause_is_longer_than_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(1));
        assert_eq!(pauses(&mut backoff, 2), [1000, 1000]);
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert_eq!([backoff.next_pause(), backoff.next_pause()], [Duration::MAX; 2]);
    }
}

//! Times of retries, with growing pauses.

use std::time::Duration;

use tokio::time::Instant;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(crate) struct Retry {
    pause: Duration,
}

impl Retry {
    /// The time of the next attempt after another failure: the pause doubles.
    pub(crate) fn failed(&mut self) -> Instant {
        self.pause = (self.pause * 2).clamp(FIRST, LONGEST);
        Instant::now() + self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut retry = Retry::default();
        let pauses: Vec<u128> = (0..10)
            .map(|_| {
                retry.failed();
                retry.pause.as_millis()
            })
            .collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1280, 2560, 5000, 5000]);
    }
}

//! A queue of requests per source, also when the sender of the first is gone and sends it again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Sources that have a request in progress.
#[derive(Debug, Default)]
pub(super) struct Sources(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

/// Unused names are removed once there are this many, or twice as many as are in use.
const CLEAR: usize = 64;

impl Sources {
    /// The lock that a request of `source` holds while it is in progress.
    pub(super) fn turn(&self, source: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(source).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= CLEAR && turns.len() == turns.capacity() {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(source.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_done_is_forgotten() {
        let sources = Sources::default();
        let held = sources.turn("a");
        assert!(Arc::ptr_eq(&held, &sources.turn("a")));
        for i in 0..10_000 {
            sources.turn(&i.to_string());
        }
        assert!(Arc::ptr_eq(&held, &sources.turn("a")));
        let most = sources.0.lock().len();
        assert!(most < 1_000, "{most}");
    }
}

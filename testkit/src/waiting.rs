//! Tests wait on values, never on time.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long a value may take to come.
const PATIENCE: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What `look` finds, as soon as it finds something. `what` says what was waited for, when it never comes.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    eventually_ok(what, async || look().await.ok_or("there is none")).await
}

/// The same, where `look` knows why there is nothing yet.
pub async fn eventually_ok<T, E: Display>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let (give_up, mut pause) = (Instant::now() + PATIENCE, FIRST_PAUSE);
    loop {
        // A look that does not end is no value either.
        match tokio::time::timeout_at(give_up, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(why)) if Instant::now() > give_up => panic!("waited {PATIENCE:?} in vain for {what}: {why}"),
            Ok(Err(_)) => sleep(pause).await,
            Err(_) => panic!("waited {PATIENCE:?} in vain for {what}: the last look at it did not end"),
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

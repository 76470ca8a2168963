//! Waits for values: tests never wait for time alone.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Time limit of a value to appear.
const WAIT_MAX: Duration = Duration::from_secs(120);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Waits until `look` finds something, and returns it. `what` names it in the failure.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    eventually_ok(what, async || look().await.ok_or("there is none")).await
}

/// Like [`eventually`], with the reason for which there is nothing yet in the failure.
pub async fn eventually_ok<T, E: Display>(what: &str, look: impl AsyncFn() -> Result<T, E>) -> T {
    let (give_up, mut pause) = (Instant::now() + WAIT_MAX, FIRST_PAUSE);
    loop {
        match tokio::time::timeout_at(give_up, look()).await {
            Ok(Ok(found)) => return found,
            Ok(Err(why)) if Instant::now() > give_up => panic!("waited {WAIT_MAX:?} in vain for {what}: {why}"),
            Ok(Err(_)) => sleep(pause).await,
            Err(_) => panic!("waited {WAIT_MAX:?} in vain for {what}: the last look at it did not end"),
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

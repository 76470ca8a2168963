//! Tasks that live as long as the process: their start, and one report if one of them fails.
//!
//! | the task | starts by |
//! |---|---|
//! | may be dropped wherever it waits | [`spawn`]: it ends with the shutdown, and an end before that is a failure |
//! | finishes a step, or tidies up, after the shutdown | [`spawn_to_end`]: it looks at the shutdown by itself |

use std::any::Any;
use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

/// Starts `work`, which runs until `shutdown`. A panic, or an earlier end, is reported with the `task`'s name.
pub fn spawn(
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
    task: &'static str,
    work: impl Future<Output = ()> + Send + 'static,
) {
    let shutdown = shutdown.clone();
    spawn_to_end(tracker, task, async move {
        if shutdown.run_until_cancelled(work).await.is_some() && !shutdown.is_cancelled() {
            report_failure(task, &"it ended before the process");
        }
    });
}

/// Starts `work`, which ends by itself. A panic is reported with the `task`'s name.
pub fn spawn_to_end(tracker: &TaskTracker, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    tracker.spawn(async move {
        // The panic hook has printed the place.
        if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
            report_failure(task, &said(panic.as_ref()));
        }
    });
}

/// Reports that a task which should run has ended, because of `why`.
pub fn report_failure(task: &'static str, why: &dyn Display) {
    error!(task, why = %why, "a task of the process failed");
    counter!("dovetail_tasks_failed_total", "task" => task).increment(1);
}

fn said(panic: &(dyn Any + Send)) -> String {
    format!("it panicked: {}", crate::catch_panic::said(panic))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_task_ends_with_the_shutdown() {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        spawn(&tracker, &shutdown, "waits", std::future::pending());
        tracker.close();
        assert_eq!(tracker.len(), 1);
        shutdown.cancel();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn a_panic_and_an_early_end_take_nothing_else_along() {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        spawn(&tracker, &shutdown, "panics", async { panic!("no way") });
        spawn(&tracker, &shutdown, "ends", async {});
        tracker.close();
        tracker.wait().await;
    }

    #[tokio::test]
    async fn what_has_to_tidy_up_does_so_after_the_shutdown() {
        let (tracker, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (tidied, stop) = (Arc::new(AtomicBool::new(false)), shutdown.clone());
        let done = Arc::clone(&tidied);
        spawn_to_end(&tracker, "tidies", async move {
            stop.cancelled().await;
            tokio::task::yield_now().await;
            done.store(true, Ordering::SeqCst);
        });
        tracker.close();
        shutdown.cancel();
        tracker.wait().await;
        assert!(tidied.load(Ordering::SeqCst));
    }
}

//! The runtime of stream jobs: a replay folds on its own threads and takes no others from the work that is live.

use anyhow::Result;
use tokio::runtime::{Builder, Handle, Runtime};

/// Size of a stack in bytes, as for the other runtimes.
const STACK: usize = 8 << 20;
/// Number of threads for blocking work.
const BLOCKING: usize = 32;

/// A runtime that does not wait for its tasks when it is dropped: they have ended, or are abandoned.
#[derive(Debug)]
pub(super) struct JobRuntime(Option<Runtime>, Handle);

impl JobRuntime {
    pub(super) fn new(threads: usize) -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_stack_size(STACK)
            .max_blocking_threads(BLOCKING)
            .thread_name("kappa")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self(Some(runtime), handle))
    }

    pub(super) fn handle(&self) -> Handle {
        self.1.clone()
    }
}

impl Drop for JobRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

//! The threads that plan and run queries, apart from those that serve connections: a query that computes for long
//! delays nobody, not even the client that asked for it.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{QueryError, Reason};

/// Size of a stack in bytes. Plans are walked recursively: a query of some hundred operators needs more than the usual
/// 2 MiB.
const STACK: usize = 8 << 20;
/// Greatest number of threads for merging states and reading files.
const BLOCKING: usize = 64;
/// Greatest number of threads: more would only wait for each other.
const THREADS_MAX: usize = 64;

/// A runtime for queries.
#[derive(Debug)]
pub(crate) struct Threads(Option<Runtime>);

impl Threads {
    /// Makes enough threads that each of `queries` has one, also while others block theirs.
    pub(crate) fn new(queries: usize) -> Result<Self, QueryError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(queries.saturating_add(cores).min(THREADS_MAX))
            .thread_stack_size(STACK)
            .max_blocking_threads(BLOCKING)
            .thread_keep_alive(Duration::from_secs(10))
            .thread_name("query")
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => Ok(Self(Some(runtime))),
            Err(error) => Err(QueryError::new(Reason::Internal, format!("no threads for queries: {error}"))),
        }
    }

    /// Runs `work`; it is stopped at its next await once the result is dropped.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<AbortOnDropHandle<T>, QueryError> {
        match &self.0 {
            Some(runtime) => Ok(AbortOnDropHandle::new(runtime.spawn(work))),
            None => Err(QueryError::new(Reason::NotReady, "the server is shutting down")),
        }
    }
}

impl Drop for Threads {
    /// Without waiting: it may be dropped by a task.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

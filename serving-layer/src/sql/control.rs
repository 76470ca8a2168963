//! The control of a query: ends its work wherever that runs, and bounds its memory between two operators.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::ThreadId;

use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use dovetail_core::clock;
use dovetail_core::functions::guard::Allowance;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use crate::error::{QueryError, Reason};
use crate::memory::Pool;

/// Greatest size of the results of constant functions during planning: each row of a batch may have all of it. Further
/// calls are evaluated, and counted, when the query runs.
const MOST_WHILE_PLANNED: usize = 8 << 10;

/// State that all work of one query checks.
#[derive(Debug)]
pub(crate) struct Control {
    deadline: Instant,
    is_over: AtomicBool,
    is_planned: AtomicBool,
    memory: Arc<Pool>,
    /// Bytes of functions' results during planning: they are part of the plan.
    in_plan: AtomicUsize,
    /// Bytes of functions' results since an operator last asked for its input, by thread.
    made: Mutex<HashMap<ThreadId, Made>>,
    work: Mutex<Work>,
    /// Number of given-up queries of the same permit that still work.
    given_up: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Made {
    /// Depth of nested operators on the thread.
    depth: usize,
    held: Option<MemoryReservation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Wanted,
    GivenUp,
    Ended,
}

impl Control {
    pub(crate) fn new(deadline: Instant, memory: &Arc<Pool>, given_up: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            deadline,
            is_over: AtomicBool::new(false),
            is_planned: AtomicBool::new(false),
            in_plan: AtomicUsize::new(0),
            memory: Arc::clone(memory),
            made: Mutex::default(),
            work: Mutex::new(Work::Wanted),
            given_up,
        })
    }

    /// Ends planning: later constants are not part of the plan.
    pub(crate) fn planned(&self) {
        self.is_planned.store(true, Ordering::Relaxed);
    }

    /// Gives the query up, because nobody waits for it. Its work ends at its next check.
    pub(crate) fn give_up(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        let mut work = self.work();
        if *work == Work::Wanted {
            *work = Work::GivenUp;
            self.given_up.fetch_add(1, Ordering::SeqCst);
            metrics::gauge!("dovetail_queries_given_up").increment(1.0);
        }
    }

    /// Records that all of its work has ended.
    pub(crate) fn ended(&self) {
        if std::mem::replace(&mut *self.work(), Work::Ended) == Work::GivenUp {
            self.given_up.fetch_sub(1, Ordering::SeqCst);
            metrics::gauge!("dovetail_queries_given_up").decrement(1.0);
        }
    }

    /// Whether the query was given up, or its time is over.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || clock::now_monotonic() >= self.deadline
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock()
    }

    fn made(&self) -> MutexGuard<'_, HashMap<ThreadId, Made>> {
        self.made.lock()
    }

    /// Marks that an operator asks for its input until the result is dropped. Functions' results of the input before
    /// are not needed any more, or counted by their holder.
    pub(crate) fn asking(&self) -> Asking<'_> {
        let mut made = self.made();
        let made = made.entry(std::thread::current().id()).or_default();
        made.depth += 1;
        made.held = None;
        Asking(self)
    }

    /// Runs work that keeps no result of functions.
    pub(crate) fn in_passing<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.held();
        let done = work();
        if let Some(of_thread) = self.made().get(&std::thread::current().id())
            && let Some(held) = &of_thread.held
        {
            held.shrink(held.size().saturating_sub(before));
        }
        done
    }

    /// Bytes of functions' results on this thread.
    fn held(&self) -> usize {
        let made = self.made();
        let held = made.get(&std::thread::current().id()).and_then(|of_thread| of_thread.held.as_ref());
        held.map_or(0, MemoryReservation::size)
    }

    /// Reserves `bytes` for `asker`.
    pub(crate) fn room(&self, asker: &str, bytes: usize) -> Result<MemoryReservation> {
        let room = MemoryConsumer::new(asker).register(&self.memory.shared());
        room.try_grow(bytes)?;
        Ok(room)
    }
}

/// See [`Control::asking`].
pub(crate) struct Asking<'c>(&'c Control);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let thread = std::thread::current().id();
        let mut made = self.0.made();
        if let Some(of_thread) = made.get_mut(&thread) {
            of_thread.depth = of_thread.depth.saturating_sub(1);
            if of_thread.depth == 0 {
                made.remove(&thread);
            }
        }
    }
}

impl Allowance for Control {
    fn check(&self) -> Result<()> {
        match self.is_over() {
            true => Err(DataFusionError::from(QueryError::new(Reason::Timeout, "nobody waits for the query any more"))),
            false => Ok(()),
        }
    }

    fn take(&self, function: &str, bytes: usize, _value: usize) -> Result<Option<MemoryReservation>> {
        if !self.is_planned.load(Ordering::Relaxed) && bytes > MOST_WHILE_PLANNED {
            return not_yet(function, bytes);
        }
        self.room(function, bytes).map(Some)
    }

    fn made(&self, function: &str, bytes: usize) -> Result<()> {
        if !self.is_planned.load(Ordering::Relaxed) {
            let more = |made: usize| made.checked_add(bytes).filter(|made| *made <= MOST_WHILE_PLANNED);
            let is_little = self.in_plan.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
            return if is_little { Ok(()) } else { not_yet(function, bytes) };
        }
        let mut made = self.made();
        let Some(of_thread) = made.get_mut(&std::thread::current().id()) else { return Ok(()) };
        match &of_thread.held {
            Some(held) => held.try_grow(bytes),
            None => {
                of_thread.held = Some(self.room(function, bytes)?);
                Ok(())
            }
        }
    }
}

/// The error that makes a simplifier leave a call as it is.
fn not_yet<T>(function: &str, bytes: usize) -> Result<T> {
    exec_err!("`{function}()` of constants makes {bytes} bytes: that is left to when the query runs")
}

//! Memory of queries: each has a limit, and all of them together have one.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation};

/// What one query may use: within its own limit and within what all others leave.
#[derive(Debug)]
pub(crate) struct QueryPool {
    own: GreedyMemoryPool,
    all: Arc<dyn MemoryPool>,
}

impl QueryPool {
    pub(crate) fn new(limit: usize, all: Arc<dyn MemoryPool>) -> Self {
        Self { own: GreedyMemoryPool::new(limit), all }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("query")
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.own.grow(reservation, additional);
        self.all.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.all.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.own.try_grow(reservation, additional)?;
        let granted = self.all.try_grow(reservation, additional);
        if granted.is_err() {
            self.own.shrink(reservation, additional);
        }
        granted
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.own.memory_limit()
    }
}
